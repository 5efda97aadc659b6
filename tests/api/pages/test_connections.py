"""Connections on their pages: what they tell of an output, and what can be done to one, without scripts."""

import json
import re
from datetime import UTC, datetime
from typing import Any

import pytest
from standardwebhooks import Webhook

from higgs_shop import outbox
from higgs_shop.database import DatabaseBusy
from higgs_shop.webhook_output import sign
from tests.api.browsing import Browser, Page
from tests.api.conftest import PRODUCTION, OpenStore, Store
from tests.api.delivering import forwarding
from tests.api.journeys import mpid
from tests.network_faults import Received, Receiver, Reply

GONE = Reply(410)
BROKEN = Reply(500, body=b"no room \x00 here")
REFUSED = Reply(422)


@pytest.fixture
def store(open_store: OpenStore, receiver: Receiver) -> Store:
    """A store whose main output posts to the receiver. (What is due goes by its clock on SQLite only.)"""
    return forwarding(open_store(webhook_url=receiver.url))


@pytest.fixture
def on_each(open_store: OpenStore, database_url: str, receiver: Receiver) -> Store:
    """The same, once on each kind of database."""
    return forwarding(open_store(database_url=database_url, webhook_url=receiver.url))


@pytest.fixture
def visitor(store: Store) -> Browser:
    return store.browser()


def deliver(store: Store) -> None:
    """What is due now, until nothing is or the receiver will not have it."""
    while store.parts.sender.deliver_due():
        pass
    forwarding(store)


def exhaust(store: Store) -> None:
    """Time passes until what waits is delivered or given up."""
    for _ in range(12):
        store.clock.forward(minutes=30 * 60)
        deliver(store)


def add(visitor: Browser, name: str = "second", **values: str) -> Page:
    """Another output; the answer is its page."""
    page = visitor.submit(visitor.get("/connections"), "connection-add", name=name, **values)
    assert page.location == f"/connections/{name}", page.html
    return visitor.follow(page)


def state(visitor: Browser, path: str = "/connections/webhook") -> str:
    """Which sign the page shows."""
    return visitor.get(path).one("connection-state")["data-state"]


def next_tries(visitor: Browser) -> list[str]:
    """When the oldest message is tried next, as its own page and the x-ray say."""
    listed = visitor.get("/connections/webhook/deliveries").all("delivery-link")
    own = visitor.get(listed[-1]["href"]).one("delivery-next-try")
    return [own["data-when"], visitor.get("/x-ray").all("x-ray-next-try")[-1]["data-when"]]


def counts(page: Page) -> dict[str, int]:
    """How many messages stand how."""
    return {
        name: int(page.one(f"connection-{name}")["data-count"])
        for name in ("waiting", "dead", "delivered")
    }


def errors(page: Page) -> dict[str, str]:
    """What is said against the fields."""
    assert page.status == 422, page.status
    return {
        each["data-testid"].removesuffix("-error"): each.text
        for each in page.root.all()
        if each.attributes.get("data-testid", "").endswith("-error")
    }


def signature_of(request: Received, secret: str) -> str:
    """The one that the secret makes, by the independent library."""
    moment = datetime.fromtimestamp(int(request.headers["webhook-timestamp"]), UTC)
    signature: str = Webhook(secret).sign(
        request.headers["webhook-id"], moment, request.body.decode()
    )
    return signature


def settings_of(store: Store, name: str) -> dict[str, Any]:
    """An output's settings, as they are stored."""
    (row,) = [row for row in store.rows("outputs") if row["name"] == name]
    settings: dict[str, Any] = json.loads(row["settings"])
    return settings


class TestTellingTheTruth:
    """What the page says of a receiver, whatever that does."""

    def test_all_is_well(self, on_each: Store, receiver: Receiver) -> None:
        visitor = on_each.browser()
        visitor.get("/about")
        page = visitor.get("/connections")
        assert page.one("connection")["data-state"] == "running"
        assert page.text("connection-posts-to") == receiver.url
        assert counts(page) == {"waiting": 2, "dead": 0, "delivered": 0}
        assert page.has("connection-waiting-since")
        deliver(on_each)
        page = visitor.get("/connections/webhook")
        assert counts(page) == {"waiting": 0, "dead": 0, "delivered": 2}
        assert [each["data-status"] for each in page.all("connection-attempt")] == ["200", "200"]

    def test_a_broken_receiver(self, store: Store, visitor: Browser, receiver: Receiver) -> None:
        receiver.answer = lambda _: BROKEN
        visitor.get("/about")
        deliver(store)
        page = visitor.get("/connections")
        assert page.one("connection")["data-state"] == "failing"
        assert page.has("connection-failing")
        assert page.text("connection-retrying").startswith("1 is being retried; the next is due")
        assert page.one("connection-attempt")["data-status"] == "500"
        receiver.answer = lambda _: Reply()
        store.clock.forward(minutes=1)
        deliver(store)
        assert state(visitor) == "running"

    def test_one_persons_failure_is_told_beside_anothers_success(
        self, store: Store, visitor: Browser, receiver: Receiver
    ) -> None:
        receiver.script(BROKEN)
        visitor.get("/about")
        deliver(store)
        other = store.browser()
        other.get("/about")
        deliver(store)
        page = other.get("/connections")
        assert page.all("connection-attempt")[0]["data-status"] == "200"
        assert page.one("connection")["data-state"] == "retrying"
        assert page.one("connection-retrying")["data-count"] == "1"
        assert not page.has("connection-failing")
        store.clock.forward(minutes=1)
        deliver(store)
        assert state(visitor) == "running"

    def test_what_was_given_up_does_not_look_well_until_it_is_delivered_again(
        self, store: Store, visitor: Browser, receiver: Receiver
    ) -> None:
        receiver.script(*[REFUSED] * 5)
        visitor.get("/about")
        exhaust(store)
        page = visitor.get("/connections")
        assert page.one("connection")["data-state"] == "giving_up"
        assert page.text("connection-given-up").startswith("1 given up. Deliver it again")
        for _ in range(3):
            visitor.get("/about")
        deliver(store)
        page = visitor.get("/connections/webhook")
        assert page.one("connection-state")["data-state"] == "running"
        assert "Everything that was to go out" not in page.html
        asked = visitor.get(page.one("connection-deliver-dead")["href"])
        assert asked.one("replay-count")["data-count"] == "1"
        visitor.submit(asked, "replay-start")
        deliver(store)
        assert not visitor.get("/connections").has("connection-given-up")

    def test_what_is_being_sent_is_not_called_due(
        self, store: Store, visitor: Browser, receiver: Receiver
    ) -> None:
        receiver.script(BROKEN)
        visitor.get("/about")
        deliver(store)
        assert next_tries(visitor) == ["later", "later"]
        store.clock.forward(minutes=1)
        forwarding(store)
        assert next_tries(visitor) == ["now", "now"]
        page = visitor.get("/connections/webhook/deliveries")
        assert "answered 500. The next try is due now." in page.all("delivery")[1].text
        with store.parts.database.write() as connection:
            outbox.claim_due(connection, clock=lambda _: store.clock(), lease_ms=30_000)
        page = visitor.get("/connections/webhook")
        assert page.text("connection-sending") == "Something is being sent now."
        assert not page.has("connection-retrying")
        assert next_tries(visitor) == ["sending", "sending"]

    def test_no_page_promises_a_try_while_it_is_paused(
        self, store: Store, visitor: Browser, receiver: Receiver
    ) -> None:
        receiver.script(BROKEN)
        visitor.get("/about")
        deliver(store)
        visitor.submit(visitor.get("/connections/webhook"), "connection-pause")
        page = visitor.get("/connections")
        assert not page.has("connection-retrying")
        assert next_tries(visitor) == ["paused", "paused"]
        page = visitor.get("/connections/webhook/deliveries")
        assert page.has("deliveries-paused")
        assert "next try" not in page.html

    def test_an_inactive_one_says_so_first_and_how_the_rest_goes(
        self, store: Store, visitor: Browser, receiver: Receiver
    ) -> None:
        receiver.script(BROKEN)
        visitor.get("/about")
        deliver(store)
        page = visitor.get("/connections/webhook")
        page = visitor.follow(visitor.submit(page, "connection-change", is_active=None))
        assert page.one("connection-state")["data-state"] == "inactive"
        assert page.has("connection-failing")
        assert "still goes out" in page.text("connection-inactive")

    def test_a_redirect_is_said_not_to_be_followed(
        self, store: Store, visitor: Browser, receiver: Receiver
    ) -> None:
        receiver.script(Reply(302))
        visitor.get("/about")
        deliver(store)
        words = "redirects are not followed"
        assert words in visitor.get("/connections").text("connection-attempt")
        assert words in visitor.get("/connections/webhook/deliveries").all("delivery")[1].text
        assert words in visitor.get("/x-ray").all("x-ray-event")[1].text

    def test_a_receiver_that_is_not_there(self, open_store: OpenStore) -> None:
        store = forwarding(open_store(webhook_url="http://127.0.0.1:1/"))
        visitor = store.browser()
        visitor.get("/about")
        deliver(store)
        page = visitor.get("/connections/webhook")
        assert page.one("connection-state")["data-state"] == "failing"
        attempt = page.one("connection-attempt")
        assert attempt["data-status"] == ""
        assert "no connection" in attempt.text

    def test_gone_pauses_it_until_somebody_resumes(
        self, store: Store, visitor: Browser, receiver: Receiver
    ) -> None:
        receiver.script(GONE)
        visitor.get("/about")
        deliver(store)
        page = visitor.get("/connections/webhook")
        assert page.one("connection-state")["data-state"] == "paused"
        assert "410 Gone" in page.text("connection-pause-reason")
        assert page.has("connection-gone")
        store.clock.forward(minutes=600)
        deliver(store)
        assert len(receiver.requests) == 1
        page = visitor.follow(visitor.submit(visitor.get("/connections"), "connection-resume"))
        assert page.notices == ["It goes on, with what waited first."]
        deliver(store)
        first, again, *_ = receiver.requests
        assert first.headers["webhook-id"] == again.headers["webhook-id"]
        assert state(visitor) == "running"

    def test_pausing_keeps_everything(
        self, store: Store, visitor: Browser, receiver: Receiver
    ) -> None:
        page = visitor.submit(visitor.get("/connections/webhook"), "connection-pause")
        visitor.follow(page)
        visitor.get("/about")
        deliver(store)
        assert receiver.requests == []
        page = visitor.get("/connections/webhook")
        assert page.one("connection-state")["data-state"] == "paused"
        assert "somebody paused it here" in page.text("connection-pause-reason")
        assert counts(page)["waiting"] == 2

    def test_a_refused_event_becomes_a_dead_letter_and_a_gap(
        self, store: Store, visitor: Browser, receiver: Receiver
    ) -> None:
        receiver.script(*[REFUSED] * 5)
        visitor.get("/about")
        exhaust(store)
        page = visitor.get("/connections/webhook/deliveries?state=dead")
        (dead,) = page.all("delivery")
        assert dead["data-sequence"] == "1"
        assert "answered 422" in dead.text
        everything = visitor.get(f"/connections/webhook/deliveries?mpid={dead['data-mpid']}")
        assert [each["data-state"] for each in everything.all("delivery")][-2:] == [
            "delivered",
            "dead",
        ]
        assert everything.one("delivery-gap")["data-sequence"] == "1"

    def test_nobody_forwards(self, store: Store, visitor: Browser) -> None:
        store.clock.forward(seconds=31)
        page = visitor.get("/connections/webhook")
        assert page.one("connection-state")["data-state"] == "silent"
        assert "higgs-shop forward" in page.text("connection-silent")

    def test_only_the_part_that_changes_can_be_asked_for(self, visitor: Browser) -> None:
        visitor.submit(visitor.get("/connections/webhook"), "connection-pause")
        for path in ("/connections", "/connections/webhook"):
            part = visitor.get(f"{path}?part=state")
            assert part.one("connection-state")["data-state"] == "paused"
            assert part.root.with_tag("html") == []
        # What the form said is not swallowed by a script that looks again.
        assert visitor.get("/connections/webhook").notices == [
            "It is paused. What happens meanwhile is kept."
        ]


class TestGathering:
    """Events that wait for others before they become messages."""

    def test_events_of_a_batch_are_counted_and_say_when_they_go(self, on_each: Store) -> None:
        visitor = on_each.browser()
        page = visitor.get("/connections/webhook")
        assert not page.has("connection-gathered")
        visitor.submit(page, "connection-change", send_as_batch="y")
        number = mpid(visitor.get("/about"))
        on_each.clock.forward(minutes=2)
        forwarding(on_each)
        page = visitor.get("/connections")
        assert page.one("connection-gathered")["data-count"] == "2"
        assert counts(page) == {"waiting": 0, "dead": 0, "delivered": 0}
        for path in ("/x-ray", f"/profiles/{number}"):
            told = visitor.get(path).all("delivery-gathered")
            assert {each["data-waits-for"] for each in told} == {"time"}
            assert all("with its batch" in each.text for each in told)
            assert all("in 8 min" in each.text for each in told)
        events = visitor.get("/x-ray").all("x-ray-event")
        assert {each["data-delivery"] for each in events} == {"gathered"}
        on_each.clock.forward(minutes=8)
        forwarding(on_each)
        told = visitor.get("/x-ray").all("delivery-gathered")
        assert {each["data-waits-for"] for each in told} == {"nothing"}

    def test_of_a_session_that_is_waited_for_too_and_at_each_of_several(
        self, visitor: Browser
    ) -> None:
        page = add(visitor)
        visitor.submit(page, "connection-change", wait_for_session="y")
        visitor.get("/about")
        page = visitor.get("/connections/second")
        assert page.one("connection-gathered")["data-count"] == "2"
        assert "session is over" in page.text("connection-gathered")
        profile = visitor.get(f"/profiles/{mpid(visitor.get('/about'))}")
        at = {
            (each["data-connection"], each["data-delivery"]) for each in profile.all("delivery-at")
        }
        assert at == {("webhook", "waiting"), ("second", "gathered")}
        told = {each["data-waits-for"] for each in profile.all("delivery-gathered")}
        assert told == {"session"}


class TestSettings:
    """What an output is set to, by the names of the documentation."""

    def test_every_setting_can_be_changed(self, store: Store, visitor: Browser) -> None:
        page = add(visitor)
        before = settings_of(store, "second")
        texts = {
            "url": "https://receiver.example/hook",
            "unique_id": "store-7",
            "left_out_metadata": "source_info, device_info.platform",
        }
        switched = {
            name: None if value else "y" for name, value in before.items() if value in (True, False)
        }
        page = visitor.follow(visitor.submit(page, "connection-change", **texts, **switched))
        assert page.notices == ["The settings are changed."]
        after = settings_of(store, "second")
        assert after.pop("left_out_metadata") == ["source_info", "device_info.platform"]
        assert {name: after[name] for name in ("url", "unique_id")} == {
            name: texts[name] for name in ("url", "unique_id")
        }
        assert {name: after[name] for name in switched} == {
            name: not before[name] for name in switched
        }
        assert set(after) == {"url", "unique_id", *switched}
        page = visitor.follow(visitor.submit(page, "connection-change"))
        assert page.notices == ["Nothing was changed."]

    def test_each_mistake_is_named_where_it_was_made(self, store: Store, visitor: Browser) -> None:
        page = add(visitor)
        before = store.rows("outputs")
        wrong = visitor.submit(
            page,
            "connection-change",
            url="ftp://receiver.example",
            authorization="Bearer \x00canary",
            unique_id="u" * 201,
            left_out_metadata="device_info,nose",
        )
        found = errors(wrong)
        assert found["connection-url"] == "Use an http or https URL."
        assert found["connection-unique-id"].startswith("Use up to 200 characters")
        assert found["connection-left-out-metadata"].startswith("No such metadata: nose; use")
        assert found["connection-authorization"].startswith("Use up to 2,000 printable")
        assert "canary" not in wrong.html
        assert store.rows("outputs") == before

    def test_an_address_that_nothing_is_sent_to_is_refused_at_once(
        self, store: Store, visitor: Browser
    ) -> None:
        words = (
            "10.0.0.1 is in 10.0.0.0/8 (private), "
            "where nothing is sent unless HIGGS_SHOP_PERMITTED_NETWORKS lists it."
        )
        url = "http://10.0.0.1/x"
        form = visitor.get("/connections")
        wrong = visitor.submit(form, "connection-add", name="second", url=url)
        assert errors(wrong) == {"connection-url": words}
        page = add(visitor)
        wrong = visitor.submit(page, "connection-change", url=url)
        assert errors(wrong) == {"connection-url": words}
        assert settings_of(store, "second")["url"] == ""

    def test_the_authorization_is_kept_sent_and_never_shown(
        self, store: Store, visitor: Browser, receiver: Receiver
    ) -> None:
        page = add(visitor, url=receiver.url)
        page = visitor.submit(page, "connection-change", authorization="Bearer canary")
        page = visitor.follow(page)
        assert "canary" not in page.html
        assert page.has("connection-forgets-authorization")
        visitor.follow(visitor.submit(page, "connection-change", unique_id="u"))
        visitor.get("/about")
        deliver(store)
        sent = [request.headers.get("authorization") for request in receiver.requests]
        assert "Bearer canary" in sent
        page = visitor.get("/connections/second")
        page = visitor.submit(page, "connection-change", forgets_authorization="y")
        assert not visitor.follow(page).has("connection-forgets-authorization")

    def test_what_the_environment_gives_is_shown_and_stays(
        self, open_store: OpenStore, receiver: Receiver
    ) -> None:
        store = open_store(webhook_url=receiver.url, webhook_authorization="Bearer canary")
        visitor = store.browser()
        page = visitor.get("/connections/webhook")
        locked = {each["data-setting"]: each.text for each in page.all("connection-locked")}
        assert set(locked) == {"url", "authorization"}
        assert receiver.url in locked["url"]
        assert "HIGGS_SHOP_WEBHOOK_URL" in locked["url"]
        assert "HIGGS_SHOP_WEBHOOK_AUTHORIZATION" in locked["authorization"]
        assert "canary" not in page.html
        forged = {"url": "https://elsewhere.example", "forgets_authorization": "y"}
        visitor.follow(visitor.submit(page, "connection-change", **forged))
        (output,) = store.rows("outputs")
        assert json.loads(output["settings"])["url"] == receiver.url
        assert output["authorization"] == "Bearer canary"

    def test_an_inactive_output_gets_nothing(self, visitor: Browser) -> None:
        page = visitor.get("/connections/webhook")
        visitor.follow(visitor.submit(page, "connection-change", is_active=None))
        visitor.get("/about")
        page = visitor.get("/connections/webhook")
        assert page.one("connection-state")["data-state"] == "inactive"
        assert counts(page)["waiting"] == 0
        profile = visitor.get(f"/profiles/{mpid(visitor.get('/about'))}")
        assert {each["data-because"] for each in profile.all("delivery-kept")} == {"unwanted"}


class TestSecrets:
    """What signs, and how it is changed without losing a request."""

    def test_both_sign_during_a_rotation(
        self, store: Store, visitor: Browser, receiver: Receiver
    ) -> None:
        old = store.parts.secrets.webhook_secret
        page = visitor.get("/connections/webhook")
        assert old not in page.html
        page = visitor.follow(visitor.submit(page, "connection-add-secret"))
        new = page.text("connection-new-secret")
        assert not visitor.get("/connections/webhook").has("connection-new-secret")
        visitor.get("/about")
        deliver(store)
        for request in receiver.requests:
            expected = {signature_of(request, secret) for secret in (old, new)}
            assert set(request.headers["webhook-signature"].split()) == expected

        page = visitor.get("/connections/webhook")
        page = visitor.follow(visitor.submit(page, "connection-remove-secret"))
        assert page.notices == ["That secret signs nothing any more."]
        (left,) = page.all("connection-secret")
        assert left.text.endswith(new.rstrip("=")[-4:])
        assert not page.has("connection-remove-secret")
        visitor.get("/about")
        deliver(store)
        last = receiver.requests[-1]
        assert last.headers["webhook-signature"] == signature_of(last, new)

    def test_one_may_be_typed_in(self, visitor: Browser) -> None:
        own = "whsec_" + "QUJD" * 10
        page = visitor.get("/connections/webhook")
        wrong = visitor.submit(page, "connection-add-secret", secret="whsec_short")
        assert errors(wrong) == {
            "connection-new-secret-field": "Use whsec_ and then 24 to 64 bytes in base64."
        }
        page = visitor.follow(visitor.submit(page, "connection-add-secret", secret=own))
        assert not page.has("connection-new-secret")
        again = visitor.submit(page, "connection-add-secret", secret=own)
        assert "signs already" in errors(again)["connection-new-secret-field"]
        visitor.submit(page, "connection-add-secret")
        full = visitor.get("/connections/webhook")
        assert len(full.all("connection-secret")) == 3
        assert not full.has("connection-add-secret")
        late = page.form_of("connection-add-secret").with_values({"form_token": "late-" * 4})
        assert "remove the oldest" in str(errors(visitor.send(late)))
        assert own not in full.html

    def test_the_last_one_stays(self, visitor: Browser) -> None:
        page = visitor.follow(
            visitor.submit(visitor.get("/connections/webhook"), "connection-add-secret")
        )
        forms = [page.form_of("connection-remove-secret", nth=number) for number in (0, 1)]
        fresh = [
            form.with_values({"form_token": f"one-time-token-{number}-of-two"})
            for number, form in enumerate(forms)
        ]
        assert visitor.send(fresh[0]).status == 303
        assert visitor.send(fresh[1]).status == 400
        assert len(visitor.get("/connections/webhook").all("connection-secret")) == 1

    def test_the_own_inbox_knows_every_secret_that_signs(self, open_store: OpenStore) -> None:
        store = open_store()
        visitor = store.browser()
        page = visitor.get("/connections/webhook")
        page = visitor.follow(visitor.submit(page, "connection-add-secret"))
        visitor.submit(page, "connection-remove-secret")
        secret = page.text("connection-new-secret")
        body = b"{}"
        seconds = store.clock() // 1_000
        headers = {
            "webhook-id": "msg_1",
            "webhook-timestamp": str(seconds),
            "webhook-signature": sign(
                [secret], webhook_id="msg_1", timestamp_seconds=seconds, body=body
            ),
        }
        path = f"/inbox/{store.parts.secrets.inbox_token}"
        visitor.open(path, method="POST", data=body, headers=headers)
        assert visitor.get("/inbox").one("inbox-request")["data-signature"] == "valid"


class TestMakingAndRemoving:
    """Several outputs side by side."""

    def test_another_one_gets_what_happens_from_then_on(
        self, store: Store, visitor: Browser, receiver: Receiver
    ) -> None:
        visitor.get("/about")
        page = add(visitor, url=f"{receiver.url}/second")
        assert page.text("connection-new-secret").startswith("whsec_")
        assert page.notices == ["The connection second is there."]
        visitor.get("/about")
        deliver(store)
        assert [each.path for each in receiver.requests].count("/second") == 1
        cards = visitor.get("/connections").all("connection")
        assert [each["data-connection"] for each in cards] == ["webhook", "second"]

    def test_where_each_event_stands_is_told_at_each(self, visitor: Browser) -> None:
        page = add(visitor, url="https://receiver.example/")
        visitor.follow(visitor.submit(page, "connection-change", send_lifecycle_events=None))
        visitor.get("/about")
        for page in (visitor.get("/x-ray"), visitor.get(f"/profiles/{mpid(visitor.get('/'))}")):
            at = [
                (each["data-connection"], each["data-delivery"]) for each in page.all("delivery-at")
            ]
            assert ("second", "waiting") in at
            assert ("second", "") in at
            assert ("webhook", "waiting") in at

    def test_names_and_urls_are_checked(self, store: Store, visitor: Browser) -> None:
        page = visitor.get("/connections")
        wrong = visitor.submit(page, "connection-add", name="Second", url="nowhere")
        assert set(errors(wrong)) == {"connection-name", "connection-url"}
        taken = visitor.submit(page, "connection-add", name="webhook")
        assert "choose another" in errors(taken)["connection-name"]
        assert len(store.rows("outputs")) == 1

    def test_one_is_removed_with_its_deliveries(self, on_each: Store) -> None:
        visitor = on_each.browser()
        page = add(visitor)
        visitor.get("/about")
        asked = visitor.get(page.one("connection-remove")["href"])
        assert asked.one("connection-waiting")["data-count"] == "2"
        page = visitor.follow(visitor.submit(asked, "connection-forget"))
        assert page.notices == ["The connection second is forgotten, with its deliveries."]
        assert [row["name"] for row in on_each.rows("outputs")] == ["webhook"]
        assert len({row["output_id"] for row in on_each.rows("messages")}) == 1
        assert visitor.get("/connections/second").status == 404

    def test_the_main_one_stays(self, store: Store, visitor: Browser) -> None:
        page = add(visitor)
        assert not visitor.get("/connections/webhook").has("connection-remove")
        form = visitor.get(page.one("connection-remove")["href"]).form_of("connection-forget")
        form.action = "/connections/webhook/remove"
        assert visitor.send(form).status == 400
        assert visitor.get("/connections/webhook/remove").status == 400
        assert len(store.rows("outputs")) == 2

    def test_the_same_form_sent_twice_does_it_once(self, store: Store, visitor: Browser) -> None:
        form = visitor.get("/connections").form_of("connection-add").with_values({"name": "second"})
        first, second = visitor.send(form), visitor.send(form)
        assert (first.status, second.status) == (303, 303)
        assert first.location == second.location
        assert len(store.rows("outputs")) == 2


class TestDeliveries:
    """Message by message."""

    def test_one_tells_everything(self, store: Store, visitor: Browser, receiver: Receiver) -> None:
        receiver.script(BROKEN)
        visitor.get("/about")
        deliver(store)
        store.clock.forward(minutes=1)
        deliver(store)
        page = visitor.get("/connections/webhook/deliveries")
        oldest = page.all("delivery")[-1]
        page = visitor.get(oldest.find("delivery-link")[0]["href"])
        assert page.one("delivery-state")["data-state"] == "delivered"
        assert page.text("delivery-webhook-id") == receiver.requests[0].headers["webhook-id"]
        assert json.loads(page.text("delivery-body")) == json.loads(receiver.requests[0].body)
        assert [each["data-status"] for each in page.all("delivery-attempt")] == ["500", "200"]
        assert page.text("delivery-answer") == "no room here"

    def test_what_an_answer_asked_for_stands_beside_what_was_granted(
        self, store: Store, visitor: Browser, receiver: Receiver
    ) -> None:
        receiver.script(
            Reply(429, {"Retry-After": "3600"}),
            Reply(301, {"Location": "https://new.example/hook"}),
        )
        visitor.get("/about")
        deliver(store)
        store.clock.forward(minutes=1)
        deliver(store)
        oldest = visitor.get("/connections/webhook/deliveries").all("delivery")[-1]
        page = visitor.get(oldest.find("delivery-link")[0]["href"])
        asked = page.text("delivery-retry-after")
        assert "Retry-After: 3600" in asked
        granted = re.search(r"(\d+) s were granted", asked)
        assert granted, asked
        assert 8 <= int(granted[1]) <= 12, "twice the planned wait of five seconds, 20 % either way"
        assert "https://new.example/hook" in page.text("delivery-location")

    def test_they_are_listed_page_by_page(self, on_each: Store) -> None:
        visitor = on_each.browser()
        for _ in range(51):
            visitor.get("/about")
        page = visitor.get("/connections/webhook/deliveries?state=waiting")
        assert len(page.all("delivery")) == 50
        rest = visitor.get(page.one("deliveries-older")["href"])
        assert [each["data-sequence"] for each in rest.all("delivery")] == ["2", "1"]

    def test_one_persons_are_found(self, store: Store, visitor: Browser) -> None:
        mine = mpid(visitor.get("/about"))
        theirs = mpid(store.browser().get("/about"))
        page = visitor.get("/connections/webhook/deliveries")
        found = visitor.send(page.form_of("deliveries-find").with_values({"mpid": mine}))
        assert {each["data-mpid"] for each in found.all("delivery")} == {mine}
        assert theirs not in found.html
        wrong = visitor.send(page.form_of("deliveries-find").with_values({"mpid": "me"}))
        assert wrong.text("deliveries-mpid-error").startswith("An MPID is a whole number")

    @pytest.mark.parametrize(
        "path",
        [
            "/connections/nothing",
            "/connections/%00",
            "/connections/webhook/deliveries/999",
            "/connections/webhook/deliveries/0",
            "/connections/webhook/deliveries/9007199254740991",
            "/connections/webhook/replays/999",
            "/connections/nothing/replay",
            "/connections?workspace=nix",
            "/connections/webhook?workspace=nix",
        ],
    )
    def test_what_is_not_there_is_said_kindly(self, visitor: Browser, path: str) -> None:
        assert visitor.get(path).status == 404

    @pytest.mark.parametrize(
        "query", ["before=x", "before=-1", "before=9" * 9, "state=x", "mpid=%00"]
    )
    def test_odd_questions_are_answered(self, visitor: Browser, query: str) -> None:
        assert visitor.get(f"/connections/webhook/deliveries?{query}").status == 200


class TestReplay:
    """Delivering again, from the page."""

    def test_dead_letters_go_out_again_with_the_same_ids(
        self, store: Store, visitor: Browser, receiver: Receiver
    ) -> None:
        receiver.answer = lambda _: REFUSED
        visitor.get("/about")
        exhaust(store)
        tried = {each.headers["webhook-id"]: each.body for each in receiver.requests}
        receiver.answer = lambda _: Reply()
        page = visitor.get("/connections/webhook/deliveries?state=dead")
        asked = visitor.get(page.one("deliveries-replay")["href"])
        dead = int(asked.one("replay-count")["data-count"])
        assert dead == len(tried) > 1
        page = visitor.follow(visitor.submit(asked, "replay-start"))
        assert page.one("replay-progress")["max"] == str(dead)
        assert page.one("replay-done")["data-done"] == "0"
        before = len(receiver.requests)
        deliver(store)
        page = visitor.get(page.one("replay-look-again")["href"])
        assert page.one("replay-done")["data-done"] == str(dead)
        assert page.text("replay-delivered") == str(dead)
        assert not page.has("replay-look-again")
        again = {each.headers["webhook-id"]: each.body for each in receiver.requests[before:]}
        assert again == tried
        assert visitor.get("/connections/webhook").has("connection-replay")

    def test_one_message_goes_out_again(
        self, store: Store, visitor: Browser, receiver: Receiver
    ) -> None:
        visitor.get("/about")
        deliver(store)
        first = visitor.get("/connections/webhook/deliveries").all("delivery-link")[-1]["href"]
        asked = visitor.get(visitor.get(first).one("delivery-replay")["href"])
        assert asked.one("replay-count")["data-count"] == "1"
        visitor.submit(asked, "replay-start")
        deliver(store)
        ids = [each.headers["webhook-id"] for each in receiver.requests]
        assert ids[-1] == ids[0]
        assert len(ids) == 3

    def test_a_range_takes_the_delivered_ones_too(self, store: Store, visitor: Browser) -> None:
        visitor.get("/about")
        deliver(store)
        store.clock.forward(minutes=1)
        visitor.get("/about")
        deliver(store)
        form = visitor.get("/connections/webhook/replay").form_of("replay-count-them")
        counted = [
            visitor.send(form.with_values({"what": "all", **bounds})).one("replay-count")
            for bounds in (
                {},
                {"since": "2026-03-01T10:15:30"},
                {"until": "2026-03-01T10:15:30+00:00"},
                {"since": "2026-03-01T10:15", "until": "2026-03-01T10:15:30Z"},
                {"since": "2027-01-01T00:00"},
            )
        ]
        assert [each["data-count"] for each in counted] == ["3", "1", "2", "2", "0"]
        wrong = visitor.send(form.with_values({"since": "soon", "until": "2026-03-01"}))
        assert wrong.text("replay-since-error") == "Enter a moment such as 2026-03-01T10:15."
        assert not wrong.has("replay-start")
        wrong = visitor.send(form.with_values({"since": "2026-03-02", "until": "2026-03-01"}))
        assert wrong.has("replay-until-error")

    def test_what_was_delivered_before_is_no_gap_when_its_replay_fails(
        self, store: Store, visitor: Browser, receiver: Receiver
    ) -> None:
        number = mpid(visitor.get("/about"))
        deliver(store)
        listed = visitor.get(f"/connections/webhook/deliveries?mpid={number}")
        oldest = listed.all("delivery-link")[-1]["href"]
        visitor.submit(
            visitor.get(visitor.get(oldest).one("delivery-replay")["href"]), "replay-start"
        )
        receiver.answer = lambda _: REFUSED
        exhaust(store)

        page = visitor.get(oldest)
        assert page.one("delivery-state")["data-state"] == "dead"
        assert not page.has("delivery-gap")
        assert "The receiver took it before it was replayed" in page.text("delivery-had-before")
        listed = visitor.get(f"/connections/webhook/deliveries?mpid={number}")
        assert not listed.has("delivery-gap")
        assert listed.text("delivery-had-before") == "The receiver has it from before the replay."

    def test_whom_an_old_message_holds_up_is_said_before(
        self, store: Store, visitor: Browser
    ) -> None:
        visitor.get("/about")
        deliver(store)
        asked = visitor.get("/connections/webhook/replay?what=all")
        assert "holds up what is new of its person" in asked.text("replay-holds-up")
        assert "about 3 d" in asked.text("replay-holds-up")

    def test_of_many_the_background_chooses_the_rest_and_the_page_says_so_until_then(
        self, on_each: Store, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("higgs_shop.outbox.choosing._AT_ONCE", 1)
        visitor = on_each.browser()
        for _ in range(2):
            visitor.get("/about")
        deliver(on_each)
        first = {each.headers["webhook-id"] for each in receiver.requests}
        form = visitor.get("/connections/webhook/replay?what=all")
        page = visitor.follow(visitor.submit(form, "replay-start"))
        assert page.one("replay-choosing")["data-total"] == "1"
        assert page.text("replay-choosing").startswith("Still choosing")
        assert not page.has("replay-progress")
        assert "still choosing" in visitor.get("/connections/webhook").text("connection-replay")
        deliver(on_each)
        assert visitor.get(page.path).has("replay-look-again")

        on_each.parts.background.do_round()
        deliver(on_each)

        page = visitor.get(page.path)
        assert not page.has("replay-choosing")
        assert page.one("replay-done")["data-total"] == "3"
        assert page.text("replay-delivered") == "3"
        again = [each.headers["webhook-id"] for each in receiver.requests[3:]]
        assert len(again) == 3
        assert set(again) == first

    def test_a_busy_database_loses_no_replay(
        self, store: Store, visitor: Browser, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The form is spent by then: what it asked for is kept with it."""

        def busy(*_arguments: object, **_options: object) -> None:
            raise DatabaseBusy("somebody writes for long")

        visitor.get("/about")
        deliver(store)
        form = visitor.get("/connections/webhook/replay?what=all")
        with monkeypatch.context() as patched:
            patched.setattr("higgs_shop.outbox.choose_more", busy)
            page = visitor.follow(visitor.submit(form, "replay-start"))
        assert page.has("replay-choosing")
        store.parts.background.do_round()
        assert visitor.get(page.path).one("replay-done")["data-total"] == "2"

    def test_a_form_sent_twice_replays_once(self, store: Store, visitor: Browser) -> None:
        visitor.get("/about")
        deliver(store)
        form = visitor.get("/connections/webhook/replay?what=all").form_of("replay-start")
        first, second = visitor.send(form), visitor.send(form)
        assert (first.location or "").startswith("/connections/webhook/replays/")
        assert second.location == "/connections/webhook#replays"
        assert len(store.rows("replays")) == 1

    @pytest.mark.parametrize("message", ["x", "-1", "1" * 40, "٣"])
    def test_a_choice_that_cannot_be_read_does_nothing(
        self, store: Store, visitor: Browser, message: str
    ) -> None:
        visitor.get("/about")
        deliver(store)
        form = visitor.get("/connections/webhook/replay?what=all").form_of("replay-start")
        assert visitor.send(form.with_values({"message": message})).status == 400
        assert (
            visitor.open("/connections/webhook/replay", query_string={"message": message}).status
            == 200
        )
        assert store.rows("replays") == []


class TestAnotherWorkspace:
    """Everything stays within the workspace that the address names."""

    def test_its_outputs_are_its_own(self, visitor: Browser) -> None:
        visitor.submit(visitor.get("/workspaces"), "workspace-add", id="kiosk")
        page = visitor.get("/connections?workspace=kiosk")
        assert [card["data-connection"] for card in page.all("connection")] == ["webhook"]
        page = visitor.follow(visitor.submit(page, "connection-add", name="theirs"))
        assert page.path == "/connections/theirs?workspace=kiosk"
        assert page.has("connection-new-secret")
        assert visitor.get("/connections/theirs").status == 404
        page = visitor.follow(visitor.submit(page, "connection-change", unique_id="u"))
        page = visitor.follow(visitor.submit(page, "connection-pause"))
        page = visitor.follow(visitor.submit(page, "connection-resume"))
        page = visitor.follow(visitor.submit(page, "connection-add-secret"))
        page = visitor.follow(visitor.submit(page, "connection-remove-secret"))
        assert page.path.startswith("/connections/theirs?workspace=kiosk")
        (content,) = page.root.with_tag("main")
        links = [
            each.attributes.get("href") or each.attributes["action"]
            for each in content.all()
            if each.tag in {"a", "form"}
        ]
        within = [link for link in links if link.startswith("/connections/")]
        assert within
        assert [link for link in within if "workspace=kiosk" not in link] == []
        asked = visitor.get(page.one("connection-remove")["href"])
        page = visitor.follow(visitor.submit(asked, "connection-forget"))
        assert page.path == "/connections?workspace=kiosk"
        assert [card["data-connection"] for card in page.all("connection")] == ["webhook"]


def test_looking_and_managing_is_no_visit_to_the_shop(store: Store, visitor: Browser) -> None:
    page = add(visitor)
    visitor.submit(page, "connection-pause")
    visitor.get("/connections/second/deliveries")
    for table in ("sessions", "events", "identity_intents", "profiles"):
        assert store.rows(table) == [], table


def test_only_observers_may_look_and_send_forms(open_store: OpenStore, database_url: str) -> None:
    for settings in (PRODUCTION, {"operator_token": "let me look"}):
        store = open_store(database_url=database_url, **settings)
        stranger = store.browser()
        token = stranger.get("/privacy").form_of("opt-out")["csrf_token"]
        data = {"name": "x", "csrf_token": token, "form_token": "a-one-time-token-01"}
        for path in ("", "/webhook", "/webhook/pause", "/webhook/secrets", "/webhook/replay"):
            page = stranger.open(f"/connections{path}", method="POST", data=data)
            assert page.status in (302, 404)
            if path != "/webhook/pause":
                assert stranger.get(f"/connections{path}").status in (302, 404, 405)
        (output,) = store.rows("outputs")
        assert (output["state"], output["secrets"]) == ("running", [])
