"""No body grows beyond what receivers take: batches are cut by bytes, and a person's attributes have a cap."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import httpx
import pytest

from tests.api.browsing import Browser
from tests.api.conftest import OpenStore, Store
from tests.api.delivering import bodies, change, deliver, names
from tests.api.intake.conftest import (
    KEY,
    SECRET,
    UPLOADS,
    Sender,
    batch,
    errors,
    event,
    is_accepted,
)
from tests.api.journeys import mpid, sign_in, sign_out, sign_up
from tests.browser.store_process import StoreProcess, until
from tests.network_faults import Receiver

MOST_BATCH_BYTES: Final = 128 * 1024
MOST_ATTRIBUTES_BYTES: Final = 64 * 1024


@pytest.fixture
def store(open_store: OpenStore, database_url: str, tmp_path: Path, receiver: Receiver) -> Store:
    """On each kind of database, posting to a real receiver."""
    return open_store(
        database_url=database_url,
        instance=tmp_path,
        idsync_key=KEY,
        idsync_secret=SECRET,
        webhook_url=receiver.url,
    )


@pytest.fixture
def sender(store: Store) -> Sender:
    return Sender(store.app.test_client(use_cookies=False))


@pytest.fixture
def served(tmp_path: Path) -> Iterator[StoreProcess]:
    """A store in a process of its own, that posts to its own inbox and waits a second for a batch."""
    with StoreProcess(
        tmp_path, IDSYNC_KEY=KEY, IDSYNC_SECRET=SECRET, WEBHOOK_BATCH_SECONDS="1"
    ) as served:
        yield served


def long_events(first: int) -> list[dict[str, Any]]:
    """Twenty-five of 3.3 kB, as many as fit into an upload with room to spare."""
    return [
        event(event_name=f"e{number}", custom_flags={"filler": "x" * 3_300})
        for number in range(first, first + 25)
    ]


def many_attributes(number: int) -> dict[str, str]:
    """About 120 kB of them, which are different in each upload."""
    return {f"plan_{number}_{each}": "x" * 3_990 for each in range(30)}


def refused(store: Store) -> list[str]:
    """The sentences of the quarantine."""
    return [sentence for row in store.rows("quarantined_batches") for sentence in row["faults"]]


def post(served: StoreProcess, body: dict[str, Any]) -> None:
    assert httpx.post(f"{served.address}{UPLOADS}", json=body).status_code == 202


def kept_by_inbox(served: StoreProcess) -> list[dict[str, Any]]:
    """The inbox's newest requests, each read by itself."""
    listed = httpx.get(f"{served.address}/inbox/v1/sessions/default/requests").json()["requests"]
    return [each for each in listed if each["answer"]["status"] < 300]


def outputs(served: StoreProcess) -> dict[str, Any]:
    (output,) = httpx.get(f"{served.address}/readyz").json()["outputs"]
    return dict(output)


def test_a_batch_has_no_more_bytes_than_receivers_take(
    store: Store, sender: Sender, receiver: Receiver
) -> None:
    change(store, send_as_batch=True)
    for first in range(0, 100, 25):
        assert is_accepted(sender.upload(batch(*long_events(first))))
    deliver(store)

    lengths = [len(request.body) for request in receiver.requests]
    assert max(lengths) <= MOST_BATCH_BYTES
    assert sorted(lengths)[1] > MOST_BATCH_BYTES * 0.9, "no more bodies than there have to be"
    arrived = [name for body in bodies(receiver) for name in names(body)]
    assert arrived == [f"e{number}" for number in range(100)]
    assert [body["context"]["mpid_sequence"] for body in bodies(receiver)] == [1, 2, 3]


def test_an_event_that_is_long_by_itself_goes_alone(
    store: Store, sender: Sender, receiver: Receiver
) -> None:
    change(store, send_as_batch=True)
    told = {f"a{number}": "x" * 3_900 for number in range(16)}
    assert is_accepted(sender.upload(batch(user_attributes=told)))
    long = event(event_name="long", custom_flags={"filler": "x" * 100_000})
    assert is_accepted(sender.upload(batch(event(event_name="before"), long, event())))
    store.clock.forward(minutes=10)
    deliver(store)

    of_events = [body for body in bodies(receiver) if body["events"]]
    assert [len(body["events"]) for body in of_events] == [1, 1, 1]
    assert all(body["user_attributes"] == told for body in of_events)


def test_the_store_s_own_inbox_takes_every_batch(served: StoreProcess) -> None:
    served.set_webhook(send_as_batch=True)
    for first in range(0, 100, 25):
        post(served, batch(*long_events(first)))
    until(lambda: len(kept_by_inbox(served)) == 3, "three bodies in the inbox")

    assert outputs(served)["dead"] == 0


def test_a_person_s_attributes_have_a_cap_and_older_ones_stay(
    store: Store, sender: Sender, receiver: Receiver
) -> None:
    assert is_accepted(sender.upload(batch(user_attributes={"likes": "cats"})))
    for number in range(20):
        assert is_accepted(sender.upload(batch(user_attributes=many_attributes(number))))
    assert is_accepted(sender.upload(batch(event(), user_attributes={"likes": "dogs"})))
    deliver(store)

    newest = json.loads(receiver.requests[-1].body)
    assert newest["user_attributes"]["likes"] == "dogs", "what is known can still change"
    assert set(many_attributes(0)) & set(newest["user_attributes"]), "what came first stays"
    assert not set(many_attributes(19)) & set(newest["user_attributes"])
    assert len(receiver.requests[-1].body) < MOST_ATTRIBUTES_BYTES + 2_000
    assert len(refused(store)) == 20
    assert refused(store)[0].startswith('user_attributes: there is no room for "plan_0_')
    assert "100 attributes at most, with 65536 bytes" in refused(store)[0]


def test_the_hundred_and_first_attribute_is_refused_and_one_that_goes_makes_room(
    store: Store, sender: Sender
) -> None:
    names_of_all = [f"a{number:03}" for number in range(100)]
    assert is_accepted(sender.upload(batch(user_attributes=dict.fromkeys(names_of_all, 1))))
    one_more = batch(event(), mp_deviceid=None, user_attributes={"b": 1})
    assert is_accepted(sender.upload(one_more))
    assert len(refused(store)) == 1
    assert [each.name for each in store.events()] == ["Store visit"], "the event is kept"

    (fault,) = errors(sender.post(batch(event(), user_attributes={"b": 1})))
    assert fault == refused(store)[0]
    assert len(store.events()) == 1, "a server's batch is kept whole or not at all"

    assert is_accepted(
        sender.post(batch(user_attributes={"b": 1}, deleted_user_attributes=["a000"]))
    )
    assert [row["name"] for row in store.rows("user_attributes")] == [*names_of_all[1:], "b"]


def test_batches_of_many_that_came_at_once_keep_their_events(store: Store, sender: Sender) -> None:
    assert is_accepted(
        sender.post(batch(user_attributes={f"a{number}": 1 for number in range(100)}))
    )
    more = batch(event(), user_attributes={"b": 1})
    assert is_accepted(sender.post_bulk([more, more]))
    (row,) = store.rows("quarantined_batches")
    assert row["times"] == 2
    assert row["kept_events"] == 1
    assert len(store.events()) == 2


def test_the_shop_s_own_pages_go_on_for_somebody_whose_attributes_are_full(
    store: Store, sender: Sender, visitor: Browser, receiver: Receiver
) -> None:
    told = {f"a{number:03}": 1 for number in range(100)}
    person = mpid(visitor.get("/"))
    assert is_accepted(sender.upload(batch(mpid=person, user_attributes=told)))

    assert mpid(sign_up(visitor)) == person
    deliver(store)

    newest = max(bodies(receiver), key=lambda body: int(body["context"]["mpid_sequence"]))
    assert set(told) < set(newest["user_attributes"]), "what the shop says of them is kept as well"


def test_what_is_carried_over_at_sign_in_stops_where_there_is_no_room(
    store: Store, sender: Sender, visitor: Browser
) -> None:
    known = mpid(sign_in(visitor))
    sign_out(visitor)
    before = {row["name"] for row in store.rows("user_attributes")}
    stranger = mpid(visitor.get("/"))
    assert stranger != known
    told = {f"a{number:03}": 1 for number in range(100)}
    assert is_accepted(sender.upload(batch(mpid=stranger, user_attributes=told)))

    assert mpid(sign_in(visitor)) == known
    store.parts.background.do_round()

    names_now = [row["name"] for row in store.rows("user_attributes") if str(row["mpid"]) == known]
    assert len(names_now) == 100
    assert before < set(names_now)


def test_the_store_s_own_inbox_takes_what_follows_a_flood_of_attributes(
    served: StoreProcess,
) -> None:
    for number in range(100):
        post(served, batch(user_attributes=many_attributes(number)))
    post(served, batch(event(event_name="tiny")))
    served.wait_until_delivered()

    assert outputs(served)["dead"] == 0
    newest = kept_by_inbox(served)[0]
    assert newest["answer"]["status"] == 204
