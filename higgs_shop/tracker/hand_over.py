"""From a stored event to its message: the one way to the outbox, wherever the event comes from."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby

from sqlalchemy import Connection

from higgs_shop import outbox
from higgs_shop.database import JsonText
from higgs_shop.outputs import OutputSettings, outputs_of
from higgs_shop.tracker.batch import Origin, Person, batch_body, event_json


@dataclass(frozen=True)
class AttributedEvent:
    """A stored event with all that its message says: what happened, to whom, and where it comes from.

    Attributes:
        id: the row in `events`; None for the message of a batch without events.
        received_at_ms: when the store learnt of it.
        session_sequence: its place in the session, where the store counts them.
    """

    id: int | None
    person: Person
    event_type: str
    data: JsonText
    received_at_ms: int
    session_sequence: int | None
    origin: Origin


def hand_over(
    connection: Connection, workspace_id: str, attributed: Sequence[AttributedEvent], now_ms: int
) -> None:
    """Give events to the outbox, inside the transaction that wrote them, in the order given.

    Each output of the workspace gets a message of its own of every event that it wants.
    """
    if not attributed:
        return
    for output in outputs_of(connection, workspace_id):
        wanted = [event for event in attributed if _is_wanted(event, output.settings)]
        for mpid, theirs in groupby(wanted, key=lambda event: event.person.mpid):
            outbox.enqueue(
                connection,
                workspace_id=workspace_id,
                output_id=output.id,
                mpid=mpid,
                drafts=[
                    outbox.Draft(event.id, _body_of(event, output.settings)) for event in theirs
                ],
                now_ms=now_ms,
                dead_because=outbox.BACKLOG_IS_FULL if output.is_full else None,
            )


def _is_wanted(event: AttributedEvent, settings: OutputSettings) -> bool:
    if event.id is None:
        return settings.is_active and settings.send_batches_without_events
    return settings.wants(event.event_type)


def _body_of(event: AttributedEvent, settings: OutputSettings) -> Callable[[int, str], bytes]:
    return lambda sequence, webhook_id: batch_body(
        events=[] if event.id is None else [event_json(event.event_type, event.data)],
        person=event.person,
        origin=event.origin,
        sequence=sequence,
        session_sequence=event.session_sequence,
        received_at_ms=event.received_at_ms,
        webhook_id=webhook_id,
        settings=settings,
    )
