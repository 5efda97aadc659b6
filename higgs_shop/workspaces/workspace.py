"""One workspace as it is stored, and the ways to find it."""

import re
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import Connection, bindparam, func, insert, select, update

from higgs_shop.tables import workspaces

DEFAULT_WORKSPACE: Final = "default"
"""The id of the workspace that the pages use."""

NAME: Final = r"^[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?$"
"""What an id looks like; it stands in addresses."""


@dataclass(frozen=True, slots=True)
class Workspace:
    """One workspace and its identity settings. The secret stays out of its repr.

    The four tuples hold identity types: the order of lookup, the types that name exactly one known
    person, those of which a value may stand on one profile only, and those that never change.
    """

    id: str
    api_key: str
    api_secret: str = field(repr=False)
    identity_strategy: str
    identity_priority: tuple[str, ...]
    login_ids: tuple[str, ...]
    unique_ids: tuple[str, ...]
    immutable_ids: tuple[str, ...]


STORED: Final = (
    workspaces.c.id,
    workspaces.c.api_key,
    workspaces.c.api_secret,
    workspaces.c.identity_strategy,
    workspaces.c.identity_priority,
    workspaces.c.login_ids,
    workspaces.c.unique_ids,
    workspaces.c.immutable_ids,
)
"""The columns of a workspace's values."""

_UPDATE: Final = update(workspaces).where(workspaces.c.id == bindparam("workspace"))
_WORKSPACE: Final = select(*STORED)
_BY_API_KEY: Final = _WORKSPACE.where(workspaces.c.api_key == bindparam("api_key"))
_BY_ID: Final = _WORKSPACE.where(workspaces.c.id == bindparam("workspace"))
_lock_key: Final = func.hashtextextended(bindparam("workspace"), 0)
# Not by the row: whoever wants it alone could then wait for ever, while others share it in turns.
_HOLD: Final = select(func.pg_advisory_xact_lock_shared(_lock_key))
_CLAIM: Final = select(func.pg_advisory_xact_lock(_lock_key))


def ensure_workspace(connection: Connection, workspace: Workspace, now_ms: int) -> None:
    """Store the workspace; one that is there already takes over the given settings."""
    if not update_workspace(connection, workspace):
        connection.execute(insert(workspaces), {**values_of(workspace), "created_at_ms": now_ms})


def update_workspace(connection: Connection, workspace: Workspace) -> bool:
    """Give the stored workspace these values. Returns: False when it is not there."""
    values = values_of(workspace)
    return connection.execute(_UPDATE, {"workspace": values.pop("id"), **values}).rowcount == 1


def values_of(workspace: Workspace) -> dict[str, Any]:
    """The columns of the workspace's row, without the date."""
    return {
        "id": workspace.id,
        "api_key": workspace.api_key,
        "api_secret": workspace.api_secret,
        "identity_strategy": workspace.identity_strategy,
        "identity_priority": list(workspace.identity_priority),
        "login_ids": list(workspace.login_ids),
        "unique_ids": list(workspace.unique_ids),
        "immutable_ids": list(workspace.immutable_ids),
    }


def by_api_key(connection: Connection, api_key: str) -> Workspace | None:
    """The workspace that the key opens, or None."""
    row = connection.execute(_BY_API_KEY, {"api_key": api_key}).one_or_none()
    return None if row is None else stored(row)


def get_workspace(connection: Connection, workspace_id: str) -> Workspace:
    """The workspace with this id, which is there."""
    return stored(connection.execute(_BY_ID, {"workspace": workspace_id}).one())


def find_workspace(connection: Connection, workspace_id: str) -> Workspace | None:
    """The workspace with this id, or None; any text may be asked for."""
    if not is_name(workspace_id):
        return None
    row = connection.execute(_BY_ID, {"workspace": workspace_id}).one_or_none()
    return None if row is None else stored(row)


def hold_workspace(connection: Connection, workspace_id: str) -> None:
    """On PostgreSQL, let nobody claim the workspace before the transaction ends.

    It is held before anything in it is locked, and claimed so too: neither waits in a circle.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(_HOLD, {"workspace": workspace_id})


def claim_workspace(connection: Connection, workspace_id: str) -> None:
    """On PostgreSQL, wait for whoever holds the workspace, and let nobody hold it meanwhile."""
    if connection.dialect.name == "postgresql":
        connection.execute(_CLAIM, {"workspace": workspace_id})


def is_name(text: str) -> bool:
    """Whether a workspace may be called so; databases are not to be asked for any text at all."""
    return re.fullmatch(NAME, text) is not None


def stored(row: Any) -> Workspace:
    """A workspace from a row that has STORED."""
    return Workspace(
        id=row.id,
        api_key=row.api_key,
        api_secret=row.api_secret,
        identity_strategy=row.identity_strategy,
        identity_priority=tuple(row.identity_priority),
        login_ids=tuple(row.login_ids),
        unique_ids=tuple(row.unique_ids),
        immutable_ids=tuple(row.immutable_ids),
    )
