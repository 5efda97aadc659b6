"""The outbox's SQL: mailboxes hand out sequence numbers and leases, messages wait in them.

There is one mailbox for each MPID at each output of a workspace. Its row is what orders everything: enqueuing updates
it, so that on PostgreSQL a second writer waits and sequence numbers follow the order of commits; and
claiming leases it, so that two senders never work on one person's messages at once.
"""

import secrets
import uuid
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Final, NamedTuple

from sqlalchemy import (
    BigInteger,
    Boolean,
    ColumnElement,
    Connection,
    RowMapping,
    and_,
    bindparam,
    case,
    cast,
    exists,
    func,
    insert,
    literal_column,
    null,
    or_,
    select,
    union_all,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite

from higgs_shop.database import Database
from higgs_shop.outbox.message import Attempt, Claim, Draft, Message, MessageState
from higgs_shop.outputs import hold_alone, pause_output
from higgs_shop.outputs.output import STORED, stored_output
from higgs_shop.prepared import Prepared
from higgs_shop.tables import delivery_attempts, mailboxes, message_events, messages, outputs

LeaseClock = Callable[[Connection], int]
"""What time it is for leases and for what is due, the same for everybody: see `database_time`."""

BACKLOG_IS_FULL: Final = "the backlog was full: not sent, to be replayed when there is room"

MOST_PER_CLAIM: Final = 50
"""Two transactions are paid for each claim: at fifty messages they cost an eighth of the sending."""


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


def new_webhook_id() -> str:
    """A fresh `webhook-id`, unique over all workspaces."""
    return f"msg_{uuid.uuid4().hex}"


def new_token() -> str:
    """A fresh claim token, which nobody else can hold."""
    return secrets.token_hex(16)


def enqueue(
    connection: Connection,
    *,
    workspace_id: str,
    output_id: int,
    mpid: int,
    drafts: Sequence[Draft],
    now_ms: int,
    dead_because: str | None = None,
    new_webhook_id: Callable[[], str] = new_webhook_id,
) -> int:
    """Put events into their MPID's mailbox, inside the write transaction of what caused them.

    Messages and change are kept together, or not at all. The first attempt is due at once.

    Args:
        connection: of the caller's write transaction.
        workspace_id: whose output it is.
        output_id: which output it is for.
        mpid: whose events they are; its mailbox is made with the first. They get the next sequence
            numbers, in the order given.
        drafts: one at least.
        now_ms: when.
        dead_because: makes them dead letters at once, for this reason.
        new_webhook_id: makes an id that no message of any workspace has.
    Returns: the sequence number of the last one.
    """
    is_dead = dead_because is not None
    last_sequence: int = connection.execute(
        _next_sequences[connection.dialect.name],
        {
            **MailboxKey(workspace_id, output_id, mpid).bound(),
            "more": len(drafts),
            "are_dead": is_dead,
            "now_ms": now_ms,
        },
    ).scalar_one()
    rows = []
    for sequence, draft in enumerate(drafts, last_sequence - len(drafts) + 1):
        webhook_id = new_webhook_id()
        rows.append(
            {
                "workspace_id": workspace_id,
                "output_id": output_id,
                "mpid": mpid,
                "sequence": sequence,
                "event_id": draft.event_id,
                "webhook_id": webhook_id,
                "body": draft.make_body(sequence, webhook_id),
                "state": "dead" if is_dead else "waiting",
                "last_error": dead_because,
                "enqueued_at_ms": now_ms,
                "next_attempt_ms": now_ms,
                "closed_at_ms": now_ms if is_dead else None,
            }
        )
    if any(draft.event_ids for draft in drafts):
        for row, draft in zip(rows, drafts, strict=True):
            _insert_with_events(connection, row, draft.event_ids)
    else:
        connection.execute(_insert_messages, rows)
    return last_sequence


def _insert_with_events(
    connection: Connection, row: Mapping[str, Any], event_ids: Sequence[int]
) -> None:
    written = connection.execute(_insert_messages, row)
    (message_id,) = written.inserted_primary_key  # type: ignore[misc]  # the row has one
    members = [
        {
            "workspace_id": row["workspace_id"],
            "event_id": event_id,
            "message_id": message_id,
        }
        for event_id in event_ids
    ]
    if members:
        connection.execute(_insert_members, members)


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
    key = MailboxKey(claim.output.workspace_id, claim.output.id, claim.mpid).bound()
    sequences = {message.id: message.sequence for message in claim.messages}
    delivered = [sequences[each.message_id] for each in attempts if each.state == "delivered"]
    if pause_because is not None:
        # Outputs are held before their mailboxes, by everybody.
        hold_alone(connection, claim.output)
    # It locks the mailbox on PostgreSQL: whoever enqueues now waits until the end.
    held = (_advance if keeps_lease else _release).write(
        connection,
        key | {"held_token": claim.token, "delivered": max(delivered, default=0)},
    )
    if held == 0:
        return False
    now_ms = clock(connection)
    if attempts:
        _insert_attempt.write(connection, *(_attempt_row(claim, each) for each in attempts))
        _update_message.write(connection, *(_message_update(each, now_ms) for each in attempts))
    if not keeps_lease:
        _set_due.write(connection, key | {"now_ms": now_ms})
    if pause_because is not None:
        pause_output(connection, claim.output.id, pause_because, now_ms)
    return True


def hold_mailbox(connection: Connection, key: MailboxKey) -> bool:
    """Wait until nobody enqueues to this mailbox or records it, and keep it so in this transaction.

    Returns: False when there is no such mailbox (any more).
    """
    return connection.scalar(_hold_mailbox, key.bound()) is not None


def hold_free_mailboxes(
    connection: Connection, workspace_id: str, output_id: int, mpids: Collection[int]
) -> set[int]:
    """The same for several mailboxes of an output, but without waiting. Returns: whose are held."""
    values = {"of_workspace": workspace_id, "of_output": output_id, "mpids": list(mpids)}
    return set(connection.scalars(_hold_free_mailboxes, values))


def set_due(connection: Connection, keys: Sequence[MailboxKey], now_ms: int) -> None:
    """Make mailboxes due when their first waiting message is, but not before now; never if none waits.

    Args:
        connection: of a write transaction that holds these mailboxes.
        keys: one at least.
        now_ms: by the clock that leases are dated by.
    """
    _set_due.write(connection, *(key.bound() | {"now_ms": now_ms} for key in keys))


def database_time(connection: Connection) -> int:
    """PostgreSQL's own time: several machines forward, and their clocks differ."""
    now_ms: int = connection.execute(_database_time).scalar_one()
    return now_ms


def forget_leases(database: Database) -> int:
    """Give every lease back at once, for the start of the only process that forwards (SQLite's case).

    Whoever held one is gone; waiting for its time to run out would only hold its messages up.
    Returns: how many there were.
    """
    with database.write() as connection:
        return connection.execute(_forget_leases).rowcount


def messages_of_events(
    connection: Connection, workspace_id: str, event_ids: Collection[int]
) -> dict[int, list[MessageState]]:
    """Where the messages of these events stand, by event id, one for each output that wanted it.

    Events that were sent together share a message. Those without one are left out.
    """
    rows = connection.execute(
        _select_of_events, {"of_workspace": workspace_id, "event_ids": list(event_ids)}
    )
    found: dict[int, list[MessageState]] = {}
    for row in rows.mappings():
        found.setdefault(row["event_id"], []).append(_message_state(row))
    return found


def _message_state(row: RowMapping) -> MessageState:
    return MessageState(
        output_id=row["output_id"],
        state=row["state"],
        attempts=row["attempts"],
        last_status=row["last_status"],
        last_error=row["last_error"],
        next_attempt_ms=row["next_attempt_ms"] if row["state"] == "waiting" else None,
        delivered_at_ms=row["closed_at_ms"] if row["state"] == "delivered" else None,
        sequence=row["sequence"],
        webhook_id=row["webhook_id"],
    )


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


_now_ms: Final = bindparam("now_ms", type_=BigInteger())

_database_now_ms: Final = cast(
    func.floor(func.extract("epoch", func.clock_timestamp()) * 1_000), BigInteger
)

_database_time: Final = select(_database_now_ms)


def _upsert(dialect_insert: Callable[..., Any], now_ms: ColumnElement[int]) -> Any:
    statement = dialect_insert(mailboxes).values(
        workspace_id=bindparam("of_workspace"),
        output_id=bindparam("of_output"),
        mpid=bindparam("of_mpid"),
        last_sequence=bindparam("more"),
        delivered_sequence=0,
        due_at_ms=case((bindparam("are_dead", type_=Boolean()), null()), else_=now_ms),
    )
    return statement.on_conflict_do_update(
        index_elements=[mailboxes.c.workspace_id, mailboxes.c.output_id, mailboxes.c.mpid],
        set_={
            "last_sequence": mailboxes.c.last_sequence + statement.excluded.last_sequence,
            "due_at_ms": func.coalesce(mailboxes.c.due_at_ms, statement.excluded.due_at_ms),
        },
    ).returning(mailboxes.c.last_sequence)


_next_sequences: Final = {
    "sqlite": _upsert(sqlite.insert, _now_ms),
    # Whoever enqueues may be ahead of the clock that says what is due.
    "postgresql": _upsert(postgresql.insert, func.least(_now_ms, _database_now_ms)),
}

_insert_messages: Final = insert(messages).values(attempts=0, attempts_before=0)

_insert_members: Final = insert(message_events)

_this_mailbox: Final = (
    mailboxes.c.workspace_id == bindparam("of_workspace"),
    mailboxes.c.output_id == bindparam("of_output"),
    mailboxes.c.mpid == bindparam("of_mpid"),
)

_hold_mailbox: Final = select(mailboxes.c.mpid).where(*_this_mailbox).with_for_update()

_hold_free_mailboxes: Final = (
    select(mailboxes.c.mpid)
    .where(
        mailboxes.c.workspace_id == bindparam("of_workspace"),
        mailboxes.c.output_id == bindparam("of_output"),
        mailboxes.c.mpid.in_(bindparam("mpids", expanding=True)),
    )
    .with_for_update(skip_locked=True)
)

_is_due: Final = (
    mailboxes.c.due_at_ms <= _now_ms,
    or_(mailboxes.c.lease_until_ms.is_(None), mailboxes.c.lease_until_ms <= _now_ms),
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
    .where(*_this_mailbox)
    .values(lease_token=bindparam("new_token"), lease_until_ms=bindparam("new_until_ms"))
)

_recording: Final = (
    update(mailboxes)
    .where(*_this_mailbox, mailboxes.c.lease_token == bindparam("held_token"))
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

# Written out, not bound: SQLite takes a partial index only for a condition that it can read.
IS_WAITING: Final = messages.c.state == literal_column("'waiting'")

_waiting_of_mailbox: Final = (
    messages.c.workspace_id == bindparam("of_workspace"),
    messages.c.output_id == bindparam("of_output"),
    messages.c.mpid == bindparam("of_mpid"),
    IS_WAITING,
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
    .where(*_waiting_of_mailbox)
    .order_by(messages.c.sequence)
    .limit(bindparam("most"))
)

# What was not tried yet, or not since it was replayed, is due at once, whatever its writer's clock said.
_first_due_ms: Final = (
    select(
        case(
            (messages.c.attempts > messages.c.attempts_before, messages.c.next_attempt_ms),
            else_=_now_ms,
        )
    )
    .where(*_waiting_of_mailbox)
    .order_by(messages.c.sequence)
    .limit(1)
    .scalar_subquery()
)

_set_due: Final = Prepared(
    update(mailboxes)
    .where(*_this_mailbox)
    # Null when nothing waits: no comparison with null holds, so that the other branch gives it on.
    .values(due_at_ms=case((_first_due_ms < _now_ms, _now_ms), else_=_first_due_ms))
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

_message_state_columns: Final = (
    messages.c.output_id,
    messages.c.state,
    messages.c.attempts,
    messages.c.last_status,
    messages.c.last_error,
    messages.c.next_attempt_ms,
    messages.c.closed_at_ms,
    messages.c.sequence,
    messages.c.webhook_id,
    messages.c.id,
)

_select_of_events: Final = union_all(
    select(messages.c.event_id, *_message_state_columns).where(
        messages.c.workspace_id == bindparam("of_workspace"),
        messages.c.event_id.in_(bindparam("event_ids", expanding=True)),
    ),
    select(message_events.c.event_id, *_message_state_columns)
    .join(
        messages,
        and_(
            messages.c.id == message_events.c.message_id,
            messages.c.workspace_id == message_events.c.workspace_id,
        ),
    )
    .where(
        message_events.c.workspace_id == bindparam("of_workspace"),
        message_events.c.event_id.in_(bindparam("event_ids", expanding=True)),
    ),
).order_by("id")
