"""When a failed delivery is tried again. Pure: a schedule, a count, a clock and a die go in.

The schedule is that of Standard Webhooks: ten attempts over 75 h 35 min 5 s, each wait moved by up to
20 % either way so that what failed together does not come back together.
Source: standard-webhooks/standard-webhooks, spec/standard-webhooks.md, "Retry schedule".
"""

from collections.abc import Callable, Sequence
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Final

_MINUTE: Final = 60
_HOUR: Final = 60 * _MINUTE

SCHEDULE_SECONDS: Final = (
    0,
    5,
    5 * _MINUTE,
    30 * _MINUTE,
    2 * _HOUR,
    5 * _HOUR,
    10 * _HOUR,
    14 * _HOUR,
    20 * _HOUR,
    24 * _HOUR,
)
"""How long is waited before each attempt; the first is made at once."""

JITTER: Final = 0.2
# Thirty years: longer than any schedule, so that the clamp decides; and int() of endless digits is slow.
_FOREVER_SECONDS: Final = 10**9


def next_attempt_ms(
    schedule_seconds: Sequence[float],
    *,
    attempts_made: int,
    now_ms: int,
    random: Callable[[], float],
    retry_after_ms: int | None = None,
) -> int | None:
    """When the next attempt is due, or None when the schedule is used up.

    Args:
        schedule_seconds: the wait before each attempt; its length is how many there are.
        attempts_made: how many have failed.
        now_ms: when the last one ended.
        random: gives 0 ≤ x < 1.
        retry_after_ms: the wait that the receiver asked for. It is granted between once and twice the
            planned wait: a receiver may slow us down, but neither hurry nor park us.
    """
    if attempts_made >= len(schedule_seconds):
        return None
    planned_ms = schedule_seconds[attempts_made] * 1_000 * (1 - JITTER + 2 * JITTER * random())
    wait_ms = planned_ms
    if retry_after_ms is not None:
        wait_ms = min(max(retry_after_ms, planned_ms), 2 * planned_ms)
    return now_ms + round(wait_ms)


def retry_after_ms(value: str | None, *, now_ms: int) -> int | None:
    """Read a Retry-After header: seconds or an HTTP date. None when it is absent or junk.

    A date in the past is a wait of 0. Source: RFC 9110, section 10.2.3.
    """
    if value is None:
        return None
    text = value.strip()
    if text.isascii() and text.isdigit():
        return (int(text) if len(text) < 10 else _FOREVER_SECONDS) * 1_000
    try:
        at = parsedate_to_datetime(text)
        at_seconds = (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return max(0, round(at_seconds * 1_000) - now_ms)
