"""Stored events with all that a message tells of them, and how they become one."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from higgs_shop import outbox
from higgs_shop.database import JsonText
from higgs_shop.outputs import OutputSettings
from higgs_shop.tracker.batch import Origin, Person, batch_body, event_json


@dataclass(frozen=True)
class AttributedEvent:
    """A stored event with all that its message says: what happened, to whom, and where it comes from.

    Attributes:
        id: the row in `events`; None for the message of a batch without events.
        received_at_ms: when the store learnt of it.
        session_uuid: the session it belongs to, the store's or a client's, if any.
        session_sequence: its place in the session, where the store counts them.
    """

    id: int | None
    person: Person
    event_type: str
    data: JsonText
    happened_at_ms: int
    received_at_ms: int
    session_uuid: str | None
    session_sequence: int | None
    origin: Origin


def draft_of(together: Sequence[AttributedEvent], settings: OutputSettings) -> outbox.Draft:
    """The message of one event, or of several of one person that are posted together.

    What the body says of the person, and of where it comes from, is what was received last.
    """
    events = [event for event in together if event.id is not None]
    ids = tuple(event.id for event in events if event.id is not None)
    newest = max(reversed(together), key=lambda event: event.received_at_ms)
    requests = {event.origin.source_request_id for event in together}
    origin = newest.origin if len(requests) == 1 else replace(newest.origin, source_request_id=None)

    def make_body(sequence: int, webhook_id: str) -> bytes:
        return batch_body(
            events=[event_json(event.event_type, event.data) for event in events],
            person=newest.person,
            origin=origin,
            sequence=sequence,
            session_sequences=[event.session_sequence for event in events],
            received_at_ms=newest.received_at_ms,
            webhook_id=webhook_id,
            settings=settings,
        )

    if len(ids) > 1:
        return outbox.Draft(None, make_body, ids)
    return outbox.Draft(ids[0] if ids else None, make_body)
