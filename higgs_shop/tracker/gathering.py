"""Events that wait to be sent together, or for the end of their session: written down one by one.

A gathering is what one person does on one device in one session, as an output wants it: a session in
which somebody signs in is two. It is written in the transactions of its events, so a crash loses nothing
of it; `Gatherer` makes messages of it when it has waited long enough.
"""

import json
from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict, dataclass
from itertools import groupby
from typing import Any, Final, Literal, NamedTuple

from sqlalchemy import (
    Connection,
    and_,
    bindparam,
    case,
    delete,
    func,
    insert,
    or_,
    select,
    union_all,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite

from higgs_shop.clock_steps import SMALLEST_STEP_MS
from higgs_shop.database import JsonText
from higgs_shop.outputs import Output
from higgs_shop.tables import gathered_events, gatherings
from higgs_shop.tracker.attributed import AttributedEvent
from higgs_shop.tracker.batch import KnownIdentity, Origin, Person
from higgs_shop.tracker.splitting import MOST_IN_BATCH

SESSION_ENDS_MS: Final = 35 * 60 * 1_000
"""Thirty minutes of silence end a session; the rest is for whoever writes its end. A session that is
silent for longer has been left by a client that does not write one."""

WaitsFor = Literal["session", "time", "nothing"]
"""session: its end. time: the batch, to be old enough. nothing: the next round hands it over."""


@dataclass(frozen=True, slots=True)
class Gathered:
    """Where an event stands that is no message yet.

    Attributes:
        since_ms: when the gathering began; where it waits for a session, its last sign of life.
    """

    output_id: int
    waits_for: WaitsFor
    since_ms: int


@dataclass(frozen=True, slots=True)
class Gathering:
    """What is known of one without looking into it."""

    id: int
    workspace_id: str
    output_id: int
    mpid: int


class _Key(NamedTuple):
    """What the events of a gathering have in common."""

    mpid: int
    device_stamp: str
    session_uuid: str
    channel: str
    environment: str
    waits_for: WaitsFor


def gather(
    connection: Connection,
    output: Output,
    attributed: Sequence[AttributedEvent],
    wanted: Sequence[AttributedEvent],
    now_ms: int,
) -> None:
    """Write down the events that an output wants, inside the transaction that wrote them.

    Args:
        attributed: everything that happened: a session ends whether the output wants to hear of that
            or not, and whatever happens in it is a sign of life.
    """
    if output.settings.wait_for_session:
        for device_stamp, session_uuid in _sessions_of(attributed):
            # First, so that whoever else is about to write in the session waits here.
            values = _session_values(output, device_stamp, session_uuid)
            connection.execute(_SIGN_OF_LIFE, {**values, "now_ms": now_ms})
    for key, events in groupby(wanted, key=lambda event: _key_of(event, output)):
        _add(connection, output, key, list(events), now_ms)
    for device_stamp, session_uuid in _sessions_of(filter(_ends_session, attributed)):
        connection.execute(_END_SESSION, _session_values(output, device_stamp, session_uuid))


def discard_gathered(connection: Connection, workspace_id: str, device_stamp: str) -> int:
    """Forget what was gathered on a device: the person there opted out.

    Returns: how many events it was.
    """
    device = {"of_workspace": workspace_id, "of_device": device_stamp}
    count: int = connection.execute(_COUNT_OF_DEVICE, device).scalar_one()
    connection.execute(_FORGET_DEVICE, device)
    return count


def gathered_events_of(
    connection: Connection, workspace_id: str, event_ids: Collection[int]
) -> dict[int, list[Gathered]]:
    """Which of these events wait to be messages, by event id, one for each output that wanted it."""
    values = {"of_workspace": workspace_id, "event_ids": list(event_ids)}
    found: dict[int, list[Gathered]] = {}
    for event_id, *where in connection.execute(_GATHERED_OF_EVENTS, values):
        found.setdefault(event_id, []).append(Gathered(*where))
    return found


def count_gathered(connection: Connection, output: Output, *, most: int) -> int:
    """How many events wait to be messages of an output; counting stops at `most`."""
    values = {"of_workspace": output.workspace_id, "of_output": output.id, "most": most}
    return min(int(connection.execute(_COUNT_OF_OUTPUT, values).scalar_one()), most)


def due_gatherings(
    connection: Connection, now_ms: int, *, batch_ms: int, most: int
) -> list[Gathering]:
    """Those that have waited long enough, those that began first before others."""
    values = {**_due_values(now_ms, batch_ms), "most": most}
    return [Gathering(*row) for row in connection.execute(_DUE, values)]


def bring_back(connection: Connection, now_ms: int) -> int:
    """Count the wait of what began, or was alive, later than now from now on: the clock was set back.

    Returns: how many gatherings it were.
    """
    values = {"now_ms": now_ms, "too_late_ms": now_ms + SMALLEST_STEP_MS}
    return connection.execute(_BRING_BACK, values).rowcount


def take_events(
    connection: Connection, gathering: Gathering, now_ms: int, *, batch_ms: int, most: int
) -> list[AttributedEvent]:
    """Take the first events of a gathering out of it, in the order in which they happened.

    Returns: none when it does not wait any more, or somebody else is about to write in it.
    """
    this = {"of_workspace": gathering.workspace_id, "of_gathering": gathering.id}
    values = {**this, **_due_values(now_ms, batch_ms)}
    if connection.execute(_LOCK_DUE, values).one_or_none() is None:
        return []
    rows = connection.execute(_EVENTS, {**this, "most": most}).all()
    if len(rows) < most:
        connection.execute(_FORGET, this)
    else:
        taken = [{**this, "of_event": row.id} for row in rows]
        connection.execute(_FORGET_EVENT, taken)
        connection.execute(_LET_GO, this)
    return [_read(row) for row in rows]


def let_all_go(connection: Connection, output: Output) -> None:
    """Nothing of an output's gatherings waits any more."""
    connection.execute(_LET_ALL_GO, {"of_workspace": output.workspace_id, "of_output": output.id})


def gatherings_of(connection: Connection, output: Output, *, most: int) -> list[Gathering]:
    """An output's, those that began first before others."""
    values = {"of_workspace": output.workspace_id, "of_output": output.id, "most": most}
    return [Gathering(*row) for row in connection.execute(_OF_OUTPUT, values)]


def _sessions_of(events: Any) -> list[tuple[str, str]]:
    """The device and the session of each, once."""
    pairs = ((event.origin.device_stamp or "", event.session_uuid) for event in events)
    return list(dict.fromkeys(pair for pair in pairs if pair[1] is not None))


def _session_values(output: Output, device_stamp: str, session_uuid: str) -> dict[str, Any]:
    return {
        "of_workspace": output.workspace_id,
        "of_device": device_stamp,
        "of_session": session_uuid,
        "of_output": output.id,
    }


def _ends_session(event: AttributedEvent) -> bool:
    """An end, or the opting out after which nothing comes."""
    if event.event_type == "opt_out":
        return json.loads(event.data).get("is_opted_out") is True
    return event.event_type == "session_end"


def _key_of(event: AttributedEvent, output: Output) -> _Key:
    return _Key(
        event.person.mpid,
        event.origin.device_stamp or "",
        event.session_uuid or "",
        event.origin.channel,
        event.origin.environment,
        _waits_for(event, output),
    )


def _waits_for(event: AttributedEvent, output: Output) -> WaitsFor:
    if output.gathering == "ending":
        return "nothing"
    if output.settings.wait_for_session and event.session_uuid is not None:
        return "session"
    return "time" if output.settings.send_as_batch else "nothing"


def _add(
    connection: Connection,
    output: Output,
    key: _Key,
    events: Sequence[AttributedEvent],
    now_ms: int,
) -> None:
    is_full = key.waits_for == "time" and len(events) >= MOST_IN_BATCH
    gathering_id = connection.execute(
        _FIND_OR_MAKE[connection.dialect.name],
        {
            **key._asdict(),
            "workspace_id": output.workspace_id,
            "output_id": output.id,
            "waits_for": "nothing" if is_full else key.waits_for,
            "size": len(events),
            "since_ms": now_ms,
        },
    ).scalar_one()
    connection.execute(
        insert(gathered_events),
        [
            {
                "workspace_id": output.workspace_id,
                "gathering_id": gathering_id,
                "event_id": event.id,
                "event_type": event.event_type,
                "data": event.data,
                "facts": {"person": asdict(event.person), "origin": asdict(event.origin)},
                "session_sequence": event.session_sequence,
                "happened_at_ms": event.happened_at_ms,
                "received_at_ms": event.received_at_ms,
            }
            for event in events
        ],
    )


def _read(row: Any) -> AttributedEvent:
    person = row.facts["person"]
    identities = [KnownIdentity(**identity) for identity in person["identities"]]
    return AttributedEvent(
        id=row.event_id,
        person=Person(person["mpid"], identities, person["attributes"]),
        event_type=row.event_type,
        data=JsonText(row.data),
        happened_at_ms=row.happened_at_ms,
        received_at_ms=row.received_at_ms,
        session_uuid=row.session_uuid or None,
        session_sequence=row.session_sequence,
        origin=Origin(**row.facts["origin"]),
    )


def _due_values(now_ms: int, batch_ms: int) -> dict[str, int]:
    return {"old_ms": now_ms - batch_ms, "silent_ms": now_ms - SESSION_ENDS_MS}


def _find_or_make(dialect_insert: Callable[..., Any]) -> Any:
    statement = dialect_insert(gatherings)
    new, was = statement.excluded, gatherings.c
    is_full = (was.waits_for == "time") & (was.size + new.size >= MOST_IN_BATCH)
    return statement.on_conflict_do_update(
        index_elements=[
            was.workspace_id,
            was.device_stamp,
            was.session_uuid,
            was.output_id,
            was.mpid,
            was.channel,
            was.environment,
        ],
        set_={
            "size": was.size + new.size,
            "since_ms": case((was.waits_for == "session", new.since_ms), else_=was.since_ms),
            "waits_for": case(
                (or_(new.waits_for == "nothing", is_full), "nothing"), else_=was.waits_for
            ),
        },
    ).returning(was.id)


_FIND_OR_MAKE: Final = {
    "sqlite": _find_or_make(sqlite.insert),
    "postgresql": _find_or_make(postgresql.insert),
}
_IN_SESSION: Final = (
    gatherings.c.workspace_id == bindparam("of_workspace"),
    gatherings.c.device_stamp == bindparam("of_device"),
    gatherings.c.session_uuid == bindparam("of_session"),
    gatherings.c.output_id == bindparam("of_output"),
)
_SIGN_OF_LIFE: Final = (
    update(gatherings)
    .where(*_IN_SESSION, gatherings.c.waits_for == "session")
    .values(since_ms=bindparam("now_ms"))
)
_END_SESSION: Final = update(gatherings).where(*_IN_SESSION).values(waits_for="nothing")
_OF_DEVICE: Final = (
    gatherings.c.workspace_id == bindparam("of_workspace"),
    gatherings.c.device_stamp == bindparam("of_device"),
)
_INTO_GATHERING: Final = and_(
    gatherings.c.id == gathered_events.c.gathering_id,
    gatherings.c.workspace_id == gathered_events.c.workspace_id,
)
_COUNT_OF_DEVICE: Final = (
    select(func.count(gathered_events.c.event_id.distinct()))
    .join(gatherings, _INTO_GATHERING)
    .where(*_OF_DEVICE)
)
_FORGET_DEVICE: Final = delete(gatherings).where(*_OF_DEVICE)
_GATHERED_OF_EVENTS: Final = (
    select(
        gathered_events.c.event_id,
        gatherings.c.output_id,
        gatherings.c.waits_for,
        gatherings.c.since_ms,
    )
    .join(gatherings, _INTO_GATHERING)
    .where(
        gathered_events.c.workspace_id == bindparam("of_workspace"),
        gathered_events.c.event_id.in_(bindparam("event_ids", expanding=True)),
    )
    .order_by(gathered_events.c.id)
)
_IS_DUE: Final = (
    (gatherings.c.waits_for == "nothing",),
    (gatherings.c.waits_for == "time", gatherings.c.since_ms <= bindparam("old_ms")),
    (gatherings.c.waits_for == "session", gatherings.c.since_ms <= bindparam("silent_ms")),
)
_GATHERING: Final = select(
    gatherings.c.id, gatherings.c.workspace_id, gatherings.c.output_id, gatherings.c.mpid
)
_DUE: Final = (
    union_all(*(_GATHERING.where(*each) for each in _IS_DUE))
    .order_by("id")
    .limit(bindparam("most"))
)
_BRING_BACK: Final = (
    update(gatherings)
    .where(
        gatherings.c.waits_for.in_(["time", "session"]),
        bindparam("too_late_ms") < gatherings.c.since_ms,
    )
    .values(since_ms=bindparam("now_ms"))
)
_THIS: Final = (
    gatherings.c.workspace_id == bindparam("of_workspace"),
    gatherings.c.id == bindparam("of_gathering"),
)
_LOCK_DUE: Final = (
    select(gatherings.c.id)
    .where(*_THIS, or_(*(and_(*each) for each in _IS_DUE)))
    .with_for_update(skip_locked=True)
)
_OF_THIS: Final = (
    gathered_events.c.workspace_id == bindparam("of_workspace"),
    gathered_events.c.gathering_id == bindparam("of_gathering"),
)
_EVENTS: Final = (
    select(gathered_events, gatherings.c.session_uuid)
    .join(gatherings, _INTO_GATHERING)
    .where(*_OF_THIS)
    .order_by(gathered_events.c.happened_at_ms, gathered_events.c.id)
    .limit(bindparam("most"))
)
_FORGET: Final = delete(gatherings).where(*_THIS)
_FORGET_EVENT: Final = delete(gathered_events).where(
    *_OF_THIS, gathered_events.c.id == bindparam("of_event")
)
_LET_GO: Final = update(gatherings).where(*_THIS).values(waits_for="nothing")
_THESE: Final = (
    gatherings.c.workspace_id == bindparam("of_workspace"),
    gatherings.c.output_id == bindparam("of_output"),
)
_sizes: Final = select(gatherings.c.size).where(*_THESE).limit(bindparam("most")).subquery("found")
_COUNT_OF_OUTPUT: Final = select(func.coalesce(func.sum(_sizes.c.size), 0))
_LET_ALL_GO: Final = update(gatherings).where(*_THESE).values(waits_for="nothing")
_OF_OUTPUT: Final = _GATHERING.where(*_THESE).order_by(gatherings.c.id).limit(bindparam("most"))
