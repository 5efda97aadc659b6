"""Whom there is: profiles by any identity or MPID, and how many of each kind. Only reads."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Final, Literal

from sqlalchemy import Connection, and_, bindparam, case, func, or_, select, union_all

from higgs_shop.identity_types import EMAIL, IDENTITY_TYPES
from higgs_shop.idsync_service.messages import parse_mpid
from higgs_shop.tables import profile_identities, profiles
from higgs_shop.workspaces import Workspace

Kind = Literal["known", "anonymous", "orphan"]
"""With a login ID, with other identities only, with none left."""

MOST_COUNTED: Final = 10_000
"""Counting looks at so many profiles, the newest: a page must not read a million rows."""

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

    `source_mpid` is the anonymous profile whose history belongs to it, where the strategy links them.
    """

    mpid: int
    source_mpid: int | None
    kind: Kind
    identities: tuple[Identity, ...]
    created_at_ms: int
    last_seen_ms: int


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
    return next(iter(_listed(connection, workspace, _ONE, values)), None)


def newest_profiles(
    connection: Connection, workspace: Workspace, *, after: Place | None = None, most: int
) -> list[Listed]:
    """The profiles made last, newest first."""
    values = {"workspace": workspace.id, "most": most, **_from(after)}
    return _listed(connection, workspace, _NEWEST, values)


def find_profiles(
    connection: Connection,
    workspace: Workspace,
    text: str,
    *,
    after: Place | None = None,
    most: int,
) -> list[Listed]:
    """The profiles that carry exactly this value, under whatever type, or have it as their MPID.

    E-mail addresses are kept in lower case by most clients, so that form is looked up as well.
    Newest first; of a value that more than MOST_FOUND carry, so many only.
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
    return _listed(connection, workspace, _FOUND, values)


def count_kinds(connection: Connection, workspace: Workspace) -> Census:
    """How many profiles there are of each kind, up to a bound: see MOST_COUNTED."""
    rows = connection.execute(
        _KINDS, {"workspace": workspace.id, "login_ids": workspace.login_ids, "most": MOST_COUNTED}
    )
    counts: dict[int, int] = {row.rank: row.profiles for row in rows}
    return Census(known=counts.get(2, 0), anonymous=counts.get(1, 0), orphan=counts.get(0, 0))


def kind_of(identity_types: Sequence[str], workspace: Workspace) -> Kind:
    """What a profile with identities of these types is."""
    if not identity_types:
        return "orphan"
    return "known" if any(name in workspace.login_ids for name in identity_types) else "anonymous"


def _listed(
    connection: Connection, workspace: Workspace, statement: Any, values: Mapping[str, Any]
) -> list[Listed]:
    ranks = {name: rank for rank, name in enumerate(workspace.identity_priority)}

    def place(identity: Identity) -> tuple[int, str, str]:
        name = identity.identity_type
        return ranks.get(name, len(ranks)), name, identity.value

    listed = []
    rows = connection.execute(statement, values)
    for of, carried in groupby(rows, lambda row: row[:4]):
        mpid, source_mpid, created_at_ms, last_seen_ms = of
        identities = sorted(
            (Identity(*row[4:]) for row in carried if row[4] is not None), key=place
        )
        kind = kind_of([identity.identity_type for identity in identities], workspace)
        listed.append(
            Listed(mpid, source_mpid, kind, tuple(identities), created_at_ms, last_seen_ms)
        )
    return listed


def _from(after: Place | None) -> dict[str, int]:
    if after is None:
        return {"at_ms": _AFTER_ALL, "at_mpid": _AFTER_ALL}
    return {"at_ms": after.created_at_ms, "at_mpid": after.mpid}


_AFTER_ALL: Final = 2**63 - 1
_PROFILES: Final = select(
    profiles.c.mpid, profiles.c.source_mpid, profiles.c.created_at_ms, profiles.c.last_seen_ms
).where(profiles.c.workspace_id == bindparam("workspace"))
_IDENTITY_KEY: Final = [column.name for column in profile_identities.primary_key]


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


def _with_identities(page: Any) -> Any:
    """The profiles of a subquery, a row for each of their identities, newest profile first."""
    # Two steps, since SQLite guesses that a workspace holds ten identities: only where the index by
    # MPID has all that is asked for does it prefer that index to reading the workspace's.
    held, kept = profile_identities.alias("held"), profile_identities.alias("kept")
    of_profile = and_(
        held.c.workspace_id == bindparam("workspace"),
        held.c.mpid == page.c.mpid,
    )
    the_same = and_(*(kept.c[name] == held.c[name] for name in _IDENTITY_KEY))
    return (
        select(
            page.c.mpid,
            page.c.source_mpid,
            page.c.created_at_ms,
            page.c.last_seen_ms,
            held.c.identity_type,
            held.c.identity_value,
            kept.c.set_at_ms,
        )
        .select_from(page.outerjoin(held, of_profile).outerjoin(kept, the_same))
        .order_by(page.c.created_at_ms.desc(), page.c.mpid.desc())
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
    select(bindparam("given_mpid", type_=profiles.c.mpid.type)),
)
# The limit bounds the work, and keeps SQLite from going through all profiles, newest first, to see
# which of them are meant.
_CARRIERS: Final = (
    _PROFILES.where(profiles.c.mpid.in_(_MEANT)).limit(bindparam("most_found")).subquery("carriers")
)
_ONE: Final = _with_identities(
    _PROFILES.where(profiles.c.mpid == bindparam("of_mpid")).subquery("page")
)
_NEWEST: Final = _with_identities(_newest_first(profiles, _PROFILES).subquery("page"))
_FOUND: Final = _with_identities(_newest_first(_CARRIERS, select(_CARRIERS)).subquery("page"))

# 2 for a known profile, 1 for an anonymous one, null for an orphan.
_RANK: Final = (
    select(
        func.max(
            case(
                (profile_identities.c.identity_type.in_(bindparam("login_ids", expanding=True)), 2),
                else_=1,
            )
        )
    )
    .where(
        profile_identities.c.workspace_id == profiles.c.workspace_id,
        profile_identities.c.mpid == profiles.c.mpid,
    )
    .correlate(profiles)
    .scalar_subquery()
)
_COUNTED: Final = (
    select(func.coalesce(_RANK, 0).label("rank"))
    .where(profiles.c.workspace_id == bindparam("workspace"))
    .order_by(profiles.c.created_at_ms.desc())
    .limit(bindparam("most"))
    .subquery("newest")
)
_KINDS: Final = select(_COUNTED.c.rank, func.count().label("profiles")).group_by(_COUNTED.c.rank)
