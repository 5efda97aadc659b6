"""Mailboxes, one for each MPID at each output of a workspace: what orders everything.

Enqueuing updates a mailbox's row, so that on PostgreSQL a second writer waits and sequence numbers
follow the order of commits; claiming leases it, so that two senders never work on one person's messages
at once.
"""

from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    and_,
    bindparam,
    case,
    cast,
    func,
    literal_column,
    or_,
    select,
    update,
)

from higgs_shop.prepared import Prepared
from higgs_shop.tables import mailboxes, messages

LeaseClock = Callable[[Connection], int]
"""What time it is for leases and for what is due, the same for everybody: see `mailbox_time`."""


class MailboxKey(NamedTuple):
    """Which mailbox: an MPID's at an output."""

    workspace_id: str
    output_id: int
    mpid: int

    def bound(self) -> dict[str, Any]:
        """The key as statements take it."""
        return {
            "of_workspace": self.workspace_id,
            "of_output": self.output_id,
            "of_mpid": self.mpid,
        }


def hold_mailbox(connection: Connection, key: MailboxKey) -> bool:
    """Wait until nobody enqueues to this mailbox or records it, and keep it so in this transaction.

    Returns: False when there is no such mailbox (any more).
    """
    return connection.scalar(_hold_mailbox, key.bound()) is not None


def hold_first_and_free(
    connection: Connection, workspace_id: str, output_id: int, mpids: Sequence[int]
) -> set[int]:
    """The same for several mailboxes of an output: for the first one, and for those that are free.

    Whoever enqueues or records holds mailboxes as well, in whatever order. Waiting for the first one
    while holding none, and for no other, is in nobody's way; and so some are held each time.

    Returns: whose are held; the first is missing when there is no such mailbox (any more).
    """
    hold_mailbox(connection, MailboxKey(workspace_id, output_id, mpids[0]))
    values = {"of_workspace": workspace_id, "of_output": output_id, "mpids": list(set(mpids))}
    return set(connection.scalars(_hold_free_mailboxes, values))


def set_due(connection: Connection, keys: Sequence[MailboxKey], now_ms: int) -> None:
    """Make mailboxes due when their first waiting message is, but not before now; never if none waits.

    Args:
        connection: of a write transaction that holds these mailboxes.
        keys: one at least.
        now_ms: by the clock that leases are dated by.
    """
    _set_due.write(connection, *(key.bound() | {"now_ms": now_ms} for key in keys))


def mailbox_time(connection: Connection, now_ms: int) -> int:
    """The time by which mailboxes are due and leased, when the store's own clock says `now_ms`.

    That one may be ahead of PostgreSQL's, which decides there.
    """
    return now_ms if connection.dialect.name == "sqlite" else database_time(connection)


def database_time(connection: Connection) -> int:
    """PostgreSQL's own time: several machines forward, and their clocks differ."""
    now_ms: int = connection.execute(_database_time).scalar_one()
    return now_ms


NOW_MS: Final = bindparam("now_ms", type_=BigInteger())

DATABASE_NOW_MS: Final = cast(
    func.floor(func.extract("epoch", func.clock_timestamp()) * 1_000), BigInteger
)

_database_time: Final = select(DATABASE_NOW_MS)


THIS_MAILBOX: Final = (
    mailboxes.c.workspace_id == bindparam("of_workspace"),
    mailboxes.c.output_id == bindparam("of_output"),
    mailboxes.c.mpid == bindparam("of_mpid"),
)


def these_mailboxes(count: int) -> ColumnElement[bool]:
    """So many of them, keys called `of_…_0` and so on: each is looked up by itself."""
    return or_(
        *(
            and_(
                mailboxes.c.workspace_id == bindparam(f"of_workspace_{number}"),
                mailboxes.c.output_id == bindparam(f"of_output_{number}"),
                mailboxes.c.mpid == bindparam(f"of_mpid_{number}"),
            )
            for number in range(count)
        )
    )


_hold_mailbox: Final = select(mailboxes.c.mpid).where(*THIS_MAILBOX).with_for_update()

_hold_free_mailboxes: Final = (
    select(mailboxes.c.mpid)
    .where(
        mailboxes.c.workspace_id == bindparam("of_workspace"),
        mailboxes.c.output_id == bindparam("of_output"),
        mailboxes.c.mpid.in_(bindparam("mpids", expanding=True)),
    )
    .with_for_update(skip_locked=True)
)

MAILBOX_OF_MESSAGE: Final = and_(
    mailboxes.c.workspace_id == messages.c.workspace_id,
    mailboxes.c.output_id == messages.c.output_id,
    mailboxes.c.mpid == messages.c.mpid,
)

# Written out, not bound: SQLite takes a partial index only for a condition that it can read.
IS_WAITING: Final = messages.c.state == literal_column("'waiting'")
IS_CLOSED: Final = messages.c.state != literal_column("'waiting'")

WAITING_OF_MAILBOX: Final = (
    messages.c.workspace_id == bindparam("of_workspace"),
    messages.c.output_id == bindparam("of_output"),
    messages.c.mpid == bindparam("of_mpid"),
    IS_WAITING,
)

# What was not tried yet, or not since it was replayed, is due at once, whatever its writer's clock said.
_first_due_ms: Final = (
    select(
        case(
            (messages.c.attempts > messages.c.attempts_before, messages.c.next_attempt_ms),
            else_=NOW_MS,
        )
    )
    .where(*WAITING_OF_MAILBOX)
    .order_by(messages.c.sequence)
    .limit(1)
    .scalar_subquery()
)

# Null when nothing waits: no comparison with null holds, so that the other branch gives it on.
WHEN_DUE: Final = case((_first_due_ms < NOW_MS, NOW_MS), else_=_first_due_ms)

_set_due: Final = Prepared(update(mailboxes).where(*THIS_MAILBOX).values(due_at_ms=WHEN_DUE))
