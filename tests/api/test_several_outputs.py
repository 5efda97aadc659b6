"""Several outputs of a workspace, through thick and thin: what holds one up does not hold up another."""

from collections.abc import Callable
from typing import Any

import pytest

from higgs_shop import outbox
from higgs_shop.clock import system_clock
from higgs_shop.database import Database
from higgs_shop.outbox import MessageState
from higgs_shop.outgoing_http import OutgoingHttp
from higgs_shop.outputs import Output, resume_output
from higgs_shop.webhook_output import GAP_HEADER, Forwarder, Sender
from tests.api.conftest import FakeClock
from tests.api.sending import ADA, BOB, a_sender, deliver_all, enqueue, now, sequences
from tests.network_faults import Received, Receiver, Reply
from tests.webhook_outputs import an_output

FIVE_TRIES_SECONDS = (0, 5, 300, 600, 1_200)


@pytest.fixture
def sender(database: Database, http: OutgoingHttp, clock: FakeClock) -> Sender:
    return a_sender(database, http, clock)


def at(receiver: Receiver, path: str) -> list[Received]:
    return [each for each in receiver.requests if each.path == path]


def states(database: Database, output: Output, mpid: int = ADA) -> list[MessageState]:
    with database.read() as connection:
        found = outbox.messages_of_events(connection, "default", [mpid])[mpid]
    return [each for each in found if each.output_id == output.id]


def only(path: str, reply: Reply) -> Callable[[Received], Reply]:
    """This answer at this path, and 200 elsewhere."""
    return lambda request: reply if request.path == path else Reply()


def two(database: Database, receiver: Receiver) -> tuple[Output, Output]:
    return (
        an_output(database, "sick", url=f"{receiver.url}/sick"),
        an_output(database, "well", url=f"{receiver.url}/well"),
    )


def test_one_that_is_down_does_not_hold_up_the_other(
    database: Database, clock: FakeClock, receiver: Receiver, sender: Sender
) -> None:
    sick, well = two(database, receiver)
    receiver.answer = only("/sick", Reply(503))
    for output in (sick, well):
        enqueue(database, ADA, BOB, ADA, output=output, now_ms=clock())
    deliver_all(sender)

    assert len(at(receiver, "/sick")) == 2, "one try a person, and then they wait"
    assert len(at(receiver, "/well")) == 3
    assert {each.state for each in states(database, sick)} == {"waiting"}
    assert {each.state for each in states(database, well)} == {"delivered"}
    clock.forward(seconds=5)
    receiver.answer = lambda _: Reply()
    deliver_all(sender)
    assert [each.state for each in states(database, sick)] == ["delivered"] * 2
    assert len(at(receiver, "/well")) == 3


def test_one_that_never_answers_leaves_the_other_a_sender(
    database: Database, http: OutgoingHttp, receiver: Receiver
) -> None:
    """Twenty people wait at each; it takes all the time there is to answer one."""
    people = range(1, 21)
    with Receiver() as silent:
        silent.hold()
        sick = an_output(database, "sick", url=silent.url)
        well = an_output(database, "well", url=receiver.url)
        sender = a_sender(database, http, system_clock)
        with Forwarder(sender, clock=system_clock, poll_seconds=0.01) as forwarder:
            enqueue(database, *people, output=sick, now_ms=system_clock())
            forwarder.wake()
            silent.wait_for(3)
            enqueue(database, *people, output=well, now_ms=system_clock())
            forwarder.wake()
            receiver.wait_for(len(people))
            assert len(silent.requests) == 3
            silent.release()


def test_410_pauses_one_output_which_keeps_everything_until_it_is_resumed(
    database: Database, clock: FakeClock, receiver: Receiver, sender: Sender
) -> None:
    sick, well = two(database, receiver)
    receiver.answer = only("/sick", Reply(410))
    for output in (sick, well):
        enqueue(database, ADA, BOB, ADA, output=output, now_ms=clock())
    deliver_all(sender)

    paused = now(database, sick)
    assert (paused.state, paused.paused_at_ms) == ("paused", clock())
    assert "410" in paused.pause_reason
    assert len(at(receiver, "/sick")) == 1
    assert len(at(receiver, "/well")) == 3

    receiver.answer = lambda _: Reply()
    clock.forward(seconds=7 * 86_400)
    for output in (sick, well):
        enqueue(database, ADA, output=output, now_ms=clock())
    deliver_all(sender)
    assert len(at(receiver, "/sick")) == 1, "time alone does not resume it"
    assert len(at(receiver, "/well")) == 4

    with database.write() as connection:
        assert resume_output(connection, sick.id)
    deliver_all(sender)
    found = at(receiver, "/sick")
    by_person: dict[str, list[int]] = {}
    for each in found[1:]:
        by_person.setdefault(each.body.decode().split('"webhook_id": "')[1][:4], []).extend(
            sequences([each])
        )
    assert by_person == {str(ADA): [1, 2, 3], str(BOB): [1]}
    refused_first = found[0]
    again = [each for each in found[1:] if each.body == refused_first.body]
    assert [each.headers["webhook-id"] for each in again] == [refused_first.headers["webhook-id"]]
    assert {each.state for each in states(database, sick)} == {"delivered"}
    assert now(database, sick).state == "running"


@pytest.mark.parametrize("status_code", [400, 413, 422])
def test_a_refused_message_dies_after_five_tries_and_the_next_one_tells_of_the_gap(
    database: Database, clock: FakeClock, receiver: Receiver, sender: Sender, status_code: int
) -> None:
    output = an_output(database, url=f"{receiver.url}/hook")
    receiver.answer = lambda request: Reply(
        status_code if sequences([request]) in ([2], [3]) else 200
    )
    enqueue(database, *[ADA] * 5, BOB, output=output, now_ms=clock())
    began_ms = clock()
    seen: list[tuple[int, float]] = []
    while {each.state for each in states(database, output)} & {"waiting"}:
        before = len(receiver.requests)
        deliver_all(sender)
        seen += [
            (sequence, (clock() - began_ms) / 1_000)
            for sequence in sequences(receiver.requests[before:])
        ]
        clock.forward(seconds=5)

    ends = [sum(FIVE_TRIES_SECONDS[:number]) for number in range(1, 6)]
    assert [moment for sequence, moment in seen if sequence == 2] == ends
    assert ends[-1] == 35 * 60 + 5
    of_ada = states(database, output)
    assert [each.state for each in of_ada] == ["delivered", "dead", "dead", *["delivered"] * 2]
    assert [each.last_status for each in of_ada[1:3]] == [status_code] * 2
    assert [each.attempts for each in of_ada] == [1, 5, 5, 1, 1]
    gaps: dict[int, Any] = {}
    for each in receiver.requests:
        if str(ADA) in each.body.decode():
            gaps[sequences([each])[0]] = each.headers.get(GAP_HEADER)
    assert gaps == {1: None, 2: None, 3: "2-2", 4: "2-3", 5: None}


def test_a_refusal_at_one_output_is_no_gap_at_another(
    database: Database, clock: FakeClock, receiver: Receiver, sender: Sender
) -> None:
    sick, well = two(database, receiver)
    receiver.answer = lambda request: Reply(
        422 if request.path == "/sick" and sequences([request]) == [1] else 200
    )
    for output in (sick, well):
        enqueue(database, ADA, ADA, output=output, now_ms=clock())
    for wait_seconds in FIVE_TRIES_SECONDS:
        clock.forward(seconds=wait_seconds)
        deliver_all(sender)

    assert [each.state for each in states(database, sick)] == ["dead", "delivered"]
    assert [each.headers.get(GAP_HEADER) for each in at(receiver, "/sick")][-1] == "1-1"
    assert [each.headers.get(GAP_HEADER) for each in at(receiver, "/well")] == [None, None]
    assert [sequences([each]) for each in at(receiver, "/well")] == [[1], [2]]
