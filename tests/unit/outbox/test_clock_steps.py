"""A clock that was set back: nothing is stuck for longer than its longest wait."""

import pytest

from higgs_shop import outbox
from higgs_shop.clock_steps import ClockSteps
from higgs_shop.database import Database
from higgs_shop.outbox import ReplayChoice, Waits
from tests import webhook_outputs
from tests.unit.outbox.posting import (
    ADA,
    BOB,
    LEASE_MS,
    NOW_MS,
    at,
    claim,
    delivered,
    failed,
    fill,
    must_claim,
)
from tests.webhook_outputs import an_output

HOUR_MS = 3_600_000
BACK_MS = NOW_MS - HOUR_MS
WAITS_MS = (10_000, 600_000)


class Clock:
    """Told what time it is."""

    def __init__(self, now_ms: int = NOW_MS) -> None:
        self.now_ms = now_ms

    def __call__(self) -> int:
        return self.now_ms


def steps_of(database: Database, clock: Clock) -> ClockSteps:
    waits = Waits(database, lease_ms=LEASE_MS, longest_waits_ms=WAITS_MS)
    return ClockSteps(clock, owners=[waits.bring_back])


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def steps(database: Database, clock: Clock) -> ClockSteps:
    """It has looked once, before anything happened."""
    an_output(database)
    steps = steps_of(database, clock)
    assert steps.look() == 0
    return steps


def fail_once(database: Database, *, wait_ms: int, now_ms: int = NOW_MS) -> None:
    claimed = must_claim(database, now_ms=now_ms)
    attempts = [failed(claimed.messages[0], wait_ms=wait_ms)]
    assert webhook_outputs.record(database, claimed, attempts, clock=at(now_ms))


def test_what_was_never_tried_is_due_at_once(
    database: Database, clock: Clock, steps: ClockSteps, caplog: pytest.LogCaptureFixture
) -> None:
    fill(database, ADA, BOB)
    clock.now_ms = BACK_MS
    assert claim(database, now_ms=BACK_MS) is None

    assert steps.look() == 2

    assert {must_claim(database, now_ms=BACK_MS).mpid for _ in range(2)} == {ADA, BOB}
    assert "the clock was set back" in caplog.text


def test_what_failed_waits_its_longest_wait_and_no_longer(
    database: Database, clock: Clock, steps: ClockSteps
) -> None:
    fill(database, ADA)
    fail_once(database, wait_ms=5_000)
    clock.now_ms = BACK_MS

    assert steps.look() == 1

    assert claim(database, now_ms=BACK_MS + WAITS_MS[0] - 1) is None
    fail_once(database, wait_ms=300_000, now_ms=BACK_MS + WAITS_MS[0])
    clock.now_ms = BACK_MS - HOUR_MS
    assert steps.look() == 1
    assert claim(database, now_ms=clock.now_ms + WAITS_MS[1] - 1) is None
    assert must_claim(database, now_ms=clock.now_ms + WAITS_MS[1]).messages[0].attempts == 2


def test_more_attempts_than_the_schedule_has_wait_the_longest_of_all(
    database: Database, clock: Clock, steps: ClockSteps
) -> None:
    fill(database, ADA)
    for _ in range(4):
        fail_once(database, wait_ms=0)
    fail_once(database, wait_ms=HOUR_MS)
    clock.now_ms = BACK_MS
    assert steps.look() == 1
    assert must_claim(database, now_ms=BACK_MS + max(WAITS_MS)).messages[0].attempts == 5


def test_what_lies_no_further_ahead_than_it_may_stays(
    database: Database, clock: Clock, steps: ClockSteps
) -> None:
    fill(database, ADA)
    fail_once(database, wait_ms=5_000)
    clock.now_ms = NOW_MS - 1_000

    assert steps.look() == 0

    assert claim(database, now_ms=NOW_MS + 4_999) is None
    assert claim(database, now_ms=NOW_MS + 5_000) is not None


def test_what_others_write_while_it_looks_for_the_first_time_is_no_step(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    fill(database, ADA, BOB)
    must_claim(database, now_ms=NOW_MS)
    read_before = steps_of(database, Clock(NOW_MS - 1_000))

    assert read_before.look() == 0

    assert not caplog.messages


def test_a_replayed_message_is_due_at_once(
    database: Database, clock: Clock, steps: ClockSteps
) -> None:
    fill(database, ADA)
    claimed = must_claim(database)
    webhook_outputs.record(
        database, claimed, [failed(claimed.messages[0], wait_ms=None)], clock=at(NOW_MS)
    )
    outbox.start_replay(database, an_output(database), ReplayChoice(), now_ms=NOW_MS)
    clock.now_ms = BACK_MS

    assert steps.look() == 1

    assert claim(database, now_ms=BACK_MS) is not None


def test_a_lease_ends_no_later_than_one_that_begins_now(
    database: Database, clock: Clock, steps: ClockSteps
) -> None:
    fill(database, ADA)
    dead_sender = must_claim(database)
    clock.now_ms = BACK_MS

    steps.look()

    assert claim(database, now_ms=BACK_MS + LEASE_MS - 1) is None
    assert must_claim(database, now_ms=BACK_MS + LEASE_MS).messages == dead_sender.messages


def test_the_sender_that_holds_the_lease_can_still_record(
    database: Database, clock: Clock, steps: ClockSteps
) -> None:
    fill(database, ADA)
    sending = must_claim(database)
    clock.now_ms = BACK_MS
    steps.look()

    assert webhook_outputs.record(
        database, sending, [delivered(sending.messages[0])], clock=at(BACK_MS)
    )
    assert claim(database, now_ms=NOW_MS + HOUR_MS) is None


def test_a_start_looks_as_well_since_the_clock_may_have_been_set_back_before(
    database: Database,
) -> None:
    fill(database, ADA)
    started = steps_of(database, Clock(BACK_MS))
    assert started.look() == 1
    assert started.look() == 0
    assert claim(database, now_ms=BACK_MS) is not None


def test_a_step_forward_brings_what_waits_forward_and_the_step_back_loses_nothing(
    database: Database, clock: Clock, steps: ClockSteps
) -> None:
    """A day ahead by mistake, and then right again."""
    fill(database, ADA)
    clock.now_ms = NOW_MS + 24 * HOUR_MS
    assert steps.look() == 0
    fail_once(database, wait_ms=5_000, now_ms=clock.now_ms)
    fill(database, BOB, now_ms=clock.now_ms)
    clock.now_ms = NOW_MS

    assert steps.look() == 2

    assert must_claim(database, now_ms=NOW_MS).mpid == BOB
    assert must_claim(database, now_ms=NOW_MS + WAITS_MS[0]).mpid == ADA
