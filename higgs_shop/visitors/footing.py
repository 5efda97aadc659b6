"""Where a visit stands, in one query: asked at every page, twice."""

from dataclasses import dataclass

from sqlalchemy import Connection, bindparam, func, select

from higgs_shop.tables import device_users, devices, visits
from higgs_shop.tables import identity_intents as intents
from higgs_shop.tables import sessions as session_table
from higgs_shop.tracker import PERSON_COLUMNS, Epoch, Person, person_of
from higgs_shop.visitors import sessions
from higgs_shop.visitors.intents import ALIAS, IS_PENDING
from higgs_shop.visitors.sessions import StoredSession
from higgs_shop.visitors.visits import CHANGING, ITS_DEVICE, Visit, lock, take_over


@dataclass(frozen=True)
class Footing:
    """What decides whether and under whom a visit's events can be logged.

    Attributes:
        session: the device's session that has not ended yet, though it may be over.
        epoch: under whom events are logged now.
        person: what is known of the epoch's user; None when it has none.
        next_call_ms: when the next identity call is due; None when none is owed.
    """

    session: StoredSession | None
    epoch: Epoch
    person: Person | None
    next_call_ms: int | None


def footing(connection: Connection, visit: Visit) -> Footing:
    """Where the visit stands now. What other requests have changed of the visit is taken over."""
    row = connection.execute(_FOOTING, {"visit": visit.id}).one()
    take_over(visit, row)
    awaited, mpid = row.awaited_intent_id, row.current_mpid
    is_theirs = awaited is None and mpid is not None
    return Footing(
        session=None if row.id is None else sessions.stored(row),
        epoch=Epoch(mpid, None) if awaited is None else Epoch(None, awaited),
        person=person_of(mpid, row) if is_theirs else None,
        next_call_ms=row.next_call_ms,
    )


def firm_footing(connection: Connection, visit: Visit) -> Footing:
    """The same, inside a write transaction: it stays so until its end, on PostgreSQL too."""
    lock(connection, visit)
    return footing(connection, visit)


_OF_VISIT = (intents.c.visit_id == visits.c.id) & IS_PENDING
_FOOTING = (
    select(
        *CHANGING,
        # A modify never changes who somebody is, so nothing waits for it; nor for an alias.
        select(func.max(intents.c.id))
        .where(_OF_VISIT, intents.c.action.not_in(("modify", ALIAS)))
        .scalar_subquery()
        .label("awaited_intent_id"),
        select(intents.c.next_attempt_ms)
        .where(_OF_VISIT, intents.c.action != ALIAS)
        .order_by(intents.c.id)
        .limit(1)
        .scalar_subquery()
        .label("next_call_ms"),
        *sessions.COLUMNS,
        *PERSON_COLUMNS,
    )
    .select_from(visits)
    .join(devices, ITS_DEVICE)
    .outerjoin(
        device_users,
        (device_users.c.workspace_id == visits.c.workspace_id)
        & (device_users.c.stamp == visits.c.device_stamp)
        & (device_users.c.mpid == visits.c.current_mpid),
    )
    .outerjoin(
        session_table,
        (session_table.c.workspace_id == visits.c.workspace_id)
        & (session_table.c.device_stamp == visits.c.device_stamp)
        & session_table.c.ended_at_ms.is_(None),
    )
    .where(visits.c.id == bindparam("visit"))
)
