"""The identity client's memory of a device, kept in the database between requests."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, bindparam, select, update

from higgs_shop.identity_client import Device, IdentityResult, User
from higgs_shop.tables import device_users, visits
from higgs_shop.upsert import upserting
from higgs_shop.visitors.visits import Visit


def load(connection: Connection, visit: Visit) -> Device:
    """What the client knows: everybody seen on the device, and who is current in this visit."""
    rows = connection.execute(
        _USERS, {"workspace": visit.workspace_id, "stamp": visit.device_stamp}
    ).all()
    mpid, context = connection.execute(_CURRENT, {"visit": visit.id}).one()
    # Who was current until now was seen at the same moment.
    rows = sorted(rows, key=lambda row: (-row.last_seen_ms, row.mpid != mpid))
    return Device(
        stamp=visit.device_stamp,
        users=tuple(_user(row) for row in rows),
        current_mpid=None if mpid is None else str(mpid),
        context=context,
        opted_out=visit.is_opted_out,
    )


def keep(connection: Connection, visit: Visit, result: IdentityResult, now_ms: int) -> int:
    """Remember what a call brought, and make its user the visit's current one.

    Returns: the current MPID.
    """
    mpid = int(result.user.mpid)
    known = _known_identities(connection, visit, mpid)
    identities = {
        identity_type: known[identity_type]
        if known.get(identity_type, {}).get("value") == value
        else {"value": value, "set_at_ms": now_ms}
        for identity_type, value in result.user.identities.items()
    }
    seen = {
        "identities": identities,
        "is_logged_in": result.user.is_logged_in,
        "last_seen_ms": result.user.last_seen_ms,
    }
    connection.execute(
        upserting(connection, device_users)
        .values(
            workspace_id=visit.workspace_id,
            stamp=visit.device_stamp,
            mpid=mpid,
            first_seen_ms=result.user.first_seen_ms,
            **seen,
        )
        .on_conflict_do_update(index_elements=["workspace_id", "stamp", "mpid"], set_=seen)
    )
    if result.user_changed and result.previous_user is not None:
        connection.execute(
            _SEEN_UNTIL,
            {
                "of_workspace": visit.workspace_id,
                "of_stamp": visit.device_stamp,
                "of_mpid": int(result.previous_user.mpid),
                "until": result.user.last_seen_ms,
            },
        )
    connection.execute(
        update(visits)
        .where(visits.c.id == visit.id)
        .values(current_mpid=mpid, idsync_context=result.device.context)
    )
    visit.current_mpid = mpid
    return mpid


@dataclass(frozen=True)
class DeviceUser:
    """Somebody as one device knows them: what the identity client was told, and when."""

    stamp: str
    mpid: int
    identities: dict[str, dict[str, Any]]
    is_logged_in: bool
    first_seen_ms: int
    last_seen_ms: int


def devices_of(
    connection: Connection, workspace_id: str, mpid: int, *, most: int
) -> list[DeviceUser]:
    """A person on each device where they were seen, the devices newest in use first."""
    values = {"workspace": workspace_id, "of_mpid": mpid, "most": most}
    return [DeviceUser(**row._mapping) for row in connection.execute(_DEVICES_OF, values)]


def users_of(
    connection: Connection, workspace_id: str, stamp: str, *, most: int
) -> list[DeviceUser]:
    """Everybody seen on a device, newest first."""
    values = {"workspace": workspace_id, "stamp": stamp, "most": most}
    return [DeviceUser(**row._mapping) for row in connection.execute(_USERS_OF, values)]


def newest_users(connection: Connection, workspace_id: str, *, most: int) -> list[DeviceUser]:
    """Who was first seen on a device last, newest first."""
    values = {"workspace": workspace_id, "most": most}
    return [DeviceUser(**row._mapping) for row in connection.execute(_NEWEST_USERS, values)]


def _known_identities(connection: Connection, visit: Visit, mpid: int) -> dict[str, Any]:
    known: dict[str, Any] | None = connection.execute(
        select(device_users.c.identities).where(
            device_users.c.workspace_id == visit.workspace_id,
            device_users.c.stamp == visit.device_stamp,
            device_users.c.mpid == mpid,
        )
    ).scalar_one_or_none()
    return known or {}


_DEVICE_USERS = (
    select(
        device_users.c.stamp,
        device_users.c.mpid,
        device_users.c.identities,
        device_users.c.is_logged_in,
        device_users.c.first_seen_ms,
        device_users.c.last_seen_ms,
    )
    .where(device_users.c.workspace_id == bindparam("workspace"))
    .limit(bindparam("most"))
)
_LAST_SEEN_FIRST = (device_users.c.last_seen_ms.desc(), device_users.c.stamp, device_users.c.mpid)
_DEVICES_OF = _DEVICE_USERS.where(device_users.c.mpid == bindparam("of_mpid")).order_by(
    *_LAST_SEEN_FIRST
)
_USERS_OF = _DEVICE_USERS.where(device_users.c.stamp == bindparam("stamp")).order_by(
    *_LAST_SEEN_FIRST
)
_NEWEST_USERS = _DEVICE_USERS.order_by(device_users.c.first_seen_ms.desc())
_USERS = (
    select(
        device_users.c.mpid,
        device_users.c.identities,
        device_users.c.is_logged_in,
        device_users.c.first_seen_ms,
        device_users.c.last_seen_ms,
    )
    .where(
        device_users.c.workspace_id == bindparam("workspace"),
        device_users.c.stamp == bindparam("stamp"),
    )
    .order_by(device_users.c.last_seen_ms.desc(), device_users.c.mpid)
)
_SEEN_UNTIL = (
    update(device_users)
    .where(
        device_users.c.workspace_id == bindparam("of_workspace"),
        device_users.c.stamp == bindparam("of_stamp"),
        device_users.c.mpid == bindparam("of_mpid"),
    )
    .values(last_seen_ms=bindparam("until"))
)
_CURRENT = select(visits.c.current_mpid, visits.c.idsync_context).where(
    visits.c.id == bindparam("visit")
)


def _user(row: Any) -> User:
    return User(
        mpid=str(row.mpid),
        identities={name: known["value"] for name, known in row.identities.items()},
        is_logged_in=row.is_logged_in,
        first_seen_ms=row.first_seen_ms,
        last_seen_ms=row.last_seen_ms,
    )
