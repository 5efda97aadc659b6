"""The work that no page waits for: identity calls that are owed, sessions that have gone silent."""

import logging
import os
import socket
import threading
from collections.abc import Callable, Sequence
from typing import Final

from sqlalchemy import Connection, bindparam, delete, select

from higgs_shop.database import Database, DatabaseError
from higgs_shop.tables import heartbeats
from higgs_shop.upsert import upserting

_PAUSE_SECONDS: Final = 0.5
_FORWARDER: Final = "forwarder "
_SILENT_AFTER_MS: Final = 30_000
_FORGOTTEN_AFTER_MS: Final = 86_400_000

_logger = logging.getLogger(__name__)


class Background:
    """A thread that does each chore every half second until it is stopped.

    Args:
        chores: each does what is due and returns how much that was.
        beat: called after every round, to let others see that somebody works.
    A chore that fails is logged and tried again in the next round.
    """

    def __init__(
        self,
        *,
        chores: Sequence[Callable[[], int]],
        beat: Callable[[], None] = lambda: None,
        pause_seconds: float = _PAUSE_SECONDS,
    ) -> None:
        self._chores = tuple(chores)
        self._beat = beat
        self._pause_seconds = pause_seconds
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._work, name="background", daemon=True)

    def start(self) -> None:
        """Start working. Once."""
        self._thread.start()

    def stop(self, *, timeout_seconds: float = 10) -> None:
        """Finish the chore at hand, then end."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(timeout_seconds)

    def do_round(self) -> int:
        """Every chore once. Returns how much was done."""
        return sum(self._do(chore) for chore in self._chores)

    def _work(self) -> None:
        rounds = 0
        while not self._stopping.wait(self._pause_seconds):
            self.do_round()
            rounds += 1
            if rounds % 10 == 1:
                self._do(self._beat_as_chore)

    def _beat_as_chore(self) -> int:
        self._beat()
        return 0

    def _do(self, chore: Callable[[], int]) -> int:
        try:
            return chore()
        except DatabaseError as error:
            _logger.warning("background work waits: %s", error)
            return 0
        except Exception:
            _logger.exception("background work failed; it is tried again")
            return 0


def beat(database: Database, worker: str, now_ms: int) -> None:
    """Leave word that this worker is alive. Those that have been silent for a day are forgotten."""
    with database.write() as connection:
        connection.execute(
            upserting(connection, heartbeats)
            .values(worker=worker, beat_at_ms=now_ms)
            .on_conflict_do_update(index_elements=["worker"], set_={"beat_at_ms": now_ms})
        )
        connection.execute(_FORGET, {"before_ms": now_ms - _FORGOTTEN_AFTER_MS})


def this_forwarder() -> str:
    """The worker that this process is while it forwards."""
    return f"{_FORWARDER}{socket.gethostname()}:{os.getpid()}"


def forwarders(connection: Connection, now_ms: int) -> dict[str, int]:
    """Who forwards: every process, as `host:pid`, and when it last said so, in UTC Unix milliseconds.

    A word from the future was left before the clock was set back: whoever lives has left another since.
    """
    rows = connection.execute(
        _WORKERS, {"after_ms": now_ms - _SILENT_AFTER_MS, "before_ms": now_ms + _SILENT_AFTER_MS}
    )
    return {
        row.worker.removeprefix(_FORWARDER): row.beat_at_ms
        for row in rows
        if row.worker.startswith(_FORWARDER)
    }


_FORGET: Final = delete(heartbeats).where(heartbeats.c.beat_at_ms < bindparam("before_ms"))
_WORKERS: Final = (
    select(heartbeats.c.worker, heartbeats.c.beat_at_ms)
    .where(
        heartbeats.c.beat_at_ms > bindparam("after_ms"),
        heartbeats.c.beat_at_ms < bindparam("before_ms"),
    )
    .order_by(heartbeats.c.worker)
)
