"""When a failed delivery is tried again: every wait in its band, and no receiver can bend that far."""

import random

import pytest

from higgs_shop.webhook_output.retry import (
    REFUSALS,
    SCHEDULE_SECONDS,
    next_wait_ms,
    retry_after_ms,
    schedule_after,
)

NOW_MS = 1_700_000_000_000
NOW_AS_DATE = "Tue, 14 Nov 2023 22:13:20 GMT"


def never_moved() -> float:
    return 0.5


def wait_ms(attempts_made: int, *, asked_ms: int | None = None) -> int | None:
    return next_wait_ms(
        SCHEDULE_SECONDS, attempts_made=attempts_made, random=never_moved, retry_after_ms=asked_ms
    )


def test_ten_attempts_over_75_hours_35_minutes_and_5_seconds() -> None:
    assert len(SCHEDULE_SECONDS) == 10
    assert SCHEDULE_SECONDS[0] == 0
    assert sum(SCHEDULE_SECONDS) == 75 * 3_600 + 35 * 60 + 5


def test_each_wait_is_inside_its_band_and_reaches_far_into_both_halves(
    dice: random.Random,
) -> None:
    for made, planned_seconds in enumerate(SCHEDULE_SECONDS):
        waits = []
        for _ in range(500):
            wait = next_wait_ms(SCHEDULE_SECONDS, attempts_made=made, random=dice.random)
            assert wait is not None
            waits.append(wait)
        assert 800 * planned_seconds <= min(waits) <= 850 * planned_seconds
        assert 1_150 * planned_seconds <= max(waits) <= 1_200 * planned_seconds


@pytest.mark.parametrize("attempts_made", [10, 11])
def test_after_the_last_attempt_there_is_none(attempts_made: int) -> None:
    assert wait_ms(attempts_made) is None
    assert wait_ms(attempts_made, asked_ms=60_000) is None


@pytest.mark.parametrize(
    ("asked_ms", "expected_ms"),
    [(None, 300_000), (0, 300_000), (300_000, 300_000), (400_000, 400_000), (10**12, 600_000)],
)
def test_a_receiver_may_slow_us_down_to_half_speed_but_not_hurry_us(
    asked_ms: int | None, expected_ms: int
) -> None:
    assert wait_ms(2, asked_ms=asked_ms) == expected_ms


@pytest.mark.parametrize(
    ("value", "expected_ms"),
    [
        pytest.param("120", 120_000, id="seconds"),
        pytest.param(" 120 ", 120_000, id="with blanks"),
        pytest.param("0", 0, id="at once"),
        pytest.param("1000000000", 10**12, id="thirty years"),
        pytest.param("9" * 5_000, 10**12, id="endless digits"),
        pytest.param("Tue, 14 Nov 2023 22:15:20 GMT", 120_000, id="a date"),
        pytest.param("Tuesday, 14-Nov-23 22:15:20 GMT", 120_000, id="an obsolete date"),
        pytest.param("Tue Nov 14 22:15:20 2023", 120_000, id="a date as C prints it"),
        pytest.param("Tue, 14 Nov 2023 21:00:00 GMT", 0, id="a date in the past"),
        pytest.param(None, None, id="absent"),
        pytest.param("", None, id="empty"),
        pytest.param("-5", None, id="negative"),
        pytest.param("1.5", None, id="a fraction"),
        pytest.param("soon", None, id="garbage"),
        pytest.param("१२", None, id="other digits"),
        pytest.param("Tue, 99 Nov 99999 99:99:99 GMT", None, id="a date that is none"),
        pytest.param("Tue, 14 Nov 0000 00:00:00 +9999", None, id="a date before time"),
    ],
)
def test_retry_after_is_seconds_or_a_date_and_else_nothing(
    value: str | None, expected_ms: int | None
) -> None:
    assert retry_after_ms(value, now_ms=NOW_MS) == expected_ms
    assert retry_after_ms(NOW_AS_DATE, now_ms=NOW_MS) == 0


@pytest.mark.parametrize("status_code", sorted(REFUSALS))
def test_a_refusal_is_tried_five_times_in_35_minutes(status_code: int) -> None:
    schedule = schedule_after(status_code, SCHEDULE_SECONDS)
    assert len(schedule) == 5
    assert sum(schedule) == 35 * 60 + 5


@pytest.mark.parametrize("status_code", [None, 401, 404, 408, 409, 425, 429, 500, 503])
def test_whatever_else_goes_wrong_has_the_whole_schedule(status_code: int | None) -> None:
    assert schedule_after(status_code, SCHEDULE_SECONDS) == SCHEDULE_SECONDS


def test_a_refusal_waits_no_longer_than_the_schedule_that_was_set() -> None:
    assert schedule_after(422, (0, 1, 600)) == [0, 1, 300]
