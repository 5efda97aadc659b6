"""From a stored event to its message: the one way to the outbox, wherever the event comes from."""

from collections.abc import Sequence
from itertools import groupby

from sqlalchemy import Connection

from higgs_shop import outbox
from higgs_shop.outputs import Output, OutputSettings, outputs_of
from higgs_shop.tracker.attributed import AttributedEvent, draft_of
from higgs_shop.tracker.gathering import gather


def hand_over(
    connection: Connection, workspace_id: str, attributed: Sequence[AttributedEvent], now_ms: int
) -> None:
    """Give events to the outbox, inside the transaction that wrote them, in the order given.

    Each output of the workspace gets a message of its own of every event that it wants, at once or,
    where it gathers, when they have waited long enough.
    """
    if not attributed:
        return
    for output in outputs_of(connection, workspace_id):
        wanted = [event for event in attributed if _is_wanted(event, output.settings)]
        if output.gathering == "no":
            _enqueue(connection, output, wanted, now_ms)
        else:
            gather(connection, output, attributed, wanted, now_ms)


def _enqueue(
    connection: Connection, output: Output, wanted: Sequence[AttributedEvent], now_ms: int
) -> None:
    for mpid, theirs in groupby(wanted, key=lambda event: event.person.mpid):
        outbox.enqueue(
            connection,
            workspace_id=output.workspace_id,
            output_id=output.id,
            mpid=mpid,
            drafts=[draft_of([event], output.settings) for event in theirs],
            now_ms=now_ms,
            dead_because=outbox.BACKLOG_IS_FULL if output.is_full else None,
        )


def _is_wanted(event: AttributedEvent, settings: OutputSettings) -> bool:
    if event.id is None:
        return settings.is_active and settings.send_batches_without_events
    return settings.wants(event.event_type)
