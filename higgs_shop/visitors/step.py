"""One step of a visitor: a change and the events it logs, in one write transaction.

The verbs are the SDK's. A page calls them in plain sight; whether anything is written depends on
the visitor alone (somebody who opted out is not tracked), so pages need not ask.
"""

from collections.abc import Mapping, Sequence

from sqlalchemy import Connection

from higgs_shop.tracker import (
    Amounts,
    CustomEvent,
    Event,
    EventLog,
    ProductAction,
    ProductImpression,
    ScreenView,
    TrackedProduct,
    Tracker,
    UserAttributeChange,
    attributes_of,
)
from higgs_shop.tracker.events import CustomEventType, ProductActionName, Scalar
from higgs_shop.visitors.submissions import Submission
from higgs_shop.visitors.visits import Visit

TRACKS_FOR_ITS_CALLER = True


class Step:
    """An open write transaction in which a visitor does something.

    Attributes:
        connection: for the change itself.
        visit: whose step it is.
        now_ms: when.
        submission: the form that asked for it; None when a page is just looked at.
    """

    def __init__(
        self,
        *,
        connection: Connection,
        visit: Visit,
        tracker: Tracker,
        log: EventLog | None,
        now_ms: int,
        submission: Submission | None = None,
    ) -> None:
        self.connection = connection
        self.visit = visit
        self.now_ms = now_ms
        self.submission = submission
        self.log = log
        self._tracker = tracker
        self._location = submission.location if submission else ""

    @property
    def is_new(self) -> bool:
        """False when this very form did its work before: change nothing, log nothing."""
        return self.submission is None or self.submission.is_new

    @property
    def location(self) -> str:
        """Where the answer to the form leads."""
        return self._location

    @location.setter
    def location(self, location: str) -> None:
        self._location = location

    def screen_view(self, screen_name: str, **attributes: Scalar) -> None:
        """A page was rendered for somebody."""
        self._write(ScreenView(screen_name, attributes))

    def custom_event(
        self,
        event_name: str,
        custom_event_type: CustomEventType,
        *,
        once: str | None = None,
        **attributes: Scalar,
    ) -> None:
        """Something else happened. `once` names the occurrence; it is never logged twice."""
        self._write(CustomEvent(event_name, custom_event_type, attributes), once=once)

    def product_action(
        self,
        action: ProductActionName,
        products: Sequence[TrackedProduct],
        *,
        amounts: Amounts | None = None,
        transaction_id: str | None = None,
        checkout_step: int | None = None,
        checkout_options: str | None = None,
        once: str | None = None,
    ) -> None:
        """Something was done with products: seen, added, removed, bought."""
        event = ProductAction(
            action,
            products,
            amounts=amounts,
            transaction_id=transaction_id,
            checkout_step=checkout_step,
            checkout_options=checkout_options,
        )
        self._write(event, once=once)

    def impression(self, list_name: str, products: Sequence[TrackedProduct]) -> None:
        """Products were seen in a list."""
        self._write(ProductImpression(list_name, products))

    def user_attributes(self, attributes: Mapping[str, Scalar]) -> None:
        """What is known of the current user; logs a change for each that is new or different."""
        known: Mapping[str, Scalar] = {}
        if self.log is not None and self.log.epoch.mpid is not None:
            known = attributes_of(self.connection, self.visit.workspace_id, self.log.epoch.mpid)
        for name, value in attributes.items():
            if name not in known or known[name] != value:
                self._write(UserAttributeChange(name, value))

    def _write(self, event: Event, *, once: str | None = None) -> None:
        if self.log is not None:
            self._tracker.log(self.log, event, once=once)
