"""Workspaces: the unit of isolation, each with its keys and its way of telling people apart.

Owns the table `workspaces`. The store has one workspace unless it is told otherwise; nothing that is
stored is ever looked up without one.
"""

from higgs_shop.workspaces.errors import (
    DefaultWorkspace,
    NoSuchWorkspace,
    WorkspaceError,
    WorkspaceRefused,
)
from higgs_shop.workspaces.keeping import (
    MOST_COUNTED,
    ListedWorkspace,
    add_workspace,
    change_workspace,
    list_workspaces,
    listed_workspace,
    remove_workspace,
    workspace_names,
)
from higgs_shop.workspaces.wanted import NONE, as_texts, new_workspace
from higgs_shop.workspaces.workspace import (
    DEFAULT_WORKSPACE,
    Workspace,
    by_api_key,
    ensure_workspace,
    find_workspace,
    get_workspace,
    hold_workspace,
)

__all__ = [
    "DEFAULT_WORKSPACE",
    "MOST_COUNTED",
    "NONE",
    "DefaultWorkspace",
    "ListedWorkspace",
    "NoSuchWorkspace",
    "Workspace",
    "WorkspaceError",
    "WorkspaceRefused",
    "add_workspace",
    "as_texts",
    "by_api_key",
    "change_workspace",
    "ensure_workspace",
    "find_workspace",
    "get_workspace",
    "hold_workspace",
    "list_workspaces",
    "listed_workspace",
    "new_workspace",
    "remove_workspace",
    "workspace_names",
]
