"""Saying no to being tracked: what is still logged, still called, and forgotten."""

from tests.api import journeys
from tests.api.browsing import Browser
from tests.api.conftest import FakeClock, Store
from tests.api.visitors.troubled_identity import Trouble, TroubledIdentity


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
