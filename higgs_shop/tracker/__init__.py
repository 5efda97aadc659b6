"""What happened, and to whom: events, their shapes, and the body that a webhook receives."""

from higgs_shop.tracker.batch import Channel, Origin, Person, SessionFacts, compact_json
from higgs_shop.tracker.copying import copy_events, first_event_ms
from higgs_shop.tracker.events import (
    Amounts,
    CustomEvent,
    CustomEventType,
    Event,
    OptOut,
    ProductAction,
    ProductImpression,
    ScreenView,
    SessionEnd,
    SessionStart,
    TrackedProduct,
    UserAttributeChange,
    UserIdentityChange,
)
from higgs_shop.tracker.gatherer import Gatherer
from higgs_shop.tracker.gathering import (
    Gathered,
    count_gathered,
    discard_gathered,
    gathered_events_of,
)
from higgs_shop.tracker.people import (
    PERSON_COLUMNS,
    AttributeChange,
    AttributeNews,
    attributes_of,
    person_of,
)
from higgs_shop.tracker.received import ReceivedBatch, ReceivedEvent, keep_batch, mpid_of_batch
from higgs_shop.tracker.tracker import (
    Epoch,
    EventLog,
    LoggedEvent,
    OpenSession,
    Tracker,
    discard_unattributed,
    events_of_person,
    events_of_visit,
)
from higgs_shop.tracker.trial import TEST_EVENT, TEST_MPID, send_test_event, why_no_test_event

__all__ = [
    "PERSON_COLUMNS",
    "TEST_EVENT",
    "TEST_MPID",
    "Amounts",
    "AttributeChange",
    "AttributeNews",
    "Channel",
    "CustomEvent",
    "CustomEventType",
    "Epoch",
    "Event",
    "EventLog",
    "Gathered",
    "Gatherer",
    "LoggedEvent",
    "OpenSession",
    "OptOut",
    "Origin",
    "Person",
    "ProductAction",
    "ProductImpression",
    "ReceivedBatch",
    "ReceivedEvent",
    "ScreenView",
    "SessionEnd",
    "SessionFacts",
    "SessionStart",
    "TrackedProduct",
    "Tracker",
    "UserAttributeChange",
    "UserIdentityChange",
    "attributes_of",
    "compact_json",
    "copy_events",
    "count_gathered",
    "discard_gathered",
    "discard_unattributed",
    "events_of_person",
    "events_of_visit",
    "first_event_ms",
    "gathered_events_of",
    "keep_batch",
    "mpid_of_batch",
    "person_of",
    "send_test_event",
    "why_no_test_event",
]
