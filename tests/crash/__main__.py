"""`python -m tests.crash`: kills, judges, and prints one table."""

import random
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Final, Literal

import click
from rich import box
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from tests.crash.programs import Nursery
from tests.crash.results import Result
from tests.crash.targets import TARGETS, Target
from tests.crash.worlds import Scene

_NAMES: Final = [target.name for target in TARGETS]
_COLUMNS: Final = (
    "kills",
    "acknowledged",
    "stored",
    "delivered",
    "duplicates",
    "lost",
    "out of order",
)


@click.command()
@click.argument("names", nargs=-1, type=click.Choice(_NAMES))
@click.option("--seed", type=int, help="Repeats a run's dice.  [default: a new one]")
@click.option(
    "--size",
    type=click.Choice(["full", "everyday"]),
    default="full",
    show_default=True,
    help="Everyday is what make test does, a twentieth.",
)
def main(names: tuple[str, ...], seed: int | None, size: Literal["full", "everyday"]) -> None:
    """Kill the store, its forwarders, its receiver and its database, and count what is lost.

    Example: python -m tests.crash --size everyday D1 D2
    """
    console = Console()
    seed = random.SystemRandom().randrange(10**6) if seed is None else seed
    console.print(f"seed {seed}, {size} size")
    chosen = [target for target in TARGETS if not names or target.name in names]
    results = []
    with Nursery() as nursery, Progress(console=console, transient=True) as progress:
        for target in chosen:
            result = _tried(target, nursery, seed, size, progress)
            results.append(result)
            console.print(f"{target.name} {target.title}: {_verdict(result)}")
            for fault in result.faults:
                console.print(f"  {fault}")
    console.print(_table(results))
    sys.exit(not all(result.holds for result in results))


def _tried(
    target: Target,
    nursery: Nursery,
    seed: int,
    size: Literal["full", "everyday"],
    progress: Progress,
) -> Result:
    bar = progress.add_task(f"{target.name} {target.title}", total=1.0)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        return target.run(
            Scene(
                nursery=nursery,
                folder=Path(folder),
                seed=seed,
                size=target.full if size == "full" else target.everyday,
                on_progress=lambda done: progress.update(bar, completed=done),
            )
        )


def _table(results: Iterable[Result]) -> Table:
    table = Table("", *_COLUMNS, "verdict", box=box.SIMPLE, pad_edge=False)
    for result in results:
        found = result.judgement
        counts = (
            result.kills,
            found.acknowledged,
            found.stored,
            found.delivered,
            found.duplicates,
            found.lost,
            found.out_of_order,
        )
        table.add_row(result.target, *(f"{count:,}" for count in counts), _verdict(result))
    return table


def _verdict(result: Result) -> str:
    return "holds" if result.holds else "BROKEN"


if __name__ == "__main__":
    main()
