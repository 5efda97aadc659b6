"""The threads around a Sender: one takes turns at the outbox, a few others post what it has leased.

Whoever posts waits for nobody: mailboxes are leased ahead, and what was delivered is recorded by the
next turn, together with whatever else was delivered meanwhile.
"""

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Final, NamedTuple, Protocol, Self

from higgs_shop.clock import Clock
from higgs_shop.database import DatabaseError
from higgs_shop.webhook_output.errands import Delivery, Errand, Turn, Work

_LONGEST_PAUSE_SECONDS: Final = 30.0

# How long a delivery that could be recorded waits for others, while there are more to come.
_COMPANY_SECONDS: Final = 0.005

# A mailbox that was leased ahead, and that nobody begins with meanwhile, is given back after this.
_AHEAD_SECONDS: Final = 1.0

# When a mailbox that somebody writes to is asked for again.
_BUSY_SECONDS: Final = 0.05

_log = logging.getLogger(__name__)


class Sending(Protocol):
    """What is done between outbox and receivers, as a Sender does it."""

    def turn(self, work: Work) -> Turn:
        """Record and lease, in one transaction."""

    def post(self, errand: Errand) -> Delivery:
        """Post a message. Whatever goes wrong is told by the delivery."""


class Forwarder:
    """Sends what is due, as soon as it is due, until it is stopped.

    Several senders keep one slow answer from holding up everybody; while several outputs run, none of
    them gets all senders. Order per MPID is kept by the outbox's leases. A turn at the outbox that fails
    is logged, and tried again after a pause that doubles from `poll_seconds` to 30 s; nothing that was
    delivered is forgotten meanwhile.

    Args:
        sending: e.g. a Sender.
        clock: the time that beats are given.
        beat: called with the time in milliseconds, at most every `beat_seconds`, to let others see that
            somebody forwards.
        senders: how many post at once. Three times as many mailboxes are leased at most: what was sent
            of them and is not recorded yet is sent again if the process is killed.
        poll_seconds: what comes due by time is found by polling, as often as this.
        beat_seconds: see `beat`.

    >>> from higgs_shop.webhook_output.errands import Turn
    >>> class Idle:
    ...     def turn(self, work):
    ...         return Turn()
    >>> with Forwarder(Idle(), clock=lambda: 0) as forwarder:
    ...     forwarder.wake()
    """

    def __init__(
        self,
        sending: Sending,
        *,
        clock: Clock,
        beat: Callable[[int], None] = lambda _: None,
        senders: int = 4,
        poll_seconds: float = 0.5,
        beat_seconds: float = 5.0,
    ) -> None:
        self._sending = sending
        self._clock = clock
        self._beat = beat
        self._senders = senders
        self._poll_seconds = poll_seconds
        self._beat_ms = round(beat_seconds * 1_000)
        self._last_beat_ms: int | None = None

        # All of this is looked at and changed under the lock that both conditions share. A mailbox that
        # is leased is in one of these places, until a turn has given it back.
        lock = threading.Lock()
        self._news = threading.Condition(lock)
        self._to_post = threading.Condition(lock)
        self._ready: list[_Ready] = []
        self._posting: list[Errand] = []
        self._done: list[Delivery] = []
        self._busy: Sequence[Delivery] = ()
        self._stopped: frozenset[int] = frozenset()
        self._is_woken = True
        self._is_stopping = False

        self._threads = [
            threading.Thread(target=self._take_turns, name="forwarder", daemon=True),
            *(
                threading.Thread(target=self._post, name=f"forwarder-{number}", daemon=True)
                for number in range(1, senders + 1)
            ),
        ]

    def start(self) -> None:
        """Start the threads. Once only: a stopped forwarder stays stopped."""
        for thread in self._threads:
            thread.start()

    def wake(self) -> None:
        """Say that something was committed to the outbox. Cheap, from any thread, never lost."""
        with self._news:
            self._is_woken = True
            self._news.notify()

    def stop(self, *, timeout_seconds: float = 30.0) -> bool:
        """Finish the POSTs under way, record them, give back the rest. Also when never started.

        Returns: False when a sender was still busy after `timeout_seconds` (for all together). What it
            had sent is then sent again after its lease.
        """
        with self._news:
            self._is_stopping = True
            self._news.notify()
            self._to_post.notify_all()
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

    # ── the thread that takes turns ──────────────────────────────────────────────────────────────

    def _take_turns(self) -> None:
        failures = 0
        while (work := self._wait_for_work()) is not None:
            self._beat_when_due()
            if not work.is_any:
                continue
            try:
                turn = self._sending.turn(work)
            except Exception as error:  # noqa: BLE001 (whatever it was, the next may go well)
                self._go_on_with(self._after_failure(work, error))
                self._pause(failures)
                failures += 1
            else:
                self._go_on_with(turn)
                failures = 0

    def _wait_for_work(self) -> Work | None:
        """Returns: None when all is done that is to be done before stopping."""
        with self._news:
            if not self._is_over():
                self._news.wait_for(
                    self._has_news, _BUSY_SECONDS if self._busy else self._poll_seconds
                )
                if self._done and not self._is_time_to_record():
                    self._news.wait_for(self._is_time_to_record, _COMPANY_SECONDS)
            if self._is_over():
                return None
            done = [*self._done, *self._busy]
            unsent = self._given_back()
            # Whoever waits for an answer that does not come leases nothing ahead.
            most = self._senders * 3 if done else self._senders
            places = 0 if self._is_stopping else most - len(self._ready) - len(self._posting)
            self._done, self._busy, self._is_woken = [], (), False
            return Work(
                done,
                unsent,
                places=places,
                held=[*self._posting, *(each.errand for each in self._ready)],
                most_of_one_output=max(1, self._senders - 1),
                goes_on=not self._is_stopping,
                waits=False,
            )

    def _is_over(self) -> bool:
        return self._is_stopping and not (self._ready or self._posting or self._done or self._busy)

    def _has_news(self) -> bool:
        if self._is_stopping:
            return bool(self._done or self._ready or not (self._posting or self._busy))
        has_place = len(self._ready) + len(self._posting) < self._senders
        return bool(self._done) or (self._is_woken and has_place)

    def _is_time_to_record(self) -> bool:
        return self._is_stopping or not self._ready or len(self._done) >= self._senders

    def _given_back(self) -> list[Errand]:
        """Take out what is not to be sent from here, or has lain for too long."""
        since = time.monotonic() - _AHEAD_SECONDS
        lain = [
            each
            for each in self._ready
            if self._is_stopping
            or each.since_seconds < since
            or each.errand.output.id in self._stopped
        ]
        self._ready = [each for each in self._ready if each not in lain]
        return [each.errand for each in lain]

    def _go_on_with(self, turn: Turn) -> None:
        now_seconds = time.monotonic()
        with self._to_post:
            self._busy, self._stopped = turn.unrecorded, turn.stopped
            self._ready += [_Ready(errand, now_seconds) for errand in turn.errands]
            self._to_post.notify(len(turn.errands))

    def _after_failure(self, work: Work, error: Exception) -> Turn:
        """Keep what was delivered, to be handed in again; what nobody can record is left to its lease."""
        _log_failure("a turn at the outbox", error)
        if isinstance(error, DatabaseError):
            return Turn() if self._is_stopping else Turn(work.unsent, work.done, self._stopped)
        errands: list[Errand] = []
        if len(work.done) > 1:  # whose fault it was shows when each is alone
            for each in work.done:
                try:
                    alone = work._replace(done=[each], unsent=(), places=0, waits=True)
                    errands += self._sending.turn(alone).errands
                except Exception as error_of_one:  # noqa: BLE001 (its lease runs out)
                    _log_failure("recording a delivery", error_of_one)
        return Turn(errands, stopped=self._stopped)

    def _pause(self, failures: int) -> None:
        with self._news:
            self._news.wait_for(lambda: self._is_stopping, self._pause_seconds(failures))

    def _pause_seconds(self, failures: int) -> float:
        # The exponent is bounded because a float is.
        return min(self._poll_seconds * 2.0 ** min(failures, 16), _LONGEST_PAUSE_SECONDS)

    def _beat_when_due(self) -> None:
        now_ms = self._clock()
        last_ms = self._last_beat_ms
        # A clock that was set back must not silence the beat until it has caught up.
        if last_ms is not None and 0 <= now_ms - last_ms < self._beat_ms:
            return
        self._last_beat_ms = now_ms
        try:
            self._beat(now_ms)
        except Exception as error:  # noqa: BLE001 (sending goes on)
            _log_failure("the heartbeat", error)

    # ── the threads that post ────────────────────────────────────────────────────────────────────

    def _post(self) -> None:
        errand = self._exchange(None)
        while errand is not None:
            errand = self._exchange(self._sending.post(errand))

    def _exchange(self, delivery: Delivery | None) -> Errand | None:
        """Hand in what was posted, and wait for the next. Returns: None when stopping."""
        with self._to_post:
            if delivery is not None:
                self._posting.remove(delivery.errand)
                self._done.append(delivery)
                if len(self._done) == 1 or self._is_time_to_record():
                    self._news.notify()
            while not self._is_stopping:
                ready = self._first_ready()
                if ready is not None:
                    self._ready.remove(ready)
                    self._posting.append(ready.errand)
                    return ready.errand
                self._to_post.wait()
            return None

    def _first_ready(self) -> "_Ready | None":
        """What to begin with: of the output that has the fewest on their way, while its lease lasts.

        What is leased for an output that was stopped is left for the next turn to give back.
        """
        busy = Counter(each.output.id for each in self._posting)
        now_seconds = time.monotonic()
        return min(
            (
                each
                for each in self._ready
                if each.errand.output.id not in self._stopped
                and now_seconds <= each.errand.last_start_seconds
            ),
            key=lambda each: busy[each.errand.output.id],
            default=None,
        )


class _Ready(NamedTuple):
    """What lies ready to be posted, and since when."""

    errand: Errand
    since_seconds: float


def _log_failure(what: str, error: Exception) -> None:
    if isinstance(error, DatabaseError):  # it passes by itself, and a traceback would say nothing
        _log.warning("%s waits: %s", what, error)
    else:
        _log.error("%s failed", what, exc_info=error)
