"""Profiles and the identities by which they are found: the tables `profiles`, `profile_identities`.

A profile is never deleted and its MPID never used again. One whose last identity was taken away is an
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
    and_,
    bindparam,
    delete,
    func,
    insert,
    select,
    union_all,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite

from higgs_shop.tables import profile_identities, profiles
from higgs_shop.workspaces import Workspace

NewMpid = Callable[[], int]
"""Draws a number for a new profile; drawn again when it is taken."""

_MPID_LIMIT: Final = 2**53
"""Below it, JavaScript reads a number right even where somebody forgot that MPIDs are strings."""


def random_mpid() -> int:
    """A positive number below 2^53 that nobody can guess."""
    return secrets.randbelow(_MPID_LIMIT - 1) + 1


@dataclass(frozen=True, slots=True)
class Profile:
    """One profile with its identity record. The record changes with `idsync_service.changes` only."""

    mpid: int
    last_seen_ms: int
    identities: dict[str, set[str]]

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
        return any(login_id in self.identities for login_id in workspace.login_ids)

    @property
    def is_orphan(self) -> bool:
        """Whether the last identity was taken away."""
        return not self.identities


_workspace_id: Final[BindParameter[str]] = bindparam("of_workspace")

_TOUCH: Final = (
    update(profiles)
    .where(profiles.c.workspace_id == _workspace_id, profiles.c.mpid == bindparam("seen_mpid"))
    .values(last_seen_ms=bindparam("now_ms"))
)
_ADD: Final = insert(profile_identities).inline()
_REMOVE: Final = delete(profile_identities).where(
    profile_identities.c.workspace_id == _workspace_id,
    profile_identities.c.identity_type == bindparam("type"),
    profile_identities.c.identity_value == bindparam("value"),
    profile_identities.c.mpid == bindparam("of_mpid"),
)
_CREATE: Final = {
    dialect.__name__.rpartition(".")[2]: dialect.insert(profiles)
    .inline()
    .on_conflict_do_nothing()
    .execution_options(preserve_rowcount=True)
    for dialect in (sqlite, postgresql)
}


def load(
    connection: Connection,
    workspace_id: str,
    identities: Iterable[tuple[str, str]],
    mpid: int | None,
) -> dict[int, Profile]:
    """Every profile that carries one of the identities, and the one with the MPID, by MPID."""
    pairs = list(identities)
    rows = connection.execute(_load(len(pairs)), _load_values(workspace_id, pairs, mpid))
    loaded: dict[int, Profile] = {}
    for found_mpid, last_seen_ms, identity_type, value in rows:
        profile = loaded.get(found_mpid)
        if profile is None:
            profile = loaded[found_mpid] = Profile(found_mpid, last_seen_ms, {})
        if identity_type is not None:
            profile.identities.setdefault(identity_type, set()).add(value)
    return loaded


def create(
    connection: Connection,
    workspace_id: str,
    new_mpid: NewMpid,
    now_ms: int,
    *,
    source: Profile | None = None,
) -> Profile:
    """A new profile without identities, linked to the anonymous one it comes from, if any."""
    while True:
        mpid = new_mpid()
        created = connection.execute(
            _CREATE[connection.dialect.name],
            {
                "workspace_id": workspace_id,
                "mpid": mpid,
                "source_mpid": None if source is None else source.mpid,
                "created_at_ms": now_ms,
                "last_seen_ms": now_ms,
            },
        )
        if created.rowcount == 1:
            return Profile(mpid, now_ms, {})


def touch(connection: Connection, workspace_id: str, mpid: int, now_ms: int) -> None:
    """Remember that the profile was seen now."""
    connection.execute(_TOUCH, {"of_workspace": workspace_id, "seen_mpid": mpid, "now_ms": now_ms})


def write_identities(
    connection: Connection,
    workspace_id: str,
    *,
    removed: Sequence[tuple[int, str, str]],
    added: Sequence[tuple[int, str, str]],
    now_ms: int,
) -> None:
    """Take away and add identities, each given as (mpid, type, value)."""
    if removed:
        connection.execute(
            _REMOVE,
            [
                {"of_workspace": workspace_id, "of_mpid": mpid, "type": name, "value": value}
                for mpid, name, value in removed
            ],
        )
    if added:
        connection.execute(
            _ADD,
            [
                {
                    "workspace_id": workspace_id,
                    "mpid": mpid,
                    "identity_type": name,
                    "identity_value": value,
                    "set_at_ms": now_ms,
                }
                for mpid, name, value in added
            ],
        )


def lock(
    connection: Connection,
    workspace_id: str,
    identities: Iterable[tuple[str, str]],
    mpid: int | None,
    request_id: str | None,
) -> None:
    """On PostgreSQL, wait for every call that is about the same identities, profiles or request.

    First come the identities, as advisory locks, since the profile that will carry them may not be
    there yet; then the profiles that carry them now. Both in one order, so that nobody waits in a
    circle. (On SQLite there is one writer at a time anyway.)
    """
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
def _load(identity_count: int) -> Select[int, int, str | None, str]:
    return (
        select(
            profiles.c.mpid,
            profiles.c.last_seen_ms,
            profile_identities.c.identity_type,
            profile_identities.c.identity_value,
        )
        .select_from(
            profiles.outerjoin(
                profile_identities,
                and_(
                    profile_identities.c.workspace_id == profiles.c.workspace_id,
                    profile_identities.c.mpid == profiles.c.mpid,
                ),
            )
        )
        .where(
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
