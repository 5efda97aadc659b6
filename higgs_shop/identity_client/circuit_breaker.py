"""A circuit breaker: leaves a service alone that does not answer, and finds out when it does again.

    closed ──5 failures within 10 s──► open ──5 s later──► half-open ──3 answers──► closed
                                        ▲                      │
                                        └──────a failure───────┘

Closed, every call goes out. Open, none does: whoever asks is refused at once. Half-open, one call at a
time goes out, as a probe.

A failure is a call without an answer, or one answered with 5xx. Every other answer shows that
somebody is there, and 4xx never opens the circuit. A 503 with Retry-After counts as neither: the service is well, was
asked at a bad moment and says when to come back, as the embedded one does while its database is
busy; keeping everybody away for seconds would make a moment's wait longer than it is.
"""

import logging
import threading
from collections import deque
from typing import Final

from higgs_shop.clock import Clock
from higgs_shop.identity_client.errors import CircuitOpen

_WHILE_PROBING_MS: Final = 1_000

_logger = logging.getLogger(__name__)


class CircuitBreaker:
    """Decides which calls go out, by how the ones before went. Safe to share between threads.

    Args:
        clock: UTC Unix milliseconds. It may be set back: no pause becomes longer by that.
        failures: so many within `within_ms` open the circuit.
        pause_ms: how long it then stays open.
        answers: so many in a row, one after the other, close it.

    >>> breaker = CircuitBreaker(lambda: 0, failures=1)
    >>> breaker.leave(breaker.enter(), answered=False)
    >>> breaker.pause_left_ms
    5000
    """

    def __init__(
        self,
        clock: Clock,
        *,
        failures: int = 5,
        within_ms: int = 10_000,
        pause_ms: int = 5_000,
        answers: int = 3,
    ) -> None:
        self._clock = clock
        self._within_ms = within_ms
        self._pause_ms = pause_ms
        self._answers = answers
        self._lock = threading.Lock()
        self._state = 0
        self._failed_at_ms: deque[int] = deque(maxlen=failures)
        self._opened_at_ms: int | None = None
        self._answered_probes = 0
        self._is_probing = False

    @property
    def pause_left_ms(self) -> int:
        """How long no call may go out; 0 when one may."""
        with self._lock:
            return self._pause_left_ms()

    def enter(self) -> int:
        """Ask whether a call may go out. Whoever got a number hands it to leave() in any case.

        Raises: CircuitOpen, at once.
        """
        with self._lock:
            if self._opened_at_ms is not None:
                self._begin_probe()
            return self._state

    def leave(self, entered: int, *, answered: bool | None) -> None:
        """Say how the call went.

        Args:
            entered: what enter() returned. A call that began before the circuit opened or closed
                says nothing about the time after.
            answered: False for a failure; None when the call says nothing about the service.
        """
        with self._lock:
            if entered != self._state:
                return
            if self._opened_at_ms is not None:
                self._judge_probe(answered)
            elif answered is False:
                self._failed_at_ms.append(self._clock())
                if self._failed_too_often():
                    self._open()

    def _begin_probe(self) -> None:
        left_ms = self._pause_left_ms()
        if left_ms > 0:
            raise CircuitOpen(left_ms / 1_000)
        if self._is_probing:
            raise CircuitOpen(_WHILE_PROBING_MS / 1_000)
        self._is_probing = True

    def _judge_probe(self, answered: bool | None) -> None:
        self._is_probing = False
        if answered is False:
            self._open()
        elif answered:
            self._answered_probes += 1
            if self._answered_probes == self._answers:
                self._close()

    def _pause_left_ms(self) -> int:
        if self._opened_at_ms is None:
            return 0
        passed_ms = self._clock() - self._opened_at_ms
        return self._pause_ms - passed_ms if 0 <= passed_ms < self._pause_ms else 0

    def _failed_too_often(self) -> bool:
        is_full = len(self._failed_at_ms) == self._failed_at_ms.maxlen
        return is_full and self._failed_at_ms[-1] - self._failed_at_ms[0] <= self._within_ms

    def _open(self) -> None:
        self._state += 1
        self._opened_at_ms = self._clock()
        self._answered_probes = 0
        _logger.warning(
            "the identity service does not answer; it is left alone for %s ms", self._pause_ms
        )

    def _close(self) -> None:
        self._state += 1
        self._opened_at_ms = None
        self._failed_at_ms.clear()
        _logger.warning("the identity service answers again")
