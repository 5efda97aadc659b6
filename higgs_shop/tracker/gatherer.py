"""Makes messages of what was gathered, when it has waited long enough."""

import logging
from collections.abc import Callable
from typing import Final

from sqlalchemy import Connection

from higgs_shop import outbox
from higgs_shop.clock import Clock
from higgs_shop.database import Database
from higgs_shop.outputs import Output, end_gathering, held_output, hold_alone, outputs_ending
from higgs_shop.tracker.attributed import draft_of
from higgs_shop.tracker.gathering import (
    Gathering,
    bring_back,
    due_gatherings,
    gatherings_of,
    let_all_go,
    take_events,
)
from higgs_shop.tracker.splitting import MOST_IN_BATCH, split_into_batches

MOST_AT_ONCE: Final = 10 * MOST_IN_BATCH
"""So many events are handed over in one transaction, whole batches of them."""

_MOST_GATHERINGS: Final = 500
_MOST_GATHERINGS_ALONE: Final = 50

_logger = logging.getLogger(__name__)


class Gatherer:
    """Closes gatherings: the background's part of "send as batch" and "wait for session".

    Several processes may work at once; each gathering is closed by one of them.

    Args:
        batch_ms: how long a batch waits for more, from its first event on.
        on_messages: called after a round that put some into the outbox.
    """

    def __init__(
        self,
        database: Database,
        *,
        clock: Clock,
        batch_ms: int,
        on_messages: Callable[[], None],
    ) -> None:
        self._database = database
        self._clock = clock
        self._batch_ms = batch_ms
        self._on_messages = on_messages

    def hand_over_due(self) -> int:
        """One round: everything that is due becomes messages, whose bodies are frozen now.

        Returns: how many gatherings that was.
        """
        handed_over = sum(self._end(output) for output in self._ending())
        with self._database.read() as connection:
            due = due_gatherings(
                connection, self._clock(), batch_ms=self._batch_ms, most=_MOST_GATHERINGS
            )
        handed_over += sum(self._hand_over(gathering) for gathering in due)
        if handed_over:
            self._on_messages()
        return handed_over

    def bring_back(self, now_ms: int) -> int:
        """After the clock was set back: nothing waits longer than what begins now. Returns how many."""
        with self._database.write() as connection:
            brought_back = bring_back(connection, now_ms)
        if brought_back:
            _logger.warning(
                "the clock was set back: %d batches and sessions are waited for from now on",
                brought_back,
            )
        return brought_back

    def _ending(self) -> list[Output]:
        with self._database.read() as connection:
            return outputs_ending(connection)

    def _end(self, output: Output) -> int:
        """An output was set to gather no more: what is left goes before anything else does.

        Nobody logs events for it meanwhile, so that it comes to an end, if not in this round, in a
        later one.
        """
        with self._database.write() as connection:
            hold_alone(connection, output)
            now = held_output(connection, output.workspace_id, output.id)
            if now is None or now.gathering != "ending":
                return 0
            let_all_go(connection, now)
            left = gatherings_of(connection, now, most=_MOST_GATHERINGS_ALONE)
            handed_over = sum(self._enqueue(connection, now, gathering) for gathering in left)
            if not gatherings_of(connection, now, most=1):
                end_gathering(connection, now)
        return handed_over

    def _hand_over(self, gathering: Gathering) -> bool:
        with self._database.write() as connection:
            # First, as whoever logs events does.
            output = held_output(connection, gathering.workspace_id, gathering.output_id)
            return output is not None and self._enqueue(connection, output, gathering)

    def _enqueue(self, connection: Connection, output: Output, gathering: Gathering) -> bool:
        now_ms = self._clock()
        events = take_events(
            connection, gathering, now_ms, batch_ms=self._batch_ms, most=MOST_AT_ONCE
        )
        if events:
            together = (
                split_into_batches(events, output.settings)
                if output.settings.send_as_batch
                else ([event] for event in events)
            )
            outbox.enqueue(
                connection,
                workspace_id=output.workspace_id,
                output_id=output.id,
                mpid=gathering.mpid,
                drafts=[draft_of(each, output.settings) for each in together],
                now_ms=now_ms,
                dead_because=outbox.BACKLOG_IS_FULL if output.is_full else None,
            )
        return bool(events)
