"""Whatever is sent: nothing breaks, nothing is half-written, and what is refused names the member."""

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.api.conftest import Store
from tests.api.intake.conftest import KEY, Sender, basic, batch, event
from tests.api.nasty import BODIES, DEEP_OBJECT, JSON_BODIES, VALUES

SERVER_PATHS = ["/s2s/v2/events", "/s2s/v2/bulkevents", "/s2s/v2/bulkevents/historical"]
UPLOADS = f"/webevents/v3/JS/{KEY}/events"
MEMBERS = [
    "environment",
    "mpid",
    "events",
    "source_request_id",
    "timestamp_unixtime_ms",
    "mp_deviceid",
    "device_info",
    "application_info",
    "user_attributes",
    "deleted_user_attributes",
    "user_identities",
    "consent_state",
    "integration_attributes",
    "context",
]
DATA = [
    "timestamp_unixtime_ms",
    "source_message_id",
    "session_uuid",
    "session_id",
    "session_start_unixtime_ms",
    "custom_attributes",
    "custom_flags",
    "location",
    "event_name",
    "custom_event_type",
    "screen_name",
    "product_action",
    "promotion_action",
    "product_impressions",
    "shopping_cart",
    "user_attribute_name",
    "new",
    "old",
    "deleted",
    "message",
    "url",
]
TYPES = ["custom_event", "commerce_event", "screen_view", "user_attribute_change", "opt_out", "x"]


def check_whole(store: Store) -> None:
    """Each event has its batch, its message, and a page that shows it."""
    batches = {row["id"]: row for row in store.rows("batches")}
    handed_over = {row["event_id"] for row in store.rows("messages")}
    for row in store.rows("events"):
        assert batches[row["batch_id"]]["mpid"] == row["mpid"]
        assert row["id"] in handed_over


@pytest.mark.parametrize("path", SERVER_PATHS)
def test_wrong_bodies_of_servers_are_refused(store: Store, sender: Sender, path: str) -> None:
    before = store.dump(without=frozenset({"quarantined_batches"}))
    for body in [*JSON_BODIES, *(body for _, body in BODIES)]:
        response = sender.post(body, path)
        if body.startswith(b"[") and path != "/s2s/v2/events" and response.status_code == 202:
            continue  # an array of no batches, which may go to quarantine one by one
        assert 400 <= response.status_code < 500, body[:80]
        assert response.is_json
    assert store.dump(without=frozenset({"quarantined_batches"})) == before


def test_wrong_bodies_of_browsers_are_kept_in_quarantine(store: Store, sender: Sender) -> None:
    bodies = [*JSON_BODIES, *(body for _, body in BODIES), DEEP_OBJECT[: 128 * 1024]]
    for body in bodies:
        assert sender.upload(body).status_code == (413 if len(body) > 128 * 1024 else 202)
    wanted = {body for body in bodies if len(body) <= 128 * 1024}
    assert {row["body"] for row in store.rows("quarantined_batches")} == wanted
    assert store.rows("batches") == []
    assert store.browser().get("/intake").status == 200


def test_nasty_texts_in_every_place(store: Store, sender: Sender) -> None:
    for number, value in enumerate(VALUES):
        text = value.encode("utf-8", "replace").decode()
        sent = batch(event(**{DATA[number % len(DATA)]: text}), event(event_name=text))
        sent[MEMBERS[number % len(MEMBERS)]] = text
        for response in (sender.post(sent), sender.post_bulk([sent]), sender.upload(sent)):
            assert response.status_code in {202, 400, 413}, value
        assert sender.upload(
            batch(), f"/webevents/v3/JS/{'x' + text[:200]}/events"
        ).status_code in {
            401,
            404,
        }
        ascii_text = "".join(letter for letter in text[:50] if " " < letter <= "~")
        odd = {"Authorization": basic()["Authorization"] + ascii_text}
        assert sender.post(sent, headers=odd).status_code < 500
    check_whole(store)


_SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**64), 2**64),
    st.floats(),
    st.text(max_size=12),
    st.sampled_from([*TYPES, "production", "4711", "1772360105000", "unknown", "\x00", "\ud800"]),
)
_VALUES = st.recursive(
    _SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.one_of(
                st.sampled_from([*DATA, *MEMBERS, "action", "products", "id"]), st.text(max_size=4)
            ),
            inner,
            max_size=4,
        ),
    ),
    max_leaves=12,
)
_DATA = st.dictionaries(st.sampled_from(DATA), _VALUES, max_size=6)
_EVENTS = st.lists(
    st.one_of(
        _VALUES,
        st.fixed_dictionaries({"event_type": st.sampled_from(TYPES), "data": _DATA}),
        st.just(event()),
    ),
    max_size=4,
)
_BATCHES = st.one_of(
    _VALUES,
    st.builds(
        lambda good, odd, events: {**good, **odd, "events": events},
        st.just(batch()),
        st.one_of(st.just({}), st.dictionaries(st.sampled_from(MEMBERS), _VALUES, max_size=3)),
        st.one_of(st.just([event()]), _EVENTS),
    ),
)


def test_hypothesis_finds_no_body_that_breaks_the_intake(store: Store, sender: Sender) -> None:
    """Derandomized, so always the same."""

    @settings(
        max_examples=250,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(sent=_BATCHES)
    def send(sent: Any) -> None:
        body = json.dumps(sent).encode()
        uploaded, posted = sender.upload(body), sender.post(body)
        assert uploaded.status_code == 202
        assert posted.status_code in {202, 400}
        assert sender.post(b"[" + body + b"]", SERVER_PATHS[1]).status_code in {202, 400}
        assert sender.post(b"[" + body + b"]", SERVER_PATHS[2]).status_code in {202, 400}

    send()
    events = [row for row in store.rows("events") if row["batch_id"] is not None]
    assert len(events) > 20
    for mpid in {row["mpid"] for row in events[:200]}:
        assert store.browser().get(f"/profiles/{mpid}").status == 200
    assert store.browser().get("/intake").status == 200
