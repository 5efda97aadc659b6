"""What an output is about to do: whether something is being sent now, and what waits for another try."""

from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, bindparam, func, select

from higgs_shop.outbox.deliveries import MOST_COUNTED
from higgs_shop.outbox.mailboxes import NOW_MS, mailbox_time
from higgs_shop.outputs import Output
from higgs_shop.tables import mailboxes


@dataclass(frozen=True, slots=True)
class Tries:
    """How the sending goes on. Of each person, one message at most is being sent or tried again.

    Attributes:
        is_sending: whether somebody's messages are being sent now.
        retrying: how many messages failed and are tried again later: at most MOST_COUNTED + 1, which
            means more.
        next_retry_ms: when the first of them is due; None when there is none.
    """

    is_sending: bool
    retrying: int
    next_retry_ms: int | None


def tries_at(connection: Connection, output: Output, now_ms: int) -> Tries:
    """What is being sent at an output, and what waits for another try.

    Args:
        now_ms: on SQLite; PostgreSQL's own time is what leases and retries go by there.
    """
    now_ms = mailbox_time(connection, now_ms)
    of = {"of_workspace": output.workspace_id, "of_output": output.id, "now_ms": now_ms}
    retrying, next_retry_ms = connection.execute(_RETRYING, of).one()
    return Tries(
        is_sending=connection.execute(_SENDING, of).first() is not None,
        retrying=retrying,
        next_retry_ms=next_retry_ms,
    )


_this_output: Final = (
    mailboxes.c.workspace_id == bindparam("of_workspace"),
    mailboxes.c.output_id == bindparam("of_output"),
)

# What was not tried yet is never due later than now.
_later: Final = (
    select(mailboxes.c.due_at_ms)
    .where(*_this_output, mailboxes.c.due_at_ms > NOW_MS)
    .order_by(mailboxes.c.due_at_ms)
    .limit(MOST_COUNTED + 1)
    .subquery("found")
)

_RETRYING: Final = select(func.count(), func.min(_later.c.due_at_ms)).select_from(_later)

# What has been due for longest is leased first.
_due: Final = (
    select(mailboxes.c.lease_until_ms)
    .where(*_this_output, mailboxes.c.due_at_ms <= NOW_MS)
    .order_by(mailboxes.c.due_at_ms)
    .limit(MOST_COUNTED)
    .subquery("found")
)

_SENDING: Final = select(_due.c.lease_until_ms).where(_due.c.lease_until_ms > NOW_MS).limit(1)
