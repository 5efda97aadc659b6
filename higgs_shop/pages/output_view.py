"""Not a page: how an output stands, in the words of the pages that show one.

It says what is stored: whether it takes events, whether it sends, how much waits, and how the newest
attempts went.
"""

from typing import Any, Final

from flask import abort
from sqlalchemy import Connection

from higgs_shop import outbox
from higgs_shop.background import forwarders
from higgs_shop.outbox import MOST_COUNTED, Counts, NewestAttempt
from higgs_shop.outputs import MAIN_OUTPUT, Output, find_output
from higgs_shop.pages.looked_into import workspace_or_404
from higgs_shop.pages.parts import parts
from higgs_shop.pages.short import sentence, short_mpid
from higgs_shop.tracker import why_no_test_event

NO_SUCH_CONNECTION: Final = (
    "There is no such connection in this workspace; perhaps somebody has removed it. The page "
    "Connections lists those that there are."
)
_MOST_ATTEMPTS: Final = 5


def output_or_404(connection: Connection, name: str) -> Output:
    """The output of this name in the workspace that is looked into."""
    output = find_output(connection, workspace_or_404(connection).id, name)
    if output is None:
        abort(404, NO_SUCH_CONNECTION)
    return output


def output_view(connection: Connection, output: Output) -> dict[str, Any]:
    """An output's state, backlog and newest attempts, for the templates."""
    counts = outbox.count_messages(connection, output)
    attempts = outbox.newest_attempts(connection, output, most=_MOST_ATTEMPTS)
    is_silent = not forwarders(connection, parts().clock())
    no_test = why_no_test_event(output)
    is_failing = bool(counts.waiting and attempts and not attempts[0].succeeded)
    return {
        "name": output.name,
        "is_main": output.name == MAIN_OUTPUT,
        "is_active": output.settings.is_active,
        "posts_to": output.settings.url or parts().inbox_address,
        "posts_to_own_inbox": output.settings.url in {"", parts().inbox_address},
        "state": _state(output, is_silent=is_silent, is_failing=is_failing),
        "pause_reason": output.pause_reason,
        "paused_at_ms": output.paused_at_ms,
        "is_full": output.is_full,
        "is_silent": is_silent,
        "can_try_now": can_try_now(connection, output),
        "no_test_because": None if no_test is None else sentence(no_test.reason),
        "next_due_ms": outbox.next_due_ms(connection, output),
        "waiting_since_ms": counts.oldest_waiting_ms,
        "counts": counts_view(counts),
        "attempts": [_attempt_view(attempt) for attempt in attempts],
    }


def can_try_now(connection: Connection, output: Output, mpid: int | None = None) -> bool:
    """Whether something of an output, or of one person there, waits for nothing but its next retry."""
    return output.state == "running" and outbox.waits_for_retry(
        connection, output, mpid=mpid, now_ms=parts().clock()
    )


def counts_view(counts: Counts) -> dict[str, dict[str, Any]]:
    """How many messages stand how, by state: a number and its words."""
    numbers = {"waiting": counts.waiting, "dead": counts.dead, "delivered": counts.delivered}
    return {
        state: {"number": min(number, MOST_COUNTED), "words": counted(number)}
        for state, number in numbers.items()
    }


def counted(number: int) -> str:
    """A number that was counted up to MOST_COUNTED + 1, in words."""
    return f"over {MOST_COUNTED:,}" if number > MOST_COUNTED else f"{number:,}"


def _state(output: Output, *, is_silent: bool, is_failing: bool) -> str:
    """The one thing to know first: what keeps events from arriving, if anything does."""
    stands = {
        "paused": output.state == "paused",
        "silent": is_silent,
        "full": output.is_full,
        "failing": is_failing,
        "inactive": not output.settings.is_active,
    }
    return next((name for name, holds in stands.items() if holds), "running")


def _attempt_view(attempt: NewestAttempt) -> dict[str, Any]:
    """One of the newest attempts, for the templates."""
    return {
        "message_id": attempt.message_id,
        "mpid": str(attempt.mpid),
        "mpid_short": short_mpid(attempt.mpid),
        "sequence": attempt.sequence,
        "number": attempt.number,
        "status_code": attempt.status_code,
        "error": attempt.error,
        "duration_ms": attempt.duration_ms,
        "started_at_ms": attempt.started_at_ms,
        "sign": "delivered" if attempt.succeeded else "failed",
    }
