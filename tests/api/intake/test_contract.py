"""The contract's worked examples: section 8 of the events contract, each named after its row."""

import json
from typing import Any

from tests.api.conftest import Store
from tests.api.delivering import add, bodies, change, deliver
from tests.api.intake.conftest import (
    KEY,
    UPLOADS,
    Sender,
    basic,
    batch,
    errors,
    event,
    is_accepted,
)
from tests.network_faults import Receiver

BROWSER_BATCH: dict[str, Any] = json.loads(
    """{"source_request_id":"9f0c2a1e-77f0-4f0e-9c55-0d6a3b5f0001","mpid":"5811471147114711",
    "timestamp_unixtime_ms":1772360105000,"environment":"development","events":[{"event_type":
    "commerce_event","data":{"custom_flags":{},"product_action":{"action":"add_to_cart","products":
    [{"id":"HG-TEE-S","name":"Boson Tee","total_product_amount":50,"price":25,"quantity":2,
    "custom_attributes":null}]},"promotion_action":null,"product_impressions":null,
    "shopping_cart":null,"currency_code":null,"timestamp_unixtime_ms":1772360104900,"session_uuid":
    "3B1C7C62-5C52-4E55-8A38-6E0A3C1B0001","session_start_unixtime_ms":1772360100000,
    "custom_attributes":{"list":"home"},"location":null,"source_message_id":
    "0d6a3b5f-1111-4f0e-9c55-9f0c2a1e0001","active_time_on_site_ms":4200}}],"mp_deviceid":
    "58dfe642-ec66-4256-f423-7f8ccac60001","sdk_version":"2.68.0","application_info":
    {"application_name":"Higgs Shop"},"device_info":{"platform":"web","screen_width":1280,
    "screen_height":720},"user_attributes":{},"user_identities":null,"consent_state":null,
    "integration_attributes":{}}"""
)
SERVER_BATCH: dict[str, Any] = {
    "environment": "production",
    "source_request_id": "pos-2026-03-01-17",
    "user_identities": {"customerid": "C-1001", "email": "ada@example.test"},
    "ip": "203.0.113.9",
    "events": [event(timestamp_unixtime_ms=1772360200000)],
}


def with_data(**data: Any) -> dict[str, Any]:
    """The browser's batch with an event of other data."""
    (sent,) = BROWSER_BATCH["events"]
    return {**BROWSER_BATCH, "events": [{**sent, "data": {**sent["data"], **data}}]}


def test_8_1_browser_batch(store: Store, sender: Sender) -> None:
    assert is_accepted(sender.upload(BROWSER_BATCH))
    (stored,) = store.events()
    assert stored.label == "commerce_event add_to_cart"
    assert stored.mpid == 5811471147114711
    before = store.dump()
    assert is_accepted(sender.upload(BROWSER_BATCH))
    assert store.dump() == before


def test_8_2_promotion_from_the_sdk(store: Store, sender: Sender) -> None:
    promotion = {"id": "P1", "name": "Spring", "creative": "banner", "position": "top"}
    sent = with_data(product_action=None, promotion_action={"action": 1, "promotions": [promotion]})
    assert is_accepted(sender.upload(sent))
    wanted = {"action": "view", "promotions": [promotion]}
    assert store.events()[0].data["promotion_action"] == wanted
    assert store.bodies()[0]["events"][0]["data"]["promotion_action"] == wanted


def test_8_3_untyped_event(store: Store, sender: Sender) -> None:
    untyped = event(event_name="Untyped", custom_event_type="unknown", custom_flags={})
    assert is_accepted(sender.upload({**BROWSER_BATCH, "events": [untyped]}))
    assert store.labels() == ["custom_event Untyped"]


def test_8_4_browser_batch_with_an_unknown_key(store: Store, sender: Sender) -> None:
    path = UPLOADS.replace(KEY, "somebody's")
    assert errors(sender.upload(BROWSER_BATCH, path), 401) == ["the API key is not known"]
    assert store.events() == []


def test_8_4_browser_batch_that_is_not_json(store: Store, sender: Sender) -> None:
    assert is_accepted(sender.upload(b"{not json"))
    (kept,) = store.rows("quarantined_batches")
    assert kept["body"] == b"{not json"
    assert "not JSON" in kept["faults"][0]
    assert store.events() == []


def test_8_5_server_batch(store: Store, sender: Sender) -> None:
    assert basic() == {"Authorization": "Basic c2hvcC1rZXktMDAwMTpzaG9wLXNlY3JldC0wMDAx"}
    assert is_accepted(sender.post(SERVER_BATCH))
    other_spelling = {
        **SERVER_BATCH,
        "source_request_id": "pos-2026-03-01-18",
        "user_identities": {"customer_id": "C-1001"},
    }
    assert is_accepted(sender.post(other_spelling))
    mpids = {stored.mpid for stored in store.events()}
    customer = store.browser().client.post(
        "/identity/v1/search",
        json={"environment": "production", "known_identities": {"customerid": "C-1001"}},
        headers={"x-mp-key": KEY},
    )
    assert mpids == {int(customer.json["mpid"])}  # type: ignore[index]  # it is JSON
    assert len(store.events()) == 2


def test_8_6_no_authorization(sender: Sender) -> None:
    assert errors(sender.post(SERVER_BATCH, headers={}), 401)


def test_8_7_wrong_secret(sender: Sender) -> None:
    assert errors(sender.post(SERVER_BATCH, headers=basic(secret="wrong")), 403)


def test_8_8_event_without_event_type(store: Store, sender: Sender) -> None:
    response = sender.post({**SERVER_BATCH, "events": [{"data": {}}]})
    assert errors(response) == ["events.0.event_type: Field required"]
    assert response.json["errors"][0]["code"] == "BAD_REQUEST"  # type: ignore[index]  # as above
    assert store.rows("batches") == []


def test_8_9_no_environment(sender: Sender) -> None:
    sent = {name: value for name, value in SERVER_BATCH.items() if name != "environment"}
    assert errors(sender.post(sent)) == ["environment: Field required"]


def test_8_10_a_body_that_is_not_json(sender: Sender) -> None:
    assert "not JSON" in errors(sender.post(b"{not json"))[0]


def test_8_11_bulk_with_the_same_batch_twice(store: Store, sender: Sender) -> None:
    assert is_accepted(sender.post_bulk([SERVER_BATCH, SERVER_BATCH]))
    assert len(store.events()) == 1


def test_8_12_bulk_with_101_batches(store: Store, sender: Sender) -> None:
    assert "101 batches" in errors(sender.post_bulk([batch(event())] * 101))[0]
    assert store.events() == []
    assert is_accepted(sender.post_bulk([batch(event())] * 100))
    assert len(store.events()) == 100


def test_8_13_crash_from_the_python_client(store: Store, sender: Sender) -> None:
    crash = {"message": "boom", "class_name": "ValueError", "severity": "fatal"}
    assert is_accepted(sender.post(batch(event("commerce_event", **crash))))
    assert store.labels() == ["crash_report boom"]
    assert store.bodies()[0]["events"][0]["event_type"] == "crash_report"


def test_8_14_webhook_body_for_8_1(store: Store, sender: Sender) -> None:
    """At a real receiver. Ids are examples in the contract, and differ."""
    change(store, is_active=False)
    store.clock.forward(seconds=0.5)
    known = {**BROWSER_BATCH, "mpid": None, "source_request_id": "before", "events": []}
    sender.upload({**known, "user_identities": {"customer_id": "C-1001"}})
    mpid = store.rows("batches")[-1]["mpid"]
    store.clock.forward(seconds=4.623)
    with Receiver() as receiver:
        add(store, "contract", url=receiver.url, unique_id="higgs-demo")
        assert is_accepted(sender.upload({**BROWSER_BATCH, "mpid": str(mpid)}))
        deliver(store)
        (body,) = bodies(receiver)
    data = body["events"][0]["data"]
    for numbers, name in ((body, "batch_id"), (data, "event_id"), (data, "session_id")):
        assert isinstance(numbers.pop(name), int)
    assert body.pop("context") == {"mpid_sequence": 1}
    assert body.pop("mpid") == mpid
    assert body == json.loads(
        """{"events":[{"event_type":"commerce_event","data":{"timestamp_unixtime_ms":1772360104900,
        "event_start_unixtime_ms":1772360104900,
        "session_uuid":"3B1C7C62-5C52-4E55-8A38-6E0A3C1B0001",
        "session_start_unixtime_ms":1772360100000,
        "source_message_id":"0d6a3b5f-1111-4f0e-9c55-9f0c2a1e0001",
        "custom_attributes":{"list":"home"},"product_action":{"action":"add_to_cart","products":
        [{"id":"HG-TEE-S","name":"Boson Tee","price":25,"quantity":2,"total_product_amount":50}]}}}],
        "schema_version":2,"environment":"development","timestamp_unixtime_ms":1772360105123,
        "source_request_id":"9f0c2a1e-77f0-4f0e-9c55-0d6a3b5f0001","user_identities":
        [{"identity_type":"customer_id","identity":"C-1001","timestamp_unixtime_ms":1772360100500}],
        "user_attributes":{},"device_info":{"platform":"web","screen_width":1280,
        "screen_height":720},"application_info":{"application_name":"Higgs Shop"},
        "source_info":{"channel":"javascript","partner":null,"replay_request_id":null,
        "replay_job_id":null,"is_historical":false},"system_notifications":[],
        "unique_id":"higgs-demo"}"""
    )
