"""The one place where a database is opened."""

import socket
import sqlite3
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from pathlib import Path

import pytest
from sqlalchemy import insert, select, text
from sqlalchemy.exc import DBAPIError

from higgs_shop.database import (
    BUSY_TIMEOUT_MS,
    Database,
    DatabaseBusy,
    DatabaseError,
    DatabaseUnusable,
)
from higgs_shop.tables import heartbeats

BEAT = insert(heartbeats).values(worker="ada", beat_at_ms=1)


@pytest.fixture
def sqlite(sqlite_file: Path, tmp_path: Path) -> Iterator[Database]:
    """An empty SQLite database."""
    file = tmp_path / "higgs-shop.db"
    file.write_bytes(sqlite_file.read_bytes())
    database = Database(f"sqlite:///{file}")
    yield database
    database.close()


def beats(database: Database) -> list[str]:
    with database.read() as connection:
        return list(connection.execute(select(heartbeats.c.worker)).scalars())


def beat_under(database: Database, setting: str) -> None:
    """Write more than fits into the pages that are there, after something was said to the connection."""
    with database.write() as connection:
        connection.exec_driver_sql(setting)
        connection.execute(BEAT, {"worker": "a" * 100_000})


class TestEverySqliteConnection:
    """Settings belong to connections, not to files: each of the pool has them."""

    @pytest.mark.parametrize(
        ("pragma", "value"),
        [
            ("journal_mode", "wal"),
            ("synchronous", 2),
            ("foreign_keys", 1),
            ("busy_timeout", BUSY_TIMEOUT_MS),
            ("page_size", 2_048),
        ],
    )
    def test_has_the_settings(self, sqlite: Database, pragma: str, value: object) -> None:
        with ExitStack() as stack:
            connections = [stack.enter_context(sqlite.read()) for _ in range(30)]
            connections.append(stack.enter_context(sqlite.write()))
            found = {
                connection.exec_driver_sql(f"PRAGMA {pragma}").scalar_one()
                for connection in connections
            }
        assert found == {value}

    def test_keeps_the_busy_timeout_below_the_budget_of_a_page(self) -> None:
        assert BUSY_TIMEOUT_MS < 1_500

    def test_a_file_from_before_keeps_its_blocks(self, tmp_path: Path) -> None:
        with closing(sqlite3.connect(tmp_path / "old.db")) as old:
            old.executescript(
                "PRAGMA page_size = 4096; CREATE TABLE kept (n); INSERT INTO kept VALUES (7)"
            )
        with closing(Database(f"sqlite:///{tmp_path / 'old.db'}")) as database:
            with database.write() as connection:
                connection.exec_driver_sql("INSERT INTO kept VALUES (8)")
            with database.read() as connection:
                assert connection.exec_driver_sql("SELECT n FROM kept").scalars().all() == [7, 8]
                assert connection.exec_driver_sql("PRAGMA page_size").scalar_one() == 4_096

    def test_a_file_that_cannot_keep_a_log_is_refused(self) -> None:
        """A database in memory has no write-ahead log."""
        with pytest.raises(DatabaseError, match="journal_mode"), Database("sqlite://").read():
            pass


class TestANewFile:
    """Its log is off until the first connection turns it on, which somebody else may be doing too."""

    @pytest.fixture
    def file(self, tmp_path: Path) -> Path:
        return tmp_path / "new.db"

    @pytest.fixture
    def somebody(self, file: Path) -> Iterator[sqlite3.Connection]:
        """Whoever opened the file first, and has not finished writing to it."""
        connection = sqlite3.connect(file, isolation_level=None, check_same_thread=False)
        connection.execute("BEGIN IMMEDIATE")
        yield connection
        connection.close()

    def test_is_waited_for(self, file: Path, somebody: sqlite3.Connection) -> None:
        finish = threading.Timer(0.05, somebody.execute, ["ROLLBACK"])
        finish.start()
        database = Database(f"sqlite:///{file}")
        with database.write() as connection:
            assert connection.exec_driver_sql("PRAGMA journal_mode").scalar_one() == "wal"
        finish.join()
        database.close()

    @pytest.mark.usefixtures("somebody")
    def test_is_not_waited_for_without_end(self, file: Path) -> None:
        with (
            pytest.raises(DatabaseBusy, match="another process"),
            Database(f"sqlite:///{file}").read(),
        ):
            pass


class TestWriting:
    """Whole or not at all, one inside another never."""

    def test_keeps_what_was_written(self, database: Database) -> None:
        with database.write() as connection:
            connection.execute(BEAT)
        assert beats(database) == ["ada"]

    def test_keeps_nothing_of_a_block_that_fails(self, database: Database) -> None:
        def fail() -> None:
            with database.write() as connection:
                connection.execute(BEAT)
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            fail()
        assert beats(database) == []
        with database.write() as connection:
            connection.execute(BEAT)

    def test_keeps_nothing_that_was_done_while_reading(self, database: Database) -> None:
        with database.read() as connection:
            connection.execute(BEAT)
        assert beats(database) == []

    def test_refuses_to_nest(self, database: Database) -> None:
        with (
            database.write(),
            pytest.raises(RuntimeError, match="already open"),
            database.write(),
        ):
            pass
        with database.write() as connection:
            connection.execute(BEAT)
        assert beats(database) == ["ada"], "the refusal left nothing locked"

    def test_a_reader_sees_one_state(self, sqlite: Database) -> None:
        with sqlite.read() as connection:
            before = connection.execute(select(heartbeats)).all()
            with sqlite.write() as writing:
                writing.execute(BEAT)
            assert connection.execute(select(heartbeats)).all() == before
        assert beats(sqlite) == ["ada"]

    def test_knows_whether_this_thread_is_writing(self, database: Database) -> None:
        database.assert_not_writing()
        with (
            database.write(),
            pytest.raises(RuntimeError, match="no network call"),
        ):
            database.assert_not_writing()
        database.assert_not_writing()

    def test_another_thread_may_use_the_network_meanwhile(self, database: Database) -> None:
        with database.write(), ThreadPoolExecutor(1) as others:
            others.submit(database.assert_not_writing).result()


class TestBusy:
    """Somebody else writes, and does not stop."""

    def test_a_thread_of_this_process(self, sqlite: Database) -> None:
        def write() -> None:
            with sqlite.write():
                pass

        with sqlite.write(), ThreadPoolExecutor(1) as others, pytest.raises(DatabaseBusy):
            others.submit(write).result()
        write()

    def test_another_process(self, sqlite: Database) -> None:
        """Another Database on the same file is, to SQLite, like another process."""
        other = Database(sqlite.url.render_as_string())
        with other.write(), pytest.raises(DatabaseBusy), sqlite.write():
            pass
        other.close()
        with sqlite.write() as connection:
            connection.execute(BEAT)
        assert beats(sqlite) == ["ada"]

    def test_readers_never_wait(self, sqlite: Database) -> None:
        with sqlite.write() as connection, ThreadPoolExecutor(1) as others:
            connection.execute(BEAT)
            assert others.submit(beats, sqlite).result() == []

    def test_many_writers_all_get_their_turn(self, database: Database) -> None:
        start = threading.Barrier(8)

        def write(number: int) -> None:
            start.wait()
            for turn in range(5):
                with database.write() as connection:
                    connection.execute(
                        insert(heartbeats).values(worker=f"{number}-{turn}", beat_at_ms=1)
                    )

        with ThreadPoolExecutor(8) as writers:
            list(writers.map(write, range(8)))
        assert len(beats(database)) == 40


class TestUnusable:
    """It is not the statement that is wrong, and later the same may work."""

    def test_a_file_that_may_not_grow(self, sqlite: Database) -> None:
        with sqlite.read() as connection:
            pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
        with pytest.raises(DatabaseUnusable, match="database or disk is full"):
            beat_under(sqlite, f"PRAGMA max_page_count = {pages}")
        assert beats(sqlite) == []

    def test_a_file_that_may_not_be_written(self, sqlite: Database) -> None:
        with pytest.raises(DatabaseUnusable, match="readonly"):
            beat_under(sqlite, "PRAGMA query_only = ON")

    def test_a_folder_that_is_not_there(self, tmp_path: Path) -> None:
        for use in ("read", "write"):
            database = Database(f"sqlite:///{tmp_path / 'none' / 'higgs-shop.db'}")
            with (
                pytest.raises(DatabaseUnusable, match="unable to open database file"),
                getattr(database, use)(),
            ):
                pass

    def test_a_server_that_is_down(self) -> None:
        """One line of what the driver says, which is several."""
        with socket.create_server(("127.0.0.1", 0)) as nobody:
            port = nobody.getsockname()[1]
        for use in ("read", "write"):
            database = Database(f"postgresql+psycopg://shop@127.0.0.1:{port}/shop")
            with (
                pytest.raises(DatabaseUnusable, match=r"\A.*refused.*\Z"),
                getattr(database, use)(),
            ):
                pass

    def test_a_server_that_is_read_only(self, postgresql_url: str) -> None:
        """As a PostgreSQL that has become the standby of another."""
        database = Database(postgresql_url)
        with pytest.raises(DatabaseUnusable, match="read-only transaction"):
            beat_under(database, "SET TRANSACTION READ ONLY")
        database.close()

    def test_a_statement_that_is_wrong_is_something_else(self, database: Database) -> None:
        with pytest.raises(DBAPIError), database.read() as connection:
            connection.exec_driver_sql("SELECT nothing FROM nowhere")


def test_a_write_transaction_starts_as_one(sqlite: Database) -> None:
    """Not as a reader that must become a writer, which SQLite refuses when somebody else was faster."""
    with sqlite.write() as connection:
        connection.execute(select(heartbeats))
        other = Database(sqlite.url.render_as_string())
        with pytest.raises(DatabaseBusy), other.write():
            pass
        other.close()
        connection.execute(BEAT)
    assert beats(sqlite) == ["ada"]


def test_foreign_keys_hold(sqlite: Database) -> None:
    with sqlite.read() as connection:
        assert connection.execute(text("PRAGMA foreign_key_check")).all() == []
