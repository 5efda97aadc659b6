"""Sessions: a device's activity until 30 minutes of silence, whoever uses it."""

import pytest

from tests.api import journeys
from tests.api.browsing import Browser
from tests.api.conftest import NOW_MS, FakeClock, Logged, Store
from tests.api.visitors.troubled_identity import Trouble, TroubledIdentity

MINUTE_MS = 60_000


def bounds(store: Store) -> list[Logged]:
    """Where sessions begin and end, in the order in which that was written."""
    return [event for event in store.events() if event.event_type.startswith("session_")]


def kinds(store: Store) -> list[str]:
    return [event.event_type for event in bounds(store)]


def times_ms(store: Store) -> list[int]:
    """When, counted from the beginning of the test."""
    return [event.data["timestamp_unixtime_ms"] - NOW_MS for event in bounds(store)]


class TestSilence:
    """Half an hour without a sign of life."""

    def test_a_session_goes_on_for_as_long_as_somebody_is_active(
        self, store: Store, clock: FakeClock, visitor: Browser
    ) -> None:
        for _ in range(4):
            visitor.get("/about")
            clock.forward(minutes=29.999)
        visitor.get("/about")
        assert kinds(store) == ["session_start"]

    def test_the_next_request_ends_it_before_another_begins(
        self, store: Store, clock: FakeClock, visitor: Browser
    ) -> None:
        visitor.get("/about")
        clock.forward(minutes=5)
        visitor.get("/about")
        clock.forward(minutes=30)
        visitor.get("/about")
        assert kinds(store) == ["session_start", "session_end", "session_start"]
        assert times_ms(store) == [0, 5 * MINUTE_MS, 35 * MINUTE_MS]
        first, end, second = bounds(store)
        assert end.data["session_duration_ms"] == 5 * MINUTE_MS
        assert first.data["session_uuid"] == end.data["session_uuid"] != second.data["session_uuid"]
        assert store.labels()[-3:] == [
            "session_end Session End",
            "session_start Session Start",
            "screen_view About",
        ]

    def test_the_background_worker_ends_it_when_nobody_comes(
        self, store: Store, clock: FakeClock, visitor: Browser
    ) -> None:
        visitor.get("/about")
        clock.forward(minutes=29.999)
        store.parts.background.do_round()
        assert kinds(store) == ["session_start"]
        clock.forward(minutes=1)
        for _ in range(3):
            store.parts.background.do_round()
        assert kinds(store) == ["session_start", "session_end"]
        assert times_ms(store) == [0, 0]
        visitor.get("/about")
        assert kinds(store) == ["session_start", "session_end", "session_start"]

    def test_a_session_that_ends_while_a_page_is_made_loses_no_event(
        self, store: Store, identity: TroubledIdentity, clock: FakeClock, visitor: Browser
    ) -> None:
        """The page waits for the identity service; the half hour passes; the worker is at work."""
        identity.trouble = Trouble.FAILED
        visitor.get("/about")
        clock.forward(minutes=29.999)
        identity.trouble = Trouble.NONE

        def meanwhile(_action: str) -> None:
            identity.before = lambda _action: None
            clock.forward(minutes=1)
            store.parts.visitors.end_silent_sessions()

        identity.before = meanwhile
        visitor.get("/cart")
        assert store.labels()[-3:] == [
            "session_end Session End",
            "session_start Session Start",
            "screen_view View My Cart",
        ]
        store.parts.background.do_round()
        assert None not in [event.mpid for event in store.events()]

    @pytest.mark.parametrize("minutes", [0, 30], ids=["at_once", "after_silence"])
    def test_only_people_who_look_count(
        self, store: Store, clock: FakeClock, visitor: Browser, minutes: int
    ) -> None:
        visitor.get("/about")
        clock.forward(minutes=minutes)
        before = store.labels()
        visitor.open("/about", method="HEAD")
        visitor.get("/about", sec_purpose="prefetch")
        visitor.get("/static/css/base.css")
        visitor.get("/healthz")
        assert store.labels() == before


class TestWhose:
    """Under whom a session begins and ends."""

    def test_one_session_spans_signing_in_and_out(
        self, store: Store, clock: FakeClock, visitor: Browser
    ) -> None:
        visitor.get("/about")
        clock.forward(minutes=10)
        journeys.sign_in(visitor)
        clock.forward(minutes=10)
        journeys.sign_out(visitor)
        assert kinds(store) == ["session_start"]
        assert len({event.data["session_uuid"] for event in store.events()}) == 1
        sequences = [body["context"]["session_sequence"] for body in store.bodies()]
        assert sequences == list(range(1, len(sequences) + 1))

    @pytest.mark.parametrize("ends_it", ["request", "worker"])
    def test_it_ends_under_whoever_was_active_last(
        self, store: Store, clock: FakeClock, visitor: Browser, ends_it: str
    ) -> None:
        journeys.sign_in(visitor)
        visitor.get("/about")
        clock.forward(minutes=31)
        if ends_it == "worker":
            store.parts.background.do_round()
        visitor.get("/about")
        _, end, start = bounds(store)
        (known, _) = [event.mpid for event in store.events() if event.name == "About"]
        assert end.mpid == start.mpid == known

    def test_it_ends_under_nobody_yet_when_nobody_knows_yet(
        self, store: Store, identity: TroubledIdentity, clock: FakeClock, visitor: Browser
    ) -> None:
        journeys.sign_in(visitor)
        known = store.events()[-1].mpid
        identity.trouble = Trouble.FAILED
        journeys.sign_out(visitor)
        clock.forward(minutes=31)
        store.parts.visitors.end_silent_sessions()
        assert bounds(store)[-1].mpid is None
        identity.trouble = Trouble.NONE
        store.parts.background.do_round()
        assert bounds(store)[-1].mpid not in {None, known}

    def test_a_new_session_identifies_whoever_is_signed_in(
        self, identity: TroubledIdentity, clock: FakeClock, visitor: Browser
    ) -> None:
        journeys.sign_in(visitor)
        clock.forward(minutes=30)
        visitor.get("/about")
        visitor.get("/about")
        assert [call.action for call in identity.calls] == ["identify", "login", "identify"]
        assert identity.calls[-1].identities == {
            "customerid": "returning_user",
            "email": "ada.track@example.com",
        }

    def test_a_new_visit_in_a_live_session_identifies_again(
        self, store: Store, identity: TroubledIdentity, visitor: Browser
    ) -> None:
        """The visit's cookie is gone, the device's is still there."""
        visitor.get("/about")
        visitor.client.delete_cookie("higgs_visit")
        visitor.get("/about")
        assert [call.action for call in identity.calls] == ["identify", "identify"]
        assert kinds(store) == ["session_start"]
        assert None not in [event.mpid for event in store.events()]

    def test_a_session_that_moved_on_to_another_visit_ends_there(
        self, store: Store, clock: FakeClock, visitor: Browser
    ) -> None:
        journeys.sign_in(visitor)
        visitor.client.delete_cookie("higgs_visit")
        visitor.get("/about")
        clock.forward(minutes=31)
        store.parts.background.do_round()
        assert bounds(store)[-1].mpid == store.events()[-2].mpid
        assert bounds(store)[-1].mpid != bounds(store)[0].mpid
