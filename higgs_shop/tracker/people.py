"""What is known of the person whose event it is: identities as this device knows them, attributes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, bindparam, delete, func, select
from sqlalchemy.dialects import postgresql, sqlite

from higgs_shop.identity_types import USER_IDENTITY_TYPES
from higgs_shop.json_object import json_object_of
from higgs_shop.tables import device_users, profiles, user_attributes
from higgs_shop.tracker.batch import KnownIdentity, Person
from higgs_shop.tracker.json_text import compact_json
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
            set_={"value": new, "told_by": None, "set_at_ms": set_at_ms},
        )
    )
    return {**data, "old": known.get(name), "is_new_attribute": name not in known}


def identities_of(
    connection: Connection, workspace_id: str, mpid: int, told: Mapping[str, str], told_at_ms: int
) -> list[KnownIdentity]:
    """A person's own identities: those that a client tells, and of the other types, those on record.

    One that is told and on record has the time of the record, the others the time of being told.
    """
    record = connection.execute(_RECORD, {"workspace": workspace_id, "mpid": mpid}).scalar() or {}
    found = {
        (name, value): set_at_ms
        for name, values in record.items()
        for value, set_at_ms in values.items()
        if name in USER_IDENTITY_TYPES
    }
    known = {pair: since for pair, since in found.items() if pair[0] not in told}
    known |= {pair: found.get(pair, told_at_ms) for pair in told.items()}
    return [KnownIdentity(name, value, since) for (name, value), since in sorted(known.items())]


MOST_ATTRIBUTES: Final = 100
"""A person has so many at most, as mParticle's SDKs allow (its "Default Service Limits")."""

MOST_ATTRIBUTES_BYTES: Final = 64 * 1024
"""And so many bytes of names and values, as JSON: they stand in every body about the person, which with
the largest upload of a client beside them is still one that receivers take. The bound is the store's own."""


@dataclass(frozen=True)
class Attribute:
    """A user attribute as it is known: its value, since when, and which device's client said so."""

    value: Any
    set_at_ms: int
    told_by: str | None


@dataclass(frozen=True)
class AttributeChange:
    """One user attribute has a value since then, or is gone since then."""

    name: str
    value: Any
    is_deleted: bool
    at_ms: int


@dataclass(frozen=True)
class AttributeNews:
    """What a client says of a person's attributes.

    Attributes:
        changes: earliest first.
        told_by: the client's device, if it has one.
        complete: the names of all attributes that the client knows of; None when it does not say.
            What it said once and does not know any more was taken away there, without a word: so
            the Web SDK does with tags. What others said stays.
        told_at_ms: when that was so.
    """

    changes: Sequence[AttributeChange]
    told_by: str | None
    complete: frozenset[str] | None
    told_at_ms: int


@dataclass(frozen=True)
class KeptAttributes:
    """A person's attributes after news of them.

    Attributes:
        values: all that are kept, by name.
        refused: the names of those for which there was no room, in alphabetical order.
    """

    values: Mapping[str, Any]
    refused: Sequence[str]


def keep_attributes(
    connection: Connection, workspace_id: str, mpid: int, news: AttributeNews
) -> KeptAttributes:
    """Bring a person's attributes up to date, as far as there is room.

    What is said of an earlier time than the value that is known changes nothing.
    """
    if news.changes and connection.dialect.name == "postgresql":
        # Two who each have room would not have it together. SQLite has one writer at a time.
        connection.execute(_ALONE, {"person": f"{workspace_id} {mpid}"})
    rows = connection.execute(_SET_ATTRIBUTES, {"workspace": workspace_id, "mpid": mpid})
    before = {row.name: Attribute(row.value, row.set_at_ms, row.told_by) for row in rows}
    after, refused = within_limits(before, changed_attributes(before, news))
    key = {"of_workspace": workspace_id, "of_mpid": mpid}
    gone = [{**key, "of_name": name} for name in sorted(before) if name not in after]
    if gone:
        connection.execute(_DELETE_ATTRIBUTE, gone)
    new = [
        {"workspace_id": workspace_id, "mpid": mpid, "name": name, **vars(attribute)}
        for name, attribute in sorted(after.items())
        if before.get(name) is not attribute
    ]
    if new:
        connection.execute(_SET_ATTRIBUTE[connection.dialect.name], new)
    values = {name: attribute.value for name, attribute in sorted(after.items())}
    return KeptAttributes(values, refused)


def within_limits(
    before: Mapping[str, Attribute], after: Mapping[str, Attribute]
) -> tuple[dict[str, Attribute], list[str]]:
    """Of what a person's attributes are to be, what there is room for; and the names of the others.

    What was there stays. New values of known attributes come first, then new attributes by name; a
    value that is no longer than the one before always has room.
    """
    kept = {name: before[name] for name in after if name in before}
    total_bytes = sum(_size_bytes(name, each) for name, each in kept.items())
    refused = []
    for name in sorted(after, key=lambda each: (each not in before, each)):
        attribute = after[name]
        known = kept.get(name)
        if known is attribute:
            continue
        more_bytes = _size_bytes(name, attribute) - (
            0 if known is None else _size_bytes(name, known)
        )
        has_place = known is not None or len(kept) < MOST_ATTRIBUTES
        if has_place and (more_bytes <= 0 or total_bytes + more_bytes <= MOST_ATTRIBUTES_BYTES):
            kept[name] = attribute
            total_bytes += more_bytes
        else:
            refused.append(name)
    return kept, sorted(refused)


def attributes_with_room(known: Mapping[str, Any], offered: Mapping[str, Any]) -> dict[str, Any]:
    """Of attributes that are offered, those that a person does not have and has room for."""
    before = {name: Attribute(value, 0, None) for name, value in known.items()}
    wanted = {name: Attribute(value, 0, None) for name, value in offered.items()}
    kept, _ = within_limits(before, wanted | before)
    return {name: offered[name] for name in sorted(kept) if name not in known}


def _size_bytes(name: str, attribute: Attribute) -> int:
    return len(compact_json({name: attribute.value}).encode())


def changed_attributes(
    before: Mapping[str, Attribute], news: AttributeNews
) -> dict[str, Attribute]:
    """Attributes after what a client says of them; those that stay are the very same."""
    after = dict(before)
    for change in news.changes:
        known = after.get(change.name)
        if known is not None and known.set_at_ms > change.at_ms:
            continue
        if change.is_deleted:
            after.pop(change.name, None)
        elif known is None or compact_json(known.value) != compact_json(change.value):
            after[change.name] = Attribute(change.value, change.at_ms, news.told_by)
    if news.complete is None or news.told_by is None:
        return after
    return {
        name: attribute
        for name, attribute in after.items()
        if name in news.complete
        or attribute.told_by != news.told_by
        or attribute.set_at_ms > news.told_at_ms
    }


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
_SET_ATTRIBUTES = _ATTRIBUTES.add_columns(user_attributes.c.set_at_ms, user_attributes.c.told_by)
_DELETE_ATTRIBUTE = delete(user_attributes).where(
    user_attributes.c.workspace_id == bindparam("of_workspace"),
    user_attributes.c.mpid == bindparam("of_mpid"),
    user_attributes.c.name == bindparam("of_name"),
)
_ALONE = select(func.pg_advisory_xact_lock(func.hashtextextended(bindparam("person"), 0)))
_RECORD = select(profiles.c.identities).where(
    profiles.c.workspace_id == bindparam("workspace"), profiles.c.mpid == bindparam("mpid")
)


def _setting(dialect: Any) -> Any:
    insert = dialect.insert(user_attributes)
    return insert.on_conflict_do_update(
        index_elements=["workspace_id", "mpid", "name"],
        set_={name: insert.excluded[name] for name in ("value", "told_by", "set_at_ms")},
    )


_SET_ATTRIBUTE: Final = {"sqlite": _setting(sqlite), "postgresql": _setting(postgresql)}
