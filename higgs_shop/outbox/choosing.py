"""Choosing the messages of a replay: by and by, in short transactions, by whoever comes to it.

What ends it halfway leaves the rest to the background of those who forward.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import takewhile
from typing import Final, NamedTuple

from sqlalchemy import (
    Connection,
    and_,
    bindparam,
    case,
    null,
    or_,
    select,
    update,
)

from higgs_shop.clock import Clock
from higgs_shop.database import Database
from higgs_shop.outbox.mailboxes import (
    IS_CLOSED,
    MailboxKey,
    hold_first_and_free,
    mailbox_time,
    set_due,
)
from higgs_shop.outbox.replay_choice import ReplayChoice, as_chosen, conditions_of, states_of
from higgs_shop.outbox.replays import THIS_REPLAY, Replay, ask_for_replay, progress_of
from higgs_shop.outputs import Output, held_output
from higgs_shop.outputs.output import STORED, stored_output
from higgs_shop.tables import messages, outputs, replays

# What one write transaction is about: a page that wants to write waits for no more than this.
_AT_ONCE: Final = 500

# About a second's work: the other chores of the background wait for it.
_TURNS_A_ROUND: Final = 20


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
        choosing = _Choosing(output, replay_id, as_chosen(row.chosen), *row[1:])
        found = _next_of(connection, choosing)
    with database.write() as connection:
        if held_output(connection, output.workspace_id, output.id) is None:
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
    for state in states_of(choosing.choice):
        wanted = (
            select(messages.c.id, messages.c.mpid)
            .where(
                *conditions_of(choosing.output, choosing.choice),
                IS_CLOSED,
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

    Returns: how many were made to wait, and the id up to which there are none left.
    """
    output = choosing.output
    held = hold_first_and_free(
        connection, output.workspace_id, output.id, [each.mpid for each in found]
    )
    due_at_ms = min(choosing.started_at_ms, mailbox_time(connection, choosing.started_at_ms))
    marked = connection.execute(
        _MARK,
        {
            "of_workspace": output.workspace_id,
            "of_output": output.id,
            "ids": [each.id for each in found if each.mpid in held],
            "states": states_of(choosing.choice),
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

_still_choosing: Final = replays.c.chosen_at_ms.is_(None)

_CHOOSING: Final = select(
    replays.c.chosen, replays.c.last_id, replays.c.looked_at_id, replays.c.started_at_ms
).where(*THIS_REPLAY, _still_choosing)

_HOLD_REPLAY: Final = (
    select(replays.c.id)
    .where(*THIS_REPLAY, _still_choosing, replays.c.looked_at_id == bindparam("looked_at"))
    .with_for_update()
)

_GO_ON: Final = (
    update(replays)
    .where(*THIS_REPLAY)
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
