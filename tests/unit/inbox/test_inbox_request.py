"""What a page can tell of a request that came to the inbox, whatever was posted."""

import json
from typing import Any

import pytest

from higgs_shop.inbox import EventSummary
from tests.unit.inbox.requests import request


def batch(event_type: str = "custom_event", **data: Any) -> dict[str, Any]:
    return {
        "events": [{"event_type": event_type, "data": data}],
        "mpid": 5811471147114711,
        "context": {"mpid_sequence": 7},
    }


@pytest.mark.parametrize(
    ("data", "name"),
    [
        pytest.param({"event_name": "Navbar Click"}, "Navbar Click", id="custom event"),
        pytest.param({"screen_name": "Landing"}, "Landing", id="screen view"),
        pytest.param({"product_action": {"action": "purchase"}}, "purchase", id="product action"),
        pytest.param(
            {"product_action": None, "promotion_action": {"action": "view"}}, "view", id="promotion"
        ),
        pytest.param(
            {"product_impressions": [{"product_impression_list": "Home"}]}, "Home", id="impression"
        ),
        pytest.param({"user_attribute_name": "city", "new": "Bern"}, "city", id="attribute"),
        pytest.param({"new": {"identity_type": "email"}}, "email", id="identity"),
        pytest.param({"old": {"identity_type": "email"}, "new": None}, None, id="nothing known"),
        pytest.param({"event_name": 5}, None, id="a name that is none"),
        pytest.param({}, None, id="no name, as a session has none"),
    ],
)
def test_an_event_is_named_after_what_happened(data: dict[str, Any], name: str | None) -> None:
    body = json.dumps(batch("some_event", **data)).encode()

    assert request(body).summary == EventSummary("some_event", name, "5811471147114711", 7)


@pytest.mark.parametrize(
    ("changed", "mpid", "sequence"),
    [
        pytest.param({"mpid": "-9223372036854775808"}, "-9223372036854775808", 7, id="mpid text"),
        pytest.param({"mpid": True}, None, 7, id="mpid true"),
        pytest.param({"mpid": [1]}, None, 7, id="mpid list"),
        pytest.param({"context": None}, "5811471147114711", None, id="no context"),
        pytest.param({"context": {"mpid_sequence": "7"}}, "5811471147114711", None, id="text"),
        pytest.param({"context": {"mpid_sequence": True}}, "5811471147114711", None, id="true"),
    ],
)
def test_person_and_number_are_told_only_when_they_are_what_they_should_be(
    changed: dict[str, Any], mpid: str | None, sequence: int | None
) -> None:
    body = json.dumps(batch() | changed).encode()

    assert request(body).summary == EventSummary("custom_event", None, mpid, sequence)


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"\xff\x00", id="bytes"),
        pytest.param(b'{"events":', id="half"),
        pytest.param(b'{"events":[],"mpid":NaN}', id="NaN"),
        pytest.param(b"[" * 100_000, id="deep"),
        pytest.param(b'{"a":1,"a":2}', id="twice"),
    ],
)
def test_what_is_not_json_is_kept_as_bytes(body: bytes) -> None:
    kept = request(body)

    assert kept.json is None
    assert kept.summary is None
    assert isinstance(kept.body_text, str)


@pytest.mark.parametrize(
    "body",
    [b"null", b"5", b"[]", b"{}", b'{"events":{}}', b'{"events":[5]}', b'{"events":[{}]}'],
)
def test_json_of_another_kind_has_no_summary(body: bytes) -> None:
    assert request(body).json == json.loads(body)
    assert request(body).summary is None


def test_a_header_is_found_in_any_case() -> None:
    assert request(b"", ("Host", "x"), ("Webhook-Id", "msg_1")).header("webhook-id") == "msg_1"
    assert request(b"", ("Host", "x")).header("webhook-id") is None
