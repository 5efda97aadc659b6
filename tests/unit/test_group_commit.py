"""Several threads' transactions as one: each gets its own result, and pays for nobody's mistake."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import Connection, event, insert, select

from higgs_shop.database import Database, DatabaseBusy
from higgs_shop.group_commit import GroupCommit
from higgs_shop.tables import heartbeats

PATIENCE_SECONDS = 30


def beat(connection: Connection, worker: str) -> str:
    connection.execute(insert(heartbeats).values(worker=worker, beat_at_ms=1))
    return worker.upper()


def beats(database: Database) -> set[str]:
    with database.read() as connection:
        return set(connection.scalars(select(heartbeats.c.worker)))


def test_each_gets_what_its_own_work_returns(database: Database) -> None:
    commits = GroupCommit(database)
    names = [f"worker {number}" for number in range(40)]

    with ThreadPoolExecutor(8) as pool:
        done = list(pool.map(lambda name: commits.run(lambda each: beat(each, name)), names))

    assert done == [name.upper() for name in names]
    assert beats(database) == set(names)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_what_comes_while_one_is_committed_is_committed_together(database: Database) -> None:
    commits = GroupCommit(database)
    inside, let_go = threading.Event(), threading.Event()
    committed: list[object] = []

    def remember(connection: Connection) -> None:
        committed.append(connection)

    def first(connection: Connection) -> str:
        inside.set()
        assert let_go.wait(PATIENCE_SECONDS)
        return beat(connection, "first")

    with ThreadPoolExecutor(4) as pool:
        leader = pool.submit(commits.run, first)
        assert inside.wait(PATIENCE_SECONDS)
        event.listen(database.engine, "commit", remember)
        others = [pool.submit(_arrive, commits, f"other {n}") for n in range(3)]
        while len(commits._waiting) < 3:
            assert not any(each.done() for each in others)
        let_go.set()
        assert leader.result(PATIENCE_SECONDS) == "FIRST"
        assert [each.result(PATIENCE_SECONDS) for each in others] == [
            "OTHER 0",
            "OTHER 1",
            "OTHER 2",
        ]
    event.remove(database.engine, "commit", remember)

    assert len(committed) == 2, "the first one's, and one for all that came meanwhile"
    assert beats(database) == {"first", "other 0", "other 1", "other 2"}


def _arrive(commits: GroupCommit, name: str) -> str:
    return commits.run(lambda connection: beat(connection, name))


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_mistake_of_one_is_its_own_and_keeps_nothing_of_it(database: Database) -> None:
    commits = GroupCommit(database)
    inside, let_go = threading.Event(), threading.Event()

    def first(connection: Connection) -> str:
        inside.set()
        assert let_go.wait(PATIENCE_SECONDS)
        return beat(connection, "first")

    def mistaken(connection: Connection) -> str:
        beat(connection, "mistaken")
        raise ValueError("a mistake")

    with ThreadPoolExecutor(3) as pool:
        leader = pool.submit(commits.run, first)
        assert inside.wait(PATIENCE_SECONDS)
        wrong, right = pool.submit(commits.run, mistaken), pool.submit(_arrive, commits, "right")
        while len(commits._waiting) < 2:
            assert not wrong.done()
        let_go.set()
        assert leader.result(PATIENCE_SECONDS) == "FIRST"
        assert right.result(PATIENCE_SECONDS) == "RIGHT"
        with pytest.raises(ValueError, match="a mistake"):
            wrong.result(PATIENCE_SECONDS)

    assert beats(database) == {"first", "right"}
    assert _arrive(commits, "later") == "LATER", "it goes on"


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_thread_that_is_ended_takes_nobody_s_work_for_done(database: Database) -> None:
    commits = GroupCommit(database)
    inside, let_go = threading.Event(), threading.Event()

    def first(connection: Connection) -> str:
        inside.set()
        assert let_go.wait(PATIENCE_SECONDS)
        return beat(connection, "first")

    def ended(_: Connection) -> str:
        raise SystemExit

    with ThreadPoolExecutor(3) as pool:
        leader = pool.submit(commits.run, first)
        assert inside.wait(PATIENCE_SECONDS)
        ending = pool.submit(commits.run, ended)
        while len(commits._waiting) < 1:
            assert not ending.done()
        with_it = pool.submit(_arrive, commits, "with it")
        while len(commits._waiting) < 2:
            assert not with_it.done()
        let_go.set()
        assert leader.result(PATIENCE_SECONDS) == "FIRST"
        with pytest.raises(SystemExit):
            ending.result(PATIENCE_SECONDS)
        with pytest.raises(DatabaseBusy):
            with_it.result(PATIENCE_SECONDS)

    assert beats(database) == {"first"}
    assert _arrive(commits, "later") == "LATER"
