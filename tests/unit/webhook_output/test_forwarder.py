"""The threads around a sender: who posts, what is handed in when, and how all of it stops."""

import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import pytest

from higgs_shop.database import DatabaseBusy
from higgs_shop.outbox import Attempt, Claim, Message
from higgs_shop.outputs import Output, OutputSettings
from higgs_shop.webhook_output import Delivery, Errand, Forwarder, Turn, Work

NOW_MS = 1_700_000_000_000
NEVER_SECONDS = 3_600.0
PATIENCE_SECONDS = 10.0
MAIN, OTHER = 1, 2


def an_errand(mpid: int, output_id: int = MAIN, *, last_start_seconds: float = 1e12) -> Errand:
    output = Output(
        id=output_id,
        workspace_id="default",
        name=f"output {output_id}",
        settings=OutputSettings(),
        authorization="",
        secrets=(),
        from_environment=(),
        state="running",
        pause_reason="",
        paused_at_ms=None,
        is_full=False,
        gathering="no",
        unreachable_since_ms=None,
        left_alone_until_ms=None,
        created_at_ms=NOW_MS,
    )
    message = Message(mpid, "default", output_id, mpid, 1, 1, f"msg_{mpid}", b"{}", 0, 0, NOW_MS)
    claim = Claim(output, mpid, "token", NOW_MS + 35_000, 0, (message,))
    return Errand(claim, output, 0, range(1, 1), last_start_seconds)


@dataclass
class Asked:
    """What one turn was about."""

    done: list[int]
    unsent: list[int]
    places: int
    goes_on: bool


class _Noticed(list[Errand]):
    """Errands that tell when they are taken up."""

    def __init__(self, errands: Sequence[Errand], taken_up: Callable[[], None]) -> None:
        super().__init__(errands)
        self._taken_up = taken_up

    def __iter__(self) -> Iterator[Errand]:
        self._taken_up()
        return super().__iter__()


class Outbox:
    """A stand-in for a sender: gives out errands while there is a place, and remembers all it is asked.

    Args:
        errands: what is due.
        failing: what the first turns raise instead of an answer; None for none.
    """

    def __init__(self, *errands: Errand, failing: Sequence[Exception | None] = ()) -> None:
        self._changed = threading.Condition()
        self.due = list(errands)
        self.failing = list(failing)
        self.asked: list[Asked] = []
        self.posted: list[int] = []
        self.recorded: list[int] = []
        self.answer: Callable[[Errand], None] = lambda _: None
        self.on_turn: Callable[[Asked], None] = lambda _: None
        self.stopped: frozenset[int] = frozenset()
        self.taken_up: Callable[[], None] = lambda: None
        self.busy: set[int] = set()

    def turn(self, work: Work) -> Turn:
        asked = Asked(
            [each.message.mpid for each in work.done],
            [each.message.mpid for each in work.unsent],
            work.places,
            work.goes_on,
        )
        self.on_turn(asked)
        with self._changed:
            self.asked.append(asked)
            self._changed.notify_all()
            if self.failing and (failure := self.failing.pop(0)) is not None:
                raise failure
            busy = [each for each in work.done if each.message.mpid in self.busy and not work.waits]
            self.busy.clear()
            self.recorded += [each.message.mpid for each in work.done if each not in busy]
            errands, self.due = self.due[: work.places], self.due[work.places :]
        return Turn(_Noticed(errands, self.taken_up), busy, self.stopped)

    def post(self, errand: Errand) -> Delivery:
        with self._changed:
            self.posted.append(errand.message.mpid)
            self._changed.notify_all()
        self.answer(errand)
        return Delivery(errand, Attempt(1, 1, 200, None, "", 3, NOW_MS, "delivered", None))

    def wait_until(self, condition: Callable[[], bool]) -> None:
        with self._changed:
            assert self._changed.wait_for(condition, PATIENCE_SECONDS), (self.asked, self.posted)

    def wait_for_turns(self, count: int) -> None:
        self.wait_until(lambda: len(self.asked) >= count)

    def wait_for_recorded(self, *mpids: int) -> None:
        self.wait_until(lambda: sorted(self.recorded) == sorted(mpids))


def held_by(held: threading.Event | threading.Barrier, *mpids: int) -> Callable[[Errand], None]:
    """An answer that does not come before the event, or before all have met; of these people, or of all."""

    def answer(errand: Errand) -> None:
        if not mpids or errand.message.mpid in mpids:
            held.wait(PATIENCE_SECONDS)

    return answer


@contextmanager
def forwarding(
    outbox: Outbox,
    *,
    beat: Callable[[int], None] = lambda _: None,
    clock: Callable[[], int] = lambda: NOW_MS,
    senders: int = 1,
    poll_seconds: float = NEVER_SECONDS,
) -> Iterator[Forwarder]:
    with Forwarder(
        outbox, clock=clock, beat=beat, senders=senders, poll_seconds=poll_seconds
    ) as forwarder:
        yield forwarder


def errors(caplog: pytest.LogCaptureFixture) -> list[object]:
    return [record.exc_info[1] for record in caplog.records if record.exc_info]


class TestLooking:
    """When it looks at the outbox."""

    def test_it_sleeps_until_it_is_woken(self) -> None:
        outbox = Outbox()

        with forwarding(outbox) as forwarder:
            for count in range(1, 6):
                outbox.wait_for_turns(count)
                assert len(outbox.asked) == count, "nothing is polled hot"
                forwarder.wake()
            outbox.wait_for_turns(6)

    def test_a_wake_up_during_a_turn_is_not_lost(self) -> None:
        outbox = Outbox()
        forwarder = Forwarder(outbox, clock=lambda: NOW_MS, poll_seconds=NEVER_SECONDS)
        outbox.on_turn = lambda _: forwarder.wake() if not outbox.asked else None

        with forwarder:
            outbox.wait_for_turns(2)

    def test_what_comes_due_by_time_is_found_by_polling(self) -> None:
        outbox = Outbox()

        with forwarding(outbox, poll_seconds=0.001):
            outbox.wait_for_turns(3)
            outbox.due.append(an_errand(1))
            outbox.wait_for_recorded(1)


class TestPosting:
    """Who posts what, and how much is leased for it."""

    def test_what_was_delivered_is_recorded_and_more_is_leased_with_it(self) -> None:
        outbox = Outbox(*map(an_errand, range(1, 8)))

        with forwarding(outbox):
            outbox.wait_for_recorded(*range(1, 8))

        assert outbox.posted == [*range(1, 8)], "in the order in which they were due"

    def test_several_senders_work_at_once_so_that_one_slow_answer_holds_up_nobody(self) -> None:
        outbox = Outbox(*map(an_errand, range(1, 5)))
        all_inside = threading.Barrier(4)
        outbox.answer = held_by(all_inside)

        with forwarding(outbox, senders=4):
            outbox.wait_for_recorded(1, 2, 3, 4)

    def test_while_one_waits_for_an_answer_the_others_are_delivered_and_recorded(self) -> None:
        outbox = Outbox(*map(an_errand, range(1, 10)))
        answered = threading.Event()
        outbox.answer = held_by(answered, 1)

        with forwarding(outbox, senders=2):
            outbox.wait_for_recorded(*range(2, 10))
            answered.set()
            outbox.wait_for_recorded(*range(1, 10))

    def test_nothing_is_leased_ahead_while_no_answer_comes(self) -> None:
        outbox = Outbox(*map(an_errand, range(1, 20)))
        answered = threading.Event()
        outbox.answer = held_by(answered)

        with forwarding(outbox, senders=2, poll_seconds=0.001) as forwarder:
            outbox.wait_until(lambda: len(outbox.posted) == 2)
            forwarder.wake()
            assert [each.places for each in outbox.asked] == [2], "one for each that can post"
            answered.set()

    def test_ahead_are_leased_twice_as_many_as_can_post_at_most(self) -> None:
        outbox = Outbox(*map(an_errand, range(1, 40)))
        with forwarding(outbox, senders=2):
            outbox.wait_for_recorded(*range(1, 40))

        assert max(each.places for each in outbox.asked) <= 6
        assert max(len(each.done) for each in outbox.asked) <= 6

    def test_a_mailbox_that_nobody_gets_to_is_given_back(self) -> None:
        """The first is answered, so that others are leased ahead; the next never are."""
        outbox = Outbox(*map(an_errand, range(1, 10)))
        answered = threading.Event()
        outbox.answer = held_by(answered, 2)

        with forwarding(outbox, poll_seconds=0.001):
            outbox.wait_until(lambda: any(each.unsent for each in outbox.asked))
            (given_back,) = [each.unsent for each in outbox.asked if each.unsent]
            answered.set()

        assert given_back == [3, 4]

    def test_a_lease_that_would_not_outlast_the_answer_is_not_used(self) -> None:
        outbox = Outbox(an_errand(1, last_start_seconds=time.monotonic() - 1), an_errand(2))

        with forwarding(outbox, senders=2, poll_seconds=0.001):
            outbox.wait_for_recorded(2)
            outbox.wait_until(lambda: any(each.unsent == [1] for each in outbox.asked))

        assert outbox.posted == [2]

    def test_what_is_leased_for_an_output_that_was_stopped_is_given_back(self) -> None:
        outbox = Outbox(an_errand(1), *(an_errand(mpid, OTHER) for mpid in range(2, 5)))
        answered = threading.Event()
        outbox.answer = held_by(answered, 2)

        def stop(asked: Asked) -> None:
            outbox.stopped = frozenset({OTHER} if asked.done == [1] else ())

        outbox.on_turn = stop
        with forwarding(outbox, poll_seconds=0.001):
            outbox.wait_until(lambda: any({3, 4} <= {*each.unsent} for each in outbox.asked))
            answered.set()

        assert {*outbox.posted} <= {1, 2}, "but for what was on its way"

    @pytest.mark.parametrize("then", [None, DatabaseBusy("a while"), RuntimeError("a fault")])
    def test_nobody_begins_with_what_was_leased_for_it(self, then: Exception | None) -> None:
        """Between the turn that says so and the one that gives it back, also if that has to wait."""
        of_main, of_other = (1, 3), (2, 4, 5)
        outputs = {**dict.fromkeys(of_main, MAIN), **dict.fromkeys(of_other, OTHER)}
        errands = [an_errand(mpid, outputs[mpid]) for mpid in sorted(outputs)]
        outbox = Outbox(*errands)
        is_known = threading.Event()
        outbox.answer = held_by(is_known, 2, 4)

        def stop(asked: Asked) -> None:
            if asked.done == [3]:  # 2 and 4 are on their way, and 5 is ready
                outbox.stopped, outbox.taken_up = frozenset({OTHER}), is_known.set
                outbox.failing = [None, then]

        outbox.on_turn = stop
        with forwarding(outbox, senders=2, poll_seconds=0.001):
            outbox.wait_until(lambda: any(5 in each.unsent for each in outbox.asked))
            outbox.wait_for_recorded(1, 2, 3, 4)

        assert sorted(outbox.posted) == [1, 2, 3, 4]

    def test_outputs_share_the_senders(self) -> None:
        """With two of one output on their way, a free sender takes the other output's first."""
        outbox = Outbox(*map(an_errand, range(1, 5)), an_errand(9, OTHER))
        answered = threading.Event()
        outbox.answer = held_by(answered, 1, 2)

        with forwarding(outbox, senders=3):
            outbox.wait_until(lambda: 9 in outbox.recorded)
            assert 4 not in outbox.posted[: outbox.posted.index(9)]
            answered.set()

    def test_a_delivery_whose_mailbox_is_being_written_to_is_handed_in_again(self) -> None:
        outbox = Outbox(an_errand(1))
        outbox.busy = {1}

        with forwarding(outbox):
            outbox.wait_for_recorded(1)

        assert outbox.posted == [1], "and is not sent again"


class TestFailing:
    """What goes wrong."""

    def test_a_turn_that_fails_is_logged_and_ends_nothing(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        failing = [RuntimeError("a fault"), ValueError("whatever")]
        outbox = Outbox(an_errand(1), failing=failing)

        with caplog.at_level(logging.ERROR), forwarding(outbox, poll_seconds=0.001):
            outbox.wait_for_recorded(1)

        assert errors(caplog) == failing

    def test_a_busy_database_is_a_line_in_the_log_and_no_traceback(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        outbox = Outbox(failing=[DatabaseBusy("another writer holds it")])

        with caplog.at_level(logging.WARNING), forwarding(outbox, poll_seconds=0.001):
            outbox.wait_for_turns(2)

        said = [(record.levelname, record.exc_info) for record in caplog.records]
        assert said == [("WARNING", None)]
        assert "another writer holds it" in caplog.text

    def test_what_was_delivered_while_the_database_was_gone_is_recorded_later(self) -> None:
        outbox = Outbox(an_errand(1), failing=[None, *[DatabaseBusy("gone")] * 5])

        with forwarding(outbox, poll_seconds=0.001):
            outbox.wait_for_recorded(1)

        assert outbox.posted == [1], "it was sent once"

    def test_one_delivery_that_cannot_be_recorded_keeps_no_other_from_it(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        outbox = Outbox(*map(an_errand, range(1, 4)))
        all_inside = threading.Barrier(3)
        outbox.answer = held_by(all_inside)

        def refuse(asked: Asked) -> None:
            if 2 in asked.done:
                raise ValueError("this cannot be stored")

        outbox.on_turn = refuse
        with caplog.at_level(logging.ERROR), forwarding(outbox, senders=3, poll_seconds=0.001):
            outbox.wait_for_recorded(1, 3)

        assert {str(error) for error in errors(caplog)} == {"this cannot be stored"}

    def test_alone_it_waits_for_whoever_writes_to_its_mailbox(self) -> None:
        """Handed in with others it must not; and nobody hands it in once more."""
        outbox = Outbox(an_errand(1), an_errand(2))
        are_alone = threading.Event()

        def refuse(asked: Asked) -> None:
            if are_alone.is_set():
                outbox.busy = {1, 2}
            elif len(asked.done) == 2:
                are_alone.set()
                raise ValueError("one of them cannot be stored")
            elif asked.done:
                raise DatabaseBusy("until both are there")

        outbox.on_turn = refuse
        with forwarding(outbox, senders=2, poll_seconds=0.001):
            outbox.wait_for_recorded(1, 2)

    def test_waking_does_not_hurry_a_turn_that_failed(self) -> None:
        """With the database gone, each page that is served must not cause an attempt and a log entry."""
        outbox = Outbox(failing=[RuntimeError("the database is gone")])

        with forwarding(outbox) as forwarder:
            outbox.wait_for_turns(1)
            for _ in range(100):
                forwarder.wake()
            assert len(outbox.asked) == 1

    def test_pauses_double_up_to_half_a_minute(self) -> None:
        forwarder = Forwarder(Outbox(), clock=lambda: NOW_MS, poll_seconds=0.5)

        pauses = [forwarder._pause_seconds(failures) for failures in (0, 1, 2, 5, 6, 10**6)]

        assert pauses == [0.5, 1, 2, 16, 30, 30]


class TestBeating:
    """How others see that it works."""

    def test_it_beats_every_few_seconds_and_not_more_often(self) -> None:
        beats: list[int] = []
        times_ms = iter([0, 4_999, 5_000, 9_999, 1_000])
        outbox = Outbox()

        with forwarding(
            outbox, beat=beats.append, clock=lambda: next(times_ms, 1_000)
        ) as forwarder:
            for count in range(1, 6):
                outbox.wait_for_turns(count)
                forwarder.wake()

        assert beats == [0, 5_000, 1_000], "also when the clock was set back"

    def test_a_heartbeat_that_fails_stops_no_sending(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        def broken(_: int) -> None:
            raise RuntimeError("no such table")

        outbox = Outbox(an_errand(1))
        with caplog.at_level(logging.ERROR), forwarding(outbox, beat=broken):
            outbox.wait_for_recorded(1)

        assert [str(error) for error in errors(caplog)] == ["no such table"]

    def test_it_beats_also_while_no_answer_comes(self) -> None:
        beats: list[int] = []
        times_ms = iter(range(0, 10**9, 5_000))
        outbox = Outbox(an_errand(1))
        answered = threading.Event()
        outbox.answer = held_by(answered)
        has_beaten = threading.Event()

        def beat(now_ms: int) -> None:
            beats.append(now_ms)
            if len(beats) > 3:
                has_beaten.set()

        with forwarding(outbox, beat=beat, clock=times_ms.__next__, poll_seconds=0.001):
            assert has_beaten.wait(PATIENCE_SECONDS)
            answered.set()


class TestStopping:
    """How it ends."""

    def test_it_waits_for_the_post_under_way_and_records_it_and_gives_back_the_rest(self) -> None:
        outbox = Outbox(*map(an_errand, range(1, 4)))
        started, answered = threading.Event(), threading.Event()

        def slow(_: Errand) -> None:
            started.set()
            assert answered.wait(PATIENCE_SECONDS)

        forwarder = Forwarder(outbox, clock=lambda: NOW_MS, senders=1)
        outbox.answer = lambda each: slow(each) if each.message.mpid == 2 else None
        forwarder.start()
        assert started.wait(PATIENCE_SECONDS)
        assert not forwarder.stop(timeout_seconds=0), "still busy"
        answered.set()

        assert forwarder.stop()
        assert outbox.posted == [1, 2]
        assert outbox.recorded == [1, 2]
        assert [each.unsent for each in outbox.asked if each.unsent] == [[3]]
        assert not outbox.asked[-1].goes_on

    def test_a_database_that_is_gone_does_not_keep_it_from_stopping(self) -> None:
        outbox = Outbox(an_errand(1), failing=[None, *[DatabaseBusy("gone")] * 1_000])
        forwarder = Forwarder(outbox, clock=lambda: NOW_MS, poll_seconds=NEVER_SECONDS)
        forwarder.start()
        outbox.wait_for_turns(2)

        assert forwarder.stop(timeout_seconds=PATIENCE_SECONDS)

    def test_stopping_what_was_never_started_is_fine(self) -> None:
        assert Forwarder(Outbox(), clock=lambda: NOW_MS).stop()
