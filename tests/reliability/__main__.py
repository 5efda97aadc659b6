"""`python -m tests.reliability`: kills, misbehaves, judges, and prints one table."""

import random
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Literal

import click
from rich import box
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from tests.reliability.crash.programs import Nursery
from tests.reliability.result import Result
from tests.reliability.scene import Scene
from tests.reliability.targets import TARGETS, Target

_NAMES: Final = [target.name for target in TARGETS]


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
    """Kill the store and all around it, misbehave as networks, disks and clocks do, and count what is lost.

    Example: python -m tests.reliability --size everyday D1 D9
    """
    console = Console()
    seed = random.SystemRandom().randrange(10**6) if seed is None else seed
    console.print(f"seed {seed}, {size} size")
    chosen = [target for target in TARGETS if not names or target.name in names]
    table = Table("", "", "what was found", "verdict", box=box.SIMPLE, pad_edge=False)
    broken = 0
    with Nursery() as nursery, Progress(console=console, transient=True) as progress:
        for target in chosen:
            results = _tried(target, nursery, seed, size, progress)
            faults = [fault for result in results for fault in result.faults]
            broken += len(faults)
            console.print(f"{target.name} {target.title}: {_verdict(faults)}")
            for fault in faults:
                console.print(f"  {fault}")
            for result in results:
                verdict = _verdict(result.faults)
                table.add_row(target.name, result.tried, result.found, verdict)
    console.print(table)
    sys.exit(broken > 0)


def _tried(
    target: Target,
    nursery: Nursery,
    seed: int,
    size: Literal["full", "everyday"],
    progress: Progress,
) -> list[Result]:
    # Without a total until something is told: some targets tell nothing before they are done.
    bar = progress.add_task(f"{target.name} {target.title}", total=None)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        results = target.run(
            Scene(
                nursery=nursery,
                folder=Path(folder),
                seed=seed,
                size=target.full if size == "full" else target.everyday,
                on_progress=lambda done: progress.update(bar, total=1.0, completed=done),
            )
        )
    progress.update(bar, total=1.0, completed=1.0)
    return results


def _verdict(faults: Sequence[str]) -> str:
    return "BROKEN" if faults else "holds"


if __name__ == "__main__":
    main()
