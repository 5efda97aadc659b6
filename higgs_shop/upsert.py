"""`INSERT … ON CONFLICT`, which SQLite and PostgreSQL spell alike and SQLAlchemy types apart."""

from sqlalchemy import Connection, Table
from sqlalchemy.dialects import postgresql, sqlite

Insert = sqlite.Insert | postgresql.Insert


def upserting(connection: Connection, table: Table) -> Insert:
    """An insert that can be given `on_conflict_do_update` or `on_conflict_do_nothing`."""
    if connection.dialect.name == "postgresql":
        return postgresql.insert(table)
    return sqlite.insert(table)


def insert_or_ignore(connection: Connection, table: Table) -> Insert:
    """An insert that does nothing when the row is there already (`rowcount` is then 0)."""
    ignoring = upserting(connection, table).on_conflict_do_nothing()
    # Without this option SQLAlchemy may say -1 of an insert on PostgreSQL.
    return ignoring.execution_options(preserve_rowcount=True)
