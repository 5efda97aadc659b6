"""Statements that are compiled once: what they write and read is what Core would."""

import traceback
from contextlib import closing
from typing import Any

import pytest
from sqlalchemy import bindparam, event, insert, select, update
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError

from higgs_shop.database import Database, DatabaseUnusable
from higgs_shop.prepared import Prepared, execute
from higgs_shop.tables import user_attributes

WRITE = Prepared(insert(user_attributes))
CHANGE = Prepared(
    update(user_attributes)
    .where(user_attributes.c.mpid == bindparam("of_mpid"))
    .values(value=bindparam("new_value", type_=user_attributes.c.value.type))
)
READ = Prepared(
    select(user_attributes.c.name, user_attributes.c.value)
    .where(user_attributes.c.mpid == bindparam("of_mpid"))
    .order_by(user_attributes.c.name)
)


def attribute(name: str, value: Any, mpid: int = 7) -> dict[str, Any]:
    return {
        "workspace_id": "default",
        "mpid": mpid,
        "name": name,
        "value": value,
        "told_by": None,
        "set_at_ms": 1_772_360_100_000,
    }


@pytest.mark.parametrize(
    "value",
    [{"ü": [1, 2.5, None]}, ["a", "b"], "100 % “Zoë” :name ?", 2**53, True, None],
    ids=["object", "list", "text", "number", "boolean", "null"],
)
def test_values_come_back_as_core_reads_them(database: Database, value: Any) -> None:
    with database.write() as connection:
        assert WRITE.write(connection, attribute("size", value)) == 1
        by_core = connection.execute(select(user_attributes.c.value)).scalar_one()
        assert READ.rows(connection, {"of_mpid": 7}) == [["size", by_core]]
    assert by_core == value


def test_many_rows_are_written_at_once_and_counted(database: Database) -> None:
    with database.write() as connection:
        WRITE.write(connection, *(attribute(name, name) for name in "cab"), attribute("a", 1, 8))
        assert CHANGE.write(connection, {"of_mpid": 7, "new_value": {"now": 1}}) == 3
        assert READ.rows(connection, {"of_mpid": 7}) == [[name, {"now": 1}] for name in "abc"]
        assert READ.rows(connection, {"of_mpid": 8}) == [["a", 1]]
        assert CHANGE.write(connection, {"of_mpid": 9, "new_value": 1}) == 0


def test_what_a_write_returns_is_read_as_core_reads_it(database: Database) -> None:
    returning = Prepared(
        insert(user_attributes)
        .values({name: bindparam(f"new_{name}") for name in attribute("", None)})
        .returning(user_attributes.c.name, user_attributes.c.value)
    )
    with database.write() as connection:
        given = {f"new_{name}": value for name, value in attribute("size", {"eu": 38}).items()}
        assert returning.rows(connection, given) == [["size", {"eu": 38}]]
        assert READ.rows(connection, {"of_mpid": 7}) == [["size", {"eu": 38}]]


def test_what_the_database_refuses_is_an_error_as_ever(database: Database) -> None:
    def write_twice() -> None:
        with database.write() as connection:
            WRITE.write(connection, attribute("size", 1))
            WRITE.write(connection, attribute("size", "canary"))

    with pytest.raises(IntegrityError) as raised:
        write_twice()
    assert "canary" not in str(raised.value), "errors are logged, and what people typed is not"
    with database.read() as connection:
        assert READ.rows(connection, {"of_mpid": 7}) == []


@pytest.mark.parametrize("by_core", [True, False])
def test_an_error_does_not_show_the_row_that_was_refused(database: Database, by_core: bool) -> None:
    """However it is printed: what is logged has the traceback too."""
    row = attribute("canary", "canary") | {"set_at_ms": None}

    def write() -> None:
        with database.write() as connection:
            if by_core:
                connection.execute(insert(user_attributes), row)
            else:
                WRITE.write(connection, row)

    with pytest.raises(IntegrityError, match="set_at_ms") as raised:
        write()
    printed = "".join(traceback.format_exception(raised.value))
    assert "set_at_ms" in printed
    assert "canary" not in printed


def test_who_listens_to_the_engine_hears_of_every_statement(database: Database) -> None:
    heard: list[tuple[str, Any, bool]] = []

    def remember(
        _connection: Any, _cursor: Any, statement: str, given: Any, _context: Any, many: bool
    ) -> None:
        heard.append((statement.split(maxsplit=1)[0], given, many))

    with database.write() as connection:
        event.listen(connection, "before_cursor_execute", remember)
        WRITE.write(connection, attribute("size", "M"), attribute("fit", "loose"))
        READ.rows(connection, {"of_mpid": 7})
    assert [(verb, many) for verb, _given, many in heard] == [("INSERT", True), ("SELECT", False)]
    assert len(heard[0][1]) == 2


def test_a_fault_in_the_statement_is_told_with_it(database: Database) -> None:
    with pytest.raises(DBAPIError, match="no_such_table") as raised, database.read() as connection:
        execute(connection, "SELECT 1 FROM no_such_table")
    assert raised.value.statement == "SELECT 1 FROM no_such_table"
    assert raised.value.connection_invalidated is False


def test_a_connection_that_the_server_ends_is_not_used_again(postgresql_url: str) -> None:
    with closing(Database(postgresql_url)) as database:

        def lose_the_connection() -> None:
            with database.read() as ending, database.read() as connection:
                (number,) = execute(connection, "SELECT pg_backend_pid()").rows[0]
                execute(ending, f"SELECT pg_terminate_backend({number}, 5000)")
                execute(connection, "SELECT 1")

        with pytest.raises(DatabaseUnusable, match="terminating connection") as raised:
            lose_the_connection()
        assert isinstance(raised.value.__cause__, OperationalError)
        assert raised.value.__cause__.connection_invalidated
        with database.read() as connection:
            assert execute(connection, "SELECT 1").rows == [(1,)]
