"""Which anonymous profile a profile comes from, which come from it, and what aliases carried over.

Only reads. profile_link makes such pairs; a client that wants the history along asks for an alias.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from sqlalchemy import Connection, bindparam, select

from higgs_shop.tables import aliases, profiles

State = Literal["not_asked", "waiting", "done", "dropped"]
"""Nobody asked for an alias; it is not carried out yet; it is; none that was asked for had an effect."""


@dataclass(frozen=True, slots=True)
class Link:
    """A profile and the anonymous one that it comes from, seen from one of them.

    Attributes:
        mpid: the other one.
        state: how far an alias from the source to what comes from it has got.
        copied_events: how many events were carried over so far.
    """

    mpid: int
    state: State
    copied_events: int


def source_of(
    connection: Connection, workspace_id: str, mpid: int, source_mpid: int | None
) -> Link | None:
    """The profile that this one comes from, if it comes from any."""
    if source_mpid is None:
        return None
    return _link(connection, workspace_id, source_mpid, mpid, shown_mpid=source_mpid)


def made_from(connection: Connection, workspace_id: str, mpid: int, *, most: int) -> Sequence[Link]:
    """The profiles that come from this one, the newest first."""
    values = {"workspace": workspace_id, "of_source": mpid, "most": most}
    made = connection.execute(_MADE_FROM, values).scalars().all()
    return [_link(connection, workspace_id, mpid, each, shown_mpid=each) for each in made]


def _link(
    connection: Connection, workspace_id: str, source: int, destination: int, *, shown_mpid: int
) -> Link:
    values = {"workspace": workspace_id, "from_mpid": source, "to_mpid": destination}
    asked: Sequence[Any] = connection.execute(_ALIASES, values).all()
    states = {alias.state for alias in asked}
    state: State = "not_asked"
    for found in ("dropped", "done", "waiting"):
        if found in states:
            state = found
    return Link(shown_mpid, state, sum(alias.copied_events or 0 for alias in asked))


_MADE_FROM: Final = (
    select(profiles.c.mpid)
    .where(
        profiles.c.workspace_id == bindparam("workspace"),
        profiles.c.source_mpid == bindparam("of_source"),
    )
    .order_by(profiles.c.created_at_ms.desc(), profiles.c.mpid)
    .limit(bindparam("most"))
)
_ALIASES: Final = (
    select(aliases.c.state, aliases.c.copied_events)
    .where(
        aliases.c.workspace_id == bindparam("workspace"),
        aliases.c.source_mpid == bindparam("from_mpid"),
        aliases.c.destination_mpid == bindparam("to_mpid"),
    )
    .limit(1_000)
)
