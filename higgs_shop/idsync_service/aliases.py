"""Aliasing: what one profile did is to be carried over to another one.

A request is judged when it comes, and carried out later: real services wait a day for events that are
late. Never copied are identities, attributes and consent. Source: IDSync documentation, "Aliasing".
"""

import logging
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import (
    BindParameter,
    Connection,
    bindparam,
    insert,
    literal_column,
    select,
    union_all,
    update,
)

from higgs_shop.clock import Clock
from higgs_shop.clock_steps import SMALLEST_STEP_MS
from higgs_shop.database import Database
from higgs_shop.idsync_service import decisions
from higgs_shop.idsync_service.decisions import Call, Step, digest_of, listed
from higgs_shop.idsync_service.errors import BadRequest, Forbidden
from higgs_shop.idsync_service.messages import AliasRequest
from higgs_shop.idsync_service.profiles import Profile
from higgs_shop.idsync_service.strategies import STRATEGIES
from higgs_shop.tables import aliases, profiles
from higgs_shop.workspaces import Workspace, hold_workspace

MAX_WINDOW_DAYS: Final = 90
_WINDOW_MS: Final = MAX_WINDOW_DAYS * 86_400_000
_ON_THE_WAY_MS: Final = 300_000
"""A client cuts the start to the window by its own clock, and the request takes a while."""

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Alias:
    """A request to carry over what `source_mpid` did from `start_ms` to `end_ms`, both included.

    `device_stamp` is set when only what was done on that device is meant; `request` is the body.
    """

    id: int
    workspace_id: str
    source_mpid: int
    destination_mpid: int
    start_ms: int
    end_ms: int
    device_stamp: str | None
    request: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Before:
    """An alias that was accepted before, as far as it forbids a new one."""

    source_mpid: int
    destination_mpid: int
    start_ms: int
    end_ms: int


class Aliases:
    """Takes alias requests.

    Args:
        delay_ms: how long to wait for events that are late before a request is carried out.
    """

    def __init__(self, database: Database, *, clock: Clock, delay_ms: int = 0) -> None:
        self._database = database
        self._clock = clock
        self._delay_ms = delay_ms

    def accept(self, workspace: Workspace, asked: AliasRequest) -> None:
        """Write down what is to be carried over. The same request again does nothing.

        Raises: Forbidden, when the workspace's strategy keeps profiles apart. BadRequest, for an
            unknown profile or a period that cannot be. DatabaseBusy.
        """
        _check_offered(workspace)
        now_ms = self._clock()
        start_ms, end_ms = _period(asked, now_ms)
        data = asked.data
        request = asked.as_sent(workspace.api_key, start_ms=start_ms, end_ms=end_ms)
        call = Call(
            "alias",
            asked.request_id,
            digest_of("alias", "", asked.content()),
            request,
            data.source_mpid,
        )
        new = Before(data.source_mpid, data.destination_mpid, start_ms, end_ms)
        try:
            with self._database.write() as connection:
                hold_workspace(connection, workspace.id)
                source, destination = _both(
                    connection, workspace.id, data.source_mpid, data.destination_mpid
                )
                reason = reason_to_drop(new, _accepted_before(connection, workspace.id, new))
                due_at_ms = now_ms + self._delay_ms
                connection.execute(
                    insert(aliases),
                    {
                        "workspace_id": workspace.id,
                        "source_mpid": new.source_mpid,
                        "destination_mpid": new.destination_mpid,
                        "start_ms": start_ms,
                        "end_ms": end_ms,
                        "device_stamp": asked.device_stamp,
                        "request": request,
                        "state": "waiting" if reason is None else "dropped",
                        "accepted_at_ms": now_ms,
                        "due_at_ms": due_at_ms,
                    },
                )
                decisions.store(
                    connection,
                    workspace.id,
                    call,
                    strategy=workspace.identity_strategy,
                    mpid=destination.mpid,
                    answer={},
                    steps=[
                        _accepted(source, destination, new, now_ms, due_at_ms)
                        if reason is None
                        else Step("alias_dropped", reason, None, [source, destination])
                    ],
                    losers=(),
                    decided_at_ms=now_ms,
                )
        except decisions.Repeated:
            return

    def bring_back(self, now_ms: int) -> int:
        """Let no request wait longer than one that comes now, after the clock was set back.

        Nor after the delay was made shorter. Returns: how many are due sooner.
        """
        due_at_ms = now_ms + self._delay_ms
        with self._database.write() as connection:
            sooner = connection.execute(
                _BRING_BACK, {"due": due_at_ms, "too_late": due_at_ms + SMALLEST_STEP_MS}
            ).rowcount
        if sooner:
            _logger.warning(
                "the clock was set back, or the delay of aliases is shorter now: %d are due sooner",
                sooner,
            )
        return sooner


def reason_to_drop(new: Before, accepted: Collection[Before]) -> str | None:
    """Why a request, though accepted, has no effect; None when it has. The rules are those of history."""
    source, destination = new.source_mpid, new.destination_mpid
    for before in accepted:
        overlaps = before.start_ms <= new.end_ms and new.start_ms <= before.end_ms
        if before.source_mpid == source and overlaps:
            period = f"{_moment(before.start_ms)} to {_moment(before.end_ms)}"
            return f"no effect: what profile {source} did from {period} was carried over before"
        if before.destination_mpid == source:
            return f"no effect: profile {source} was a destination before, and cannot be a source"
        if before.source_mpid == destination:
            return (
                f"no effect: profile {destination} was a source before, and cannot be a destination"
            )
    return None


def next_due(connection: Connection, now_ms: int) -> Alias | None:
    """The next request whose time has come, locked until the end of the transaction."""
    row = connection.execute(_NEXT_DUE, {"now": now_ms}).one_or_none()
    return None if row is None else Alias(**row._mapping)


def close(connection: Connection, alias: Alias, *, copied_events: int, now_ms: int) -> None:
    """The events were copied: the destination was first seen when the source was, if that is earlier."""
    key = {"of_workspace": alias.workspace_id}
    source, destination = _both(
        connection, alias.workspace_id, alias.source_mpid, alias.destination_mpid
    )
    text = f"{_counted(copied_events)} of {listed([source])} copied to {listed([destination])}"
    first_seen_ms = connection.execute(
        _FIRST_SEEN, key | {"of_mpid": alias.source_mpid}
    ).scalar_one()
    moved = connection.execute(
        _MOVE_FIRST_SEEN, key | {"of_mpid": alias.destination_mpid, "earlier_ms": first_seen_ms}
    )
    if moved.rowcount:
        text += f", which now counts as first seen when that was: {_moment(first_seen_ms)}"
    connection.execute(
        _CLOSE, key | {"of_id": alias.id, "copied": copied_events, "done_at_ms": now_ms}
    )
    decisions.store(
        connection,
        alias.workspace_id,
        Call("alias", None, "", alias.request, alias.source_mpid),
        strategy=None,
        mpid=alias.destination_mpid,
        answer={},
        steps=[Step("alias_carried_out", text, None, [source, destination])],
        losers=(),
        decided_at_ms=now_ms,
    )


def _check_offered(workspace: Workspace) -> None:
    strategy = STRATEGIES[workspace.identity_strategy]
    if not strategy.has_alias:
        raise Forbidden(f"this workspace's strategy, {strategy.name}, carries nothing over")


def _period(asked: AliasRequest, now_ms: int) -> tuple[int, int]:
    data, earliest_ms = asked.data, now_ms - _WINDOW_MS
    start_ms = earliest_ms if data.start_unixtime_ms is None else data.start_unixtime_ms
    end_ms = now_ms if data.end_unixtime_ms is None else data.end_unixtime_ms
    if end_ms < start_ms:
        raise BadRequest("data.end_unixtime_ms: is before data.start_unixtime_ms")
    if start_ms < earliest_ms - _ON_THE_WAY_MS:
        raise BadRequest(f"data.start_unixtime_ms: is more than {MAX_WINDOW_DAYS} days ago")
    return start_ms, end_ms


def _both(
    connection: Connection, workspace_id: str, source_mpid: int, destination_mpid: int
) -> tuple[Profile, Profile]:
    values = {"of_workspace": workspace_id, "mpids": [source_mpid, destination_mpid]}
    found = {row.mpid for row in connection.execute(_LOCK_BOTH, values)}
    unknown = [
        f"data.{member}: there is no profile {mpid}"
        for member, mpid in (("source_mpid", source_mpid), ("destination_mpid", destination_mpid))
        if mpid not in found
    ]
    if unknown:
        raise BadRequest(*unknown)
    return Profile(source_mpid, 0, {}), Profile(destination_mpid, 0, {})


def _accepted_before(connection: Connection, workspace_id: str, new: Before) -> list[Before]:
    rows = connection.execute(
        _BEFORE,
        {
            "of_workspace": workspace_id,
            "source": new.source_mpid,
            "destination": new.destination_mpid,
        },
    )
    return [Before(*row) for row in rows]


def _accepted(
    source: Profile, destination: Profile, new: Before, accepted_at_ms: int, due_at_ms: int
) -> Step:
    text = (
        f"what {listed([source])} did from {_moment(new.start_ms)} to {_moment(new.end_ms)} is "
        f"carried over to {listed([destination])}"
    )
    if due_at_ms > accepted_at_ms:
        text += f", not before {_moment(due_at_ms)}"
    return Step("alias_accepted", text, None, [source, destination])


def _counted(events: int) -> str:
    return "1 event" if events == 1 else f"{events} events"


def _moment(at_ms: int) -> str:
    try:
        return f"{datetime.fromtimestamp(at_ms / 1_000, UTC):%Y-%m-%d %H:%M:%S} UTC"
    except (OverflowError, ValueError):
        return f"{at_ms} ms"


_of_workspace: Final[BindParameter[str]] = bindparam("of_workspace")
_LOCK_BOTH: Final = (
    select(profiles.c.mpid)
    .where(
        profiles.c.workspace_id == _of_workspace,
        profiles.c.mpid.in_(bindparam("mpids", expanding=True)),
    )
    .order_by(profiles.c.mpid)
    .with_for_update()
)
_ACCEPTED: Final = select(
    aliases.c.source_mpid, aliases.c.destination_mpid, aliases.c.start_ms, aliases.c.end_ms
).where(aliases.c.workspace_id == _of_workspace, aliases.c.state != "dropped")
_BEFORE: Final = union_all(
    _ACCEPTED.where(aliases.c.source_mpid == bindparam("source")),
    _ACCEPTED.where(aliases.c.destination_mpid == bindparam("source")),
    _ACCEPTED.where(aliases.c.source_mpid == bindparam("destination")),
)
_NEXT_DUE: Final = (
    select(
        aliases.c.id,
        aliases.c.workspace_id,
        aliases.c.source_mpid,
        aliases.c.destination_mpid,
        aliases.c.start_ms,
        aliases.c.end_ms,
        aliases.c.device_stamp,
        aliases.c.request,
    )
    # Written out, not bound: SQLite takes a partial index only for a condition that it can read.
    .where(aliases.c.state == literal_column("'waiting'"), aliases.c.due_at_ms <= bindparam("now"))
    .order_by(aliases.c.due_at_ms, aliases.c.id)
    .limit(1)
    .with_for_update(skip_locked=True)
)
_BRING_BACK: Final = (
    update(aliases)
    .where(
        aliases.c.state == literal_column("'waiting'"), bindparam("too_late") < aliases.c.due_at_ms
    )
    .values(due_at_ms=bindparam("due"))
)
_of_profile: Final = (
    profiles.c.workspace_id == _of_workspace,
    profiles.c.mpid == bindparam("of_mpid"),
)
_FIRST_SEEN: Final = select(profiles.c.first_seen_ms).where(*_of_profile)
_MOVE_FIRST_SEEN: Final = (
    update(profiles)
    .where(*_of_profile, profiles.c.first_seen_ms > bindparam("earlier_ms"))
    .values(first_seen_ms=bindparam("earlier_ms"))
)
_CLOSE: Final = (
    update(aliases)
    .where(aliases.c.workspace_id == _of_workspace, aliases.c.id == bindparam("of_id"))
    .values(state="done", copied_events=bindparam("copied"), done_at_ms=bindparam("done_at_ms"))
)
