"""What is passed between the outbox and whoever posts: errands out, deliveries back, a turn at a time."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from higgs_shop.outbox import Attempt, Claim, Message
from higgs_shop.outputs import Output
from higgs_shop.webhook_output.retry import GONE
from higgs_shop.webhook_output.unreachable import is_unanswered


@dataclass(frozen=True, slots=True, eq=False)
class Errand:
    """A message that is to be posted now, out of a mailbox that is leased for it.

    Attributes:
        output: as it is now, which may not be as it was when the mailbox was leased.
        place: which of the claim's messages it is.
        given_up: the sequence numbers right before it that became dead letters.
        last_start_seconds: when it is too late to begin, by the sender's monotonic clock.
    """

    claim: Claim
    output: Output
    place: int
    given_up: range
    last_start_seconds: float

    @property
    def message(self) -> Message:
        """What is to be posted."""
        return self.claim.messages[self.place]


@dataclass(frozen=True, slots=True)
class Delivery:
    """One message that was posted, and how that went."""

    errand: Errand
    attempt: Attempt

    @property
    def message(self) -> Message:
        """What was posted."""
        return self.errand.message

    @property
    def succeeded(self) -> bool:
        """True when the receiver answered 2xx."""
        return self.attempt.state == "delivered"

    @property
    def is_gone(self) -> bool:
        """True when the receiver answered 410."""
        return self.attempt.status_code == GONE

    @property
    def is_answered(self) -> bool:
        """True when a receiver said anything, and was not only spoken for."""
        return not is_unanswered(self.attempt.status_code)


class Work(NamedTuple):
    """What a turn at the outbox is about.

    Attributes:
        done: deliveries to record, each of another mailbox. The next message of the same person follows
            a success.
        unsent: given back as they are.
        places: how many errands the caller has room for; those that go on come first, and are never too
            many.
        held: what the caller goes on having besides.
        most_of_one_output: see `claim_due`.
        goes_on: False gives back every mailbox after what is done.
        waits: see `record`.
    """

    done: Sequence[Delivery] = ()
    unsent: Sequence[Errand] = ()
    places: int = 0
    held: Sequence[Errand] = ()
    most_of_one_output: int | None = None
    goes_on: bool = True
    waits: bool = True

    @property
    def is_any(self) -> bool:
        """Whether there is anything to do."""
        return bool(self.done or self.unsent or self.places > 0)


class Turn(NamedTuple):
    """What came of a turn at the outbox.

    Attributes:
        errands: to be posted at once or side by side: each is of another mailbox.
        unrecorded: deliveries whose mailbox somebody writes to, to be handed in again.
        stopped: outputs of what the caller holds that nothing more is to be sent to, by their id: they do
            not run any more, or nobody answers there.
    """

    errands: Sequence[Errand] = ()
    unrecorded: Sequence[Delivery] = ()
    stopped: frozenset[int] = frozenset()
