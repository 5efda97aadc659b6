"""Small write transactions of several threads as one: SQLite then waits for the disk once for all of them."""

import threading
from collections import deque
from collections.abc import Callable
from typing import Any, Final, TypeVar

from sqlalchemy import Connection

from higgs_shop.database import Database, DatabaseBusy

T = TypeVar("T")


class GroupCommit:
    """Runs work in write transactions, together with whatever else comes while one is being committed.

    Nobody waits for company: work that comes alone is committed alone. On PostgreSQL everything is, since
    its server groups commits by itself and several mailboxes in one transaction could wait in a circle.

    Args:
        database: where the transactions are.
    """

    def __init__(self, database: Database) -> None:
        self._database: Final = database
        self._lock: Final = threading.Lock()
        self._waiting: Final[deque[_Work]] = deque()
        self._is_busy = False

    def run(self, work: Callable[[Connection], T]) -> T:
        """Do this in a write transaction, and return what it returns once that is committed.

        Args:
            work: may be called again, in another transaction, when one that it shared fails.
        Raises: what the work raises, with nothing of it kept. DatabaseBusy.
        """
        if not self._database.is_sqlite:
            with self._database.write() as connection:
                return work(connection)
        mine = _Work(work)
        with self._lock:
            self._waiting.append(mine)
            leads = not self._is_busy
            self._is_busy = True
        if not leads:
            mine.turn.wait()
        if not mine.is_done:
            self._lead()
        if mine.error is not None:
            raise mine.error
        result: T = mine.result
        return result

    def _lead(self) -> None:
        with self._lock:
            together = list(self._waiting)
            self._waiting.clear()
        try:
            self._commit(together)
        except BaseException:
            # This thread is being ended; what it did for others is not kept either.
            for each in together:
                each.error = DatabaseBusy("the thread that wrote for this one was ended")
            raise
        finally:
            with self._lock:
                next_leader = self._waiting[0] if self._waiting else None
                self._is_busy = next_leader is not None
            for each in together:
                each.is_done = True
                each.turn.set()
            if next_leader is not None:
                next_leader.turn.set()

    def _commit(self, together: "list[_Work]") -> None:
        try:
            with self._database.write() as connection:
                for each in together:
                    each.result = each.work(connection)
        except Exception as error:  # noqa: BLE001 (it goes to whom it concerns)
            if len(together) == 1:
                together[0].error = error
                return
            # Whose fault it was shows when each is alone.
            for each in together:
                self._commit([each])


class _Work:
    def __init__(self, work: Callable[[Connection], Any]) -> None:
        self.work: Final = work
        self.turn: Final = threading.Event()
        self.is_done = False
        self.result: Any = None
        self.error: Exception | None = None
