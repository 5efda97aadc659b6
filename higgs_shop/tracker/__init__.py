"""What happened, and to whom: events, their shapes, and the body that a webhook receives."""

from higgs_shop.tracker.batch import Channel, Origin, Person, SessionFacts
from higgs_shop.tracker.events import (
    Amounts,
    CustomEvent,
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
from higgs_shop.tracker.people import (
    PERSON_COLUMNS,
    AttributeChange,
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

__all__ = [
    "PERSON_COLUMNS",
    "Amounts",
    "AttributeChange",
    "Channel",
    "CustomEvent",
    "Epoch",
    "Event",
    "EventLog",
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
    "discard_unattributed",
    "events_of_person",
    "events_of_visit",
    "keep_batch",
    "mpid_of_batch",
    "person_of",
]
