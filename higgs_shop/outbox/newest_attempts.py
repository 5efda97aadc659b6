"""What an output tried last, whichever message it was for: the first to look at when a receiver fails."""

from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, bindparam, select

from higgs_shop.outbox.message import State
from higgs_shop.outputs import Output
from higgs_shop.tables import delivery_attempts, messages


@dataclass(frozen=True, slots=True)
class NewestAttempt:
    """One try, and the message that it was for. Either `status_code` or `error` is set.

    `message_state` is how the message stands now, whatever this try did to it.
    """

    message_id: int
    mpid: int
    sequence: int
    number: int
    status_code: int | None
    error: str | None
    duration_ms: int
    started_at_ms: int
    message_state: State

    @property
    def succeeded(self) -> bool:
        """Whether the receiver took the message."""
        return self.status_code is not None and 200 <= self.status_code < 300


def newest_attempts(connection: Connection, output: Output, *, most: int) -> list[NewestAttempt]:
    """The newest tries at an output, newest first."""
    values = {"of_workspace": output.workspace_id, "of_output": output.id, "most": most}
    return [NewestAttempt(**row) for row in connection.execute(_NEWEST, values).mappings()]


_NEWEST: Final = (
    select(
        delivery_attempts.c.message_id,
        messages.c.mpid,
        messages.c.sequence,
        delivery_attempts.c.number,
        delivery_attempts.c.status_code,
        delivery_attempts.c.error,
        delivery_attempts.c.duration_ms,
        delivery_attempts.c.started_at_ms,
        messages.c.state.label("message_state"),
    )
    .join_from(
        delivery_attempts,
        messages,
        (messages.c.id == delivery_attempts.c.message_id)
        & (messages.c.workspace_id == delivery_attempts.c.workspace_id),
    )
    .where(
        delivery_attempts.c.workspace_id == bindparam("of_workspace"),
        delivery_attempts.c.output_id == bindparam("of_output"),
    )
    .order_by(delivery_attempts.c.id.desc())
    .limit(bindparam("most"))
)
