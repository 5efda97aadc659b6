"""Every target that is tried by killing or by faults, with its sizes."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from tests.reliability.crash import checkout, kills, lateness
from tests.reliability.faults import clock_steps, cut_log, disk, network, signatures
from tests.reliability.result import Result
from tests.reliability.scene import Scene, Size


@dataclass(frozen=True)
class Target:
    """What is tried, how much of it, and with everyday tests, how much less."""

    name: str
    title: str
    run: Callable[[Scene], list[Result]]
    full: Size
    everyday: Size


CRASHES: Final = (
    Target(
        "D1",
        "store killed, SQLite",
        kills.store,
        full=Size(rounds=1_000, events=50_000),
        everyday=Size(rounds=50, events=2_500),
    ),
    Target(
        "D2",
        "forwarder killed, PostgreSQL",
        kills.forwarder,
        full=Size(rounds=500, events=50_000),
        everyday=Size(rounds=25, events=2_500),
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
        full=Size(rounds=300, events=50_000, stops=20),
        everyday=Size(rounds=15, events=2_500, stops=1),
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
"""Tried on real processes; `crash/test_crashes.py` runs them in their everyday size."""

FAULTS: Final = (
    Target(
        "D5",
        "lines and receivers that misbehave",
        network.every_fault,
        full=Size(events=200),
        everyday=Size(events=10),
    ),
    Target(
        "D9",
        "bodies signed with two secrets",
        signatures.random_bodies,
        full=Size(events=1_000),
        everyday=Size(events=50),
    ),
    Target(
        "D10-disk",
        "disk full, database locked",
        disk.full_and_locked,
        full=Size(rounds=40),
        everyday=Size(rounds=2),
    ),
    Target(
        "D10-log",
        "log cut off",
        cut_log.random_cuts,
        full=Size(rounds=200),
        everyday=Size(rounds=10),
    ),
    Target(
        "D16",
        "clock set forward and back",
        clock_steps.random_steps,
        full=Size(rounds=100),
        everyday=Size(rounds=5),
    ),
)
"""Tried in everyday tests by those of tests/api, which set times and sizes of their own."""

TARGETS: Final = (*CRASHES, *FAULTS)
