"""What tests of every kind share: chance, and an empty database with all tables on each kind of server."""

import random
import secrets
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from sqlalchemy import create_engine, delete

from higgs_shop.database import Database
from higgs_shop.migrations import upgrade
from higgs_shop.tables import metadata
from tests.postgres import running_postgres

# Tests do not time things: a busy machine is no failure.
settings.register_profile("busy", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("busy")

# A shell ignores SIGINT for what it starts in the background, and processes inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def dice() -> random.Random:
    """Random numbers of a seed that is shown when the test fails."""
    seed = secrets.randbelow(2**32)
    print(f"seed {seed}")  # noqa: T201 (pytest keeps it for the report)
    return random.Random(seed)


@pytest.fixture(scope="session")
def postgresql_url() -> Iterator[str]:
    """A PostgreSQL server with all tables, for the whole run."""
    with running_postgres() as url:
        _make_tables(url)
        yield url


@pytest.fixture(scope="session")
def sqlite_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite file with all tables, to be copied."""
    file = tmp_path_factory.mktemp("sqlite") / "higgs-shop.db"
    _make_tables(f"sqlite:///{file}")
    return file


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty database with all tables; a test that asks for it runs on each kind."""
    if request.param == "sqlite":
        file = tmp_path / "higgs-shop.db"
        shutil.copyfile(request.getfixturevalue("sqlite_file"), file)
        return f"sqlite:///{file}"
    url: str = request.getfixturevalue("postgresql_url")
    engine = create_engine(url)
    with engine.begin() as connection:
        # TRUNCATE would make new files for every table and index, and be a hundred times slower.
        for table in reversed(metadata.sorted_tables):
            connection.execute(delete(table))
    engine.dispose()
    return url


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """An open database, empty, with all tables. A disk that stalls for a moment is no failure."""
    opened = Database(database_url, busy_timeout_ms=30_000)
    yield opened
    opened.close()


def _make_tables(url: str) -> None:
    """As a store does when it starts, so that one can be wired to the database."""
    database = Database(url)
    upgrade(database)
    database.close()
