"""Delivering again: what was given up, or anything that was delivered, with the same ids and bytes.

A replayed message waits like a new one, in its place: its person's messages still go by sequence
number. It has its whole schedule before it once more.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import takewhile
from typing import Any, Final, NamedTuple

from sqlalchemy import (
    ColumnElement,
    Connection,
    and_,
    bindparam,
    case,
    func,
    insert,
    null,
    or_,
    select,
    update,
)

from higgs_shop.clock import Clock
from higgs_shop.database import Database
from higgs_shop.outbox.deliveries import ListedMessage, list_newest, of_output
from higgs_shop.outbox.mailboxes import (
    MailboxKey,
    database_time,
    hold_free_mailboxes,
    hold_mailbox,
    set_due,
)
from higgs_shop.outbox.message import State
from higgs_shop.outputs import NoSuchOutput, Output
from higgs_shop.outputs.output import STORED, stored_output
from higgs_shop.tables import messages, outputs, replays

# What one write transaction is about: a page that wants to write waits for no more than this.
_AT_ONCE: Final = 500
# About a second's work: the other chores of the background wait for it.
_TURNS_A_ROUND: Final = 20


@dataclass(frozen=True, slots=True)
class ReplayChoice:
    """Which messages of an output to deliver again: those for which all holds that is given.

    What waits is delivered anyway, and never chosen.

    Attributes:
        only_dead: those that were given up, and not those that were delivered.
        message_ids: these ones.
        from_ms, until_ms: enqueued at or after, and before; UTC Unix milliseconds.
        mpid: of this person.
        webhook_id: the one with this id.
    """

    only_dead: bool = True
    message_ids: tuple[int, ...] | None = None
    from_ms: int | None = None
    until_ms: int | None = None
    mpid: int | None = None
    webhook_id: str | None = None


@dataclass(frozen=True, slots=True)
class Replay:
    """One wish to deliver again. `total` is how many messages it is about, as far as they are chosen."""

    id: int
    output_id: int
    choice: ReplayChoice
    total: int
    started_at_ms: int


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a replay is. What a later one took over is in `total`, and in no other number; nor is what
    was withdrawn.

    Attributes:
        is_chosen: whether all that it is about is chosen; as long as not, `total` still grows.
        dead: how many were given up again.
        waiting: how many are still to be delivered.
    """

    is_chosen: bool
    total: int
    delivered: int
    dead: int
    waiting: int


def ask_for_replay(
    connection: Connection, output: Output, choice: ReplayChoice, *, now_ms: int
) -> Replay:
    """Write down that messages are to be delivered again: those that there are now.

    They are chosen by `choose_more`, by and by: by whoever asked, or by the background of those who
    forward, which also goes on where somebody else was stopped.

    Args:
        connection: of a write transaction.
    Raises: NoSuchOutput.
    """
    _hold(connection, output)
    newest = select(func.max(messages.c.id)).where(*of_output(output))
    last_ids = [
        connection.scalar(newest.where(messages.c.state == state)) or 0 for state in _states(choice)
    ]
    replay_id: int = connection.execute(
        insert(replays).returning(replays.c.id),
        {
            "workspace_id": output.workspace_id,
            "output_id": output.id,
            "chosen": _as_stored(choice),
            "last_id": max(last_ids),
            "looked_at_id": 0,
            "total": 0,
            "started_at_ms": now_ms,
            "chosen_at_ms": None,
        },
    ).scalar_one()
    return Replay(replay_id, output.id, choice, total=0, started_at_ms=now_ms)


def choose_more(database: Database, output: Output, replay_id: int, *, now_ms: int) -> bool:
    """Make the next few messages of a replay wait again, oldest first, in one short transaction.

    Any number may do so at once: each message is chosen once.

    Returns: whether there may be more to choose; False also when the output or the replay is gone.
    Raises: DatabaseBusy.
    """
    of = {
        "of_workspace": output.workspace_id,
        "of_output": output.id,
        "of_replay": replay_id,
    }
    with database.read() as connection:
        row = connection.execute(_CHOOSING, of).one_or_none()
        if row is None:
            return False
        choosing = _Choosing(output, replay_id, _as_chosen(row.chosen), *row[1:])
        found = _next_of(connection, choosing)
    with database.write() as connection:
        try:
            _hold(connection, output)
        except NoSuchOutput:
            return False
        if connection.scalar(_HOLD_REPLAY, of | {"looked_at": choosing.looked_at_id}) is None:
            return True  # somebody else went on with it meanwhile
        marked, looked_at_id = _mark(connection, choosing, found) if found else (0, 0)
        is_chosen = len(found) < _AT_ONCE and looked_at_id == (found[-1].id if found else 0)
        values = {
            "more": marked,
            "new_looked_at": looked_at_id or choosing.last_id,
            "new_chosen_at_ms": now_ms if is_chosen else None,
        }
        connection.execute(_GO_ON, of | values)
    return not is_chosen


def start_replay(
    database: Database, output: Output, choice: ReplayChoice, *, now_ms: int
) -> Replay:
    """Ask for a replay and choose all that it is about. Raises: NoSuchOutput. DatabaseBusy: whoever
    forwards then goes on with it.
    """
    with database.write() as connection:
        replay = ask_for_replay(connection, output, choice, now_ms=now_ms)
    while choose_more(database, output, replay.id, now_ms=now_ms):
        pass
    with database.read() as connection:
        progress = progress_of(connection, output, replay.id)
    return replace(replay, total=progress.total if progress else 0)


def go_on_choosing(database: Database, *, clock: Clock, on_messages: Callable[[], None]) -> int:
    """The background's round: go on with the replays of all workspaces that are not wholly chosen.

    They take turns. Of very many messages, some are left for the next round.

    Args:
        on_messages: called when there may be something new to send.
    Returns: how many turns it took. Raises: DatabaseBusy.
    """
    turns = 0
    while turns < _TURNS_A_ROUND:
        with database.read() as connection:
            unfinished = [
                (stored_output(row[1:]), row[0]) for row in connection.execute(_UNFINISHED)
            ]
        if not unfinished:
            break
        for output, replay_id in unfinished:
            choose_more(database, output, replay_id, now_ms=clock())
            turns += 1
    if turns:
        on_messages()
    return turns


def count_chosen(connection: Connection, output: Output, choice: ReplayChoice, *, most: int) -> int:
    """How many messages a replay would be about, counted up to `most`."""
    counted = 0
    for state in _states(choice):
        found = select(messages.c.id).where(*_conditions(output, choice), messages.c.state == state)
        limited = found.limit(most - counted).subquery("found")
        counted += connection.execute(select(func.count()).select_from(limited)).scalar_one()
    return counted


def list_chosen(
    connection: Connection,
    output: Output,
    choice: ReplayChoice,
    *,
    before_id: int | None = None,
    most: int,
) -> list[ListedMessage]:
    """What a replay would be about, newest first; see list_messages for the rest."""
    return list_newest(
        connection, _states(choice), _conditions(output, choice), before_id=before_id, most=most
    )


def progress_of(connection: Connection, output: Output, replay_id: int) -> Progress | None:
    """How far a replay of this output is; None when the output has no such one."""
    of = {"of_workspace": output.workspace_id, "of_output": output.id, "of_replay": replay_id}
    row = connection.execute(_TOTAL, of).one_or_none()
    if row is None:
        return None
    numbers: dict[str, int] = dict(connection.execute(_BY_STATE, of).all())
    return Progress(
        is_chosen=row.chosen_at_ms is not None,
        total=row.total,
        delivered=numbers.get("delivered", 0),
        dead=numbers.get("dead", 0),
        waiting=numbers.get("waiting", 0),
    )


def list_replays(connection: Connection, output: Output, *, most: int) -> list[Replay]:
    """An output's replays, newest first."""
    of = {"of_workspace": output.workspace_id, "of_output": output.id, "most": most}
    return [
        Replay(row.id, row.output_id, _as_chosen(row.chosen), row.total, row.started_at_ms)
        for row in connection.execute(_NEWEST, of)
    ]


@dataclass(frozen=True, slots=True)
class _Choosing:
    """A replay that is being chosen."""

    output: Output
    id: int
    choice: ReplayChoice
    last_id: int
    looked_at_id: int
    started_at_ms: int


class _Found(NamedTuple):
    id: int
    mpid: int


def _next_of(connection: Connection, choosing: _Choosing) -> list[_Found]:
    """The next few that are to be chosen, oldest first."""
    found: list[_Found] = []
    # Each state is a run of the index: together they would have to be sorted.
    for state in _states(choosing.choice):
        wanted = (
            select(messages.c.id, messages.c.mpid)
            .where(
                *_conditions(choosing.output, choosing.choice),
                messages.c.state == state,
                messages.c.id > choosing.looked_at_id,
                messages.c.id <= choosing.last_id,
                # Those that were marked while others held up what lies before them.
                or_(messages.c.replay_id.is_(None), messages.c.replay_id != choosing.id),
            )
            .order_by(messages.c.id)
            .limit(_AT_ONCE)
        )
        found += [_Found(*row) for row in connection.execute(wanted)]
    return sorted(found)[:_AT_ONCE]


def _mark(connection: Connection, choosing: _Choosing, found: Sequence[_Found]) -> tuple[int, int]:
    """Make those wait again whose mailboxes are free, and the first of them in any case.

    Whoever enqueues or records holds mailboxes as well, in whatever order. Waiting for the first one
    while holding none, and for no other, is in nobody's way.
    Returns: how many were made to wait, and the id up to which there are none left.
    """
    output = choosing.output
    hold_mailbox(connection, MailboxKey(output.workspace_id, output.id, found[0].mpid))
    held = hold_free_mailboxes(
        connection, output.workspace_id, output.id, {each.mpid for each in found}
    )
    due_at_ms = choosing.started_at_ms
    if connection.dialect.name == "postgresql":
        # Whoever asks may be ahead of the clock that says what is due.
        due_at_ms = min(due_at_ms, database_time(connection))
    marked = connection.execute(
        _MARK,
        {
            "of_workspace": output.workspace_id,
            "of_output": output.id,
            "ids": [each.id for each in found if each.mpid in held],
            "states": _states(choosing.choice),
            "new_replay": choosing.id,
            "due_at_ms": due_at_ms,
        },
    ).rowcount
    if held:
        keys = [MailboxKey(output.workspace_id, output.id, mpid) for mpid in held]
        set_due(connection, keys, due_at_ms)
    # The first one's mailbox is held, or was forgotten together with all that was in it.
    passed = takewhile(lambda each: each.mpid in held, found[1:])
    return marked, max((each.id for each in passed), default=found[0].id)


def _hold(connection: Connection, output: Output) -> None:
    """Keep an output from being removed meanwhile. Raises: NoSuchOutput when it was."""
    if connection.scalar(_HOLD_OUTPUT, {"of_output": output.id}) is None:
        raise NoSuchOutput(output.name)


def _states(choice: ReplayChoice) -> tuple[State, ...]:
    return ("dead",) if choice.only_dead else ("dead", "delivered")


def _conditions(output: Output, choice: ReplayChoice) -> list[ColumnElement[bool]]:
    conditions = [*of_output(output)]
    if choice.message_ids is not None:
        conditions.append(messages.c.id.in_(choice.message_ids))
    if choice.from_ms is not None:
        conditions.append(messages.c.enqueued_at_ms >= choice.from_ms)
    if choice.until_ms is not None:
        conditions.append(messages.c.enqueued_at_ms < choice.until_ms)
    if choice.mpid is not None:
        conditions.append(messages.c.mpid == choice.mpid)
    if choice.webhook_id is not None:
        # No id holds what is not ASCII, or NUL; and databases do not take all of it.
        id_like = choice.webhook_id.encode("ascii", "replace").replace(b"\x00", b"?").decode()
        conditions.append(messages.c.webhook_id == id_like)
    return conditions


def _as_stored(choice: ReplayChoice) -> dict[str, Any]:
    return {name: value for name, value in asdict(choice).items() if value is not None}


def _as_chosen(stored: Mapping[str, Any]) -> ReplayChoice:
    ids = stored.get("message_ids")
    return ReplayChoice(**{**stored, "message_ids": None if ids is None else tuple(ids)})


_HOLD_OUTPUT: Final = (
    select(outputs.c.id)
    .where(outputs.c.id == bindparam("of_output"))
    .with_for_update(read=True, key_share=True)
)

_MARK: Final = (
    update(messages)
    .where(
        messages.c.workspace_id == bindparam("of_workspace"),
        messages.c.output_id == bindparam("of_output"),
        messages.c.id.in_(bindparam("ids", expanding=True)),
        messages.c.state.in_(bindparam("states", expanding=True)),
    )
    .values(
        state="waiting",
        attempts_before=messages.c.attempts,
        delivered_before_ms=case(
            (messages.c.state == "delivered", messages.c.closed_at_ms),
            else_=messages.c.delivered_before_ms,
        ),
        replay_id=bindparam("new_replay"),
        next_attempt_ms=bindparam("due_at_ms"),
        closed_at_ms=null(),
    )
)

_this_replay: Final = (
    replays.c.workspace_id == bindparam("of_workspace"),
    replays.c.output_id == bindparam("of_output"),
    replays.c.id == bindparam("of_replay"),
)

_still_choosing: Final = replays.c.chosen_at_ms.is_(None)

_CHOOSING: Final = select(
    replays.c.chosen, replays.c.last_id, replays.c.looked_at_id, replays.c.started_at_ms
).where(*_this_replay, _still_choosing)

_HOLD_REPLAY: Final = (
    select(replays.c.id)
    .where(*_this_replay, _still_choosing, replays.c.looked_at_id == bindparam("looked_at"))
    .with_for_update()
)

_GO_ON: Final = (
    update(replays)
    .where(*_this_replay)
    .values(
        total=replays.c.total + bindparam("more"),
        looked_at_id=bindparam("new_looked_at"),
        chosen_at_ms=bindparam("new_chosen_at_ms"),
    )
)

_UNFINISHED: Final = (
    select(replays.c.id, *STORED)
    .join_from(
        replays,
        outputs,
        and_(outputs.c.workspace_id == replays.c.workspace_id, outputs.c.id == replays.c.output_id),
    )
    .where(_still_choosing)
    .order_by(replays.c.id)
    .limit(_TURNS_A_ROUND)
)

_TOTAL: Final = select(replays.c.total, replays.c.chosen_at_ms).where(*_this_replay)

_BY_STATE: Final = (
    select(messages.c.state, func.count())
    .where(
        messages.c.workspace_id == bindparam("of_workspace"),
        messages.c.output_id == bindparam("of_output"),
        messages.c.replay_id == bindparam("of_replay"),
    )
    .group_by(messages.c.state)
)

_NEWEST: Final = (
    select(
        replays.c.id,
        replays.c.output_id,
        replays.c.chosen,
        replays.c.total,
        replays.c.started_at_ms,
    )
    .where(
        replays.c.workspace_id == bindparam("of_workspace"),
        replays.c.output_id == bindparam("of_output"),
    )
    .order_by(replays.c.id.desc())
    .limit(bindparam("most"))
)
