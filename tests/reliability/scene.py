"""Where a target is tried, and how much of it."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.reliability.crash.programs import Nursery


@dataclass(frozen=True)
class Size:
    """How much is asked of a run.

    Attributes:
        rounds: so many times, something is killed or goes wrong.
        events: so many of them, at least, evenly over the rounds.
        stops: how many of the rounds stop the database.
    """

    rounds: int = 0
    events: int = 0
    stops: int = 0


@dataclass(frozen=True)
class Scene:
    """Where and how a run takes place.

    Attributes:
        nursery: starts programs, for who needs any.
        folder: empty.
        seed: decides who dies when, who shops how, and what goes wrong.
        on_progress: told how much of the run is done, from 0 to 1.
    """

    nursery: Nursery
    folder: Path
    seed: int
    size: Size
    on_progress: Callable[[float], None]
