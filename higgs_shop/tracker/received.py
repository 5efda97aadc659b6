"""Events that clients send: kept once each, under the person that their batch is about, and handed over.

A batch is known by its `source_request_id`, an event by its `source_message_id`; both are unique in a
workspace, and the database says which come again. Clients repeat themselves: browsers that are closed
cannot know whether what they sent has arrived.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, bindparam, select
from sqlalchemy.dialects import postgresql, sqlite

from higgs_shop.tables import batches, events
from higgs_shop.tracker.attributed import AttributedEvent
from higgs_shop.tracker.batch import Origin, Person, numbered
from higgs_shop.tracker.code_place import code_place
from higgs_shop.tracker.hand_over import hand_over
from higgs_shop.tracker.json_text import compact_json
from higgs_shop.tracker.people import AttributeNews, identities_of, keep_attributes

TRACKS_FOR_ITS_CALLER = True


@dataclass(frozen=True)
class ReceivedEvent:
    """An event as a client sent it, checked.

    Attributes:
        name: what people call it.
        data: the wire's members, without those that a server fills in.
        session_uuid: the client's session, if it has any.
    """

    event_type: str
    name: str
    data: Mapping[str, Any]
    source_message_id: str
    session_uuid: str | None
    happened_at_ms: int


@dataclass(frozen=True)
class ReceivedBatch:
    """What a client sent about one person, checked and attributed.

    Attributes:
        events: in the order in which they happened.
        identities: what the client knows of the person's identities, in the HTTP API's spelling.
        attributes: what it says of the person's attributes.
        told_at_ms: when it knew all that.
        is_historical: kept, and not handed over.
    """

    source_request_id: str
    mpid: int
    origin: Origin
    events: Sequence[ReceivedEvent]
    identities: Mapping[str, str]
    attributes: AttributeNews
    told_at_ms: int
    received_at_ms: int
    is_historical: bool


def mpid_of_batch(connection: Connection, workspace_id: str, source_request_id: str) -> int | None:
    """Whose batch it was that was kept under this name; None when there is none."""
    names = {"workspace": workspace_id, "request": source_request_id}
    return connection.execute(_MPID_OF_BATCH, names).scalar()


@dataclass(frozen=True)
class KeptBatch:
    """What became of a batch.

    Attributes:
        is_new: whether it was kept; else one of this name was before, and nothing was written.
        refused_attributes: the names of the user attributes that its person had no room for.
    """

    is_new: bool
    refused_attributes: Sequence[str] = ()


def keep_batch(connection: Connection, workspace_id: str, batch: ReceivedBatch) -> KeptBatch:
    """Write a batch down with those of its events that are new, and hand them to the outbox."""
    batch_id = connection.execute(
        _INSERT_BATCH[connection.dialect.name],
        {
            "workspace_id": workspace_id,
            "source_request_id": batch.source_request_id,
            "mpid": batch.mpid,
            "device_stamp": batch.attributes.told_by,
            "channel": batch.origin.channel,
            "environment": batch.origin.environment,
            "is_historical": batch.is_historical,
            "facts": {
                "device_info": batch.origin.device_info,
                "application_info": batch.origin.application_info,
                "passed_on": batch.origin.passed_on,
                "context": batch.origin.context,
            },
            "received_at_ms": batch.received_at_ms,
        },
    ).scalar()
    if batch_id is None:
        return KeptBatch(is_new=False)
    once = _each_once(batch.events)
    rows = [_row(workspace_id, batch, batch_id, event) for event in once]
    new = _insert_events(connection, rows)
    attributes = keep_attributes(connection, workspace_id, batch.mpid, batch.attributes)
    kept = KeptBatch(is_new=True, refused_attributes=attributes.refused)
    if batch.is_historical:
        return kept
    identities = identities_of(
        connection, workspace_id, batch.mpid, batch.identities, batch.told_at_ms
    )
    person = Person(batch.mpid, identities, attributes.values)
    attributed = [
        AttributedEvent(
            new[row["source_message_id"]],
            person,
            row["event_type"],
            row["data"],
            event.happened_at_ms,
            batch.received_at_ms,
            event.session_uuid,
            None,
            batch.origin,
        )
        for row, event in zip(rows, once, strict=True)
        if event.source_message_id in new
    ]
    if not batch.events:
        at_ms = batch.received_at_ms
        attributed = [
            AttributedEvent(
                None, person, "", compact_json({}), at_ms, at_ms, None, None, batch.origin
            )
        ]
    hand_over(connection, workspace_id, attributed, batch.received_at_ms)
    return kept


def _each_once(sent: Sequence[ReceivedEvent]) -> list[ReceivedEvent]:
    first: dict[str, ReceivedEvent] = {}
    for event in sent:
        first.setdefault(event.source_message_id, event)
    return list(first.values())


def _row(
    workspace_id: str, batch: ReceivedBatch, batch_id: int, event: ReceivedEvent
) -> dict[str, Any]:
    filled_in = numbered(event.happened_at_ms, event.source_message_id, event.session_uuid)
    return {
        "workspace_id": workspace_id,
        "batch_id": batch_id,
        "request_id": batch.source_request_id,
        "mpid": batch.mpid,
        "event_type": event.event_type,
        "name": event.name,
        "data": compact_json({**filled_in, **event.data}),
        "source_message_id": event.source_message_id,
        "code_place": code_place(),
        "logged_at_ms": event.happened_at_ms,
    }


def _insert_events(connection: Connection, rows: Sequence[dict[str, Any]]) -> dict[str, int]:
    """The ids of those that are new, by source_message_id."""
    if not rows:
        return {}
    written = connection.execute(_INSERT_EVENTS[connection.dialect.name], list(rows))
    return {row.source_message_id: row.id for row in written}


_INSERT_BATCH: Final = {
    dialect.__name__.rpartition(".")[2]: dialect.insert(batches)
    .on_conflict_do_nothing(index_elements=["workspace_id", "source_request_id"])
    .returning(batches.c.id)
    for dialect in (sqlite, postgresql)
}
_INSERT_EVENTS: Final = {
    dialect.__name__.rpartition(".")[2]: dialect.insert(events)
    .on_conflict_do_nothing(index_elements=["workspace_id", "source_message_id"])
    .returning(events.c.id, events.c.source_message_id)
    for dialect in (sqlite, postgresql)
}
_MPID_OF_BATCH: Final = select(batches.c.mpid).where(
    batches.c.workspace_id == bindparam("workspace"),
    batches.c.source_request_id == bindparam("request"),
)
