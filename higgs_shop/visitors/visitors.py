"""Who is at the browser, and what follows from what they do.

Signing up, in and out and changing an e-mail are three steps each: one transaction that checks and
writes the shop's own rows together with an intent; the identity call; one transaction that stores
the answer. The first is a Step of the page's, the others are `settle`.
"""

import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, bindparam, select

from higgs_shop.clock import Clock
from higgs_shop.database import Database
from higgs_shop.identity_types import CUSTOMER_ID, EMAIL, MOBILE_NUMBER
from higgs_shop.tables import customers, device_users
from higgs_shop.tracker import (
    Epoch,
    EventLog,
    OptOut,
    SessionEnd,
    SessionStart,
    Tracker,
    discard_unattributed,
)
from higgs_shop.visitors import intents, sessions, submissions, visits
from higgs_shop.visitors.intents import Intent
from higgs_shop.visitors.owed_calls import OwedCalls
from higgs_shop.visitors.sessions import StoredSession
from higgs_shop.visitors.step import Step
from higgs_shop.visitors.visits import Visit

_SECOND_CLICK_MS = 60_000


@dataclass(frozen=True)
class Caller:
    """The request that a visitor sends, as far as this part cares.

    Attributes:
        request_id: names the request; its events carry it.
        user_agent: what the browser calls itself.
        counts: whether this is somebody looking; a HEAD or prefetch request is not.
    """

    request_id: str
    user_agent: str
    counts: bool = True


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


class Visitors:
    """Finds, begins and changes visits. One for the whole store.

    Args:
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
        on_events: Callable[[], None],
    ) -> None:
        self._database = database
        self._tracker = tracker
        self._owed_calls = owed_calls
        self._clock = clock
        self._workspace_id = workspace_id
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
                needs = self._needs(connection, visit)
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
            visits.refresh(connection, visit)
            is_call_due = self._begin_what_is_needed(connection, visit, caller, now_ms)
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
        self._owe(step, "login", {name: value for name, value in known.items() if value})

    def sign_out(self, step: Step) -> None:
        """The visitor is nobody in particular again; a logout call, with an empty request, is owed."""
        visits.renew(step.connection, step.visit, customer_id=None, now_ms=step.now_ms)
        self._owe(step, "logout", {})

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

    def opt_out(self, step: Step) -> int:
        """The visitor does not want to be tracked: one last event says so.

        Returns: how many events were discarded, since nobody knew yet whose they were.
        """
        if step.visit.is_opted_out:
            return 0
        visit = step.visit
        if step.log is not None and step.log.epoch.mpid is not None:
            self._tracker.log(step.log, OptOut(is_opted_out=True))
        live = sessions.live(step.connection, visit.workspace_id, visit.device_stamp)
        if live is not None:
            sessions.end(step.connection, live.open, step.now_ms)
        intents.give_up_tracking(
            step.connection, visit.workspace_id, visit.device_stamp, step.now_ms
        )
        discarded = discard_unattributed(step.connection, visit.workspace_id, visit.device_stamp)
        visits.set_opt_out(step.connection, step.visit, opted_out_at_ms=step.now_ms)
        return discarded

    def opt_in(self, step: Step, caller: Caller) -> None:
        """The visitor agrees to be tracked again: a session begins, and with it an identify."""
        if not step.visit.is_opted_out:
            return
        visits.set_opt_out(step.connection, step.visit, opted_out_at_ms=None)
        self._begin_what_is_needed(step.connection, step.visit, caller, step.now_ms)
        log = self._log(step.connection, step.visit, caller, step.now_ms)
        if log is not None:
            self._tracker.log(log, OptOut(is_opted_out=False))
            self._tracker.hand_over(log)
            sessions.keep_sequence(step.connection, log.session)

    def settle(self, visit: Visit, caller: Caller, *, lease: str | None = None) -> Visit:
        """Make the calls that the visit owes, within the page's budget. Never raises for them."""
        self._owed_calls.make_due(visit.id, request_id=caller.request_id, lease=lease)
        with self._database.read() as connection:
            visit.current_mpid = visits.by_id(connection, visit.id).current_mpid
        return visit

    def standing(self, connection: Connection, visit: Visit) -> Standing:
        """Who the visitor is right now."""
        owed = intents.pending(connection, visit.id)
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
                visits.refresh(connection, visits.by_id(connection, session.visit_id))
                still = sessions.live(connection, session.workspace_id, session.device_stamp)
                if still is not None and still.open.id == session.open.id and still.is_over(now_ms):
                    self._end_session(connection, still, f"background-{still.visit_id}", now_ms)
            self._on_events()
        return len(over)

    @contextmanager
    def _step(
        self, visit: Visit, caller: Caller, *, form: tuple[list[tuple[str, str]], str] | None
    ) -> Iterator[Step]:
        with self._database.write() as connection:
            now_ms = self._clock()
            visits.refresh(connection, visit)
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
            step = Step(
                connection=connection,
                visit=visit,
                tracker=self._tracker,
                log=self._log(connection, visit, caller, now_ms),
                now_ms=now_ms,
                submission=submission,
            )
            yield step
            if step.log is not None and step.log.logged:
                self._tracker.hand_over(step.log)
                sessions.keep_sequence(connection, step.log.session)
        self._on_events()

    def _log(
        self, connection: Connection, visit: Visit, caller: Caller, now_ms: int
    ) -> EventLog | None:
        if visit.is_opted_out or not caller.counts:
            return None
        session = sessions.resume(connection, visit, now_ms)
        if session is None:
            # The background worker has ended it since this request arrived.
            self._begin_what_is_needed(connection, visit, caller, now_ms)
            session = sessions.resume(connection, visit, now_ms)
        epoch = intents.epoch(connection, visit.id)
        if session is None or epoch == Epoch(None, None):
            return None
        return EventLog(
            connection=connection,
            workspace_id=visit.workspace_id,
            visit_id=visit.id,
            device_stamp=visit.device_stamp,
            epoch=epoch,
            session=session,
            request_id=caller.request_id,
            now_ms=now_ms,
        )

    def _needs(self, connection: Connection, visit: Visit) -> "_Needs":
        now_ms = self._clock()
        owed = intents.pending(connection, visit.id)
        is_due = bool(owed) and owed[0].next_attempt_ms <= now_ms
        if visit.is_opted_out:
            return _Needs(session=False, user=False, calls=is_due, over=None)
        live = sessions.live(connection, visit.workspace_id, visit.device_stamp)
        has_session = live is not None and not live.is_over(now_ms)
        # A session that starts identifies anew, unless a call that is owed will say who it is.
        needs_user = not owed and (not has_session or visit.current_mpid is None)
        return _Needs(
            session=not has_session,
            user=needs_user,
            calls=is_due,
            over=live if not has_session else None,
        )

    def _begin_what_is_needed(
        self, connection: Connection, visit: Visit, caller: Caller, now_ms: int
    ) -> bool:
        """Returns whether a call is due now."""
        needs = self._needs(connection, visit)
        if needs.over is not None:
            self._end_session(connection, needs.over, caller.request_id, now_ms)
        if needs.user:
            known: Mapping[str, str | None] = {}
            if visit.customer_id is not None:
                known = identities_of(connection, self._workspace_id, visit.customer_id)
            present = {name: value for name, value in known.items() if value}
            intents.owe(
                connection,
                self._workspace_id,
                visit.id,
                action="identify",
                identities=present,
                now_ms=now_ms,
            )
        if needs.session:
            session = sessions.start(connection, visit, caller.user_agent, now_ms)
            log = EventLog(
                connection=connection,
                workspace_id=visit.workspace_id,
                visit_id=visit.id,
                device_stamp=visit.device_stamp,
                epoch=intents.epoch(connection, visit.id),
                session=session,
                request_id=caller.request_id,
                now_ms=now_ms,
            )
            self._tracker.log(log, SessionStart())
            self._tracker.hand_over(log)
            sessions.keep_sequence(connection, session)
        return needs.user or needs.calls

    def _end_session(
        self, connection: Connection, session: StoredSession, request_id: str, now_ms: int
    ) -> None:
        log = EventLog(
            connection=connection,
            workspace_id=session.workspace_id,
            visit_id=session.visit_id,
            device_stamp=session.device_stamp,
            epoch=intents.epoch(connection, session.visit_id),
            session=session.open,
            request_id=request_id,
            now_ms=now_ms,
        )
        if log.epoch != Epoch(None, None):
            self._tracker.log(
                log, SessionEnd(session.duration_ms), happened_at_ms=session.last_activity_ms
            )
            self._tracker.hand_over(log)
        sessions.end(connection, session.open, session.last_activity_ms)

    def _owe(self, step: Step, action: intents.Action, identities: dict[str, str | None]) -> None:
        intent_id = intents.owe(
            step.connection,
            self._workspace_id,
            step.visit.id,
            action=action,
            identities=identities,
            now_ms=step.now_ms,
        )
        if step.log is not None:
            step.log.epoch = Epoch(None, intent_id)


@dataclass(frozen=True)
class _Needs:
    session: bool
    user: bool
    calls: bool
    over: StoredSession | None

    @property
    def writing(self) -> bool:
        return self.session or self.user

    @property
    def anything(self) -> bool:
        return self.writing or self.calls


def identities_of(
    connection: Connection, workspace_id: str, customer_id: str
) -> dict[str, str | None]:
    """The identities by which a customer is known; null for those that they do not have."""
    row = connection.execute(
        _CUSTOMER, {"workspace": workspace_id, "customer": customer_id}
    ).one_or_none()
    if row is None:
        return {CUSTOMER_ID: customer_id}
    return {CUSTOMER_ID: customer_id, EMAIL: row.email, MOBILE_NUMBER: row.phone or None}


def new_csrf_secret() -> str:
    """What Flask-WTF keeps in the session, made beforehand so that a first page writes once."""
    return secrets.token_hex(20)


_CUSTOMER = select(customers.c.email, customers.c.phone).where(
    customers.c.workspace_id == bindparam("workspace"),
    customers.c.customer_id == bindparam("customer"),
)
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
