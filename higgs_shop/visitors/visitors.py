"""Who is at the browser, and what follows from what they do.

Signing up, in and out and changing an e-mail are three steps each: one transaction that checks and
writes the shop's own rows together with an intent; the identity call; one transaction that stores
the answer. The first is a Step of the page's, the others are `settle`.
"""

import secrets
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

from sqlalchemy import Connection, bindparam, select

from higgs_shop.clock import Clock
from higgs_shop.database import Database
from higgs_shop.identity_types import CUSTOMER_ID
from higgs_shop.outbox import withdraw
from higgs_shop.tables import device_users
from higgs_shop.tracker import (
    Epoch,
    EventLog,
    OptOut,
    Tracker,
    discard_gathered,
    discard_unattributed,
)
from higgs_shop.visitors import intents, sessions, submissions, visits
from higgs_shop.visitors.arrivals import Arrivals, Caller
from higgs_shop.visitors.event_log import event_log
from higgs_shop.visitors.footing import Footing, firm_footing, footing
from higgs_shop.visitors.identities import identities_of
from higgs_shop.visitors.intents import Intent
from higgs_shop.visitors.owed_calls import OwedCalls
from higgs_shop.visitors.step import Step
from higgs_shop.visitors.submissions import Submission
from higgs_shop.visitors.visits import Visit

_SECOND_CLICK_MS = 60_000


@dataclass(frozen=True)
class Standing:
    """Who the visitor is right now, for the pages.

    Attributes:
        state: `pending` while a call is owed; else `known` or `anonymous`.
        mpid: the current MPID, or None before the first answer.
        owed: the calls that are owed, in order.
    """

    state: str
    mpid: int | None
    owed: list[Intent] = field(default_factory=list)


@dataclass(frozen=True)
class Discarded:
    """What is not kept, or not sent, of what somebody did before opting out.

    Attributes:
        unattributed: how many events were forgotten, since nobody knew yet whose they were.
        unsent: how many were to be sent with others or after their session, and are not.
        withdrawn: how many waited to be delivered, or were given up, at any output, and are not sent.
    """

    unattributed: int = 0
    unsent: int = 0
    withdrawn: int = 0


class Visitors:
    """Finds, begins and changes visits. One for the whole store.

    Args:
        has_login: whether the identity service offers login and logout; the strategy best_match
            does not, and is asked to identify instead.
        on_events: called after every transaction that may have handed events to the outbox.
    """

    def __init__(
        self,
        *,
        database: Database,
        tracker: Tracker,
        owed_calls: OwedCalls,
        clock: Clock,
        workspace_id: str,
        has_login: bool,
        on_events: Callable[[], None],
    ) -> None:
        self._database = database
        self._tracker = tracker
        self._arrivals = Arrivals(tracker=tracker, clock=clock)
        self._owed_calls = owed_calls
        self._clock = clock
        self._workspace_id = workspace_id
        self._has_login = has_login
        self._on_events = on_events

    def keep_session(self, visit: Visit, content: dict[str, Any]) -> None:
        """Keep what the web framework's session holds."""
        with self._database.write() as connection:
            visits.save_cookie_session(connection, visit, content)

    def find(self, token: str) -> Visit | None:
        """The visit that this cookie opens, if any."""
        with self._database.read() as connection:
            return visits.find(connection, self._workspace_id, token)

    def begin_visit(self, device_stamp: str, cookie_session: dict[str, Any]) -> Visit:
        """A visit for somebody who has none yet and is not tracked by this request."""
        with self._database.write() as connection:
            return visits.begin(
                connection, self._workspace_id, device_stamp, cookie_session, self._clock()
            )

    def arrive(
        self,
        visit: Visit | None,
        *,
        device_stamp: str,
        cookie_session: dict[str, Any],
        caller: Caller,
    ) -> Visit:
        """Somebody opens a page: make sure there is a visit, a live session, and a current user.

        identify is called once at the start of a session, and when a visit has nobody yet. Calls
        that are owed and due are made.
        """
        if visit is not None:
            with self._database.read() as connection:
                needs = self._arrivals.needs(connection, visit)
            if not needs.anything:
                return visit
            if not needs.writing:
                return self.settle(visit, caller)
        with self._database.write() as connection:
            now_ms = self._clock()
            if visit is None:
                visit = visits.begin(
                    connection, self._workspace_id, device_stamp, cookie_session, now_ms
                )
            visits.lock(connection, visit)
            is_call_due = self._arrivals.begin_what_is_needed(connection, visit, caller, now_ms)
            lease = intents.take_lease(connection, visit.id, now_ms) if is_call_due else None
        self._on_events()
        return self.settle(visit, caller, lease=lease)

    @contextmanager
    def step(self, visit: Visit, caller: Caller) -> Iterator[Step]:
        """A write transaction in which a page is looked at: its events are logged here."""
        with self._step(visit, caller, form=None) as step:
            yield step

    @contextmanager
    def submission(
        self, visit: Visit, caller: Caller, *, fields: Iterable[tuple[str, str]], location: str
    ) -> Iterator[Step]:
        """A write transaction in which a form does its work, once.

        Args:
            fields: the form as it was sent.
            location: where the answer leads; the step may still change it.
        Raises: submissions.SubmissionError. Nothing is written then.
        """
        with self._step(visit, caller, form=(list(fields), location)) as step:
            yield step
            if step.submission is not None and step.is_new and step.location != location:
                submissions.set_location(
                    step.connection,
                    visit.workspace_id,
                    visit.id,
                    step.submission.token,
                    step.location,
                )

    @contextmanager
    def untracked_submission(
        self, visit: Visit, *, fields: Iterable[tuple[str, str]], location: str
    ) -> Iterator[tuple[Connection, Submission]]:
        """As `submission`, for a form that is not about shopping: nothing is logged, no session goes on.

        Raises: submissions.SubmissionError. Nothing is written then.
        """
        with self._database.write() as connection:
            yield (
                connection,
                submissions.accept(
                    connection,
                    visit.workspace_id,
                    visit.id,
                    fields=fields,
                    location=location,
                    now_ms=self._clock(),
                ),
            )

    def second_click(self, token: str, form_token: str) -> tuple[Visit, str] | None:
        """The same form again, from a browser that missed the answer in which its visit was renewed.

        Returns: the visit with a new token, and where the first answer led; None when it is not so.
        """
        now_ms = self._clock()
        with self._database.write() as connection:
            visit = visits.find_renewed(
                connection, self._workspace_id, token, renewed_since_ms=now_ms - _SECOND_CLICK_MS
            )
            if visit is None:
                return None
            before = submissions.find(connection, visit.workspace_id, visit.id, form_token)
            if before is None:
                return None
            visits.give_new_token(connection, visit, now_ms)
            return visit, before[1]

    def answered_before(self, visit: Visit, form_token: str) -> str | None:
        """Where the answer to this form led, if the visit has sent it before."""
        with self._database.read() as connection:
            before = submissions.find(connection, visit.workspace_id, visit.id, form_token)
        return before[1] if before else None

    def sign_in(self, step: Step, customer_id: str) -> None:
        """The visitor is this customer from now on; a login call is owed."""
        visits.renew(step.connection, step.visit, customer_id=customer_id, now_ms=step.now_ms)
        known = identities_of(step.connection, self._workspace_id, customer_id)
        self._owe_move(step, "login", {name: value for name, value in known.items() if value})

    def sign_out(self, step: Step) -> None:
        """The visitor is nobody in particular again; a logout call, with an empty request, is owed."""
        visits.renew(step.connection, step.visit, customer_id=None, now_ms=step.now_ms)
        self._owe_move(step, "logout", {})

    def keep_session_of(self, step: Step, content: dict[str, Any]) -> None:
        """Keep what Flask's session holds, together with what the step does."""
        visits.save_cookie_session(step.connection, step.visit, content)

    def change_identities(self, step: Step) -> None:
        """The customer's e-mail or phone has changed; a modify call is owed."""
        if step.visit.customer_id is None or step.visit.is_opted_out:
            return
        known = identities_of(step.connection, self._workspace_id, step.visit.customer_id)
        intents.owe(
            step.connection,
            self._workspace_id,
            step.visit.id,
            action="modify",
            identities={name: value for name, value in known.items() if name != CUSTOMER_ID},
            now_ms=step.now_ms,
        )

    def opt_out(self, step: Step) -> Discarded:
        """The visitor does not want to be tracked: one last event says so."""
        if step.visit.is_opted_out:
            return Discarded()
        visit = step.visit
        if step.log is not None and step.log.epoch.mpid is not None:
            self._tracker.log(step.log, OptOut(is_opted_out=True))
        live = sessions.live(step.connection, visit.workspace_id, visit.device_stamp)
        if live is not None:
            sessions.end(step.connection, live.open, step.now_ms)
        intents.give_up_tracking(
            step.connection, visit.workspace_id, visit.device_stamp, step.now_ms
        )
        where = (step.connection, visit.workspace_id, visit.device_stamp)
        discarded = Discarded(
            unattributed=discard_unattributed(*where),
            # Before the messages: what is being handed over now is one of them by then.
            unsent=discard_gathered(*where),
            withdrawn=withdraw(*where, now_ms=step.now_ms),
        )
        visits.set_opt_out(step.connection, step.visit, opted_out_at_ms=step.now_ms)
        return discarded

    def opt_in(self, step: Step, caller: Caller) -> None:
        """The visitor agrees to be tracked again: a session begins, and with it an identify."""
        if not step.visit.is_opted_out:
            return
        visits.set_opt_out(step.connection, step.visit, opted_out_at_ms=None)
        self._arrivals.begin_what_is_needed(step.connection, step.visit, caller, step.now_ms)
        stands = footing(step.connection, step.visit)
        with self._log(step.connection, step.visit, caller, stands, step.now_ms) as log:
            if log is not None:
                self._tracker.log(log, OptOut(is_opted_out=False))

    def settle(self, visit: Visit, caller: Caller, *, lease: str | None = None) -> Visit:
        """Make the calls that the visit owes, within the page's budget. Never raises for them."""
        self._owed_calls.make_due(visit.id, request_id=caller.request_id, lease=lease)
        with self._database.read() as connection:
            visit.current_mpid = visits.by_id(connection, visit.id).current_mpid
        return visit

    def standing(self, connection: Connection, visit: Visit) -> Standing:
        """Who the visitor is right now."""
        owed = intents.gating(intents.pending(connection, visit.id))
        mpid, is_logged_in = connection.execute(_STANDING, _names(visit)).one_or_none() or (
            visit.current_mpid,
            False,
        )
        state = "pending" if owed else "known" if is_logged_in else "anonymous"
        return Standing(state, mpid, owed)

    def end_silent_sessions(self) -> int:
        """The background worker's round: write the `session_end` of sessions that are over."""
        with self._database.read() as connection:
            over = sessions.silent(connection, self._clock())
        for session in over:
            with self._database.write() as connection:
                now_ms = self._clock()
                visits.lock(connection, visits.by_id(connection, session.visit_id))
                still = sessions.live(connection, session.workspace_id, session.device_stamp)
                if still is not None and still.open.id == session.open.id and still.is_over(now_ms):
                    self._arrivals.end_session(
                        connection, still, f"background-{still.visit_id}", now_ms
                    )
            self._on_events()
        return len(over)

    def bring_back(self, now_ms: int) -> int:
        """After the clock was set back: every silence ends its session in time. Returns how many."""
        with self._database.write() as connection:
            return sessions.bring_back(connection, now_ms)

    @contextmanager
    def _step(
        self, visit: Visit, caller: Caller, *, form: tuple[list[tuple[str, str]], str] | None
    ) -> Iterator[Step]:
        with self._database.write() as connection:
            now_ms = self._clock()
            stands = firm_footing(connection, visit)
            submission = None
            if form is not None:
                submission = submissions.accept(
                    connection,
                    visit.workspace_id,
                    visit.id,
                    fields=form[0],
                    location=form[1],
                    now_ms=now_ms,
                )
            with self._log(connection, visit, caller, stands, now_ms) as log:
                yield Step(
                    connection=connection,
                    visit=visit,
                    tracker=self._tracker,
                    log=log,
                    now_ms=now_ms,
                    submission=submission,
                )
        self._on_events()

    @contextmanager
    def _log(
        self, connection: Connection, visit: Visit, caller: Caller, stands: Footing, now_ms: int
    ) -> Iterator[EventLog | None]:
        """The log of this request; None for somebody who is not tracked by it."""
        if visit.is_opted_out or not caller.counts:
            yield None
            return
        if stands.session is None:
            # The background worker has ended it since this request arrived.
            self._arrivals.begin_what_is_needed(connection, visit, caller, now_ms)
            stands = footing(connection, visit)
        if stands.session is None or stands.epoch == Epoch(None, None):
            yield None
            return
        with event_log(
            self._tracker,
            connection,
            visit,
            session=stands.session.open,
            request_id=caller.request_id,
            now_ms=now_ms,
            epoch=stands.epoch,
            person=stands.person,
            is_activity=True,
        ) as log:
            yield log

    def _owe_move(
        self, step: Step, action: Literal["login", "logout"], identities: dict[str, str | None]
    ) -> None:
        if not self._has_login and step.visit.is_opted_out:
            return
        intent_id = intents.owe(
            step.connection,
            self._workspace_id,
            step.visit.id,
            action=action if self._has_login else "identify",
            identities=identities,
            now_ms=step.now_ms,
        )
        if step.log is not None:
            step.log.epoch = Epoch(None, intent_id)


def new_csrf_secret() -> str:
    """What Flask-WTF keeps in the session, made beforehand so that a first page writes once."""
    return secrets.token_hex(20)


_STANDING = select(device_users.c.mpid, device_users.c.is_logged_in).where(
    device_users.c.workspace_id == bindparam("workspace"),
    device_users.c.stamp == bindparam("stamp"),
    device_users.c.mpid == bindparam("mpid"),
)


def _names(visit: Visit) -> dict[str, object]:
    return {
        "workspace": visit.workspace_id,
        "stamp": visit.device_stamp,
        "mpid": visit.current_mpid,
    }
