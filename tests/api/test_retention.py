"""What is old is removed in the background, and everything else stays: as a person finds it."""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, NoReturn

import pytest

from higgs_shop import outbox
from higgs_shop.database import DatabaseBusy
from higgs_shop.outbox import ReplayChoice
from higgs_shop.outputs import pause_output, resume_output
from higgs_shop.retention import Retention
from tests.api.browsing import Browser
from tests.api.conftest import OpenStore, Store
from tests.api.delivering import add, bodies, change, deliver, find
from tests.api.intake.conftest import KEY, SECRET, Sender, batch, event, is_accepted
from tests.api.journeys import mpid, sign_up
from tests.at_once import at_once
from tests.network_faults import Receiver, Reply

DAY: Final = 24 * 60
"""In minutes."""

ADA: Final = 4711
BOB: Final = 4712


@pytest.fixture
def open_on(
    open_store: OpenStore, database_url: str, tmp_path: Path, receiver: Receiver
) -> Callable[..., Store]:
    """Opens a store on each kind of database, which posts to a real receiver."""

    def open_with(**settings: Any) -> Store:
        return open_store(
            **{
                "database_url": database_url,
                "instance": tmp_path,
                "idsync_key": KEY,
                "idsync_secret": SECRET,
                "webhook_url": receiver.url,
                **settings,
            }
        )

    return open_with


@pytest.fixture
def store(open_on: Callable[..., Store]) -> Store:
    return open_on()


def send(store: Store, *events: dict[str, Any], mpid: int = ADA, **members: Any) -> None:
    """A client's upload."""
    sender = Sender(store.app.test_client(use_cookies=False))
    assert is_accepted(sender.upload(batch(*events, mpid=mpid, **members)))


def named(name: str, **data: Any) -> dict[str, Any]:
    return event(event_name=name, source_message_id=f"id of {name}", **data)


def days_pass(store: Store, days: float) -> None:
    """And the background does what it does then, until nothing is left of it."""
    store.clock.forward(minutes=days * DAY)
    for _ in range(5):
        store.parts.background.do_round()


def count(store: Store, *tables: str) -> dict[str, int]:
    return {table: len(store.rows(table)) for table in tables}


def shown_events(store: Store, mpid: int = ADA) -> list[str]:
    """The events that a profile's page shows, oldest first."""
    page = store.browser().get(f"/profiles/{mpid}")
    return [each["data-event-name"] for each in page.all("profile-event")][::-1]


def shown_deliveries(store: Store, state: str) -> int:
    page = store.browser().get("/connections/webhook/deliveries")
    assert page.status == 200
    (link,) = [each for each in page.all("deliveries-of-state") if each["data-state"] == state]
    return int(link.text.split()[-1])


def busy(*_: object) -> NoReturn:
    raise DatabaseBusy("for a test")


def test_what_was_delivered_is_gone_after_thirty_days_and_numbers_go_on(
    store: Store, receiver: Receiver
) -> None:
    send(store, named("old"), source_request_id="the first")
    deliver(store)
    days_pass(store, 20)
    send(store, named("young"))
    deliver(store)
    assert shown_events(store) == ["old", "young"]
    assert shown_deliveries(store, "delivered") == 2

    days_pass(store, 10.1)

    assert shown_events(store) == ["young"]
    assert shown_deliveries(store, "delivered") == 1
    assert count(store, "messages", "delivery_attempts", "batches", "mailboxes") == {
        "messages": 1,
        "delivery_attempts": 1,
        "batches": 1,
        "mailboxes": 1,
    }
    send(store, named("next"))
    deliver(store)
    assert [body["context"]["mpid_sequence"] for body in bodies(receiver)] == [1, 2, 3]
    assert "higgs-shop-gap" not in receiver.requests[-1].headers


def test_what_waits_is_never_removed_nor_its_events(store: Store, receiver: Receiver) -> None:
    output = find(store)
    with store.parts.database.write() as connection:
        pause_output(connection, output.id, "for a test", store.clock())
    send(store, named("waits"))
    days_pass(store, 100)
    assert shown_events(store) == ["waits"]

    with store.parts.database.write() as connection:
        resume_output(connection, output.id)
    deliver(store)
    assert len(receiver.requests) == 1
    days_pass(store, 29)
    assert shown_events(store) == ["waits"], "thirty days count from when it was delivered"
    days_pass(store, 1.1)
    assert shown_events(store) == []
    assert count(store, "messages", "events", "batches") == {
        "messages": 0,
        "events": 0,
        "batches": 0,
    }


def test_what_is_gathered_for_a_batch_is_kept_until_it_was_delivered(
    open_on: Callable[..., Store], receiver: Receiver
) -> None:
    store = open_on(retention_days=1, webhook_batch_seconds=86_400)
    change(store, send_as_batch=True)
    old_ms = store.clock() - 3 * DAY * 60_000
    send(store, named("one", timestamp_unixtime_ms=old_ms), named("two"))
    store.clock.forward(minutes=0.9 * DAY)
    store.parts.background.do_round()
    assert shown_events(store) == ["one", "two"], "it counts when it came, whatever the client says"

    store.clock.forward(minutes=0.2 * DAY)
    deliver(store)
    assert [len(body["events"]) for body in bodies(receiver)] == [2]
    days_pass(store, 0.9)
    assert len(store.rows("message_events")) == 2
    assert shown_events(store) == ["one", "two"]

    days_pass(store, 0.2)
    assert shown_events(store) == []
    assert store.rows("message_events") == []


def test_dead_letters_go_as_late_and_the_log_says_how_many_nobody_had(
    open_on: Callable[..., Store], receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    store = open_on(webhook_retry_seconds=(0,))
    receiver.script(Reply(500), Reply(500))
    send(store, named("lost"), named("lost as well"))
    deliver(store)
    days_pass(store, 29)
    assert shown_deliveries(store, "dead") == 2

    with caplog.at_level(logging.WARNING, "higgs_shop.retention"):
        days_pass(store, 1.1)

    assert shown_deliveries(store, "dead") == 0
    (line,) = [each.message for each in caplog.records if each.name == "higgs_shop.retention"]
    assert line.startswith("2 dead letters of output webhook of workspace default are removed")
    send(store, named("then"))
    deliver(store)
    assert receiver.requests[-1].headers["higgs-shop-gap"] == "1-2", "the receiver is told as ever"


def test_what_is_being_delivered_again_stays(
    open_on: Callable[..., Store], receiver: Receiver
) -> None:
    store = open_on(webhook_retry_seconds=(0,))
    receiver.script(Reply(500))
    send(store, named("dead"))
    deliver(store)
    store.clock.forward(minutes=31 * DAY)
    outbox.start_replay(store.parts.database, find(store), ReplayChoice(), now_ms=store.clock())
    days_pass(store, 0)
    assert count(store, "messages", "events") == {"messages": 1, "events": 1}

    deliver(store)
    assert shown_deliveries(store, "delivered") == 1
    assert len(store.rows("replays")) == 1
    days_pass(store, 30.1)
    assert count(store, "messages", "events", "replays") == {
        "messages": 0,
        "events": 0,
        "replays": 0,
    }


def test_an_event_stays_as_long_as_one_output_has_its_message(
    store: Store, receiver: Receiver
) -> None:
    slow = add(store, "slow", url=f"{receiver.url}/slow")
    with store.parts.database.write() as connection:
        pause_output(connection, slow.id, "for a test", store.clock())
    send(store, named("both"))
    deliver(store)
    days_pass(store, 31)
    assert shown_deliveries(store, "delivered") == 0
    assert shown_events(store) == ["both"]


def test_what_nobody_wanted_goes_as_well(store: Store, receiver: Receiver) -> None:
    change(store, send_custom_events=False)
    send(store, named("unwanted"))
    days_pass(store, 31)
    assert receiver.requests == []
    assert shown_events(store) == []


def test_events_that_wait_for_their_person_stay(
    open_on: Callable[..., Store],
) -> None:
    store = open_on(idsync_url="http://127.0.0.1:9/v1", identity_budget_seconds=0.2)
    visitor = store.browser()
    visitor.get("/")
    store.clock.forward(minutes=40 * DAY)
    store.parts.background.do_round()
    assert "screen_view Landing" in store.labels()


def test_the_inbox_and_the_quarantine_forget_too(store: Store, visitor: Browser) -> None:
    own = f"/inbox/{store.parts.secrets.inbox_token}"
    sender = Sender(store.app.test_client(use_cookies=False))
    for wrong in (b"[1]", b"[2]"):
        assert visitor.open(own, method="POST", data=b"{}").status == 204
        assert is_accepted(sender.upload(wrong))
        assert is_accepted(sender.upload(b"comes again"))
        store.clock.forward(minutes=20 * DAY)

    days_pass(store, 0)
    assert len(visitor.get("/inbox").all("inbox-request")) == 1
    kept = visitor.get("/intake").all("quarantine-body")
    assert sorted(each.text for each in kept) == ["[2]", "comes again"]

    days_pass(store, 20)
    assert len(visitor.get("/inbox").all("inbox-request")) == 0
    assert visitor.get("/intake").has("quarantine-empty")


def test_people_orders_and_their_story_stay(store: Store, visitor: Browser) -> None:
    person = mpid(sign_up(visitor))
    deliver(store)
    before = count(store, "profiles", "identity_decisions", "customers", "user_attributes")
    days_pass(store, 400)
    assert count(store, *before) == before
    page = store.browser().get(f"/profiles/{person}")
    assert page.all("history-step")


def test_somebody_of_whom_attributes_are_left_is_still_shown(store: Store) -> None:
    send(store, named("old"), user_attributes={"likes": "cats"})
    deliver(store)
    days_pass(store, 31)
    page = store.browser().get(f"/profiles/{ADA}")
    assert page.status == 200
    assert page.has("profile-events-empty")
    assert "cats" in page.root.text


def test_nothing_is_removed_where_things_are_kept_for_ever(
    open_on: Callable[..., Store],
) -> None:
    store = open_on(retention_days=0)
    send(store, named("old"))
    deliver(store)
    days_pass(store, 4_000)
    assert shown_events(store) == ["old"]
    assert not store.browser().get(f"/profiles/{ADA}").has("kept-days")


def test_pages_that_count_say_from_when_on(open_on: Callable[..., Store]) -> None:
    store = open_on(retention_days=7)
    send(store, named("some"))
    for path in (
        f"/profiles/{ADA}",
        "/connections/webhook",
        "/connections/webhook/deliveries",
        "/inbox",
        "/intake",
    ):
        assert store.browser().get(path).one("kept-days")["data-days"] == "7", path


def test_much_is_removed_a_little_at_a_time(store: Store) -> None:
    """Many rounds: the first leaves something for the next, and pages write in between."""
    for _ in range(4):
        send(store, *[event() for _ in range(500)])
    deliver(store)
    store.clock.forward(minutes=31 * DAY)
    removed = store.parts.background.do_round()
    assert 0 < removed < 2_000
    assert store.browser().get("/").status == 200
    while store.parts.background.do_round():
        pass
    assert [row for row in store.rows("events") if row["mpid"] == ADA] == []
    assert [row for row in store.rows("messages") if row["mpid"] == ADA] == []


def test_it_begins_anew_after_the_database_was_busy(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    send(store, named("old"))
    deliver(store)
    store.clock.forward(minutes=31 * DAY)
    with monkeypatch.context() as broken:
        broken.setattr("higgs_shop.outbox.forget_closed", busy)
        store.parts.background.do_round()
    assert shown_events(store) == ["old"]
    days_pass(store, 0)
    assert shown_events(store) == []


def test_several_processes_remove_each_row_once_and_none_fails(
    open_on: Callable[..., Store],
) -> None:
    store = open_on()
    send(store, *[event() for _ in range(300)])
    deliver(store)
    store.clock.forward(minutes=31 * DAY)
    several = [Retention(store.parts.database, days=30, clock=store.clock) for _ in range(4)]
    removed = at_once([remover(each) for each in several])
    assert sum(removed) == 300 + 300 + 1, "messages, events and their batch"
    assert count(store, "messages", "events") == {"messages": 0, "events": 0}


def remover(retention: Retention) -> Callable[[], int]:
    """Works until nothing is left for it."""

    def remove() -> int:
        removed = 0
        while more := retention.remove_old():
            removed += more
        return removed

    return remove
