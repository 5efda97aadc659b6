"""What the identity service keeps, read from its tables."""

from typing import Any

from sqlalchemy import select

from higgs_shop.database import Database
from higgs_shop.tables import identity_decisions, profile_identities, profiles


def decisions(database: Database) -> list[Any]:
    """Every decision, in the order in which they were made."""
    with database.read() as connection:
        return list(
            connection.execute(select(identity_decisions).order_by(identity_decisions.c.id))
        )


def records(database: Database) -> set[tuple[int, str, str]]:
    """Every identity with its profile, by which both ways of reading agree."""
    columns = profile_identities.c
    with database.read() as connection:
        found_by = connection.execute(
            select(columns.mpid, columns.identity_type, columns.identity_value)
        ).all()
        kept = connection.execute(select(profiles.c.mpid, profiles.c.identities)).all()
    carried = {
        (row.mpid, identity_type, value)
        for row in kept
        for identity_type, values in row.identities.items()
        for value in values
    }
    assert {(*row,) for row in found_by} == carried
    return carried
