"""The loop around the webhook output: a few sender threads that sleep until there is something to do."""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Final, Protocol, Self

from higgs_shop.clock import Clock
from higgs_shop.database import DatabaseError
from higgs_shop.webhook_output.sender import Delivery

_LONGEST_PAUSE_SECONDS: Final = 30.0

_log = logging.getLogger(__name__)


class DeliverDue(Protocol):
    """One round of sending, as Sender.deliver_due is."""

    def __call__(self, *, keep_going: Callable[[], bool]) -> Sequence[Delivery]:
        """Send what is due, one mailbox; empty when nothing was."""


class Forwarder:
    """Sends what is due, as soon as it is due, until it is stopped.

    A sender that found something looks again at once; one that found nothing sleeps until `wake()` or
    the next poll. Several senders keep one slow answer from holding up everybody; order per MPID is
    kept by the outbox's leases. A round that fails is logged, and tried again after a pause that
    doubles from `poll_seconds` to 30 s.

    Args:
        deliver_due: one round, e.g. of a Sender.
        clock: the time that beats are given.
        beat: called with the time in milliseconds, at most every `beat_seconds`, to let others see that
            somebody forwards. With a slow receiver it comes later, by ten seconds and a deadline.
        senders: how many threads.
        poll_seconds: how long a sender sleeps at most: what comes due by time is found by polling.
        beat_seconds: see `beat`.

    >>> with Forwarder(lambda *, keep_going: [], clock=lambda: 0) as forwarder:
    ...     forwarder.wake()
    """

    def __init__(
        self,
        deliver_due: DeliverDue,
        *,
        clock: Clock,
        beat: Callable[[int], None] = lambda _: None,
        senders: int = 4,
        poll_seconds: float = 0.5,
        beat_seconds: float = 5.0,
    ) -> None:
        self._deliver_due = deliver_due
        self._clock = clock
        self._beat = beat
        self._poll_seconds = poll_seconds
        self._beat_ms = round(beat_seconds * 1_000)
        self._last_beat_ms: int | None = None
        self._beat_lock = threading.Lock()
        self._wakes = 0
        self._woken = threading.Condition()
        self._stopping = threading.Event()
        self._threads = [
            threading.Thread(target=self._send, name=f"forwarder-{number}", daemon=True)
            for number in range(1, senders + 1)
        ]

    def start(self) -> None:
        """Start the sender threads. Once only: a stopped forwarder stays stopped."""
        for thread in self._threads:
            thread.start()

    def wake(self) -> None:
        """Say that something was committed to the outbox. Cheap, from any thread, never lost."""
        with self._woken:
            self._wakes += 1
            self._woken.notify()

    def stop(self, *, timeout_seconds: float = 30.0) -> bool:
        """Finish the POSTs under way, record them, give back the rest. Also when never started.

        Returns: False when a sender was still busy after `timeout_seconds` (for all together). What it
            had sent is then sent again after its lease.
        """
        self._stopping.set()
        with self._woken:
            self._woken.notify_all()
        give_up_seconds = time.monotonic() + timeout_seconds
        for thread in self._threads:
            if thread.is_alive():
                thread.join(max(0.0, give_up_seconds - time.monotonic()))
        return not any(thread.is_alive() for thread in self._threads)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def _keep_going(self) -> bool:
        return not self._stopping.is_set()

    def _send(self) -> None:
        failures = 0
        while self._keep_going():
            seen = self._wakes
            try:
                self._beat_when_due()
                found = bool(self._deliver_due(keep_going=self._keep_going))
                failures = 0
            except Exception as error:  # noqa: BLE001 (whatever it was, the next may go well)
                _log_failure(error)
                self._stopping.wait(self._pause_seconds(failures))
                failures += 1
                continue
            if not found:
                self._sleep(seen)

    def _pause_seconds(self, failures: int) -> float:
        # The exponent is bounded because a float is.
        return min(self._poll_seconds * 2.0 ** min(failures, 16), _LONGEST_PAUSE_SECONDS)

    def _sleep(self, seen: int) -> None:
        with self._woken:
            self._woken.wait_for(
                lambda: self._wakes != seen or self._stopping.is_set(), timeout=self._poll_seconds
            )

    def _beat_when_due(self) -> None:
        now_ms = self._clock()
        with self._beat_lock:
            last_ms = self._last_beat_ms
            # A clock that was set back must not silence the beat until it has caught up.
            if last_ms is not None and 0 <= now_ms - last_ms < self._beat_ms:
                return
            self._last_beat_ms = now_ms
        self._beat(now_ms)


def _log_failure(error: Exception) -> None:
    if isinstance(error, DatabaseError):  # it passes by itself, and a traceback would say nothing
        _log.warning("a round of forwarding waits: %s", error)
    else:
        _log.error("a round of forwarding failed", exc_info=error)
