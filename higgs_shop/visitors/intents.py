"""Identity calls that are owed.

An intent is written in the transaction that makes the call necessary (a session starts, somebody
signs in) and closed by the one that stores the answer. A service that is down, a crash or a lost
race leaves an intent behind, never half a person. A visit's intents are carried out one at a time,
in order, by whoever holds the visit's lease.
"""

import secrets
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from sqlalchemy import (
    Connection,
    Row,
    and_,
    bindparam,
    exists,
    insert,
    literal,
    literal_column,
    or_,
    select,
    update,
)

from higgs_shop.tables import identity_intents as intents
from higgs_shop.tables import visits

Action = Literal["identify", "login", "logout", "modify", "alias"]
"""Alias stands apart: it changes nobody, so nothing waits for it, and it waits for nothing."""

ALIAS: Final = "alias"
LEASE_MS: Final = 30_000
"""How long a visit's calls belong to one thread; far longer than a call may take."""

_LONGEST_WAIT_MS: Final = 30_000
_LONGEST_ASKED_WAIT_MS: Final = 5 * 60_000


@dataclass(frozen=True)
class Intent:
    """One call: owed, or carried out."""

    id: int
    workspace_id: str
    visit_id: int
    action: Action
    identities: Mapping[str, str | None]
    request_id: str
    state: str
    attempts: int
    error_code: str | None
    error_message: str | None
    previous_mpid: int | None
    mpid: int | None
    owed_since_ms: int
    next_attempt_ms: int
    closed_at_ms: int | None


def owe(
    connection: Connection,
    workspace_id: str,
    visit_id: int,
    *,
    action: Action,
    identities: Mapping[str, str | None],
    now_ms: int,
    previous_mpid: int | None = None,
    mpid: int | None = None,
) -> int:
    """Write down that a call is owed; an alias from which profile to which. Returns the intent's id."""
    (intent_id,) = connection.execute(
        insert(intents)
        .values(
            workspace_id=workspace_id,
            visit_id=visit_id,
            action=action,
            identities=dict(identities),
            request_id=str(uuid.uuid4()),
            state="pending",
            attempts=0,
            previous_mpid=previous_mpid,
            mpid=mpid,
            owed_since_ms=now_ms,
            next_attempt_ms=now_ms,
        )
        .returning(intents.c.id)
    ).one()
    return int(intent_id)


def pending(connection: Connection, visit_id: int) -> list[Intent]:
    """The calls a visit still owes, in the order in which they will be made, aliases among them."""
    return [_intent(row) for row in connection.execute(_PENDING, {"visit": visit_id})]


def gating(owed: Iterable[Intent]) -> list[Intent]:
    """Those for which the person has to wait."""
    return [intent for intent in owed if intent.action != ALIAS]


def first_due(owed: Sequence[Intent], now_ms: int) -> Intent | None:
    """What to do next: the calls about who it is in their order, aliases whenever they are due."""
    in_turn = [*gating(owed)[:1], *(intent for intent in owed if intent.action == ALIAS)]
    return next((intent for intent in in_turn if is_due(intent.next_attempt_ms, now_ms)), None)


def is_due(next_attempt_ms: int, now_ms: int) -> bool:
    """Whether a call may be made now.

    What is further away than any wait was written down before the clock was set back: it is due, too.
    """
    return not now_ms < next_attempt_ms <= now_ms + _LONGEST_ASKED_WAIT_MS


def latest(connection: Connection, visit_id: int, *, most: int) -> list[Intent]:
    """A visit's last calls, newest first."""
    return [_intent(row) for row in connection.execute(_LATEST, {"visit": visit_id, "most": most})]


def visits_with_due_calls(connection: Connection, now_ms: int, *, most: int = 50) -> list[int]:
    """Visits whose next call is due and which nobody is working on."""
    values = {
        "now": now_ms,
        "latest_due": now_ms + _LONGEST_ASKED_WAIT_MS,
        "latest_until": now_ms + LEASE_MS,
        "most": most,
    }
    due = connection.scalars(_DUE_VISITS, values).all()
    # Asked by itself: with both in one condition, SQLite reads every call that is owed.
    too_far_ahead = connection.scalars(_VISITS_DUE_TOO_LATE, values).all()
    return [*due, *too_far_ahead][:most]


def take_lease(connection: Connection, visit_id: int, now_ms: int) -> str | None:
    """Become the one who makes the visit's calls. None when somebody else is."""
    lease = secrets.token_hex(8)
    taken = connection.execute(
        _TAKE_LEASE,
        {"visit": visit_id, "lease": lease, "latest_until": now_ms + LEASE_MS, "now": now_ms},
    )
    return lease if taken.rowcount else None


def holds_lease(connection: Connection, visit_id: int, lease: str) -> bool:
    """Whether the lease is still ours. Renews it, which locks the visit on PostgreSQL."""
    held = connection.execute(
        update(visits)
        .where(visits.c.id == visit_id, visits.c.lease_token == lease)
        .values(lease_token=lease)
    )
    return held.rowcount == 1


def release_lease(connection: Connection, visit_id: int, lease: str) -> None:
    """Let others make the visit's calls."""
    connection.execute(
        update(visits)
        .where(visits.c.id == visit_id, visits.c.lease_token == lease)
        .values(lease_token=None, lease_until_ms=None)
    )


def forget_leases(connection: Connection) -> None:
    """After a crash, where no other process can be making calls: nobody holds a lease."""
    connection.execute(
        update(visits)
        .where(visits.c.lease_token.is_not(None))
        .values(lease_token=None, lease_until_ms=None)
    )


def close(
    connection: Connection,
    intent: Intent,
    *,
    previous_mpid: int | None,
    mpid: int | None,
    now_ms: int,
) -> None:
    """The answer has come."""
    connection.execute(
        update(intents)
        .where(intents.c.id == intent.id)
        .values(
            state="done",
            attempts=intent.attempts + 1,
            previous_mpid=previous_mpid,
            mpid=mpid,
            error_code=None,
            error_message=None,
            closed_at_ms=now_ms,
        )
    )


def postpone(
    connection: Connection, intent: Intent, *, code: str, message: str, next_attempt_ms: int
) -> None:
    """The call failed; it stays owed."""
    connection.execute(
        update(intents)
        .where(intents.c.id == intent.id)
        .values(
            attempts=intent.attempts + 1,
            error_code=code,
            error_message=message,
            next_attempt_ms=next_attempt_ms,
        )
    )


def hold_back(
    connection: Connection, intent: Intent, *, code: str, message: str, next_attempt_ms: int
) -> None:
    """The call was not even made; it stays owed, as if nothing had been tried."""
    connection.execute(
        update(intents)
        .where(intents.c.id == intent.id)
        .values(error_code=code, error_message=message, next_attempt_ms=next_attempt_ms)
    )


def refuse(connection: Connection, intent: Intent, *, code: str, message: str, now_ms: int) -> None:
    """The call can never succeed; it is not owed any more."""
    connection.execute(
        update(intents)
        .where(intents.c.id == intent.id)
        .values(
            state="refused",
            attempts=intent.attempts + 1,
            error_code=code,
            error_message=message,
            closed_at_ms=now_ms,
        )
    )


def turn_into_logout(
    connection: Connection, intent: Intent, *, code: str, message: str, now_ms: int
) -> None:
    """The login can never succeed: whoever came is, for the service, nobody in particular.

    The call stays owed in its place, as another one, so that the events that wait for its answer
    become those of somebody new.
    """
    connection.execute(
        update(intents)
        .where(intents.c.id == intent.id)
        .values(
            action="logout",
            identities={},
            request_id=str(uuid.uuid4()),
            attempts=intent.attempts + 1,
            error_code=code,
            error_message=message,
            next_attempt_ms=now_ms,
        )
    )


def give_up_tracking(
    connection: Connection, workspace_id: str, device_stamp: str, now_ms: int
) -> None:
    """The person on a device opted out: what signing in does not need is not owed any more."""
    of_device = select(visits.c.id).where(
        visits.c.workspace_id == workspace_id, visits.c.device_stamp == device_stamp
    )
    connection.execute(
        update(intents)
        .where(
            intents.c.visit_id.in_(of_device),
            intents.c.state == "pending",
            intents.c.action.in_(("identify", "modify", ALIAS)),
        )
        .values(
            state="refused",
            error_code="opted_out",
            error_message="The visitor opted out before the call was made.",
            closed_at_ms=now_ms,
        )
    )


def wait_ms(attempts: int, retry_after_seconds: float | None) -> int:
    """How long to wait after so many failed attempts: 1 s, 2 s, 4 s … 30 s.

    Or what the service asked for, up to five minutes.
    """
    planned: int = min(1_000 * 2 ** min(attempts - 1, 10), _LONGEST_WAIT_MS)
    asked = min(int((retry_after_seconds or 0) * 1_000), _LONGEST_ASKED_WAIT_MS)
    return max(planned, asked)


# Written out, not bound: for a partial index, SQLite plans anew whenever a bound value may match it.
IS_PENDING = intents.c.state == literal_column("'pending'")
_PENDING_OF_VISIT = and_(intents.c.visit_id == bindparam("visit"), IS_PENDING)
_PENDING = select(intents).where(_PENDING_OF_VISIT).order_by(intents.c.id)
_LATEST = (
    select(intents)
    .where(intents.c.visit_id == bindparam("visit"))
    .order_by(intents.c.id.desc())
    .limit(bindparam("most"))
)
# One that ends later than a new one would was taken before the clock was set back.
_LEASE_IS_FREE = or_(
    visits.c.lease_until_ms.is_(None),
    visits.c.lease_until_ms < bindparam("now"),
    visits.c.lease_until_ms > bindparam("latest_until"),
)
_TAKE_LEASE = (
    update(visits)
    .where(visits.c.id == bindparam("visit"), _LEASE_IS_FREE)
    .values(lease_token=bindparam("lease"), lease_until_ms=bindparam("latest_until"))
)
_earlier = intents.alias("earlier")
_IS_FIRST = or_(
    intents.c.action == ALIAS,
    ~exists(literal(1)).where(
        _earlier.c.visit_id == intents.c.visit_id,
        _earlier.c.id < intents.c.id,
        _earlier.c.state == literal_column("'pending'"),
        _earlier.c.action != ALIAS,
    ),
)
_OWED_BY_VISITS = (
    select(intents.c.visit_id)
    .join(visits, visits.c.id == intents.c.visit_id)
    .where(IS_PENDING, _IS_FIRST, _LEASE_IS_FREE)
    .order_by(intents.c.next_attempt_ms)
    .limit(bindparam("most"))
)
_DUE_VISITS = _OWED_BY_VISITS.where(intents.c.next_attempt_ms <= bindparam("now"))
_VISITS_DUE_TOO_LATE = _OWED_BY_VISITS.where(intents.c.next_attempt_ms > bindparam("latest_due"))


def _intent(row: Row[Any]) -> Intent:
    return Intent(**row._mapping)
