"""The thread that does what no page waits for."""

import os
import threading

import pytest
from sqlalchemy import select

from higgs_shop.background import Background, beat, forwarders, this_forwarder
from higgs_shop.database import Database, DatabaseBusy
from higgs_shop.tables import heartbeats


def test_a_round_does_every_chore_and_counts() -> None:
    assert Background(chores=(lambda: 2, lambda: 3)).do_round() == 5


def test_a_chore_that_fails_keeps_no_other_from_its_work(caplog: pytest.LogCaptureFixture) -> None:
    def fail() -> int:
        raise ZeroDivisionError

    assert Background(chores=(fail, lambda: 3)).do_round() == 3
    assert "tried again" in caplog.text


def test_a_busy_database_is_a_line_in_the_log_and_no_traceback(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def wait_for_the_database() -> int:
        raise DatabaseBusy("another writer holds it")

    assert Background(chores=(wait_for_the_database, lambda: 3)).do_round() == 3
    assert [(record.levelname, record.exc_info) for record in caplog.records] == [("WARNING", None)]


def test_it_works_until_it_is_stopped() -> None:
    rounds = threading.Semaphore(0)

    def chore() -> int:
        rounds.release()
        return 1

    work = Background(chores=(chore,), pause_seconds=0.001)
    work.start()
    for _ in range(3):
        assert rounds.acquire(timeout=60)
    work.stop()
    while rounds.acquire(blocking=False):
        pass
    assert not rounds.acquire(timeout=0.05)


def test_it_goes_on_after_a_chore_or_the_beat_has_failed() -> None:
    rounds = threading.Semaphore(0)

    def fail() -> int:
        rounds.release()
        raise ZeroDivisionError

    def beat_badly() -> None:
        raise ZeroDivisionError

    work = Background(chores=(fail,), beat=beat_badly, pause_seconds=0.001)
    work.start()
    for _ in range(3):
        assert rounds.acquire(timeout=60)
    work.stop()


def test_it_can_be_stopped_before_it_was_started() -> None:
    Background(chores=()).stop()


def test_it_finishes_the_chore_at_hand() -> None:
    begun, may_end = threading.Event(), threading.Event()
    done = []

    def chore() -> int:
        begun.set()
        may_end.wait(60)
        done.append(True)
        return 1

    work = Background(chores=(chore,), pause_seconds=0.001)
    work.start()
    assert begun.wait(60)
    threading.Timer(0.01, may_end.set).start()
    work.stop(timeout_seconds=60)
    assert done


def test_a_beat_is_the_latest_word(database: Database) -> None:
    beat(database, "ada", 1)
    beat(database, "ada", 2)
    beat(database, "sam", 1)
    with database.read() as connection:
        found = connection.execute(select(heartbeats).order_by(heartbeats.c.worker)).all()
    assert [tuple(row) for row in found] == [("ada", 2), ("sam", 1)]


DAY_MS = 86_400_000


def test_a_worker_that_was_silent_for_a_day_is_forgotten(database: Database) -> None:
    beat(database, "ada", 1)
    beat(database, "sam", 1 + DAY_MS)
    with database.read() as connection:
        assert len(connection.execute(select(heartbeats)).all()) == 2
    beat(database, "sam", 2 + DAY_MS)
    with database.read() as connection:
        assert connection.scalars(select(heartbeats.c.worker)).all() == ["sam"]


def test_forwarders_are_those_that_said_so_lately(database: Database) -> None:
    beat(database, this_forwarder(), 1)
    beat(database, "background", 1)
    with database.read() as connection:
        (worker,) = forwarders(connection, 30_000)
        assert worker.endswith(f":{os.getpid()}")
        assert forwarders(connection, 30_001) == {}


def test_a_forwarder_that_died_before_the_clock_was_set_back_does_not_live_on(
    database: Database,
) -> None:
    beat(database, this_forwarder(), DAY_MS)
    with database.read() as connection:
        assert forwarders(connection, DAY_MS - 29_999), "the clock of another machine may be ahead"
        assert forwarders(connection, DAY_MS - 30_000) == {}
