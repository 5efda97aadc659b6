"""`python -m tests.faults`: the faults in their full size, and one table of what came of them."""

import random
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final, Literal

import click
from rich import box
from rich.console import Console
from rich.table import Table

from tests.faults import clock_steps, cut_log, disk, network, signatures
from tests.faults.result import Result


@dataclass(frozen=True)
class Target:
    """What is tried, given a size and a seed, and how large it is."""

    name: str
    run: Callable[[int, int], list[Result]]
    full: int
    everyday: int


TARGETS: Final = (
    Target("D5", lambda events, _: network.results(events), full=200, everyday=10),
    Target("D9", signatures.results, full=1_000, everyday=50),
    Target("D10-disk", disk.results, full=40, everyday=2),
    Target("D10-log", cut_log.results, full=200, everyday=10),
    Target("D16", clock_steps.results, full=100, everyday=5),
)


@click.command()
@click.argument("names", nargs=-1, type=click.Choice([target.name for target in TARGETS]))
@click.option("--seed", type=int, help="Repeats a run's dice.  [default: a new one]")
@click.option(
    "--size",
    type=click.Choice(["full", "everyday"]),
    default="full",
    show_default=True,
    help="Everyday is what make test does, a twentieth.",
)
def main(names: tuple[str, ...], seed: int | None, size: Literal["full", "everyday"]) -> None:
    """Misbehave as networks, disks and clocks do, and count what is lost.

    Example: python -m tests.faults --size everyday D9 D16
    """
    console = Console()
    seed = random.SystemRandom().randrange(10**6) if seed is None else seed
    console.print(f"seed {seed}, {size} size")
    results = []
    for target in TARGETS:
        if not names or target.name in names:
            with console.status(f"{target.name} …"):
                results += target.run(target.full if size == "full" else target.everyday, seed)
    console.print(_table(results))
    sys.exit(not all(result.is_met for result in results))


def _table(results: Iterable[Result]) -> Table:
    table = Table("", "", "what was found", "verdict", box=box.SIMPLE, pad_edge=False)
    for result in results:
        verdict = "holds" if result.is_met else "BROKEN"
        table.add_row(result.target, result.name, result.figure, verdict)
    return table


if __name__ == "__main__":
    main()
