"""How long things are kept: the background's removal of what is old, from one owner to the next.

What is kept for how long, and what for ever, is written in docs/retention.md.
"""

import logging
import time
from collections import Counter
from collections.abc import Iterator
from typing import Final

from higgs_shop import inbox, intake, outbox, tracker
from higgs_shop.clock import Clock
from higgs_shop.database import Database, DatabaseError

_DAY_MS: Final = 86_400_000
_EVERY_MS: Final = 3_600_000
# A chore that takes long would hold up the others.
_STEPS_A_ROUND: Final = 30
# The lock in front of SQLite knows no queue: who gives it back and takes it at once comes before a page.
_LET_OTHERS_WRITE_SECONDS: Final = 0.001

# Messages come first: what they tell of is kept for as long as they are.
_OLD_ROWS: Final = (
    outbox.OLD_REPLAYS,
    tracker.OLD_EVENTS,
    tracker.OLD_BATCHES,
    inbox.OLD_REQUESTS,
    intake.OLD_QUARANTINED,
)

_logger = logging.getLogger(__name__)


class Retention:
    """Removes what is older than the setting says, once an hour, a few rows at a time.

    Several processes may do so at once; none waits for another.

    Args:
        days: how long things are kept; 0: for ever.
    """

    def __init__(self, database: Database, *, days: int, clock: Clock) -> None:
        self._database = database
        self._days = days
        self._clock = clock
        self._steps: Iterator[int] | None = None
        self._began_at_ms: int | None = None

    def remove_old(self) -> int:
        """The background's round: a part of the work, or nothing until the hour is over.

        Returns: how many rows were removed. Raises: DatabaseError; then the next round begins anew.
        """
        if self._steps is None:
            if not self._is_time():
                return 0
            self._began_at_ms = self._clock()
            self._steps = self._work(self._began_at_ms - self._days * _DAY_MS)
        removed = 0
        try:
            for _ in range(_STEPS_A_ROUND):
                removed += next(self._steps)
                self._database.write_back()
                time.sleep(_LET_OTHERS_WRITE_SECONDS)
        except StopIteration:
            self._steps = None
        except DatabaseError:
            self._steps = self._began_at_ms = None
            raise
        return removed

    def _is_time(self) -> bool:
        if self._days == 0:
            return False
        began_at_ms = self._began_at_ms
        # The clock may have been set back.
        return began_at_ms is None or not 0 <= self._clock() - began_at_ms < _EVERY_MS

    def _work(self, before_ms: int) -> Iterator[int]:
        yield from self._forget_messages(before_ms)
        for old in _OLD_ROWS:
            yield from old.remove(self._database, before_ms)

    def _forget_messages(self, before_ms: int) -> Iterator[int]:
        dead: Counter[tuple[str, str]] = Counter()
        try:
            for forgotten in outbox.forget_closed(self._database, before_ms):
                dead.update(forgotten.dead)
                yield forgotten.messages
        finally:
            for (workspace_id, name), number in sorted(dead.items()):
                _logger.warning(
                    "%d dead letters of output %s of workspace %s are removed: they were given up %d "
                    "days ago, and its receiver never had them",
                    number,
                    name,
                    workspace_id,
                    self._days,
                )
