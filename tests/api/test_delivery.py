"""From the outbox to a real HTTP receiver: signed, in order per MPID, at least once, never in a hurry."""

import json
import logging
from collections import defaultdict
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from sqlalchemy import Connection, delete, select
from standardwebhooks import Webhook

from higgs_shop import __version__, outbox
from higgs_shop.database import Database, DatabaseBusy
from higgs_shop.outbox import MessageState, Recorded
from higgs_shop.outgoing_http import Answer, OutgoingHttp
from higgs_shop.outputs import (
    Output,
    OutputSettings,
    change_output,
    list_outputs,
    pause_output,
    resume_output,
)
from higgs_shop.tables import delivery_attempts, mailboxes, messages
from higgs_shop.webhook_output import (
    BadSecret,
    Forwarder,
    Sender,
    verify,
)
from tests.api import sending
from tests.api.conftest import FakeClock
from tests.api.sending import ADA, BOB, SECRET, TIMEOUT_SECONDS, enqueue, sequences
from tests.network_faults import (
    BLACKHOLE,
    DRIP,
    JUNK,
    PASS,
    REFUSE,
    RESET,
    THIS_MACHINE,
    FaultProxy,
    Mode,
    Received,
    Receiver,
    Reply,
    cut_after,
)
from tests.webhook_outputs import an_output

SCHEDULE_SECONDS = (0, 5, 300, 1_800)
HASTY_SECONDS = 0.3


# How an answer is judged, or what is in a request, does not depend on the kind of database.
on_one_database = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@pytest.fixture
def sender(database: Database, http: OutgoingHttp, clock: FakeClock, receiver: Receiver) -> Sender:
    return a_sender(database, http, clock, url=f"{receiver.url}/hook")


def a_sender(
    database: Database,
    http: OutgoingHttp,
    clock: Callable[[], int],
    *,
    url: str,
    authorization: str = "",
    **options: Any,
) -> Sender:
    """A sender with a short schedule, and an output that posts to the URL."""
    an_output(database, url=url, authorization=authorization)
    options.setdefault("schedule_seconds", SCHEDULE_SECONDS)
    return sending.a_sender(database, http, clock, **options)


def state_of(database: Database, mpid: int) -> MessageState:
    """Where the newest message of an MPID stands."""
    with database.read() as connection:
        *_, newest = outbox.messages_of_events(connection, "default", [mpid])[mpid]
    return newest


def waiting(database: Database) -> int:
    with database.read() as connection:
        return outbox.backlog(connection, "default").waiting


@on_one_database
def test_a_request_carries_the_frozen_body_and_headers_that_others_can_verify(
    database: Database, http: OutgoingHttp, clock: FakeClock, receiver: Receiver
) -> None:
    enqueue(database, ADA, now_ms=clock())
    sender = a_sender(
        database, http, clock, url=f"{receiver.url}/hook?a=b", authorization="Bearer canary"
    )

    (delivery,) = sender.deliver_due()

    (request,) = receiver.requests
    message = delivery.message
    assert (request.method, request.path) == ("POST", "/hook?a=b")
    assert request.body == message.body
    assert request.headers["content-type"] == "application/json"
    assert request.headers["user-agent"] == f"higgs-shop/{__version__}"
    assert request.headers["authorization"] == "Bearer canary"
    assert request.headers["webhook-id"] == message.webhook_id
    assert request.headers["webhook-timestamp"] == str(clock() // 1_000)
    at = datetime.fromtimestamp(clock() // 1_000, UTC)
    signed = Webhook(SECRET).sign(message.webhook_id, at, message.body.decode())
    assert request.headers["webhook-signature"] == signed
    assert delivery.succeeded


@on_one_database
def test_without_an_authorization_setting_there_is_no_such_header(
    database: Database, clock: FakeClock, receiver: Receiver, sender: Sender
) -> None:
    enqueue(database, ADA, now_ms=clock())
    sender.deliver_due()

    assert "authorization" not in receiver.requests[0].headers


@on_one_database
def test_there_is_no_output_that_cannot_sign(database: Database, http: OutgoingHttp) -> None:
    with pytest.raises(BadSecret):
        a_sender(database, http, lambda: 0, url="http://127.0.0.1", secrets=[])
    with pytest.raises(ValueError, match="at least one attempt"):
        a_sender(database, http, lambda: 0, url="http://127.0.0.1", schedule_seconds=[])


def test_nothing_due_is_nothing_sent(sender: Sender) -> None:
    assert sender.deliver_due() == []


@on_one_database
@pytest.mark.parametrize("status_code", [200, 201, 202, 204, 299])
def test_2xx_is_success(
    database: Database,
    clock: FakeClock,
    receiver: Receiver,
    sender: Sender,
    status_code: int,
) -> None:
    receiver.script(Reply(status_code))
    enqueue(database, ADA, now_ms=clock())
    sender.deliver_due()

    state = state_of(database, ADA)
    assert (state.state, state.last_status, state.attempts) == ("delivered", status_code, 1)
    assert waiting(database) == 0


# fmt: off
FAILURES = [
    300, 301, 302, 303, 304, 307, 308,
    400, 401, 403, 404, 408, 409, 413, 422, 429,
    500, 502, 503, 504, 599,
]
# fmt: on


@on_one_database
@pytest.mark.parametrize("status_code", FAILURES)
def test_anything_else_is_tried_again_and_a_redirect_is_never_followed(
    database: Database,
    clock: FakeClock,
    receiver: Receiver,
    sender: Sender,
    status_code: int,
) -> None:
    with Receiver() as elsewhere:
        receiver.script(Reply(status_code, {"Location": f"{elsewhere.url}/other"}))
        enqueue(database, ADA, now_ms=clock())
        sender.deliver_due()
        assert elsewhere.connections == 0

    state = state_of(database, ADA)
    assert (state.state, state.last_status, state.last_error) == ("waiting", status_code, None)
    assert state.next_attempt_ms == clock() + 5_000
    clock.forward(seconds=4.999)
    assert sender.deliver_due() == []
    clock.forward(seconds=0.001)
    (again,) = sender.deliver_due()
    assert again.succeeded


def test_a_receiver_that_may_not_be_reached_gets_nothing_until_it_is_permitted(
    database: Database, http: OutgoingHttp, clock: FakeClock, receiver: Receiver
) -> None:
    enqueue(database, ADA, now_ms=clock())
    with OutgoingHttp(deadline_seconds=TIMEOUT_SECONDS, max_answer_bytes=100) as public_only:
        refused = a_sender(database, public_only, clock, url=receiver.url).deliver_due()
    assert receiver.connections == 0
    state = state_of(database, ADA)
    assert (state.state, state.last_status) == ("waiting", None)
    assert state.last_error == (
        "no connection to 127.0.0.1: 127.0.0.1 is in 127.0.0.0/8 (loopback), "
        "where nothing is sent unless HIGGS_SHOP_PERMITTED_NETWORKS lists it"
    )

    clock.forward(seconds=refused[0].attempt.duration_ms / 1_000 + 5)
    (delivered,) = a_sender(database, http, clock, url=receiver.url).deliver_due()
    assert delivered.succeeded
    assert sequences(receiver.requests) == [1]


@on_one_database
@pytest.mark.parametrize("status_code", [429, 503])
@pytest.mark.parametrize(
    ("retry_after", "wait_seconds"),
    [
        pytest.param("7", 7, id="seconds within"),
        pytest.param("1", 5, id="sooner than planned"),
        pytest.param("1000000000", 10, id="much later than planned"),
        pytest.param("Sun, 01 Mar 2026 23:59:59 GMT", 10, id="a late date"),
        pytest.param("Sun, 01 Mar 2026 08:00:00 GMT", 5, id="a date in the past"),
        pytest.param("-5", 5, id="negative"),
        pytest.param("soon", 5, id="garbage"),
    ],
)
def test_retry_after_is_honoured_between_once_and_twice_the_planned_wait(
    database: Database,
    clock: FakeClock,
    receiver: Receiver,
    sender: Sender,
    status_code: int,
    retry_after: str,
    wait_seconds: int,
) -> None:
    receiver.script(Reply(status_code, {"Retry-After": retry_after}))
    enqueue(database, ADA, now_ms=clock())
    (delivery,) = sender.deliver_due()

    assert delivery.attempt.wait_ms == wait_seconds * 1_000


@on_one_database
def test_every_attempt_has_its_own_time_and_the_same_id_and_bytes(
    database: Database, clock: FakeClock, receiver: Receiver, sender: Sender
) -> None:
    receiver.script(Reply(500), Reply(500))
    enqueue(database, ADA, now_ms=clock())
    for wait_seconds in (60, 600, 0):
        sender.deliver_due()
        clock.forward(seconds=wait_seconds)

    requests = receiver.requests
    assert len(requests) == 3
    assert len({(each.headers["webhook-id"], each.body) for each in requests}) == 1
    assert len({each.headers["webhook-timestamp"] for each in requests}) == 3
    assert len({each.headers["webhook-signature"] for each in requests}) == 3
    for each in requests:
        sent_at_ms = int(each.headers["webhook-timestamp"]) * 1_000
        assert verify([SECRET], each.headers, each.body, sent_at_ms).ok


def test_a_failure_in_the_middle_holds_back_what_follows_and_nothing_overtakes(
    database: Database, clock: FakeClock, receiver: Receiver, sender: Sender
) -> None:
    receiver.script(Reply(200), Reply(200), Reply(503))
    enqueue(database, *[ADA] * 5, now_ms=clock())

    first_round = sender.deliver_due()
    assert [each.succeeded for each in first_round] == [True, True, False]
    assert sender.deliver_due() == []
    clock.forward(seconds=60)
    sender.deliver_due()

    assert sequences(receiver.requests) == [1, 2, 3, 3, 4, 5]
    assert waiting(database) == 0


@on_one_database
def test_people_do_not_wait_for_each_other(
    database: Database, clock: FakeClock, receiver: Receiver, sender: Sender
) -> None:
    def only_bob(request: Received) -> Reply:
        return Reply(200 if str(BOB) in request.body.decode() else 500)

    receiver.answer = only_bob
    enqueue(database, ADA, BOB, ADA, BOB, now_ms=clock())

    rounds = [sender.deliver_due() for _ in range(3)]

    assert [[each.succeeded for each in deliveries] for deliveries in rounds] == [
        [False],
        [True, True],
        [],
    ]


def test_a_message_that_nobody_wants_dies_is_kept_and_the_next_one_goes(
    database: Database,
    clock: FakeClock,
    receiver: Receiver,
    sender: Sender,
    caplog: pytest.LogCaptureFixture,
) -> None:

    def not_the_first(request: Received) -> Reply:
        is_first = sequences([request]) == [1]
        return Reply(500, body=b"no\x00pe \xff" + b"x" * 5_000) if is_first else Reply(200)

    receiver.answer = not_the_first
    enqueue(database, ADA, ADA, now_ms=clock())
    first = sender.deliver_due()[0].message
    for wait_seconds in (400, 4_000, 40_000):
        clock.forward(seconds=wait_seconds)
        with caplog.at_level(logging.WARNING):
            while sender.deliver_due():
                pass

    assert waiting(database) == 0
    with database.read() as connection:
        rows = connection.execute(
            select(delivery_attempts.c.number, delivery_attempts.c.answer)
            .where(delivery_attempts.c.message_id == first.id)
            .order_by(delivery_attempts.c.number)
        ).all()
    assert [row.number for row in rows] == [1, 2, 3, 4]
    assert rows[0].answer.startswith("nope \ufffdxxx")
    assert {len(row.answer) for row in rows} == {2_048}
    assert "is dead after 4 attempts: status 500" in caplog.text
    assert state_of(database, ADA).sequence == 2
    assert state_of(database, ADA).state == "delivered"


def test_attempts_are_never_counted_anew_after_a_restart(
    database: Database,
    database_url: str,
    http: OutgoingHttp,
    clock: FakeClock,
    receiver: Receiver,
    sender: Sender,
) -> None:
    receiver.answer = lambda _: Reply(500)
    enqueue(database, ADA, now_ms=clock())
    sender.deliver_due()
    for attempts in (2, 3, 4):
        clock.forward(seconds=10_000)
        restarted = Database(database_url)
        (delivery,) = a_sender(restarted, http, clock, url=receiver.url).deliver_due()
        restarted.close()
        assert delivery.attempt.number == attempts

    assert state_of(database, ADA).state == "dead"
    clock.forward(seconds=10**6)
    assert sender.deliver_due() == []


@on_one_database
@pytest.mark.parametrize(
    "mode", [REFUSE, RESET, BLACKHOLE, DRIP, JUNK, cut_after(20)], ids=lambda mode: mode.name
)
def test_a_network_that_fails_loses_nothing_and_keeps_the_order(
    database: Database,
    http: OutgoingHttp,
    clock: FakeClock,
    receiver: Receiver,
    mode: Mode,
) -> None:
    enqueue(database, ADA, BOB, ADA, BOB, ADA, now_ms=clock())
    with (
        FaultProxy(receiver.address) as proxy,
        OutgoingHttp(
            deadline_seconds=HASTY_SECONDS, max_answer_bytes=100, reach=THIS_MACHINE
        ) as hasty_http,
    ):
        proxy.mode = mode
        hasty = a_sender(database, hasty_http, clock, url=proxy.url)
        sender = a_sender(database, http, clock, url=proxy.url)
        failed = hasty.deliver_due() + hasty.deliver_due()
        for delivery in failed:
            assert (delivery.succeeded, delivery.attempt.status_code) == (False, None)
            assert delivery.attempt.error
        assert {each.message.mpid for each in failed} == {ADA, BOB}
        assert sender.deliver_due() == []

        proxy.mode = PASS
        clock.forward(seconds=60)
        assert len(sender.deliver_due() + sender.deliver_due()) == 5

    assert_each_once_in_order(receiver.requests, {ADA: 3, BOB: 2})


def assert_each_once_in_order(requests: Sequence[Received], expected: dict[int, int]) -> None:
    """First deliveries per MPID without gap or inversion; repetitions with the same id and bytes."""
    bodies: dict[str, bytes] = {}
    first: dict[int, list[int]] = defaultdict(list)
    for request in requests:
        webhook_id = request.headers["webhook-id"]
        if webhook_id not in bodies:
            facts = json.loads(request.body)
            first[int(facts["webhook_id"].split(":")[0])].append(facts["sequence"])
        assert bodies.setdefault(webhook_id, request.body) == request.body
    assert first == {mpid: list(range(1, count + 1)) for mpid, count in expected.items()}


@on_one_database
def test_a_url_that_can_never_be_reached_is_an_outcome_too(
    database: Database, http: OutgoingHttp, clock: FakeClock
) -> None:
    enqueue(database, ADA, now_ms=clock())
    sender = a_sender(database, http, clock, url="http://" + "a" * 300)

    (delivery,) = sender.deliver_due()

    assert delivery.attempt.error
    assert delivery.attempt.state == "waiting"


def test_dying_between_sending_and_recording_repeats_one_message_with_the_same_bytes(
    database: Database,
    clock: FakeClock,
    receiver: Receiver,
    sender: Sender,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    enqueue(database, *[ADA] * 4, now_ms=clock())

    def killed(*arguments: Any, **options: Any) -> list[Recorded]:
        if len(receiver.requests) < 3:
            return outbox.record(*arguments, **options)
        raise SystemExit

    with monkeypatch.context() as patch:
        patch.setattr("higgs_shop.webhook_output.sender.record", killed)
        with pytest.raises(SystemExit):
            sender.deliver_due()
    assert sender.deliver_due() == [], "still leased"

    clock.forward(seconds=60)
    again = sender.deliver_due()

    assert [each.attempt.number for each in again] == [1, 1]
    assert sequences(receiver.requests) == [1, 2, 3, 3, 4]
    assert_each_once_in_order(receiver.requests, {ADA: 4})
    assert waiting(database) == 0


@on_one_database
def test_a_busy_database_is_asked_again_rather_than_sending_twice(
    database: Database,
    clock: FakeClock,
    receiver: Receiver,
    sender: Sender,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    enqueue(database, ADA, now_ms=clock())
    tries = iter([DatabaseBusy("busy"), DatabaseBusy("busy")])

    def busy_at_first(*arguments: Any, **options: Any) -> list[Recorded]:
        if receiver.requests and (error := next(tries, None)):
            raise error
        return outbox.record(*arguments, **options)

    monkeypatch.setattr("higgs_shop.webhook_output.sender.record", busy_at_first)
    sender.deliver_due()

    assert state_of(database, ADA).state == "delivered"
    assert len(receiver.requests) == 1


def test_a_sender_that_comes_back_late_cannot_undo_what_another_recorded(
    database: Database,
    clock: FakeClock,
    receiver: Receiver,
    sender: Sender,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The first answer takes so long that the lease runs out and a second sender delivers."""

    def late(request: Received) -> Reply:
        if request.number > 1:
            return Reply(200)
        clock.forward(seconds=60)
        assert [each.succeeded for each in sender.deliver_due()] == [True]
        return Reply(500)

    receiver.answer = late
    enqueue(database, ADA, now_ms=clock())
    with caplog.at_level(logging.WARNING):
        sender.deliver_due()

    state = state_of(database, ADA)
    assert (state.state, state.attempts) == ("delivered", 1)
    assert "the lease on the mailbox of MPID 1001 ran out" in caplog.text
    assert_each_once_in_order(receiver.requests, {ADA: 1})


@on_one_database
def test_a_sender_that_lost_its_lease_sends_nothing_more(
    database: Database, clock: FakeClock, receiver: Receiver, sender: Sender
) -> None:
    """While the first of three is on its way, somebody else delivers all of them."""

    def late(request: Received) -> Reply:
        if request.number == 1:
            clock.forward(seconds=60)
            assert len(sender.deliver_due()) == 3
        return Reply(200)

    receiver.answer = late
    enqueue(database, ADA, ADA, ADA, now_ms=clock())

    assert [each.message.sequence for each in sender.deliver_due()] == [1]
    assert sequences(receiver.requests) == [1, 1, 2, 3]


@on_one_database
def test_nothing_more_goes_to_an_output_that_is_paused_while_a_mailbox_is_worked_on(
    database: Database, clock: FakeClock, receiver: Receiver, sender: Sender
) -> None:
    def pause(_: Received) -> Reply:
        with database.write() as connection:
            pause_output(connection, an_output_of(connection).id, "by hand", clock())
        return Reply(200)

    receiver.answer = pause
    enqueue(database, *[ADA] * 3, now_ms=clock())

    assert [each.message.sequence for each in sender.deliver_due()] == [1]
    assert len(receiver.requests) == 1
    assert waiting(database) == 2
    assert outbox.forget_leases(database) == 0, "given back"


def an_output_of(connection: Connection) -> Output:
    (output,) = list_outputs(connection, "default")
    return output


@on_one_database
def test_a_secret_that_is_taken_away_signs_nothing_more(
    database: Database, clock: FakeClock, receiver: Receiver, sender: Sender
) -> None:
    leaked, fresh = ("whsec_" + letter * 32 for letter in "AB")

    def with_secrets(*given: str) -> None:
        output = an_output(database)
        with database.write() as connection:
            settings = OutputSettings(url=receiver.url)
            change_output(connection, output, settings, authorization="", secrets=given)

    def take_away(request: Received) -> Reply:
        if request.number == 1:
            with_secrets(fresh)
        return Reply(200)

    with_secrets(leaked)
    receiver.answer = take_away
    enqueue(database, *[ADA] * 3, now_ms=clock())
    sender.deliver_due()

    signed_by_both = [
        [verify([secret], each.headers, each.body, clock()).ok for secret in (leaked, fresh)]
        for each in receiver.requests
    ]
    assert signed_by_both == [[True, False], [False, True], [False, True]]


@on_one_database
def test_what_was_answered_410_has_all_its_attempts_before_it_once_the_output_is_resumed(
    database: Database, clock: FakeClock, receiver: Receiver, sender: Sender
) -> None:
    enqueue(database, ADA, now_ms=clock())
    receiver.script(Reply(503), Reply(503), Reply(410))
    for wait_seconds in (0, 5, 300):
        clock.forward(seconds=wait_seconds)
        sender.deliver_due()
    with database.write() as connection:
        resume_output(connection, an_output_of(connection).id)
    receiver.answer = lambda _: Reply(503)

    (delivery,) = sender.deliver_due()

    assert (delivery.attempt.number, delivery.attempt.wait_ms) == (4, 5_000)


@on_one_database
def test_stopping_gives_back_unsent_what_is_left(
    database: Database, clock: FakeClock, receiver: Receiver, sender: Sender
) -> None:
    enqueue(database, *[ADA] * 5, now_ms=clock())

    sent = sender.deliver_due(keep_going=lambda: len(receiver.requests) < 2)

    assert [each.message.sequence for each in sent] == [1, 2]
    assert [each.message.sequence for each in sender.deliver_due()] == [3, 4, 5]


@on_one_database
def test_a_round_ends_long_before_its_lease_does(
    database: Database, clock: FakeClock, receiver: Receiver, sender: Sender
) -> None:
    """Answers that take four seconds each: after ten seconds the rest waits for the next round."""

    def slow(_: Received) -> Reply:
        clock.forward(seconds=4)
        return Reply(200)

    receiver.answer = slow
    enqueue(database, *[ADA] * 5, now_ms=clock())

    assert [each.message.sequence for each in sender.deliver_due()] == [1, 2, 3]
    assert [each.message.sequence for each in sender.deliver_due()] == [4, 5]


@on_one_database
def test_an_error_that_nobody_foresaw_is_an_attempt_that_failed(
    database: Database, clock: FakeClock
) -> None:
    class Broken(OutgoingHttp):
        def post(self, *arguments: Any, **options: Any) -> Answer:
            if posted:
                raise RuntimeError("nobody foresaw this")
            posted.append(1)
            return super().post(*arguments, **options)

    posted: list[int] = []
    transport = httpx.MockTransport(lambda request: httpx.Response(204, request=request))
    enqueue(database, ADA, ADA, now_ms=clock())
    with Broken(deadline_seconds=1, max_answer_bytes=100, transport=transport) as http:
        sender = a_sender(database, http, clock, url="http://receiver.example")
        delivered, failed = sender.deliver_due()

    assert delivered.succeeded
    assert failed.attempt.error == "it cannot be posted: RuntimeError"
    assert failed.attempt.wait_ms == 5_000, "it is tried again, and dies as others do"
    assert waiting(database) == 1


def test_a_mailbox_that_is_due_and_empty_holds_up_nobody(
    database: Database, clock: FakeClock, receiver: Receiver, sender: Sender
) -> None:
    enqueue(database, ADA, BOB, now_ms=clock())
    with database.write() as connection:
        connection.execute(delete(messages).where(messages.c.mpid == ADA))

    sent = sender.deliver_due() + sender.deliver_due()

    assert [each.message.mpid for each in sent] == [BOB]
    assert len(receiver.requests) == 1
    with database.read() as connection:
        due = connection.scalars(select(mailboxes.c.due_at_ms)).all()
    assert due == [None, None], "and is not looked at again"


def test_the_forwarder_delivers_all_of_it_in_order_through_a_receiver_that_often_fails(
    database: Database, http: OutgoingHttp, receiver: Receiver
) -> None:
    """Four senders, eight people who shop at once, every third answer a failure."""
    people = range(1, 9)
    receiver.answer = lambda request: Reply(503 if request.number % 3 == 0 else 200)
    now_ms = 1_700_000_000_000
    sender = a_sender(database, http, lambda: now_ms, url=receiver.url, schedule_seconds=[0] * 50)
    with Forwarder(sender, clock=lambda: now_ms, poll_seconds=0.01) as forwarder:
        for _ in range(10):
            enqueue(database, *people, now_ms=now_ms)
            forwarder.wake()
        receiver.wait_for(119, timeout_seconds=30)

    assert_each_once_in_order(receiver.requests, dict.fromkeys(people, 10))
    succeeded = [each for each in receiver.requests if each.number % 3]
    assert len(succeeded) == 80, "nothing that was delivered was sent again"
