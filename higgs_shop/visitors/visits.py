"""Visits: what the server keeps behind the visitor's cookie.

The cookie holds a random token and nothing else; the table holds its hash. The token is renewed
whenever somebody signs in or out, so a copy of an older cookie opens nothing.
"""

import hashlib
import secrets
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import Connection, bindparam, insert, select, update

from higgs_shop.tables import devices, visits
from higgs_shop.upsert import insert_or_ignore

VISIT_DAYS: Final = 30
"""How long the browser keeps the visit's cookie, and with it the cart of somebody not signed in."""


@dataclass
class Visit:
    """One browser's stay. `token` is known only in the request that made or renewed it."""

    id: int
    workspace_id: str
    device_stamp: str
    customer_id: str | None
    current_mpid: int | None
    is_opted_out: bool
    was_welcomed: bool
    cookie_session: dict[str, Any] = field(default_factory=dict)
    token: str | None = None


def token_hash(token: str) -> str:
    """What is stored of a token."""
    return hashlib.sha256(token.encode()).hexdigest()


def find(connection: Connection, workspace_id: str, token: str) -> Visit | None:
    """The visit that this cookie opens, or None when it opens none (any more)."""
    row = connection.execute(
        _FIND, {"workspace": workspace_id, "hash": token_hash(token)}
    ).one_or_none()
    return None if row is None else Visit(**row._mapping)


def by_id(connection: Connection, visit_id: int) -> Visit:
    """A visit that is known to exist."""
    return Visit(**connection.execute(_BY_ID, {"visit": visit_id}).one()._mapping)


def lock(connection: Connection, visit: Visit) -> None:
    """Make the device's other write transactions wait for this one, as SQLite makes all wait.

    So an event is logged before an answer is stored, or after, never while. What is decided by must
    be read afterwards: PostgreSQL shows a statement what was there when it began.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(_LOCKED, {"visit": visit.id})


def refresh(connection: Connection, visit: Visit) -> None:
    """Lock the visit, and read again what other requests may have changed in the meantime."""
    take_over(visit, connection.execute(_LOCKED, {"visit": visit.id}).one())


def take_over(visit: Visit, row: Any) -> None:
    """What can have changed, from a row that has CHANGING."""
    visit.customer_id = row.customer_id
    visit.current_mpid = row.current_mpid
    visit.is_opted_out = row.is_opted_out
    visit.was_welcomed = row.was_welcomed


def find_renewed(
    connection: Connection, workspace_id: str, token: str, *, renewed_since_ms: int
) -> Visit | None:
    """The visit whose token this was until it was renewed a moment ago.

    Good for one thing alone: answering the second click of a double click on "Sign in" (its
    one-time form token proves that it is the same form).
    """
    row = connection.execute(
        _FIND_RENEWED,
        {"workspace": workspace_id, "hash": token_hash(token), "since": renewed_since_ms},
    ).one_or_none()
    return None if row is None else Visit(**row._mapping)


def begin(
    connection: Connection,
    workspace_id: str,
    device_stamp: str,
    cookie_session: dict[str, Any],
    now_ms: int,
) -> Visit:
    """A new visit on a device, which is remembered as well if it was never seen."""
    token = secrets.token_urlsafe(32)
    connection.execute(
        insert_or_ignore(connection, devices).values(
            workspace_id=workspace_id, stamp=device_stamp, first_seen_ms=now_ms
        )
    )
    connection.execute(
        insert(visits).values(
            workspace_id=workspace_id,
            token_hash=token_hash(token),
            renewed_at_ms=now_ms,
            device_stamp=device_stamp,
            cookie_session=cookie_session,
            begun_at_ms=now_ms,
        )
    )
    visit = find(connection, workspace_id, token)
    if visit is None:
        raise LookupError("a visit that was just begun cannot be found")
    visit.token = token
    return visit


def renew(connection: Connection, visit: Visit, *, customer_id: str | None, now_ms: int) -> None:
    """Somebody signs in (`customer_id`) or out (None): a new token, and nothing of the old session."""
    token = secrets.token_urlsafe(32)
    connection.execute(
        update(visits)
        .where(visits.c.id == visit.id)
        .values(
            previous_token_hash=visits.c.token_hash,
            token_hash=token_hash(token),
            renewed_at_ms=now_ms,
            customer_id=customer_id,
            cookie_session={},
        )
    )
    visit.token = token
    visit.customer_id = customer_id
    visit.cookie_session = {}


def give_new_token(connection: Connection, visit: Visit, now_ms: int) -> None:
    """A new token for a visit whose browser missed the last one."""
    token = secrets.token_urlsafe(32)
    connection.execute(
        update(visits)
        .where(visits.c.id == visit.id)
        .values(token_hash=token_hash(token), renewed_at_ms=now_ms)
    )
    visit.token = token


def save_cookie_session(connection: Connection, visit: Visit, content: dict[str, Any]) -> None:
    """Keep what Flask's session holds: the CSRF token, messages for the next page."""
    connection.execute(update(visits).where(visits.c.id == visit.id).values(cookie_session=content))
    visit.cookie_session = content


def mark_welcomed(connection: Connection, visit: Visit, now_ms: int) -> None:
    """The welcome dialog was shown on this device; it is not shown again."""
    _update_device(connection, visit, welcomed_at_ms=now_ms)
    visit.was_welcomed = True


def set_opt_out(connection: Connection, visit: Visit, *, opted_out_at_ms: int | None) -> None:
    """The person on this device does not want to be tracked; None: does again."""
    _update_device(connection, visit, opted_out_at_ms=opted_out_at_ms)
    visit.is_opted_out = opted_out_at_ms is not None


def _update_device(connection: Connection, visit: Visit, **values: int | None) -> None:
    connection.execute(
        update(devices)
        .where(devices.c.workspace_id == visit.workspace_id, devices.c.stamp == visit.device_stamp)
        .values(**values)
    )


CHANGING = (
    visits.c.customer_id,
    visits.c.current_mpid,
    devices.c.opted_out_at_ms.is_not(None).label("is_opted_out"),
    devices.c.welcomed_at_ms.is_not(None).label("was_welcomed"),
)
ITS_DEVICE = (devices.c.workspace_id == visits.c.workspace_id) & (
    devices.c.stamp == visits.c.device_stamp
)
_VISIT = select(
    visits.c.id,
    visits.c.workspace_id,
    visits.c.device_stamp,
    *CHANGING,
    visits.c.cookie_session,
).join(devices, ITS_DEVICE)
_BY_ID = _VISIT.where(visits.c.id == bindparam("visit"))
_LOCKED = _BY_ID.with_for_update()
_FIND = _VISIT.where(
    visits.c.workspace_id == bindparam("workspace"), visits.c.token_hash == bindparam("hash")
)
_FIND_RENEWED = _VISIT.where(
    visits.c.workspace_id == bindparam("workspace"),
    visits.c.previous_token_hash == bindparam("hash"),
    visits.c.renewed_at_ms >= bindparam("since"),
)
