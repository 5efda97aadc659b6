"""Where the messages of events stand, for whoever shows events."""

from collections.abc import Collection
from typing import Final

from sqlalchemy import Connection, RowMapping, and_, bindparam, select, union_all

from higgs_shop.outbox.mailboxes import MAILBOX_OF_MESSAGE
from higgs_shop.outbox.message import MessageState
from higgs_shop.tables import mailboxes, message_events, messages


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
        lease_until_ms=row["lease_until_ms"],
        delivered_at_ms=row["closed_at_ms"] if row["state"] == "delivered" else None,
        sequence=row["sequence"],
        webhook_id=row["webhook_id"],
    )


_message_state_columns: Final = (
    messages.c.output_id,
    messages.c.state,
    messages.c.attempts,
    messages.c.last_status,
    messages.c.last_error,
    messages.c.next_attempt_ms,
    mailboxes.c.lease_until_ms,
    messages.c.closed_at_ms,
    messages.c.sequence,
    messages.c.webhook_id,
    messages.c.id,
)

_select_of_events: Final = union_all(
    select(messages.c.event_id, *_message_state_columns)
    .join_from(messages, mailboxes, MAILBOX_OF_MESSAGE, isouter=True)
    .where(
        messages.c.workspace_id == bindparam("of_workspace"),
        messages.c.event_id.in_(bindparam("event_ids", expanding=True)),
    ),
    select(message_events.c.event_id, *_message_state_columns)
    .join_from(
        message_events,
        messages,
        and_(
            messages.c.id == message_events.c.message_id,
            messages.c.workspace_id == message_events.c.workspace_id,
        ),
    )
    .join(mailboxes, MAILBOX_OF_MESSAGE, isouter=True)
    .where(
        message_events.c.workspace_id == bindparam("of_workspace"),
        message_events.c.event_id.in_(bindparam("event_ids", expanding=True)),
    ),
).order_by("id")
