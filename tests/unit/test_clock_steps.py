"""When the owners of dates are asked to bring them back."""

import doctest

import pytest

from higgs_shop import clock_steps
from higgs_shop.clock_steps import ClockSteps
from higgs_shop.database import DatabaseBusy


def test_the_example_is_right() -> None:
    assert doctest.testmod(clock_steps).failed == 0


def test_every_owner_is_told_the_new_time() -> None:
    times = iter([1_000, 400])
    told: list[tuple[str, int]] = []

    def owner(name: str) -> clock_steps.BringBack:
        def bring_back(now_ms: int) -> int:
            told.append((name, now_ms))
            return 2

        return bring_back

    steps = ClockSteps(lambda: next(times), owners=[owner("sessions"), owner("aliases")])
    assert [steps.look(), steps.look()] == [4, 4]
    assert told == [("sessions", 1_000), ("aliases", 1_000), ("sessions", 400), ("aliases", 400)]


def test_an_owner_whose_database_is_busy_is_asked_again() -> None:
    answers = iter([None, 3, 5])

    def bring_back(_now_ms: int) -> int:
        answer = next(answers)
        if answer is None:
            raise DatabaseBusy("another writer holds it")
        return answer

    steps = ClockSteps(lambda: 1_000, owners=[bring_back])
    with pytest.raises(DatabaseBusy):
        steps.look()
    assert [steps.look(), steps.look()] == [3, 0]
