"""Batches of servers: who may send them, how large, in which order, and whom they are about."""

import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.api.conftest import NOW_MS, OpenStore, Store
from tests.api.delivering import change as change_output
from tests.api.intake.conftest import KEY, SECRET, Sender, basic, batch, errors, event, is_accepted

on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
"""For what ends before the database: one kind is enough."""

HOUR_MS = 60 * 60 * 1_000


def at(timestamp_unixtime_ms: int, **data: Any) -> dict[str, Any]:
    return event(
        event_name=str(timestamp_unixtime_ms), timestamp_unixtime_ms=timestamp_unixtime_ms, **data
    )


@on_sqlite
@pytest.mark.parametrize("path", ["/events", "/bulkevents", "/bulkevents/historical"])
@pytest.mark.parametrize(
    ("headers", "status"),
    [
        pytest.param({}, 401, id="nothing"),
        pytest.param({"x-mp-key": KEY}, 401, id="key_only"),
        pytest.param({"Authorization": ""}, 403, id="empty"),
        pytest.param({"Authorization": "Bearer x"}, 403, id="bearer"),
        pytest.param({"Authorization": "Basic ?"}, 403, id="junk"),
        pytest.param(basic("somebody's", SECRET), 403, id="unknown_key"),
        pytest.param(basic(KEY, ""), 403, id="no_secret"),
        pytest.param(basic("a\x00b", SECRET), 403, id="nul"),
        pytest.param(basic("", ""), 403, id="empty_key"),
        pytest.param(basic(KEY, "é\x00"), 403, id="other_letters"),
    ],
)
def test_who_may_not_send(
    store: Store, sender: Sender, path: str, headers: dict[str, str], status: int
) -> None:
    assert errors(sender.post(b"{", f"/s2s/v2{path}", headers), status)
    assert store.rows("batches") == []


@on_sqlite
def test_limits_of_size(store: Store, sender: Sender) -> None:
    filler = event(custom_flags={"filler": "x" * 1_000})
    large = batch(*[filler] * 120)
    assert errors(sender.post(large), 413) == ["a batch may have 131072 bytes"]
    assert is_accepted(sender.post_bulk([batch(event()), large]))
    assert [row["faults"] for row in store.rows("quarantined_batches")] == [
        ["a batch may have 131072 bytes"]
    ]
    assert len(store.events()) == 1
    assert errors(sender.post_bulk([large, large]), 413)


@on_sqlite
@pytest.mark.parametrize("body", [b"[]", b"7", b'"x"', b"null"])
def test_one_batch_is_an_object(sender: Sender, body: bytes) -> None:
    assert errors(sender.post(body)) == ["a batch is a JSON object"]


@on_sqlite
@pytest.mark.parametrize("body", [b"{}", b"7", b"null", b"["])
def test_many_are_an_array(sender: Sender, body: bytes) -> None:
    assert errors(sender.post(body, "/s2s/v2/bulkevents"))
    assert is_accepted(sender.post_bulk([]))


def test_of_many_the_wrong_ones_go_to_quarantine(store: Store, sender: Sender) -> None:
    wrong = [batch(event(), {"event_type": "dance"}), batch(event(), mpid=None), 7]
    assert is_accepted(sender.post_bulk([batch(event()), *wrong, batch(event("first_run"))]))
    assert store.labels() == ["custom_event Store visit", "first_run First Run"]
    faults = [row["faults"][0] for row in store.rows("quarantined_batches")]
    assert faults[0].startswith("events.1.event_type")
    assert faults[1].startswith("mpid: the batch has neither")
    assert faults[2] == "a batch is a JSON object"


def test_events_of_a_batch_are_put_in_order(store: Store, sender: Sender) -> None:
    sent = [
        at(3_000),
        at(1_000),
        at(2_000),
        event(event_name="now"),
        at(1_000, source_message_id="x"),
    ]
    assert is_accepted(sender.post(batch(*sent)))
    assert [logged.name for logged in store.events()] == ["1000", "1000", "2000", "3000", "now"]
    bodies = store.bodies()
    assert [body["context"]["mpid_sequence"] for body in bodies] == [1, 2, 3, 4, 5]
    data = [body["events"][0]["data"] for body in bodies]
    assert data[1]["source_message_id"] == "x"
    assert data[4]["timestamp_unixtime_ms"] == NOW_MS


def test_batches_that_arrive_in_the_wrong_order_can_be_put_right(
    store: Store, sender: Sender
) -> None:
    """They are handed on as they came; a session's events can be sorted by their own times."""
    for sent in (at(2_000, session_uuid="S"), at(1_000, session_uuid="S")):
        sender.post(batch(sent))
    data = [body["events"][0]["data"] for body in store.bodies()]
    assert [each["event_name"] for each in data] == ["2000", "1000"]
    assert len({each["session_id"] for each in data}) == 1
    assert sorted(each["timestamp_unixtime_ms"] for each in data) == [1_000, 2_000]


def test_an_event_that_comes_again_in_another_batch_is_kept_once(
    store: Store, sender: Sender
) -> None:
    again = event(source_message_id="m-1")
    sender.post(batch(again, again))
    sender.post(batch(again, event(event_name="new"), mpid=4712))
    assert [(logged.name, logged.mpid) for logged in store.events()] == [
        ("Store visit", 4711),
        ("new", 4712),
    ]
    assert len(store.bodies()) == 2


def test_ids_that_are_missing_are_made(store: Store, sender: Sender) -> None:
    for _ in range(2):
        assert is_accepted(sender.post(batch(event())))
    first, second = store.bodies()
    for ids in (
        {body["source_request_id"] for body in (first, second)},
        {body["batch_id"] for body in (first, second)},
        {body["events"][0]["data"]["source_message_id"] for body in (first, second)},
        {body["events"][0]["data"]["event_id"] for body in (first, second)},
    ):
        assert len(ids) == 2


@pytest.mark.parametrize("mpid", [2**63 - 1, -(2**63), "9007199254740993"])
def test_mpids_keep_all_64_bits(store: Store, sender: Sender, mpid: int | str) -> None:
    assert is_accepted(sender.post(batch(event(), mpid=mpid)))
    assert store.bodies()[0]["mpid"] == int(mpid)
    assert store.browser().get(f"/profiles/{mpid}").status == 200


def test_a_batch_about_nobody_is_refused(store: Store, sender: Sender) -> None:
    for nobody in ({}, {"user_identities": {"email": None}}, {"device_info": {"platform": "iOS"}}):
        (error,) = errors(sender.post(batch(event(), mpid=None, **nobody)))
        assert error == "mpid: the batch has neither an MPID nor identities to find one by"
    assert store.rows("batches") == []


def test_devices_are_found_by_their_ids(store: Store, sender: Sender) -> None:
    device = {"ios_idfv": "V-1", "android_advertising_id": "G-1", "platform": "iOS"}
    for members in ({"device_info": device}, {"mp_deviceid": "stamp-1", "device_info": device}):
        assert is_accepted(sender.post(batch(event(), mpid=None, **members)))
    assert len({logged.mpid for logged in store.events()}) == 1
    (profile,) = store.rows("profiles")
    assert set(profile["identities"]) == {"ios_idfv", "android_aaid", "device_application_stamp"}
    assert store.bodies()[-1]["user_identities"] == []


def test_a_batch_is_resolved_once_however_often_it_comes(store: Store, sender: Sender) -> None:
    sent = batch(event(), mpid=None, source_request_id="r", user_identities={"customerid": "C-1"})
    for _ in range(3):
        assert is_accepted(sender.post(sent))
    assert len(store.rows("identity_decisions")) == 1
    assert len(store.events()) == 1


def test_what_the_identity_service_refuses_is_refused(
    open_store: OpenStore, tmp_path: Path, database_url: str
) -> None:
    strict = open_store(
        instance=tmp_path,
        database_url=database_url,
        idsync_key=KEY,
        idsync_secret=SECRET,
        immutable_ids=("customerid",),
        identity_priority=("email", "customerid"),
    )
    to_strict = Sender(strict.app.test_client(use_cookies=False))
    for identities in ({"customerid": "C-1"}, {"email": "a@example.test"}):
        assert is_accepted(to_strict.post(batch(event(), mpid=None, user_identities=identities)))
    both = batch(
        event(),
        mpid=None,
        user_identities={"customerid": "C-1", "email": "a@example.test"},
    )
    assert errors(to_strict.post(both))
    assert is_accepted(to_strict.post_bulk([both]))
    assert len(strict.rows("quarantined_batches")) == 1


def test_a_remote_identity_service_is_asked(open_store: OpenStore) -> None:
    answers = [
        httpx.Response(503, json={}),
        httpx.Response(400, json={"errors": [{"code": "BAD_REQUEST", "message": "no"}]}),
        httpx.Response(200, json={"mpid": "77", "is_logged_in": True}),
    ]
    asked: list[dict[str, Any]] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(json.loads(request.content))
        return answers.pop(0)

    far = open_store(
        idsync_url="https://identity.example/v1",
        idsync_key=KEY,
        idsync_secret=SECRET,
        identity_transport=httpx.MockTransport(answer),
    )
    sender = Sender(far.app.test_client(use_cookies=False))
    sent = batch(event(), mpid=None, source_request_id="r", user_identities={"customerid": "C-1"})
    response = sender.post(sent)
    assert errors(response, 503)
    assert response.headers["Retry-After"] == "1"
    assert "no" in errors(sender.post(sent))[0]
    assert is_accepted(sender.post(sent))
    assert [logged.mpid for logged in far.events()] == [77]
    assert [each["known_identities"] for each in asked] == [{"customerid": "C-1"}] * 3
    assert len({each["request_id"] for each in asked}) == 1


def test_attributes_are_kept_in_step(store: Store, sender: Sender) -> None:
    change_output(store, send_user_attribute_changes=True)
    change = event("user_attribute_change", user_attribute_name="tier", new="gold")
    sender.post(batch(change, user_attributes={"name": "Ada", "tag": None, "sizes": ["S"]}))
    expected = {"name": "Ada", "sizes": ["S"], "tag": None, "tier": "gold"}
    assert store.bodies()[-1]["user_attributes"] == expected
    store.clock.forward(seconds=1)
    gone = event("user_attribute_change", user_attribute_name="tier", new=None, deleted=True)
    sender.post(batch(gone, user_attributes={"name": "Eve"}, deleted_user_attributes=["sizes"]))
    assert store.bodies()[-1]["user_attributes"] == {"name": "Eve", "tag": None}
    shown = store.browser().get("/profiles/4711").all("profile-attribute")
    assert [each["data-name"] for each in shown] == ["name", "tag"]
    assert "Eve" in shown[0].text
    assert "a tag" in shown[1].text


def test_a_late_batch_does_not_undo_what_was_said_after_it(store: Store, sender: Sender) -> None:
    uploads = f"/webevents/v3/JS/{KEY}/events"
    for name, sent_at_ms in (("new", NOW_MS - 1_000), ("old", NOW_MS - 2_000)):
        told = {"user_attributes": {"name": name}, "timestamp_unixtime_ms": sent_at_ms}
        assert is_accepted(sender.upload(batch(event(), **told), uploads))
    assert store.bodies()[-1]["user_attributes"] == {"name": "new"}


def test_identities_have_the_times_at_which_they_were_set(store: Store, sender: Sender) -> None:
    known = {"customerid": "C-1", "email": "a@example.test"}
    sender.post(batch(event(), mpid=None, user_identities=known))
    mpid = store.events()[0].mpid
    store.clock.forward(seconds=5)
    told = {"email": "b@example.test", "other": "x"}
    sender.post(batch(event(), mpid=mpid, user_identities=told))
    assert store.bodies()[-1]["user_identities"] == [
        {"identity_type": "customer_id", "identity": "C-1", "timestamp_unixtime_ms": NOW_MS},
        {
            "identity_type": "email",
            "identity": "b@example.test",
            "timestamp_unixtime_ms": NOW_MS + 5_000,
        },
        {"identity_type": "other", "identity": "x", "timestamp_unixtime_ms": NOW_MS + 5_000},
    ]


def test_what_is_for_the_intake_alone_is_not_passed_on(store: Store, sender: Sender) -> None:
    secret = {"api_key": KEY, "ip": "203.0.113.9", "mp_deviceid": "stamp", "schema_version": 9}
    sender.post(batch(event(), **secret, integration_attributes={"70": {"id": "7"}}))
    (body,) = store.bodies()
    assert body["schema_version"] == 2
    assert body["integration_attributes"] == {"70": {"id": "7"}}
    assert not {"api_key", "ip", "mp_deviceid"} & set(body)


def test_a_batch_without_events_is_passed_on(store: Store, sender: Sender) -> None:
    empty = batch(user_attributes={"a": 1})
    for sent in (empty, {**empty, "events": None}):
        assert is_accepted(sender.post(sent))
    assert [body["events"] for body in store.bodies()] == [[], []]
    assert store.events() == []


def test_an_opt_out_is_an_event_like_others(store: Store, sender: Sender) -> None:
    sender.post(batch(event("opt_out", is_opted_out=True), event(event_name="after")))
    assert store.labels() == ["opt_out Opted Out", "custom_event after"]


class TestHistorical:
    """Old data are kept, and not sent on."""

    OLD_MS = NOW_MS - 72 * HOUR_MS

    def test_is_kept_and_not_handed_over(self, store: Store, sender: Sender) -> None:
        told = {"user_attributes": {"name": "Ada"}}
        sent = [batch(at(self.OLD_MS), at(self.OLD_MS - 1), **told)]
        assert is_accepted(sender.post_bulk(sent, "/historical"))
        assert [logged.name for logged in store.events()] == [
            str(self.OLD_MS - 1),
            str(self.OLD_MS),
        ]
        assert store.bodies() == []
        (attribute,) = store.rows("user_attributes")
        assert (attribute["value"], attribute["set_at_ms"]) == ("Ada", self.OLD_MS)

    def test_does_not_undo_what_was_said_since(self, store: Store, sender: Sender) -> None:
        sender.post(batch(user_attributes={"name": "now"}))
        old = batch(at(self.OLD_MS), user_attributes={"name": "then"})
        sender.post_bulk([old], "/historical")
        assert [row["value"] for row in store.rows("user_attributes")] == ["now"]

    @pytest.mark.parametrize(
        "events",
        [
            pytest.param([], id="no_events"),
            pytest.param([event()], id="no_time"),
            pytest.param([at(OLD_MS + 1)], id="too_young"),
            pytest.param([at(OLD_MS), at(NOW_MS)], id="one_too_young"),
        ],
    )
    def test_has_to_be_old(
        self, store: Store, sender: Sender, events: list[dict[str, Any]]
    ) -> None:
        assert is_accepted(sender.post_bulk([batch(*events)], "/historical"))
        assert store.events() == []
        assert len(store.rows("quarantined_batches")) == 1
