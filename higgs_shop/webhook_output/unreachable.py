"""When an output is left alone because nobody answers there, and for how long. Pure but for counting.

What is not answered says little about the one message, and much about the receiver: while it is away,
everybody's messages would fail, again and again. So after a few in a row one message at a time finds out
whether it is back, and the others keep their attempts.
"""

import threading
from collections import Counter
from collections.abc import Sequence
from typing import Final

from higgs_shop.outputs import LONGEST_LEFT_ALONE_MS

MOST_UNANSWERED: Final = 5
"""So many POSTs in a row, of whatever people, and the output is left alone."""

# What stands in front of a receiver says so when there is nobody behind it.
_NOBODY_BEHIND: Final = frozenset({502, 503, 504})
_LONGEST_TIMES: Final = 12
_FIRST_SECONDS: Final = LONGEST_LEFT_ALONE_MS / 1_000 / _LONGEST_TIMES


def is_unanswered(status_code: int | None) -> bool:
    """Whether this answer, or none, is what a receiver that is away looks like."""
    return status_code is None or status_code in _NOBODY_BEHIND


def left_alone_ms(schedule_seconds: Sequence[float], *, unreachable_ms: int) -> int:
    """How long an output is left alone: as long as nobody has answered so far, within bounds.

    That is 5 s at first, twice as long each time, and 60 s at most; with a schedule whose first retry comes
    sooner, as soon as that, and twelve times that at most.

    Args:
        schedule_seconds: the wait before each attempt.
        unreachable_ms: how long nobody has answered.
    """
    first_ms = round(min([*schedule_seconds[1:2], _FIRST_SECONDS]) * 1_000)
    return min(max(unreachable_ms, first_ms), first_ms * _LONGEST_TIMES)


class Unanswered:
    """How many POSTs in a row nobody answered, at each output; from any thread."""

    def __init__(self) -> None:
        self._in_a_row: Counter[int] = Counter()
        self._lock = threading.Lock()

    def count(self, output_id: int, status_code: int | None) -> None:
        """Take into account how a POST went."""
        with self._lock:
            if is_unanswered(status_code):
                self._in_a_row[output_id] += 1
            else:
                del self._in_a_row[output_id]

    def start_anew(self, output_id: int) -> None:
        """Count from none again: it is left alone, and whoever ends that wants it tried as usual."""
        with self._lock:
            del self._in_a_row[output_id]

    def is_too_many(self, output_id: int) -> bool:
        """Whether nobody seems to be there."""
        return self._in_a_row[output_id] >= MOST_UNANSWERED
