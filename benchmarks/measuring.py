"""How figures are taken: in turns within one run, as medians, and as counts where counting is possible.

Wall time on shared machines swings several times over, so nothing here is compared with another run.
"""

import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import FrameType
from typing import Final

from sqlalchemy import Connection, event

from higgs_shop.database import Database

Act = Callable[[], object]
Timer = Callable[[], float]

wall_seconds: Final[Timer] = time.perf_counter
cpu_seconds: Final[Timer] = time.thread_time


@dataclass(frozen=True)
class Size:
    """How much is measured; the defaults are those of the printed table.

    Attributes:
        requests: timed requests a side, after a tenth as many to warm up.
        page_views: how long the store is used before its memory is looked at.
        starts: how often the store is started.
        profiles: how many people a full store knows, and how many messages a full outbox holds.
        events: how long a backlog is delivered, to see what it does to memory.
        outage_seconds: how long the receiver is down meanwhile.
    """

    requests: int = 500
    page_views: int = 10_000
    starts: int = 5
    profiles: int = 1_000_000
    events: int = 100_000
    outage_seconds: int = 600

    @property
    def warm_up(self) -> int:
        """Untimed requests a side."""
        return max(2, self.requests // 10)


@dataclass(frozen=True)
class Row:
    """One line of the table. Without a goal it is there to be read, not to be met."""

    name: str
    figure: str
    goal: str = ""
    is_met: bool | None = None


def at_most(name: str, value: float, goal: float, *, unit: str = "", note: str = "") -> Row:
    """A row whose value must not exceed its goal."""
    figure = f"{shown(value)}{unit}{f' ({note})' if note else ''}"
    return Row(name, figure, f"≤ {shown(goal)}{unit}", value <= goal)


def at_least(name: str, value: float, goal: float, *, note: str = "") -> Row:
    """A row whose value must reach its goal."""
    figure = f"{shown(value)}{f' ({note})' if note else ''}"
    return Row(name, figure, f"≥ {shown(goal)}", value >= goal)


def exactly(name: str, value: float, goal: float, *, note: str = "") -> Row:
    """A row whose value must be its goal."""
    figure = f"{shown(value)}{f' ({note})' if note else ''}"
    return Row(name, figure, shown(goal), value == goal)


def shown(value: float) -> str:
    """A number as the table shows it."""
    return f"{value:,.0f}" if value == int(value) or value >= 100 else f"{value:.2f}"


def taken_in_turns(acts: Sequence[Act], size: Size, timer: Timer) -> list[list[float]]:
    """Time the acts one after the other, again and again. Returns the seconds of each."""
    for _ in range(size.warm_up):
        for act in acts:
            act()
    seconds: list[list[float]] = [[] for _ in acts]
    for _ in range(size.requests):
        for act, taken in zip(acts, seconds, strict=True):
            started = timer()
            act()
            taken.append(timer() - started)
    return seconds


def medians(acts: Sequence[Act], size: Size, timer: Timer) -> list[float]:
    """The median seconds of each act, taken in turns."""
    return [statistics.median(taken) for taken in taken_in_turns(acts, size, timer)]


def percentile_95(seconds: Sequence[float]) -> float:
    """What nineteen of twenty took at most."""
    return sorted(seconds)[len(seconds) * 95 // 100]


def python_calls(act: Act) -> int:
    """How many Python functions an act calls: the same on every machine."""
    calls = 0

    def count(_frame: FrameType, what: str, _argument: object) -> None:
        nonlocal calls
        calls += what == "call"

    sys.setprofile(count)
    try:
        act()
    finally:
        sys.setprofile(None)
    return calls


@dataclass
class Statements:
    """SQL that was executed: every statement, and how many of them began a write transaction."""

    texts: list[str] = field(default_factory=list)

    @property
    def writes(self) -> int:
        """Write transactions begun (on SQLite)."""
        return sum(text == "BEGIN IMMEDIATE" for text in self.texts)

    @property
    def queries(self) -> int:
        """Statements other than those that begin a transaction."""
        return sum(not text.startswith("BEGIN") for text in self.texts)


@contextmanager
def counted_sql(database: Database) -> Iterator[Statements]:
    """Listen to everything that is executed inside the block."""
    statements = Statements()

    def note(_connection: Connection, _cursor: object, text: str, *_: object) -> None:
        statements.texts.append(text)

    event.listen(database.engine, "before_cursor_execute", note)
    try:
        yield statements
    finally:
        event.remove(database.engine, "before_cursor_execute", note)
