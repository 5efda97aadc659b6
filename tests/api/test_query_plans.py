"""What is asked at every page and in every background round is found by an index, however full the store."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import event

from higgs_shop.database import Database
from tests.api.conftest import Store

# Live sessions are few, and their partial index holds no others.
_ALLOWED = re.compile(r"SCAN (CONSTANT ROW|sessions USING INDEX uq_sessions_live)")


@contextmanager
def executed(database: Database) -> Iterator[dict[str, Any]]:
    """Every statement of the block that looks something up, with the last values given to it."""
    statements: dict[str, Any] = {}

    def remember(_c: object, _cursor: object, text: str, values: Any, *_: object) -> None:
        if text.startswith(("SELECT", "UPDATE", "DELETE")):
            statements[text] = values

    event.listen(database.engine, "before_cursor_execute", remember)
    try:
        yield statements
    finally:
        event.remove(database.engine, "before_cursor_execute", remember)


def scans(database: Database, statements: dict[str, Any]) -> list[str]:
    """Statements that read a whole table."""
    found = []
    with database.read() as connection:
        for text, values in statements.items():
            one = values[0] if isinstance(values, list) else values
            plan = [row[3] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {text}", one)]
            found += [
                f"{step}: {text}"
                for step in plan
                if step.startswith("SCAN") and not _ALLOWED.match(step)
            ]
    return found


def test_a_page_reads_no_table_from_end_to_end(store: Store) -> None:
    with executed(store.parts.database) as statements:
        visitor = store.browser()
        visitor.get("/")
        visitor.get("/")

    assert len(statements) > 20
    assert scans(store.parts.database, statements) == []


def test_a_background_round_reads_no_table_from_end_to_end(store: Store) -> None:
    store.browser().get("/")

    with executed(store.parts.database) as statements:
        store.parts.background.do_round()

    assert statements
    assert scans(store.parts.database, statements) == []
