"""What becomes of a person's attributes when clients say something of them."""

from typing import Any

import pytest

from higgs_shop.tracker import (
    MOST_ATTRIBUTES,
    MOST_ATTRIBUTES_BYTES,
    AttributeChange,
    AttributeNews,
    attributes_with_room,
)
from higgs_shop.tracker.people import Attribute, changed_attributes, within_limits

PHONE, LAPTOP = "phone", "laptop"
NAME, VIP, TAG = (
    Attribute("Ada", 100, None),
    Attribute(True, 100, LAPTOP),
    Attribute(None, 100, PHONE),
)
KNOWN: dict[str, Attribute] = {"name": NAME, "vip": VIP, "tag": TAG}


def says(name: str, value: Any, at_ms: int = 200) -> AttributeChange:
    return AttributeChange(name, value, is_deleted=False, at_ms=at_ms)


def deletes(name: str, at_ms: int = 200) -> AttributeChange:
    return AttributeChange(name, None, is_deleted=True, at_ms=at_ms)


def after(
    *changes: AttributeChange, complete: set[str] | None = None, told_at_ms: int = 200
) -> dict[str, Attribute]:
    """What is known after the phone said this."""
    names = None if complete is None else frozenset(complete)
    return changed_attributes(KNOWN, AttributeNews(changes, PHONE, names, told_at_ms))


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        pytest.param([], {}, id="nothing"),
        pytest.param([says("name", "Bob")], {"name": Attribute("Bob", 200, PHONE)}, id="a_value"),
        pytest.param([says("name", "Ada")], {}, id="the_same_value_keeps_its_time_and_source"),
        pytest.param([says("name", "Bob", 99)], {}, id="an_earlier_time_changes_nothing"),
        pytest.param([says("vip", 1)], {"vip": Attribute(1, 200, PHONE)}, id="one_is_not_true"),
        pytest.param([says("new", None)], {"new": Attribute(None, 200, PHONE)}, id="a_tag"),
        pytest.param([deletes("vip")], {"vip": None}, id="deleted"),
        pytest.param([deletes("vip", 99)], {}, id="deleted_before_it_was_set"),
        pytest.param([deletes("nothing")], {}, id="deleted_what_is_not_there"),
        pytest.param(
            [says("name", "Bob"), deletes("name"), says("name", "Eve")],
            {"name": Attribute("Eve", 200, PHONE)},
            id="in_the_order_given",
        ),
    ],
)
def test_changes(changes: list[AttributeChange], expected: dict[str, Attribute | None]) -> None:
    wanted = {name: value for name, value in {**KNOWN, **expected}.items() if value is not None}
    assert after(*changes) == wanted


def test_what_a_device_does_not_know_any_more_is_gone_unless_others_said_it() -> None:
    assert after(complete=set()) == {"name": NAME, "vip": VIP}
    assert after(complete={"tag"}) == KNOWN
    assert after(complete=set(), told_at_ms=99) == KNOWN


def test_without_a_device_nothing_is_taken_for_gone() -> None:
    assert changed_attributes(KNOWN, AttributeNews([], None, frozenset(), 200)) == KNOWN


def test_what_was_there_stays_and_what_is_new_comes_by_name_as_long_as_there_is_room() -> None:
    before = {f"old{number:02}": Attribute(1, 100, PHONE) for number in range(MOST_ATTRIBUTES - 2)}
    new = {name: Attribute(1, 200, PHONE) for name in ("c", "a", "b")}
    kept, refused = within_limits(before, before | new)
    assert kept == before | {"a": new["a"], "b": new["b"]}
    assert refused == ["c"]


def test_a_longer_value_is_refused_where_a_shorter_one_never_is() -> None:
    """Also where there is more than the limit: somebody has it from before there was one."""
    long = Attribute("x" * MOST_ATTRIBUTES_BYTES, 100, PHONE)
    longer, shorter = (
        Attribute("x" * (MOST_ATTRIBUTES_BYTES + more), 200, PHONE) for more in (1, -1)
    )
    assert within_limits({"a": long}, {"a": longer}) == ({"a": long}, ["a"])
    assert within_limits({"a": long}, {"a": shorter}) == ({"a": shorter}, [])
    assert within_limits({"a": long}, {"b": VIP}) == ({"b": VIP}, [])


def test_what_is_offered_and_has_room_is_what_is_not_known() -> None:
    assert attributes_with_room({"a": 1}, {"a": 2, "b": None}) == {"b": None}
    long = "x" * MOST_ATTRIBUTES_BYTES
    assert attributes_with_room({"a": long}, {"b": 1}) == {}
