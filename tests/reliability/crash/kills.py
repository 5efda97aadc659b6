"""D1, D2, D3 and D13: under traffic, killed at random, and started again."""

from collections.abc import Sequence
from random import Random
from typing import Final

from tests.reliability.crash.programs import Part
from tests.reliability.crash.results import faults_in, line_of
from tests.reliability.crash.traffic import CLIENTS
from tests.reliability.crash.worlds import (
    LEASE_OUTLASTS_SECONDS,
    Choose,
    World,
    on_postgres,
    on_sqlite,
)
from tests.reliability.result import Result, more_than
from tests.reliability.scene import Scene

_IN_FLIGHT: Final = 12
"""Requests of a forwarder that are sent, and not recorded yet, at most."""


def store(scene: Scene) -> list[Result]:
    """D1: the store, on SQLite."""
    with on_sqlite(scene) as world:
        kills, traffic = world.live_through(lambda _chance, _round: [world.store])
        judgement = world.judge(traffic.acknowledged)
    faults = faults_in(judgement, refusals=traffic.refusals)
    # A client has one request under way, and a worker thread of the store answers one.
    faults += more_than(judgement.strays, kills * CLIENTS, "events nobody got an answer for")
    return line_of(f"{kills} kills of the store", judgement, faults)


def forwarder(scene: Scene) -> list[Result]:
    """D2: the forwarder, on PostgreSQL, beside a store that does not deliver."""
    with on_postgres(scene, "--no-forward") as world:
        kills, traffic = world.live_through(lambda _chance, _round: world.forwarders)
        judgement = world.judge(traffic.acknowledged)
    faults = faults_in(judgement, refusals=traffic.refusals)
    faults += more_than(judgement.strays, 0, "events nobody got an answer for")
    faults += more_than(judgement.duplicates, kills * _IN_FLIGHT, "duplicates")
    return line_of(f"{kills} kills of the forwarder", judgement, faults)


def any_of_three(scene: Scene) -> list[Result]:
    """D3: store, forwarder and receiver, each by itself or together."""
    with on_postgres(scene, "--no-forward") as world:
        three = [world.store, *world.forwarders, world.receiver]
        kills, traffic = world.live_through(lambda chance, _round: _some_of(three, chance))
        judgement = world.judge(traffic.acknowledged)
    faults = faults_in(judgement, refusals=traffic.refusals)
    return line_of(f"{kills} kills of any of three", judgement, faults)


def many_processes(scene: Scene) -> list[Result]:
    """D13: four workers and three forwarders, and the database stopped at once now and then."""
    with on_postgres(scene, "--workers=4", forwarders=3) as world:
        kills, traffic = world.live_through(_with_stops(scene, world))
        judgement = world.judge(traffic.acknowledged)
    faults = faults_in(judgement, refusals=traffic.refusals)
    shortest = judgement.shortest_seconds
    if shortest is not None and shortest < LEASE_OUTLASTS_SECONDS:
        faults.append(f"an event was sent again after {shortest:.1f} s, while it was leased")
    tried = f"{kills} kills, {scene.size.stops} of the database"
    return line_of(tried, judgement, faults)


def _some_of(parts: Sequence[Part], chance: Random) -> Sequence[Part]:
    return chance.sample(parts, chance.randint(1, len(parts)))


def _with_stops(scene: Scene, world: World) -> Choose:
    """As above, but for the rounds in which the database is stopped and nobody else."""
    parts = [world.store, *world.forwarders, world.receiver]
    all_rounds = range(scene.size.rounds)
    stops = set(Random(f"{scene.seed} stops").sample(all_rounds, scene.size.stops))

    def choose(chance: Random, number: int) -> Sequence[Part]:
        return [world.database] if number in stops and world.database else _some_of(parts, chance)

    return choose
