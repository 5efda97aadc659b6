"""Outputs at which nobody answers: left alone for a while, and then tried with one message at a time."""

from typing import Final

from sqlalchemy import BigInteger, Connection, bindparam, select, update

from higgs_shop.outputs.output import Output
from higgs_shop.tables import outputs

LONGEST_LEFT_ALONE_MS: Final = 60_000
"""Then one message is tried, however long nobody has answered."""

REACHABLE: Final = {"unreachable_since_ms": None, "left_alone_until_ms": None}


def leave_alone(connection: Connection, output: Output, *, since_ms: int, until_ms: int) -> None:
    """Send nothing there until then, since nobody answers.

    Args:
        connection: of a write transaction that holds no mailbox: outputs are held before their mailboxes.
        since_ms: when that began.
    """
    values = {"of_output": output.id, "since_ms": since_ms, "until_ms": until_ms}
    connection.execute(_LEAVE_ALONE, values)


def leave_alone_no_more(connection: Connection, output: Output) -> None:
    """Send whatever is due: somebody answers, or somebody says that it is worth trying.

    Args:
        connection: as for `leave_alone`.
    """
    connection.execute(_LEAVE_ALONE_NO_MORE, {"of_output": output.id})


def take_probe(connection: Connection, output: Output, *, until_ms: int) -> bool:
    """Send one message, to find out whether somebody answers again.

    Args:
        connection: may hold mailboxes: who is changing the output at this moment is not waited for.
        output: as it was read, with a time of being left alone that is over.
        until_ms: when somebody else may, should the outcome never be told.
    Returns: False when another process does so already.
    """
    values = {
        "of_output": output.id,
        "seen_ms": output.left_alone_until_ms,
        "until_ms": until_ms,
    }
    return connection.execute(_TAKE_PROBE, values).rowcount == 1


def give_probe_back(connection: Connection, output: Output, *, until_ms: int, now_ms: int) -> None:
    """Let another one be taken at once, since this one was not sent.

    Args:
        connection: as for `leave_alone`.
        until_ms: what it was taken with.
    """
    values = {"of_output": output.id, "seen_ms": until_ms, "until_ms": now_ms}
    connection.execute(_GIVE_PROBE_BACK, values)


_this: Final = outputs.c.id == bindparam("of_output")
_until_ms: Final = bindparam("until_ms", type_=BigInteger())

_LEAVE_ALONE: Final = (
    update(outputs)
    .where(_this)
    .values(
        unreachable_since_ms=bindparam("since_ms", type_=BigInteger()),
        left_alone_until_ms=_until_ms,
    )
)
_LEAVE_ALONE_NO_MORE: Final = (
    update(outputs).where(_this, outputs.c.unreachable_since_ms.is_not(None)).values(**REACHABLE)
)
_as_seen: Final = outputs.c.left_alone_until_ms == bindparam("seen_ms", type_=BigInteger())
_GIVE_PROBE_BACK: Final = (
    update(outputs).where(_this, _as_seen).values(left_alone_until_ms=_until_ms)
)
_TAKE_PROBE: Final = (
    update(outputs)
    .where(
        outputs.c.id.in_(
            select(outputs.c.id)
            .where(_this, _as_seen)
            .with_for_update(key_share=True, skip_locked=True)
        )
    )
    .values(left_alone_until_ms=_until_ms)
)
