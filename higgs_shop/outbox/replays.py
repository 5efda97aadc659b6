"""Delivering again: what was given up, or anything that was delivered, with the same ids and bytes.

A replayed message waits like a new one, in its place: its person's messages still go by sequence
number. It has its whole schedule before it once more.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    Connection,
    bindparam,
    func,
    insert,
    null,
    or_,
    select,
    update,
)

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
from higgs_shop.tables import messages, outputs, replays

# What one write transaction is about: a page that wants to write waits for no more than this.
_AT_ONCE: Final = 500


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
    """One wish to deliver again. `total` is how many messages it was about."""

    id: int
    output_id: int
    choice: ReplayChoice
    total: int
    started_at_ms: int


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a replay is. What a later one took over is in `total`, and in no other number.

    Attributes:
        dead: how many were given up again.
        waiting: how many are still to be delivered.
    """

    total: int
    delivered: int
    dead: int
    waiting: int


def start_replay(
    database: Database, output: Output, choice: ReplayChoice, *, now_ms: int
) -> Replay:
    """Make messages wait again, to be delivered by whoever forwards.

    It is done by and by, in short transactions: what ends it halfway leaves a replay of what was done so
    far, and starting another one does the rest. What is enqueued meanwhile is not part of it.

    Args:
        now_ms: when it was asked for.
    Raises: NoSuchOutput. DatabaseBusy.
    """
    with database.write() as connection:
        _hold(connection, output)
        replay_id: int = connection.execute(
            insert(replays).returning(replays.c.id),
            {
                "workspace_id": output.workspace_id,
                "output_id": output.id,
                "chosen": _as_stored(choice),
                "total": 0,
                "started_at_ms": now_ms,
            },
        ).scalar_one()
    replay = Replay(replay_id, output.id, choice, total=0, started_at_ms=now_ms)
    total = 0
    for found in _chosen(database, output, replay):
        left = found
        while left:
            marked, left = _mark(database, output, replay, left)
            total += marked
    return replace(replay, total=total)


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
    total = connection.scalar(_TOTAL, of)
    if total is None:
        return None
    numbers: dict[str, int] = dict(connection.execute(_BY_STATE, of).all())
    return Progress(
        total=total,
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
class _Found:
    id: int
    mpid: int


def _chosen(database: Database, output: Output, replay: Replay) -> Iterator[list[_Found]]:
    """What is to be replayed, oldest first, a few at a time; each time read anew."""
    newest = select(func.max(messages.c.id)).where(*of_output(output))
    with database.read() as connection:
        last_id = max(
            connection.scalar(newest.where(messages.c.state == state)) or 0
            for state in _states(replay.choice)
        )
    for state in _states(replay.choice):
        wanted = (
            select(messages.c.id, messages.c.mpid)
            .where(
                *_conditions(output, replay.choice),
                messages.c.state == state,
                messages.c.id > bindparam("after"),
                messages.c.id <= last_id,
                # What was dead may be delivered by now, and was chosen already.
                or_(messages.c.replay_id.is_(None), messages.c.replay_id != replay.id),
            )
            .order_by(messages.c.id)
            .limit(_AT_ONCE)
        )
        after = 0
        while True:
            with database.read() as connection:
                found = [_Found(*row) for row in connection.execute(wanted, {"after": after})]
            if not found:
                break
            yield found
            after = found[-1].id


def _mark(
    database: Database, output: Output, replay: Replay, found: Sequence[_Found]
) -> tuple[int, list[_Found]]:
    """Make those wait again whose mailboxes are free, and the first of them in any case.

    Whoever enqueues or records holds mailboxes as well, in whatever order. Waiting for the first one
    while holding none, and for no other, is in nobody's way.
    Returns: how many were made to wait, and those whose mailboxes others held.
    """
    of = {"of_workspace": output.workspace_id, "of_output": output.id}
    with database.write() as connection:
        _hold(connection, output)
        first = MailboxKey(output.workspace_id, output.id, found[0].mpid)
        if not hold_mailbox(connection, first):  # the store was reset meanwhile
            return 0, []
        mpids = {each.mpid for each in found}
        held = hold_free_mailboxes(connection, output.workspace_id, output.id, mpids)
        due_at_ms = replay.started_at_ms
        if not database.is_sqlite:  # whoever asks may be ahead of the clock that says what is due
            due_at_ms = min(due_at_ms, database_time(connection))
        marked = connection.execute(
            _MARK,
            of
            | {
                "ids": [each.id for each in found if each.mpid in held],
                "states": _states(replay.choice),
                "new_replay": replay.id,
                "due_at_ms": due_at_ms,
            },
        ).rowcount
        keys = [MailboxKey(output.workspace_id, output.id, mpid) for mpid in held]
        set_due(connection, keys, due_at_ms)
        connection.execute(_ADD_TO_TOTAL, of | {"of_replay": replay.id, "more": marked})
    return marked, [each for each in found if each.mpid not in held]


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

_ADD_TO_TOTAL: Final = (
    update(replays).where(*_this_replay).values(total=replays.c.total + bindparam("more"))
)

_TOTAL: Final = select(replays.c.total).where(*_this_replay)

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
