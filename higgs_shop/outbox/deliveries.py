"""Looking at what an output was given: its messages, the attempts at them, and how many there are.

Nothing here reads more than a page of rows, or counts further than MOST_COUNTED, however full it is.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, get_args

from sqlalchemy import ColumnElement, Connection, and_, bindparam, func, select

from higgs_shop.outbox.mailboxes import IS_CLOSED, IS_WAITING, MAILBOX_OF_MESSAGE
from higgs_shop.outbox.message import Backlog, State
from higgs_shop.outputs import Output
from higgs_shop.tables import delivery_attempts, events, mailboxes, messages

MOST_COUNTED: Final = 10_000
"""Counting goes so far and no further."""

MOST_ATTEMPTS: Final = 200
"""So many attempts at one message are listed, the last ones: replays add ten each."""

_HIGHEST_ID: Final = 2**63 - 1


@dataclass(frozen=True, slots=True)
class ListedMessage:
    """A message as a list shows it. Times are UTC Unix milliseconds.

    Attributes:
        event_type, name: of its event; None where it has none, as an alias request.
        last_error: why the last attempt had no answer, or why there was no attempt at all.
        next_attempt_ms: when it may be sent, unless another of its person comes first; None when it
            does not wait.
        lease_until_ms: until when a sender holds its person's messages; None when none does.
        closed_at_ms: when it was delivered or given up.
        is_replayed: whether somebody asked for it to be delivered again.
        delivered_before_ms: when it was delivered before that; None when it was not. The receiver has
            it, whatever became of the replay.
    """

    id: int
    mpid: int
    sequence: int
    event_id: int | None
    event_type: str | None
    name: str | None
    webhook_id: str
    state: State
    attempts: int
    last_status: int | None
    last_error: str | None
    enqueued_at_ms: int
    next_attempt_ms: int | None
    lease_until_ms: int | None
    closed_at_ms: int | None
    is_replayed: bool
    delivered_before_ms: int | None


@dataclass(frozen=True, slots=True)
class ListedAttempt:
    """One try at a message: either an answer with its status came, or an error kept it from coming.

    `answer` is its beginning, 2,048 characters at most. `retry_after` and `location` are headers of it, if
    it had them; `wait_ms` is what was planned until the next attempt, None when it was the last.
    """

    number: int
    status_code: int | None
    error: str | None
    answer: str
    retry_after: str | None
    location: str | None
    wait_ms: int | None
    duration_ms: int
    started_at_ms: int


@dataclass(frozen=True, slots=True)
class Counts:
    """How many messages of an output there are: at most MOST_COUNTED + 1 of each, which means more.

    `oldest_waiting_ms` is when the first one that waits was enqueued; None when none does.
    """

    waiting: int
    oldest_waiting_ms: int | None
    dead: int
    delivered: int


def list_messages(
    connection: Connection,
    output: Output,
    *,
    state: State | None = None,
    mpid: int | None = None,
    before_id: int | None = None,
    most: int,
) -> list[ListedMessage]:
    """An output's messages, newest first.

    Args:
        state: only those that stand so.
        mpid: only that person's.
        before_id: only those that are older than this message: the id of the last one on a page.
        most: how many at most.
    """
    conditions = [*of_output(output)]
    if mpid is not None:
        conditions.append(messages.c.mpid == mpid)
    states = get_args(State) if state is None else (state,)
    return list_newest(
        connection, states, conditions, before_id=before_id, most=most, of_mailbox=mpid is not None
    )


def list_newest(
    connection: Connection,
    states: Sequence[State],
    conditions: Sequence[ColumnElement[bool]],
    *,
    before_id: int | None,
    most: int,
    of_mailbox: bool = False,
) -> list[ListedMessage]:
    """Messages in one of these states for which all conditions hold, newest first.

    Args:
        of_mailbox: whether the conditions are those of one mailbox, in which ids and sequence numbers
            rise together.
    """
    older = [] if before_id is None else [messages.c.id < min(before_id, _HIGHEST_ID)]
    found: dict[int, ListedMessage] = {}
    # Each state is a run of an index: together they would have to be sorted.
    for state in states:
        fitting, by = _LISTED.where(*conditions, *older), messages.c.id
        if state != "waiting":
            fitting = fitting.where(IS_CLOSED, messages.c.state == state)
        else:
            fitting = fitting.where(IS_WAITING)
            if of_mailbox:
                by = messages.c.sequence
                fitting = fitting.where(*_lower(connection, conditions, before_id))
        newest = fitting.order_by(by.desc()).limit(most)
        found |= {row.id: _listed(row) for row in connection.execute(newest)}
    return sorted(found.values(), key=lambda message: message.id, reverse=True)[:most]


def _lower(
    connection: Connection, of_mailbox: Sequence[ColumnElement[bool]], before_id: int | None
) -> list[ColumnElement[bool]]:
    """What holds for the sequence numbers before that of a message, if it is (still) in the mailbox."""
    if before_id is None or before_id > _HIGHEST_ID:
        return []
    numbered = select(messages.c.sequence).where(*of_mailbox, messages.c.id == before_id)
    sequence = connection.scalar(numbered)
    return [] if sequence is None else [messages.c.sequence < sequence]


def get_message(
    connection: Connection, output: Output, message_id: int
) -> tuple[ListedMessage, bytes] | None:
    """One message and its body, as it is sent; None when the output has none of this id."""
    if not 0 < message_id <= _HIGHEST_ID:
        return None
    wanted = _LISTED.add_columns(messages.c.body).where(
        *of_output(output), messages.c.id == message_id
    )
    row = connection.execute(wanted).one_or_none()
    return None if row is None else (_listed(row), row.body)


def list_attempts(connection: Connection, output: Output, message_id: int) -> list[ListedAttempt]:
    """Every attempt at a message of this output, first to last; the last MOST_ATTEMPTS of them."""
    rows = connection.execute(
        _ATTEMPTS,
        {"of_workspace": output.workspace_id, "of_output": output.id, "of_message": message_id},
    )
    return [ListedAttempt(*row) for row in reversed(rows.all())]


def count_messages(connection: Connection, output: Output) -> Counts:
    """How many wait, were given up and were delivered, and since when the oldest waits."""
    of = {"of_workspace": output.workspace_id, "of_output": output.id}

    def count(state: State) -> int:
        counted: int = connection.execute(_COUNT, of | {"of_state": state}).scalar_one()
        return counted

    return Counts(
        waiting=count("waiting"),
        oldest_waiting_ms=connection.scalar(_OLDEST_WAITING, of),
        dead=count("dead"),
        delivered=count("delivered"),
    )


def backlog(connection: Connection, workspace_id: str) -> Backlog:
    """How much waits at all outputs of a workspace."""
    row = connection.execute(_BACKLOG, {"of_workspace": workspace_id}).one()
    return Backlog(waiting=row.waiting, oldest_enqueued_at_ms=row.oldest_enqueued_at_ms)


def of_output(output: Output) -> tuple[ColumnElement[bool], ...]:
    """What holds for the messages of this output."""
    return messages.c.workspace_id == output.workspace_id, messages.c.output_id == output.id


def _listed(row: Any) -> ListedMessage:
    return ListedMessage(
        id=row.id,
        mpid=row.mpid,
        sequence=row.sequence,
        event_id=row.event_id,
        event_type=row.event_type,
        name=row.name,
        webhook_id=row.webhook_id,
        state=row.state,
        attempts=row.attempts,
        last_status=row.last_status,
        last_error=row.last_error,
        enqueued_at_ms=row.enqueued_at_ms,
        next_attempt_ms=row.next_attempt_ms if row.state == "waiting" else None,
        lease_until_ms=row.lease_until_ms,
        closed_at_ms=row.closed_at_ms,
        is_replayed=row.replay_id is not None,
        delivered_before_ms=row.delivered_before_ms,
    )


_LISTED: Final = (
    select(
        messages.c.id,
        messages.c.mpid,
        messages.c.sequence,
        messages.c.event_id,
        events.c.event_type,
        events.c.name,
        messages.c.webhook_id,
        messages.c.state,
        messages.c.attempts,
        messages.c.last_status,
        messages.c.last_error,
        messages.c.enqueued_at_ms,
        messages.c.next_attempt_ms,
        messages.c.closed_at_ms,
        messages.c.replay_id,
        messages.c.delivered_before_ms,
        mailboxes.c.lease_until_ms,
    )
    .join_from(
        messages,
        events,
        and_(events.c.workspace_id == messages.c.workspace_id, events.c.id == messages.c.event_id),
        isouter=True,
    )
    # An outer join, so that the messages are always what is looked through.
    .join(mailboxes, MAILBOX_OF_MESSAGE, isouter=True)
)

_this_output: Final = (
    messages.c.workspace_id == bindparam("of_workspace"),
    messages.c.output_id == bindparam("of_output"),
)

_ATTEMPTS: Final = (
    select(
        delivery_attempts.c.number,
        delivery_attempts.c.status_code,
        delivery_attempts.c.error,
        delivery_attempts.c.answer,
        delivery_attempts.c.retry_after,
        delivery_attempts.c.location,
        delivery_attempts.c.wait_ms,
        delivery_attempts.c.duration_ms,
        delivery_attempts.c.started_at_ms,
    )
    .join_from(
        messages,
        delivery_attempts,
        and_(
            delivery_attempts.c.workspace_id == messages.c.workspace_id,
            delivery_attempts.c.message_id == messages.c.id,
        ),
    )
    .where(*_this_output, messages.c.id == bindparam("of_message"))
    .order_by(delivery_attempts.c.id.desc())
    .limit(MOST_ATTEMPTS)
)

_COUNT: Final = select(func.count()).select_from(
    select(messages.c.id)
    .where(*_this_output, messages.c.state == bindparam("of_state"))
    .limit(MOST_COUNTED + 1)
    .subquery("found")
)

_waiting: Final = (
    select(messages.c.enqueued_at_ms)
    .where(messages.c.workspace_id == bindparam("of_workspace"), IS_WAITING)
    .limit(MOST_COUNTED + 1)
    .subquery("found")
)

_BACKLOG: Final = select(
    func.count().label("waiting"),
    func.min(_waiting.c.enqueued_at_ms).label("oldest_enqueued_at_ms"),
)

_OLDEST_WAITING: Final = (
    select(messages.c.enqueued_at_ms)
    .where(*_this_output, messages.c.state == "waiting")
    .order_by(messages.c.id)
    .limit(1)
)
