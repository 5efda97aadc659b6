"""Identities that profiles had and lost: the table `former_identities`.

No call finds anybody by them. They are for people who look: an address that somebody else has now, or
nobody, still leads to whoever had it.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, bindparam, select, union_all
from sqlalchemy.dialects import postgresql, sqlite

from higgs_shop.identity_types import EMAIL
from higgs_shop.tables import former_identities

MOST_SOUGHT: Final = 1_000
"""A search goes through so many losses of the same value, and no more."""


@dataclass(frozen=True, slots=True)
class FormerIdentity:
    """One identity that a profile had, and when it last lost it."""

    mpid: int
    identity_type: str
    value: str
    lost_at_ms: int


def note_lost(
    connection: Connection,
    workspace_id: str,
    lost: Iterable[tuple[int, str, str]],
    now_ms: int,
) -> None:
    """Remember what profiles lose now, each given as (mpid, type, value)."""
    rows = [
        {
            "workspace_id": workspace_id,
            "mpid": mpid,
            "identity_type": name,
            "identity_value": value,
            "sought": _sought(name, value),
            "lost_at_ms": now_ms,
        }
        for mpid, name, value in lost
    ]
    if rows:
        connection.execute(_NOTE[connection.dialect.name], rows)


def lost_by(
    connection: Connection, workspace_id: str, mpid: int, *, most: int
) -> list[FormerIdentity]:
    """What a profile lost, the last loss first. It may have got some of it back since."""
    values = {"workspace": workspace_id, "of_mpid": mpid, "most": most}
    return [FormerIdentity(*row) for row in connection.execute(_LOST_BY, values)]


def who_lost(
    connection: Connection, workspace_id: str, text: str, *, most: int
) -> list[FormerIdentity]:
    """Who lost this very value, under whatever type, the last loss first; of an e-mail address, in any
    capitals. They may have got it back since.
    """
    if "\x00" in text:  # PostgreSQL cannot even be asked for it
        return []
    values = {
        "workspace": workspace_id,
        "text": text,
        "lower_case": text.lower(),
        "most_sought": MOST_SOUGHT,
        "most": most,
    }
    return [FormerIdentity(*row) for row in connection.execute(_WHO_LOST, values)]


def _sought(identity_type: str, value: str) -> str:
    return value.lower() if identity_type == EMAIL else value


def _noting(dialect: Any) -> Any:
    added = dialect.insert(former_identities).inline()
    return added.on_conflict_do_update(
        index_elements=list(former_identities.primary_key.columns),
        set_={"lost_at_ms": added.excluded.lost_at_ms},
    )


_NOTE: Final = {
    dialect.__name__.rpartition(".")[2]: _noting(dialect) for dialect in (sqlite, postgresql)
}
_FORMER: Final = select(
    former_identities.c.mpid,
    former_identities.c.identity_type,
    former_identities.c.identity_value,
    former_identities.c.lost_at_ms,
).where(former_identities.c.workspace_id == bindparam("workspace"))
_LOST_BY: Final = (
    _FORMER.where(former_identities.c.mpid == bindparam("of_mpid"))
    .order_by(
        former_identities.c.lost_at_ms.desc(),
        former_identities.c.identity_type,
        former_identities.c.identity_value,
    )
    .limit(bindparam("most"))
)
# Two look-ups, each found by index: for one with OR, SQLite would go through the whole workspace.
_found = (
    union_all(
        _FORMER.where(
            former_identities.c.sought == bindparam("text"),
            former_identities.c.identity_type != EMAIL,
        ),
        _FORMER.where(
            former_identities.c.sought == bindparam("lower_case"),
            former_identities.c.identity_type == EMAIL,
        ),
    )
    .limit(bindparam("most_sought"))
    .subquery("found")
)
_WHO_LOST: Final = (
    select(_found).order_by(_found.c.lost_at_ms.desc(), _found.c.mpid).limit(bindparam("most"))
)
