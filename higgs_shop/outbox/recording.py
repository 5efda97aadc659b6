"""Recording how the messages of leased mailboxes went, and giving the mailboxes back."""

from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal

from sqlalchemy import (
    Connection,
    Select,
    bindparam,
    case,
    func,
    insert,
    null,
    select,
    update,
)

from higgs_shop.outbox.given_up import count_given_up
from higgs_shop.outbox.mailboxes import (
    THIS_MAILBOX,
    WHEN_DUE,
    LeaseClock,
    MailboxKey,
    these_mailboxes,
)
from higgs_shop.outbox.message import Attempt, Claim, HandedIn
from higgs_shop.outputs import hold_alone, pause_output
from higgs_shop.prepared import Prepared, PreparedForSeveral
from higgs_shop.tables import delivery_attempts, mailboxes, messages

Recorded = Literal["kept", "lost", "busy"]
"""lost: the lease ran out and somebody else took the mailbox; nothing is stored, nor when it is busy:
somebody enqueues to it at this moment."""


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
