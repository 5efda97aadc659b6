"""A clock that is set while events wait: nothing is stuck for longer than its longest wait."""

import random

import pytest

from higgs_shop.database import Database
from tests.reliability.faults.clock_steps import DAY_MS, HOUR_MS, step


@pytest.mark.parametrize(
    "steps_ms",
    [
        pytest.param([0] * 5, id="a clock that is right"),
        pytest.param([DAY_MS] * 5, id="a day forward, again and again"),
        pytest.param([-HOUR_MS] * 5, id="an hour back, again and again"),
    ],
)
def test_nothing_is_stuck(database: Database, steps_ms: list[int], dice: random.Random) -> None:
    outcome = step(database, steps_ms=steps_ms, events_each=10, chance=dice)
    assert outcome.is_sound, outcome


def test_the_order_is_kept_whatever_the_clock_says(database: Database, dice: random.Random) -> None:
    steps_ms = dice.choices([-HOUR_MS, DAY_MS, -DAY_MS], k=8)
    outcome = step(database, steps_ms=steps_ms, events_each=10, chance=dice)
    assert outcome.out_of_order == 0, outcome
