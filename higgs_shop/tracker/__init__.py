"""What happened, and to whom: events, their shapes, and the body that a webhook receives."""

from higgs_shop.tracker.batch import Person, SessionFacts
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
from higgs_shop.tracker.people import PERSON_COLUMNS, attributes_of, person_of
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
    "CustomEvent",
    "Epoch",
    "Event",
    "EventLog",
    "LoggedEvent",
    "OpenSession",
    "OptOut",
    "Person",
    "ProductAction",
    "ProductImpression",
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
    "person_of",
]
