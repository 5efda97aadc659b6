"""The webhook's body and the shapes of events."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from higgs_shop.outputs import OutputSettings
from higgs_shop.tracker import (
    Amounts,
    CustomEvent,
    Event,
    OptOut,
    ProductAction,
    ProductImpression,
    ScreenView,
    SessionEnd,
    SessionFacts,
    SessionStart,
    TrackedProduct,
    UserAttributeChange,
    UserIdentityChange,
)
from higgs_shop.tracker.batch import (
    KnownIdentity,
    Origin,
    Person,
    batch_body,
    event_data,
    event_json,
    number_of,
    page_origin,
)
from higgs_shop.tracker.events import units

SESSION = SessionFacts("5D1D0A55-60F1-4A0E-8C0E-7F1F3D0C2B11", 1_000, "Netscape/4.7")
BALL = TrackedProduct("128743", "Beach Ball", "Balls", "Higgs", 850, quantity=3, color="red")


def body(**changed: Any) -> dict[str, Any]:
    arguments: dict[str, Any] = {
        "events": [event_json("screen_view", '{"screen_name":"Über uns"}')],
        "person": Person(4711, [KnownIdentity("customerid", "C-1", 900)], {"name": "Ada"}),
        "origin": page_origin(SESSION, "development", "stamp-1"),
        "sequence": 7,
        "session_sequences": [3],
        "received_at_ms": 2_000,
        "webhook_id": "msg_1",
        "settings": OutputSettings(),
    }
    return dict(json.loads(batch_body(**(arguments | changed))))


def test_a_body_says_who_did_what_when() -> None:
    found = body()
    assert found["mpid"] == 4711
    assert found["user_identities"] == [
        {"identity_type": "customer_id", "identity": "C-1", "timestamp_unixtime_ms": 900}
    ]
    assert found["user_attributes"] == {"name": "Ada"}
    assert found["events"] == [{"event_type": "screen_view", "data": {"screen_name": "Über uns"}}]
    assert found["context"] == {"mpid_sequence": 7, "session_sequence": 3}
    assert found["timestamp_unixtime_ms"] == 2_000
    assert found["device_info"]["http_header_user_agent"] == "Netscape/4.7"
    assert (found["environment"], found["source_request_id"]) == ("development", "msg_1")


def test_a_body_says_where_its_event_comes_from() -> None:
    consent = {"gdpr": {"ads": {"consented": True}}}
    origin = Origin(
        channel="javascript",
        environment="production",
        device_info={"platform": "web"},
        application_info={},
        source_request_id="a batch",
        passed_on={"consent_state": consent},
        context={"data_plan": {"plan_id": "p"}, "mpid_sequence": 99},
    )
    found = body(origin=origin, session_sequences=[None])
    assert found["source_info"]["channel"] == "javascript"
    assert (found["environment"], found["source_request_id"]) == ("production", "a batch")
    assert found["device_info"] == {"platform": "web"}
    assert found["consent_state"] == consent
    assert found["context"] == {"data_plan": {"plan_id": "p"}, "mpid_sequence": 7}


def test_a_batch_may_have_no_event() -> None:
    assert body(events=[])["events"] == []


def test_the_same_event_is_the_same_bytes() -> None:
    assert body() == body()
    assert body()["batch_id"] != body(webhook_id="msg_2")["batch_id"]


@given(st.text(), st.text())
def test_numbers_are_stable_and_safe_in_scripts(kind: str, text: str) -> None:
    assert 0 <= number_of(kind, text) < 2**53
    assert number_of(kind, text) == number_of(kind, text)


def test_what_every_event_carries_does_not_hide_its_own() -> None:
    data = event_data(
        {"screen_name": "About"}, happened_at_ms=2_000, source_message_id="m", session=SESSION
    )
    assert data["screen_name"] == "About"
    assert data["session_uuid"] == SESSION.session_uuid
    assert data["session_start_unixtime_ms"] == 1_000
    assert data["event_start_unixtime_ms"] == data["timestamp_unixtime_ms"] == 2_000


@pytest.mark.parametrize(
    ("cents", "amount"), [(0, 0), (800, 8), (850, 8.5), (1, 0.01), (-5, -0.05)]
)
def test_cents_become_units(cents: int, amount: float) -> None:
    assert units(cents) == amount


@pytest.mark.parametrize(
    ("event", "event_type", "name", "data"),
    [
        (SessionStart(), "session_start", "Session Start", {}),
        (SessionEnd(5_000), "session_end", "Session End", {"session_duration_ms": 5_000}),
        (ScreenView("About"), "screen_view", "About", {"screen_name": "About"}),
        (
            ScreenView("Landing", {"category": "Balls"}),
            "screen_view",
            "Landing",
            {"screen_name": "Landing", "custom_attributes": {"category": "Balls"}},
        ),
        (
            CustomEvent("Signed Up", "user_preference"),
            "custom_event",
            "Signed Up",
            {"event_name": "Signed Up", "custom_event_type": "user_preference"},
        ),
        (OptOut(is_opted_out=True), "opt_out", "Opted Out", {"is_opted_out": True}),
        (OptOut(is_opted_out=False), "opt_out", "Opted In", {"is_opted_out": False}),
        (
            UserAttributeChange("name", "Ada"),
            "user_attribute_change",
            "name",
            {
                "user_attribute_name": "name",
                "new": "Ada",
                "old": None,
                "deleted": False,
                "is_new_attribute": True,
            },
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_each_kind_has_its_own_members(
    event: Event, event_type: str, name: str, data: dict[str, Any]
) -> None:
    assert (event.event_type, event.name, event.data()) == (event_type, name, data)


def test_a_purchase_carries_products_amounts_and_number() -> None:
    purchase = ProductAction(
        "purchase", [BALL], amounts=Amounts(3_160, 226, 384), transaction_id="H-1"
    ).data()
    assert purchase["currency_code"] == "USD"
    assert purchase["product_action"] == {
        "action": "purchase",
        "products": [
            {
                "id": "128743",
                "name": "Beach Ball",
                "brand": "Higgs",
                "category": "Balls",
                "price": 8.5,
                "quantity": 3,
                "total_product_amount": 25.5,
                "variant": "red",
                "custom_attributes": {"color": "red"},
            }
        ],
        "total_amount": 31.6,
        "tax_amount": 2.26,
        "shipping_amount": 3.84,
        "transaction_id": "H-1",
    }


def test_an_impression_is_a_list_of_products() -> None:
    (seen,) = ProductImpression("Landing", [BALL]).data()["product_impressions"]
    assert seen["product_impression_list"] == "Landing"
    assert [product["id"] for product in seen["products"]] == ["128743"]


@pytest.mark.parametrize(
    ("old", "new"), [(None, "a@example.test"), ("a@example.test", None), ("a", "b")]
)
def test_an_identity_change_has_two_sides(old: str | None, new: str | None) -> None:
    data = UserIdentityChange("email", old, new, 2_000).data()
    assert (data["old"]["identity"], data["new"]["identity"]) == (old, new)
    assert data["new"]["created_this_batch"] is (old is None)
    assert data["old"]["created_this_batch"] is False
