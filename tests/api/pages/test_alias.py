"""Somebody anonymous turns out to be a known person: what the shop carries over, and how it shows."""

import pytest
from sqlalchemy import insert

from higgs_shop.tables import user_attributes
from tests.api.browsing import Browser
from tests.api.conftest import FakeClock, OpenStore, Store
from tests.api.journeys import add_to_cart, buy, mpid, sign_in, sign_out, sign_up


def background(store: Store) -> None:
    """One round of the background worker."""
    store.parts.background.do_round()


def calls(store: Store) -> list[tuple[str, str]]:
    return [(row["action"], row["state"]) for row in store.rows("identity_intents")]


def names_of(store: Store, number: str) -> list[str]:
    return [event.label for event in store.events() if str(event.mpid) == number]


def test_a_returning_customer_gets_what_they_did_before_signing_in(store: Store) -> None:
    visitor = store.browser()
    visitor.get("/")
    customer = mpid(sign_up(visitor))
    sign_out(visitor)
    store.clock.forward(minutes=5)
    anonymous = mpid(visitor.get("/about"))
    add_to_cart(visitor)
    store.clock.forward(minutes=1)
    page = sign_in(visitor, "grace.field@example.com")
    assert mpid(page) == customer
    assert calls(store)[-1] == ("alias", "done")
    assert visitor.get("/cart").has("cart-line")
    theirs = names_of(store, customer)
    background(store)
    carried = names_of(store, customer)[len(theirs) :]
    assert carried == names_of(store, anonymous)
    assert {"screen_view About", "commerce_event add_to_cart"} <= set(carried)
    background(store)
    assert names_of(store, customer) == [*theirs, *carried], "once"


def test_under_profile_link_a_new_customer_does(open_store: OpenStore) -> None:
    store = open_store(identity_strategy="profile_link")
    visitor = store.browser()
    anonymous = mpid(visitor.get("/"))
    customer = mpid(sign_up(visitor))
    background(store)
    assert customer != anonymous
    assert set(names_of(store, anonymous)) <= set(names_of(store, customer))
    assert "screen_view Landing" in names_of(store, customer)


@pytest.mark.parametrize("strategy", ["default", "profile_conversion"])
def test_who_stays_the_same_profile_carries_nothing(open_store: OpenStore, strategy: str) -> None:
    store = open_store(identity_strategy=strategy)
    visitor = store.browser()
    visitor.get("/")
    sign_up(visitor)
    assert "alias" not in dict(calls(store))


@pytest.mark.parametrize("strategy", ["profile_isolation", "best_match"])
def test_strategies_that_keep_profiles_apart_carry_nothing(
    open_store: OpenStore, strategy: str
) -> None:
    store = open_store(identity_strategy=strategy)
    visitor = store.browser()
    visitor.get("/")
    sign_up(visitor)
    sign_out(visitor)
    sign_in(visitor, "grace.field@example.com")
    assert "alias" not in dict(calls(store))
    assert store.rows("aliases") == []


def test_one_customer_after_another_carries_nothing(store: Store) -> None:
    visitor = store.browser()
    visitor.get("/")
    sign_up(visitor)
    sign_up_again = store.browser()
    sign_up_again.get("/")
    sign_up(sign_up_again, email="ada@example.com")
    assert "alias" not in dict(calls(store))


def test_what_was_known_of_the_anonymous_visitor_is_known_of_the_customer(
    open_store: OpenStore,
) -> None:
    store = open_store(identity_strategy="profile_link")
    visitor = store.browser()
    anonymous = mpid(visitor.get("/"))
    with store.parts.database.write() as connection:
        connection.execute(
            insert(user_attributes),
            {
                "workspace_id": "default",
                "mpid": int(anonymous),
                "name": "favourite_particle",
                "value": "muon",
                "set_at_ms": 1,
            },
        )
    customer = mpid(sign_up(visitor))
    known = {(str(row["mpid"]), row["name"]): row["value"] for row in store.rows("user_attributes")}
    assert known[customer, "favourite_particle"] == "muon"
    assert known[anonymous, "favourite_particle"] == "muon"
    assert "user_attribute_change favourite_particle" in names_of(store, customer)


def test_nobody_waits_for_it(open_store: OpenStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """A service that takes logins and no aliases: the shop goes on, and the alias stays owed."""
    store = open_store(identity_strategy="profile_link")
    monkeypatch.setattr(store.parts.alias_service, "wsgi_app", _out_of_order)
    visitor = store.browser()
    visitor.get("/")
    page = sign_up(visitor)
    assert not page.has("identity-pending")
    assert calls(store)[-1] == ("alias", "pending")
    assert mpid(sign_out(visitor)) != mpid(page)
    assert calls(store)[-1] == ("logout", "done")
    monkeypatch.undo()
    store.clock.forward(seconds=40)
    background(store)
    assert ("alias", "done") in calls(store)
    assert [row["state"] for row in store.rows("aliases")] == ["done"]


def _out_of_order(_environ: object, start_response: object) -> list[bytes]:
    start_response("503 Service Unavailable", [("Content-Type", "application/json")])  # type: ignore[operator]
    return [b"{}"]


def test_who_opted_out_has_nothing_carried_over(open_store: OpenStore) -> None:
    store = open_store(identity_strategy="profile_link")
    visitor = store.browser()
    visitor.get("/")
    visitor.submit(visitor.get("/privacy"), "opt-out")
    sign_up(visitor)
    assert "alias" not in dict(calls(store))


class TestTheWebhook:
    """It hears of alias requests if it wants to."""

    def test_not_unless_it_is_switched_on(self, open_store: OpenStore) -> None:
        store = open_store(identity_strategy="profile_link")
        visitor = store.browser()
        visitor.get("/")
        sign_up(visitor)
        background(store)
        assert not [body for body in store.bodies() if "request_type" in body]

    def test_then_it_gets_the_request_as_it_was_sent_with_its_place_in_the_order(
        self, open_store: OpenStore
    ) -> None:
        store = open_store(identity_strategy="profile_link", webhook_alias_requests=True)
        visitor = store.browser()
        anonymous = mpid(visitor.get("/"))
        customer = mpid(sign_up(visitor))
        background(store)
        (body,) = [body for body in store.bodies() if "request_type" in body]
        assert body["request_type"] == "alias"
        assert body["data"]["source_mpid"] == anonymous
        assert body["data"]["destination_mpid"] == customer
        (message,) = [row for row in store.rows("messages") if row["event_id"] is None]
        assert str(message["mpid"]) == customer
        of_customer = [
            each
            for each, row in zip(store.bodies(), store.rows("messages"), strict=True)
            if row["mpid"] == message["mpid"]
        ]
        numbers = [each["context"]["mpid_sequence"] for each in of_customer]
        assert numbers == list(range(1, len(of_customer) + 1))


class TestLooking:
    """Both profiles name the other, and say what became of it."""

    def test_profiles_tell_it_in_plain_words(self, open_store: OpenStore) -> None:
        store = open_store(identity_strategy="profile_link")
        visitor = store.browser()
        anonymous = mpid(visitor.get("/"))
        store.clock.forward(minutes=2)
        customer = mpid(sign_up(visitor))
        background(store)
        page = visitor.get(f"/profiles/{customer}")
        done, accepted = page.all("history-chapter")[:2]
        assert (done["data-action"], done["data-outcome"]) == ("alias", "aliased")
        assert accepted["data-action"] == "alias"
        assert anonymous in page.html
        assert page.has("profile-first-seen")
        assert page.has("profile-event-copy")
        source = visitor.get(f"/profiles/{anonymous}")
        assert [chapter["data-outcome"] for chapter in source.all("history-chapter")][:2] == [
            "aliased",
            "aliased",
        ]
        assert not source.has("profile-event-copy")

    def test_the_x_ray_shows_the_call_and_why(self, open_store: OpenStore) -> None:
        store = open_store(identity_strategy="profile_link")
        visitor = store.browser()
        visitor.get("/")
        sign_up(visitor)
        page = visitor.get("/x-ray")
        shown = [call["data-action"] for call in page.all("x-ray-call")]
        assert shown[0] == "alias"
        assert "is carried over to" in page.html


def test_an_order_of_a_customer_who_came_back_is_theirs_alone(store: Store) -> None:
    """What is copied is what was done before, nothing that comes after."""
    visitor = store.browser()
    visitor.get("/")
    customer = mpid(sign_up(visitor))
    sign_out(visitor)
    sign_in(visitor, "grace.field@example.com")
    buy(visitor)
    background(store)
    purchases = [event for event in store.events() if event.name == "purchase"]
    assert [str(event.mpid) for event in purchases] == [customer]


class TestWhileTimePasses:
    """Between the answer to a call and its being stored, some milliseconds go by."""

    @pytest.fixture
    def clock(self) -> FakeClock:
        return PassingClock()

    def test_whoever_is_current_is_the_newest_on_the_device(self, visitor: Browser) -> None:
        visitor.get("/")
        customer = mpid(sign_up(visitor))
        anonymous = mpid(sign_out(visitor))
        shown = visitor.get("/x-ray").all("x-ray-seen-user")
        assert [user["data-mpid"] for user in shown] == [anonymous, customer]
        sign_in(visitor, "grace.field@example.com")
        shown = visitor.get("/x-ray").all("x-ray-seen-user")
        assert [user["data-mpid"] for user in shown] == [customer, anonymous]


class PassingClock(FakeClock):
    """A clock that is a millisecond further whenever somebody looks."""

    def __call__(self) -> int:
        self.now_ms += 1
        return self.now_ms
