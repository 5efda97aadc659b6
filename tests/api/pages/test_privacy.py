"""Opting out stops events and every identity call that signing in does not need."""

from tests.api.browsing import Browser
from tests.api.conftest import Store
from tests.api.journeys import buy, identity_state, sign_in


def test_the_choice_is_a_link_in_every_footer(visitor: Browser) -> None:
    link = visitor.get("/").one("footer-privacy")
    assert link["href"] == "/privacy"
    assert link.text == "Privacy (opt out)"
    page = visitor.submit(visitor.get("/privacy"), "opt-out")
    assert visitor.follow(page).one("footer-privacy").text == "Privacy (opted out)"


def test_opting_out_is_the_last_event(store: Store, visitor: Browser) -> None:
    form = visitor.get("/privacy").form_of("opt-out")
    assert {visitor.send(form).location for _ in range(2)} == {"/privacy"}
    assert store.labels()[-1] == "opt_out Opted Out"
    before = len(store.events())
    visitor.get("/")
    visitor.get("/go/shop?once=0123456789ab")
    store.clock.forward(minutes=45)
    buy(visitor)
    assert store.labels(since=before) == []
    assert len(store.rows("orders")) == 1


def test_only_signing_in_and_out_calls_the_identity_service(store: Store, visitor: Browser) -> None:
    visitor.submit(visitor.get("/privacy"), "opt-out")
    calls = len(store.rows("identity_decisions"))
    store.clock.forward(minutes=45)
    visitor.get("/")
    assert len(store.rows("identity_decisions")) == calls
    assert identity_state(sign_in(visitor)) == "known"
    assert [row["action"] for row in store.rows("identity_decisions")[calls:]] == ["login"]
    visitor.submit(visitor.get("/account/profile"), "save-profile", email="new@example.com")
    assert len(store.rows("identity_decisions")) == calls + 1
    assert "opt_out Opted Out" in store.labels()[-1]


def test_opting_in_begins_a_session_and_logs_again(store: Store, visitor: Browser) -> None:
    visitor.submit(visitor.get("/privacy"), "opt-out")
    before = len(store.events())
    form = visitor.get("/privacy").form_of("opt-in")
    assert {visitor.send(form).location for _ in range(2)} == {"/privacy"}
    visitor.get("/about")
    assert store.labels(since=before) == [
        "session_start Session Start",
        "opt_out Opted In",
        "screen_view About",
    ]
    (event,) = [event for event in store.events() if event.name == "Opted In"]
    assert event.data["is_opted_out"] is False


def test_another_device_is_still_logged(store: Store, visitor: Browser) -> None:
    visitor.submit(visitor.get("/privacy"), "opt-out")
    before = len(store.events())
    store.browser().get("/about")
    assert store.labels(since=before) == ["session_start Session Start", "screen_view About"]
