"""The outbox: numbers without gaps, one sender a mailbox, nothing forgotten by a crash."""

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import astuple
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event, insert, select

from higgs_shop import outbox
from higgs_shop.database import Database
from higgs_shop.outbox import Attempt, Backlog, Draft, Message, MessageState
from higgs_shop.outbox.mailboxes import database_time
from higgs_shop.tables import delivery_attempts, mailboxes, metadata
from tests import webhook_outputs
from tests.unit.outbox.posting import (
    ADA,
    BOB,
    LEASE_MS,
    NOW_MS,
    at,
    body,
    claim,
    delivered,
    enqueue,
    failed,
    fill,
    must_claim,
)
from tests.webhook_outputs import an_output


def states(database: Database, *event_ids: int) -> dict[int, MessageState]:
    with database.read() as connection:
        found = outbox.messages_of_events(connection, "default", event_ids)
    return {event_id: message for event_id, (message,) in found.items()}


def test_each_mpid_counts_its_messages_from_one(database: Database) -> None:
    made = fill(database, ADA, BOB, ADA, ADA, BOB)

    assert [(each.mpid, each.sequence) for each in made] == [
        (ADA, 1),
        (BOB, 1),
        (ADA, 2),
        (ADA, 3),
        (BOB, 2),
    ]


def test_the_body_is_made_once_from_sequence_and_webhook_id(database: Database) -> None:
    first, second = fill(database, ADA, ADA)

    assert first.body == f"1 {first.webhook_id}".encode()
    assert first.webhook_id != second.webhook_id
    assert must_claim(database).messages == (first, second)


def test_a_change_that_is_not_kept_leaves_no_message_and_no_gap(database: Database) -> None:
    output = an_output(database)
    fill(database, ADA)
    with suppress(RuntimeError), database.write() as connection:
        enqueue(connection, output, ADA, 2)
        raise RuntimeError("the order behind it was refused")

    assert [each.sequence for each in fill(database, ADA)] == [2]
    assert len(must_claim(database).messages) == 2


def test_workspaces_and_outputs_count_apart(database: Database) -> None:
    with database.write() as connection:
        for workspace_id, output_id in (("one", 1), ("other", 2), ("one", 3)):
            last_sequence = outbox.enqueue(
                connection,
                workspace_id=workspace_id,
                output_id=output_id,
                mpid=ADA,
                drafts=[Draft(1, body), Draft(2, body)],
                now_ms=NOW_MS,
            )
            assert last_sequence == 2
        assert outbox.backlog(connection, "one") == Backlog(4, NOW_MS)
        assert outbox.backlog(connection, "other") == Backlog(2, NOW_MS)
        assert outbox.messages_of_events(connection, "default", [1]) == {}


def test_people_who_shop_at_once_get_numbers_without_gaps(database: Database) -> None:
    """Eight threads, two people: what is committed is numbered 1, 2, 3 … for each of them."""

    def shop(thread: int) -> list[tuple[int, int]]:
        mpid = (ADA, BOB)[thread % 2]
        return [(mpid, fill(database, mpid)[0].sequence) for _ in range(10)]

    with ThreadPoolExecutor(8) as pool:
        numbers = [pair for pairs in pool.map(shop, range(8)) for pair in pairs]

    assert sorted(numbers) == [(mpid, at) for mpid in (ADA, BOB) for at in range(1, 41)]


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_numbers_follow_the_order_of_commits_and_a_claim_waits_for_nobody(
    database: Database,
) -> None:
    """A transaction takes a number and stays open: who comes later gets a later one, and waits."""
    output = an_output(database)
    fill(database, ADA)
    with ThreadPoolExecutor(2) as pool:
        with database.write() as connection:
            assert enqueue(connection, output, ADA, 2).sequence == 2
            later = pool.submit(fill, database, ADA)
            assert pool.submit(claim, database).result(timeout=10) is None
            assert not later.done()
        assert [each.sequence for each in later.result(timeout=10)] == [3]

    assert [each.sequence for each in must_claim(database).messages] == [1, 2, 3]


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a_writer_whose_clock_is_ahead_keeps_no_message_from_being_due(database: Database) -> None:
    """Servers' clocks differ; what is due goes by the database's."""
    with database.read() as connection:
        ahead_ms = database_time(connection) + 3_600_000
    fill(database, ADA, now_ms=ahead_ms)

    due = webhook_outputs.claim_due(database, clock=database_time, lease_ms=LEASE_MS)

    assert due is not None


def test_a_claim_takes_one_mailbox_in_sequence_and_at_most_so_many(database: Database) -> None:
    fill(database, ADA, now_ms=NOW_MS - 1)
    fill(database, BOB, ADA, ADA)

    claimed = must_claim(database, most=2)

    assert claimed.mpid == ADA
    assert [each.sequence for each in claimed.messages] == [1, 2]
    assert claimed.until_ms == NOW_MS + LEASE_MS


def test_nothing_is_due_in_an_empty_outbox_or_before_its_time(database: Database) -> None:
    assert claim(database) is None
    fill(database, ADA)
    assert claim(database, now_ms=NOW_MS - 1) is None


def test_the_mailbox_that_is_due_longest_comes_first(database: Database) -> None:
    fill(database, ADA, now_ms=NOW_MS - 1)
    fill(database, BOB, now_ms=NOW_MS - 2)

    assert [must_claim(database).mpid, must_claim(database).mpid] == [BOB, ADA]


def test_two_senders_never_hold_one_mailbox(database: Database) -> None:
    """Sixteen senders at once, four mailboxes: four claims, each of another person."""
    fill(database, *range(1, 5), *range(1, 5))

    with ThreadPoolExecutor(16) as pool:
        claims = [each for each in pool.map(lambda _: claim(database), range(16)) if each]

    assert Counter(each.mpid for each in claims) == Counter([1, 2, 3, 4])


def test_what_is_delivered_is_over_and_a_new_message_makes_the_mailbox_due_again(
    database: Database,
) -> None:
    fill(database, ADA, ADA)
    claimed = must_claim(database)
    attempts = [delivered(each) for each in claimed.messages]

    assert webhook_outputs.record(database, claimed, attempts, clock=at(NOW_MS + 7))

    assert claim(database, now_ms=NOW_MS + 10**9) is None
    fill(database, ADA, now_ms=NOW_MS + 10)
    assert [each.sequence for each in must_claim(database, now_ms=NOW_MS + 10).messages] == [3]


def test_what_failed_waits_for_its_time_and_all_behind_it_too(database: Database) -> None:
    fill(database, ADA, ADA)
    claimed = must_claim(database)

    webhook_outputs.record(
        database,
        claimed,
        [failed(claimed.messages[0], wait_ms=5_000)],
        clock=at(NOW_MS),
    )

    assert claim(database, now_ms=NOW_MS + 4_999) is None
    again = must_claim(database, now_ms=NOW_MS + 5_000)
    assert [(each.sequence, each.attempts) for each in again.messages] == [(1, 1), (2, 0)]
    assert [each.body for each in again.messages] == [each.body for each in claimed.messages]


def test_a_message_that_is_given_up_is_kept_and_the_next_ones_go_on(database: Database) -> None:
    fill(database, ADA, ADA)
    claimed = must_claim(database)

    webhook_outputs.record(
        database, claimed, [failed(claimed.messages[0], wait_ms=None)], clock=at(NOW_MS)
    )

    assert [each.sequence for each in must_claim(database).messages] == [2]
    assert states(database, 1)[1].state == "dead"


def test_a_message_that_comes_while_its_mailbox_is_being_sent_is_due_afterwards(
    database: Database,
) -> None:
    fill(database, ADA)
    claimed = must_claim(database)
    fill(database, ADA, now_ms=NOW_MS + 1)

    assert claim(database, now_ms=NOW_MS + 2) is None, "leased"
    webhook_outputs.record(
        database, claimed, [delivered(claimed.messages[0])], clock=at(NOW_MS + 3)
    )

    assert [each.sequence for each in must_claim(database, now_ms=NOW_MS + 3).messages] == [2]


def test_a_long_backlog_queues_behind_the_others_after_each_round(database: Database) -> None:
    fill(database, ADA, ADA, ADA)
    fill(database, BOB, now_ms=NOW_MS + 1)
    claimed = must_claim(database, now_ms=NOW_MS + 2, most=1)
    webhook_outputs.record(
        database, claimed, [delivered(claimed.messages[0])], clock=at(NOW_MS + 2)
    )

    assert [must_claim(database, now_ms=NOW_MS + 2).mpid for _ in range(2)] == [BOB, ADA]


def test_a_lease_that_runs_out_is_given_back_with_the_same_bytes(database: Database) -> None:
    fill(database, ADA)
    dead_sender = must_claim(database)

    assert claim(database, now_ms=dead_sender.until_ms - 1) is None
    next_sender = must_claim(database, now_ms=dead_sender.until_ms)

    assert next_sender.messages == dead_sender.messages
    assert next_sender.token != dead_sender.token


def test_a_sender_that_goes_on_keeps_its_lease_and_what_it_recorded(database: Database) -> None:
    fill(database, ADA, ADA)
    sender = must_claim(database)
    first, second = sender.messages

    assert webhook_outputs.record(
        database, sender, [delivered(first)], clock=at(NOW_MS), keeps_lease=True
    )

    assert claim(database) is None, "still leased"
    assert states(database, 1)[1].state == "delivered"
    again = must_claim(database, now_ms=sender.until_ms)
    assert again.messages == (second,), "as if the sender had died"
    assert not webhook_outputs.record(
        database, sender, [delivered(second)], clock=at(NOW_MS), keeps_lease=True
    )
    assert not webhook_outputs.record(database, sender, [], clock=at(NOW_MS))


def test_who_lost_the_lease_can_no_longer_record_or_reschedule(database: Database) -> None:
    fill(database, ADA)
    late = must_claim(database)
    holder = must_claim(database, now_ms=late.until_ms)

    assert not webhook_outputs.record(
        database, late, [failed(late.messages[0], wait_ms=None)], clock=at(NOW_MS)
    )
    assert states(database, 1)[1].attempts == 0
    assert claim(database, now_ms=late.until_ms) is None, "still the holder's"

    assert webhook_outputs.record(
        database, holder, [delivered(holder.messages[0])], clock=at(NOW_MS)
    )
    assert not webhook_outputs.record(database, late, [], clock=at(NOW_MS))
    with database.read() as connection:
        assert len(connection.execute(select(delivery_attempts)).all()) == 1


def test_a_lease_that_ran_out_but_nobody_took_still_holds(database: Database) -> None:
    fill(database, ADA)
    slow = must_claim(database)

    assert webhook_outputs.record(
        database, slow, [delivered(slow.messages[0])], clock=at(slow.until_ms + 1_000)
    )


def test_the_only_process_gives_back_at_its_start_what_was_leased_before(
    database: Database,
) -> None:
    fill(database, ADA, BOB)
    must_claim(database)

    assert outbox.forget_leases(database) == 1

    assert {must_claim(database).mpid, must_claim(database).mpid} == {ADA, BOB}


def test_a_claim_without_attempts_is_given_back_as_it_was(database: Database) -> None:
    fill(database, ADA)
    claimed = must_claim(database)

    webhook_outputs.record(database, claimed, [], clock=at(NOW_MS))

    assert must_claim(database).messages == claimed.messages


def test_a_mailbox_that_turns_out_empty_is_no_longer_due(database: Database) -> None:
    """Somebody cleared its messages away: it must not be claimed over and over."""
    output = an_output(database)
    with database.write() as connection:
        connection.execute(
            insert(mailboxes).values(
                workspace_id="default",
                output_id=output.id,
                mpid=ADA,
                last_sequence=3,
                delivered_sequence=0,
                due_at_ms=NOW_MS,
            )
        )
    webhook_outputs.record(database, must_claim(database), [], clock=at(NOW_MS))

    assert claim(database) is None


def test_attempts_and_waits_survive_a_restart(database: Database, database_url: str) -> None:
    fill(database, ADA)
    claimed = must_claim(database)
    webhook_outputs.record(
        database,
        claimed,
        [failed(claimed.messages[0], wait_ms=5_000)],
        clock=at(NOW_MS),
    )

    restarted = Database(database_url)
    try:
        assert claim(restarted, now_ms=NOW_MS + 4_999) is None
        (message,) = must_claim(restarted, now_ms=NOW_MS + 5_000).messages
    finally:
        restarted.close()

    assert (message.attempts, message.webhook_id) == (1, claimed.messages[0].webhook_id)


@pytest.mark.parametrize(
    ("attempt", "expected"),
    [
        pytest.param(None, ("waiting", 0, None, None, NOW_MS, None, None), id="not tried yet"),
        pytest.param(
            delivered,
            ("delivered", 1, 204, None, None, None, NOW_MS + 7),
            id="delivered at its end",
        ),
        pytest.param(
            lambda message: failed(message, wait_ms=5_000),
            ("waiting", 1, None, "receiver.example: no connection", NOW_MS + 5_000, None, None),
            id="to be tried again",
        ),
        pytest.param(
            lambda message: failed(message, wait_ms=None),
            ("dead", 1, None, "receiver.example: no connection", None, None, None),
            id="given up",
        ),
    ],
)
def test_a_page_can_show_where_a_message_stands(
    database: Database, attempt: Callable[[Message], Attempt] | None, expected: tuple[object, ...]
) -> None:
    (message,) = fill(database, ADA)
    if attempt:
        webhook_outputs.record(database, must_claim(database), [attempt(message)], clock=at(NOW_MS))

    shown = states(database, 1, 2)
    assert list(shown) == [1], "event 2 has no message"
    assert astuple(shown[1]) == (message.output_id, *expected, 1, message.webhook_id)


def test_every_attempt_is_kept(database: Database) -> None:
    fill(database, ADA)
    first = must_claim(database)
    webhook_outputs.record(
        database, first, [failed(first.messages[0], wait_ms=0)], clock=at(NOW_MS)
    )
    second = must_claim(database)
    webhook_outputs.record(database, second, [delivered(second.messages[0])], clock=at(NOW_MS))

    with database.read() as connection:
        rows = connection.execute(
            select(
                delivery_attempts.c.number,
                delivery_attempts.c.status_code,
                delivery_attempts.c.error,
                delivery_attempts.c.workspace_id,
            ).order_by(delivery_attempts.c.id)
        ).all()
    assert [tuple(row) for row in rows] == [
        (1, None, "receiver.example: no connection", "default"),
        (2, 204, None, "default"),
    ]


def test_the_backlog_counts_what_waits(database: Database) -> None:
    with database.read() as connection:
        assert outbox.backlog(connection, "default") == Backlog(0, None)
    fill(database, ADA, ADA)
    fill(database, BOB, now_ms=NOW_MS - 9)
    claimed = must_claim(database)
    webhook_outputs.record(database, claimed, [delivered(claimed.messages[0])], clock=at(NOW_MS))

    with database.read() as connection:
        assert outbox.backlog(connection, "default") == Backlog(2, NOW_MS)


def test_nothing_in_the_loop_reads_a_whole_table(tmp_path: Path) -> None:
    """A backlog of a million messages must not slow a claim down: SQLite says how it searches."""
    database = Database(f"sqlite:///{tmp_path / 'shop.db'}")
    metadata.create_all(database.engine)
    ran: list[tuple[str, Any]] = []

    def remember(_: object, __: object, statement: str, parameters: Any, *___: object) -> None:
        ran.append((statement, parameters))

    event.listen(database.engine, "before_cursor_execute", remember)
    fill(database, ADA)
    claimed = must_claim(database)
    webhook_outputs.record(database, claimed, [delivered(claimed.messages[0])], clock=at(NOW_MS))
    states(database, 1)
    with database.read() as connection:
        outbox.backlog(connection, "default")
    event.remove(database.engine, "before_cursor_execute", remember)

    searching = [each for each in ran if each[0].startswith(("SELECT", "UPDATE"))]
    with database.read() as connection:
        plans = [
            row.detail
            for statement, parameters in searching
            if "FROM workspaces" not in statement
            for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
        ]
    database.close()
    assert len(searching) >= 8
    # Outputs are read in full: there are as many as a person has set up. What was found is counted.
    scans = {plan for plan in plans if plan.startswith("SCAN")}
    assert scans <= {"SCAN outputs", "SCAN found"}
    for index in (
        "ix_mailboxes_output_id_due_at_ms",
        "uq_messages_waiting",
        "ix_messages_workspace_id",
    ):
        assert any(index in plan for plan in plans), index
