"""Making, finding, changing, pausing and removing outputs.

A caller's write transaction surrounds each: what it raises has written nothing.
"""

from collections.abc import Mapping
from typing import Any, Final

from sqlalchemy import Connection, bindparam, delete, insert, select, update

from higgs_shop.mistakes import Mistake
from higgs_shop.outputs.errors import NoSuchOutput, OutputRefused
from higgs_shop.outputs.output import STORED, Output, stored_output
from higgs_shop.outputs.settings import OutputSettings
from higgs_shop.tables import mailboxes, messages, outputs, replays
from higgs_shop.upsert import insert_or_ignore

MAIN_OUTPUT: Final = "webhook"
"""The output that every workspace has from the start."""


def ensure_main_output(
    connection: Connection,
    workspace_id: str,
    *,
    now_ms: int,
    given: Mapping[str, Any] | None = None,
    authorization: str | None = None,
) -> None:
    """Make a workspace's first output, or give it what the environment says now.

    What the environment said before and says no more goes back to its default; what was set otherwise
    stays.

    Args:
        given: settings from the environment, by field.
        authorization: likewise; None when it says nothing.
    """
    told = dict(given or {})
    from_environment = [*told, *(["authorization"] if authorization is not None else [])]
    known = find_output(connection, workspace_id, MAIN_OUTPUT)
    if known is None:
        settings = OutputSettings(**{"send_user_identity_changes": True, **told})
        output = _values(settings, authorization or "", (), from_environment)
        connection.execute(insert(outputs), _new(workspace_id, MAIN_OUTPUT, output, now_ms))
        return
    stays = known.settings.model_dump(exclude=set(known.from_environment))
    if authorization is None and "authorization" not in known.from_environment:
        authorization = known.authorization
    settings = OutputSettings(**{**stays, **told})
    values = _values(settings, authorization or "", known.secrets, from_environment)
    connection.execute(_UPDATE, {"of_output": known.id, **values})


def add_output(
    connection: Connection,
    workspace_id: str,
    name: str,
    settings: OutputSettings,
    *,
    authorization: str,
    secrets: tuple[str, ...],
    now_ms: int,
) -> None:
    """Make an output, which gets what is logged from now on. Raises: OutputRefused: its name is taken."""
    values = _new(workspace_id, name, _values(settings, authorization, secrets, []), now_ms)
    if connection.execute(insert_or_ignore(connection, outputs).values(values)).rowcount == 0:
        reason = "there is an output of that name; choose another"
        raise OutputRefused([Mistake("name", name, reason)])


def change_output(
    connection: Connection,
    output: Output,
    settings: OutputSettings,
    *,
    authorization: str,
    secrets: tuple[str, ...],
) -> None:
    """Give an output these values, but for those that come from the environment. What waits stays as
    it is, and goes where the output posts from now on. Raises: NoSuchOutput.
    """
    fixed = set(output.from_environment)
    kept = output.settings.model_dump(include=fixed)
    values = _values(
        settings.model_copy(update=kept),
        output.authorization if "authorization" in fixed else authorization,
        secrets,
        output.from_environment,
    )
    if connection.execute(_UPDATE, {"of_output": output.id, **values}).rowcount == 0:
        raise NoSuchOutput(output.name)


def pause_output(connection: Connection, output_id: int, reason: str, now_ms: int) -> bool:
    """Send nothing any more; what comes is kept. Returns: False when it is paused already."""
    values = {"of_output": output_id, "reason": reason, "now_ms": now_ms}
    return connection.execute(_PAUSE, values).rowcount == 1


def resume_output(connection: Connection, output_id: int) -> bool:
    """Go on sending. Returns: False when it is running already."""
    return connection.execute(_RESUME, {"of_output": output_id}).rowcount == 1


def mark_full(connection: Connection, output_id: int, *, is_full: bool) -> bool:
    """Keep in mind whether too much waits at an output. Returns: False when that is known already."""
    values = {"of_output": output_id, "new_is_full": is_full}
    return connection.execute(_MARK_FULL, values).rowcount == 1


def remove_output(connection: Connection, output: Output) -> None:
    """Forget an output with its messages, delivered or not. Raises: NoSuchOutput. OutputRefused for
    the main one, which can be switched off instead.
    """
    if output.name == MAIN_OUTPUT:
        raise OutputRefused(
            [Mistake("name", output.name, "this one stays; make it inactive instead")]
        )
    # First, since it waits for whoever is giving it messages, and lets nobody else.
    gone = connection.execute(delete(outputs).where(outputs.c.id == output.id))
    if gone.rowcount == 0:
        raise NoSuchOutput(output.name)
    for table in (messages, mailboxes, replays):
        connection.execute(
            delete(table).where(
                table.c.workspace_id == output.workspace_id, table.c.output_id == output.id
            )
        )


def list_outputs(connection: Connection, workspace_id: str) -> list[Output]:
    """A workspace's outputs, in the order of their making."""
    return [stored_output(row) for row in connection.execute(_ALL, {"of_workspace": workspace_id})]


def find_output(connection: Connection, workspace_id: str, name: str) -> Output | None:
    """The output of this name, or None."""
    row = connection.execute(
        _NAMED, {"of_workspace": workspace_id, "of_name": name.replace("\x00", "\ufffd")}
    ).one_or_none()
    return None if row is None else stored_output(row)


def _values(
    settings: OutputSettings,
    authorization: str,
    secrets: tuple[str, ...],
    from_environment: list[str] | tuple[str, ...],
) -> dict[str, Any]:
    return {
        "settings": settings.model_dump_json(),
        "authorization": authorization,
        "secrets": list(secrets),
        "from_environment": sorted(from_environment),
    }


def _new(workspace_id: str, name: str, values: Mapping[str, Any], now_ms: int) -> dict[str, Any]:
    return {
        **values,
        "workspace_id": workspace_id,
        "name": name,
        "state": "running",
        "pause_reason": "",
        "paused_at_ms": None,
        "is_full": False,
        "created_at_ms": now_ms,
    }


_this: Final = outputs.c.id == bindparam("of_output")
_UPDATE: Final = update(outputs).where(_this)
_PAUSE: Final = (
    update(outputs)
    .where(_this, outputs.c.state == "running")
    .values(state="paused", pause_reason=bindparam("reason"), paused_at_ms=bindparam("now_ms"))
)
_RESUME: Final = (
    update(outputs)
    .where(_this, outputs.c.state == "paused")
    .values(state="running", pause_reason="", paused_at_ms=None)
)
_MARK_FULL: Final = (
    update(outputs)
    .where(_this, outputs.c.is_full != bindparam("new_is_full"))
    .values(is_full=bindparam("new_is_full"))
)
_ALL: Final = (
    select(*STORED)
    .where(outputs.c.workspace_id == bindparam("of_workspace"))
    .order_by(outputs.c.id)
)
_NAMED: Final = select(*STORED).where(
    outputs.c.workspace_id == bindparam("of_workspace"), outputs.c.name == bindparam("of_name")
)
