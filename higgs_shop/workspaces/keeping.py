"""Making, listing, changing and removing workspaces, all but the default one.

A caller's write transaction surrounds each: what it raises has written nothing.
"""

from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import (
    Connection,
    ScalarSelect,
    Table,
    bindparam,
    delete,
    func,
    select,
)
from sqlalchemy.exc import IntegrityError

from higgs_shop.mistakes import Mistake
from higgs_shop.tables import events, mailboxes, metadata, outputs, profiles, workspaces
from higgs_shop.upsert import insert_or_ignore
from higgs_shop.workspaces.errors import DefaultWorkspace, NoSuchWorkspace, WorkspaceRefused
from higgs_shop.workspaces.workspace import (
    DEFAULT_WORKSPACE,
    STORED,
    Workspace,
    claim_workspace,
    find_workspace,
    is_name,
    stored,
    update_workspace,
    values_of,
)

MOST_COUNTED: Final = 10_000
"""Counting goes so far and no further: a list of workspaces must not read millions of rows."""


@dataclass(frozen=True, slots=True)
class ListedWorkspace:
    """A workspace, and how much is in it: at most MOST_COUNTED + 1 of each, which means more."""

    workspace: Workspace
    created_at_ms: int
    profiles: int
    events: int

    @property
    def is_default(self) -> bool:
        """Whether its settings come from the environment."""
        return self.workspace.id == DEFAULT_WORKSPACE


def add_workspace(connection: Connection, workspace: Workspace, now_ms: int) -> None:
    """Make a workspace. Raises: WorkspaceRefused when its name or its key is taken."""
    added = connection.execute(
        insert_or_ignore(connection, workspaces).values(
            **values_of(workspace), created_at_ms=now_ms
        )
    )
    if added.rowcount == 0:
        is_named = find_workspace(connection, workspace.id) is not None
        raise WorkspaceRefused([_name_taken(workspace) if is_named else _key_taken(workspace)])
    # An upload that was under way may have been written after a workspace of this name was removed.
    _forget(connection, workspace.id)


def change_workspace(connection: Connection, workspace: Workspace) -> None:
    """Give a workspace these settings; profiles, events and all else in it stay as they are.

    Raises: WorkspaceRefused when its key is taken. NoSuchWorkspace. DefaultWorkspace.
    """
    _refuse_default(workspace.id)
    try:
        is_there = update_workspace(connection, workspace)
    except IntegrityError:
        raise WorkspaceRefused([_key_taken(workspace)]) from None
    if not is_there:
        raise NoSuchWorkspace(workspace.id)


def remove_workspace(connection: Connection, workspace_id: str) -> None:
    """Forget a workspace and everything in it. Raises: NoSuchWorkspace. DefaultWorkspace."""
    _refuse_default(workspace_id)
    if not is_name(workspace_id):
        raise NoSuchWorkspace(workspace_id)
    # On PostgreSQL, calls that are under way would add profiles behind our back; now they wait.
    claim_workspace(connection, workspace_id)
    if connection.scalar(_LOCKED, {"id": workspace_id}) is None:
        raise NoSuchWorkspace(workspace_id)
    # Nor may anybody give its outputs messages meanwhile: they hold the outputs, then lock mailboxes.
    connection.execute(_OUTPUTS_LOCKED, {"id": workspace_id})
    _forget(connection, workspace_id)
    connection.execute(delete(workspaces).where(workspaces.c.id == workspace_id))


def list_workspaces(connection: Connection, *, after: str = "", most: int) -> list[ListedWorkspace]:
    """Workspaces by name, those behind `after`, with what is in them."""
    rows = connection.execute(_PAGE, {"after": after, "most": most, "most_counted": MOST_COUNTED})
    return [_listed(row) for row in rows]


def workspace_names(connection: Connection, *, most: int) -> list[str]:
    """The first names, in their order."""
    return list(connection.scalars(_NAMES, {"most": most}))


def listed_workspace(connection: Connection, workspace_id: str) -> ListedWorkspace | None:
    """One workspace with what is in it, or None; any text may be asked for."""
    if not is_name(workspace_id):
        return None
    values = {"workspace": workspace_id, "most_counted": MOST_COUNTED}
    row = connection.execute(_ONE, values).one_or_none()
    return None if row is None else _listed(row)


def _refuse_default(workspace_id: str) -> None:
    if workspace_id == DEFAULT_WORKSPACE:
        raise DefaultWorkspace(workspace_id)


def _name_taken(workspace: Workspace) -> Mistake:
    return Mistake("id", workspace.id, "there is a workspace of that name; choose another")


def _key_taken(workspace: Workspace) -> Mistake:
    return Mistake("api_key", workspace.api_key, "another workspace has that key; choose another")


def _forget(connection: Connection, workspace_id: str) -> None:
    for table in _EMPTIED:
        connection.execute(delete(table).where(table.c.workspace_id == workspace_id))


def _goes_with_another(table: Table) -> bool:
    """Whether the rows go when those go that they belong to, which are found by workspace faster."""
    return any(
        key.ondelete == "CASCADE"
        and not key.parent.nullable
        and "workspace_id" in key.column.table.c
        for key in table.foreign_keys
    )


# A sender that records holds the mailbox, and then changes its messages.
_EMPTIED: Final = (
    mailboxes,
    *(
        table
        for table in reversed(metadata.sorted_tables)
        if "workspace_id" in table.c and table is not mailboxes and not _goes_with_another(table)
    ),
)


def _count(table: Table) -> ScalarSelect[int]:
    found = (
        select(table.c.workspace_id)
        .where(table.c.workspace_id == workspaces.c.id)
        .limit(bindparam("most_counted") + 1)
        .correlate(workspaces)
        .subquery("found")
    )
    return select(func.count()).select_from(found).correlate(workspaces).scalar_subquery()


def _listed(row: Any) -> ListedWorkspace:
    return ListedWorkspace(stored(row), row.created_at_ms, row.profiles, row.events)


_LOCKED: Final = select(workspaces.c.id).where(workspaces.c.id == bindparam("id")).with_for_update()
_OUTPUTS_LOCKED: Final = (
    select(outputs.c.id).where(outputs.c.workspace_id == bindparam("id")).with_for_update()
)
_NAMES: Final = select(workspaces.c.id).order_by(workspaces.c.id).limit(bindparam("most"))
_LISTED: Final = select(
    *STORED,
    workspaces.c.created_at_ms,
    _count(profiles).label("profiles"),
    _count(events).label("events"),
)
_ONE: Final = _LISTED.where(workspaces.c.id == bindparam("workspace"))
_PAGE: Final = (
    _LISTED.where(workspaces.c.id > bindparam("after"))
    .order_by(workspaces.c.id)
    .limit(bindparam("most"))
)
