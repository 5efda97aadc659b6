"""Trying a receiver out on the pages of connections: test events, and retries that do not wait."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from standardwebhooks import Webhook

from higgs_shop.outbox import claim_due
from higgs_shop.outputs import mark_full, pause_output
from higgs_shop.tracker import TEST_MPID
from tests.api import delivering
from tests.api.browsing import Browser, Page
from tests.api.conftest import PRODUCTION, FakeClock, OpenStore, Store
from tests.api.delivering import forwarding
from tests.api.journeys import mpid
from tests.network_faults import Received, Receiver, Reply

TEST_PERSON = str(TEST_MPID)
BROKEN = Reply(500, body=b"no room here")
LEASE_MS = 30_000


@pytest.fixture
def store(
    open_store: OpenStore,
    database_url: str,
    receiver: Receiver,
    clock: FakeClock,
    monkeypatch: pytest.MonkeyPatch,
) -> Store:
    """A store on each kind of database, where what is due goes by the store's clock on both."""
    monkeypatch.setattr("higgs_shop.outbox.mailboxes.database_time", lambda _: clock())
    return forwarding(open_store(database_url=database_url, webhook_url=receiver.url))


@pytest.fixture
def visitor(store: Store) -> Browser:
    return store.browser()


def deliver(store: Store) -> None:
    while store.parts.sender.deliver_due():
        pass
    forwarding(store)


def send_test(visitor: Browser, path: str = "/connections/webhook") -> Page:
    """Press the button there; the answer is the output's page."""
    return visitor.follow(visitor.submit(visitor.get(path), "connection-send-test"))


def body_of(request: Received) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(request.body)
    return body


class TestSending:
    """A test event is delivered as whatever happens in the shop, and is told from that."""

    @pytest.mark.parametrize("path", ["/connections", "/connections/webhook"])
    def test_it_arrives_signed_and_says_that_it_is_a_test(
        self, store: Store, visitor: Browser, receiver: Receiver, path: str
    ) -> None:
        page = send_test(visitor, path)
        assert page.path == "/connections/webhook#test-event"
        assert page.notices == ["A test event is on its way; under Test event is what comes of it."]
        assert page.one("connection-test")["data-state"] == "waiting"
        assert page.has("connection-test-look-again")

        deliver(store)

        (request,) = receiver.requests
        headers = request.headers
        moment = datetime.fromtimestamp(int(headers["webhook-timestamp"]), UTC)
        secret = store.parts.secrets.webhook_secret
        signed = Webhook(secret).sign(headers["webhook-id"], moment, request.body.decode())
        assert headers["webhook-signature"] == signed
        body = body_of(request)
        (event,) = body["events"]
        assert event["event_type"] == "custom_event"
        assert event["data"]["event_name"] == "Test Event"
        assert event["data"]["custom_event_type"] == "other"
        assert event["data"]["custom_attributes"] == {"is_test": True}
        assert body["mpid"] == TEST_MPID
        assert body["environment"] == "development"
        assert body["context"] == {"mpid_sequence": 1}
        assert (body["user_identities"], body["user_attributes"]) == ([], {})

    def test_the_page_says_what_came_of_it_and_leads_to_its_attempts(
        self, store: Store, visitor: Browser
    ) -> None:
        send_test(visitor)
        deliver(store)
        page = visitor.get("/connections/webhook")
        assert page.one("connection-test")["data-state"] == "delivered"
        assert "answered 200" in page.text("connection-test")
        assert not page.has("connection-test-pending")
        delivery = visitor.get(page.one("connection-test-delivery")["href"])
        assert delivery.headline == "Test Event"
        assert delivery.one("delivery-attempt")["data-status"] == "200"
        listed = visitor.get("/connections/webhook/deliveries")
        assert listed.text("delivery-link") == "Test Event"
        assert listed.one("delivery")["data-mpid"] == TEST_PERSON
        assert "/profiles/-" not in listed.html + delivery.html
        of_person = visitor.get(delivery.one("delivery-of-person")["href"])
        assert of_person.one("delivery")["data-sequence"] == "1"

    def test_it_is_of_nobody_and_no_event_of_the_shop(self, store: Store, visitor: Browser) -> None:
        send_test(visitor)
        deliver(store)
        for table in ("sessions", "events", "identity_intents", "profiles", "user_attributes"):
            assert store.rows(table) == [], table

    def test_it_goes_to_one_output_whatever_that_wants_and_gathers(
        self, store: Store, visitor: Browser, receiver: Receiver
    ) -> None:
        delivering.add(
            store,
            "second",
            url=f"{receiver.url}/second",
            unique_id="mine",
            send_custom_events=False,
            send_as_batch=True,
            include_metadata=False,
        )
        send_test(visitor, "/connections/second")
        deliver(store)
        (request,) = receiver.requests
        assert request.path == "/second"
        body = body_of(request)
        assert body["unique_id"] == "mine"
        assert "source_info" not in body

    def test_a_production_store_marks_it_as_development(
        self, open_store: OpenStore, visitor: Browser, tmp_path: Any
    ) -> None:
        assert send_test(visitor).status == 200
        production = open_store(
            **PRODUCTION, instance=tmp_path / "production", operator_token="let me look"
        )
        operator = production.browser()
        operator.submit(operator.get("/operator"), "operator-enter", token="let me look")
        send_test(operator)
        (body,) = production.bodies()
        assert body["environment"] == "development"

    def test_a_form_sent_twice_sends_one(self, store: Store, visitor: Browser) -> None:
        form = visitor.get("/connections/webhook").form_of("connection-send-test")
        locations = [visitor.send(form).location for _ in range(2)]
        assert locations == ["/connections/webhook#test-event"] * 2
        assert len(store.rows("messages")) == 1


class TestSendingInVain:
    """A receiver that fails, or an output that sends nothing now."""

    def test_the_page_says_why_and_when_it_is_tried_again(
        self, store: Store, visitor: Browser, receiver: Receiver
    ) -> None:
        receiver.answer = lambda _: BROKEN
        send_test(visitor)
        deliver(store)
        page = visitor.get("/connections/webhook")
        assert page.one("connection-test")["data-state"] == "waiting"
        assert "answered 500" in page.text("connection-test")
        assert "The next try is due" in page.text("connection-test-pending")

    def test_pressing_again_tries_the_one_that_waits_with_the_same_id_and_bytes(
        self, store: Store, visitor: Browser, receiver: Receiver
    ) -> None:
        receiver.answer = lambda _: BROKEN
        send_test(visitor)
        deliver(store)
        receiver.answer = lambda _: Reply()
        page = send_test(visitor)
        assert page.notices == [
            "The last test event still waits to be delivered: that one is tried again now."
        ]
        deliver(store)
        first, second = receiver.requests
        assert first.body == second.body
        assert first.headers["webhook-id"] == second.headers["webhook-id"]
        page = visitor.get("/connections/webhook")
        assert page.one("connection-test")["data-state"] == "delivered"

        send_test(visitor)
        deliver(store)
        assert [body_of(each)["context"]["mpid_sequence"] for each in receiver.requests] == [
            1,
            1,
            2,
        ]

    def test_one_that_is_given_up_says_so(
        self, store: Store, visitor: Browser, receiver: Receiver
    ) -> None:
        receiver.answer = lambda _: Reply(422)
        for _ in range(5):
            send_test(visitor)
            deliver(store)
        page = visitor.get("/connections/webhook")
        assert page.one("connection-test")["data-state"] == "dead"
        for words in ("422", "attempt 5"):
            assert words in page.text("connection-test")

    def test_it_is_told_that_nobody_forwards(self, store: Store, visitor: Browser) -> None:
        store.clock.forward(minutes=1)
        page = send_test(visitor)
        assert "nobody forwards" in page.text("connection-test-pending")

    @pytest.mark.parametrize(
        ("hinder", "remedy"),
        [
            pytest.param("pause", "press Go on sending first", id="paused"),
            pytest.param("switch off", "switch on Active", id="inactive"),
            pytest.param("fill", "let the receiver take some of that first", id="full"),
        ],
    )
    def test_where_nothing_would_be_sent_the_page_says_what_to_do(
        self, store: Store, visitor: Browser, hinder: str, remedy: str
    ) -> None:
        page = visitor.get("/connections/webhook")
        output = delivering.find(store)
        if hinder == "switch off":
            delivering.change(store, is_active=False)
        else:
            with store.parts.database.write() as connection:
                if hinder == "pause":
                    pause_output(connection, output.id, "for a test", store.clock())
                else:
                    mark_full(connection, output.id, is_full=True)

        for path in ("/connections", "/connections/webhook"):
            shown = visitor.get(path)
            assert remedy in shown.text("connection-no-test")
            assert not shown.has("connection-send-test")
        late = visitor.submit(page, "connection-send-test")
        assert late.status == 400
        assert "No test event was sent." in late.html
        assert remedy in late.html
        assert store.rows("messages") == []


class TestTryingNow:
    """What waits for its next retry does not wait any longer."""

    @pytest.fixture(autouse=True)
    def waiting(self, store: Store, receiver: Receiver) -> list[str]:
        """Two people whose first message the receiver did not take. Returns their MPIDs."""
        receiver.answer = lambda _: Reply(503, headers={"Retry-After": "9"})
        people = [mpid(store.browser().get("/about")) for _ in range(2)]
        deliver(store)
        receiver.answer = lambda _: Reply()
        return people

    def test_everybody_s_goes_at_once_in_order(
        self, store: Store, visitor: Browser, receiver: Receiver, waiting: list[str]
    ) -> None:
        deliver(store)
        assert len(receiver.requests) == 2
        page = visitor.follow(
            visitor.submit(visitor.get("/connections/webhook"), "connection-try-now")
        )
        assert page.notices == ["What waits of 2 people is tried now."]
        assert not page.has("connection-try-now")

        deliver(store)

        for person in waiting:
            sequences = [
                body["context"]["mpid_sequence"]
                for body in map(body_of, receiver.requests)
                if str(body["mpid"]) == person
            ]
            assert sequences == [1, 1, 2]
        attempts = sorted(row["number"] for row in store.rows("delivery_attempts"))
        assert attempts == [1, 1, 1, 1, 2, 2]
        assert {row["state"] for row in store.rows("messages")} == {"delivered"}

    def test_one_person_s_goes_from_any_of_its_deliveries(
        self, store: Store, visitor: Browser, receiver: Receiver, waiting: list[str]
    ) -> None:
        listed = visitor.get(f"/connections/webhook/deliveries?mpid={waiting[1]}")
        later, first = (link["href"] for link in listed.all("delivery-link"))
        assert visitor.get(first).has("delivery-try-now")
        page = visitor.follow(visitor.submit(visitor.get(later), "delivery-try-now"))
        assert page.path == later
        assert page.notices == ["What waits of 1 person is tried now."]
        assert not page.has("delivery-try-now")

        deliver(store)

        assert {str(body_of(each)["mpid"]) for each in receiver.requests[2:]} == {waiting[1]}
        assert visitor.get(later).one("delivery-state")["data-state"] == "delivered"
        assert visitor.get("/connections/webhook").has("connection-try-now")

    def test_a_paused_output_tries_nothing_and_says_what_to_do(
        self, store: Store, visitor: Browser
    ) -> None:
        page = visitor.get("/connections/webhook")
        delivery = visitor.get("/connections/webhook/deliveries").all("delivery-link")[0]["href"]
        of_one = visitor.get(delivery)
        visitor.submit(page, "connection-pause")
        for shown, button in ((page, "connection-try-now"), (of_one, "delivery-try-now")):
            refused = visitor.submit(shown, button)
            assert refused.status == 400
            assert "The connection is paused" in refused.html
            assert not visitor.get(shown.path).has(button)
        before = len(store.rows("delivery_attempts"))
        visitor.follow(visitor.submit(visitor.get("/connections/webhook"), "connection-resume"))
        deliver(store)
        assert len(store.rows("delivery_attempts")) == before

    def test_an_inactive_output_still_sends_what_waits(
        self, store: Store, visitor: Browser, receiver: Receiver
    ) -> None:
        delivering.change(store, is_active=False)
        visitor.submit(visitor.get("/connections/webhook"), "connection-try-now")
        deliver(store)
        assert len(receiver.requests) == 6

    def test_pressing_late_says_that_nothing_waits(self, store: Store, visitor: Browser) -> None:
        page = visitor.get("/connections/webhook")
        store.clock.forward(minutes=1)
        deliver(store)
        page = visitor.follow(visitor.submit(page, "connection-try-now"))
        assert page.notices == ["Nothing waits for a retry."]

    def test_nothing_is_sent_beside_a_sender(
        self, store: Store, visitor: Browser, receiver: Receiver
    ) -> None:
        """It came for one of the two just after somebody had looked at the page."""
        page = visitor.get("/connections/webhook")
        due_ms = max(row["due_at_ms"] for row in store.rows("mailboxes"))
        with store.parts.database.write() as connection:
            (claim,) = claim_due(connection, clock=lambda _: due_ms, lease_ms=LEASE_MS)
        visitor.submit(page, "connection-try-now")
        deliver(store)
        sent = {body_of(each)["mpid"] for each in receiver.requests[2:]}
        assert claim.mpid not in sent
        assert len(sent) == 1

    @pytest.mark.parametrize(
        "path",
        [
            "nothing/try-now",
            "nothing/test",
            "webhook/deliveries/999/try-now",
            "nothing/deliveries/1/try-now",
        ],
    )
    def test_what_is_not_there_is_said_kindly(self, visitor: Browser, path: str) -> None:
        form = visitor.get("/connections/webhook").form_of("connection-try-now")
        data = {name: form[name] for name in ("csrf_token", "form_token")}
        page = visitor.open(f"/connections/{path}", method="POST", data=data)
        assert page.status == 404

    def test_another_workspace_s_is_left_alone(
        self, store: Store, visitor: Browser, receiver: Receiver
    ) -> None:
        visitor.submit(visitor.get("/workspaces"), "workspace-add", id="kiosk")
        page = visitor.get("/connections/webhook?workspace=kiosk")
        assert not page.has("connection-try-now")
        page = visitor.follow(visitor.submit(page, "connection-send-test"))
        assert page.path == "/connections/webhook?workspace=kiosk#test-event"
        (message,) = [row for row in store.rows("messages") if row["workspace_id"] == "kiosk"]
        assert message["mpid"] == TEST_MPID
        assert not visitor.get("/connections/webhook").has("connection-test")
        assert len(receiver.requests) == 2


class TestNobodyAnswers:
    """A receiver that is away: it is left alone, the pages say so, and somebody may know better."""

    @pytest.fixture(autouse=True)
    def away(self, store: Store, receiver: Receiver) -> None:
        """Seven people want something sent, and five of them are tried in vain."""
        receiver.answer = lambda _: Reply(503)
        for _ in range(7):
            store.browser().get("/about")
        deliver(store)
        assert len(receiver.requests) == 5

    def test_the_page_says_since_when_and_when_one_message_is_tried(
        self, store: Store, visitor: Browser, receiver: Receiver
    ) -> None:
        page = visitor.get("/connections/webhook")
        assert page.one("connection-state")["data-state"] == "failing"
        assert "One is tried" in page.text("connection-unreachable")
        assert json.loads(visitor.get("/readyz").html)["outputs"][0]["unreachable_for_ms"] == 0

        store.clock.forward(seconds=5)
        deliver(store)
        assert len(receiver.requests) == 6
        assert visitor.get("/connections/webhook").has("connection-unreachable")
        assert json.loads(visitor.get("/readyz").html)["outputs"][0]["unreachable_for_ms"] == 5_000

        receiver.answer = lambda _: Reply()
        store.clock.forward(seconds=5)
        deliver(store)
        assert len(receiver.requests) > 7
        assert not visitor.get("/connections/webhook").has("connection-unreachable")
        assert json.loads(visitor.get("/readyz").html)["outputs"][0]["unreachable_for_ms"] is None

    def test_a_message_that_was_not_tried_says_what_it_waits_for(
        self, store: Store, visitor: Browser
    ) -> None:
        untried = [row for row in store.rows("mailboxes") if row["due_at_ms"] <= store.clock()]
        (message, *_) = [
            row for row in store.rows("messages") if row["mpid"] == untried[-1]["mpid"]
        ]
        page = visitor.get(f"/connections/webhook/deliveries/{message['id']}")
        assert page.one("delivery-next-try")["data-when"] == "unreachable"
        assert "Nobody answers there" in page.text("delivery-next-try")
        assert page.has("delivery-try-now")
        assert "What is due goes at once, everybody's" in page.html
        assert "before it" not in page.html

    def test_trying_now_does_not_wait_for_anybody_to_answer(
        self, store: Store, visitor: Browser, receiver: Receiver
    ) -> None:
        receiver.answer = lambda _: Reply()
        page = visitor.get("/connections/webhook")
        page = visitor.follow(visitor.submit(page, "connection-try-now"))
        assert page.notices == ["What waits is tried now, whether or not anybody answers."]
        deliver(store)
        assert {row["state"] for row in store.rows("messages")} == {"delivered"}

    def test_a_test_event_does_not_either(
        self, store: Store, visitor: Browser, receiver: Receiver
    ) -> None:
        send_test(visitor)
        receiver.answer = lambda _: Reply()
        deliver(store)
        assert (
            visitor.get("/connections/webhook").one("connection-test")["data-state"] == "delivered"
        )


def test_only_observers_try_anything_out(open_store: OpenStore) -> None:
    store = open_store(operator_token="let me look")
    stranger = store.browser()
    token = stranger.get("/privacy").form_of("opt-out")["csrf_token"]
    data = {"csrf_token": token, "form_token": "a-one-time-token-01"}
    before = store.rows("messages")
    for path in ("test", "try-now", "deliveries/1/try-now"):
        page = stranger.open(f"/connections/webhook/{path}", method="POST", data=data)
        assert page.status in (302, 404), path
    assert store.rows("messages") == before
