"""Notices that the clock was set back: dates that were made before lie too far ahead.

Whoever keeps such dates is told, and brings them back: nothing waits longer than it may.
"""

from collections.abc import Callable, Sequence
from typing import Final

from higgs_shop.clock import Clock

SMALLEST_STEP_MS: Final = 5_000
"""What lies no further ahead than this is left alone: others write dates while one looks, by a clock
that has gone on meanwhile, or by one of another machine."""

BringBack = Callable[[int], int]
"""Is given the time, brings the dates of one owner back, and returns how many it were.

Raises: DatabaseError.
"""


class ClockSteps:
    """Asks the owners of dates to bring them back, when there may be a reason.

    Once at its first look, since the clock may have been set back before, and then whenever it sees an
    earlier time than the last. A step forward needs nothing: what waits comes due sooner.

    >>> times = iter([100, 200, 150, 160])
    >>> steps = ClockSteps(lambda: next(times), owners=[lambda now_ms: 1])
    >>> [steps.look() for _ in range(4)]
    [1, 0, 1, 0]
    """

    def __init__(self, clock: Clock, owners: Sequence[BringBack]) -> None:
        self._clock = clock
        self._owners = tuple(owners)
        self._seen_ms: int | None = None

    def look(self) -> int:
        """The background's round. Returns how many dates were brought back. Raises: DatabaseError.

        When an owner fails, all are asked again in the next round.
        """
        now_ms = self._clock()
        may_lie_ahead = self._seen_ms is None or now_ms < self._seen_ms
        brought_back = (
            sum(bring_back(now_ms) for bring_back in self._owners) if may_lie_ahead else 0
        )
        self._seen_ms = now_ms
        return brought_back
