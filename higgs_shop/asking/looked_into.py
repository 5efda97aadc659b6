"""The workspace that an observing page looks into, the shop's unless `?workspace=` names another.

It stays in every link and form of the page.
"""

from typing import Any, Final

from flask import abort, request, url_for
from sqlalchemy import Connection

from higgs_shop.asking.parts import parts
from higgs_shop.workspaces import Workspace, find_workspace, workspace_names

NO_SUCH_WORKSPACE: Final = (
    "There is no such workspace; perhaps somebody has removed it. The page Workspaces lists those "
    "that there are."
)
_MOST_CHOICES: Final = 200


def workspace_or_404(connection: Connection) -> Workspace:
    """The one that the address names, or the shop's."""
    workspace = find_workspace(connection, in_workspace() or parts().workspace_id)
    if workspace is None:
        abort(404, NO_SUCH_WORKSPACE)
    return workspace


def in_workspace() -> str | None:
    """The workspace that addresses have to name: another one than the shop's."""
    named = request.args.get("workspace", "")
    return None if named in {"", parts().workspace_id} else named


def url_within(endpoint: str, **values: Any) -> str:
    """An address in the workspace that is looked into."""
    return url_for(endpoint, workspace=in_workspace(), **values)


def choice_of(connection: Connection, workspace: Workspace, endpoint: str) -> dict[str, Any]:
    """What the templates need to stay in this workspace, and to lead to the same page of others."""
    names = workspace_names(connection, most=_MOST_CHOICES)
    return {
        "in_workspace": in_workspace(),
        "workspace_name": workspace.id,
        "workspace_choices": names if workspace.id in names else [workspace.id, *names],
        "look_into_url": url_for(endpoint),
    }
