"""The same batches and events from many threads at once: each is kept once, and nobody is refused."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

from tests.api.conftest import Store
from tests.api.intake.conftest import Sender, batch, event, is_accepted

THREADS = 8


def send_all(store: Store, batches: list[dict[str, Any]]) -> None:
    def send(sent: dict[str, Any]) -> bool:
        return is_accepted(Sender(store.app.test_client(use_cookies=False)).post(sent))

    with ThreadPoolExecutor(THREADS) as threads:
        assert all(threads.map(send, batches))


def test_one_batch_many_times(store: Store) -> None:
    sent = batch(event(), mpid=None, source_request_id="r", user_identities={"customerid": "C-1"})
    send_all(store, [sent] * 24)
    assert len(store.rows("batches")) == 1
    assert len(store.events()) == len(store.bodies()) == 1
    assert len(store.rows("profiles")) == 1


def test_the_same_events_in_many_batches_and_in_any_order(store: Store) -> None:
    """Writers who want the same rows in another order would wait for each other for ever."""
    events = [
        event(source_message_id=f"m-{number}", event_name=f"e{number}") for number in range(8)
    ]
    attributes = {f"a{number}": number for number in range(8)}
    batches = [
        batch(
            *(events if number % 2 else events[::-1]),
            mpid=4711 + number % 3,
            user_attributes={**attributes, "from": number},
        )
        for number in range(24)
    ]
    send_all(store, batches)
    assert sorted(logged.name for logged in store.events()) == [f"e{number}" for number in range(8)]
    assert len(store.bodies()) == 8
    assert len(store.rows("batches")) == 24


def test_what_a_person_did_is_counted_without_gaps(store: Store) -> None:
    send_all(store, [batch(event(), event("first_run")) for _ in range(20)])
    counted = sorted(body["context"]["mpid_sequence"] for body in store.bodies())
    assert counted == list(range(1, 41))
