"""The connection that an address names, in the workspace that is looked into; and how it stands."""

from typing import Any, Final

from flask import abort
from sqlalchemy import Connection

from higgs_shop.asking.looked_into import workspace_or_404
from higgs_shop.asking.parts import parts
from higgs_shop.outputs import Output, find_output
from higgs_shop.showing import output_view

NO_SUCH_CONNECTION: Final = (
    "There is no such connection in this workspace; perhaps somebody has removed it. The page "
    "Connections lists those that there are."
)


def output_or_404(connection: Connection, name: str) -> Output:
    """The output of this name."""
    output = find_output(connection, workspace_or_404(connection).id, name)
    if output is None:
        abort(404, NO_SUCH_CONNECTION)
    return output


def connection_view(connection: Connection, output: Output) -> dict[str, Any]:
    """An output's state, backlog and newest attempts, for the templates."""
    return output_view(
        connection, output, inbox_address=parts().inbox_address, now_ms=parts().clock()
    )
