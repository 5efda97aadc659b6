"""Looking at an output's messages: newest first, page by page, and never further than asked."""

from dataclasses import replace

import pytest
from sqlalchemy import insert

from higgs_shop import outbox
from higgs_shop.database import Database
from higgs_shop.outbox import Counts, Draft, ListedAttempt, ListedMessage, State
from higgs_shop.outputs import Output
from higgs_shop.tables import events
from tests import webhook_outputs
from tests.unit.outbox.posting import (
    ADA,
    BOB,
    NOW_MS,
    at,
    body,
    delivered,
    failed,
    fill,
    must_claim,
)
from tests.webhook_outputs import an_output


def listed(
    database: Database,
    output: Output,
    *,
    state: State | None = None,
    mpid: int | None = None,
    before_id: int | None = None,
    most: int = 100,
) -> list[ListedMessage]:
    with database.read() as connection:
        return outbox.list_messages(
            connection, output, state=state, mpid=mpid, before_id=before_id, most=most
        )


def sequences(found: list[ListedMessage]) -> list[tuple[int, int]]:
    return [(message.mpid, message.sequence) for message in found]


@pytest.fixture
def output(database: Database) -> Output:
    return an_output(database)


@pytest.fixture
def of_each_state(database: Database) -> None:
    """Ada's first is delivered, her second dead, her third waits; and Bob's waits, the newest."""
    fill(database, ADA, ADA, ADA)
    claimed = must_claim(database)
    first, second, _ = claimed.messages
    attempts = [delivered(first), failed(second, wait_ms=None)]
    webhook_outputs.record(database, claimed, attempts, clock=at(NOW_MS))
    fill(database, BOB, now_ms=NOW_MS + 5)


@pytest.mark.usefixtures("of_each_state")
class TestLists:
    """Four messages, two of which wait."""

    def test_the_newest_comes_first(self, database: Database, output: Output) -> None:
        found = listed(database, output)
        assert sequences(found) == [(BOB, 1), (ADA, 3), (ADA, 2), (ADA, 1)]
        assert [message.state for message in found] == ["waiting", "waiting", "dead", "delivered"]

    @pytest.mark.parametrize(
        ("state", "expected"),
        [
            ("waiting", [(BOB, 1), (ADA, 3)]),
            ("dead", [(ADA, 2)]),
            ("delivered", [(ADA, 1)]),
        ],
    )
    def test_those_of_one_state(
        self,
        database: Database,
        output: Output,
        state: State,
        expected: list[tuple[int, int]],
    ) -> None:
        assert sequences(listed(database, output, state=state)) == expected

    def test_those_of_one_person(self, database: Database, output: Output) -> None:
        assert sequences(listed(database, output, mpid=ADA)) == [(ADA, 3), (ADA, 2), (ADA, 1)]
        assert sequences(listed(database, output, mpid=ADA, state="waiting")) == [(ADA, 3)]
        assert listed(database, output, mpid=4711) == []

    def test_page_by_page(self, database: Database, output: Output) -> None:
        first = listed(database, output, most=3)
        second = listed(database, output, most=3, before_id=first[-1].id)
        assert sequences(first + second) == [(BOB, 1), (ADA, 3), (ADA, 2), (ADA, 1)]
        assert len(first) == 3
        assert listed(database, output, before_id=2**70) == first + second

    def test_each_says_where_it_stands(self, database: Database, output: Output) -> None:
        waiting, _, dead, over = listed(database, output)
        error = "receiver.example: no connection"
        assert (dead.last_status, dead.last_error, dead.attempts) == (None, error, 1)
        assert (over.last_status, over.last_error, over.attempts) == (204, None, 1)
        assert (waiting.enqueued_at_ms, waiting.next_attempt_ms) == (NOW_MS + 5, NOW_MS + 5)
        assert waiting.closed_at_ms is None
        assert (over.next_attempt_ms, over.closed_at_ms) == (None, NOW_MS + 7)
        assert not any(message.is_replayed for message in (waiting, dead, over))

    def test_they_are_counted(self, database: Database, output: Output) -> None:
        with database.read() as connection:
            counts = outbox.count_messages(connection, output)
        assert counts == Counts(waiting=2, oldest_waiting_ms=NOW_MS, dead=1, delivered=1)

    def test_another_output_has_none_of_them(self, database: Database, output: Output) -> None:
        other = an_output(database, "other")
        message_id = listed(database, output)[0].id
        assert listed(database, other) == []
        with database.read() as connection:
            assert outbox.get_message(connection, other, message_id) is None
            assert outbox.list_attempts(connection, other, message_id) == []
            assert outbox.count_messages(connection, other) == Counts(0, None, 0, 0)
            # Not even when the workspace is another one's by mistake.
            elsewhere = replace(output, workspace_id="elsewhere")
            assert outbox.count_messages(connection, elsewhere) == Counts(0, None, 0, 0)


def test_a_message_is_named_by_its_event(database: Database, output: Output) -> None:
    with database.write() as connection:
        event_id = connection.execute(
            insert(events).returning(events.c.id),
            {
                "workspace_id": "default",
                "request_id": "r-1",
                "mpid": ADA,
                "event_type": "custom_event",
                "name": "Video played",
                "data": {},
                "source_message_id": "m-1",
                "code_place": "",
                "logged_at_ms": NOW_MS,
            },
        ).scalar_one()
        outbox.enqueue(
            connection,
            workspace_id="default",
            output_id=output.id,
            mpid=ADA,
            drafts=[Draft(event_id, body), Draft(None, body)],
            now_ms=NOW_MS,
        )

    without, named = listed(database, output)

    assert (named.event_id, named.event_type, named.name) == (
        event_id,
        "custom_event",
        "Video played",
    )
    assert (without.event_id, without.event_type, without.name) == (None, None, None)


def test_one_message_is_shown_with_its_body_and_every_attempt(
    database: Database, output: Output
) -> None:
    (message,) = fill(database, ADA)
    first = must_claim(database)
    webhook_outputs.record(
        database, first, [failed(first.messages[0], wait_ms=0)], clock=at(NOW_MS)
    )
    second = must_claim(database)
    answered = replace(delivered(second.messages[0]), answer="thank you")
    webhook_outputs.record(database, second, [answered], clock=at(NOW_MS))

    with database.read() as connection:
        found = outbox.get_message(connection, output, message.id)
        attempts = outbox.list_attempts(connection, output, message.id)

    assert found == (listed(database, output)[0], message.body)
    assert attempts == [
        ListedAttempt(1, None, "receiver.example: no connection", "", None, None, 0, 7, NOW_MS),
        ListedAttempt(2, 204, None, "thank you", None, None, None, 7, NOW_MS),
    ]


@pytest.mark.parametrize("message_id", [0, -1, 4711, 2**63, 2**200])
def test_a_message_that_is_not_there_is_none(
    database: Database, output: Output, message_id: int
) -> None:
    with database.read() as connection:
        assert outbox.get_message(connection, output, message_id) is None


def test_counting_stops_where_it_says(database: Database, output: Output) -> None:
    """A backlog of millions is told as `more than`, and not read."""
    with database.write() as connection:
        outbox.enqueue(
            connection,
            workspace_id="default",
            output_id=output.id,
            mpid=ADA,
            drafts=[Draft(None, body)] * (outbox.MOST_COUNTED + 5),
            now_ms=NOW_MS,
        )
    with database.read() as connection:
        counts = outbox.count_messages(connection, output)
    assert counts.waiting == outbox.MOST_COUNTED + 1
