"""Trying at once what waits for its next retry, because somebody says that the receiver is well again.

Only the waiting is cut short. Attempts are counted on, a person's messages still go by sequence number,
and whoever holds a lease keeps it: what is being sent is not sent beside that.
"""

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import BigInteger, Connection, Select, bindparam, literal, select, update

from higgs_shop.database import Database
from higgs_shop.outbox.mailboxes import (
    IS_WAITING,
    MailboxKey,
    hold_first_and_free,
    mailbox_time,
    set_due,
)
from higgs_shop.outputs import Output, held_output, leave_alone_no_more
from higgs_shop.tables import mailboxes, messages

# What one write transaction is about: a page that wants to write waits for no more than this.
_AT_ONCE: Final = 500


def waits_for_retry(
    connection: Connection, output: Output, *, mpid: int | None = None, now_ms: int
) -> bool:
    """Whether anything of an output, or of one person there, is not due yet, or left alone."""
    is_left_alone = output.unreachable_since_ms is not None
    waiting = _at(output, mpid) if is_left_alone else _waiting(connection, output, mpid, now_ms)
    return connection.execute(waiting.limit(1)).first() is not None


def try_now(database: Database, output: Output, *, mpid: int | None = None, now_ms: int) -> int:
    """Make due what waits for a retry, of everybody at an output or of one person, to be sent by whoever
    forwards.

    It is done by and by, in short transactions. What waits for a retry only since it was asked for is not
    part of it, so that nothing is tried over and over. An output at which nobody answers is left alone no
    more.

    Args:
        mpid: of this person alone.
        now_ms: when it was asked for.
    Returns: of how many people something was made due; 0 also when the output was removed meanwhile.
    Raises: DatabaseBusy.
    """
    if output.unreachable_since_ms is not None:
        with database.write() as connection:
            leave_alone_no_more(connection, output)
    made_due = 0
    with database.read() as connection:
        waiting = _waiting(connection, output, mpid, now_ms).execution_options(yield_per=_AT_ONCE)
        for mpids in connection.scalars(waiting).partitions():
            left = mpids
            while left:
                held, left = _make_due(database, output, left, now_ms)
                made_due += held
    return made_due


def _make_due(
    database: Database, output: Output, mpids: Sequence[int], now_ms: int
) -> tuple[int, list[int]]:
    """Make those mailboxes due that are free, and the first of them in any case.

    Returns: how many were made due, and whose others held.
    """
    with database.write() as connection:
        if held_output(connection, output.workspace_id, output.id) is None:
            return 0, []
        held = hold_first_and_free(connection, output.workspace_id, output.id, mpids)
        if mpids[0] not in held:  # the store was reset meanwhile
            return 0, []
        due_at_ms = mailbox_time(connection, now_ms)
        values = {"of_workspace": output.workspace_id, "of_output": output.id, "mpids": list(held)}
        connection.execute(_END_WAITS, {**values, "now_ms": due_at_ms})
        set_due(connection, [_key(output, mpid) for mpid in held], due_at_ms)
    return len(held), [mpid for mpid in mpids if mpid not in held]


def _key(output: Output, mpid: int) -> MailboxKey:
    return MailboxKey(output.workspace_id, output.id, mpid)


def _waiting(connection: Connection, output: Output, mpid: int | None, now_ms: int) -> Select[Any]:
    """Whose mailboxes are not due yet."""
    due_now_ms = literal(mailbox_time(connection, now_ms), BigInteger)
    return _at(output, mpid).where(mailboxes.c.due_at_ms > due_now_ms)


def _at(output: Output, mpid: int | None) -> Select[Any]:
    """Whose mailboxes have anything that waits."""
    found = select(mailboxes.c.mpid).where(
        mailboxes.c.workspace_id == output.workspace_id,
        mailboxes.c.output_id == output.id,
        mailboxes.c.due_at_ms.is_not(None),
    )
    return found if mpid is None else found.where(mailboxes.c.mpid == mpid)


_now_ms: Final = bindparam("now_ms", type_=BigInteger())

_END_WAITS: Final = (
    update(messages)
    .where(
        messages.c.workspace_id == bindparam("of_workspace"),
        messages.c.output_id == bindparam("of_output"),
        messages.c.mpid.in_(bindparam("mpids", expanding=True)),
        IS_WAITING,
        messages.c.next_attempt_ms > _now_ms,
    )
    .values(next_attempt_ms=_now_ms)
)
