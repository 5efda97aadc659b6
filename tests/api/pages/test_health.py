"""Alive and ready, for whoever watches the process."""

from typing import Any

from higgs_shop import __version__, outbox
from higgs_shop.background import beat, this_forwarder
from tests.api.browsing import Browser
from tests.api.conftest import OpenStore, Store
from tests.network_faults import Receiver, Reply


def test_a_process_that_answers_is_alive(visitor: Browser) -> None:
    assert visitor.get("/healthz").response.json == {"status": "ok", "version": __version__}


def test_a_store_is_ready_and_tells_whether_anybody_delivers(
    store: Store, visitor: Browser
) -> None:
    visitor.get("/about")
    store.clock.forward(seconds=3)
    ready = visitor.get("/readyz")
    assert ready.response.json == {
        "status": "ready",
        "database": "ok",
        "forwarder": "silent",
        "forwarders": [],
        "waiting_messages": 2,
        "outputs": [
            {
                "name": "webhook",
                "state": "silent",
                "pause_reason": "",
                "waiting": 2,
                "oldest_waiting_age_ms": 3_000,
                "dead": 0,
                "is_full": False,
            }
        ],
        "counted_up_to": 10_000,
    }
    beat(store.parts.database, this_forwarder(), store.clock())
    assert told(visitor)["forwarder"] == "running"
    store.clock.forward(minutes=1)
    assert told(visitor)["forwarder"] == "silent"


def told(visitor: Browser) -> Any:
    return visitor.get("/readyz").response.json


def test_every_process_that_forwards_is_listed_until_it_falls_silent(
    store: Store, visitor: Browser
) -> None:
    database = store.parts.database
    for worker in ("background", "forwarder one:7", "forwarder two:7"):
        beat(database, worker, store.clock())
    store.clock.forward(seconds=20)
    beat(database, "forwarder one:7", store.clock())
    assert told(visitor)["forwarders"] == [
        {"worker": "one:7", "silent_for_ms": 0},
        {"worker": "two:7", "silent_for_ms": 20_000},
    ]
    store.clock.forward(seconds=20)
    assert [each["worker"] for each in told(visitor)["forwarders"]] == ["one:7"]


def test_an_output_that_is_paused_says_why_and_how_much_was_given_up(
    open_store: OpenStore,
) -> None:
    with Receiver() as receiver:
        receiver.script(Reply(500), Reply(410))
        store = open_store(webhook_url=receiver.url, webhook_retry_seconds=(0,))
        visitor = store.browser()
        visitor.get("/about")
        while store.parts.sender.deliver_due():
            pass
    (output,) = told(visitor)["outputs"]
    assert output["state"] == "paused"
    assert "410" in output["pause_reason"]
    assert (output["waiting"], output["dead"]) == (1, 1)


def test_an_output_stands_as_its_page_says(open_store: OpenStore) -> None:
    with Receiver() as receiver:
        receiver.script(Reply(500))
        store = open_store(webhook_url=receiver.url, webhook_retry_seconds=(0, 60))
        visitor = store.browser()
        visitor.get("/about")
        stood = [standing(store, visitor)]
        for _ in range(2):
            while store.parts.sender.deliver_due():
                pass
            stood.append(standing(store, visitor))
            store.clock.forward(minutes=2)
    assert stood == ["running", "failing", "running"]


def standing(store: Store, visitor: Browser) -> str:
    """How the only output stands, while somebody forwards; its page agrees."""
    beat(store.parts.database, this_forwarder(), store.clock())
    (output,) = told(visitor)["outputs"]
    shown = visitor.get("/connections/webhook").one("connection-state")["data-state"]
    assert output["state"] == shown
    return shown


def test_counting_stops_at_a_number_that_is_told(store: Store, visitor: Browser) -> None:
    """Whoever watches asks often: a backlog of a million is not counted each time."""
    output = store.rows("outputs")[0]
    with store.parts.database.write() as connection:
        outbox.enqueue(
            connection,
            workspace_id="default",
            output_id=output["id"],
            mpid=1,
            drafts=[outbox.Draft(None, lambda _sequence, _id: b"{}")] * 10_050,
            now_ms=store.clock(),
        )
    assert told(visitor)["waiting_messages"] == 10_001
    assert told(visitor)["outputs"][0]["waiting"] == 10_001
