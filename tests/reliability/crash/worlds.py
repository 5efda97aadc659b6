"""A store with a database, whoever delivers for it, and a receiver: what a round of kills is about."""

import random
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sqlalchemy import create_engine, text

from tests.browser.store_process import until
from tests.postgres import own_postgres
from tests.reliability.crash.judging import Judgement, judge, read_ledger, stored_events
from tests.reliability.crash.programs import (
    Part,
    Program,
    Server,
    Store,
    free_port,
    ledger_keeper,
)
from tests.reliability.crash.traffic import Traffic
from tests.reliability.scene import Scene

Choose = Callable[[random.Random, int], Sequence[Part]]
"""Who is killed, given a die and the number of the round, from 0."""

DEADLINE_SECONDS: Final = 5
"""Of a POST; long enough that no answer of a busy machine comes too late. A lease lasts 20 s more."""

LEASE_OUTLASTS_SECONDS: Final = 10
"""A lease lives so long, at least, after the last answer that was got under it."""

_THREADS: Final = 8
_RETRY_SECONDS: Final = ",".join(["0"] + ["1"] * 29)
_SHORTEST_LIFE_SECONDS: Final = 0.05
_LONGEST_LIFE_SECONDS: Final = 0.5
_DRAIN_TIMEOUT_SECONDS: Final = 300.0
_NEVER_SET: Final = threading.Event()


@dataclass(frozen=True)
class World:
    """Everything that runs, started.

    Attributes:
        database: None for a SQLite file, which lives and dies with the store.
    """

    scene: Scene
    database_url: str
    database: Server | None
    store: Store
    forwarders: Sequence[Program]
    receiver: Program
    ledger: Path

    def live_through(self, choose: Choose) -> tuple[int, Traffic]:
        """Kill what is chosen and start it again, round after round, under traffic.

        Returns: how many kills there were, and the traffic, which is over.
        """
        size, chance = self.scene.size, random.Random(self.scene.seed)
        kills = 0
        with Traffic(self.store.port, self.scene.seed) as traffic:
            for number in range(size.rounds):
                # Ready is who has answered. What a busy machine falls behind with is made up for here.
                traffic.wait_for(max(traffic.count + 1, number * size.events // size.rounds))
                # The wait is the experiment: a life of 50 to 500 ms, that ends at any point.
                _NEVER_SET.wait(chance.uniform(_SHORTEST_LIFE_SECONDS, _LONGEST_LIFE_SECONDS))
                victims = choose(chance, number)
                for victim in victims:
                    victim.kill()
                if {self.store, self.database} & set(victims):
                    traffic.hold()
                for victim in victims:
                    victim.start()
                traffic.go_on()
                kills += len(victims)
                self.scene.on_progress((number + 1) / (size.rounds + 1))
            traffic.wait_for(size.events)
        return kills, traffic

    def judge(self, acknowledged: Counter[str]) -> Judgement:
        """Wait until nothing waits, and compare what was promised with what is there."""
        drain(self.store, self.database_url)
        return judge(acknowledged, stored_events(self.database_url), read_ledger(self.ledger))


def drain(store: Store, database_url: str) -> None:
    """Wait until every event has a person, and all of them are delivered."""
    engine = create_engine(database_url)

    def unattributed() -> int:
        with engine.connect() as connection:
            found = connection.execute(text("SELECT count(*) FROM events WHERE mpid IS NULL"))
            return int(found.scalar_one())

    def is_drained() -> bool:
        # An event gets its person and its message at once, so in this order nothing is overlooked.
        return unattributed() == 0 and store.waiting_messages() == 0

    until(is_drained, "everything delivered", timeout_seconds=_DRAIN_TIMEOUT_SECONDS)
    engine.dispose()


@contextmanager
def on_sqlite(scene: Scene) -> Iterator[World]:
    """All in one process, and a receiver."""
    url = f"sqlite:///{scene.folder / 'higgs-shop.db'}"
    with _running(scene, url, None, forwarders=0) as world:
        yield world


@contextmanager
def on_postgres(scene: Scene, *options: str, forwarders: int = 1) -> Iterator[World]:
    """A store on PostgreSQL.

    Args:
        options: of `higgs-shop run`.
        forwarders: how many processes do nothing but deliver.
    """
    with own_postgres() as postgres:
        server = Server(postgres)
        with _running(scene, postgres.url, server, *options, forwarders=forwarders) as world:
            yield world


@contextmanager
def _running(
    scene: Scene, url: str, database: Server | None, *options: str, forwarders: int
) -> Iterator[World]:
    ledger = scene.folder / "ledger.jsonl"
    receiver_port = free_port()
    settings = settings_for(scene, url, f"http://127.0.0.1:{receiver_port}/")
    receiver = ledger_keeper(scene.nursery, folder=scene.folder, ledger=ledger, port=receiver_port)
    store = a_store(scene, settings, *options)
    senders = [a_forwarder(scene, settings, number) for number in range(1, forwarders + 1)]
    with started(receiver, store, *senders):
        yield World(scene, url, database, store, senders, receiver, ledger)


@contextmanager
def started(*programs: Program) -> Iterator[None]:
    """They run for as long as the block does."""
    with ExitStack() as running:
        for program in programs:
            program.start()
            running.callback(program.kill)
        yield


def settings_for(scene: Scene, database_url: str, webhook_url: str) -> dict[str, str]:
    """What all programs of a store are told: retries come soon, and there are enough of them."""
    return {
        "INSTANCE": str(scene.folder),
        "DATABASE_URL": database_url,
        "THREADS": str(_THREADS),
        "WEBHOOK_URL": webhook_url,
        "WEBHOOK_TIMEOUT_SECONDS": str(DEADLINE_SECONDS),
        "WEBHOOK_RETRY_SECONDS": _RETRY_SECONDS,
    }


def a_store(scene: Scene, settings: dict[str, str], *options: str) -> Store:
    """`higgs-shop run`."""
    return Store(scene.nursery, *options, folder=scene.folder, settings=settings)


def a_forwarder(scene: Scene, settings: dict[str, str], number: int) -> Program:
    """`higgs-shop forward`."""
    return Program(
        scene.nursery,
        f"forwarder-{number}",
        "higgs-shop",
        "forward",
        folder=scene.folder,
        settings=settings,
        is_ready=lambda said: "Forwarding to" in said,
    )
