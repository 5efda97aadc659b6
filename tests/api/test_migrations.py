"""An upgraded database is exactly what the tables say, however often and from wherever it is upgraded."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import create_engine, inspect, make_url, text

from higgs_shop.database import STARTING_TIMEOUT_MS, Database
from higgs_shop.migrations import upgrade
from higgs_shop.tables import metadata


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of a database without a single table."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'empty.db'}"
        return
    server = make_url(request.getfixturevalue("postgresql_url"))
    engine = create_engine(server, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text("DROP DATABASE IF EXISTS empty"))
        connection.execute(text("CREATE DATABASE empty"))
    yield server.set(database="empty").render_as_string(hide_password=False)
    with engine.connect() as connection:
        connection.execute(text("DROP DATABASE empty WITH (FORCE)"))
    engine.dispose()


def differences(database: Database) -> list[object]:
    """What would have to change for the database to be what the tables say."""
    with database.read() as connection:
        context = MigrationContext.configure(
            connection, opts={"compare_type": True, "compare_server_default": True}
        )
        return list(compare_metadata(context, metadata))


def test_an_upgrade_makes_exactly_the_tables(empty_url: str) -> None:
    database = Database(empty_url)
    upgrade(database)
    assert differences(database) == []
    assert set(inspect(database.engine).get_table_names()) == {
        *metadata.tables,
        "alembic_version",
    }
    database.close()


def test_an_upgrade_makes_the_indexes_that_hold_only_for_some_rows(empty_url: str) -> None:
    """Alembic does not compare their conditions."""
    made, meant = Database(empty_url), Database(empty_url)
    upgrade(made)
    found = conditions(made)
    with meant.write() as connection:
        metadata.drop_all(connection)
        metadata.create_all(connection)
    assert found == conditions(meant)
    assert any("pending" in condition for condition in found.values())
    made.close()
    meant.close()


def conditions(database: Database) -> dict[str, str]:
    """Every index with its condition, as the database tells it."""
    column = "sqlite_where" if database.is_sqlite else "postgresql_where"
    inspector = inspect(database.engine)
    return {
        str(index["name"]): str(index.get("dialect_options", {}).get(column, ""))
        for table in metadata.tables
        for index in inspector.get_indexes(table)
    }


def test_an_upgrade_of_what_is_new_already_changes_nothing(empty_url: str) -> None:
    database = Database(empty_url)
    upgrade(database)
    with database.write() as connection:
        connection.execute(text("INSERT INTO heartbeats VALUES ('ada', 1)"))
    upgrade(database)
    with database.read() as connection:
        assert connection.execute(text("SELECT beat_at_ms FROM heartbeats")).scalars().all() == [1]
    assert differences(database) == []
    database.close()


def test_several_may_start_at_once(empty_url: str) -> None:
    """Four processes, as good as: each with connections of its own."""
    start = threading.Barrier(4)

    def begin(_number: int) -> None:
        database = Database(empty_url, busy_timeout_ms=STARTING_TIMEOUT_MS)
        start.wait()
        upgrade(database)
        database.close()

    with ThreadPoolExecutor(4) as processes:
        list(processes.map(begin, range(4)))
    database = Database(empty_url)
    assert differences(database) == []
    database.close()
