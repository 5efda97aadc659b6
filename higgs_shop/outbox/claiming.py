"""Leasing a mailbox to a sender, and recording how its messages went."""

import secrets
from collections.abc import Callable, Sequence
from typing import Any, Final

from sqlalchemy import Connection, bindparam, case, exists, func, insert, null, or_, select, update

from higgs_shop.database import Database
from higgs_shop.outbox.mailboxes import (
    NOW_MS,
    THIS_MAILBOX,
    WAITING_OF_MAILBOX,
    LeaseClock,
    MailboxKey,
    set_due,
)
from higgs_shop.outbox.message import Attempt, Claim, Message
from higgs_shop.outputs import hold_alone, pause_output
from higgs_shop.outputs.output import STORED, stored_output
from higgs_shop.prepared import Prepared
from higgs_shop.tables import delivery_attempts, mailboxes, messages, outputs

MOST_PER_CLAIM: Final = 50
"""How many messages of one person are read at once: what a claim costs is shared by so many."""


def new_token() -> str:
    """A fresh claim token, which nobody else can hold."""
    return secrets.token_hex(16)


def claim_due(
    connection: Connection,
    *,
    clock: LeaseClock,
    lease_ms: int,
    after_output: int = 0,
    most: int = MOST_PER_CLAIM,
    new_token: Callable[[], str] = new_token,
) -> Claim | None:
    """Lease the mailbox that has been due for longest, and read its first waiting messages.

    Args:
        connection: of a write transaction.
        clock: see LeaseClock.
        after_output: the outputs take turns: the first behind this one that has something due, and
            runs, or else the first.
    Returns: None when no mailbox is due, or all that are due are leased. A lease that ran out counts as
        given back: whoever held it may have sent without recording, so the same bytes go out again.
    """
    now_ms = clock(connection)
    found = [stored_output(row) for row in _outputs_with_due.rows(connection, {"now_ms": now_ms})]
    for output in sorted(found, key=lambda each: (each.id <= after_output, each.id)):
        due = _select_due.rows(connection, {"of_output": output.id, "now_ms": now_ms})
        for mpid, delivered_sequence in due:
            token, until_ms = new_token(), now_ms + lease_ms
            key = MailboxKey(output.workspace_id, output.id, mpid).bound()
            _lease.write(connection, key | {"new_token": token, "new_until_ms": until_ms})
            return Claim(
                output=output,
                mpid=mpid,
                token=token,
                until_ms=until_ms,
                delivered_sequence=delivered_sequence,
                messages=tuple(
                    Message(*row) for row in _select_waiting.rows(connection, key | {"most": most})
                ),
            )
    return None


def record(
    connection: Connection,
    claim: Claim,
    attempts: Sequence[Attempt],
    *,
    clock: LeaseClock,
    keeps_lease: bool = False,
    pause_because: str | None = None,
) -> bool:
    """Store how the sending went, and give the lease back.

    The mailbox is due again when its first waiting message is, but not before now: so it queues
    behind the others that are due, and a person with a long backlog holds up nobody.

    Args:
        connection: of a write transaction.
        attempts: those that are not stored yet.
        keeps_lease: for a sender that goes on: the mailbox stays its own until the lease runs out.
        pause_because: pauses the output, for this reason.
    Returns: False, with nothing stored, when the lease ran out and somebody else took the mailbox.
    """
    mailbox = MailboxKey(claim.output.workspace_id, claim.output.id, claim.mpid)
    sequences = {message.id: message.sequence for message in claim.messages}
    delivered = [sequences[each.message_id] for each in attempts if each.state == "delivered"]
    if pause_because is not None:
        # Outputs are held before their mailboxes, by everybody.
        hold_alone(connection, claim.output)
    # It locks the mailbox on PostgreSQL: whoever enqueues now waits until the end.
    held = (_advance if keeps_lease else _release).write(
        connection,
        {
            **mailbox.bound(),
            "held_token": claim.token,
            "delivered": max(delivered, default=0),
        },
    )
    if held == 0:
        return False
    now_ms = clock(connection)
    if attempts:
        _insert_attempt.write(connection, *(_attempt_row(claim, each) for each in attempts))
        _update_message.write(connection, *(_message_update(each, now_ms) for each in attempts))
    if not keeps_lease:
        set_due(connection, [mailbox], now_ms)
    if pause_because is not None:
        pause_output(connection, claim.output.id, pause_because, now_ms)
    return True


def forget_leases(database: Database) -> int:
    """Give every lease back at once, for the start of the only process that forwards (SQLite's case).

    Whoever held one is gone; waiting for its time to run out would only hold its messages up.
    Returns: how many there were.
    """
    with database.write() as connection:
        return connection.execute(_forget_leases).rowcount


def _attempt_row(claim: Claim, attempt: Attempt) -> dict[str, Any]:
    return {
        "workspace_id": claim.output.workspace_id,
        "output_id": claim.output.id,
        "message_id": attempt.message_id,
        "number": attempt.number,
        "status_code": attempt.status_code,
        "error": attempt.error,
        "answer": attempt.answer,
        "duration_ms": attempt.duration_ms,
        "started_at_ms": attempt.started_at_ms,
    }


def _message_update(attempt: Attempt, now_ms: int) -> dict[str, Any]:
    ended_at_ms = attempt.started_at_ms + attempt.duration_ms
    return {
        "of_message": attempt.message_id,
        "new_state": attempt.state,
        "new_attempts": attempt.number,
        "new_status": attempt.status_code,
        "new_error": attempt.error,
        "new_next_attempt_ms": None if attempt.wait_ms is None else now_ms + attempt.wait_ms,
        "new_closed_at_ms": None if attempt.state == "waiting" else ended_at_ms,
    }


_is_due: Final = (
    mailboxes.c.due_at_ms <= NOW_MS,
    or_(mailboxes.c.lease_until_ms.is_(None), mailboxes.c.lease_until_ms <= NOW_MS),
)

# What each message costs is Prepared: see prepared.py.
_outputs_with_due: Final = Prepared(
    select(*STORED).where(
        outputs.c.state == "running",
        exists().where(mailboxes.c.output_id == outputs.c.id, *_is_due),
    )
)

# On SQLite there is no SKIP LOCKED, and no need: the write transaction keeps everybody else out.
_select_due: Final = Prepared(
    select(mailboxes.c.mpid, mailboxes.c.delivered_sequence)
    .where(mailboxes.c.output_id == bindparam("of_output"), *_is_due)
    .order_by(mailboxes.c.due_at_ms)
    .limit(1)
    .with_for_update(skip_locked=True)
)

_lease: Final = Prepared(
    update(mailboxes)
    .where(*THIS_MAILBOX)
    .values(lease_token=bindparam("new_token"), lease_until_ms=bindparam("new_until_ms"))
)

_recording: Final = (
    update(mailboxes)
    .where(*THIS_MAILBOX, mailboxes.c.lease_token == bindparam("held_token"))
    .values(
        delivered_sequence=case(
            (mailboxes.c.delivered_sequence < bindparam("delivered"), bindparam("delivered")),
            else_=mailboxes.c.delivered_sequence,
        )
    )
)

_advance: Final = Prepared(_recording)
_release: Final = Prepared(_recording.values(lease_token=null(), lease_until_ms=null()))

_forget_leases: Final = (
    update(mailboxes)
    .where(mailboxes.c.lease_token.is_not(None))
    .values(lease_token=None, lease_until_ms=None)
)

_select_waiting: Final = Prepared(
    select(
        messages.c.id,
        messages.c.workspace_id,
        messages.c.output_id,
        messages.c.mpid,
        messages.c.sequence,
        messages.c.event_id,
        messages.c.webhook_id,
        messages.c.body,
        messages.c.attempts,
        messages.c.attempts_before,
        messages.c.enqueued_at_ms,
    )
    .where(*WAITING_OF_MAILBOX)
    .order_by(messages.c.sequence)
    .limit(bindparam("most"))
)

_insert_attempt: Final = Prepared(insert(delivery_attempts))

_update_message: Final = Prepared(
    update(messages)
    .where(messages.c.id == bindparam("of_message"))
    .values(
        state=bindparam("new_state"),
        attempts=bindparam("new_attempts"),
        last_status=bindparam("new_status"),
        last_error=bindparam("new_error"),
        next_attempt_ms=func.coalesce(bindparam("new_next_attempt_ms"), messages.c.next_attempt_ms),
        closed_at_ms=bindparam("new_closed_at_ms"),
    )
)
