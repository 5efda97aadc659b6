"""When an output is left alone, and for how long."""

import pytest

from higgs_shop.webhook_output.retry import SCHEDULE_SECONDS
from higgs_shop.webhook_output.unreachable import (
    MOST_UNANSWERED,
    Unanswered,
    is_unanswered,
    left_alone_ms,
)


@pytest.mark.parametrize(
    ("unreachable_seconds", "expected_seconds"),
    [(-3_600, 5), (0, 5), (5, 5), (10, 10), (20, 20), (40, 40), (80, 60), (10**6, 60)],
)
def test_as_long_as_nobody_has_answered_but_a_minute_at_most(
    unreachable_seconds: int, expected_seconds: int
) -> None:
    found = left_alone_ms(SCHEDULE_SECONDS, unreachable_ms=unreachable_seconds * 1_000)
    assert found == expected_seconds * 1_000


@pytest.mark.parametrize(
    ("schedule_seconds", "shortest_ms", "longest_ms"),
    [((0, 1, 1), 1_000, 12_000), ((0, 60), 5_000, 60_000), ((0,), 5_000, 60_000), ((0, 0), 0, 0)],
)
def test_a_schedule_that_tries_again_sooner_leaves_it_alone_for_less(
    schedule_seconds: tuple[int, ...], shortest_ms: int, longest_ms: int
) -> None:
    assert left_alone_ms(schedule_seconds, unreachable_ms=0) == shortest_ms
    assert left_alone_ms(schedule_seconds, unreachable_ms=10**9) == longest_ms


@pytest.mark.parametrize("status_code", [None, 502, 503, 504])
def test_what_nobody_answered(status_code: int | None) -> None:
    assert is_unanswered(status_code)


@pytest.mark.parametrize("status_code", [200, 204, 302, 404, 410, 422, 429, 500, 501, 505])
def test_what_a_receiver_said_itself(status_code: int) -> None:
    assert not is_unanswered(status_code)


def test_it_takes_several_in_a_row_at_the_same_output() -> None:
    unanswered = Unanswered()
    for _ in range(MOST_UNANSWERED - 1):
        unanswered.count(1, None)
    unanswered.count(2, 503)
    assert not unanswered.is_too_many(1)
    unanswered.count(1, 500)
    unanswered.count(1, None)
    assert not unanswered.is_too_many(1), "an answer in between starts it anew"
    for _ in range(MOST_UNANSWERED - 1):
        unanswered.count(1, 504)
    assert unanswered.is_too_many(1)
    assert not unanswered.is_too_many(2)
    assert not unanswered.is_too_many(3)
