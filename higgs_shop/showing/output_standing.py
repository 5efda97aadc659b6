"""How an output stands, in one word that the pages and `/readyz` agree on."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection

from higgs_shop import outbox
from higgs_shop.outbox import Counts, NewestAttempt, Tries
from higgs_shop.outputs import Output

_MOST_ATTEMPTS: Final = 5


@dataclass(frozen=True, slots=True)
class OutputStanding:
    """What is stored of an output, and what that comes to.

    Attributes:
        state: the one thing to know first: `paused`, `inactive`, `silent` (nobody forwards), `full`,
            `failing` (the newest attempt failed, and something waits), `giving_up` (a message of the
            newest attempts is dead), `retrying` (something that failed before waits) or `running`.
        is_failing: whether `failing` holds, whatever else does.
        attempts: the newest ones, newest first.
    """

    state: str
    is_failing: bool
    counts: Counts
    attempts: Sequence[NewestAttempt]
    tries: Tries


def standing_of(
    connection: Connection, output: Output, *, is_silent: bool, now_ms: int
) -> OutputStanding:
    """How an output stands now.

    Args:
        is_silent: whether nobody forwards.
    """
    counts = outbox.count_messages(connection, output)
    attempts = outbox.newest_attempts(connection, output, most=_MOST_ATTEMPTS)
    tries = outbox.tries_at(connection, output, now_ms)
    is_failing = bool(counts.waiting and attempts and not attempts[0].succeeded)
    stands = {
        "paused": output.state == "paused",
        "inactive": not output.settings.is_active,
        "silent": is_silent,
        "full": output.is_full,
        "failing": is_failing,
        "giving_up": any(attempt.message_state == "dead" for attempt in attempts),
        "retrying": tries.retrying > 0,
    }
    return OutputStanding(
        state=next((name for name, holds in stands.items() if holds), "running"),
        is_failing=is_failing,
        counts=counts,
        attempts=attempts,
        tries=tries,
    )
