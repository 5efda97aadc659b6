"""Where other apps send their events, what was not taken in, and how the rest shows on profiles."""

import json

from higgs_shop.workspaces import add_workspace, new_workspace
from tests.api.browsing import Browser
from tests.api.conftest import Store
from tests.api.intake.conftest import Sender, batch, event

UPLOADS = "/webevents/v3/JS/demo-web-key/events"


def upload(store: Store, *events: object, **members: object) -> None:
    sent = {**batch(**members), "events": list(events)}
    Sender(store.app.test_client(use_cookies=False)).upload(sent, UPLOADS)


def test_the_page_says_where_to_send(visitor: Browser) -> None:
    page = visitor.get("/intake")
    assert page.text("intake-web-address") == f"localhost{UPLOADS}"
    assert page.text("intake-server-address") == "http://localhost/s2s/v2"
    assert page.has("quarantine-empty")


def test_what_was_not_taken_in_is_shown_with_its_reasons(store: Store, visitor: Browser) -> None:
    fine, wrong = event(), {"event_type": "dance"}
    upload(store, fine, wrong, {"event_type": "custom_event", "data": {"event_name": "x"}})
    (row,) = visitor.get("/intake").all("quarantined-batch")
    assert row["data-kept-events"] == "1"
    assert row["data-channel"] == "javascript"
    first, second = (fault.text for fault in row.find("quarantine-fault"))
    assert first == "events.1.event_type: 'dance' is not one of the documented event types"
    assert "events.2: a custom_event needs data.custom_event_type" in second
    assert json.loads(row.find("quarantine-body")[0].text)["events"][1] == wrong
    assert store.labels() == ["custom_event Store visit"]


def test_the_quarantine_pages_through_older_ones(store: Store, visitor: Browser) -> None:
    for number in range(26):
        upload(store, mpid=number, environment="nowhere")
    page = visitor.get("/intake")
    assert len(page.all("quarantined-batch")) == 25
    older = visitor.get(page.one("quarantine-older")["href"])
    assert len(older.all("quarantined-batch")) == 1
    assert not older.has("quarantine-older")


def test_looking_changes_nothing(store: Store, visitor: Browser) -> None:
    upload(store, {"event_type": "dance"})
    before = store.dump()
    assert visitor.get("/intake").status == 200
    assert store.dump() == before


def test_a_profile_tells_events_of_clients_from_the_shops_own(
    store: Store, visitor: Browser
) -> None:
    upload(store, event("application_state_transition"), event("crash_report", message="boom"))
    historical = batch(event(timestamp_unixtime_ms=1))
    server = Sender(store.app.test_client(use_cookies=False))
    old = [historical]
    assert (
        server.post(
            old,
            "/s2s/v2/bulkevents/historical",
            {"Authorization": "Basic ZGVtby13ZWIta2V5OmRlbW8td2ViLXNlY3JldA=="},
        ).status_code
        == 202
    )
    page = visitor.get("/profiles/4711")
    crash, started, kept = page.all("profile-event")
    assert (kept["data-delivery"], kept["data-channel"]) == ("kept", "server_to_server")
    assert (crash["data-delivery"], crash["data-channel"]) == ("waiting", "javascript")
    assert "Sent by a client (Web SDK), taken in by higgs_shop/intake/web_sdk.py:" in crash.text
    assert "Application event" in started.text
    assert "Kept, not sent" in kept.text


def test_a_bad_body_that_comes_again_is_counted_with_its_last_way_in(
    store: Store, visitor: Browser
) -> None:
    wrong = {**batch(), "events": [{"event_type": "dance"}, {"event_type": "fly"}]}
    body = json.dumps(wrong, separators=(",", ":")).encode()
    sender = Sender(store.app.test_client(use_cookies=False))
    sender.upload(body, UPLOADS)
    assert not visitor.get("/intake").has("quarantine-again")
    sender.upload(body, UPLOADS)
    store.clock.forward(minutes=2)
    headers = {"Authorization": "Basic ZGVtby13ZWIta2V5OmRlbW8td2ViLXNlY3JldA=="}
    sender.post([wrong], "/s2s/v2/bulkevents", headers)

    page = visitor.get("/intake")

    again = page.all("quarantine-again")
    assert [row["data-times"] for row in again] == ["3"]
    assert "server to server" in again[0].text
    assert page.all("quarantine-more-faults")[0].text == "and 1 more fault"


def test_each_workspace_has_a_quarantine_of_its_own(store: Store, visitor: Browser) -> None:
    with store.parts.database.write() as connection:
        add_workspace(
            connection, new_workspace({"id": "kiosk", "api_key": "kiosk-key"}), store.clock()
        )
    sender = Sender(store.app.test_client(use_cookies=False))
    sender.upload(
        {**batch(), "events": [{"event_type": "dance"}]}, "/webevents/v3/JS/kiosk-key/events"
    )
    assert visitor.get("/intake").has("quarantine-empty")
    link = visitor.get("/workspaces/kiosk").one("workspace-look-at-intake")["href"]
    page = visitor.get(link)
    assert len(page.all("quarantined-batch")) == 1
    assert "kiosk-key" in page.text("intake-web-address")
    assert page.text("in-workspace") == "kiosk"
    assert visitor.get("/intake?workspace=nowhere").status == 404
