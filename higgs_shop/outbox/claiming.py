"""Leasing a mailbox to a sender, and recording how its messages went."""

import secrets
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final, Literal

from sqlalchemy import (
    Connection,
    Select,
    bindparam,
    case,
    exists,
    func,
    insert,
    null,
    or_,
    select,
    union_all,
    update,
)

from higgs_shop.database import Database
from higgs_shop.outbox.given_up import count_given_up
from higgs_shop.outbox.mailboxes import (
    IS_WAITING,
    NOW_MS,
    THIS_MAILBOX,
    WHEN_DUE,
    LeaseClock,
    MailboxKey,
    these_mailboxes,
)
from higgs_shop.outbox.message import Attempt, Claim, HandedIn, Message
from higgs_shop.outputs import hold_alone, pause_output
from higgs_shop.outputs.output import STORED, stored_output
from higgs_shop.prepared import Prepared, PreparedForSeveral
from higgs_shop.tables import delivery_attempts, mailboxes, messages, outputs

MOST_PER_CLAIM: Final = 20
"""How many messages of one person are read at once: what a claim costs is shared by so many."""

Recorded = Literal["kept", "lost", "busy"]
"""lost: the lease ran out and somebody else took the mailbox; nothing is stored, nor when it is busy:
somebody enqueues to it at this moment."""

_NOTHING_HELD: Final[Mapping[int, int]] = MappingProxyType({})


def new_token() -> str:
    """A fresh claim token, which nobody else can hold."""
    return secrets.token_hex(16)


def claim_due(
    connection: Connection,
    *,
    clock: LeaseClock,
    lease_ms: int,
    mailboxes: int = 1,
    held: Mapping[int, int] = _NOTHING_HELD,
    most_of_one_output: int | None = None,
    after_output: int = 0,
    most: int = MOST_PER_CLAIM,
    new_token: Callable[[], str] = new_token,
) -> list[Claim]:
    """Lease the mailboxes that have been due for longest, and read the first waiting messages of each.

    Args:
        connection: of a write transaction.
        clock: see LeaseClock.
        mailboxes: how many at most.
        held: how many of each output the caller has already: the output that it has fewest of comes first.
        most_of_one_output: no more than this, those that are held included, while several outputs run.
        after_output: among equals, the outputs take turns: the first behind this one comes first.
        most: how many messages of each mailbox.
    Returns: none when no mailbox is due, or all that are due are leased. A lease that ran out counts as
        given back: whoever held it may have sent without recording, so the same bytes go out again.
    """
    if mailboxes <= 0:
        return []
    now_ms = clock(connection)
    running = _running_outputs.rows(connection, {"now_ms": now_ms})
    if len(running) == 1:
        most_of_one_output = None
    able = [stored_output(stored) for *stored, is_due in running if is_due]
    due = {}
    for output in able:
        values = {"of_output": output.id, "now_ms": now_ms, "most": mailboxes}
        due[output.id] = deque(_select_due.rows(connection, values))
    of_number = {output.id: output for output in able}
    left = {output_id: len(found) for output_id, found in due.items()}
    taken = [
        (of_number[output_id], *due[output_id].popleft())
        for output_id in _in_turn(left, held, mailboxes, most_of_one_output, after_output)
    ]
    if not taken:
        return []
    token, until_ms = new_token(), now_ms + lease_ms
    keys = [MailboxKey(output.workspace_id, output.id, mpid) for output, mpid, _ in taken]
    bound = [key.bound() for key in keys]
    _lease.write(connection, bound, new_token=token, new_until_ms=until_ms)
    waiting: dict[MailboxKey, list[Message]] = {key: [] for key in keys}
    for row in _select_waiting.rows(connection, bound, most=most):
        message = Message(*row)
        key = MailboxKey(message.workspace_id, message.output_id, message.mpid)
        waiting[key].append(message)
    return [
        Claim(
            output=output,
            mpid=mpid,
            token=token,
            until_ms=until_ms,
            delivered_sequence=delivered_sequence,
            messages=tuple(sorted(waiting[key], key=lambda each: each.sequence)),
        )
        for key, (output, mpid, delivered_sequence) in zip(keys, taken, strict=True)
    ]


def record(
    connection: Connection,
    handed_in: Sequence[HandedIn],
    *,
    clock: LeaseClock,
    waits: bool = True,
) -> list[Recorded]:
    """Store how sending went, and give leases back.

    A mailbox that is given back is due again when its first waiting message is, but not before now: so it
    queues behind the others that are due, and a person with a long backlog holds up nobody.

    Args:
        connection: of a write transaction.
        handed_in: one for each mailbox.
        waits: for whoever enqueues to a mailbox at this moment, on PostgreSQL. Who records several must
            not: two that wait for each other's would wait for ever.
    Returns: what became of each, in the order given.
    """
    # Outputs are held before their mailboxes, by everybody.
    to_pause = {each.claim.output.id: each.claim.output for each in handed_in if each.pause_because}
    for output_id in sorted(to_pause):
        hold_alone(connection, to_pause[output_id])
    found = _hold(connection, [each.claim for each in handed_in], waits=waits)
    kept = [each for each, recorded in zip(handed_in, found, strict=True) if recorded == "kept"]
    if not kept:
        return found
    now_ms = clock(connection)
    attempts = [(each.claim, attempt) for each in kept for attempt in each.attempts]
    if attempts:
        _insert_attempt.write(connection, *(_attempt_row(*each) for each in attempts))
        _update_message.write(
            connection, *(_message_update(attempt, now_ms) for _, attempt in attempts)
        )
        _count_given_up(connection, kept)
    for statement, keeps_lease in ((_advance, True), (_release, False)):
        rows = [_mailbox_update(each, now_ms) for each in kept if each.keeps_lease is keeps_lease]
        if rows:
            statement.write(connection, *rows)
    for each in kept:
        if each.pause_because is not None:
            pause_output(connection, each.claim.output.id, each.pause_because, now_ms)
    return found


def forget_leases(database: Database) -> int:
    """Give every lease back at once, for the start of the only process that forwards (SQLite's case).

    Whoever held one is gone; waiting for its time to run out would only hold its messages up.
    Returns: how many there were.
    """
    with database.write() as connection:
        return connection.execute(_forget_leases).rowcount


def _in_turn(
    left: Mapping[int, int],
    held: Mapping[int, int],
    mailboxes: int,
    most_of_one: int | None,
    after_output: int,
) -> Iterator[int]:
    """Which output's mailbox is next, again and again: of the one that has the fewest, and by turns."""
    left = dict(left)
    having = {output_id: held.get(output_id, 0) for output_id in left}
    for _ in range(mailboxes):
        able = [
            output_id
            for output_id, count in left.items()
            if count and (most_of_one is None or having[output_id] < most_of_one)
        ]
        if not able:
            return
        chosen = min(able, key=lambda each: (having[each], each <= after_output, each))
        having[chosen] += 1
        left[chosen] -= 1
        after_output = chosen
        yield chosen


def _count_given_up(connection: Connection, kept: Sequence[HandedIn]) -> None:
    # In the order of outputs, so that two who record never wait for each other.
    for of_one in sorted(kept, key=lambda each: each.claim.output.id):
        count_given_up(connection, of_one.claim.output, of_one.attempts)


def _hold(connection: Connection, claims: Sequence[Claim], *, waits: bool) -> list[Recorded]:
    """Which mailboxes are still their claim's. Whoever enqueues to those waits until the end."""
    if not claims:
        return []
    keys = [_key(claim).bound() for claim in claims]
    tokens = _tokens(_hold_tokens if waits else _hold_free_tokens, connection, keys)
    if not waits and len(tokens) < len(claims):
        tokens_of_busy = _tokens(_look_at_tokens, connection, keys)
    else:
        tokens_of_busy = {}
    found: list[Recorded] = []
    for claim in claims:
        key = (claim.output.id, claim.mpid)
        if tokens.get(key) == claim.token:
            found.append("kept")
        elif key not in tokens and tokens_of_busy.get(key) == claim.token:
            found.append("busy")
        else:
            found.append("lost")
    return found


def _tokens(
    statement: PreparedForSeveral, connection: Connection, keys: Sequence[Mapping[str, Any]]
) -> dict[tuple[int, int], str | None]:
    """By output and MPID."""
    return {(output_id, mpid): token for output_id, mpid, token in statement.rows(connection, keys)}


def _key(claim: Claim) -> MailboxKey:
    return MailboxKey(claim.output.workspace_id, claim.output.id, claim.mpid)


def _mailbox_update(handed_in: HandedIn, now_ms: int) -> dict[str, Any]:
    claim = handed_in.claim
    sequences = {message.id: message.sequence for message in claim.messages}
    delivered = [
        sequences[each.message_id] for each in handed_in.attempts if each.state == "delivered"
    ]
    return {**_key(claim).bound(), "delivered": max(delivered, default=0), "now_ms": now_ms}


def _attempt_row(claim: Claim, attempt: Attempt) -> dict[str, Any]:
    return {
        "workspace_id": claim.output.workspace_id,
        "output_id": claim.output.id,
        "message_id": attempt.message_id,
        "number": attempt.number,
        "status_code": attempt.status_code,
        "error": attempt.error,
        "answer": attempt.answer,
        "retry_after": attempt.retry_after,
        "location": attempt.location,
        "wait_ms": attempt.wait_ms,
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
        "new_attempts_before": attempt.number if attempt.starts_anew else None,
    }


_is_due: Final = (
    mailboxes.c.due_at_ms <= NOW_MS,
    or_(mailboxes.c.lease_until_ms.is_(None), mailboxes.c.lease_until_ms <= NOW_MS),
)

# What each message costs is Prepared: see prepared.py.
_running_outputs: Final = Prepared(
    select(*STORED, exists().where(mailboxes.c.output_id == outputs.c.id, *_is_due)).where(
        outputs.c.state == "running"
    )
)

# On SQLite there is no SKIP LOCKED, and no need: the write transaction keeps everybody else out.
_select_due: Final = Prepared(
    select(mailboxes.c.mpid, mailboxes.c.delivered_sequence)
    .where(mailboxes.c.output_id == bindparam("of_output"), *_is_due)
    .order_by(mailboxes.c.due_at_ms)
    .limit(bindparam("most"))
    .with_for_update(skip_locked=True)
)

_lease: Final = PreparedForSeveral(
    lambda count: (
        update(mailboxes)
        .where(these_mailboxes(count))
        .values(lease_token=bindparam("new_token"), lease_until_ms=bindparam("new_until_ms"))
    )
)


def _select_tokens(count: int) -> Select[Any]:
    return select(mailboxes.c.output_id, mailboxes.c.mpid, mailboxes.c.lease_token).where(
        these_mailboxes(count)
    )


_look_at_tokens: Final = PreparedForSeveral(_select_tokens)
_hold_tokens: Final = PreparedForSeveral(lambda count: _select_tokens(count).with_for_update())
_hold_free_tokens: Final = PreparedForSeveral(
    lambda count: _select_tokens(count).with_for_update(skip_locked=True)
)

_recording: Final = (
    update(mailboxes)
    .where(*THIS_MAILBOX)
    .values(
        delivered_sequence=case(
            (mailboxes.c.delivered_sequence < bindparam("delivered"), bindparam("delivered")),
            else_=mailboxes.c.delivered_sequence,
        )
    )
)

_advance: Final = Prepared(_recording)
_release: Final = Prepared(
    _recording.values(lease_token=null(), lease_until_ms=null(), due_at_ms=WHEN_DUE)
)

_forget_leases: Final = (
    update(mailboxes)
    .where(mailboxes.c.lease_token.is_not(None))
    .values(lease_token=None, lease_until_ms=None)
)


def _waiting_of(number: int) -> Select[Any]:
    first = (
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
        .where(
            messages.c.workspace_id == bindparam(f"of_workspace_{number}"),
            messages.c.output_id == bindparam(f"of_output_{number}"),
            messages.c.mpid == bindparam(f"of_mpid_{number}"),
            IS_WAITING,
        )
        .order_by(messages.c.sequence)
        .limit(bindparam("most"))
    )
    # SQLite limits a part of a union only where it stands by itself.
    return select(first.subquery("found"))


_select_waiting: Final = PreparedForSeveral(
    lambda count: union_all(*(_waiting_of(number) for number in range(count)))
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
        attempts_before=func.coalesce(bindparam("new_attempts_before"), messages.c.attempts_before),
    )
)
