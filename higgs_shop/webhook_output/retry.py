"""When a failed delivery is tried again. Pure: a schedule, a count, a status and a die go in.

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

REFUSALS: Final = frozenset({400, 413, 422})
"""Answers that say that this very message is wrong: it will hardly be right later."""

REFUSED_SCHEDULE_SECONDS: Final = (0, 5, 5 * _MINUTE, 10 * _MINUTE, 20 * _MINUTE)
"""A refused message holds up its person's others: five attempts in 35 minutes."""

GONE: Final = 410
"""The receiver wants nothing any more. Source: Standard Webhooks, "Status codes"."""

JITTER: Final = 0.2
# Thirty years: longer than any schedule, so that the clamp decides; and int() of endless digits is slow.
_FOREVER_SECONDS: Final = 10**9


def schedule_after(status_code: int | None, schedule_seconds: Sequence[float]) -> Sequence[float]:
    """The schedule that holds after this answer: a refusal shortens what is left of it."""
    if status_code not in REFUSALS:
        return schedule_seconds
    return [min(pair) for pair in zip(schedule_seconds, REFUSED_SCHEDULE_SECONDS, strict=False)]


def next_wait_ms(
    schedule_seconds: Sequence[float],
    *,
    attempts_made: int,
    random: Callable[[], float],
    retry_after_ms: int | None = None,
) -> int | None:
    """How long to wait before the next attempt, or None when the schedule is used up.

    Args:
        schedule_seconds: the wait before each attempt; its length is how many there are.
        attempts_made: how many have failed.
        random: gives 0 ≤ x < 1.
        retry_after_ms: the wait that the receiver asked for. It is granted between once and twice the
            planned wait: a receiver may slow us down, but neither hurry nor park us.
    """
    if attempts_made >= len(schedule_seconds):
        return None
    planned_ms = schedule_seconds[attempts_made] * 1_000 * (1 - JITTER + 2 * JITTER * random())
    if retry_after_ms is None:
        return round(planned_ms)
    return round(min(max(retry_after_ms, planned_ms), 2 * planned_ms))


def longest_waits_ms(schedule_seconds: Sequence[float]) -> list[int]:
    """The longest that can be waited after the first failed attempt, the second, and so on."""
    return [round(seconds * 1_000 * (1 + JITTER) * 2) for seconds in schedule_seconds[1:]] or [0]


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
