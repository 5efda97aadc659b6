"""Workspaces: the unit of isolation, each with its keys and its way of telling people apart.

Owns the table `workspaces`. The store has one workspace unless it is told otherwise.
"""

from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import Connection, bindparam, insert, select, update

from higgs_shop.tables import workspaces

DEFAULT_WORKSPACE: Final = "default"
"""The id of the workspace that the pages use."""


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


_UPDATE: Final = update(workspaces).where(workspaces.c.id == bindparam("workspace"))
_WORKSPACE: Final = select(
    workspaces.c.id,
    workspaces.c.api_key,
    workspaces.c.api_secret,
    workspaces.c.identity_strategy,
    workspaces.c.identity_priority,
    workspaces.c.login_ids,
    workspaces.c.unique_ids,
    workspaces.c.immutable_ids,
)
_BY_API_KEY: Final = _WORKSPACE.where(workspaces.c.api_key == bindparam("api_key"))
_BY_ID: Final = _WORKSPACE.where(workspaces.c.id == bindparam("workspace"))


def ensure_workspace(connection: Connection, workspace: Workspace, now_ms: int) -> None:
    """Store the workspace; one that is there already takes over the given settings."""
    settings = {
        "api_key": workspace.api_key,
        "api_secret": workspace.api_secret,
        "identity_strategy": workspace.identity_strategy,
        "identity_priority": list(workspace.identity_priority),
        "login_ids": list(workspace.login_ids),
        "unique_ids": list(workspace.unique_ids),
        "immutable_ids": list(workspace.immutable_ids),
    }
    updated = connection.execute(_UPDATE, {"workspace": workspace.id, **settings})
    if updated.rowcount == 0:
        connection.execute(
            insert(workspaces), {"id": workspace.id, "created_at_ms": now_ms, **settings}
        )


def by_api_key(connection: Connection, api_key: str) -> Workspace | None:
    """The workspace that the key opens, or None."""
    row = connection.execute(_BY_API_KEY, {"api_key": api_key}).one_or_none()
    return None if row is None else _workspace(row)


def get_workspace(connection: Connection, workspace_id: str) -> Workspace:
    """The workspace with this id, which is there."""
    return _workspace(connection.execute(_BY_ID, {"workspace": workspace_id}).one())


def _workspace(row: Any) -> Workspace:
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
