"""The shop under each identity strategy: what signing up, out and in makes of the visitor's MPID."""

from collections.abc import Callable

import pytest

from tests.api.browsing import Browser
from tests.api.conftest import OpenStore
from tests.api.journeys import buy, identity_state, mpid, sign_in, sign_out, sign_up
from tests.api.visitors.troubled_identity import Trouble, TroubledIdentity


def pending(visitor: Browser) -> bool:
    return visitor.get("/").has("identity-pending")


@pytest.mark.parametrize(
    ("strategy", "stays", "comes_back"),
    [
        ("default", True, False),
        ("profile_conversion", True, False),
        ("profile_link", False, False),
        ("profile_isolation", False, True),
    ],
)
def test_people_sign_up_out_and_in(
    open_store: OpenStore, strategy: str, stays: bool, comes_back: bool
) -> None:
    store = open_store(identity_strategy=strategy)
    visitor = store.browser()
    anonymous = mpid(visitor.get("/"))
    page = sign_up(visitor)
    customer = mpid(page)
    assert identity_state(page) == "known"
    assert (customer == anonymous) is stays
    order = buy(visitor)
    page = sign_out(visitor)
    assert identity_state(page) == "anonymous"
    assert mpid(page) != customer
    assert (mpid(page) == anonymous) is comes_back
    assert mpid(sign_in(visitor, "grace.field@example.com")) == customer
    assert order in visitor.get("/account").html
    assert not pending(visitor)
    (signed_up,) = [event for event in store.events() if event.name == "Signed Up"]
    assert str(signed_up.mpid) == customer
    purchases = [event for event in store.events() if event.name == "purchase"]
    assert [str(event.mpid) for event in purchases] == [customer]


@pytest.mark.parametrize(
    ("strategy", "signing_up", "signing_out"),
    [
        ("default", "does not change", "somebody else"),
        ("profile_conversion", "does not change", "somebody else"),
        ("profile_link", "copied to it, by an alias", "somebody else"),
        ("profile_isolation", "nothing is copied", "the one again that this browser had before"),
        ("best_match", "only matches", "only matches"),
    ],
)
def test_the_texts_say_what_the_strategy_does(
    open_store: OpenStore, strategy: str, signing_up: str, signing_out: str
) -> None:
    visitor = open_store(identity_strategy=strategy).browser()
    assert signing_up in visitor.get("/account/sign-up").text("signup-consequence")
    about = visitor.get("/about")
    assert signing_out in about.text("about-signing-out")
    if strategy == "profile_link":
        assert "copied to it, by an alias" in about.text("about-signing-up")


def test_best_match_only_matches(open_store: OpenStore) -> None:
    """There is no login: the shop knows who is signed in, the identity service only who matches."""
    store = open_store(identity_strategy="best_match")
    visitor = store.browser()
    anonymous = mpid(visitor.get("/"))
    page = sign_up(visitor)
    assert (mpid(page), identity_state(page)) == (anonymous, "anonymous")
    assert page.has("customer-id")
    page = sign_out(visitor)
    assert (mpid(page), identity_state(page)) == (anonymous, "anonymous")
    assert page.has("sign-in"), "signed out of the shop all the same"
    assert not pending(visitor)
    assert {row["action"] for row in store.rows("identity_decisions")} == {"identify"}
    elsewhere = store.browser()
    elsewhere.get("/")
    assert mpid(sign_in(elsewhere, "grace.field@example.com")) == anonymous


def test_best_match_asks_nothing_for_somebody_who_is_not_tracked(open_store: OpenStore) -> None:
    store = open_store(identity_strategy="best_match")
    visitor = store.browser()
    visitor.submit(visitor.get("/privacy"), "opt-out")
    calls = len(store.rows("identity_decisions"))
    sign_in(visitor)
    sign_out(visitor)
    assert len(store.rows("identity_decisions")) == calls
    assert not pending(visitor)


@pytest.mark.parametrize("leave", [sign_in, sign_out], ids=["login", "logout"])
def test_what_was_owed_before_best_match_is_asked_for_in_its_way(
    open_store: OpenStore, leave: Callable[[Browser], object]
) -> None:
    """A store that starts again with another strategy, while somebody's call is still owed."""
    identity = TroubledIdentity()
    store = open_store(identity_transport=identity)
    identity.reach(store.parts.embedded_service)
    visitor = store.browser()
    visitor.get("/")
    if leave is sign_out:
        sign_in(visitor)
    identity.trouble = Trouble.NO_CONNECTION
    leave(visitor)
    store.clock.forward(minutes=1)
    later = open_store(identity_strategy="best_match")
    later.parts.background.do_round()
    assert {row["state"] for row in later.rows("identity_intents")} == {"done"}
    assert all(event.mpid is not None for event in later.events())


@pytest.mark.parametrize(
    ("strategy", "signing_up", "welcome"),
    [
        ("default", "your MPID does not change", "You are known now"),
        ("profile_conversion", "your MPID does not change", "You are known now"),
        ("profile_link", "You get a new MPID", "You are known now"),
        ("profile_isolation", "You get a new MPID", "You are known now"),
        ("best_match", "your MPID does not change", "and nobody known"),
    ],
)
def test_pages_say_what_signing_up_does(
    open_store: OpenStore, strategy: str, signing_up: str, welcome: str
) -> None:
    visitor = open_store(identity_strategy=strategy).browser()
    assert signing_up in visitor.get("/account/sign-up").html
    assert welcome in sign_up(visitor).html
