"""Leasing mailboxes to a sender, with their first messages."""

import secrets
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, Final

from sqlalchemy import (
    Connection,
    Select,
    bindparam,
    exists,
    or_,
    select,
    union_all,
    update,
)

from higgs_shop.database import Database
from higgs_shop.outbox.mailboxes import (
    IS_WAITING,
    NOW_MS,
    LeaseClock,
    MailboxKey,
    these_mailboxes,
)
from higgs_shop.outbox.message import Claim, Message
from higgs_shop.outputs import LONGEST_LEFT_ALONE_MS, Output, take_probe
from higgs_shop.outputs.output import STORED, stored_output
from higgs_shop.prepared import Prepared, PreparedForSeveral
from higgs_shop.tables import mailboxes, messages, outputs

MOST_PER_CLAIM: Final = 20
"""How many messages of one person are read at once: what a claim costs is shared by so many."""

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

    An output at which nobody answers gives none while it is left alone, and then one, which is a probe.

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
        most_there = _most_of(output, mailboxes, now_ms=now_ms, lease_ms=lease_ms)
        values = {"of_output": output.id, "now_ms": now_ms, "most": most_there}
        due[output.id] = deque(_select_due.rows(connection, values) if most_there else ())
    of_number = {output.id: output for output in able}
    left = {output_id: len(found) for output_id, found in due.items()}
    taken = [
        (of_number[output_id], *due[output_id].popleft())
        for output_id in _in_turn(left, held, mailboxes, most_of_one_output, after_output)
    ]
    token, until_ms = new_token(), now_ms + lease_ms
    taken = [
        each
        for each in taken
        if each[0].unreachable_since_ms is None
        or take_probe(connection, each[0], until_ms=until_ms)
    ]
    if not taken:
        return []
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
            is_probe=output.unreachable_since_ms is not None,
        )
        for key, (output, mpid, delivered_sequence) in zip(keys, taken, strict=True)
    ]


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


def _most_of(output: Output, mailboxes: int, *, now_ms: int, lease_ms: int) -> int:
    """How many mailboxes of an output may be leased now."""
    if output.left_alone_until_ms is None:
        return mailboxes
    left_ms = output.left_alone_until_ms - now_ms
    # Further ahead than it can be: the clock was set back.
    return 0 if 0 < left_ms <= max(LONGEST_LEFT_ALONE_MS, lease_ms) else 1


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
