"""Saying no to being tracked: what is still logged, still called, and forgotten."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import insert

from higgs_shop import outbox
from higgs_shop.outputs import change_output, list_outputs
from higgs_shop.tables import events
from tests.api import journeys
from tests.api.browsing import Browser
from tests.api.conftest import FakeClock, OpenStore, Store
from tests.api.visitors.troubled_identity import Trouble, TroubledIdentity
from tests.network_faults import Receiver, Reply


def opt_out(visitor: Browser) -> str:
    """Returns what the store says to it."""
    page = visitor.follow(visitor.submit(visitor.get("/privacy"), "opt-out"))
    return " ".join(page.notices)


def opt_in(visitor: Browser) -> None:
    visitor.follow(visitor.submit(visitor.get("/privacy"), "opt-in"))


def test_the_last_event_says_so(store: Store, visitor: Browser) -> None:
    said = opt_out(visitor)
    assert "discarded" not in said
    assert store.labels()[-1] == "opt_out Opted Out"
    before = store.dump(without=frozenset({"visits", "form_submissions"}))
    visitor.get("/about")
    visitor.get("/cart")
    assert store.dump(without=frozenset({"visits", "form_submissions"})) == before


def test_nothing_is_logged_when_the_silence_is_over(
    store: Store, clock: FakeClock, visitor: Browser
) -> None:
    opt_out(visitor)
    before = store.labels()
    clock.forward(minutes=60)
    store.parts.background.do_round()
    visitor.get("/about")
    assert store.labels() == before


def test_signing_in_still_logs_in_but_logs_nothing(
    store: Store, identity: TroubledIdentity, visitor: Browser
) -> None:
    opt_out(visitor)
    before = store.labels()
    journeys.sign_in(visitor)
    visitor.submit(visitor.get("/account/profile"), "save-profile", email="new@example.com")
    journeys.sign_out(visitor)
    assert [call.action for call in identity.calls] == ["identify", "login", "logout"]
    assert store.labels() == before


def test_what_belongs_to_nobody_yet_is_discarded_and_counted(
    store: Store, identity: TroubledIdentity, visitor: Browser
) -> None:
    identity.trouble = Trouble.NO_CONNECTION
    visitor.get("/about")
    said = opt_out(visitor)
    assert "3 events that had no profile yet were discarded" in said, "two views and the start"
    assert store.labels() == []
    identity.trouble = Trouble.NONE
    store.clock.forward(minutes=5)
    store.parts.background.do_round()
    assert [call for call in identity.calls if call.carried_out] == []
    assert store.bodies() == []


def test_an_answer_that_comes_too_late_logs_nothing(
    store: Store, identity: TroubledIdentity, visitor: Browser
) -> None:
    """The identify of a new session is out, with identities to report, when the person opts out."""
    journeys.sign_up(visitor)
    identity.trouble = Trouble.FAILED
    visitor.submit(visitor.get("/account/profile"), "save-profile", email="new@example.com")
    identity.trouble = Trouble.NONE
    store.clock.forward(seconds=5)

    def meanwhile(_action: str) -> None:
        identity.before = lambda _action: None
        opt_out(visitor)

    identity.before = meanwhile
    store.parts.background.do_round()
    assert identity.calls[-1].action == "modify"
    assert store.labels()[-1] == "opt_out Opted Out"


def test_opting_in_begins_a_session_and_identifies_at_once(
    store: Store, identity: TroubledIdentity, visitor: Browser
) -> None:
    opt_out(visitor)
    since = len(store.labels())
    opt_in(visitor)
    assert store.labels(since=since) == [
        "session_start Session Start",
        "opt_out Opted In",
        "screen_view Privacy",
    ]
    assert [call.action for call in identity.calls] == ["identify", "identify"]
    assert journeys.identity_state(visitor.get("/about")) == "anonymous"
    assert len({event.mpid for event in store.events()}) == 1


def test_who_opted_out_before_the_first_answer_is_identified_when_they_opt_in(
    store: Store, identity: TroubledIdentity, visitor: Browser
) -> None:
    identity.trouble = Trouble.NO_CONNECTION
    opt_out(visitor)
    journeys.sign_in(visitor)
    identity.trouble = Trouble.NONE
    store.clock.forward(minutes=5)
    opt_in(visitor)
    visitor.get("/cart")
    assert [call.action for call in identity.calls if call.carried_out] == ["login", "identify"]
    assert journeys.identity_state(visitor.get("/about")) == "known"
    assert None not in [event.mpid for event in store.events()]


def test_it_holds_for_the_device_whatever_the_visit(
    store: Store, identity: TroubledIdentity, visitor: Browser
) -> None:
    identity.trouble = Trouble.NO_CONNECTION
    visitor.get("/about")
    visitor.client.delete_cookie("higgs_visit")
    opt_out(visitor)
    visitor.client.delete_cookie("higgs_visit")
    visitor.get("/about")
    identity.trouble = Trouble.NONE
    store.clock.forward(minutes=5)
    store.parts.background.do_round()
    assert store.labels() == []
    assert [call for call in identity.calls if call.carried_out] == []


class TestWhatWaits:
    """The receiver is away when somebody opts out, and comes back afterwards."""

    @pytest.fixture
    def away(self) -> Iterator[Receiver]:
        with Receiver(lambda _: Reply(503)) as receiver:
            yield receiver

    @pytest.fixture(params=[{}, {"webhook_retry_seconds": (0,)}], ids=["waiting", "given up"])
    def store(
        self,
        open_store: OpenStore,
        database_url: str,
        away: Receiver,
        request: pytest.FixtureRequest,
    ) -> Store:
        return open_store(database_url=database_url, webhook_url=away.url, **request.param)

    @pytest.fixture
    def visitor(self, store: Store) -> Browser:
        return store.browser()

    def deliver(self, store: Store) -> None:
        """Everything that is or will be due."""
        while store.parts.sender.deliver_due():
            pass
        with store.parts.database.read() as connection:
            (output,) = list_outputs(connection, "default")
        outbox.start_replay(
            store.parts.database, output, outbox.ReplayChoice(), now_ms=store.clock()
        )
        outbox.try_now(store.parts.database, output, now_ms=store.clock())
        while store.parts.sender.deliver_due():
            pass

    def come_back(self, away: Receiver) -> int:
        """Returns: how many requests there were so far."""
        away.answer = lambda _: Reply(204)
        return len(away.requests)

    def test_of_a_thousand_that_wait_none_arrives_and_their_number_is_said(
        self, store: Store, visitor: Browser, away: Receiver
    ) -> None:
        visitor.get("/about")
        enqueue_as_if_seen(store, 997)
        while store.parts.sender.deliver_due():
            pass

        said = opt_out(visitor)

        assert "1,000 events that were not delivered yet will not be" in said, "and the page itself"
        assert "being sent at this moment may still arrive" in said
        before = self.come_back(away)
        self.deliver(store)
        (last,) = away.requests[before:]
        assert json.loads(last.body)["events"][0]["event_type"] == "opt_out"
        assert last.headers["higgs-shop-gap"] == "1-1000"

    def test_batches_that_wait_are_taken_back_with_all_their_events(
        self, store: Store, visitor: Browser, away: Receiver
    ) -> None:
        with store.parts.database.write() as connection:
            (output,) = list_outputs(connection, "default")
            settings = output.settings.model_copy(update={"send_as_batch": True})
            change_output(connection, output, settings, authorization="", secrets=())
        visitor.get("/about")
        store.clock.forward(minutes=10)
        store.parts.background.do_round()
        while store.parts.sender.deliver_due():
            pass
        assert len(store.rows("messages")) == 1

        said = opt_out(visitor)

        assert "2 events that were not delivered yet" in said
        assert "1 events that were still to be sent" in said, "the page itself, which is gathered"
        assert store.rows("messages") == []
        assert len(away.requests) == 1

    def test_what_was_delivered_stays_and_others_get_theirs(
        self, store: Store, visitor: Browser, away: Receiver
    ) -> None:
        away.answer = lambda _: Reply(204)
        visitor.get("/about")
        self.deliver(store)
        away.answer = lambda _: Reply(503)
        visitor.get("/cart")
        other = store.browser()
        theirs = journeys.mpid(other.get("/about"))

        assert "2 events that were not delivered yet" in opt_out(visitor)

        before = self.come_back(away)
        self.deliver(store)
        arrived = [json.loads(each.body) for each in away.requests[before:]]
        assert [str(body["mpid"]) for body in arrived].count(theirs) == 2
        assert len(arrived) == 3
        assert len([row for row in store.rows("messages") if row["state"] == "delivered"]) == 5

    def test_who_sends_at_that_moment_stops_after_the_message_under_way(
        self, store: Store, visitor: Browser, away: Receiver
    ) -> None:
        visitor.get("/about")
        visitor.get("/cart")
        away.hold()
        with ThreadPoolExecutor(1) as sending:
            away.answer = lambda _: Reply(204)
            round_ = sending.submit(store.parts.sender.deliver_due)
            away.wait_for(1, 30)
            opt_out(visitor)
            away.release()
            round_.result(30)
        assert len(away.requests) == 1
        assert [row["lease_token"] is None for row in store.rows("mailboxes")] == [False]


def enqueue_as_if_seen(store: Store, number: int) -> None:
    """So many pages more, of whoever was here: looking at them all would take a minute."""
    seen = store.rows("events")[-1]
    drafts = []
    with store.parts.database.write() as connection:
        for at in range(number):
            copy = {**seen, "source_message_id": f"copy-{at}"}
            del copy["id"]
            event_id = connection.execute(insert(events).returning(events.c.id), copy).scalar_one()
            drafts.append(outbox.Draft(event_id, lambda _sequence, _id: b"{}"))
        (output,) = list_outputs(connection, "default")
        outbox.enqueue(
            connection,
            workspace_id="default",
            output_id=output.id,
            mpid=seen["mpid"],
            drafts=drafts,
            now_ms=store.clock(),
        )
