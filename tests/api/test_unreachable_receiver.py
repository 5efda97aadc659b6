"""A receiver at which nobody answers is left alone, and one message finds out when it is back."""

from dataclasses import replace
from functools import partial

import pytest
from sqlalchemy import select

from higgs_shop import outbox
from higgs_shop.clock import system_clock
from higgs_shop.database import Database
from higgs_shop.outgoing_http import OutgoingHttp
from higgs_shop.outputs import (
    Output,
    change_output,
    pause_output,
    remove_output,
    resume_output,
)
from higgs_shop.tables import messages
from higgs_shop.webhook_output import Forwarder, Sender, Work
from higgs_shop.webhook_output.unreachable import MOST_UNANSWERED
from tests.api.conftest import FakeClock
from tests.api.sending import a_sender, deliver_all, enqueue, now, sequences
from tests.at_once import at_once
from tests.network_faults import Receiver, Reply
from tests.webhook_outputs import an_output

PEOPLE = range(1, 31)
AWAY = Reply(503)


@pytest.fixture(autouse=True)
def given_time(clock: FakeClock, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is due goes by the given time on PostgreSQL, too."""
    monkeypatch.setattr("higgs_shop.outbox.mailboxes.database_time", lambda _: clock())


@pytest.fixture
def output(database: Database, receiver: Receiver) -> Output:
    return an_output(database, "sick", url=f"{receiver.url}/sick")


@pytest.fixture
def sender(database: Database, http: OutgoingHttp, clock: FakeClock) -> Sender:
    return a_sender(database, http, clock)


def left_alone_seconds(database: Database, output: Output, clock: FakeClock) -> float | None:
    until_ms = now(database, output).left_alone_until_ms
    return None if until_ms is None else (until_ms - clock()) / 1_000


def go_away(
    database: Database, output: Output, receiver: Receiver, sender: Sender, clock: FakeClock
) -> None:
    """Somebody has three messages, the others one each, and so many are tried as it takes."""
    receiver.answer = lambda _: AWAY
    enqueue(database, *PEOPLE, PEOPLE[-1], PEOPLE[-1], output=output, now_ms=clock())
    deliver_all(sender)
    assert len(receiver.requests) == MOST_UNANSWERED


def test_one_message_is_tried_now_and_then_and_once_it_is_answered_the_others_follow(
    database: Database, output: Output, receiver: Receiver, sender: Sender, clock: FakeClock
) -> None:
    go_away(database, output, receiver, sender, clock)
    waits = []
    for tried in range(1, 8):
        wait_seconds = left_alone_seconds(database, output, clock)
        assert wait_seconds is not None
        waits.append(wait_seconds)
        clock.forward(seconds=wait_seconds - 0.001)
        deliver_all(sender)
        assert len(receiver.requests) == MOST_UNANSWERED + tried - 1
        clock.forward(seconds=0.001)
        deliver_all(sender)
        assert len(receiver.requests) == MOST_UNANSWERED + tried
    assert waits == [5, 5, 10, 20, 40, 60, 60]
    with database.read() as connection:
        attempts = connection.scalars(select(messages.c.attempts)).all()
    assert sum(attempts) == MOST_UNANSWERED + 7
    assert max(attempts) == 1, "nobody is tried twice while there is somebody who was not"

    receiver.answer = lambda _: Reply()
    clock.forward(seconds=60)
    deliver_all(sender)
    followed = receiver.requests[MOST_UNANSWERED + 7 :]
    assert len(followed) == len(PEOPLE) + 2
    assert [each for each in sequences(followed) if each > 1] == [2, 3]
    assert left_alone_seconds(database, output, clock) is None
    assert now(database, output).unreachable_since_ms is None


def test_whatever_a_receiver_says_itself_is_an_answer(
    database: Database, output: Output, receiver: Receiver, sender: Sender, clock: FakeClock
) -> None:
    go_away(database, output, receiver, sender, clock)
    receiver.answer = lambda _: Reply(500)
    clock.forward(seconds=5)
    deliver_all(sender)
    assert len(receiver.requests) == MOST_UNANSWERED + len(PEOPLE)
    assert left_alone_seconds(database, output, clock) is None


def test_connections_that_are_refused_count_as_well(
    database: Database, http: OutgoingHttp, clock: FakeClock
) -> None:
    with Receiver() as gone:
        url = gone.url
    output = an_output(database, "sick", url=url)
    enqueue(database, *PEOPLE, output=output, now_ms=clock())
    deliver_all(a_sender(database, http, clock))
    with database.read() as connection:
        errors = connection.scalars(select(messages.c.last_error)).all()
    assert len([each for each in errors if each]) == MOST_UNANSWERED
    assert left_alone_seconds(database, output, clock) == 5


def test_another_output_is_not_left_alone_by_that(
    database: Database, output: Output, receiver: Receiver, sender: Sender, clock: FakeClock
) -> None:
    go_away(database, output, receiver, sender, clock)
    well = an_output(database, "well", url=f"{receiver.url}/well")
    receiver.answer = lambda request: Reply() if request.path == "/well" else AWAY
    enqueue(database, *PEOPLE, output=well, now_ms=clock())
    deliver_all(sender)
    assert [each.path for each in receiver.requests[MOST_UNANSWERED:]] == ["/well"] * len(PEOPLE)


def test_an_answer_now_and_then_is_enough_to_go_on(
    database: Database, output: Output, receiver: Receiver, sender: Sender, clock: FakeClock
) -> None:
    answers = [*[AWAY] * (MOST_UNANSWERED - 1), Reply()] * 6
    receiver.script(*answers)
    enqueue(database, *PEOPLE, output=output, now_ms=clock())
    deliver_all(sender)
    assert len(receiver.requests) == len(PEOPLE)


def test_of_several_senders_one_finds_out(
    database: Database,
    http: OutgoingHttp,
    output: Output,
    receiver: Receiver,
    sender: Sender,
    clock: FakeClock,
) -> None:
    go_away(database, output, receiver, sender, clock)
    clock.forward(seconds=5)
    others = [a_sender(database, http, clock) for _ in range(4)]
    turns = at_once([partial(each.turn, Work(places=4)) for each in others])
    errands = [errand for turn in turns for errand in turn.errands]
    assert [errand.claim.is_probe for errand in errands] == [True]

    # Whoever had it dies, and its lease runs out.
    clock.forward(seconds=sender.lease_ms / 1_000)
    (errand,) = sender.turn(Work(places=4)).errands
    assert errand.claim.is_probe


def test_a_forwarder_gives_back_what_it_has_leased_ahead_and_sends_it_later(
    database: Database, http: OutgoingHttp, receiver: Receiver
) -> None:
    """The usual threads: with the answers of a receiver that is away, and then is not."""
    away = (
        MOST_UNANSWERED + 3
    )  # all of them could be on their way when the fifth failure is noticed
    receiver.script(*[AWAY] * away)
    output = an_output(database, "sick", url=receiver.url)
    enqueue(database, *PEOPLE, output=output, now_ms=system_clock())
    sender = a_sender(database, http, system_clock, schedule_seconds=(0, *[0.05] * 40))
    with Forwarder(sender, clock=system_clock, poll_seconds=0.01) as forwarder:
        forwarder.wake()
        receiver.wait_for(len(PEOPLE) + away)
    ids = [each.headers["webhook-id"] for each in receiver.requests]
    assert len(set(ids)) == len(PEOPLE)
    with database.read() as connection:
        assert outbox.backlog(connection, "default").waiting == 0


def test_what_is_leased_ahead_is_stopped_but_for_a_probe(
    database: Database, output: Output, receiver: Receiver, sender: Sender, clock: FakeClock
) -> None:
    receiver.answer = lambda _: AWAY
    enqueue(database, *PEOPLE, output=output, now_ms=clock())
    errands = sender.turn(Work(places=10)).errands
    done = [sender.post(each) for each in errands[:MOST_UNANSWERED]]
    turn = sender.turn(Work(done, held=errands[MOST_UNANSWERED:], places=5))
    assert turn.stopped == {output.id}
    assert turn.errands == []
    sender.turn(Work(unsent=errands[MOST_UNANSWERED:]))

    clock.forward(seconds=5)
    (probe,) = sender.turn(Work(places=5)).errands
    turn = sender.turn(Work(held=[probe], places=5))
    assert turn.stopped == frozenset()
    assert turn.errands == []


def test_a_probe_that_is_given_back_unsent_is_taken_again_at_once(
    database: Database, output: Output, receiver: Receiver, sender: Sender, clock: FakeClock
) -> None:
    go_away(database, output, receiver, sender, clock)
    clock.forward(seconds=5)
    (probe,) = sender.turn(Work(places=1)).errands
    clock.forward(seconds=1)
    sender.turn(Work(unsent=[probe], goes_on=False))
    (another,) = sender.turn(Work(places=1)).errands
    assert another.claim.is_probe


@pytest.mark.parametrize("how", ["try now", "other settings", "pause and go on"])
def test_who_says_that_it_is_worth_trying_is_believed(
    database: Database,
    output: Output,
    receiver: Receiver,
    sender: Sender,
    clock: FakeClock,
    how: str,
) -> None:
    go_away(database, output, receiver, sender, clock)
    away = now(database, output)
    receiver.answer = lambda _: Reply()
    if how == "try now":
        with database.read() as connection:
            for mpid in (None, PEOPLE[-1]):
                assert outbox.waits_for_retry(connection, away, mpid=mpid, now_ms=clock())
        outbox.try_now(database, away, now_ms=clock())
    with database.write() as connection:
        if how == "other settings":
            settings = away.settings.model_copy(update={"url": f"{receiver.url}/well"})
            change_output(connection, away, settings, authorization="", secrets=())
        if how == "pause and go on":
            pause_output(connection, away.id, "by hand", clock())
            resume_output(connection, away.id)
    deliver_all(sender)
    assert {each.path for each in receiver.requests[MOST_UNANSWERED:]} == {
        "/well" if how == "other settings" else "/sick"
    }
    sent = len(receiver.requests) - MOST_UNANSWERED
    # Those that were tried in vain wait for their next try, unless that was asked for.
    assert sent == len(PEOPLE) + 2 - (0 if how == "try now" else MOST_UNANSWERED)


def test_who_is_believed_is_not_proved_wrong_by_one_failure(
    database: Database, output: Output, receiver: Receiver, sender: Sender, clock: FakeClock
) -> None:
    go_away(database, output, receiver, sender, clock)
    outbox.try_now(database, now(database, output), now_ms=clock())
    receiver.answer = lambda _: Reply()
    receiver.script(*[AWAY] * (MOST_UNANSWERED - 1))
    deliver_all(sender)
    assert left_alone_seconds(database, output, clock) is None
    assert len(receiver.requests) > len(PEOPLE)


def test_a_clock_that_is_set_back_leaves_nobody_alone_for_longer(
    database: Database, output: Output, receiver: Receiver, sender: Sender, clock: FakeClock
) -> None:
    go_away(database, output, receiver, sender, clock)
    clock.forward(seconds=-3_600)
    enqueue(database, PEOPLE[-1] + 1, output=output, now_ms=clock())
    (errand,) = sender.turn(Work(places=4)).errands
    assert errand.claim.is_probe


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_who_removes_an_output_is_not_waited_for(
    database: Database, output: Output, receiver: Receiver, sender: Sender, clock: FakeClock
) -> None:
    """A probe is taken by who may hold mailboxes, which who removes the output waits for."""
    go_away(database, output, receiver, sender, clock)
    clock.forward(seconds=5)
    with database.write() as connection:
        remove_output(connection, output)
        assert at_once([partial(sender.turn, Work(places=4))])[0].errands == []


def test_a_message_of_its_own_is_no_errand_of_a_probe_any_more_once_it_was_answered(
    database: Database, output: Output, receiver: Receiver, sender: Sender, clock: FakeClock
) -> None:
    """Who goes on with the same claim needs as many failures as anybody."""
    go_away(database, output, receiver, sender, clock)
    clock.forward(seconds=5)
    (probe,) = sender.turn(Work(places=1)).errands
    receiver.answer = lambda _: Reply()
    sender.turn(Work([sender.post(probe)]))
    receiver.answer = lambda _: AWAY
    failing = sender.turn(Work(places=1)).errands[0]
    failing = replace(failing, claim=replace(failing.claim, is_probe=True))
    sender.turn(Work([sender.post(failing)]))
    assert left_alone_seconds(database, output, clock) is None
