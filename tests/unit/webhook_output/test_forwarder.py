"""The loop: it sleeps until woken, survives whatever a round does, and stops cleanly."""

import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import pytest

from higgs_shop.database import DatabaseBusy
from higgs_shop.outbox import Attempt, Message
from higgs_shop.webhook_output import Delivery, Forwarder

NOW_MS = 1_700_000_000_000
NEVER_SECONDS = 3_600.0
PATIENCE_SECONDS = 10.0

DELIVERY = Delivery(
    Message(1, "default", 1, 1001, 1, 1, "msg_1", b"{}", 0, 0, NOW_MS),
    Attempt(1, 1, 200, None, "", 3, NOW_MS, "delivered", None),
)


class Rounds:
    """A stand-in for the output: each round says what the script has next, then that nothing is due."""

    def __init__(self, *script: Sequence[Delivery] | Exception) -> None:
        self._script = list(script)
        self._changed = threading.Condition()
        self.count = 0
        self.was_to_go_on = False

    def __call__(self, *, keep_going: Callable[[], bool]) -> Sequence[Delivery]:
        with self._changed:
            self.count += 1
            self.was_to_go_on = keep_going()
            self._changed.notify_all()
            outcome = self._script.pop(0) if self._script else []
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    def wait_for(self, count: int) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: self.count >= count, timeout=PATIENCE_SECONDS), (
                f"{self.count} rounds"
            )


@contextmanager
def forwarding(
    rounds: Rounds,
    *,
    beat: Callable[[int], None] = lambda _: None,
    clock: Callable[[], int] = lambda: NOW_MS,
    poll_seconds: float = NEVER_SECONDS,
) -> Iterator[Forwarder]:
    forwarder = Forwarder(rounds, clock=clock, beat=beat, senders=1, poll_seconds=poll_seconds)
    with forwarder:
        yield forwarder


def test_after_a_round_that_found_something_the_next_follows_at_once() -> None:
    rounds = Rounds([DELIVERY], [DELIVERY], [])

    with forwarding(rounds):
        rounds.wait_for(3)
        assert rounds.was_to_go_on

    assert rounds.count == 3


def test_it_sleeps_until_it_is_woken() -> None:
    rounds = Rounds()

    with forwarding(rounds) as forwarder:
        for count in range(1, 6):
            rounds.wait_for(count)
            assert rounds.count == count, "nothing is polled hot"
            forwarder.wake()
        rounds.wait_for(6)


def test_a_wake_up_during_a_round_is_not_lost() -> None:
    class WokenInside(Rounds):
        def __call__(self, *, keep_going: Callable[[], bool]) -> Sequence[Delivery]:
            if not self.count:
                forwarder.wake()
            return super().__call__(keep_going=keep_going)

    rounds = WokenInside()
    forwarder = Forwarder(rounds, clock=lambda: NOW_MS, senders=1, poll_seconds=NEVER_SECONDS)
    with forwarder:
        rounds.wait_for(2)


def test_what_comes_due_by_time_is_found_by_polling() -> None:
    rounds = Rounds()

    with forwarding(rounds, poll_seconds=0.001):
        rounds.wait_for(5)


def test_a_round_that_fails_is_logged_and_ends_nothing(caplog: pytest.LogCaptureFixture) -> None:
    rounds = Rounds(RuntimeError("the disk is full"), ValueError("whatever"), [DELIVERY])

    with caplog.at_level(logging.ERROR), forwarding(rounds, poll_seconds=0.001):
        rounds.wait_for(4)

    assert [record.exc_info[1].args for record in caplog.records if record.exc_info] == [  # type: ignore[union-attr]
        ("the disk is full",),
        ("whatever",),
    ]


def test_a_busy_database_is_a_line_in_the_log_and_no_traceback(
    caplog: pytest.LogCaptureFixture,
) -> None:
    rounds = Rounds(DatabaseBusy("another writer holds it"), [DELIVERY])

    with caplog.at_level(logging.WARNING), forwarding(rounds, poll_seconds=0.001):
        rounds.wait_for(3)

    assert [(record.levelname, record.exc_info) for record in caplog.records] == [("WARNING", None)]
    assert "another writer holds it" in caplog.text


def test_waking_does_not_hurry_a_round_that_failed() -> None:
    """With the database gone, each page that is served must not cause an attempt and a log entry."""
    rounds = Rounds(RuntimeError("the database is gone"))

    with forwarding(rounds) as forwarder:
        rounds.wait_for(1)
        for _ in range(100):
            forwarder.wake()

    assert rounds.count == 1


def test_pauses_double_up_to_half_a_minute() -> None:
    forwarder = Forwarder(Rounds(), clock=lambda: NOW_MS, poll_seconds=0.5)

    pauses = [forwarder._pause_seconds(failures) for failures in (0, 1, 2, 5, 6, 10**6)]

    assert pauses == [0.5, 1, 2, 16, 30, 30]


def test_it_beats_every_few_seconds_and_not_more_often() -> None:
    beats: list[int] = []
    times_ms = iter([0, 4_999, 5_000, 9_999, 1_000])
    rounds = Rounds([DELIVERY], [DELIVERY], [DELIVERY], [DELIVERY], [])

    with forwarding(rounds, beat=beats.append, clock=times_ms.__next__):
        rounds.wait_for(5)

    assert beats == [0, 5_000, 1_000], "also when the clock was set back"


def test_a_heartbeat_that_fails_stops_no_sending(caplog: pytest.LogCaptureFixture) -> None:
    def broken(_: int) -> None:
        raise RuntimeError("no such table")

    rounds = Rounds([DELIVERY])
    with caplog.at_level(logging.ERROR), forwarding(rounds, beat=broken, poll_seconds=0.001):
        rounds.wait_for(2)

    assert len(caplog.records) == 1


def test_several_senders_work_at_once_so_that_one_slow_answer_holds_up_nobody() -> None:
    all_inside = threading.Barrier(4)

    def meet(*, keep_going: Callable[[], bool]) -> Sequence[Delivery]:
        if keep_going():
            all_inside.wait(PATIENCE_SECONDS)
        met.set()
        return []

    met = threading.Event()
    with Forwarder(meet, clock=lambda: NOW_MS, senders=4, poll_seconds=NEVER_SECONDS):
        assert met.wait(PATIENCE_SECONDS)


def test_stopping_waits_for_the_round_and_tells_it_to_come_to_an_end() -> None:
    started, told, finished = threading.Event(), threading.Event(), threading.Event()
    answers: list[bool] = []

    def slow(*, keep_going: Callable[[], bool]) -> Sequence[Delivery]:
        started.set()
        told.wait(PATIENCE_SECONDS)
        answers.append(keep_going())
        finished.set()
        return [DELIVERY]

    forwarder = Forwarder(slow, clock=lambda: NOW_MS, senders=1)
    forwarder.start()
    started.wait(PATIENCE_SECONDS)
    assert not forwarder.stop(timeout_seconds=0), "still busy"
    told.set()

    assert forwarder.stop()
    assert finished.is_set()
    assert answers == [False]


def test_stopping_what_was_never_started_is_fine() -> None:
    assert Forwarder(Rounds(), clock=lambda: NOW_MS).stop()
