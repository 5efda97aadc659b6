"""One output as it is stored, and the ways to those that take part in delivery."""

from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final, Literal

from sqlalchemy import Connection, bindparam, select

from higgs_shop.outputs.settings import OutputSettings
from higgs_shop.prepared import Prepared
from higgs_shop.tables import outputs

OutputState = Literal["running", "paused"]
"""paused: nothing is sent, and everything is kept until it is resumed."""

GatheringState = Literal["no", "yes", "ending"]
"""ending: its events do not wait any more, but go behind those that did and are not handed over yet."""


@dataclass(frozen=True, slots=True)
class Output:
    """One webhook output of a workspace. What is secret stays out of its repr.

    Attributes:
        authorization: value of the Authorization header; empty for none.
        secrets: signing secrets, each of which signs; none means the store's own.
        from_environment: the settings that the store's environment gives, which nobody changes here.
        pause_reason: why it is paused, as a sentence.
        is_full: so much waits that new messages become dead letters at once.
        gathering: whether its events wait for others before they become messages.
        unreachable_since_ms: since when nobody answers there; None when somebody did, or nobody knows.
        left_alone_until_ms: until when nothing is sent because of that; then one message at a time is,
            until somebody answers. By the clock of leases, like the other.
    """

    id: int
    workspace_id: str
    name: str
    settings: OutputSettings
    authorization: str = field(repr=False)
    secrets: tuple[str, ...] = field(repr=False)
    from_environment: tuple[str, ...]
    state: OutputState
    pause_reason: str
    paused_at_ms: int | None
    is_full: bool
    gathering: GatheringState
    unreachable_since_ms: int | None
    left_alone_until_ms: int | None
    created_at_ms: int


STORED: Final = (
    outputs.c.id,
    outputs.c.workspace_id,
    outputs.c.name,
    outputs.c.settings,
    outputs.c.authorization,
    outputs.c.secrets,
    outputs.c.from_environment,
    outputs.c.state,
    outputs.c.pause_reason,
    outputs.c.paused_at_ms,
    outputs.c.is_full,
    outputs.c.gathering,
    outputs.c.unreachable_since_ms,
    outputs.c.left_alone_until_ms,
    outputs.c.created_at_ms,
)
"""The columns of an output's values."""

# On PostgreSQL, nobody removes them before the transaction ends; their settings may change.
_OF_WORKSPACE: Final = Prepared(
    select(*STORED)
    .where(outputs.c.workspace_id == bindparam("of_workspace"))
    .order_by(outputs.c.id)
    .with_for_update(read=True, key_share=True)
)
_HELD: Final = (
    select(*STORED)
    .where(outputs.c.workspace_id == bindparam("of_workspace"), outputs.c.id == bindparam("held"))
    .with_for_update(read=True, key_share=True)
)
_RUNNING: Final = Prepared(
    select(*STORED).where(outputs.c.state == "running").order_by(outputs.c.id)
)


def outputs_of(connection: Connection, workspace_id: str) -> list[Output]:
    """A workspace's outputs, for who is about to give them messages in this transaction."""
    return [
        stored_output(row) for row in _OF_WORKSPACE.rows(connection, {"of_workspace": workspace_id})
    ]


def held_output(connection: Connection, workspace_id: str, output_id: int) -> Output | None:
    """One of them, for who is about to give it messages; None when it was removed."""
    values = {"of_workspace": workspace_id, "held": output_id}
    row = connection.execute(_HELD, values).one_or_none()
    return None if row is None else stored_output(row)


def running_outputs(connection: Connection) -> list[Output]:
    """Those of all workspaces that send, in the order of their making: one forwarder serves them all."""
    return [stored_output(row) for row in _RUNNING.rows(connection, {})]


def stored_output(row: Any) -> Output:
    """An output from a row that has STORED."""
    number, workspace_id, name, settings, authorization, secrets, from_environment, *rest = row
    return Output(
        number,
        workspace_id,
        name,
        read_settings(settings),
        authorization,
        tuple(secrets),
        tuple(from_environment),
        *rest,
    )


@lru_cache(maxsize=256)
def read_settings(text: str) -> OutputSettings:
    """Settings as they are stored; read at every event, and hardly ever changed."""
    return OutputSettings.model_validate_json(text)
