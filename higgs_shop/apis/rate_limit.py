"""How many calls one API key may make: a token bucket for each key, counted in this process.

A bucket holds as many calls as the limit names, all of which may come at once, and fills up evenly over
the limit's second or minute. Several processes count by themselves: counting in the database would cost
a write transaction for every call, as much as the call itself.
Source: mParticle, "Default service limits", API throttling (the names and values of the headers).
"""

import threading
from dataclasses import dataclass
from typing import Final

from higgs_shop.clock import Clock

LIMIT_PATTERN: Final = r"^([1-9][0-9]{0,5}/(second|minute))?$"
"""What a limit looks like in a setting; empty is none."""

PERCENTAGE_USED: Final = "X-MP-Rate-Limit-Percentage-Used"
LIMIT_EXCEEDED: Final = "X-MP-Rate-Limit-Exceeded"
RETRY_AFTER: Final = "Retry-After"
EXPOSED: Final = f"{PERCENTAGE_USED}, {LIMIT_EXCEEDED}, {RETRY_AFTER}"

_OF_THE_KEY: Final = '"app"'
"""What was exceeded, as the documentation calls and quotes it: the limit of one app, which has one key."""

_WINDOWS_MS: Final = {"second": 1_000, "minute": 60_000}


@dataclass(frozen=True, slots=True)
class Limit:
    """So many calls in so many milliseconds."""

    calls: int
    window_ms: int


@dataclass(frozen=True, slots=True)
class Usage:
    """What one call came to.

    Attributes:
        percentage_used: of the limit, this call included; at 100 the next one would be refused.
        retry_after_seconds: when a call will be let in again, rounded up; 0 if this one was.
    """

    percentage_used: int
    retry_after_seconds: int = 0

    @property
    def is_exceeded(self) -> bool:
        """Whether the call is to be refused with 429."""
        return self.retry_after_seconds > 0

    def headers(self) -> dict[str, str]:
        """What the answer says about the limit, readable by pages of other origins too."""
        told = {
            PERCENTAGE_USED: str(self.percentage_used),
            "Access-Control-Expose-Headers": EXPOSED,
        }
        if self.is_exceeded:
            told |= {RETRY_AFTER: str(self.retry_after_seconds), LIMIT_EXCEEDED: _OF_THE_KEY}
        return told


def parse_limit(text: str) -> Limit | None:
    """`100/second` or `6000/minute`; None for an empty text. It matches LIMIT_PATTERN."""
    if not text:
        return None
    calls, _, window = text.partition("/")
    return Limit(int(calls), _WINDOWS_MS[window])


def decide(limit: Limit, full_at: int, now_ms: int) -> tuple[Usage, int]:
    """Judge one call.

    Args:
        full_at: when the bucket will be full again, in the limit's `calls`-ths of a millisecond, so
            that nothing is rounded; 0 for a bucket never used.
    Returns: what the call came to, and the new `full_at`. A refused call leaves the bucket as it is.
    """
    now, window = now_ms * limit.calls, limit.window_ms * limit.calls
    # Never more than empty, also when the clock was set back.
    lacking = min(max(full_at - now, 0), window)
    used = -(-lacking // limit.window_ms)
    if used < limit.calls:
        return Usage((used + 1) * 100 // limit.calls), now + lacking + limit.window_ms
    too_early = lacking + limit.window_ms - window
    return Usage(100, -(-too_early // (limit.calls * 1_000))), now + lacking


class RateLimiter:
    """Counts calls by key. Ask it only about keys that are known, after their secret was found right:
    nobody can fill its memory, or use up a limit, without one.
    """

    def __init__(self, limit: Limit, *, clock: Clock) -> None:
        self._limit = limit
        self._clock = clock
        self._full_at: dict[str, int] = {}
        self._lock = threading.Lock()

    def count(self, key: str) -> Usage:
        """Count one call of this key. Whoever asks refuses the call if the limit is exceeded."""
        with self._lock:
            usage, full_at = decide(self._limit, self._full_at.get(key, 0), self._clock())
            self._full_at[key] = full_at
            return usage
