"""`python -m benchmarks`: measures, and prints one table."""

from collections.abc import Callable, Iterable
from typing import Final

import click
from rich.console import Console
from rich.table import Table

from benchmarks import (
    clean_clone,
    delivery,
    durability,
    first_page,
    identity,
    identity_over_tcp,
    identity_scale,
    landing_page,
    outage,
    running_store,
    strategies,
    trouble,
)
from benchmarks.measuring import Row, Size

BENCHMARKS: Final[dict[str, Callable[[Size], list[Row]]]] = {
    "landing_page": landing_page.rows,
    "identity": identity.rows,
    "strategies": strategies.rows,
    "identity_over_tcp": identity_over_tcp.rows,
    "identity_scale": identity_scale.rows,
    "first_page": first_page.rows,
    "running_store": running_store.rows,
    "trouble": trouble.rows,
    "delivery": delivery.rows,
    "outage": outage.rows,
    "durability": durability.rows,
}


@click.command()
@click.argument("names", nargs=-1, type=click.Choice(list(BENCHMARKS)))
@click.option("--requests", default=Size.requests, show_default=True, help="Timed requests a side.")
@click.option(
    "--page-views", default=Size.page_views, show_default=True, help="Before memory is read."
)
@click.option("--starts", default=Size.starts, show_default=True, help="Starts that are timed.")
@click.option(
    "--profiles", default=Size.profiles, show_default=True, help="Whom a full store knows."
)
@click.option("--events", default=Size.events, show_default=True, help="Delivered in a row.")
@click.option(
    "--outage-seconds", default=Size.outage_seconds, show_default=True, help="Receiver down."
)
@click.option("--clean-clone", "with_clean_clone", is_flag=True, help="Also install from nothing.")
def main(names: tuple[str, ...], with_clean_clone: bool, **size: int) -> None:
    """Measure the store, and print what was found beside what is wanted.

    Example: python -m benchmarks landing_page --requests 1000
    """
    chosen = [BENCHMARKS[name] for name in names or BENCHMARKS]
    if with_clean_clone:
        chosen.append(clean_clone.rows)
    console = Console()
    with console.status("measuring …"):
        found = [row for rows in chosen for row in rows(Size(**size))]
    console.print(_table(found))


def _table(rows: Iterable[Row]) -> Table:
    table = Table("", "figure", "goal", "met")
    for row in rows:
        met = {True: "yes", False: "no", None: ""}[row.is_met]
        table.add_row(row.name, row.figure, row.goal, met)
    return table


if __name__ == "__main__":
    main()
