"""Making, finding, changing, pausing and removing outputs.

A caller's write transaction surrounds each: what it raises has written nothing.
"""

from collections.abc import Mapping
from typing import Any, Final

from sqlalchemy import (
    Boolean,
    Connection,
    bindparam,
    case,
    delete,
    insert,
    literal_column,
    select,
    update,
)

from higgs_shop.mistakes import Mistake
from higgs_shop.outputs.errors import NoSuchOutput, OutputRefused
from higgs_shop.outputs.output import STORED, Output, stored_output
from higgs_shop.outputs.settings import OutputSettings
from higgs_shop.outputs.unreachable import REACHABLE
from higgs_shop.tables import (
    gatherings,
    given_up_totals,
    mailboxes,
    messages,
    outputs,
    replays,
)
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
        new = _new(workspace_id, MAIN_OUTPUT, settings, output, now_ms)
        connection.execute(insert(outputs), new)
        return
    stays = known.settings.model_dump(exclude=set(known.from_environment))
    if authorization is None and "authorization" not in known.from_environment:
        authorization = known.authorization
    settings = OutputSettings(**{**stays, **told})
    values = _values(settings, authorization or "", known.secrets, from_environment)
    _update(connection, known.id, settings, values)


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
    given = _values(settings, authorization, secrets, [])
    values = _new(workspace_id, name, settings, given, now_ms)
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
    it is, and goes where the output posts from now on; what was gathered is handed over at the next
    round, if nothing is gathered any more. Raises: NoSuchOutput.
    """
    fixed = set(output.from_environment)
    kept = output.settings.model_dump(include=fixed)
    settings = settings.model_copy(update=kept)
    values = _values(
        settings,
        output.authorization if "authorization" in fixed else authorization,
        secrets,
        output.from_environment,
    )
    if not _update(connection, output.id, settings, values):
        raise NoSuchOutput(output.name)


def change_secrets(connection: Connection, output: Output, secrets: tuple[str, ...]) -> None:
    """Let these sign what an output sends from now on, and nothing else. Raises: NoSuchOutput."""
    changed = connection.execute(
        update(outputs).where(outputs.c.id == output.id).values(secrets=list(secrets))
    )
    if changed.rowcount == 0:
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
    # A sender that records holds the mailbox, and then changes its messages.
    for table in (gatherings, mailboxes, messages, replays, given_up_totals):
        connection.execute(
            delete(table).where(
                table.c.workspace_id == output.workspace_id, table.c.output_id == output.id
            )
        )


def outputs_ending(connection: Connection) -> list[Output]:
    """Those of all workspaces that gather no more, and may have something left."""
    return [stored_output(row) for row in connection.execute(_ENDING)]


def hold_alone(connection: Connection, output: Output) -> None:
    """Wait for whoever is giving an output messages; until the transaction ends, nobody else does."""
    connection.execute(_HOLD_ALONE, {"of_output": output.id})


def end_gathering(connection: Connection, output: Output) -> None:
    """Nothing that was gathered is left; the output is held alone."""
    connection.execute(_END_GATHERING, {"of_output": output.id})


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


def _update(
    connection: Connection, output_id: int, settings: OutputSettings, values: Mapping[str, Any]
) -> bool:
    """Returns: whether there is such an output."""
    given = {"of_output": output_id, "gathers": settings.gathers, **values}
    return connection.execute(_UPDATE, given).rowcount == 1


def _new(
    workspace_id: str,
    name: str,
    settings: OutputSettings,
    values: Mapping[str, Any],
    now_ms: int,
) -> dict[str, Any]:
    return {
        **values,
        "workspace_id": workspace_id,
        "name": name,
        "state": "running",
        "pause_reason": "",
        "paused_at_ms": None,
        "is_full": False,
        "gathering": "yes" if settings.gathers else "no",
        "unreachable_since_ms": None,
        "left_alone_until_ms": None,
        "created_at_ms": now_ms,
    }


_this: Final = outputs.c.id == bindparam("of_output")
_UPDATE: Final = (
    update(outputs)
    .where(_this)
    .values(
        gathering=case(
            (bindparam("gathers", type_=Boolean()), "yes"),
            (outputs.c.gathering == "no", "no"),
            else_="ending",
        ),
        **REACHABLE,
    )
)
# Written out, not bound: SQLite takes a partial index only for a condition that it can read.
_is_ending: Final = outputs.c.gathering == literal_column("'ending'")
_ENDING: Final = select(*STORED).where(_is_ending).order_by(outputs.c.id)
_HOLD_ALONE: Final = select(outputs.c.id).where(_this).with_for_update()
_END_GATHERING: Final = update(outputs).where(_this, _is_ending).values(gathering="no")
_PAUSE: Final = (
    update(outputs)
    .where(_this, outputs.c.state == "running")
    .values(state="paused", pause_reason=bindparam("reason"), paused_at_ms=bindparam("now_ms"))
)
_RESUME: Final = (
    update(outputs)
    .where(_this, outputs.c.state == "paused")
    .values(state="running", pause_reason="", paused_at_ms=None, **REACHABLE)
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
