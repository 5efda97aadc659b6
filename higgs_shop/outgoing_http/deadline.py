"""When a call has to be over."""

import threading
from collections.abc import Callable

from higgs_shop.outgoing_http.errors import TimedOut


class Deadline(threading.local):
    """When the call that this thread is in has to be over."""

    def __init__(self, monotonic_seconds: Callable[[], float]) -> None:
        self._monotonic_seconds = monotonic_seconds
        self._at_seconds = 0.0

    def start(self, deadline_seconds: float) -> None:
        self._at_seconds = self._monotonic_seconds() + deadline_seconds

    def at_most(self, timeout_seconds: float | None) -> float:
        left_seconds = self.left_seconds()
        return left_seconds if timeout_seconds is None else min(timeout_seconds, left_seconds)

    def left_seconds(self) -> float:
        left_seconds = self._at_seconds - self._monotonic_seconds()
        if left_seconds <= 0:
            raise TimedOut("no complete answer before the deadline")
        return left_seconds
