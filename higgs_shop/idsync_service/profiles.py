"""Profiles and the identities by which they are found: the tables `profiles`, `profile_identities`.

A profile's row holds its whole identity record; `profile_identities` is the way from an identity to the
profiles that carry it. Both are written here, together. A profile is never deleted and its MPID never used again. One whose last identity was taken away is an
orphan: it keeps its history, and nothing can find it any more.
"""

import hashlib
import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from sqlalchemy import (
    BindParameter,
    CompoundSelect,
    Connection,
    Select,
    bindparam,
    delete,
    func,
    insert,
    select,
    union_all,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite

from higgs_shop.identity_types import EMAIL
from higgs_shop.prepared import Prepared
from higgs_shop.tables import profile_identities, profiles
from higgs_shop.workspaces import Workspace, hold_workspace

NewMpid = Callable[[], int]
"""Draws a number for a new profile; drawn again when it is taken."""

_MPID_LIMIT: Final = 2**53
"""Below it, JavaScript reads a number right even where somebody forgot that MPIDs are strings."""


def random_mpid() -> int:
    """A positive number below 2^53 that nobody can guess."""
    return secrets.randbelow(_MPID_LIMIT - 1) + 1


@dataclass(frozen=True, slots=True)
class Profile:
    """One profile with its identity record, which changes with `idsync_service.changes` only.

    Attributes:
        identities: by type, each value with the moment when it was set, in milliseconds.
        source_mpid: the anonymous profile that it comes from, where the strategy links them.
    """

    mpid: int
    last_seen_ms: int
    identities: dict[str, dict[str, int]]
    source_mpid: int | None = None

    def carries(self, identity_type: str, value: str) -> bool:
        """Whether the profile can be found by this identity."""
        return value in self.identities.get(identity_type, ())

    def has(self, identity_type: str) -> bool:
        """Whether the profile has any value of the type."""
        return identity_type in self.identities

    def has_other(self, identity_type: str, value: str) -> bool:
        """Whether the profile has values of the type, and this is none of them."""
        return self.has(identity_type) and not self.carries(identity_type, value)

    def matches(self, identity_type: str, identities: Mapping[str, str]) -> bool:
        """Whether a request gives one of the profile's values of the type."""
        return identity_type in identities and self.carries(
            identity_type, identities[identity_type]
        )

    def is_known(self, workspace: Workspace) -> bool:
        """A known profile has at least one login ID; an anonymous one has none."""
        return not self.identities.keys().isdisjoint(workspace.login_ids)

    @property
    def is_orphan(self) -> bool:
        """Whether the last identity was taken away."""
        return not self.identities


_workspace_id: Final[BindParameter[str]] = bindparam("of_workspace")

_of_profile: Final = (
    profiles.c.workspace_id == _workspace_id,
    profiles.c.mpid == bindparam("of_mpid"),
)
_ADD: Final = {
    dialect.__name__.rpartition(".")[2]: Prepared(
        dialect.insert(profiles).inline().on_conflict_do_nothing()
    )
    for dialect in (sqlite, postgresql)
}
_TOUCH: Final = Prepared(
    update(profiles).where(*_of_profile).values(last_seen_ms=bindparam("seen_at_ms"))
)
_KEEP_RECORD: Final = (
    update(profiles)
    .where(*_of_profile)
    .values(
        identities=bindparam("record", type_=profiles.c.identities.type),
        last_seen_ms=bindparam("seen_at_ms"),
    )
)
_CARRY: Final = Prepared(insert(profile_identities).inline())
_CARRY_NO_MORE: Final = delete(profile_identities).where(
    profile_identities.c.workspace_id == _workspace_id,
    profile_identities.c.identity_type == bindparam("type"),
    profile_identities.c.identity_value == bindparam("value"),
    profile_identities.c.mpid == bindparam("of_mpid"),
)


def load(
    connection: Connection,
    workspace_id: str,
    identities: Iterable[tuple[str, str]],
    mpid: int | None,
) -> dict[int, Profile]:
    """Every profile that carries one of the identities, and the one with the MPID, by MPID."""
    pairs = list(identities)
    rows = _load(len(pairs)).rows(connection, _load_values(workspace_id, pairs, mpid))
    return {row[0]: Profile(*row) for row in rows}


def add(connection: Connection, workspace_id: str, profile: Profile, now_ms: int) -> bool:
    """Write a new profile with its record. False, with nothing written, when its MPID is taken."""
    added = _ADD[connection.dialect.name].write(
        connection,
        {
            "workspace_id": workspace_id,
            "mpid": profile.mpid,
            "source_mpid": profile.source_mpid,
            "identities": profile.identities,
            "created_at_ms": now_ms,
            "first_seen_ms": now_ms,
            "last_seen_ms": now_ms,
        },
    )
    return added == 1


def touch(connection: Connection, workspace_id: str, profile: Profile, now_ms: int) -> None:
    """Remember that the profile was seen now."""
    _TOUCH.write(
        connection, {"of_workspace": workspace_id, "of_mpid": profile.mpid, "seen_at_ms": now_ms}
    )


def keep_records(
    connection: Connection, workspace_id: str, changed: Iterable[tuple[Profile, int]]
) -> None:
    """Write the records of profiles whose identities changed, and when each was seen last."""
    rows = [
        {
            "of_workspace": workspace_id,
            "of_mpid": profile.mpid,
            "record": profile.identities,
            "seen_at_ms": last_seen_ms,
        }
        for profile, last_seen_ms in changed
    ]
    if rows:
        connection.execute(_KEEP_RECORD, rows)


def keep_ways(
    connection: Connection,
    workspace_id: str,
    *,
    removed: Iterable[tuple[int, str, str]],
    added: Iterable[tuple[int, str, str]],
) -> None:
    """Take away and add the ways from identities to profiles, each given as (mpid, type, value)."""
    gone = [
        {"of_workspace": workspace_id, "of_mpid": mpid, "type": name, "value": value}
        for mpid, name, value in removed
    ]
    if gone:
        connection.execute(_CARRY_NO_MORE, gone)
    new = [
        {
            "workspace_id": workspace_id,
            "mpid": mpid,
            "identity_type": name,
            "identity_value": value,
            "lower_case": _lower_case(name, value),
        }
        for mpid, name, value in added
    ]
    if new:
        _CARRY.write(connection, *new)


def _lower_case(identity_type: str, value: str) -> str | None:
    lower_case = value.lower()
    return lower_case if identity_type == EMAIL and lower_case != value else None


def lock(
    connection: Connection,
    workspace_id: str,
    identities: Iterable[tuple[str, str]],
    mpid: int | None,
    request_id: str | None,
) -> None:
    """On PostgreSQL, wait for every call that is about the same identities, profiles or request.

    First comes the workspace, which nobody may remove meanwhile; then the identities and the request
    id, as advisory locks, since the profile that will carry them may not be there yet; then the
    profiles that carry them now. Nobody waits in a circle: locks are taken by their key, then rows by
    their MPID, and nothing is waited for after that. Aliases lock workspace and rows alone, by MPID
    too. A profile gets an identity only under that identity's lock, so that whatever is read from here
    on is locked. (On SQLite there is one writer at a time anyway.)
    """
    hold_workspace(connection, workspace_id)
    pairs = list(identities)
    names = [f"identity\n{workspace_id}\n{name}\n{value}" for name, value in pairs]
    if request_id is not None:
        names.append(f"request\n{workspace_id}\n{request_id}")
    for key in sorted(_lock_key(name) for name in names):
        connection.execute(select(func.pg_advisory_xact_lock(key)))
    connection.execute(_lock_profiles(len(pairs)), _load_values(workspace_id, pairs, mpid))


def _lock_key(name: str) -> int:
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], signed=True)


@lru_cache(maxsize=64)
def _load(identity_count: int) -> Prepared:
    return Prepared(
        select(
            profiles.c.mpid, profiles.c.last_seen_ms, profiles.c.identities, profiles.c.source_mpid
        ).where(
            profiles.c.workspace_id == _workspace_id, profiles.c.mpid.in_(_meant(identity_count))
        )
    )


@lru_cache(maxsize=64)
def _lock_profiles(identity_count: int) -> Select[int]:
    return (
        select(profiles.c.mpid)
        .where(
            profiles.c.workspace_id == _workspace_id, profiles.c.mpid.in_(_meant(identity_count))
        )
        .order_by(profiles.c.mpid)
        .with_for_update()
    )


def _meant(identity_count: int) -> CompoundSelect[int]:
    # One look-up for each identity: with OR, or a list of pairs, SQLite reads the whole workspace.
    carriers = [
        select(profile_identities.c.mpid).where(
            profile_identities.c.workspace_id == _workspace_id,
            profile_identities.c.identity_type == bindparam(f"type_{number}"),
            profile_identities.c.identity_value == bindparam(f"value_{number}"),
        )
        for number in range(identity_count)
    ]
    return union_all(*carriers, select(bindparam("given_mpid", type_=profiles.c.mpid.type)))


def _load_values(
    workspace_id: str, pairs: Sequence[tuple[str, str]], mpid: int | None
) -> dict[str, Any]:
    values: dict[str, Any] = {"of_workspace": workspace_id, "given_mpid": mpid}
    for number, (name, value) in enumerate(pairs):
        values[f"type_{number}"] = name
        values[f"value_{number}"] = value
    return values
