"""Every target that is tried by killing, with its sizes."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from tests.crash import checkout, kills, lateness
from tests.crash.results import Result
from tests.crash.worlds import Scene, Size


@dataclass(frozen=True)
class Target:
    """What is tried, how much of it, and with everyday tests, how much less."""

    name: str
    title: str
    run: Callable[[Scene], Result]
    full: Size
    everyday: Size


TARGETS: Final = (
    Target(
        "D1",
        "store killed, SQLite",
        kills.store,
        full=Size(rounds=1_000, acknowledged=50_000),
        everyday=Size(rounds=50, acknowledged=2_500),
    ),
    Target(
        "D2",
        "forwarder killed, PostgreSQL",
        kills.forwarder,
        full=Size(rounds=500, acknowledged=50_000),
        everyday=Size(rounds=25, acknowledged=2_500),
    ),
    Target(
        "D3",
        "store, forwarder, receiver killed",
        kills.any_of_three,
        full=Size(rounds=300),
        everyday=Size(rounds=15),
    ),
    Target(
        "D13",
        "4 workers, 3 forwarders, database stopped",
        kills.many_processes,
        full=Size(rounds=300, acknowledged=50_000, stops=20),
        everyday=Size(rounds=15, acknowledged=2_500, stops=1),
    ),
    Target(
        "D14",
        "commits in another order than numbers",
        lateness.commit_order,
        full=Size(rounds=20),
        everyday=Size(rounds=2),
    ),
    Target(
        "D15",
        "forwarder stopped past its lease",
        lateness.stopped_forwarder,
        full=Size(rounds=1),
        everyday=Size(rounds=1),
    ),
    Target(
        "X3",
        "store killed while an order is placed",
        checkout.order,
        full=Size(rounds=200),
        everyday=Size(rounds=10),
    ),
)
