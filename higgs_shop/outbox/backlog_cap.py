"""How much may wait at an output. Beyond that, new messages become dead letters at once."""

import logging
from typing import Final

from sqlalchemy import bindparam, func, select

from higgs_shop.clock import Clock
from higgs_shop.database import Database
from higgs_shop.outputs import Output, mark_full
from higgs_shop.outputs.output import STORED, stored_output
from higgs_shop.tables import messages, outputs

_LOOK_EVERY_MS: Final = 5_000
# Without some room, an output would be full and not full in turn.
_HAS_ROOM_AT: Final = 0.9

_logger = logging.getLogger(__name__)


class BacklogCap:
    """Says of each output whether it is full, for who gives it messages to know.

    Every process looks, whether it forwards or not, every five seconds: what comes in between may go beyond the cap. An output that was full has
    room again when a tenth of the cap is free.

    Args:
        most_waiting: how many messages may wait at one output; 0: any number.
        clock: the time in milliseconds.
    """

    def __init__(self, database: Database, *, most_waiting: int, clock: Clock) -> None:
        self._database = database
        self._most_waiting = most_waiting
        self._clock = clock
        self._looked_at_ms: int | None = None

    def look(self) -> int:
        """Count what waits at each output, up to the cap, if it is time to.

        Returns: how many outputs have become full, or have room again. Raises: DatabaseBusy.
        """
        now_ms = self._clock()
        # A clock that was set back must not end the looking until it has caught up.
        if self._looked_at_ms is not None and 0 <= now_ms - self._looked_at_ms < _LOOK_EVERY_MS:
            return 0
        self._looked_at_ms = now_ms
        changed = [*self._full_now(), *self._with_room_again()]
        if not changed:
            return 0
        with self._database.write() as connection:
            return sum(
                mark_full(connection, output.id, is_full=not output.is_full) for output in changed
            )

    def _full_now(self) -> list[Output]:
        if self._most_waiting == 0:
            return []
        found = [
            output
            for output, waiting in self._count_waiting(are_full=False)
            if waiting >= self._most_waiting
        ]
        for output in found:
            _logger.error(
                "the backlog of output %s of workspace %s is full: %d messages wait. Those that come "
                "now are dead letters at once; when there is room, higgs-shop replay delivers them",
                output.name,
                output.workspace_id,
                self._most_waiting,
            )
        return found

    def _with_room_again(self) -> list[Output]:
        found = [
            output
            for output, waiting in self._count_waiting(are_full=True)
            if self._most_waiting == 0 or waiting <= self._most_waiting * _HAS_ROOM_AT
        ]
        for output in found:
            _logger.warning(
                "the backlog of output %s of workspace %s has room again; higgs-shop replay delivers "
                "what became a dead letter meanwhile",
                output.name,
                output.workspace_id,
            )
        return found

    def _count_waiting(self, *, are_full: bool) -> list[tuple[Output, int]]:
        values = {"are_full": are_full, "most": self._most_waiting}
        with self._database.read() as connection:
            rows = connection.execute(_WAITING, values).all()
        return [(stored_output(row[:-1]), row.waiting) for row in rows]


_counted: Final = (
    select(messages.c.id)
    .where(
        messages.c.workspace_id == outputs.c.workspace_id,
        messages.c.output_id == outputs.c.id,
        messages.c.state == "waiting",
    )
    .limit(bindparam("most"))
    .correlate(outputs)
    .subquery("found")
)

_WAITING: Final = select(
    *STORED,
    select(func.count())
    .select_from(_counted)
    .correlate(outputs)
    .scalar_subquery()
    .label("waiting"),
).where(outputs.c.is_full == bindparam("are_full"))
