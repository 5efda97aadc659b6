"""The clock of a store is set a day back: whatever waits for its time waits no longer than usual."""

from pathlib import Path
from typing import Any

import pytest

from tests.api.browsing import Browser
from tests.api.conftest import NOW_MS, OpenStore, Store
from tests.api.delivering import bodies, change, deliver, names, types
from tests.api.journeys import add_to_cart, mpid, sign_in, sign_out, sign_up
from tests.network_faults import Receiver

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS


@pytest.fixture
def settings(database_url: str, tmp_path: Path, receiver: Receiver) -> dict[str, Any]:
    """Of a store on each kind of database, whose aliases wait for an hour."""
    return {
        "database_url": database_url,
        "instance": tmp_path,
        "webhook_url": receiver.url,
        "alias_delay_seconds": 3_600,
    }


@pytest.fixture
def store(open_store: OpenStore, settings: dict[str, Any]) -> Store:
    """It has worked for a while."""
    store = open_store(**settings)
    store.parts.background.do_round()
    return store


def set_back(store: Store) -> None:
    """The clock is set, and the background has a look at it."""
    store.clock.now_ms -= DAY_MS
    store.parts.background.do_round()


def owe_an_alias(store: Store) -> str:
    """A customer signs in after having looked at a page as somebody else. Returns the MPID."""
    visitor = store.browser()
    visitor.get("/")
    customer = mpid(sign_up(visitor))
    sign_out(visitor)
    visitor.get("/privacy")
    assert mpid(sign_in(visitor, "grace.field@example.com")) == customer
    return customer


def carried_over(store: Store, customer: str) -> list[str]:
    """What a customer did as somebody else, as far as it is theirs now."""
    return [
        event["name"]
        for event in store.rows("events")
        if event["copied_from"] is not None and str(event["mpid"]) == customer
    ]


def test_an_alias_is_carried_out_after_its_delay(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    customer = owe_an_alias(store)
    set_back(store)
    assert "the delay of aliases is shorter now: 1 are due sooner" in caplog.text

    store.clock.forward(minutes=59)
    store.parts.background.do_round()
    assert carried_over(store, customer) == []

    store.clock.forward(minutes=1)
    store.parts.background.do_round()
    assert "Privacy" in carried_over(store, customer)


def test_an_alias_is_carried_out_though_the_clock_was_set_back_while_the_store_stood_still(
    store: Store, open_store: OpenStore, settings: dict[str, Any]
) -> None:
    customer = owe_an_alias(store)
    started_anew = open_store(**settings)
    set_back(started_anew)
    started_anew.clock.forward(minutes=60)
    started_anew.parts.background.do_round()
    assert "Privacy" in carried_over(started_anew, customer)


def test_an_alias_waits_as_long_as_it_should_when_the_clock_is_moved_by_seconds(
    store: Store,
) -> None:
    customer = owe_an_alias(store)
    store.clock.forward(seconds=-4)
    store.parts.background.do_round()
    store.clock.forward(minutes=60)
    store.parts.background.do_round()
    assert carried_over(store, customer) == []
    store.clock.forward(seconds=4)
    store.parts.background.do_round()
    assert "Privacy" in carried_over(store, customer)


def test_a_session_ends_after_half_an_hour_of_silence(store: Store, visitor: Browser) -> None:
    visitor.get("/")
    set_back(store)
    store.clock.forward(minutes=29)
    store.parts.background.do_round()
    assert "session_end Session End" not in store.labels()

    store.clock.forward(minutes=1)
    store.parts.background.do_round()

    end = store.events()[-1]
    assert end.event_type == "session_end"
    assert end.data["session_duration_ms"] == 0, "never below"
    assert end.data["timestamp_unixtime_ms"] == NOW_MS - DAY_MS


def test_whoever_goes_on_shopping_stays_in_the_session(store: Store, visitor: Browser) -> None:
    visitor.get("/")
    set_back(store)
    store.clock.forward(minutes=29)
    visitor.get("/about")
    assert [label for label in store.labels() if label.startswith("session_")] == [
        "session_start Session Start"
    ]


def test_a_batch_goes_ten_minutes_later(store: Store, visitor: Browser, receiver: Receiver) -> None:
    change(store, send_as_batch=True)
    visitor.get("/")
    set_back(store)
    store.clock.forward(minutes=9)
    deliver(store)
    assert receiver.requests == []

    store.clock.forward(minutes=1)
    deliver(store)
    (body,) = bodies(receiver)
    assert types(body)[0] == "session_start"


def test_a_session_that_is_waited_for_goes_when_it_has_been_silent(
    store: Store, visitor: Browser, receiver: Receiver
) -> None:
    change(store, send_as_batch=True, wait_for_session=True)
    visitor.get("/")
    add_to_cart(visitor)
    set_back(store)
    deliver(store)
    assert receiver.requests == []

    store.clock.forward(minutes=30)
    deliver(store)
    (body,) = bodies(receiver)
    assert "add_to_cart" in names(body)
    assert "session_end" in types(body)
