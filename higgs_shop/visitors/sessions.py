"""Sessions: a device's activity until 30 minutes of silence, across sign-in and sign-out.

Source: mParticle, "Sessions". `session_end` is dated at the last activity and is written by the
next request or by the background worker, whichever comes first.
"""

import uuid
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, bindparam, insert, select, update

from higgs_shop.clock_steps import SMALLEST_STEP_MS
from higgs_shop.tables import sessions
from higgs_shop.tracker import OpenSession, SessionFacts
from higgs_shop.visitors.visits import Visit

SILENCE_MS: Final = 30 * 60 * 1_000
"""How much silence ends a session."""

_LONGEST_USER_AGENT: Final = 512


@dataclass(frozen=True)
class StoredSession:
    """A session, the visit that was last active in it, and when that was."""

    open: OpenSession
    workspace_id: str
    device_stamp: str
    visit_id: int
    last_activity_ms: int

    def is_over(self, now_ms: int) -> bool:
        """Whether there was silence for long enough to end it."""
        return now_ms - self.last_activity_ms >= SILENCE_MS

    @property
    def duration_ms(self) -> int:
        """From the first to the last activity; 0 when the clock was set back behind the first."""
        return max(0, self.last_activity_ms - self.open.facts.started_at_ms)


def live(connection: Connection, workspace_id: str, device_stamp: str) -> StoredSession | None:
    """The device's session that has not ended yet, though it may be over."""
    row = connection.execute(
        _LIVE, {"workspace": workspace_id, "stamp": device_stamp}
    ).one_or_none()
    return None if row is None else stored(row)


def latest_of_visit(connection: Connection, visit_id: int) -> StoredSession | None:
    """The visit's newest session, ended or not."""
    row = connection.execute(_LATEST_OF_VISIT, {"visit": visit_id}).one_or_none()
    return None if row is None else stored(row)


def silent(connection: Connection, now_ms: int, *, most: int = 100) -> list[StoredSession]:
    """Sessions that are over and whose end nobody has written yet, oldest first."""
    rows = connection.execute(_SILENT, {"before": now_ms - SILENCE_MS, "most": most})
    return [stored(row) for row in rows]


def bring_back(connection: Connection, now_ms: int) -> int:
    """Count the silence of sessions that were alive later than now from now on: the clock was set back.

    Returns: how many sessions it were.
    """
    values = {"now": now_ms, "too_late": now_ms + SMALLEST_STEP_MS}
    return connection.execute(_BRING_BACK, values).rowcount


def start(connection: Connection, visit: Visit, user_agent: str, now_ms: int) -> OpenSession:
    """A new session. The device's last one must have been ended before."""
    facts = SessionFacts(str(uuid.uuid4()).upper(), now_ms, user_agent[:_LONGEST_USER_AGENT])
    (session_id,) = connection.execute(
        insert(sessions)
        .values(
            workspace_id=visit.workspace_id,
            device_stamp=visit.device_stamp,
            visit_id=visit.id,
            session_uuid=facts.session_uuid,
            user_agent=facts.user_agent,
            last_sequence=0,
            started_at_ms=now_ms,
            last_activity_ms=now_ms,
        )
        .returning(sessions.c.id)
    ).one()
    return OpenSession(session_id, facts, last_sequence=0)


def keep_activity(
    connection: Connection, session: OpenSession, *, visit_id: int, now_ms: int
) -> None:
    """Remember that the visit was active in the session now, and how many events that makes."""
    connection.execute(
        _KEEP_ACTIVITY,
        {
            "session": session.id,
            "last": session.last_sequence,
            "active": visit_id,
            "now": now_ms,
        },
    )


def keep_sequence(connection: Connection, session: OpenSession) -> None:
    """Remember how many events the session has."""
    connection.execute(_KEEP_SEQUENCE, {"session": session.id, "last": session.last_sequence})


def end(connection: Connection, session: OpenSession, ended_at_ms: int) -> None:
    """Close a session. Its `session_end` is the caller's to log."""
    connection.execute(
        update(sessions)
        .where(sessions.c.id == session.id)
        .values(ended_at_ms=ended_at_ms, last_sequence=session.last_sequence)
    )


COLUMNS = (
    sessions.c.id,
    sessions.c.workspace_id,
    sessions.c.device_stamp,
    sessions.c.visit_id,
    sessions.c.session_uuid,
    sessions.c.user_agent,
    sessions.c.last_sequence,
    sessions.c.started_at_ms,
    sessions.c.last_activity_ms,
)
_IS_LIVE = (
    (sessions.c.workspace_id == bindparam("workspace"))
    & (sessions.c.device_stamp == bindparam("stamp"))
    & sessions.c.ended_at_ms.is_(None)
)
_LIVE = select(*COLUMNS).where(_IS_LIVE)
_LATEST_OF_VISIT = (
    select(*COLUMNS)
    .where(sessions.c.visit_id == bindparam("visit"))
    .order_by(sessions.c.id.desc())
    .limit(1)
)
_SILENT = (
    select(*COLUMNS)
    .where(sessions.c.ended_at_ms.is_(None), sessions.c.last_activity_ms <= bindparam("before"))
    .order_by(sessions.c.last_activity_ms)
    .limit(bindparam("most"))
)
_BRING_BACK = (
    update(sessions)
    .where(sessions.c.ended_at_ms.is_(None), bindparam("too_late") < sessions.c.last_activity_ms)
    .values(last_activity_ms=bindparam("now"))
)
_KEEP_ACTIVITY = (
    update(sessions)
    .where(sessions.c.id == bindparam("session"))
    .values(
        last_sequence=bindparam("last"),
        last_activity_ms=bindparam("now"),
        visit_id=bindparam("active"),
    )
)
_KEEP_SEQUENCE = (
    update(sessions)
    .where(sessions.c.id == bindparam("session"))
    .values(last_sequence=bindparam("last"))
)


def stored(row: Any) -> StoredSession:
    """A session from a row that has COLUMNS."""
    facts = SessionFacts(row.session_uuid, row.started_at_ms, row.user_agent)
    return StoredSession(
        open=OpenSession(row.id, facts, row.last_sequence),
        workspace_id=row.workspace_id,
        device_stamp=row.device_stamp,
        visit_id=row.visit_id,
        last_activity_ms=row.last_activity_ms,
    )
