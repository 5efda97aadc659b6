"""Makes the identity calls that visits owe, and stores what they brought.

No write transaction is open during a call: the answer is stored by one of its own, which closes the
intent, makes its user current and gives the events that waited for it their person.
"""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

from sqlalchemy import Connection

from higgs_shop.clock import Clock
from higgs_shop.database import Database, DatabaseError
from higgs_shop.identity_client import (
    BadRequest,
    CircuitOpen,
    Device,
    Forbidden,
    IdentityClient,
    IdentityError,
    IdentityRequest,
    IdentityResult,
    InvalidRequest,
    NoConnection,
    OptedOut,
    ProfileNotFound,
    ServiceFailed,
    TooManyRequests,
    User,
)
from higgs_shop.identity_types import BATCH_NAMES
from higgs_shop.tracker import Epoch, Tracker, UserIdentityChange
from higgs_shop.visitors import carrying_over, devices, intents, sessions, visits
from higgs_shop.visitors.event_log import event_log
from higgs_shop.visitors.intents import Intent
from higgs_shop.visitors.visits import Visit

CALL_SHARE: Final = 0.8
"""The share of a page's budget that one call may take. The rest is for starting it: a second call is
begun only while that much time is left, so a page never waits longer than its budget."""

_RETRIED_STATUSES: Final = frozenset({502, 503, 504})

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Answered:
    result: IdentityResult | None
    """None when there is nothing to keep of the answer."""


@dataclass(frozen=True)
class _Failed:
    error: IdentityError


_Call = Callable[[], IdentityResult | None]


class OwedCalls:
    """Carries out intents, one visit at a time.

    Args:
        has_login: whether the service offers login and logout; without, what was owed as one of them
            under another strategy is asked for as an identify.
        carries_over: whether the service lets one profile's events be carried over to another.
        budget_seconds: how long one round for a visit may take; the client's own deadline must be
            CALL_SHARE of it.
        on_events: called after a transaction that gave events their person.
    """

    def __init__(
        self,
        *,
        database: Database,
        client: IdentityClient,
        tracker: Tracker,
        clock: Clock,
        has_login: bool,
        carries_over: bool,
        budget_seconds: float,
        on_events: Callable[[], None],
        monotonic_seconds: Callable[[], float] = time.monotonic,
    ) -> None:
        self._database = database
        self._client = client
        self._tracker = tracker
        self._clock = clock
        self._has_login = has_login
        self._carries_over = carries_over
        self._budget_seconds = budget_seconds
        self._on_events = on_events
        self._monotonic_seconds = monotonic_seconds

    def make_due(self, visit_id: int, *, request_id: str, lease: str | None = None) -> None:
        """Make a visit's calls that are due, in order, until one fails or time is up.

        Args:
            request_id: the page request during which it happens, for those who look at its events.
            lease: the visit's, when the caller holds it already. Without, it is taken if it is free.
        Never raises for a service or database that is in trouble: what failed stays owed.
        """
        until_seconds = self._monotonic_seconds() + self._budget_seconds * (1 - CALL_SHARE)
        try:
            lease = lease or self._take_lease(visit_id)
            while lease is not None:
                goes_on = self._make_next(visit_id, lease, request_id, until_seconds)
                if not goes_on or self._monotonic_seconds() > until_seconds:
                    self._release(visit_id, lease)
                    return
        except DatabaseError as error:
            # The lease runs out by itself, and the calls stay owed.
            _logger.warning("visit %s: identity calls wait for the database: %s", visit_id, error)

    def forget_leases(self) -> None:
        """At the start of a store's only process: those who held leases are gone."""
        with self._database.write() as connection:
            intents.forget_leases(connection)

    def make_all_due(self) -> int:
        """The background worker's round: every visit whose calls are due. Returns how many.

        While the service is left alone, none is.
        """
        if self._client.pause_left_ms > 0:
            return 0
        with self._database.read() as connection:
            due = intents.visits_with_due_calls(connection, self._clock())
        for visit_id in due:
            self.make_due(visit_id, request_id=f"background-{visit_id}")
        return len(due)

    def _take_lease(self, visit_id: int) -> str | None:
        with self._database.write() as connection:
            return intents.take_lease(connection, visit_id, self._clock())

    def _release(self, visit_id: int, lease: str) -> None:
        with self._database.write() as connection:
            intents.release_lease(connection, visit_id, lease)

    def _make_next(self, visit_id: int, lease: str, request_id: str, until_seconds: float) -> bool:
        """Returns whether there may be more to do now."""
        with self._database.read() as connection:
            visit = visits.by_id(connection, visit_id)
            owed = intents.pending(connection, visit_id)
            device = devices.load(connection, visit)
            intent = intents.first_due(owed, self._clock())
            if intent is None:
                return False
            call = self._prepared(connection, intent, device)
        outcome = self._call(call, until_seconds)
        with self._database.write() as connection:
            visits.refresh(connection, visit)
            if not intents.holds_lease(connection, visit_id, lease):
                return False
            goes_on = isinstance(outcome, _Answered) and len(owed) > 1
            if isinstance(outcome, _Failed):
                self._store_failure(connection, visit, intent, device, outcome.error)
            elif outcome.result is None:
                self._close_alias(connection, intent)
            else:
                is_owed = self._store(connection, visit, intent, outcome.result, request_id)
                goes_on = goes_on or is_owed
            if not goes_on:
                intents.release_lease(connection, visit_id, lease)
        self._on_events()
        return goes_on

    def _call(self, call: _Call, until_seconds: float) -> _Answered | _Failed:
        self._database.assert_not_writing()
        outcome = _outcome(call)
        in_time = self._monotonic_seconds() <= until_seconds
        if isinstance(outcome, _Failed) and in_time and _is_worth_a_second_try(outcome.error):
            second = _outcome(call)
            # A second try that was not made must not hide how the first one went.
            return outcome if _was_not_made(second) else second
        return outcome

    def _prepared(self, connection: Connection, intent: Intent, device: Device) -> _Call:
        if intent.action == "alias":
            asked = carrying_over.alias_request(connection, intent, device, self._clock())

            def alias() -> None:
                if asked is not None:
                    self._client.alias(device, asked, request_id=intent.request_id)

            return alias
        client = self._client
        calls = {
            "identify": client.identify,
            "login": client.login if self._has_login else client.identify,
            "logout": client.logout if self._has_login else client.identify,
            "modify": client.modify,
        }

        def move() -> IdentityResult:
            request = IdentityRequest.empty()
            for identity_type, value in intent.identities.items():
                request = request.with_identity(identity_type, value)
            return calls[intent.action](device, request, request_id=intent.request_id)

        return move

    def _close_alias(self, connection: Connection, intent: Intent) -> None:
        intents.close(
            connection,
            intent,
            previous_mpid=intent.previous_mpid,
            mpid=intent.mpid,
            now_ms=self._clock(),
        )

    def _store(
        self,
        connection: Connection,
        visit: Visit,
        intent: Intent,
        result: IdentityResult,
        request_id: str,
    ) -> bool:
        """Returns whether another call is owed by it."""
        now_ms = self._clock()
        previous_mpid = visit.current_mpid
        mpid = devices.keep(connection, visit, result, now_ms)
        intents.close(connection, intent, previous_mpid=previous_mpid, mpid=mpid, now_ms=now_ms)
        self._tracker.attribute(connection, visit.workspace_id, intent.id, mpid)
        session = sessions.live(
            connection, visit.workspace_id, visit.device_stamp
        ) or sessions.latest_of_visit(connection, visit.id)
        if session is None or visit.is_opted_out:
            return False
        source_mpid = None
        if self._carries_over:
            source_mpid = carrying_over.left_anonymous_profile(intent, result)
        with event_log(
            self._tracker,
            connection,
            visit,
            session=session.open,
            request_id=request_id,
            now_ms=now_ms,
            epoch=Epoch(mpid, None),
        ) as log:
            for change in result.changes:
                self._tracker.log(
                    log,
                    UserIdentityChange(
                        identity_type=BATCH_NAMES.get(change.identity_type, change.identity_type),
                        old_identity=change.old_value,
                        new_identity=change.new_value,
                        changed_at_ms=now_ms,
                    ),
                )
            if source_mpid is not None:
                carrying_over.copy_attributes(
                    self._tracker, log, source_mpid=source_mpid, mpid=mpid
                )
        if source_mpid is None:
            return False
        carrying_over.owe_alias(
            connection, visit, source_mpid=source_mpid, mpid=mpid, now_ms=now_ms
        )
        return True

    def _store_failure(
        self,
        connection: Connection,
        visit: Visit,
        intent: Intent,
        device: Device,
        error: IdentityError,
    ) -> None:
        now_ms = self._clock()
        message = str(error)[:500]
        if isinstance(error, CircuitOpen):
            wait_ms = int(error.retry_after_seconds * 1_000)
            intents.hold_back(
                connection,
                intent,
                code=error.code,
                message=message,
                next_attempt_ms=now_ms + wait_ms,
            )
            return
        verdict = _verdict(intent.action, device.current_user, error)
        if verdict == "stay":
            intents.refuse(connection, intent, code=error.code, message=message, now_ms=now_ms)
            if visit.current_mpid is not None:
                self._tracker.attribute(
                    connection, visit.workspace_id, intent.id, visit.current_mpid
                )
            return
        if verdict == "be_nobody":
            intents.turn_into_logout(
                connection, intent, code=error.code, message=message, now_ms=now_ms
            )
            return
        asked = error.retry_after_seconds if isinstance(error, TooManyRequests) else None
        intents.postpone(
            connection,
            intent,
            code=error.code,
            message=message,
            next_attempt_ms=now_ms + intents.wait_ms(intent.attempts + 1, asked),
        )


def _outcome(call: _Call) -> _Answered | _Failed:
    try:
        return _Answered(call())
    except IdentityError as error:
        return _Failed(error)


def _is_worth_a_second_try(error: IdentityError) -> bool:
    """Whether nothing can have happened at the other end, so that a retry at once is harmless."""
    if isinstance(error, ServiceFailed):
        return error.status_code in _RETRIED_STATUSES
    return isinstance(error, NoConnection) and not isinstance(error, CircuitOpen)


def _was_not_made(outcome: _Answered | _Failed) -> bool:
    return isinstance(outcome, _Failed) and isinstance(outcome.error, CircuitOpen)


def _verdict(
    action: intents.Action, current: User | None, error: IdentityError
) -> Literal["try_again", "stay", "be_nobody"]:
    """What becomes of a call that failed, and of the events that wait for its answer.

    `stay`: trying again is pointless, and whoever was current still is; the events are theirs. For a
    login only if that is somebody anonymous: of two known people the second must not become the
    first. `be_nobody`: the events must not be those of whoever is current, so somebody new is asked
    for instead. A refused logout is tried again: the person has left, and what happens next must
    not be theirs.
    """
    is_refused = isinstance(error, BadRequest | InvalidRequest)
    if action == "alias":
        return "stay" if is_refused or isinstance(error, Forbidden | OptedOut) else "try_again"
    if action == "modify":
        return "stay" if is_refused or isinstance(error, ProfileNotFound) else "try_again"
    if not is_refused or action == "logout":
        return "try_again"
    if action == "login" and (current is None or current.is_logged_in):
        return "be_nobody"
    return "try_again" if current is None else "stay"
