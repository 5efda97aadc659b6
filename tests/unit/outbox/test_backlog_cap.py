"""The cap: loud when it is reached, and room again only when there is some."""

import logging

import pytest

from higgs_shop.database import Database
from higgs_shop.outbox import BacklogCap
from higgs_shop.outputs import find_output, pause_output
from tests import webhook_outputs
from tests.unit.outbox.posting import ADA, BOB, NOW_MS, at, claim, delivered, fill
from tests.webhook_outputs import an_output


class Clock:
    """Told what time it is."""

    now_ms = NOW_MS

    def __call__(self) -> int:
        return self.now_ms


@pytest.fixture
def clock() -> Clock:
    return Clock()


def is_full(database: Database, name: str = "webhook") -> bool:
    with database.read() as connection:
        output = find_output(connection, "default", name)
    assert output is not None
    return output.is_full


def deliver(database: Database, most: int) -> None:
    for _ in range(most):
        claimed = claim(database, most=1)
        assert claimed is not None
        webhook_outputs.record(
            database, claimed, [delivered(claimed.messages[0])], clock=at(NOW_MS)
        )


def looked(database: Database, clock: Clock, most_waiting: int) -> int:
    """What a cap changes that looks now."""
    return BacklogCap(database, most_waiting=most_waiting, clock=clock).look()


def test_an_output_is_full_when_so_many_wait_and_says_so_once(
    database: Database, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    an_output(database, "other")
    fill(database, *[ADA] * 9)
    assert looked(database, clock, 10) == 0
    fill(database, BOB)

    assert looked(database, clock, 10) == 1
    assert looked(database, clock, 10) == 0

    assert is_full(database)
    assert not is_full(database, "other")
    (record,) = caplog.records
    assert record.levelno == logging.ERROR
    assert "webhook of workspace default is full: 10 messages wait" in record.message
    assert "higgs-shop replay" in record.message


def test_it_has_room_again_when_a_tenth_is_free(
    database: Database, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    fill(database, *[ADA] * 20)
    looked(database, clock, 20)
    deliver(database, 1)
    assert looked(database, clock, 20) == 0
    assert is_full(database)
    deliver(database, 1)

    assert looked(database, clock, 20) == 1

    assert not is_full(database)
    assert "has room again" in caplog.records[-1].message


def test_a_cap_of_one_has_room_when_nothing_waits(database: Database, clock: Clock) -> None:
    fill(database, ADA)
    looked(database, clock, 1)
    assert is_full(database)
    deliver(database, 1)
    looked(database, clock, 1)
    assert not is_full(database)


def test_without_a_cap_nothing_is_full_not_even_what_was(database: Database, clock: Clock) -> None:
    fill(database, ADA)
    looked(database, clock, 1)
    assert is_full(database)

    assert looked(database, clock, 0) == 1

    assert not is_full(database)
    assert looked(database, clock, 0) == 0


def test_an_output_that_is_paused_fills_as_well(database: Database, clock: Clock) -> None:
    fill(database, ADA)
    with database.write() as connection:
        pause_output(connection, an_output_id(database), "for a while", NOW_MS)
    looked(database, clock, 1)
    assert is_full(database)


def an_output_id(database: Database) -> int:
    with database.read() as connection:
        output = find_output(connection, "default", "webhook")
    assert output is not None
    return output.id


def test_it_looks_every_five_seconds(database: Database, clock: Clock) -> None:
    an_output(database)
    cap = BacklogCap(database, most_waiting=1, clock=clock)
    cap.look()
    fill(database, ADA)
    clock.now_ms += 4_999
    assert cap.look() == 0
    clock.now_ms += 1
    assert cap.look() == 1


def test_it_looks_at_once_when_the_clock_was_set_back(database: Database, clock: Clock) -> None:
    an_output(database)
    cap = BacklogCap(database, most_waiting=1, clock=clock)
    cap.look()
    fill(database, ADA)
    clock.now_ms -= 3_600_000
    assert cap.look() == 1
