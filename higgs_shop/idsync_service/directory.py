"""Whom there is: profiles by any identity or MPID, had now or before, and how many of each kind.

Only reads.
"""

import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final, Literal

from sqlalchemy import Connection, Select, bindparam, or_, select, union_all

from higgs_shop.identity_types import EMAIL, IDENTITY_TYPES, parse_mpid
from higgs_shop.idsync_service import former
from higgs_shop.idsync_service.former import FormerIdentity
from higgs_shop.tables import profile_identities, profiles
from higgs_shop.workspaces import Workspace

Kind = Literal["known", "anonymous", "orphan"]
"""With a login ID, with other identities only, with none left."""

MOST_COUNTED: Final = 10_000
"""Counting looks at so many profiles, the newest: a page must not read a million rows."""

MOST_SHORTENED: Final = 10_000
"""The end of an MPID is looked for among so many profiles, the newest."""

MOST_FOUND: Final = 10_000
"""A search goes through so many profiles that carry the same value: a kiosk's device, for example."""


@dataclass(frozen=True, slots=True)
class Identity:
    """One identity by which a profile can be found, and since when."""

    identity_type: str
    value: str
    set_at_ms: int


@dataclass(frozen=True, slots=True)
class Listed:
    """A profile as it is now; its identities in the order of the workspace's priority.

    `first_seen_ms` is before `created_at_ms` where an alias carried an earlier time over, and `source_mpid` the anonymous profile whose history belongs to it, where the strategy links them.
    """

    mpid: int
    source_mpid: int | None
    kind: Kind
    identities: tuple[Identity, ...]
    created_at_ms: int
    first_seen_ms: int
    last_seen_ms: int

    def carries(self, identity_type: str, value: str) -> bool:
        """Whether the profile can be found by this identity now."""
        return any((of.identity_type, of.value) == (identity_type, value) for of in self.identities)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a list goes on: after the profile with this moment of making and this MPID."""

    created_at_ms: int
    mpid: int


@dataclass(frozen=True, slots=True)
class Census:
    """How many profiles there are of each kind; of the newest MOST_COUNTED where there are more."""

    known: int
    anonymous: int
    orphan: int

    @property
    def is_all(self) -> bool:
        """Whether these are all profiles."""
        return self.known + self.anonymous + self.orphan < MOST_COUNTED


def get_profile(connection: Connection, workspace: Workspace, mpid: int) -> Listed | None:
    """One profile, or None."""
    values = {"workspace": workspace.id, "of_mpid": mpid}
    return next(_listed(connection, workspace, _ONE, values), None)


def newest_profiles(
    connection: Connection,
    workspace: Workspace,
    *,
    kind: Kind | None = None,
    after: Place | None = None,
    most: int,
) -> list[Listed]:
    """The profiles made last, newest first; of one kind, those among the MOST_COUNTED newest."""
    looked_at = most if kind is None else MOST_COUNTED
    values = {"workspace": workspace.id, "most": looked_at, **_from(after)}
    return list(islice(_listed(connection, workspace, _NEWEST, values, kind), most))


def find_profiles(
    connection: Connection,
    workspace: Workspace,
    text: str,
    *,
    after: Place | None = None,
    most: int,
) -> list[Listed]:
    """The profiles that carry exactly this value, under whatever type, or have it as their MPID.

    E-mail addresses are found in any capitals; and an MPID by its last six digits, as pages show it,
    among the MOST_SHORTENED newest. Newest first; of a value that more than MOST_FOUND carry, so many
    only.
    """
    if "\x00" in text:  # PostgreSQL cannot even be asked for it
        return []
    try:
        mpid = parse_mpid(text)
    except ValueError:
        mpid = None
    values = {
        "workspace": workspace.id,
        "value": text,
        "lower_value": text.lower(),
        "given_mpid": mpid,
        "most_found": MOST_FOUND,
        "most": most,
        **_from(after),
    }
    short = _SHORT_MPID.fullmatch(text)
    if short is None:
        return list(_listed(connection, workspace, _FOUND, values))
    values |= {"last_digits": int(short[1]), "most_shortened": MOST_SHORTENED}
    return list(_listed(connection, workspace, _FOUND_OR_SHORT, values))


def former_holders(
    connection: Connection, workspace: Workspace, text: str, *, most: int
) -> list[tuple[Listed, FormerIdentity]]:
    """The profiles that had exactly this value before, and do not have it now; whoever lost it last
    comes first. E-mail addresses are found in any capitals.
    """
    lost = former.who_lost(connection, workspace.id, text, most=most)
    found = ((get_profile(connection, workspace, each.mpid), each) for each in lost)
    return [
        (profile, each)
        for profile, each in found
        if profile is not None and not profile.carries(each.identity_type, each.value)
    ]


def lost_by(
    connection: Connection, workspace: Workspace, profile: Listed, *, most: int
) -> list[FormerIdentity]:
    """What a profile had before and has not now, the last loss first."""
    lost = former.lost_by(connection, workspace.id, profile.mpid, most=most)
    return [each for each in lost if not profile.carries(each.identity_type, each.value)]


def count_kinds(connection: Connection, workspace: Workspace) -> Census:
    """How many profiles there are of each kind, up to a bound: see MOST_COUNTED."""
    records = connection.execute(_RECORDS, {"workspace": workspace.id, "most": MOST_COUNTED})
    counts = Counter(kind_of(record, workspace) for record in records.scalars())
    return Census(known=counts["known"], anonymous=counts["anonymous"], orphan=counts["orphan"])


def kind_of(identity_types: Collection[str], workspace: Workspace) -> Kind:
    """What a profile with identities of these types is."""
    if not identity_types:
        return "orphan"
    return "known" if any(name in workspace.login_ids for name in identity_types) else "anonymous"


def _listed(
    connection: Connection,
    workspace: Workspace,
    statement: Any,
    values: Mapping[str, Any],
    kind: Kind | None = None,
) -> Iterator[Listed]:
    ranks = {name: rank for rank, name in enumerate(workspace.identity_priority)}

    def place(identity: Identity) -> tuple[int, str, str]:
        name = identity.identity_type
        return ranks.get(name, len(ranks)), name, identity.value

    for row in connection.execute(statement, values):
        kind_here = kind_of(row.identities, workspace)
        if kind not in (None, kind_here):
            continue
        identities = sorted(
            (
                Identity(name, value, set_at_ms)
                for name, carried in row.identities.items()
                for value, set_at_ms in carried.items()
            ),
            key=place,
        )
        yield Listed(
            row.mpid,
            row.source_mpid,
            kind_here,
            tuple(identities),
            row.created_at_ms,
            row.first_seen_ms,
            row.last_seen_ms,
        )


def _from(after: Place | None) -> dict[str, int]:
    if after is None:
        return {"at_ms": _AFTER_ALL, "at_mpid": _AFTER_ALL}
    return {"at_ms": after.created_at_ms, "at_mpid": after.mpid}


_AFTER_ALL: Final = 2**63 - 1
_SHORT_MPID: Final = re.compile(r"(?:…|\.\.\.)?([0-9]{6})", re.ASCII)
_SHORT_MPIDS: Final = 1_000_000
_PROFILES: Final = select(
    profiles.c.mpid,
    profiles.c.source_mpid,
    profiles.c.identities,
    profiles.c.created_at_ms,
    profiles.c.first_seen_ms,
    profiles.c.last_seen_ms,
).where(profiles.c.workspace_id == bindparam("workspace"))


def _newest_first(of: Any, statement: Any) -> Any:
    # Not as a comparison of pairs: SQLite would use only the first column of the index for one.
    return (
        statement.where(
            of.c.created_at_ms <= bindparam("at_ms"),
            or_(of.c.created_at_ms < bindparam("at_ms"), of.c.mpid < bindparam("at_mpid")),
        )
        .order_by(of.c.created_at_ms.desc(), of.c.mpid.desc())
        .limit(bindparam("most"))
    )


# Every type is looked up by itself: the primary key begins with it.
_MEANT: Final = union_all(
    select(profile_identities.c.mpid).where(
        profile_identities.c.workspace_id == bindparam("workspace"),
        profile_identities.c.identity_type.in_(sorted(IDENTITY_TYPES)),
        profile_identities.c.identity_value == bindparam("value"),
    ),
    select(profile_identities.c.mpid).where(
        profile_identities.c.workspace_id == bindparam("workspace"),
        profile_identities.c.identity_type == EMAIL,
        profile_identities.c.identity_value == bindparam("lower_value"),
    ),
    # The index holds no others than addresses with capitals.
    select(profile_identities.c.mpid).where(
        profile_identities.c.workspace_id == bindparam("workspace"),
        profile_identities.c.lower_case == bindparam("lower_value"),
    ),
    select(bindparam("given_mpid", type_=profiles.c.mpid.type)),
)
_newest_mpids = (
    select(profiles.c.mpid)
    .where(profiles.c.workspace_id == bindparam("workspace"))
    .order_by(profiles.c.created_at_ms.desc(), profiles.c.mpid.desc())
    .limit(bindparam("most_shortened"))
    .subquery("newest")
)
_ENDING: Final = select(_newest_mpids.c.mpid).where(
    _newest_mpids.c.mpid % _SHORT_MPIDS == bindparam("last_digits")
)


def _found(meant: Any) -> Select[Any]:
    # The limit bounds the work, and keeps SQLite from going through all profiles, newest first, to see
    # which of them are meant.
    carriers = (
        _PROFILES.where(profiles.c.mpid.in_(meant))
        .limit(bindparam("most_found"))
        .subquery("carriers")
    )
    found: Select[Any] = _newest_first(carriers, select(carriers))
    return found


_ONE: Final = _PROFILES.where(profiles.c.mpid == bindparam("of_mpid"))
_NEWEST: Final = _newest_first(profiles, _PROFILES)
_FOUND: Final = _found(_MEANT)
_FOUND_OR_SHORT: Final = _found(union_all(*_MEANT.selects, _ENDING))
_RECORDS: Final = (
    select(profiles.c.identities)
    .where(profiles.c.workspace_id == bindparam("workspace"))
    .order_by(profiles.c.created_at_ms.desc())
    .limit(bindparam("most"))
)
