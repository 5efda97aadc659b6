"""How an output stands, in the words of the pages that show one.

It says what is stored: whether it takes events, whether it sends, how much waits, and how the newest
attempts went.
"""

from typing import Any

from sqlalchemy import Connection

from higgs_shop import outbox
from higgs_shop.background import forwarders
from higgs_shop.outbox import MOST_COUNTED, Counts, NewestAttempt
from higgs_shop.outputs import MAIN_OUTPUT, Output
from higgs_shop.showing.output_standing import standing_of
from higgs_shop.showing.short import sentence, short_mpid
from higgs_shop.tracker import count_gathered, why_no_test_event


def output_view(
    connection: Connection, output: Output, *, inbox_address: str, now_ms: int
) -> dict[str, Any]:
    """An output's state, backlog and newest attempts, for the templates.

    Args:
        inbox_address: the store's own inbox, where an output without a URL posts.
    """
    is_silent = not forwarders(connection, now_ms)
    standing = standing_of(connection, output, is_silent=is_silent, now_ms=now_ms)
    no_test = why_no_test_event(output)
    return {
        "name": output.name,
        "is_main": output.name == MAIN_OUTPUT,
        "is_active": output.settings.is_active,
        "posts_to": output.settings.url or inbox_address,
        "posts_to_own_inbox": output.settings.url in {"", inbox_address},
        "state": standing.state,
        "pause_reason": output.pause_reason,
        "paused_at_ms": output.paused_at_ms,
        "is_full": output.is_full,
        "is_silent": is_silent,
        "can_try_now": can_try_now(connection, output, now_ms=now_ms),
        "no_test_because": None if no_test is None else sentence(no_test.reason),
        "is_failing": standing.is_failing,
        "unreachable_since_ms": output.unreachable_since_ms,
        "left_alone_until_ms": output.left_alone_until_ms,
        "is_sending": standing.tries.is_sending,
        "retrying": _number_view(standing.tries.retrying),
        "next_retry_ms": standing.tries.next_retry_ms,
        "waiting_since_ms": standing.counts.oldest_waiting_ms,
        "counts": counts_view(standing.counts),
        "gathered": _gathered_view(connection, output),
        "attempts": [_attempt_view(attempt) for attempt in standing.attempts],
    }


def can_try_now(
    connection: Connection, output: Output, *, mpid: int | None = None, now_ms: int
) -> bool:
    """Whether something of an output, or of one person there, waits for nothing but its next retry."""
    return output.state == "running" and outbox.waits_for_retry(
        connection, output, mpid=mpid, now_ms=now_ms
    )


def counts_view(counts: Counts) -> dict[str, dict[str, Any]]:
    """How many messages stand how, by state: a number and its words."""
    numbers = {"waiting": counts.waiting, "dead": counts.dead, "delivered": counts.delivered}
    return {state: _number_view(number) for state, number in numbers.items()}


def counted(number: int) -> str:
    """A number that was counted up to MOST_COUNTED + 1, in words."""
    return f"over {MOST_COUNTED:,}" if number > MOST_COUNTED else f"{number:,}"


def _number_view(number: int) -> dict[str, Any]:
    """A number that was counted up to MOST_COUNTED + 1, and its words."""
    return {"number": min(number, MOST_COUNTED), "words": counted(number)}


def _gathered_view(connection: Connection, output: Output) -> dict[str, Any] | None:
    """How many events wait to be messages; None where none does, and none will."""
    number = count_gathered(connection, output, most=MOST_COUNTED + 1)
    if not number and not output.settings.gathers:
        return None
    return {**_number_view(number), "waits_for_session": output.settings.wait_for_session}


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
