"""The one place where a database is opened: SQLite by default, PostgreSQL for several processes.

Write transactions are short, start as such, and never nest: none is open while the network is used,
since the embedded identity service writes to the same file through a connection of its own.
"""

import json
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from sqlalchemy import Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.pool import QueuePool

from higgs_shop.prepared import execute

BUSY_TIMEOUT_MS: Final = 1_000
"""How long a writer waits for another. Below the 1.5 s that a page gives the identity service."""

STARTING_TIMEOUT_MS: Final = 30_000
"""The same for what is done at a start: nobody waits for a page yet, and others may start as well."""

# Keeps the log file from staying at the largest size it ever had.
_WAL_SIZE_LIMIT_BYTES: Final = 32 * 1024 * 1024

# Python keeps 128 for each connection. The store has more, and preparing one again takes longer than
# most take to run; so the connection that was used last is the one to use next.
_PREPARED_STATEMENTS: Final = 512

_LOOK_AGAIN_SECONDS: Final = 0.005
_BUSY_ELSEWHERE: Final = "another process is writing to the database file"

# PostgreSQL's SQLSTATEs.
_DEADLOCK_DETECTED: Final = "40P01"
_READ_ONLY: Final = "25006"

# SQLite's errors that say nothing against the statement: the disk, or the file, does not let it.
_UNUSABLE: Final = frozenset(
    [
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_READONLY,
    ]
)

# Of a new file. What a page changes lies in some twenty places, each of which is written as a whole:
# by twice this (SQLite's usual size), a commit is nearly twice as long.
_BLOCK_BYTES: Final = 2_048

_SQLITE_SETTINGS: Final = {
    "journal_mode": "wal",
    "synchronous": 2,  # FULL: what was answered survives a power cut
    "foreign_keys": 1,
    "journal_size_limit": _WAL_SIZE_LIMIT_BYTES,
}


class DatabaseError(Exception):
    """Anything that keeps the database from being used."""


class DatabaseBusy(DatabaseError):
    """Other writers held the database for longer than the busy timeout. Try again."""


class DatabaseUnusable(DatabaseError):
    """The disk is full or fails, the file is read-only, or the server is down; the message says which.

    Nothing was changed, and nothing has to be restarted: once there is room again, the same works.
    """


class Deadlock(DatabaseBusy):
    """Two writers waited for each other, and this one was stopped. Try again at once."""


class JsonText(str):
    """JSON that is written already: a JSON column keeps it as it is."""

    __slots__ = ()


class Database:
    """Connections for reading and for writing.

    Args:
        url: any SQLAlchemy URL; `sqlite:///…` or `postgresql+psycopg://…` are tried and tested.
        busy_timeout_ms: how long a writer waits for another on SQLite.
    """

    def __init__(self, url: str, *, busy_timeout_ms: int = BUSY_TIMEOUT_MS) -> None:
        self.url = make_url(url)
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        self._busy_timeout_ms = busy_timeout_ms
        # Waiting writers of one process starve each other in SQLite's own queue (half a second and
        # more, measured); a lock in front of it hands on in milliseconds. It knows no order: with one,
        # on a slow disk, everybody waits for everybody, and more give up (8 crowds of 22, 2 without).
        self._writer = threading.Lock()
        self._thread = threading.local()
        self.engine = self._create_engine()

    def _create_engine(self) -> Engine:
        # Parameters are hidden: a statement that fails is logged, and what people typed is not.
        if not self.is_sqlite:
            return create_engine(
                self.url,
                pool_size=20,
                max_overflow=10,
                pool_use_lifo=True,
                pool_pre_ping=True,
                hide_parameters=True,
                json_serializer=_json_text,
            )
        engine = create_engine(
            self.url,
            poolclass=QueuePool,
            pool_size=20,
            max_overflow=20,
            pool_use_lifo=True,
            connect_args={"cached_statements": _PREPARED_STATEMENTS},
            hide_parameters=True,
            json_serializer=_json_text,
        )
        busy_timeout_ms = self._busy_timeout_ms
        event.listen(
            engine, "connect", lambda opened, _record: _set_up_sqlite(opened, busy_timeout_ms)
        )
        return engine

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A connection that sees one state of the data. Nothing done through it is kept.

        Raises: DatabaseUnusable.
        """
        try:
            with self.engine.connect() as connection:
                if self.is_sqlite:
                    execute(connection, "BEGIN")
                yield connection
        except DBAPIError as error:
            _raise_in_our_words(error)
            raise

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A write transaction: kept whole at the end of the block, or not at all.

        Raises: DatabaseBusy when it cannot start within the busy timeout. Deadlock. DatabaseUnusable.
            RuntimeError when this thread is already inside one: pass the connection on instead.
        """
        if getattr(self._thread, "writing", False):
            raise RuntimeError("a write transaction is already open in this thread")
        if not self._writer_ready():
            raise DatabaseBusy(f"another writer held the database for {self._busy_timeout_ms} ms")
        self._thread.writing = True
        try:
            with self.engine.connect() as connection, connection.begin():
                if self.is_sqlite:
                    # Not by SQLAlchemy's "begin" event: one listener makes it look for listeners at
                    # every statement, which is a sixth of an identity call's Python calls.
                    execute(connection, "BEGIN IMMEDIATE")
                yield connection
        except DBAPIError as error:
            _raise_in_our_words(error)
            raise
        finally:
            self._thread.writing = False
            if self.is_sqlite:
                self._writer.release()

    def _writer_ready(self) -> bool:
        return not self.is_sqlite or self._writer.acquire(timeout=self._busy_timeout_ms / 1_000)

    def write_back(self) -> None:
        """Bring what SQLite's log holds into the file, beside those who write. For whoever writes much.

        Otherwise a commit does so now and then, and whoever wants to write waits for it (20 ms,
        measured). Nothing on PostgreSQL. Raises: DatabaseUnusable.
        """
        if not self.is_sqlite:
            return
        try:
            with self.engine.connect() as connection:
                execute(connection, "PRAGMA wal_checkpoint(PASSIVE)")
        except DBAPIError as error:
            _raise_in_our_words(error)
            raise

    def assert_not_writing(self) -> None:
        """Raises RuntimeError inside a write transaction of this thread. Asked before network calls."""
        if getattr(self._thread, "writing", False):
            raise RuntimeError("no network call inside a write transaction")

    def close(self) -> None:
        """Close every pooled connection."""
        self.engine.dispose()


def _json_text(value: Any) -> str:
    return value if isinstance(value, JsonText) else json.dumps(value)


def _set_up_sqlite(dbapi_connection: Any, busy_timeout_ms: int) -> None:
    # Python's sqlite3 would otherwise start transactions by itself, deferred and not before SELECT.
    dbapi_connection.isolation_level = None
    cursor = dbapi_connection.cursor()
    cursor.execute(f"PRAGMA page_size = {_BLOCK_BYTES}")
    give_up_seconds = time.monotonic() + busy_timeout_ms / 1_000
    for name, wanted in {"busy_timeout": busy_timeout_ms, **_SQLITE_SETTINGS}.items():
        _execute_when_unlocked(cursor, f"PRAGMA {name} = {wanted}", give_up_seconds)
        (found,) = cursor.execute(f"PRAGMA {name}").fetchone()
        if found != wanted:
            raise DatabaseError(f"SQLite keeps {name} at {found!r}; the store needs {wanted!r}")
    cursor.close()


def _execute_when_unlocked(cursor: sqlite3.Cursor, statement: str, give_up_seconds: float) -> None:
    # SQLite itself waits for nobody when it turns the log of a new file on, which several processes
    # that start at once all do.
    while True:
        try:
            cursor.execute(statement)
        except sqlite3.OperationalError as error:
            if not _is_locked(error):
                raise
            if time.monotonic() > give_up_seconds:
                raise DatabaseBusy(_BUSY_ELSEWHERE) from error
            time.sleep(_LOOK_AGAIN_SECONDS)
        else:
            return


def _is_locked(error: sqlite3.OperationalError) -> bool:
    return _primary_code(error) == sqlite3.SQLITE_BUSY


def _primary_code(error: sqlite3.OperationalError) -> int:
    # The low byte is the error; the others say more about it. Python's own errors have none.
    return getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF


def _hide_values(error: DBAPIError) -> None:
    """PostgreSQL shows the row that it refused. Errors are logged, and what people typed is not."""
    of_driver = error.orig
    primary = getattr(getattr(of_driver, "diag", None), "message_primary", None)
    if of_driver is not None and primary:
        of_driver.args = (primary,)
        error.args = (f"({type(of_driver).__qualname__}) {primary}",)


def _raise_in_our_words(error: DBAPIError) -> None:
    """Return when it is the statement that is wrong, and not the time."""
    _hide_values(error)
    of_driver = error.orig
    sqlstate = getattr(of_driver, "sqlstate", None)
    if sqlstate == _DEADLOCK_DETECTED:
        raise Deadlock("two writers waited for each other") from error
    if isinstance(of_driver, sqlite3.OperationalError):
        if _is_locked(of_driver):
            raise DatabaseBusy(_BUSY_ELSEWHERE) from error
        is_unusable = _primary_code(of_driver) in _UNUSABLE
    else:
        is_unusable = isinstance(error, OperationalError) or sqlstate == _READ_ONLY
    if is_unusable:
        raise DatabaseUnusable(str(of_driver).strip().partition("\n")[0]) from error
