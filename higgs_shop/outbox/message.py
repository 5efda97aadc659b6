"""What travels through the outbox. Times are UTC Unix milliseconds."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from higgs_shop.outputs import Output

State = Literal["waiting", "delivered", "dead"]
"""waiting: to be sent, again perhaps. delivered: a 2xx came back. dead: every attempt is used up."""


@dataclass(frozen=True, slots=True)
class Draft:
    """An event, or several together, that are to become a message.

    Attributes:
        event_id: the row in `events`; None for several, for a batch without events, and for an alias
            request.
        make_body: given the message's sequence number and webhook-id, returns the request body. Called
            once: the bytes are frozen.
        event_ids: the rows of several.
    """

    event_id: int | None
    make_body: Callable[[int, str], bytes]
    event_ids: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Message:
    """One event on its way out. `webhook_id` and `body` never change, whatever is tried how often.

    `sequence` counts an MPID's messages to an output from 1 without gaps; `attempts` is how many were
    made so far, `attempts_before` how many of them before it was last replayed, or its output paused by it.
    """

    id: int
    workspace_id: str
    output_id: int
    mpid: int
    sequence: int
    event_id: int | None
    webhook_id: str
    body: bytes = field(repr=False)
    attempts: int
    attempts_before: int
    enqueued_at_ms: int


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try at one message, and what becomes of the message by it.

    Either `status_code` (an answer came, `answer` is its beginning) or `error` (none came) is set.
    `wait_ms`, how long to wait before the next try, is set when, and only when, `state` is waiting.
    `starts_anew` says that the message has all its attempts before it again. `retry_after` and `location`
    are the headers of an answer that asks for another time, or another place.
    """

    message_id: int
    number: int
    status_code: int | None
    error: str | None
    answer: str
    duration_ms: int
    started_at_ms: int
    state: State
    wait_ms: int | None
    starts_anew: bool = False
    retry_after: str | None = None
    location: str | None = None


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to send one mailbox's messages, first to last, until `until_ms`.

    `delivered_sequence` is the highest one that was delivered: what lies between it and a later message
    that is sent was given up. `is_probe` says that nobody answered at the output lately, and that this
    finds out whether somebody does: nothing else is sent there meanwhile.
    """

    output: Output
    mpid: int
    token: str = field(repr=False)
    until_ms: int
    delivered_sequence: int
    messages: tuple[Message, ...]
    is_probe: bool = False


@dataclass(frozen=True, slots=True)
class HandedIn:
    """What the holder of a claim says of it.

    Attributes:
        attempts: those that are not recorded yet; none to give the mailbox back as it is.
        keeps_lease: the mailbox stays the holder's until the lease runs out, for its next message.
        pause_because: pauses the output, for this reason.
    """

    claim: Claim
    attempts: tuple[Attempt, ...] = ()
    keeps_lease: bool = False
    pause_because: str | None = None


@dataclass(frozen=True, slots=True)
class MessageState:
    """Where a message stands, for a page to show. `next_attempt_ms` is None unless it waits.

    `lease_until_ms` is until when a sender holds its person's messages; None when none does.
    """

    output_id: int
    state: State
    attempts: int
    last_status: int | None
    last_error: str | None
    next_attempt_ms: int | None
    lease_until_ms: int | None
    delivered_at_ms: int | None
    sequence: int
    webhook_id: str


@dataclass(frozen=True, slots=True)
class Backlog:
    """How much waits in a workspace, and since when (None when nothing does).

    `waiting` is at most MOST_COUNTED + 1, which means more; the other is then of those that were counted.
    """

    waiting: int
    oldest_enqueued_at_ms: int | None
