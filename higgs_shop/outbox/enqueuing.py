"""Putting messages into mailboxes, within the transaction of what they tell about."""

import secrets
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from sqlalchemy import Boolean, ColumnElement, Connection, bindparam, case, func, insert, null
from sqlalchemy.dialects import postgresql, sqlite

from higgs_shop.outbox.mailboxes import DATABASE_NOW_MS, NOW_MS, MailboxKey
from higgs_shop.outbox.message import Draft
from higgs_shop.prepared import Prepared
from higgs_shop.tables import mailboxes, message_events, messages

BACKLOG_IS_FULL: Final = "the backlog was full: not sent, to be replayed when there is room"


def new_webhook_id() -> str:
    """A fresh `webhook-id`, unique over all workspaces."""
    return f"msg_{secrets.token_hex(16)}"


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
    ((last_sequence,),) = _next_sequences[connection.dialect.name].rows(
        connection,
        {
            **MailboxKey(workspace_id, output_id, mpid).bound(),
            "more": len(drafts),
            "are_dead": is_dead,
            "now_ms": now_ms,
        },
    )
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
                "attempts": 0,
                "attempts_before": 0,
                "replay_id": None,
                "last_status": None,
                "last_error": dead_because,
                "enqueued_at_ms": now_ms,
                "next_attempt_ms": now_ms,
                "closed_at_ms": now_ms if is_dead else None,
                "delivered_before_ms": None,
            }
        )
    if any(draft.event_ids for draft in drafts):
        for row, draft in zip(rows, drafts, strict=True):
            _insert_with_events(connection, row, draft.event_ids)
    else:
        _insert_message.write(connection, *rows)
    return int(last_sequence)


def _insert_with_events(
    connection: Connection, row: Mapping[str, Any], event_ids: Sequence[int]
) -> None:
    message_id = connection.execute(_insert_numbered, row).scalar_one()
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


def _upsert(dialect_insert: Callable[..., Any], now_ms: ColumnElement[int]) -> Prepared:
    statement = dialect_insert(mailboxes).values(
        workspace_id=bindparam("of_workspace"),
        output_id=bindparam("of_output"),
        mpid=bindparam("of_mpid"),
        last_sequence=bindparam("more"),
        delivered_sequence=0,
        due_at_ms=case((bindparam("are_dead", type_=Boolean()), null()), else_=now_ms),
    )
    upsert = statement.on_conflict_do_update(
        index_elements=[mailboxes.c.workspace_id, mailboxes.c.output_id, mailboxes.c.mpid],
        set_={
            "last_sequence": mailboxes.c.last_sequence + statement.excluded.last_sequence,
            "due_at_ms": func.coalesce(mailboxes.c.due_at_ms, statement.excluded.due_at_ms),
        },
    )
    return Prepared(upsert.returning(mailboxes.c.last_sequence))


_next_sequences: Final = {
    "sqlite": _upsert(sqlite.insert, NOW_MS),
    # Whoever enqueues may be ahead of the clock that says what is due.
    "postgresql": _upsert(postgresql.insert, func.least(NOW_MS, DATABASE_NOW_MS)),
}

# What each event of a page costs is Prepared: see prepared.py.
_insert_message: Final = Prepared(insert(messages))
_insert_numbered: Final = insert(messages).returning(messages.c.id)

_insert_members: Final = insert(message_events)
