"""What becomes of a person's attributes when clients say something of them."""

from typing import Any

import pytest

from higgs_shop.tracker import AttributeChange
from higgs_shop.tracker.people import changed_attributes

KNOWN: dict[str, tuple[Any, int]] = {"name": ("Ada", 100), "vip": (True, 100)}


def says(name: str, value: Any, at_ms: int = 200) -> AttributeChange:
    return AttributeChange(name, value, is_deleted=False, at_ms=at_ms)


def deletes(name: str, at_ms: int = 200) -> AttributeChange:
    return AttributeChange(name, None, is_deleted=True, at_ms=at_ms)


@pytest.mark.parametrize(
    ("changes", "after"),
    [
        pytest.param([], KNOWN, id="nothing"),
        pytest.param([says("name", "Bob")], {**KNOWN, "name": ("Bob", 200)}, id="another_value"),
        pytest.param([says("name", "Ada")], KNOWN, id="the_same_value_keeps_its_time"),
        pytest.param([says("name", "Bob", 99)], KNOWN, id="an_earlier_time_changes_nothing"),
        pytest.param([says("vip", 1)], {**KNOWN, "vip": (1, 200)}, id="one_is_not_true"),
        pytest.param([says("tag", None)], {**KNOWN, "tag": (None, 200)}, id="a_tag_is_null"),
        pytest.param([deletes("vip")], {"name": ("Ada", 100)}, id="deleted"),
        pytest.param([deletes("vip", 99)], KNOWN, id="deleted_before_it_was_set"),
        pytest.param([deletes("nothing")], KNOWN, id="deleted_what_is_not_there"),
        pytest.param(
            [says("name", "Bob"), deletes("name"), says("name", "Eve")],
            {**KNOWN, "name": ("Eve", 200)},
            id="in_the_order_given",
        ),
    ],
)
def test_attributes_after(
    changes: list[AttributeChange], after: dict[str, tuple[Any, int]]
) -> None:
    assert changed_attributes(KNOWN, changes) == after
