"""The tracker: writes events down, and says whose they are.

An event is logged under an epoch: the user who is current, or the identity call whose answer is
still out. Under a user it gets its place in that person's queue at once; under a call it waits, and
`attribute` gives it its person when the answer comes. So nothing is ever attributed to whoever was
here before or comes after.
"""

import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, bindparam, false, func, insert, null, or_, select, update

from higgs_shop.clock import Clock
from higgs_shop.tables import batches, events, sessions, visits
from higgs_shop.tracker.attributed import AttributedEvent
from higgs_shop.tracker.batch import (
    Person,
    SessionFacts,
    event_data,
    page_origin,
)
from higgs_shop.tracker.code_place import code_place
from higgs_shop.tracker.events import Event
from higgs_shop.tracker.hand_over import hand_over
from higgs_shop.tracker.json_text import compact_json
from higgs_shop.tracker.people import read_person, set_user_attribute

TRACKS_FOR_ITS_CALLER = True

_AFTER_ALL = 2**63 - 1


@dataclass(frozen=True)
class Epoch:
    """Under whom events are logged: exactly one of `mpid` and `intent_id` is set."""

    mpid: int | None
    intent_id: int | None


@dataclass
class OpenSession:
    """The session in which events are being logged. `last_sequence` grows with each."""

    id: int
    facts: SessionFacts
    last_sequence: int


@dataclass
class EventLog:
    """Where one request's events go: an open write transaction, a visit, an epoch and a session."""

    connection: Connection
    workspace_id: str
    visit_id: int
    device_stamp: str
    epoch: Epoch
    session: OpenSession
    request_id: str
    now_ms: int
    logged: list[int] = field(default_factory=list)
    """Ids of the events written so far."""
    person: Person | None = None
    """The epoch's person; read with the first event that is theirs, if not known before."""
    attributed: list[AttributedEvent] = field(default_factory=list)
    """Events that have their person and wait for `hand_over`."""


@dataclass(frozen=True)
class LoggedEvent:
    """An event as it is stored, for those who look at it."""

    id: int
    request_id: str
    event_type: str
    name: str
    data: dict[str, Any]
    mpid: int | None
    intent_id: int | None
    code_place: str
    logged_at_ms: int
    copied_from: int | None
    """The event of another person that an alias carried over."""
    channel: str | None
    """How a client sent it; None for what the store's own pages logged."""
    is_historical: bool
    """It was sent to be kept, and not to be handed over."""


class Tracker:
    """Writes events in the caller's transaction, and hands the attributed ones to the outbox.

    A log is handed over once, when all its events are written: the outbox takes them together.

    Args:
        environment: `development` or `production`, told to the receiver.
        clock: what time it is.
        new_id: a new random UUID as text, for message ids.
    """

    def __init__(
        self,
        *,
        environment: str,
        clock: Clock,
        new_id: Callable[[], str] = lambda: str(uuid.uuid4()),
    ) -> None:
        self._environment = environment
        self._clock = clock
        self._new_id = new_id

    def log(
        self,
        log: EventLog,
        event: Event,
        *,
        happened_at_ms: int | None = None,
        once: str | None = None,
    ) -> bool:
        """Write one event down. It is kept exactly if the caller's transaction is.

        Args:
            log: where it goes.
            event: what happened.
            happened_at_ms: when, if not now.
            once: a key that names this occurrence in the workspace (an order number, a form's
                one-time token). A second event with the same key is not logged.
        Returns: whether it was logged.
        """
        at_ms = log.now_ms if happened_at_ms is None else happened_at_ms
        message_id = _id_of(log.workspace_id, event.event_type, once) if once else self._new_id()
        if once and _is_logged(log, message_id):
            return False
        data = event_data(
            event.data(),
            happened_at_ms=at_ms,
            source_message_id=message_id,
            session=log.session.facts,
        )
        mpid = log.epoch.mpid
        if mpid is not None and event.event_type == "user_attribute_change":
            data = set_user_attribute(log.connection, log.workspace_id, mpid, data)
            log.person = None
        data_json = compact_json(data)
        log.session.last_sequence += 1
        written = log.connection.execute(
            _INSERT_EVENT,
            {
                "workspace_id": log.workspace_id,
                "visit_id": log.visit_id,
                "session_id": log.session.id,
                "session_sequence": log.session.last_sequence,
                "request_id": log.request_id,
                "intent_id": log.epoch.intent_id,
                "mpid": mpid,
                "event_type": event.event_type,
                "name": event.name,
                "data": data_json,
                "source_message_id": message_id,
                "code_place": code_place(),
                "logged_at_ms": at_ms,
            },
        )
        event_id: int = written.inserted_primary_key[0]  # type: ignore[index]  # the row has one
        log.logged.append(event_id)
        if mpid is not None:
            if log.person is None or log.person.mpid != mpid:
                log.person = read_person(log.connection, log.workspace_id, log.device_stamp, mpid)
            log.attributed.append(
                AttributedEvent(
                    event_id,
                    log.person,
                    event.event_type,
                    data_json,
                    at_ms,
                    at_ms,
                    log.session.facts.session_uuid,
                    log.session.last_sequence,
                    page_origin(log.session.facts, self._environment, log.device_stamp),
                )
            )
        return True

    def hand_over(self, log: EventLog) -> None:
        """Give the log's attributed events to the outbox, in the order in which they were logged."""
        hand_over(log.connection, log.workspace_id, log.attributed, self._clock())
        log.attributed.clear()

    def attribute(
        self, connection: Connection, workspace_id: str, intent_id: int, mpid: int
    ) -> int:
        """The answer to an identity call came: its epoch's events are this person's.

        They join the person's queue in the order in which they were logged.
        Returns: how many there were.
        """
        waiting = connection.execute(
            _WAITING_EVENTS, {"workspace": workspace_id, "intent": intent_id}
        ).all()
        person = None
        attributed = []
        for row in waiting:
            data = row.data
            if row.event_type == "user_attribute_change":
                data = set_user_attribute(connection, workspace_id, mpid, data)
                person = None
            data_json = compact_json(data)
            connection.execute(
                _ATTRIBUTE_EVENT, {"event": row.id, "to": mpid, "as_data": data_json}
            )
            person = person or read_person(connection, workspace_id, row.device_stamp, mpid)
            session = SessionFacts(row.session_uuid, row.started_at_ms, row.user_agent)
            attributed.append(
                AttributedEvent(
                    row.id,
                    person,
                    row.event_type,
                    data_json,
                    row.logged_at_ms,
                    row.logged_at_ms,
                    row.session_uuid,
                    row.session_sequence,
                    page_origin(session, self._environment, row.device_stamp),
                )
            )
        hand_over(connection, workspace_id, attributed, self._clock())
        return len(waiting)


def events_of_visit(
    connection: Connection, workspace_id: str, visit_id: int, *, most: int
) -> list[LoggedEvent]:
    """The newest events of a visit, newest first."""
    rows = connection.execute(
        _EVENTS_OF_VISIT, {"workspace": workspace_id, "visit": visit_id, "most": most}
    )
    return [LoggedEvent(**row._mapping) for row in rows]


def events_of_person(
    connection: Connection,
    workspace_id: str,
    mpid: int,
    *,
    before: tuple[int, int] = (_AFTER_ALL, _AFTER_ALL),
    most: int,
) -> list[LoggedEvent]:
    """The newest events of a person, newest first: by when they happened, not when they came.

    Args:
        before: only those before this moment and event: its `logged_at_ms` and `id`.
    """
    values = {
        "workspace": workspace_id,
        "of_mpid": mpid,
        "before_ms": before[0],
        "before_id": before[1],
        "most": most,
    }
    return [LoggedEvent(**row._mapping) for row in connection.execute(_EVENTS_OF_PERSON, values)]


def discard_unattributed(connection: Connection, workspace_id: str, device_stamp: str) -> int:
    """Forget the events of a device that belong to nobody yet: the person there opted out.

    Returns: how many there were.
    """
    of_device = select(visits.c.id).where(
        visits.c.workspace_id == workspace_id, visits.c.device_stamp == device_stamp
    )
    gone = connection.execute(
        events.delete().where(
            events.c.workspace_id == workspace_id,
            events.c.visit_id.in_(of_device),
            events.c.mpid.is_(None),
        )
    )
    return gone.rowcount


_INSERT_EVENT = insert(events)
_ATTRIBUTE_EVENT = (
    update(events)
    .where(events.c.id == bindparam("event"))
    .values(mpid=bindparam("to"), data=bindparam("as_data", type_=events.c.data.type))
)
_IS_LOGGED = select(events.c.id).where(
    events.c.workspace_id == bindparam("workspace"),
    events.c.source_message_id == bindparam("message"),
)
_WAITING_EVENTS = (
    select(
        events.c.id,
        events.c.event_type,
        events.c.data,
        events.c.logged_at_ms,
        events.c.session_sequence,
        sessions.c.session_uuid,
        sessions.c.started_at_ms,
        sessions.c.user_agent,
        visits.c.device_stamp,
    )
    .join(sessions, sessions.c.id == events.c.session_id)
    .join(visits, visits.c.id == events.c.visit_id)
    .where(
        events.c.workspace_id == bindparam("workspace"),
        events.c.intent_id == bindparam("intent"),
        events.c.mpid.is_(None),
    )
    .order_by(events.c.id)
)
_LOGGED_EVENT = select(
    events.c.id,
    events.c.request_id,
    events.c.event_type,
    events.c.name,
    events.c.data,
    events.c.mpid,
    events.c.intent_id,
    events.c.code_place,
    events.c.logged_at_ms,
    events.c.copied_from,
)
_EVENTS_OF_PERSON = (
    _LOGGED_EVENT.add_columns(
        batches.c.channel, func.coalesce(batches.c.is_historical, false()).label("is_historical")
    )
    .outerjoin(batches, batches.c.id == events.c.batch_id)
    .where(
        events.c.workspace_id == bindparam("workspace"),
        events.c.mpid == bindparam("of_mpid"),
        # Not as a comparison of pairs: SQLite would use only the first column of the index for one.
        events.c.logged_at_ms <= bindparam("before_ms"),
        or_(
            events.c.logged_at_ms < bindparam("before_ms"),
            events.c.id < bindparam("before_id"),
        ),
    )
    .order_by(events.c.logged_at_ms.desc(), events.c.id.desc())
    .limit(bindparam("most"))
)
_EVENTS_OF_VISIT = (
    _LOGGED_EVENT.add_columns(null().label("channel"), false().label("is_historical"))
    .where(events.c.workspace_id == bindparam("workspace"), events.c.visit_id == bindparam("visit"))
    .order_by(events.c.id.desc())
    .limit(bindparam("most"))
)


def _id_of(workspace_id: str, event_type: str, once: str) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"higgs-shop:{workspace_id}:{event_type}:{once}"))


def _is_logged(log: EventLog, message_id: str) -> bool:
    names = {"workspace": log.workspace_id, "message": message_id}
    return log.connection.execute(_IS_LOGGED, names).first() is not None
