"""What is known of the person whose event it is: identities as this device knows them, attributes."""

from typing import Any

from sqlalchemy import Connection, bindparam, select

from higgs_shop.json_object import json_object_of
from higgs_shop.tables import device_users, user_attributes
from higgs_shop.tracker.batch import KnownIdentity, Person
from higgs_shop.upsert import upserting


def read_person(connection: Connection, workspace_id: str, stamp: str, mpid: int) -> Person:
    """Who this is, as known now on the device with this stamp, where they were seen before."""
    row = connection.execute(
        _PERSON, {"workspace": workspace_id, "stamp": stamp, "mpid": mpid}
    ).one_or_none()
    return Person(mpid, [], {}) if row is None else person_of(mpid, row)


def person_of(mpid: int, row: Any) -> Person:
    """The person of a row that has PERSON_COLUMNS."""
    return Person(
        mpid,
        [
            KnownIdentity(identity_type, identity["value"], identity["set_at_ms"])
            for identity_type, identity in sorted((row.identities or {}).items())
        ],
        dict(sorted((row.user_attributes or {}).items())),
    )


def attributes_of(connection: Connection, workspace_id: str, mpid: int) -> dict[str, Any]:
    """A person's user attributes, by name."""
    rows = connection.execute(_ATTRIBUTES, {"workspace": workspace_id, "mpid": mpid})
    return {row.name: row.value for row in rows}


def set_user_attribute(
    connection: Connection, workspace_id: str, mpid: int, data: dict[str, Any]
) -> dict[str, Any]:
    """Keep the new value of a `user_attribute_change`.

    Returns: the event's data, completed with the old value and whether the attribute is new.
    """
    name, new = data["user_attribute_name"], data["new"]
    known = attributes_of(connection, workspace_id, mpid)
    set_at_ms = data["timestamp_unixtime_ms"]
    connection.execute(
        upserting(connection, user_attributes)
        .values(workspace_id=workspace_id, mpid=mpid, name=name, value=new, set_at_ms=set_at_ms)
        .on_conflict_do_update(
            index_elements=["workspace_id", "mpid", "name"],
            set_={"value": new, "set_at_ms": set_at_ms},
        )
    )
    return {**data, "old": known.get(name), "is_new_attribute": name not in known}


PERSON_COLUMNS = (
    device_users.c.identities,
    select(json_object_of(user_attributes.c.name, user_attributes.c.value))
    .where(
        user_attributes.c.workspace_id == device_users.c.workspace_id,
        user_attributes.c.mpid == device_users.c.mpid,
    )
    .scalar_subquery()
    .label("user_attributes"),
)
_PERSON = select(*PERSON_COLUMNS).where(
    device_users.c.workspace_id == bindparam("workspace"),
    device_users.c.stamp == bindparam("stamp"),
    device_users.c.mpid == bindparam("mpid"),
)
_ATTRIBUTES = (
    select(user_attributes.c.name, user_attributes.c.value)
    .where(
        user_attributes.c.workspace_id == bindparam("workspace"),
        user_attributes.c.mpid == bindparam("mpid"),
    )
    .order_by(user_attributes.c.name)
)
