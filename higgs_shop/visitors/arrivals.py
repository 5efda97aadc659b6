"""What has to be there before a visitor's events can be logged: a session, and somebody current.

identify is called once at the start of a session, and when a visit has nobody yet.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import Connection

from higgs_shop.clock import Clock
from higgs_shop.tracker import Epoch, SessionEnd, SessionStart, Tracker
from higgs_shop.visitors import intents, sessions, visits
from higgs_shop.visitors.event_log import event_log
from higgs_shop.visitors.footing import footing
from higgs_shop.visitors.identities import identities_of
from higgs_shop.visitors.sessions import StoredSession
from higgs_shop.visitors.visits import Visit


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


class Arrivals:
    """Begins and ends sessions, inside the caller's write transaction."""

    def __init__(self, *, tracker: Tracker, clock: Clock) -> None:
        self._tracker = tracker
        self._clock = clock

    def needs(self, connection: Connection, visit: Visit) -> "Needs":
        """What has to be there before the visit's events can be logged."""
        now_ms = self._clock()
        stands = footing(connection, visit)
        next_call_ms = stands.next_call_ms
        is_owed = next_call_ms is not None
        is_due = next_call_ms is not None and intents.is_due(next_call_ms, now_ms)
        if visit.is_opted_out:
            return Needs(session=False, user=False, calls=is_due, over=None)
        live = stands.session
        has_session = live is not None and not live.is_over(now_ms)
        # A session that starts identifies anew, unless a call that is owed will say who it is.
        needs_user = not is_owed and (not has_session or visit.current_mpid is None)
        return Needs(
            session=not has_session,
            user=needs_user,
            calls=is_due,
            over=live if not has_session else None,
        )

    def begin_what_is_needed(
        self, connection: Connection, visit: Visit, caller: Caller, now_ms: int
    ) -> bool:
        """Begin a session and owe an identify, where they are missing.

        Returns: whether a call is due now.
        """
        needs = self.needs(connection, visit)
        if needs.over is not None:
            self.end_session(connection, needs.over, caller.request_id, now_ms)
        if needs.user:
            known: Mapping[str, str | None] = {}
            if visit.customer_id is not None:
                known = identities_of(connection, visit.workspace_id, visit.customer_id)
            present = {name: value for name, value in known.items() if value}
            intents.owe(
                connection,
                visit.workspace_id,
                visit.id,
                action="identify",
                identities=present,
                now_ms=now_ms,
            )
        if needs.session:
            session = sessions.start(connection, visit, caller.user_agent, now_ms)
            with event_log(
                self._tracker,
                connection,
                visit,
                session=session,
                request_id=caller.request_id,
                now_ms=now_ms,
            ) as log:
                self._tracker.log(log, SessionStart())
        return needs.user or needs.calls

    def end_session(
        self, connection: Connection, session: StoredSession, request_id: str, now_ms: int
    ) -> None:
        """Write the `session_end` of a session that is over, under who was current then."""
        with event_log(
            self._tracker,
            connection,
            visits.by_id(connection, session.visit_id),
            session=session.open,
            request_id=request_id,
            now_ms=now_ms,
        ) as log:
            if log.epoch != Epoch(None, None):
                self._tracker.log(
                    log, SessionEnd(session.duration_ms), happened_at_ms=session.last_activity_ms
                )
        sessions.end(connection, session.open, session.last_activity_ms)


@dataclass(frozen=True)
class Needs:
    """What a visit lacks. `over` is the session that has to be ended first."""

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
