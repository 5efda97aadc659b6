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
from higgs_shop.tables import mailboxes
from higgs_shop.webhook_output import GAP_HEADER, SCHEDULE_SECONDS
from tests.api.conftest import FakeClock
from tests.api.sending import a_sender, enqueue
from tests.webhook_outputs import an_output

PEOPLE = range(1, 101)
EVENTS_EACH = 50
OUTAGE_HOURS = 76


class Receiver:
    """Answers within the process: 503 while it is down; keeps what it is sent when it is not."""

    def __init__(self) -> None:
        self.is_down = True
        self.refused: dict[str, int] = defaultdict(int)
        self.bodies: dict[str, bytes] = {}
        self.order: dict[int, list[int]] = defaultdict(list)
        self.gaps: dict[int, list[str]] = defaultdict(list)

    def __call__(self, request: httpx.Request) -> httpx.Response:
        webhook_id, body = request.headers["webhook-id"], request.read()
        assert self.bodies.get(webhook_id, body) == body
        if self.is_down:
            self.refused[webhook_id] += 1
            return httpx.Response(503)
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
    back_ms = clock() + OUTAGE_HOURS * 3_600_000

    while (due_ms := _next_due_ms(database)) is not None and due_ms < back_ms:
        clock.forward(seconds=max(0, due_ms - clock()) / 1_000)
        while sender.deliver_due():
            pass
    assert set(receiver.refused.values()) <= {*range(1, len(SCHEDULE_SECONDS) + 1)}
    assert list(receiver.refused.values()).count(len(SCHEDULE_SECONDS)) == len(PEOPLE)

    receiver.is_down = False
    while (due_ms := _next_due_ms(database)) is not None:
        clock.forward(seconds=max(0, due_ms - clock()) / 1_000)
        while sender.deliver_due():
            pass
    assert receiver.order == {mpid: [*range(2, EVENTS_EACH + 1)] for mpid in PEOPLE}
    assert receiver.gaps == {mpid: ["1-1"] for mpid in PEOPLE}

    outbox.start_replay(database, output, ReplayChoice(), now_ms=clock())
    while sender.deliver_due():
        pass
    assert receiver.order == {mpid: [*range(2, EVENTS_EACH + 1), 1] for mpid in PEOPLE}
    assert len(receiver.bodies) == len(PEOPLE) * EVENTS_EACH
    with database.read() as connection:
        assert outbox.backlog(connection, "default").waiting == 0


def _next_due_ms(database: Database) -> int | None:
    with database.read() as connection:
        found: int | None = connection.scalar(select(func.min(mailboxes.c.due_at_ms)))
    return found
