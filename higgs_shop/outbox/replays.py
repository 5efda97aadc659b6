"""Replays: what was asked to be delivered again, and how far each of them is.

A replayed message waits like a new one, in its place: its person's messages still go by sequence
number. It has its whole schedule before it once more.
"""

from dataclasses import dataclass
from typing import Final

from sqlalchemy import (
    Connection,
    bindparam,
    func,
    insert,
    select,
)

from higgs_shop.outbox.deliveries import of_output
from higgs_shop.outbox.replay_choice import ReplayChoice, as_chosen, as_stored, states_of
from higgs_shop.outputs import NoSuchOutput, Output, held_output
from higgs_shop.tables import messages, replays


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
    if held_output(connection, output.workspace_id, output.id) is None:
        raise NoSuchOutput(output.name)
    newest = select(func.max(messages.c.id)).where(*of_output(output))
    last_ids = [
        connection.scalar(newest.where(messages.c.state == state)) or 0
        for state in states_of(choice)
    ]
    replay_id: int = connection.execute(
        insert(replays).returning(replays.c.id),
        {
            "workspace_id": output.workspace_id,
            "output_id": output.id,
            "chosen": as_stored(choice),
            "last_id": max(last_ids),
            "looked_at_id": 0,
            "total": 0,
            "started_at_ms": now_ms,
            "chosen_at_ms": None,
        },
    ).scalar_one()
    return Replay(replay_id, output.id, choice, total=0, started_at_ms=now_ms)


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
        Replay(row.id, row.output_id, as_chosen(row.chosen), row.total, row.started_at_ms)
        for row in connection.execute(_NEWEST, of)
    ]


THIS_REPLAY: Final = (
    replays.c.workspace_id == bindparam("of_workspace"),
    replays.c.output_id == bindparam("of_output"),
    replays.c.id == bindparam("of_replay"),
)

_TOTAL: Final = select(replays.c.total, replays.c.chosen_at_ms).where(*THIS_REPLAY)

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
