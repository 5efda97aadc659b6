"""Opens the log into which one request's events are written, and closes it whole."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection

from higgs_shop.tracker import Epoch, EventLog, OpenSession, Person, Tracker
from higgs_shop.visitors import sessions
from higgs_shop.visitors.footing import footing
from higgs_shop.visitors.visits import Visit


@contextmanager
def event_log(
    tracker: Tracker,
    connection: Connection,
    visit: Visit,
    *,
    session: OpenSession,
    request_id: str,
    now_ms: int,
    epoch: Epoch | None = None,
    person: Person | None = None,
    is_activity: bool = False,
) -> Iterator[EventLog]:
    """A visit's log inside a write transaction.

    At the end of the block its attributed events are handed to the outbox, together and in order,
    and the session remembers how many it has.

    Args:
        epoch: under whom events are logged; by default, whoever is current or awaited now.
        person: what is known of the epoch's user, for those who have read it.
        is_activity: whether the visitor is doing something, which keeps the session alive.
    """
    log = EventLog(
        connection=connection,
        workspace_id=visit.workspace_id,
        visit_id=visit.id,
        device_stamp=visit.device_stamp,
        epoch=epoch or footing(connection, visit).epoch,
        person=person,
        session=session,
        request_id=request_id,
        now_ms=now_ms,
    )
    yield log
    if log.logged:
        tracker.hand_over(log)
    if is_activity:
        sessions.keep_activity(connection, session, visit_id=visit.id, now_ms=now_ms)
    elif log.logged:
        sessions.keep_sequence(connection, session)
