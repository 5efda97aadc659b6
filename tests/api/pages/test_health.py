"""Alive and ready, for whoever watches the process."""

from typing import Any

import pytest

from higgs_shop import __version__, outbox
from higgs_shop.background import beat, this_forwarder
from higgs_shop.outputs import (
    Output,
    add_output,
    change_output,
    list_outputs,
    mark_full,
    pause_output,
)
from tests.api.browsing import Browser
from tests.api.conftest import OpenStore, Store
from tests.api.delivering import deliver
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
                "given_up_total": 0,
                "is_full": False,
                "unreachable_for_ms": None,
            }
        ],
        "all_workspaces": {
            "waiting_messages": 2,
            "oldest_waiting_age_ms": 3_000,
            "given_up_total": 0,
            "outputs_in_trouble": [],
            "more_outputs_in_trouble": 0,
        },
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


class TestAllWorkspaces:
    """What a monitor sees of those beside the default one."""

    @pytest.fixture
    def store(self, open_store: OpenStore, database_url: str) -> Store:
        return open_store(database_url=database_url)

    @pytest.fixture
    def kiosk(self, store: Store, visitor: Browser) -> Output:
        visitor.submit(visitor.get("/workspaces"), "workspace-add", id="kiosk")
        with store.parts.database.read() as connection:
            (output,) = list_outputs(connection, "kiosk")
        return output

    def give(self, store: Store, output: Output) -> None:
        with store.parts.database.write() as connection:
            outbox.enqueue(
                connection,
                workspace_id=output.workspace_id,
                output_id=output.id,
                mpid=1,
                drafts=[outbox.Draft(None, lambda _sequence, _id: b"{}")],
                now_ms=store.clock(),
            )

    def in_trouble(self, visitor: Browser) -> dict[tuple[str, str], str]:
        found = told(visitor)["all_workspaces"]["outputs_in_trouble"]
        return {(each["workspace"], each["name"]): each["state"] for each in found}

    def test_what_waits_counts_wherever_it_is(
        self, store: Store, visitor: Browser, kiosk: Output
    ) -> None:
        self.give(store, kiosk)
        store.clock.forward(seconds=9)
        everywhere = told(visitor)["all_workspaces"]
        assert everywhere["oldest_waiting_age_ms"] == 9_000
        assert everywhere["waiting_messages"] == told(visitor)["waiting_messages"] + 1
        assert everywhere["outputs_in_trouble"] == []

    def test_one_that_is_paused_or_full_is_named_with_its_workspace(
        self, store: Store, visitor: Browser, kiosk: Output
    ) -> None:
        with store.parts.database.write() as connection:
            mark_full(connection, kiosk.id, is_full=True)
        assert self.in_trouble(visitor) == {("kiosk", "webhook"): "full"}
        with store.parts.database.write() as connection:
            pause_output(connection, kiosk.id, "the receiver is rebuilt", store.clock())
        (output,) = told(visitor)["all_workspaces"]["outputs_in_trouble"]
        assert (output["state"], output["pause_reason"]) == ("paused", "the receiver is rebuilt")
        assert [each["name"] for each in told(visitor)["outputs"]] == ["webhook"]

    def test_one_whose_receiver_fails_is_named_until_it_is_well_again(
        self, store: Store, visitor: Browser, kiosk: Output
    ) -> None:
        with Receiver() as receiver:
            with store.parts.database.write() as connection:
                settings = kiosk.settings.model_copy(update={"url": receiver.url})
                change_output(connection, kiosk, settings, authorization="", secrets=())
            receiver.script(Reply(500))
            self.give(store, kiosk)
            while store.parts.sender.deliver_due():
                pass
            assert self.in_trouble(visitor) == {("kiosk", "webhook"): "failing"}
            outbox.try_now(store.parts.database, kiosk, now_ms=0)
            while store.parts.sender.deliver_due():
                pass
            assert self.in_trouble(visitor) == {}

    def test_of_many_in_trouble_some_are_named_and_the_rest_counted(
        self, store: Store, visitor: Browser, kiosk: Output
    ) -> None:
        with store.parts.database.write() as connection:
            for number in range(24):
                add_output(
                    connection,
                    "kiosk",
                    f"output-{number}",
                    kiosk.settings,
                    authorization="",
                    secrets=(),
                    now_ms=store.clock(),
                )
            for output in list_outputs(connection, "kiosk"):
                pause_output(connection, output.id, "for a while", store.clock())
        everywhere = told(visitor)["all_workspaces"]
        assert len(everywhere["outputs_in_trouble"]) == 20
        assert everywhere["more_outputs_in_trouble"] == 5

    def test_what_was_given_up_is_counted_and_never_less(self, open_store: OpenStore) -> None:
        with Receiver(lambda _: Reply(500)) as receiver:
            store = open_store(webhook_url=receiver.url, webhook_retry_seconds=(0,))
            visitor = store.browser()
            visitor.get("/about")
            deliver(store)
            (output,) = told(visitor)["outputs"]
            assert output["given_up_total"] == output["dead"] == len(receiver.requests) > 0
            receiver.answer = lambda _: Reply()
            (of_store,) = list_all(store)
            outbox.start_replay(
                store.parts.database, of_store, outbox.ReplayChoice(), now_ms=store.clock()
            )
            deliver(store)
        (after,) = told(visitor)["outputs"]
        assert after["dead"] == 0
        assert after["given_up_total"] == output["given_up_total"]
        assert told(visitor)["all_workspaces"]["given_up_total"] == output["given_up_total"]


def list_all(store: Store) -> list[Output]:
    with store.parts.database.read() as connection:
        return [*list_outputs(connection, "default"), *list_outputs(connection, "kiosk")]
