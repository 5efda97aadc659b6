"""A receiver that is away for too long: the shop goes on, and nothing is lost or dropped in silence."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from higgs_shop.outbox import BACKLOG_IS_FULL
from tests.api.conftest import OpenStore, Store
from tests.api.intake.conftest import Sender, basic, batch, event
from tests.api.journeys import sign_up
from tests.api.test_command_line import command, get, running
from tests.browser.store_process import until
from tests.network_faults import Receiver, Reply


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver(lambda _: Reply(503)) as receiver:
        yield receiver


@pytest.fixture
def store(open_store: OpenStore, receiver: Receiver) -> Store:
    """At its one output, two messages may wait."""
    return open_store(webhook_url=f"{receiver.url}/hook", webhook_most_waiting=2)


@pytest.fixture
def full(store: Store) -> Store:
    """The first page made two messages."""
    store.browser().get("/about")
    store.parts.background.do_round()
    return store


def output(store: Store) -> Any:
    (told,) = json.loads(store.browser().get("/readyz").html)["outputs"]
    return told


def states(store: Store) -> list[str]:
    return [row["state"] for row in store.rows("messages")]


def deliver(store: Store) -> None:
    while store.parts.sender.deliver_due():
        pass


def test_it_is_loud(full: Store, caplog: pytest.LogCaptureFixture) -> None:
    assert output(full)["is_full"] is True
    (record,) = [each for each in caplog.get_records("setup") if each.levelname == "ERROR"]
    assert "the backlog of output webhook of workspace default is full" in record.message


def test_the_shop_goes_on_and_what_happens_is_kept_as_dead_letters(full: Store) -> None:
    before = len(states(full))
    visitor = full.browser()
    assert sign_up(visitor).status == 200

    new = full.rows("messages")[before:]
    assert len(new) > 2
    assert {row["state"] for row in new} == {"dead"}
    assert {row["last_error"] for row in new} == {BACKLOG_IS_FULL}
    listed = command("replay", "--list", INSTANCE=str(full.parts.settings.instance)).output
    assert BACKLOG_IS_FULL in listed


def test_uploads_are_taken_and_kept_likewise(full: Store) -> None:
    settings = full.parts.settings
    sender = Sender(full.app.test_client(use_cookies=False))
    answer = sender.post(
        batch(event(), mpid=4_711),
        headers=basic(settings.idsync_key, settings.idsync_secret.get_secret_value()),
    )
    assert answer.status_code == 202
    assert states(full)[-1] == "dead"


def test_when_there_is_room_again_a_replay_delivers_all_of_it_in_order(
    full: Store, receiver: Receiver
) -> None:
    visitor = full.browser()
    visitor.get("/about")
    visitor.get("/about")
    receiver.answer = lambda _: Reply(204)
    deliver(full)
    full.clock.forward(seconds=5)
    full.parts.background.do_round()
    assert output(full)["is_full"] is False
    assert output(full)["dead"] == 3
    visitor.get("/about")
    assert states(full)[-1] == "waiting"

    replayed = command("replay", INSTANCE=str(full.parts.settings.instance))
    assert "3 messages wait" in replayed.output
    full.clock.now_ms = max(row["due_at_ms"] or 0 for row in full.rows("mailboxes"))
    deliver(full)

    assert set(states(full)) == {"delivered"}
    came: dict[int, list[int]] = {}
    for request in receiver.requests:
        body = json.loads(request.body)
        came.setdefault(body["mpid"], []).append(body["context"]["mpid_sequence"])
    assert [sequences == sorted(sequences) for sequences in came.values()] == [True, True]


def test_a_store_that_leaves_forwarding_to_others_notices_it_too(
    tmp_path: Path, receiver: Receiver
) -> None:
    """All that forward may be gone for a week."""
    settings = {
        "INSTANCE": str(tmp_path),
        "WEBHOOK_URL": receiver.url,
        "WEBHOOK_MOST_WAITING": "2",
    }
    with running("run", "--no-forward", "--port", "0", cwd=tmp_path, **settings) as (address, _):
        get(address, "/about")
        until(
            lambda: get(address, "/readyz").json()["outputs"][0]["is_full"], "the backlog is full"
        )
        get(address, "/about")
        told = get(address, "/readyz").json()
    assert told["forwarder"] == "silent"
    (output,) = told["all_workspaces"]["outputs_in_trouble"]
    assert output["state"] == "full"
    assert output["dead"] > 0
    assert receiver.requests == []
