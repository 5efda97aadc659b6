"""D4 on a clock that is set: a receiver that is down for longer than messages are tried."""

import json
from collections import defaultdict
from collections.abc import Iterator

import httpx
import pytest
from sqlalchemy import func, select

from higgs_shop import outbox
from higgs_shop.database import Database
from higgs_shop.outbox import ReplayChoice
from higgs_shop.outgoing_http import OutgoingHttp
from higgs_shop.tables import mailboxes, outputs
from higgs_shop.webhook_output import GAP_HEADER, SCHEDULE_SECONDS, Sender
from tests.api.conftest import FakeClock
from tests.api.sending import a_sender, deliver_all, enqueue
from tests.webhook_outputs import an_output

PEOPLE = range(1, 101)
EVENTS_EACH = 50
HOUR_MS = 3_600_000
OUTAGE_MS = 76 * HOUR_MS


class Receiver:
    """Answers within the process, while it is down with a status; keeps what it is sent when it is not."""

    def __init__(self) -> None:
        self.is_down = True
        self.status_when_down = 500
        self.refused: dict[str, int] = defaultdict(int)
        self.bodies: dict[str, bytes] = {}
        self.order: dict[int, list[int]] = defaultdict(list)
        self.gaps: dict[int, list[str]] = defaultdict(list)

    def __call__(self, request: httpx.Request) -> httpx.Response:
        webhook_id, body = request.headers["webhook-id"], request.read()
        assert self.bodies.get(webhook_id, body) == body
        if self.is_down:
            self.refused[webhook_id] += 1
            return httpx.Response(self.status_when_down)
        facts = json.loads(body)
        mpid = int(facts["webhook_id"].split(":")[0])
        self.bodies[webhook_id] = body
        self.order[mpid].append(facts["sequence"])
        if GAP_HEADER in request.headers:
            self.gaps[mpid].append(request.headers[GAP_HEADER])
        return httpx.Response(204)


@pytest.fixture
def receiver() -> Receiver:
    return Receiver()


@pytest.fixture
def http(receiver: Receiver) -> Iterator[OutgoingHttp]:
    transport = httpx.MockTransport(receiver)
    with OutgoingHttp(deadline_seconds=1, max_answer_bytes=100, transport=transport) as opened:
        yield opened


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_after_76_hours_all_of_it_goes_out_in_order_and_dead_letters_on_request(
    database: Database, http: OutgoingHttp, receiver: Receiver, clock: FakeClock
) -> None:
    output = an_output(database, url="http://receiver.example/")
    enqueue(database, *[mpid for mpid in PEOPLE for _ in range(EVENTS_EACH)], now_ms=clock())
    sender = a_sender(database, http, clock)
    _send_all_that_is_due(database, sender, clock, until_ms=clock() + OUTAGE_MS)
    assert set(receiver.refused.values()) <= {*range(1, len(SCHEDULE_SECONDS) + 1)}
    assert list(receiver.refused.values()).count(len(SCHEDULE_SECONDS)) == len(PEOPLE)

    receiver.is_down = False
    _send_all_that_is_due(database, sender, clock)
    assert receiver.order == {mpid: [*range(2, EVENTS_EACH + 1)] for mpid in PEOPLE}
    assert receiver.gaps == {mpid: ["1-1"] for mpid in PEOPLE}

    outbox.start_replay(database, output, ReplayChoice(), now_ms=clock())
    deliver_all(sender)
    assert receiver.order == {mpid: [*range(2, EVENTS_EACH + 1), 1] for mpid in PEOPLE}
    assert len(receiver.bodies) == len(PEOPLE) * EVENTS_EACH
    with database.read() as connection:
        assert outbox.backlog(connection, "default").waiting == 0


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize(("outage_ms", "most_attempts"), [(HOUR_MS, 1), (OUTAGE_MS, 9)])
def test_after_an_outage_in_which_nobody_answered_everybody_has_attempts_left(
    database: Database,
    http: OutgoingHttp,
    receiver: Receiver,
    clock: FakeClock,
    outage_ms: int,
    most_attempts: int,
) -> None:
    an_output(database, url="http://receiver.example/")
    enqueue(database, *[mpid for mpid in PEOPLE for _ in range(EVENTS_EACH)], now_ms=clock())
    sender = a_sender(database, http, clock)
    receiver.status_when_down = 503
    _send_all_that_is_due(database, sender, clock, until_ms=clock() + outage_ms)
    assert max(receiver.refused.values()) <= most_attempts

    receiver.is_down = False
    if most_attempts == 1:  # so everybody waits for nothing but the receiver
        clock.forward(seconds=60)
        _send_all_that_is_due(database, sender, clock, until_ms=clock())
    else:
        _send_all_that_is_due(database, sender, clock)
    assert receiver.order == {mpid: [*range(1, EVENTS_EACH + 1)] for mpid in PEOPLE}
    assert not receiver.gaps


def _send_all_that_is_due(
    database: Database, sender: Sender, clock: FakeClock, *, until_ms: int | None = None
) -> None:
    """Set the clock to each time at which something may be sent, until none is left before `until_ms`."""
    while (due_ms := _next_due_ms(database)) is not None and (
        until_ms is None or due_ms <= until_ms
    ):
        clock.forward(seconds=max(0, due_ms - clock()) / 1_000)
        deliver_all(sender)


def _next_due_ms(database: Database) -> int | None:
    with database.read() as connection:
        due_ms: int | None = connection.scalar(select(func.min(mailboxes.c.due_at_ms)))
        left_alone_until_ms: int | None = connection.scalar(select(outputs.c.left_alone_until_ms))
    return None if due_ms is None else max(due_ms, left_alone_until_ms or 0)
