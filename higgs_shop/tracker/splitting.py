"""Which events of one person go into one body: a hundred at most, and no more bytes than receivers take."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Final

from higgs_shop.outputs import OutputSettings
from higgs_shop.tracker.attributed import AttributedEvent, draft_of
from higgs_shop.tracker.batch import event_json

MOST_IN_BATCH: Final = 100
"""A batch has so many events at most."""

MOST_BATCH_BYTES: Final = 128 * 1024
"""And a body of several has so many bytes at most, as what mParticle's clients send: receivers refuse
what is much longer, as the store's own inbox does. An event that is longer by itself goes alone."""

_HIGHEST_SEQUENCE: Final = 2**31 - 1
# Ids that are not known yet, and of which some are longer than others.
_LONGEST_IDS_BYTES: Final = 256
# A comma, and the event's place in its session.
_BESIDE_EVENT_BYTES: Final = 12


def split_into_batches(
    events: Sequence[AttributedEvent], settings: OutputSettings
) -> Iterator[Sequence[AttributedEvent]]:
    """Cut one person's events into runs, each of which is to be one body, in the order given."""
    first, event_bytes, person_bytes, told_bytes = 0, 0, 0, 0
    for number, event in enumerate(events):
        if number == 0 or not _says_the_same(events[number - 1], event):
            told_bytes = _person_bytes(event, settings)
        more_bytes = _event_bytes(event)
        # The newest event's person is told, and which one that is, is not looked at here.
        wanted_bytes = event_bytes + more_bytes + max(person_bytes, told_bytes)
        is_full = number - first == MOST_IN_BATCH or wanted_bytes > MOST_BATCH_BYTES
        if is_full and number > first:
            yield events[first:number]
            first, event_bytes, person_bytes = number, 0, 0
        event_bytes += more_bytes
        person_bytes = max(person_bytes, told_bytes)
    if events:
        yield events[first:]


def _says_the_same(one: AttributedEvent, other: AttributedEvent) -> bool:
    return (one.person, one.origin) == (other.person, other.origin)


def _person_bytes(event: AttributedEvent, settings: OutputSettings) -> int:
    """How long a body is at most that tells of this event's person and origin, without its events."""
    draft = draft_of([replace(event, id=None)], settings)
    return len(draft.make_body(_HIGHEST_SEQUENCE, "")) + _LONGEST_IDS_BYTES


def _event_bytes(event: AttributedEvent) -> int:
    if event.id is None:
        return 0
    return len(event_json(event.event_type, event.data).encode()) + _BESIDE_EVENT_BYTES
