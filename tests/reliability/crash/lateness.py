"""D14 and D15: who comes late, in the database or with an answer, and what must not come of it."""

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Final

from sqlalchemy import Connection, create_engine, text

from tests.browser import store_process
from tests.network_faults import Received, Receiver
from tests.postgres import own_postgres
from tests.reliability.crash.judging import Judgement, arrival_of, judge, stored_events
from tests.reliability.crash.programs import Program, Store
from tests.reliability.crash.receiver import facts_of
from tests.reliability.crash.results import faults_in, line_of
from tests.reliability.crash.traffic import upload
from tests.reliability.crash.worlds import a_forwarder, a_store, drain, settings_for, started
from tests.reliability.result import Result, more_than
from tests.reliability.scene import Scene

_PEOPLE: Final = range(1, 9)
_PATIENCE_SECONDS: Final = 60.0
_FIRST: Final = 1
_LATE: Final = "ran out"
_HELD: Final = 14
"""The number of PostgreSQL's advisory lock that holds commits up."""

# At the end of a transaction, when it has its sequence number and nobody can see it yet.
_HOLD_COMMITS_UP: Final = f"""
CREATE FUNCTION wait_to_commit() RETURNS trigger LANGUAGE plpgsql AS
    'BEGIN PERFORM pg_advisory_xact_lock_shared({_HELD}); RETURN NULL; END';
CREATE CONSTRAINT TRIGGER held AFTER INSERT ON events DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW WHEN (NEW.source_message_id LIKE 'client-%-{_FIRST}')
    EXECUTE FUNCTION wait_to_commit();
"""


_until: Final = partial(store_process.until, timeout_seconds=_PATIENCE_SECONDS)


@dataclass(frozen=True)
class _Scenery:
    database_url: str
    receiver: Receiver
    store: Store
    forwarder: Program
    other: Program

    def judge(self, acknowledged: Counter[str]) -> Judgement:
        drain(self.store, self.database_url)
        arrivals = [
            arrival_of(facts_of(each.headers["webhook-id"], each.body), was_answered=True)
            for each in self.receiver.requests
        ]
        return judge(acknowledged, stored_events(self.database_url), arrivals)


@contextmanager
def _scenery(scene: Scene) -> Iterator[_Scenery]:
    """A store that does not deliver, a forwarder that runs, another that does not yet."""
    with own_postgres() as postgres, Receiver() as receiver:
        settings = settings_for(scene, postgres.url, receiver.url)
        store = a_store(scene, settings, "--no-forward")
        forwarder, other = (a_forwarder(scene, settings, number) for number in (1, 2))
        with started(store, forwarder):
            yield _Scenery(postgres.url, receiver, store, forwarder, other)


def commit_order(scene: Scene) -> list[Result]:
    """D14: a transaction has its sequence number, and commits after others that came later."""
    acknowledged: Counter[str] = Counter()
    faults = []
    with _scenery(scene) as scenery, _held_commits(scenery.database_url) as held:
        for number in range(1, scene.size.rounds + 1):
            expected = _commit_late(scenery, held, number)
            acknowledged.update(expected)
            arrived = [
                _name_of(each)
                for each in scenery.receiver.wait_for(3 * number, _PATIENCE_SECONDS)[-3:]
            ]
            if arrived != expected:
                faults.append(f"{arrived} arrived, not {expected}")
            scene.on_progress(number / scene.size.rounds)
        judgement = scenery.judge(acknowledged)
    faults += faults_in(judgement, refusals=[])
    return line_of(f"{scene.size.rounds} late commits", judgement, faults)


def _commit_late(scenery: _Scenery, held: "_HeldCommits", number: int) -> list[str]:
    """Somebody's first event waits to commit, their second one for it; somebody else's does not.

    Returns: the three, in the order in which they have to arrive.
    """
    port, ada, bob = scenery.store.port, 2 * number, 2 * number + 1
    with ThreadPoolExecutor(2) as threads:
        with held.holding():
            late = threads.submit(upload, port, ada, _FIRST)
            _until(lambda: held.waiting() == 1, "a transaction that waits to commit")
            next_one = threads.submit(upload, port, ada, _FIRST + 1)
            _until(lambda: held.waiting() == 2, "a transaction that waits for the other")
            other = upload(port, bob, _FIRST + 1)
            scenery.receiver.wait_for(3 * number - 2, _PATIENCE_SECONDS)
        return [other, late.result(), next_one.result()]


def _name_of(request: Received) -> str:
    return str(facts_of(request.headers["webhook-id"], request.body)["source_message_id"])


class _HeldCommits:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    @contextmanager
    def holding(self) -> Iterator[None]:
        """Nobody's first event is committed before the block ends."""
        self._connection.execute(text(f"SELECT pg_advisory_lock({_HELD})"))
        yield
        self._connection.execute(text(f"SELECT pg_advisory_unlock({_HELD})"))

    def waiting(self) -> int:
        """How many transactions wait for another one."""
        found = self._connection.execute(
            text("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'")
        )
        return int(found.scalar_one())


@contextmanager
def _held_commits(database_url: str) -> Iterator[_HeldCommits]:
    engine = create_engine(database_url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(_HOLD_COMMITS_UP))
        yield _HeldCommits(connection)
    engine.dispose()


def stopped_forwarder(scene: Scene) -> list[Result]:
    """D15: a forwarder stands still until its leases are over and another one has delivered."""
    with _scenery(scene) as scenery:
        receiver, late = scenery.receiver, scenery.forwarder
        receiver.hold()
        names = [upload(scenery.store.port, mpid, 1) for mpid in _PEOPLE]
        receiver.wait_for(1, _PATIENCE_SECONDS)
        late.pause()
        with started(scenery.other):
            receiver.release()
            drain(scenery.store, scenery.database_url)
            scene.on_progress(0.9)
            sent = len(receiver.requests)
            late.resume()
            _until(lambda: _LATE in late.said(), "the late forwarder finds its lease taken")
            names += [upload(scenery.store.port, mpid, 2) for mpid in _PEOPLE]
            judgement = scenery.judge(Counter(names))
            sent_again = len(receiver.requests) - sent - len(_PEOPLE)
    faults = faults_in(judgement, refusals=[])
    faults += more_than(sent_again, 0, "deliveries were made or planned anew by the late forwarder")
    if not judgement.duplicates:
        faults.append("nothing was under way when the forwarder was stopped")
    return line_of("a late forwarder", judgement, faults)
