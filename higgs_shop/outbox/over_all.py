"""All workspaces at once, for whoever watches the store: what waits, was given up, and where to look."""

from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, and_, exists, func, not_, or_, select

from higgs_shop.outbox.deliveries import MOST_COUNTED
from higgs_shop.outbox.mailboxes import IS_WAITING, NOW_MS, mailbox_time
from higgs_shop.outputs import Output
from higgs_shop.outputs.output import STORED, stored_output
from higgs_shop.tables import delivery_attempts, given_up_totals, mailboxes, messages, outputs

_NEWEST_ATTEMPTS: Final = 5


@dataclass(frozen=True, slots=True)
class OverAll:
    """What stands in the outbox for all outputs of all workspaces.

    Attributes:
        waiting: at most MOST_COUNTED + 1, which means more.
        oldest_waiting_ms: when the first one that waits was enqueued; None when none does.
        given_up: how many were given up, ever.
    """

    waiting: int
    oldest_waiting_ms: int | None
    given_up: int


def over_all(connection: Connection) -> OverAll:
    """How much waits, since when, and how much was given up."""
    return OverAll(
        waiting=connection.execute(_WAITING).scalar_one(),
        oldest_waiting_ms=connection.scalar(_OLDEST_WAITING),
        given_up=int(connection.execute(_GIVEN_UP).scalar_one()),
    )


def outputs_in_trouble(connection: Connection, *, now_ms: int, most: int) -> list[Output]:
    """Outputs of all workspaces that do not simply run, in the order of their making.

    They are paused or full, their newest attempt failed, one of their newest attempts was a message's
    last, or something waits for another try.

    Args:
        now_ms: on SQLite; PostgreSQL's own time is what retries go by there.
        most: how many at most.
    """
    now_ms = mailbox_time(connection, now_ms)
    found = connection.execute(_IN_TROUBLE.limit(most), {"now_ms": now_ms})
    return [stored_output(row) for row in found]


def _newest(*columns: Any, most: int) -> Any:
    """The newest attempts at the output of the row that is looked at."""
    return (
        select(*columns)
        .where(
            delivery_attempts.c.workspace_id == outputs.c.workspace_id,
            delivery_attempts.c.output_id == outputs.c.id,
        )
        .order_by(delivery_attempts.c.id.desc())
        .limit(most)
        .correlate(outputs)
        .subquery("newest")
    )


_last: Final = _newest(delivery_attempts.c.status_code, most=1)
_last_few: Final = _newest(
    delivery_attempts.c.workspace_id, delivery_attempts.c.message_id, most=_NEWEST_ATTEMPTS
)
_waiting_of_output: Final = and_(
    messages.c.workspace_id == outputs.c.workspace_id,
    messages.c.output_id == outputs.c.id,
    IS_WAITING,
)

_IN_TROUBLE: Final = (
    select(*STORED)
    .where(
        or_(
            outputs.c.state == "paused",
            outputs.c.is_full,
            select(_last.c.status_code)
            .where(not_(func.coalesce(_last.c.status_code, 0).between(200, 299)))
            .correlate(outputs)
            .exists(),
            select(messages.c.id)
            .join(
                _last_few,
                and_(
                    messages.c.workspace_id == _last_few.c.workspace_id,
                    messages.c.id == _last_few.c.message_id,
                ),
            )
            .where(messages.c.state == "dead")
            .correlate(outputs)
            .exists(),
            exists().where(
                mailboxes.c.workspace_id == outputs.c.workspace_id,
                mailboxes.c.output_id == outputs.c.id,
                mailboxes.c.due_at_ms > NOW_MS,
            ),
        )
    )
    .order_by(outputs.c.id)
)

_WAITING: Final = select(func.count()).select_from(
    select(messages.c.id)
    .join_from(outputs, messages, _waiting_of_output)
    .limit(MOST_COUNTED + 1)
    .subquery("found")
)

_oldest_of_output: Final = (
    select(messages.c.enqueued_at_ms)
    .where(_waiting_of_output)
    .order_by(messages.c.id)
    .limit(1)
    .correlate(outputs)
    .scalar_subquery()
)
_OLDEST_WAITING: Final = select(func.min(_oldest_of_output)).select_from(outputs)

_GIVEN_UP: Final = select(func.coalesce(func.sum(given_up_totals.c.number), 0))
