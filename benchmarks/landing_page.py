"""What tracking costs a visitor: the landing page of somebody tracked, and of somebody who opted out.

Both pages show the same and are asked for in turns. Tracked, a page view writes two events (a screen
view, fourteen products seen) with their frozen webhook bodies, in one durable transaction.
"""

from benchmarks.measuring import (
    Row,
    Size,
    Statements,
    at_most,
    counted_sql,
    cpu_seconds,
    exactly,
    medians,
    wall_seconds,
)
from benchmarks.stores import Store, Visitor, receiver, store

_GOAL = 1.5


def rows(size: Size) -> list[Row]:
    """The page by itself, with the developer's x-ray, and while all of it is being delivered."""
    with store() as quiet:
        page = [
            _compared("landing page, tracked ÷ opted out", *_pair(quiet, sees_x_ray=False), size),
            _compared("… with the x-ray bar", *_pair(quiet, sees_x_ray=True), size),
            _cpu("… CPU alone, without x-ray", *_pair(quiet, sees_x_ray=False), size),
            *_counts(quiet),
        ]
    with receiver() as url, store(working=True, webhook_url=url) as busy:
        name = "… while the events are delivered to another process"
        page.insert(2, _compared(name, *_pair(busy, sees_x_ray=False), size))
    return page


def _pair(of: Store, *, sees_x_ray: bool) -> tuple[Visitor, Visitor]:
    return of.visitor(sees_x_ray=sees_x_ray), of.visitor(sees_x_ray=sees_x_ray).opted_out()


def _compared(name: str, tracked: Visitor, untracked: Visitor, size: Size) -> Row:
    with_tracking, without = medians([tracked.look, untracked.look], size, wall_seconds)
    note = f"{with_tracking * 1_000:.1f} ms ÷ {without * 1_000:.1f} ms"
    return at_most(name, with_tracking / without, _GOAL, note=note)


def _cpu(name: str, tracked: Visitor, untracked: Visitor, size: Size) -> Row:
    with_tracking, without = medians([tracked.look, untracked.look], size, cpu_seconds)
    note = f"{with_tracking * 1_000:.1f} ms ÷ {without * 1_000:.1f} ms"
    return Row(name, f"{with_tracking / without:.2f} ({note})")


def _counts(of: Store) -> list[Row]:
    tracked, untracked = _pair(of, sees_x_ray=False)
    developer = of.visitor(sees_x_ray=True)
    tracked_sql, untracked_sql = _sql_of(of, tracked), _sql_of(of, untracked)
    note = f"opted out: {untracked_sql.queries}; with the x-ray: {_sql_of(of, developer).queries}"
    return [
        exactly("write transactions of a warm page", tracked_sql.writes, 1),
        Row("SQL statements of a warm page", f"{tracked_sql.queries} ({note})"),
    ]


def _sql_of(of: Store, visitor: Visitor) -> Statements:
    visitor.look()
    with counted_sql(of.parts.database) as statements:
        visitor.look()
    return statements
