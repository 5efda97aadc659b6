"""Copying what one person did to another, as an alias asks for."""

from typing import Final

from sqlalchemy import Connection, Text, bindparam, cast, exists, insert, or_, select

from higgs_shop.tables import batches, events, visits


def copy_events(
    connection: Connection,
    workspace_id: str,
    *,
    source_mpid: int,
    destination_mpid: int,
    start_ms: int,
    end_ms: int,
    device_stamp: str | None,
) -> int:
    """Copy a person's events of a period, both ends included, to somebody else.

    A copy happened when the event happened, and belongs to no visit or session of the store's. It is
    not delivered: a receiver has had the event, under the person who it was then.

    Args:
        device_stamp: only what was done on this device; None for everything.
    Returns: how many were copied.
    """
    copied = connection.execute(
        _COPY if device_stamp is None else _COPY_OF_DEVICE,
        {
            "of_workspace": workspace_id,
            "source": source_mpid,
            "destination": destination_mpid,
            "start": start_ms,
            "end": end_ms,
            "stamp": device_stamp,
        },
        # Without this option SQLAlchemy may say -1 of an insert on PostgreSQL.
        execution_options={"preserve_rowcount": True},
    )
    return copied.rowcount


def first_event_ms(connection: Connection, workspace_id: str, mpid: int) -> int | None:
    """When the first event of a person happened; None when there is none."""
    values = {"of_workspace": workspace_id, "source": mpid}
    at_ms: int | None = connection.execute(_FIRST, values).scalar()
    return at_ms


_OF_SOURCE: Final = (
    events.c.workspace_id == bindparam("of_workspace"),
    events.c.mpid == bindparam("source"),
)
_destination: Final = bindparam("destination", type_=events.c.mpid.type)
_COPIED: Final = {
    "workspace_id": events.c.workspace_id,
    "copied_from": events.c.id,
    "batch_id": events.c.batch_id,
    "request_id": events.c.request_id,
    "mpid": _destination,
    "event_type": events.c.event_type,
    "name": events.c.name,
    "data": events.c.data,
    # Unique in the workspace, as the event's own is.
    "source_message_id": events.c.source_message_id + " for " + cast(_destination, Text),
    "code_place": events.c.code_place,
    "logged_at_ms": events.c.logged_at_ms,
}
_FOUND: Final = (
    select(*_COPIED.values())
    .where(
        *_OF_SOURCE,
        events.c.logged_at_ms >= bindparam("start"),
        events.c.logged_at_ms <= bindparam("end"),
    )
    .order_by(events.c.logged_at_ms, events.c.id)
)
_COPY: Final = insert(events).from_select(list(_COPIED), _FOUND)
_COPY_OF_DEVICE: Final = insert(events).from_select(
    list(_COPIED),
    _FOUND.where(
        or_(
            exists()
            .where(visits.c.id == events.c.visit_id, visits.c.device_stamp == bindparam("stamp"))
            .correlate(events),
            exists()
            .where(batches.c.id == events.c.batch_id, batches.c.device_stamp == bindparam("stamp"))
            .correlate(events),
        )
    ),
)
_FIRST: Final = (
    select(events.c.logged_at_ms)
    .where(*_OF_SOURCE)
    .order_by(events.c.logged_at_ms, events.c.id)
    .limit(1)
)
