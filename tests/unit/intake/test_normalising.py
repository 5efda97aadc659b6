"""One spelling for what clients spell differently, and a name for every event."""

from typing import Any

import pytest

from higgs_shop.intake.messages import SentEvent
from higgs_shop.intake.normalising import name_of, normalised

PRODUCT = {"id": 4711, "price": "25.50", "quantity": "2", "name": None, "position": 1}
NEAT = {"id": "4711", "price": 25.5, "quantity": 2, "position": 1}


def kept(event_type: str, **data: Any) -> tuple[str, dict[str, Any]]:
    return normalised(SentEvent.model_validate({"event_type": event_type, "data": data}))


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        pytest.param(
            {"product_action": {"action": "remove_from_wishlist", "products": None}},
            {"product_action": {"action": "remove_from_wish_list"}},
            id="wish_list",
        ),
        pytest.param(
            {"product_action": {"action": "purchase", "products": [PRODUCT], "transaction_id": 7}},
            {
                "product_action": {
                    "action": "purchase",
                    "products": [NEAT],
                    "transaction_id": "7",
                }
            },
            id="numbers_and_texts",
        ),
        pytest.param(
            {"product_action": {"action": "refund", "total_amount": "a lot"}},
            {"product_action": {"action": "refund", "total_amount": "a lot"}},
            id="not_a_number",
        ),
        pytest.param(
            {"product_impressions": [{"product_impression_list": "Home", "products": [PRODUCT]}]},
            {"product_impressions": [{"product_impression_list": "Home", "products": [NEAT]}]},
            id="impression",
        ),
        pytest.param(
            {"shopping_cart": {"products": [{**PRODUCT, "custom_attributes": {"a": None}}]}},
            {"shopping_cart": {"products": [{**NEAT, "custom_attributes": {"a": None}}]}},
            id="attributes_are_left_alone",
        ),
        *(
            pytest.param(
                {"promotion_action": {"action": number}},
                {"promotion_action": {"action": word}},
                id=f"promotion_{number}",
            )
            for number, word in ((0, "unknown"), (1, "view"), (2, "click"), ("view", "view"))
        ),
        pytest.param(
            {"promotion_action": {"action": [1]}}, {"promotion_action": {"action": [1]}}, id="odd"
        ),
    ],
)
def test_commerce(sent: dict[str, Any], expected: dict[str, Any]) -> None:
    assert kept("commerce_event", **sent) == ("commerce_event", expected)


def test_a_commerce_event_that_is_truly_a_crash() -> None:
    crash = {"message": "boom", "stack_trace": "…"}
    assert kept("commerce_event", **crash) == ("crash_report", crash)
    action = {"action": "checkout"}
    assert kept("commerce_event", product_action=action, message="boom")[0] == "commerce_event"
    assert kept("commerce_event") == ("commerce_event", {})


def test_nothing_is_left_out_but_what_says_nothing() -> None:
    sent = {
        "custom_attributes": {"a": None, "b": False, "c": 0, "d": ""},
        "custom_flags": {},
        "location": None,
        "device_current_state": {"cpu": "x"},
        "is_first_run": False,
        "session_uuid": "U",
        "session_id": 7,
        "event_num": 3,
        "active_time_on_site_ms": 5,
    }
    assert kept("application_state_transition", **sent)[1] == {
        "custom_attributes": {"a": None, "b": False, "c": 0, "d": ""},
        "device_current_state": {"cpu": "x"},
        "is_first_run": False,
    }
    assert kept("session_start", session_id=7)[1] == {"session_id": 7}
    change = {"user_attribute_name": "a", "new": None, "old": None, "deleted": True}
    assert kept("user_attribute_change", **change)[1] == change


@pytest.mark.parametrize(
    ("event_type", "data", "name"),
    [
        ("screen_view", {"screen_name": "Landing"}, "Landing"),
        ("custom_event", {"event_name": "Signed Up"}, "Signed Up"),
        ("commerce_event", {"product_action": {"action": "purchase"}}, "purchase"),
        ("commerce_event", {"promotion_action": {"action": "view"}}, "view"),
        (
            "commerce_event",
            {"product_impressions": [{"product_impression_list": "Home"}]},
            "Home",
        ),
        ("commerce_event", {"product_action": {"action": 7}}, "Commerce Event"),
        ("commerce_event", {}, "Commerce Event"),
        ("user_attribute_change", {"user_attribute_name": "tier"}, "tier"),
        ("user_identity_change", {"new": {"identity_type": "email"}}, "email"),
        ("user_identity_change", {"new": "email"}, "User Identity Change"),
        ("opt_out", {"is_opted_out": True}, "Opted Out"),
        ("opt_out", {"is_opted_out": False}, "Opted In"),
        ("crash_report", {"message": "x" * 300}, "x" * 256),
        ("crash_report", {"message": ""}, "Crash Report"),
        ("network_performance", {"url": "https://an.app/"}, "https://an.app/"),
        ("session_start", {}, "Session Start"),
        ("uninstall", {}, "Uninstall"),
    ],
)
def test_names(event_type: str, data: dict[str, Any], name: str) -> None:
    assert name_of(event_type, data) == name
