"""Taking back what a receiver has not got yet: whoever did it does not want to be tracked any more."""

import secrets
from typing import Any, Final

from sqlalchemy import Connection, and_, bindparam, delete, func, or_, select, union, update

from higgs_shop.outbox.mailboxes import (
    THIS_MAILBOX,
    MailboxKey,
    hold_mailbox,
    mailbox_time,
    set_due,
)
from higgs_shop.outputs import outputs_of
from higgs_shop.tables import events, mailboxes, message_events, messages, visits


def withdraw(connection: Connection, workspace_id: str, device_stamp: str, *, now_ms: int) -> int:
    """Forget the messages about what was done on a device that were not delivered, waiting or dead.

    Their numbers stay taken: the next message of the person tells the receiver of the gap. What a
    receiver has already, and was to get again, counts as delivered, and is not sent again. What is being
    sent at this very moment may still arrive; who sends it stops after that.

    Args:
        connection: of a write transaction.
        now_ms: when, on SQLite; PostgreSQL's own time is what mailboxes go by there.
    Returns: how many events they were about.
    """
    of = {"of_workspace": workspace_id, "of_device": device_stamp}
    outputs_of(connection, workspace_id)  # which are held before their mailboxes, by everybody
    keys = [MailboxKey(workspace_id, *row) for row in connection.execute(_MAILBOXES_OF_DEVICE, of)]
    for key in keys:
        hold_mailbox(connection, key)
        # A sender may have read what it is to send. It asks for its lease before each further message;
        # until the lease ends, nobody else begins.
        connection.execute(_TAKE_LEASE, key.bound() | {"new_token": secrets.token_hex(16)})
    # By now, some may be delivered.
    count: int = connection.execute(_COUNT_EVENTS, of).scalar_one()
    connection.execute(_CLOSE_AGAIN, of)
    connection.execute(_FORGET, of)
    if keys:
        set_due(connection, keys, mailbox_time(connection, now_ms))
    return count


_events_of_device: Final = (
    select(events.c.id)
    .join_from(visits, events, events.c.visit_id == visits.c.id)
    .where(
        visits.c.workspace_id == bindparam("of_workspace"),
        visits.c.device_stamp == bindparam("of_device"),
        events.c.workspace_id == bindparam("of_workspace"),
    )
)
_is_left: Final = (
    messages.c.workspace_id == bindparam("of_workspace"),
    or_(
        messages.c.state == "waiting",
        and_(messages.c.state == "dead", messages.c.delivered_before_ms.is_(None)),
    ),
)
_is_alone: Final = messages.c.event_id.in_(_events_of_device)
_in_message: Final = (
    message_events.c.workspace_id == bindparam("of_workspace"),
    message_events.c.event_id.in_(_events_of_device),
)
_of_several: Final = (*_is_left, messages.c.id == message_events.c.message_id, *_in_message)


def _found(of_one: Any, of_several: Any) -> Any:
    """What is left of the device, whether a message has one event or several."""
    return union(
        select(*of_one).where(*_is_left, _is_alone), select(*of_several).where(*_of_several)
    )


_MAILBOXES_OF_DEVICE: Final = _found(
    (messages.c.output_id, messages.c.mpid), (messages.c.output_id, messages.c.mpid)
).order_by("output_id", "mpid")

_COUNT_EVENTS: Final = select(func.count()).select_from(
    _found((messages.c.event_id,), (message_events.c.event_id,)).subquery("found")
)

_ids: Final = select(_found((messages.c.id,), (messages.c.id,)).subquery("found").c.id)
_these: Final = (messages.c.workspace_id == bindparam("of_workspace"), messages.c.id.in_(_ids))

_CLOSE_AGAIN: Final = (
    update(messages)
    .where(*_these, messages.c.delivered_before_ms.is_not(None))
    .values(state="delivered", closed_at_ms=messages.c.delivered_before_ms)
)
_FORGET: Final = delete(messages).where(*_these, messages.c.delivered_before_ms.is_(None))

_TAKE_LEASE: Final = (
    update(mailboxes)
    .where(*THIS_MAILBOX, mailboxes.c.lease_token.is_not(None))
    .values(lease_token=bindparam("new_token"))
)
