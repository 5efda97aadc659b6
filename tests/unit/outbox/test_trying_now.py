"""What waits for a retry is tried at once when somebody asks for it; nothing else changes by that."""

from functools import partial

import pytest
from sqlalchemy import select

from higgs_shop import outbox
from higgs_shop.database import Database
from higgs_shop.outputs import Output, remove_output
from higgs_shop.tables import mailboxes
from tests import webhook_outputs
from tests.at_once import at_once
from tests.unit.outbox.posting import (
    ADA,
    BOB,
    LEASE_MS,
    NOW_MS,
    at,
    claim,
    delivered,
    enqueue,
    failed,
    fill,
    must_claim,
)
from tests.webhook_outputs import an_output

AN_HOUR_MS = 3_600_000
LATER_MS = NOW_MS + 1_000


@pytest.fixture(autouse=True)
def given_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is due goes by the given time on PostgreSQL, too."""
    monkeypatch.setattr("higgs_shop.outbox.mailboxes.database_time", at(LATER_MS))


@pytest.fixture
def output(database: Database) -> Output:
    return an_output(database)


def fail_everything(database: Database, *, wait_ms: int = AN_HOUR_MS) -> None:
    """Every mailbox's first message is tried in vain, and waits."""
    while claimed := claim(database, most=1):
        attempts = [failed(message, wait_ms=wait_ms) for message in claimed.messages]
        assert webhook_outputs.record(database, claimed, attempts, clock=at(NOW_MS))


def try_now(database: Database, output: Output, *, mpid: int | None = None) -> int:
    return outbox.try_now(database, output, mpid=mpid, now_ms=LATER_MS)


def waits(database: Database, output: Output, *, mpid: int | None = None) -> bool:
    with database.read() as connection:
        return outbox.waits_for_retry(connection, output, mpid=mpid, now_ms=LATER_MS)


def due_people(database: Database) -> list[int]:
    with database.read() as connection:
        rows = select(mailboxes.c.mpid).where(mailboxes.c.due_at_ms <= LATER_MS)
        return sorted(connection.scalars(rows))


def test_everybody_s_messages_are_due_at_once_with_their_attempts_counted_on(
    database: Database, output: Output
) -> None:
    fill(database, ADA, BOB, ADA)
    fail_everything(database)
    assert claim(database, now_ms=LATER_MS) is None
    assert waits(database, output)

    assert try_now(database, output) == 2

    assert not waits(database, output)
    claims = [must_claim(database, now_ms=LATER_MS) for _ in range(2)]
    found = {
        each.mpid: [(message.sequence, message.attempts) for message in each.messages]
        for each in claims
    }
    assert found == {ADA: [(1, 1), (2, 0)], BOB: [(1, 1)]}


def test_one_person_s_are_due_and_nobody_else_s(database: Database, output: Output) -> None:
    fill(database, ADA, BOB)
    fail_everything(database)

    assert try_now(database, output, mpid=BOB) == 1

    assert due_people(database) == [BOB]
    assert waits(database, output)
    assert not waits(database, output, mpid=BOB)


def test_another_output_s_wait_goes_on(database: Database, output: Output) -> None:
    other = an_output(database, "other")
    fill(database, ADA)
    with database.write() as connection:
        enqueue(connection, other, BOB, 2)
    fail_everything(database)

    assert try_now(database, output) == 1

    assert due_people(database) == [ADA]
    assert waits(database, other)


def test_what_is_being_sent_is_not_sent_beside_that(database: Database, output: Output) -> None:
    fill(database, ADA)
    fail_everything(database, wait_ms=500)
    sending = must_claim(database, now_ms=LATER_MS)

    assert try_now(database, output) == 0
    assert claim(database, now_ms=LATER_MS) is None

    attempts = [failed(message, wait_ms=AN_HOUR_MS) for message in sending.messages]
    assert webhook_outputs.record(database, sending, attempts, clock=at(LATER_MS))
    assert due_people(database) == []


def test_a_lease_is_kept_though_its_mailbox_was_made_due(
    database: Database, output: Output
) -> None:
    """Somebody asked before the sender came, and it came before that was done."""
    fill(database, ADA)
    fail_everything(database)
    until_ms = NOW_MS + AN_HOUR_MS + LEASE_MS
    sending = must_claim(database, now_ms=NOW_MS + AN_HOUR_MS)

    assert try_now(database, output) == 1

    assert claim(database, now_ms=until_ms - 1) is None
    done = [delivered(message) for message in sending.messages]
    assert webhook_outputs.record(database, sending, done, clock=at(LATER_MS))
    assert claim(database, now_ms=until_ms) is None


def test_nothing_is_done_where_nothing_waits(database: Database, output: Output) -> None:
    fill(database, ADA)
    assert not waits(database, output)
    assert try_now(database, output) == 0
    assert try_now(database, output, mpid=BOB) == 0


def test_an_output_that_was_removed_meanwhile_is_no_mistake(database: Database) -> None:
    other = an_output(database, "other")
    with database.write() as connection:
        enqueue(connection, other, ADA, 1)
    fail_everything(database)
    with database.write() as connection:
        remove_output(connection, other)
    assert try_now(database, other) == 0


def test_many_are_made_due_a_few_at_a_time(
    database: Database, output: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("higgs_shop.outbox.trying_now._AT_ONCE", 2)
    people = range(1, 8)
    fill(database, *people)
    fail_everything(database)

    assert try_now(database, output) == len(people)

    assert due_people(database) == list(people)


def test_it_is_in_nobody_s_way_and_nobody_is_in_its(database: Database, output: Output) -> None:
    people = range(1, 21)
    fill(database, *people)
    fail_everything(database)

    def enqueue_for_all(order: list[int]) -> int:
        with database.write() as connection:
            for mpid in order:
                enqueue(connection, output, mpid, 1_000 + mpid)
        return 0

    made_due = at_once(
        [
            partial(try_now, database, output),
            partial(enqueue_for_all, list(people)),
            partial(try_now, database, output),
        ]
    )

    assert sum(made_due) >= len(people)
    assert due_people(database) == list(people)
