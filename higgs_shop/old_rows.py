"""Removing what has been kept for long enough: a few rows at a time, in the order in which they came."""

from collections.abc import Iterator
from typing import Any, Final

from sqlalchemy import ColumnElement, Table, bindparam, delete, false, select
from sqlalchemy.sql.selectable import FromClause

from higgs_shop.database import Database

_LOOKED_AT: Final = 500
# What one write transaction removes: a page that wants to write waits for no more than this.
_REMOVED_AT_ONCE: Final = 25


class OldRows:
    """A table's rows that are old and that nothing needs any more.

    Rows are looked at by id, which is the order in which they came; a look that finds no old one ends it.
    Looking is reading: only what is removed is written, and what somebody else holds is left for the
    next time.

    Args:
        table: its primary key is `id`.
        came_at_ms: when a row came, in UTC Unix milliseconds.
        is_needed: what keeps a row, however old it is. Once false it stays false for old rows.
        source: the table with what is joined to it, where the others look there.
    """

    def __init__(
        self,
        table: Table,
        *,
        came_at_ms: ColumnElement[Any],
        is_needed: ColumnElement[bool] | None = None,
        source: FromClause | None = None,
    ) -> None:
        self._look = (
            select(
                table.c.id,
                came_at_ms.label("came_at_ms"),
                (false() if is_needed is None else is_needed).label("is_needed"),
            )
            .select_from(table if source is None else source)
            # Written with the smaller one first, as what is looked for by.
            .where(bindparam("after_id") < table.c.id)
            .order_by(table.c.id)
            .limit(_LOOKED_AT)
        )
        self._remove = removing(table)

    def remove(self, database: Database, before_ms: int) -> Iterator[int]:
        """Remove what came before that moment. Yields, each time, how many rows went.

        Nothing is held between two steps. Raises: DatabaseError.
        """
        after_id = 0
        while True:
            with database.read() as connection:
                rows = connection.execute(self._look, {"after_id": after_id}).all()
            old = [row for row in rows if row.came_at_ms is not None and row.came_at_ms < before_ms]
            if not old:
                return
            gone = [row.id for row in old if not row.is_needed]
            for first in range(0, len(gone), _REMOVED_AT_ONCE):
                with database.write() as connection:
                    ids = gone[first : first + _REMOVED_AT_ONCE]
                    removed = connection.execute(self._remove, {"ids": ids}).rowcount
                yield removed
            after_id = rows[-1].id
            yield 0


def removing(table: Table, *conditions: ColumnElement[bool]) -> Any:
    """The statement that removes rows by `ids`, for which all conditions hold and which nobody holds."""
    held = (
        select(table.c.id)
        .where(table.c.id.in_(bindparam("ids", expanding=True)), *conditions)
        .with_for_update(skip_locked=True)
    )
    return delete(table).where(table.c.id.in_(held))
