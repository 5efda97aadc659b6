"""Every setting of an output, at a real receiver: what arrives with it, and what does not."""

import doctest
import json
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import pytest
from standardwebhooks import Webhook

from higgs_shop.outputs import OutputSettings
from tests.api.conftest import NOW_MS, OpenStore, Store
from tests.api.delivering import add, bodies, change, deliver, names, types
from tests.api.intake.conftest import KEY, SECRET, Sender, batch, event
from tests.api.journeys import add_to_cart, mpid, sign_up
from tests.network_faults import Receiver

# Each switch, its default, and the kinds that it decides about.
SWITCHES: Final[Mapping[str, tuple[bool, set[str]]]] = {
    "send_custom_events": (True, {"custom_event"}),
    "send_screen_views": (True, {"screen_view"}),
    "send_commerce_events": (True, {"commerce_event"}),
    "send_lifecycle_events": (
        True,
        {"session_start", "session_end", "application_state_transition"},
    ),
    "send_crash_reports": (True, {"crash_report"}),
    "send_network_performance": (True, {"network_performance"}),
    "send_push_events": (True, {"push_message", "push_reaction"}),
    "send_user_attribute_changes": (False, {"user_attribute_change"}),
    "send_user_identity_changes": (False, {"user_identity_change"}),
    "send_alias_requests": (False, {"alias request"}),
    "send_batches_without_events": (True, {"batch without events"}),
}
UNSWITCHED: Final = {"opt_out", "breadcrumb"}
BY_DEFAULT: Final = UNSWITCHED.union(*(kinds for is_on, kinds in SWITCHES.values() if is_on))

DOCUMENT: Final = Path(__file__).parents[2] / "docs" / "outputs.md"
HASH_OF_GRACE: Final = "f4d133e8fa1deafe5b85298465bf737dd4ff3c811dfa2a79657bc1bc22165484"
HASH_OF_ADA: Final = "b97222ea69dadf792baa97fa768ecb840a0023714c831ab1328838cba9f7f437"
SECRETS: Final = (
    "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD",
)

DESCRIBED: Final = batch(
    event(location={"latitude": 52.5, "longitude": 13.4}, source_message_id="m-1"),
    mpid=4711,
    source_request_id="described",
    mp_deviceid="58dfe642-ec66-4256-f423-7f8ccac60001",
    device_info={"platform": "web", "brand": "Higgs", "http_header_user_agent": "Netscape/4.7"},
    application_info={"application_name": "An app", "application_version": "1.0"},
    location={"latitude": 48.1, "longitude": 11.6},
)
METADATA: Final = {
    "device_info": DESCRIBED["device_info"],
    "application_info": DESCRIBED["application_info"],
    "source_info": {
        "channel": "server_to_server",
        "partner": None,
        "replay_request_id": None,
        "replay_job_id": None,
        "is_historical": False,
    },
}


@pytest.fixture
def store(open_store: OpenStore, receiver: Receiver) -> Store:
    return open_store(webhook_url=receiver.url, idsync_key=KEY, idsync_secret=SECRET)


@pytest.fixture
def sender(store: Store) -> Sender:
    return Sender(store.app.test_client(use_cookies=False))


def do_everything(store: Store, sender: Sender) -> None:
    """Whatever there is a switch for, by the shop's pages where they do it, else by a client."""
    visitor = store.browser()
    destination = mpid(visitor.get("/"))
    visitor.get("/go/shop?once=0123456789ab")
    add_to_cart(visitor)
    sign_up(visitor)
    deliver(store)  # opting out takes back what waits
    visitor.submit(visitor.get("/privacy"), "opt-out")
    other = store.browser()
    source = mpid(other.get("/about"))
    kinds: dict[str, dict[str, Any]] = {
        "application_state_transition": {"application_transition_type": "application_initialized"},
        "crash_report": {"message": "boom"},
        "network_performance": {"url": "https://a.example", "response_code": 200},
        "push_message": {"push_message_type": "received"},
        "push_reaction": {},
        "breadcrumb": {"label": "here"},
    }
    sent = batch(*(event(kind, **data) for kind, data in kinds.items()))
    assert sender.post(sent).status_code == 202
    assert sender.post(batch(user_attributes={"likes": "cats"})).status_code == 202
    alias = {
        "request_type": "alias",
        "environment": "development",
        "api_key": KEY,
        "data": {
            "source_mpid": source,
            "destination_mpid": destination,
            "start_unixtime_ms": NOW_MS - 1_000,
            "end_unixtime_ms": NOW_MS,
        },
    }
    aliased = other.open(f"/webevents/v1/identity/{KEY}/Alias", method="POST", json=alias)
    assert aliased.status == 202, aliased.html
    store.clock.forward(minutes=31)
    deliver(store)


def kinds_at(receiver: Receiver, path: str) -> set[str]:
    found: set[str] = set()
    for body in bodies(receiver, path):
        if body.get("request_type") == "alias":
            found.add("alias request")
        else:
            found.update(types(body) or ["batch without events"])
    return found


def test_each_switch_decides_about_its_own_events_and_no_others(
    store: Store, sender: Sender, receiver: Receiver
) -> None:
    add(store, "default", url=f"{receiver.url}/default")
    add(store, "inactive", url=f"{receiver.url}/inactive", is_active=False)
    for switch in SWITCHES:
        for word, is_on in (("on", True), ("off", False)):
            given: dict[str, Any] = {"url": f"{receiver.url}/{switch}/{word}", switch: is_on}
            add(store, f"{switch} {word}", **given)

    do_everything(store, sender)

    assert kinds_at(receiver, "/default") == BY_DEFAULT
    assert kinds_at(receiver, "/inactive") == set()
    # The shop's own output tells identity changes, as the tutorial has it.
    assert kinds_at(receiver, "/") == BY_DEFAULT | {"user_identity_change"}
    for switch, (_, kinds) in SWITCHES.items():
        assert kinds_at(receiver, f"/{switch}/on") == BY_DEFAULT | kinds, switch
        assert kinds_at(receiver, f"/{switch}/off") == BY_DEFAULT - kinds, switch


def test_the_list_of_switches_is_complete() -> None:
    fields = OutputSettings.model_fields
    assert {name: fields[name].default for name in fields if name.startswith("send_")} == {
        **{name: is_on for name, (is_on, _) in SWITCHES.items()},
        "send_as_batch": False,  # tests/api/test_gathering.py
    }


def body_with(store: Store, sender: Sender, receiver: Receiver, **given: Any) -> dict[str, Any]:
    """The body of a batch that says everything, at an output with these settings."""
    add(store, "described", url=f"{receiver.url}/described", **given)
    assert sender.post(DESCRIBED).status_code == 202
    deliver(store)
    (body,) = bodies(receiver, "/described")
    return body


def test_by_default_a_body_has_metadata_and_its_events_location_alone(
    store: Store, sender: Sender, receiver: Receiver
) -> None:
    body = body_with(store, sender, receiver)
    assert {name: body.pop(name) for name in METADATA} == METADATA
    assert body["events"][0]["data"]["location"] == {"latitude": 52.5, "longitude": 13.4}
    assert set(body) == {
        "events",
        "schema_version",
        "environment",
        "mpid",
        "batch_id",
        "timestamp_unixtime_ms",
        "source_request_id",
        "user_identities",
        "user_attributes",
        "context",
        "system_notifications",
    }


@pytest.mark.parametrize(
    ("given", "added"),
    [
        ({"unique_id": "higgs-demo"}, {"unique_id": "higgs-demo"}),
        ({"include_device_id": True}, {"mp_deviceid": DESCRIBED["mp_deviceid"]}),
        ({"include_batch_location": True}, {"location": DESCRIBED["location"]}),
    ],
)
def test_what_is_asked_for_is_added(
    store: Store, sender: Sender, receiver: Receiver, given: dict[str, Any], added: dict[str, Any]
) -> None:
    add(store, "plain", url=f"{receiver.url}/plain")
    body = body_with(store, sender, receiver, **given)
    (plain,) = bodies(receiver, "/plain")
    assert body == {**plain, "batch_id": body["batch_id"], **added}


@pytest.mark.parametrize(
    ("given", "left"),
    [
        ({"include_metadata": False}, {}),
        (
            {"left_out_metadata": ("source_info",)},
            {name: METADATA[name] for name in ("device_info", "application_info")},
        ),
        (
            {"left_out_metadata": ("device_info.http_header_user_agent", "device_info.unknown")},
            {**METADATA, "device_info": {"platform": "web", "brand": "Higgs"}},
        ),
        (
            {"left_out_metadata": ("device_info", "device_info.brand", "application_info")},
            {"source_info": METADATA["source_info"]},
        ),
        ({"include_metadata": False, "left_out_metadata": ("device_info.brand",)}, {}),
    ],
)
def test_metadata_is_left_out_whole_or_in_part(
    store: Store, sender: Sender, receiver: Receiver, given: dict[str, Any], left: dict[str, Any]
) -> None:
    body = body_with(store, sender, receiver, **given)
    assert {name: body[name] for name in METADATA if name in body} == left


def test_an_event_s_location_can_be_left_out(
    store: Store, sender: Sender, receiver: Receiver
) -> None:
    body = body_with(store, sender, receiver, include_location=False, include_batch_location=True)
    assert "location" not in body["events"][0]["data"]
    assert body["events"][0]["data"]["event_name"] == "Store visit"
    assert body["location"] == DESCRIBED["location"]


def test_settings_hold_for_what_the_shop_itself_logs_as_well(
    store: Store, receiver: Receiver
) -> None:
    change(store, unique_id="demo", include_device_id=True, include_metadata=False)
    visitor = store.browser()
    visitor.get("/about")
    deliver(store)
    for body in bodies(receiver):
        assert (body["unique_id"], body["mp_deviceid"]) == ("demo", visitor.cookie("higgs_device"))
        assert METADATA.keys().isdisjoint(body)


def test_an_output_may_be_told_hashes_instead_of_email_addresses(
    store: Store, sender: Sender, receiver: Receiver
) -> None:
    """Whoever tells of them and however they are written; nothing else is hashed."""
    told: dict[str, Any] = {"send_user_identity_changes": True}
    add(store, "plain", url=f"{receiver.url}/plain", **told)
    add(store, "hashed", url=f"{receiver.url}/hashed", hash_email_addresses=True, **told)
    sign_up(store.browser())
    changes = {
        "new": {"identity_type": "email", "identity": " Ada@Example.Test"},
        "old": {"identity_type": "email", "identity": None},
    }
    sender.post(
        batch(
            event("user_identity_change", **changes),
            event(event_name="grace.field@example.com"),
            user_identities={"email": "Ada@example.test ", "customer_id": "ada@example.test"},
        )
    )
    deliver(store)

    assert addresses(bodies(receiver, "/plain")) == {
        "grace.field@example.com",
        "Ada@example.test ",
        " Ada@Example.Test",
    }
    hashed = bodies(receiver, "/hashed")
    assert addresses(hashed) == {HASH_OF_GRACE, HASH_OF_ADA}
    assert len(hashed) == len(bodies(receiver, "/plain"))
    customer_ids = [
        each["identity"]
        for each in hashed[-1]["user_identities"]
        if each["identity_type"] == "customer_id"
    ]
    assert customer_ids == ["ada@example.test"]
    assert names(hashed[-1]) == ["grace.field@example.com"]


def addresses(found: Sequence[Mapping[str, Any]]) -> set[str]:
    """What bodies say where an e-mail address belongs."""
    told = [each for body in found for each in body["user_identities"]]
    for body in found:
        for each in body["events"]:
            if each["event_type"] == "user_identity_change":
                told += [each["data"]["new"], each["data"]["old"]]
    return {
        each["identity"] for each in told if each["identity_type"] == "email" and each["identity"]
    }


def test_the_documented_hash_is_true() -> None:
    found = doctest.testfile(str(DOCUMENT), module_relative=False)
    assert (found.attempted, found.failed) == (2, 0)


def test_each_output_has_its_own_bodies_signatures_numbers_and_authorization(
    store: Store, sender: Sender, receiver: Receiver
) -> None:
    sender.post(batch(event(event_name="Before"), source_request_id="b-1"))
    add(
        store,
        "second",
        url=f"{receiver.url}/second",
        unique_id="the second",
        authorization="Bearer second",
        secrets=SECRETS,
    )
    sender.post(batch(event(event_name="After"), source_request_id="b-2"))
    deliver(store)

    assert [names(body) for body in bodies(receiver)] == [["Before"], ["After"]]
    assert [names(body) for body in bodies(receiver, "/second")] == [["After"]]
    assert [each["context"]["mpid_sequence"] for each in bodies(receiver)] == [1, 2]
    assert [each["context"]["mpid_sequence"] for each in bodies(receiver, "/second")] == [1]
    (second,) = [each for each in receiver.requests if each.path == "/second"]
    main = [each for each in receiver.requests if each.path == "/"]
    assert json.loads(second.body)["unique_id"] == "the second"
    assert second.headers["authorization"] == "Bearer second"
    assert all("authorization" not in each.headers for each in main)
    assert len({each.headers["webhook-id"] for each in receiver.requests}) == 3
    assert len(second.headers["webhook-signature"].split()) == 2, "two secrets during rotation"
    for secret in SECRETS:
        assert_signed(second.headers, second.body, secret)
    own = store.parts.secrets.webhook_secret
    for each in main:
        assert_signed(each.headers, each.body, own)
        with pytest.raises(AssertionError):
            assert_signed(each.headers, each.body, SECRETS[0])


def assert_signed(headers: Mapping[str, str], body: bytes, secret: str) -> None:
    """Not by the library's `verify`, which wants a signature of today."""
    at = datetime.fromtimestamp(int(headers["webhook-timestamp"]), UTC)
    signature = Webhook(secret).sign(headers["webhook-id"], at, body.decode())
    assert signature in headers["webhook-signature"].split()


def test_what_happens_while_an_output_is_inactive_is_never_sent(
    store: Store, sender: Sender, receiver: Receiver
) -> None:
    for name, is_active in (("Before", True), ("Meanwhile", False), ("After", True)):
        change(store, is_active=is_active)
        sender.post(batch(event(event_name=name)))
    deliver(store)
    assert [names(body) for body in bodies(receiver)] == [["Before"], ["After"]]
    assert [body["context"]["mpid_sequence"] for body in bodies(receiver)] == [1, 2]


def test_what_waits_goes_where_the_output_posts_when_it_is_sent(
    store: Store, sender: Sender, receiver: Receiver
) -> None:
    add(store, "moved", url=f"{receiver.url}/old", unique_id="old")
    sender.post(batch(event()))
    change(store, "moved", url=f"{receiver.url}/new", unique_id="new")
    deliver(store)
    assert bodies(receiver, "/old") == []
    (body,) = bodies(receiver, "/new")
    assert body["unique_id"] == "old", "the body was frozen before"


def test_every_setting_is_in_the_documentation_with_its_default() -> None:
    table = (
        DOCUMENT.read_text(encoding="utf-8").split("<!-- settings")[1].split("<!-- /settings")[0]
    )
    rows = re.findall(r"^\| `(\w+)` \| (.+?) \| (.+) \|$", table, re.MULTILINE)
    words = {True: "on", False: "off", "": "empty", (): "empty"}
    fields = OutputSettings.model_fields
    assert {name: default for name, default, _ in rows} == {
        name: words[fields[name].default] for name in fields
    }
    assert [name for name, _, _ in rows] == list(fields)
    for name, _, meaning in rows:
        _, kinds = SWITCHES.get(name, (True, set()))
        assert [kind for kind in kinds if "_" in kind and f"`{kind}`" not in meaning] == []
