"""Outputs that send as batch, or wait for the session: what a real receiver gets, and when."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

import pytest

from higgs_shop import outbox
from higgs_shop.tracker import Gathered, Gatherer, gathered_events_of
from tests.api.browsing import Browser
from tests.api.conftest import OpenStore, Store
from tests.api.delivering import add, bodies, change, deliver, find, names, remove, types
from tests.api.intake.conftest import KEY, SECRET, UPLOADS, Sender, batch, event
from tests.api.journeys import add_to_cart, mpid, sign_in, sign_up
from tests.network_faults import Receiver

SESSION: Final = "3B1C7C62-5C52-4E55-8A38-6E0A3C1B0001"
DEVICE: Final = "58dfe642-ec66-4256-f423-7f8ccac60001"


@pytest.fixture
def settings(database_url: str, tmp_path: Path, receiver: Receiver) -> dict[str, Any]:
    """Of a store on each kind of database."""
    return {
        "database_url": database_url,
        "instance": tmp_path,
        "idsync_key": KEY,
        "idsync_secret": SECRET,
        "identity_strategy": "profile_link",
        "webhook_url": receiver.url,
    }


@pytest.fixture
def store(open_store: OpenStore, settings: dict[str, Any]) -> Store:
    return open_store(**settings)


@pytest.fixture
def sender(store: Store) -> Sender:
    return Sender(store.app.test_client(use_cookies=False))


on_one_database = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


def upload(sender: Sender, *events: dict[str, Any], **members: Any) -> None:
    """What a client's session sends."""
    in_session = [{**each, "data": {"session_uuid": SESSION, **each["data"]}} for each in events]
    body = batch(*in_session, **{"mp_deviceid": DEVICE, **members})
    assert sender.upload(body, UPLOADS).status_code == 202


def named(name: str, **data: Any) -> dict[str, Any]:
    return event(event_name=name, **data)


def a_gatherer(store: Store) -> Gatherer:
    """As another process has one."""
    return Gatherer(
        store.parts.database, clock=store.clock, batch_ms=600_000, on_messages=lambda: None
    )


def sizes(receiver: Receiver) -> list[int]:
    return [len(body["events"]) for body in bodies(receiver)]


def shop_then_sign_in(visitor: Browser) -> tuple[str, str]:
    """Two people in one session; returns their MPIDs."""
    anonymous = mpid(visitor.get("/"))
    add_to_cart(visitor)
    known = mpid(sign_in(visitor))
    visitor.get("/about")
    return anonymous, known


def test_a_batch_goes_ten_minutes_after_its_first_event_one_for_each_person(
    store: Store, visitor: Browser, receiver: Receiver
) -> None:
    change(store, send_as_batch=True)
    anonymous, known = shop_then_sign_in(visitor)
    store.clock.forward(minutes=9)
    visitor.get("/privacy")
    deliver(store)
    assert receiver.requests == []

    store.clock.forward(minutes=1)
    deliver(store)

    by_mpid = {str(body["mpid"]): body for body in bodies(receiver)}
    first, second = (by_mpid.pop(each) for each in (anonymous, known))
    assert not by_mpid
    assert types(first)[0] == "session_start"
    assert "add_to_cart" in names(first)
    assert names(second)[-2:] == ["About", "Privacy"]
    assert {each["identity_type"] for each in second["user_identities"]} >= {"customer_id"}
    for body in (first, second):
        assert body["context"]["mpid_sequence"] == 1
        numbers = body["context"]["session_sequences"]
        assert numbers == sorted(numbers)
        assert len(numbers) == len(body["events"])
    assert store.rows("gatherings") == store.rows("gathered_events") == []


def test_a_session_is_waited_for_and_then_comes_event_by_event(
    store: Store, visitor: Browser, receiver: Receiver
) -> None:
    change(store, wait_for_session=True)
    _, known = shop_then_sign_in(visitor)
    store.clock.forward(minutes=29)
    visitor.get("/privacy")
    store.clock.forward(minutes=29)
    deliver(store)
    assert receiver.requests == []

    store.clock.forward(minutes=1)
    deliver(store)

    assert set(sizes(receiver)) == {1}
    logged = [each for each in store.rows("events") if each["copied_from"] is None]
    assert len(receiver.requests) == len(logged)
    # Who is served first is nobody's business: order is a person's.
    of_the_known = [body for body in bodies(receiver) if str(body["mpid"]) == known]
    assert types(of_the_known[-1]) == ["session_end"]
    per_person: dict[int, list[int]] = {}
    for body in bodies(receiver):
        per_person.setdefault(body["mpid"], []).append(body["context"]["mpid_sequence"])
    assert len(per_person) == 2
    assert all(found == list(range(1, len(found) + 1)) for found in per_person.values())


def test_a_whole_session_is_one_body_for_each_person(
    store: Store, visitor: Browser, receiver: Receiver
) -> None:
    change(store, send_as_batch=True, wait_for_session=True)
    anonymous, known = shop_then_sign_in(visitor)
    store.clock.forward(minutes=30)
    deliver(store)

    found = {str(body["mpid"]): body for body in bodies(receiver)}
    assert len(receiver.requests) == 2
    assert types(found[anonymous])[0] == "session_start"
    assert types(found[known])[-1] == "session_end"
    sessions = {each["data"]["session_uuid"] for body in found.values() for each in body["events"]}
    assert len(sessions) == 1


@on_one_database
def test_whoever_goes_on_is_not_cut_off_by_what_an_output_does_not_want(
    store: Store, visitor: Browser, receiver: Receiver
) -> None:
    """The session lasts for two hours; the output hears of its first minute, and not of its end."""
    change(
        store,
        send_as_batch=True,
        wait_for_session=True,
        send_screen_views=False,
        send_lifecycle_events=False,
    )
    visitor.get("/")
    add_to_cart(visitor)
    for _ in range(6):
        store.clock.forward(minutes=20)
        visitor.get("/about")
        deliver(store)
    assert receiver.requests == []

    store.clock.forward(minutes=30)
    deliver(store)
    (body,) = bodies(receiver)
    assert names(body)[-1] == "add_to_cart"
    assert set(types(body)) == {"commerce_event"}


def test_a_client_ends_its_own_session_and_order_is_that_of_happening(
    store: Store, sender: Sender, receiver: Receiver
) -> None:
    change(store, send_as_batch=True, wait_for_session=True)
    now_ms = store.clock()
    upload(sender, named("Second", timestamp_unixtime_ms=now_ms - 20))
    upload(sender, named("First", timestamp_unixtime_ms=now_ms - 30))
    deliver(store)
    assert receiver.requests == []

    end = event("session_end", session_duration_ms=30, timestamp_unixtime_ms=now_ms)
    upload(sender, end, source_request_id="the last", user_attributes={"likes": "cats"})
    deliver(store)

    (body,) = bodies(receiver)
    assert names(body) == ["First", "Second", "session_end"]
    assert body["user_attributes"] == {"likes": "cats"}
    assert body["context"] == {"mpid_sequence": 1}
    webhook_id = receiver.requests[0].headers["webhook-id"]
    assert body["source_request_id"] == webhook_id, "it is none of the client's batches"


@on_one_database
def test_what_comes_after_the_end_or_without_one_waits_until_nothing_more_can_come(
    store: Store, sender: Sender, receiver: Receiver
) -> None:
    change(store, wait_for_session=True)
    upload(sender, named("In time"), event("session_end"))
    deliver(store)
    assert len(receiver.requests) == 2

    upload(sender, named("Late"))
    store.clock.forward(minutes=34)
    upload(sender, named("Later"))
    store.clock.forward(minutes=34)
    deliver(store)
    assert len(receiver.requests) == 2
    store.clock.forward(minutes=1)
    deliver(store)
    assert [names(body) for body in bodies(receiver)][2:] == [["Late"], ["Later"]]


@on_one_database
def test_what_has_no_session_waits_for_none(
    store: Store, sender: Sender, receiver: Receiver
) -> None:
    add(store, "both", url=f"{receiver.url}/both", send_as_batch=True, wait_for_session=True)
    change(store, wait_for_session=True)
    for name in ("One", "Two"):
        assert sender.post(batch(named(name), source_request_id=name)).status_code == 202
    deliver(store)
    assert [names(body) for body in bodies(receiver)] == [["One"], ["Two"]]
    assert bodies(receiver, "/both") == []

    store.clock.forward(minutes=10)
    deliver(store)
    assert [names(body) for body in bodies(receiver, "/both")] == [["One", "Two"]]


def test_a_batch_has_a_hundred_events_at_most_and_a_full_one_waits_no_longer(
    store: Store, sender: Sender, receiver: Receiver
) -> None:
    change(store, send_as_batch=True)
    upload(sender, *[named(f"{number}") for number in range(60)])
    deliver(store)
    assert receiver.requests == []
    upload(sender, *[named(f"{number}") for number in range(60, 250)])
    deliver(store)

    assert sizes(receiver) == [100, 100, 50]
    found = [name for body in bodies(receiver) for name in names(body)]
    assert found == [f"{number}" for number in range(250)]
    assert [body["context"]["mpid_sequence"] for body in bodies(receiver)] == [1, 2, 3]

    upload(sender, *[named("Again")] * 100)
    deliver(store)
    assert sizes(receiver)[3:] == [100]


def test_a_very_long_session_is_handed_over_in_several_transactions(
    store: Store, sender: Sender, receiver: Receiver
) -> None:
    change(store, send_as_batch=True, wait_for_session=True)
    at_ms = store.clock()
    for first in (0, 400, 800):
        numbers = range(first, first + 400)
        upload(
            sender,
            *[named(f"{number}", timestamp_unixtime_ms=at_ms + number) for number in numbers],
        )
    upload(sender, event("session_end", timestamp_unixtime_ms=at_ms + 1_200))
    deliver(store)
    assert sizes(receiver) == [100] * 10
    deliver(store)
    assert sizes(receiver) == [100] * 12 + [1]
    found = [name for body in bodies(receiver) for name in names(body)]
    assert found == [*(f"{number}" for number in range(1_200)), "session_end"]
    assert store.rows("gatherings") == []


@on_one_database
def test_a_batch_of_one_client_s_batch_keeps_its_name_and_one_without_events_is_told(
    store: Store, sender: Sender, receiver: Receiver
) -> None:
    change(store, send_as_batch=True)
    assert sender.post(batch(named("A"), named("B"), source_request_id="mine")).status_code == 202
    told = batch(mpid=4712, user_attributes={"likes": "dogs"}, source_request_id="nothing")
    assert sender.post(told).status_code == 202
    store.clock.forward(minutes=10)
    deliver(store)
    first, second = bodies(receiver)
    assert (first["source_request_id"], names(first)) == ("mine", ["A", "B"])
    assert (second["source_request_id"], second["events"]) == ("nothing", [])
    assert second["user_attributes"] == {"likes": "dogs"}


def test_what_was_gathered_outlives_the_process(
    open_store: OpenStore, store: Store, settings: dict[str, Any], receiver: Receiver
) -> None:
    change(store, send_as_batch=True, wait_for_session=True)
    store.browser().get("/about")
    store.parts.close()

    restarted = open_store(**settings)
    restarted.clock.forward(minutes=90)
    deliver(restarted)

    (body,) = bodies(receiver)
    assert names(body) == ["session_start", "About", "session_end"]


def test_an_output_that_gathers_no_more_sends_what_it_has_and_in_order(
    store: Store, sender: Sender, receiver: Receiver
) -> None:
    change(store, send_as_batch=True, wait_for_session=True)
    upload(sender, named("Gathered"))
    change(store, send_as_batch=False, wait_for_session=False)
    upload(sender, named("Right after"))
    deliver(store)
    upload(sender, named("Then"))
    deliver(store)
    upload(sender, named("At once"))
    assert store.rows("gatherings") == []
    deliver(store)

    found = bodies(receiver)
    assert [names(body) for body in found] == [["Gathered"], ["Right after"], ["Then"], ["At once"]]
    assert [body["context"]["mpid_sequence"] for body in found] == [1, 2, 3, 4]
    assert find(store).gathering == "no"


@on_one_database
def test_an_output_that_is_switched_off_still_sends_what_it_took(
    store: Store, sender: Sender, receiver: Receiver
) -> None:
    change(store, send_as_batch=True)
    upload(sender, named("Before"), named("Also before"))
    change(store, is_active=False)
    upload(sender, named("After"))
    deliver(store)
    assert [names(body) for body in bodies(receiver)] == [["Before", "Also before"]]
    change(store, is_active=True)
    upload(sender, named("Again"))
    deliver(store)
    assert len(receiver.requests) == 1, "it gathers as before"


def test_an_output_that_is_removed_takes_what_it_gathered_along(
    store: Store, sender: Sender, receiver: Receiver
) -> None:
    add(store, "short-lived", url=f"{receiver.url}/short-lived", wait_for_session=True)
    upload(sender, named("Seen"))
    assert len(store.rows("gathered_events")) == 1
    remove(store, "short-lived")
    assert store.rows("gatherings") == store.rows("gathered_events") == []
    store.clock.forward(minutes=60)
    deliver(store)
    assert bodies(receiver, "/short-lived") == []


def test_opting_out_takes_back_what_was_not_sent_yet_and_says_how_much(
    store: Store, visitor: Browser, receiver: Receiver
) -> None:
    change(store, send_as_batch=True, wait_for_session=True)
    other = store.browser()
    other.get("/about")
    anonymous = mpid(visitor.get("/"))
    gathered = len([each for each in store.events() if str(each.mpid) == anonymous])
    form = visitor.get("/privacy").form_of("opt-out")
    page = visitor.follow(visitor.send(form))

    assert page.notices == [
        f"You are not tracked any more. {gathered + 1} events that were still to be sent will not be."
    ]
    deliver(store)
    (body,) = bodies(receiver)
    assert (str(body["mpid"]), types(body)) == (anonymous, ["opt_out"])
    store.clock.forward(minutes=30)
    deliver(store)
    assert names(bodies(receiver)[-1]) == ["session_start", "About", "session_end"]


def test_an_event_can_be_followed_from_the_gathering_to_its_message(
    store: Store, sender: Sender
) -> None:
    change(store, send_as_batch=True)
    upload(sender, named("One"), named("Two"))
    ids = [row["id"] for row in store.rows("events")]
    output = find(store)

    with store.parts.database.read() as connection:
        found = gathered_events_of(connection, "default", ids)
        assert found == {each: [Gathered(output.id, "time", store.clock())] for each in ids}
        assert outbox.messages_of_events(connection, "default", ids) == {}
    store.clock.forward(minutes=10)
    deliver(store)
    with store.parts.database.read() as connection:
        assert gathered_events_of(connection, "default", ids) == {}
        messages = outbox.messages_of_events(connection, "default", ids)
    assert set(messages) == set(ids)
    ((first,), (second,)) = messages.values()
    assert first == second
    assert (first.state, first.sequence) == ("delivered", 1)


def test_a_backlog_that_is_full_makes_dead_letters_of_batches_too(
    store: Store, sender: Sender, receiver: Receiver
) -> None:
    change(store, send_as_batch=True)
    upload(sender, named("One"), named("Two"))
    ids = [row["id"] for row in store.rows("events")]
    with store.parts.database.write() as connection:
        connection.exec_driver_sql("UPDATE outputs SET is_full = true")
    store.clock.forward(minutes=10)
    assert a_gatherer(store).hand_over_due() == 1
    assert store.parts.sender.deliver_due() == []
    assert receiver.requests == []
    with store.parts.database.read() as connection:
        found = outbox.messages_of_events(connection, "default", ids)
    assert {states[0].last_error for states in found.values()} == {outbox.BACKLOG_IS_FULL}


def test_several_processes_hand_each_gathering_over_once(
    store: Store, sender: Sender, receiver: Receiver
) -> None:
    change(store, send_as_batch=True)
    people = range(1, 41)
    for number in people:
        upload(sender, named("A"), named("B"), mpid=number)
    store.clock.forward(minutes=10)
    gatherers = [a_gatherer(store) for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        handed_over = list(pool.map(Gatherer.hand_over_due, gatherers))
    deliver(store)

    assert sum(handed_over) == len(people)
    found = {body["mpid"]: names(body) for body in bodies(receiver)}
    assert len(receiver.requests) == len(people)
    assert found == {number: ["A", "B"] for number in people}


@on_one_database
def test_two_outputs_gather_each_in_its_own_way(
    store: Store, visitor: Browser, receiver: Receiver
) -> None:
    add(
        store, "sessions", url=f"{receiver.url}/sessions", send_as_batch=True, wait_for_session=True
    )
    add(store, "batches", url=f"{receiver.url}/batches", send_as_batch=True)
    visitor.get("/")
    sign_up(visitor)
    deliver(store)
    at_once = [name for body in bodies(receiver) for name in names(body)]
    assert bodies(receiver, "/batches") == bodies(receiver, "/sessions") == []
    store.clock.forward(minutes=10)
    deliver(store)
    kept = [name for name in at_once if name != "user_identity_change"]
    assert [n for body in bodies(receiver, "/batches") for n in names(body)] == kept
    store.clock.forward(minutes=20)
    deliver(store)
    found = [n for body in bodies(receiver, "/sessions") for n in names(body)]
    assert found == [*kept, "session_end"]
