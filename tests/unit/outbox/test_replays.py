"""Delivering again: what was chosen and nothing else, with the same id and bytes, in its place."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, Final

import pytest
from sqlalchemy import delete, select, update

from higgs_shop import outbox
from higgs_shop.database import Database, DatabaseBusy
from higgs_shop.outbox import Message, Progress, ReplayChoice
from higgs_shop.outputs import NoSuchOutput, Output, remove_output
from higgs_shop.tables import mailboxes, messages, replays
from tests import webhook_outputs
from tests.at_once import at_once
from tests.unit.outbox.posting import (
    ADA,
    BOB,
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

LATER_MS = NOW_MS + 3_600_000
DEAD: Final = ReplayChoice()


@pytest.fixture
def output(database: Database) -> Output:
    return an_output(database)


def replay(database: Database, output: Output, choice: ReplayChoice = DEAD) -> outbox.Replay:
    return outbox.start_replay(database, output, choice, now_ms=LATER_MS)


def progress(database: Database, output: Output, replay_id: int) -> Progress | None:
    with database.read() as connection:
        return outbox.progress_of(connection, output, replay_id)


def settle(
    database: Database, outcome: Callable[[Message], outbox.Attempt], *, now_ms: int = NOW_MS
) -> list[Message]:
    """Claim whatever is due, one message a time, and let each end so. Returns them in that order."""
    settled: list[Message] = []
    while claimed := claim(database, now_ms=now_ms, most=1):
        settled += claimed.messages
        attempts = [outcome(message) for message in claimed.messages]
        assert webhook_outputs.record(database, claimed, attempts, clock=at(now_ms))
    return settled


def give_up(database: Database) -> list[Message]:
    return settle(database, partial(failed, wait_ms=None))


def deliver(database: Database, *, now_ms: int = LATER_MS) -> list[Message]:
    return settle(database, delivered, now_ms=now_ms)


def numbers(found: list[Message]) -> list[tuple[int, int]]:
    return [(message.mpid, message.sequence) for message in found]


def test_dead_letters_are_delivered_again_with_the_same_id_and_bytes(
    database: Database, output: Output
) -> None:
    made = fill(database, ADA, BOB, ADA)
    give_up(database)
    assert claim(database, now_ms=LATER_MS) is None

    started = replay(database, output)

    assert started.total == 3
    again = {message.id: message for message in deliver(database)}
    for message in made:
        assert again[message.id].webhook_id == message.webhook_id
        assert again[message.id].body == message.body
    assert progress(database, output, started.id) == Progress(
        is_chosen=True, total=3, delivered=3, dead=0, waiting=0
    )


def test_a_person_s_messages_still_go_in_order(database: Database, output: Output) -> None:
    """Those given up come before what has come since, and has not been sent yet."""
    fill(database, ADA, ADA)
    give_up(database)
    fill(database, ADA)

    replay(database, output)

    assert numbers(deliver(database)) == [(ADA, 1), (ADA, 2), (ADA, 3)]


def test_a_replayed_message_has_its_whole_schedule_again(
    database: Database, output: Output
) -> None:
    fill(database, ADA)
    give_up(database)
    replay(database, output)

    (message,) = must_claim(database, now_ms=LATER_MS).messages

    assert (message.attempts, message.attempts_before) == (1, 1)


def test_it_is_due_at_once_though_a_later_message_waits_for_its_retry(
    database: Database, output: Output
) -> None:
    fill(database, ADA, ADA)
    first = must_claim(database, most=1)
    webhook_outputs.record(
        database, first, [failed(first.messages[0], wait_ms=None)], clock=at(NOW_MS)
    )
    second = must_claim(database, most=1)
    wait_ms = 24 * 3_600_000
    webhook_outputs.record(
        database, second, [failed(second.messages[0], wait_ms=wait_ms)], clock=at(NOW_MS)
    )

    replay(database, output)

    assert numbers(deliver(database)) == [(ADA, 1)]
    assert numbers(deliver(database, now_ms=NOW_MS + wait_ms)) == [(ADA, 2)]


def test_it_waits_behind_an_earlier_message_that_waits_for_its_retry(
    database: Database, output: Output
) -> None:
    fill(database, ADA, ADA)
    give_up(database)
    with database.write() as connection:
        # As if it had failed for another reason, so that it is still to be tried.
        connection.execute(
            update(messages)
            .where(messages.c.sequence == 1)
            .values(state="waiting", next_attempt_ms=LATER_MS + 5_000)
        )

    replay(database, output)

    assert claim(database, now_ms=LATER_MS + 4_999) is None
    assert numbers(deliver(database, now_ms=LATER_MS + 5_000)) == [(ADA, 1), (ADA, 2)]


def test_what_waits_is_not_touched_however_often_one_asks(
    database: Database, output: Output
) -> None:
    fill(database, ADA, BOB)
    give_up(database)
    fill(database, ADA)

    first = replay(database, output, ReplayChoice(only_dead=False))
    second = replay(database, output, ReplayChoice(only_dead=False))

    assert (first.total, second.total) == (2, 0)
    assert len(deliver(database)) == 3


def test_many_who_ask_at_once_replay_each_message_once(database: Database, output: Output) -> None:
    fill(database, *range(1, 41))
    give_up(database)

    started = at_once([partial(replay, database, output)] * 4)

    assert sum(each.total for each in started) == 40
    assert len(deliver(database)) == 40


def test_a_message_under_way_is_left_to_its_sender(database: Database, output: Output) -> None:
    """The second is being sent while the first is replayed: both arrive once, and order holds after."""
    fill(database, ADA)
    give_up(database)
    fill(database, ADA)
    sending = must_claim(database)

    assert replay(database, output).total == 1

    assert claim(database, now_ms=NOW_MS + 1) is None, "the mailbox is still the sender's"
    assert webhook_outputs.record(
        database, sending, [delivered(sending.messages[0])], clock=at(NOW_MS + 1)
    )
    assert numbers(deliver(database)) == [(ADA, 1)]


def test_what_is_delivered_while_the_rest_is_marked_is_not_marked_again(
    database: Database, output: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("higgs_shop.outbox.choosing._AT_ONCE", 2)
    fill(database, ADA, BOB, ADA)
    give_up(database)
    fill(database, BOB)
    deliver(database)
    everything = ReplayChoice(only_dead=False)
    with database.write() as connection:
        asked = outbox.ask_for_replay(connection, output, everything, now_ms=LATER_MS)

    while outbox.choose_more(database, output, asked.id, now_ms=LATER_MS):
        deliver(database)
    deliver(database)

    assert progress(database, output, asked.id) == Progress(True, 4, 4, 0, 0)


class TestStoppedHalfway:
    """Five dead letters, two of which are chosen when whoever asked is killed."""

    @pytest.fixture(autouse=True)
    def two_at_once(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("higgs_shop.outbox.choosing._AT_ONCE", 2)

    @pytest.fixture(autouse=True)
    def made(self, database: Database) -> list[Message]:
        made = fill(database, ADA, BOB, ADA, BOB, 1003)
        give_up(database)
        return made

    @pytest.fixture
    def stopped(self, database: Database, output: Output, monkeypatch: pytest.MonkeyPatch) -> int:
        """The second transaction finds the database busy. Returns: the replay's id."""
        mark, slices = outbox.choosing._mark, iter([None])

        def busy_at_the_second(*arguments: Any) -> Any:
            if next(slices, "none is left") is not None:
                raise DatabaseBusy("somebody writes for long")
            return mark(*arguments)

        with monkeypatch.context() as patched:
            patched.setattr("higgs_shop.outbox.choosing._mark", busy_at_the_second)
            with pytest.raises(DatabaseBusy):
                replay(database, output)
        with database.read() as connection:
            (stopped,) = outbox.list_replays(connection, output, most=2)
        return stopped.id

    def go_on(self, database: Database) -> int:
        return outbox.go_on_choosing(database, clock=lambda: LATER_MS, on_messages=lambda: None)

    def test_it_does_not_say_that_it_is_complete(
        self, database: Database, output: Output, stopped: int
    ) -> None:
        deliver(database)
        assert progress(database, output, stopped) == Progress(False, 2, 2, 0, 0)

    def test_the_background_goes_on_and_nothing_goes_out_twice(
        self, database: Database, output: Output, made: list[Message], stopped: int
    ) -> None:
        sent = deliver(database)

        assert self.go_on(database) > 0
        sent += deliver(database)

        assert progress(database, output, stopped) == Progress(True, 5, 5, 0, 0)
        assert sorted((each.id, each.webhook_id, each.body) for each in sent) == [
            (each.id, each.webhook_id, each.body) for each in made
        ]
        assert self.go_on(database) == 0

    def test_many_who_go_on_at_once_choose_each_message_once(
        self, database: Database, output: Output, stopped: int
    ) -> None:
        at_once([partial(self.go_on, database)] * 4)
        assert progress(database, output, stopped) == Progress(True, 5, 0, 0, 5)

    @pytest.mark.usefixtures("stopped")
    def test_whoever_sends_is_told(self, database: Database) -> None:
        told: list[str] = []
        outbox.go_on_choosing(
            database, clock=lambda: LATER_MS, on_messages=lambda: told.append("there is more")
        )
        assert told == ["there is more"]

    @pytest.mark.usefixtures("stopped")
    def test_what_came_meanwhile_is_no_part_of_it(self, database: Database) -> None:
        deliver(database)
        fill(database, 1004)
        give_up(database)
        self.go_on(database)
        assert {each.mpid for each in deliver(database)} == {ADA, BOB, 1003}

    def test_an_output_that_was_removed_ends_it(self, database: Database) -> None:
        other = an_output(database, "other")
        with database.write() as connection:
            asked = outbox.ask_for_replay(connection, other, DEAD, now_ms=LATER_MS)
        with database.write() as connection:
            remove_output(connection, other)
        assert not outbox.choose_more(database, other, asked.id, now_ms=LATER_MS)
        assert self.go_on(database) == 0


def test_of_very_many_some_are_left_for_the_next_round(
    database: Database, output: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The background has other chores."""
    monkeypatch.setattr("higgs_shop.outbox.choosing._AT_ONCE", 1)
    monkeypatch.setattr("higgs_shop.outbox.choosing._TURNS_A_ROUND", 3)
    fill(database, *range(1, 6))
    give_up(database)
    with database.write() as connection:
        asked = outbox.ask_for_replay(connection, output, DEAD, now_ms=LATER_MS)

    rounds = [
        outbox.go_on_choosing(database, clock=lambda: LATER_MS, on_messages=lambda: None)
        for _ in range(3)
    ]

    assert rounds == [3, 3, 0]
    assert progress(database, output, asked.id) == Progress(True, 5, 0, 0, 5)


class TestChoices:
    """Ada has a dead one and a delivered one, an hour apart; Bob a dead one."""

    @pytest.fixture(autouse=True)
    def made(self, database: Database) -> list[Message]:
        made = fill(database, ADA, BOB)
        give_up(database)
        made += fill(database, ADA, now_ms=LATER_MS)
        deliver(database)
        return made

    def chosen(
        self, database: Database, output: Output, choice: ReplayChoice
    ) -> list[tuple[int, int]]:
        with database.read() as connection:
            counted = outbox.count_chosen(connection, output, choice, most=100)
        assert replay(database, output, choice).total == counted
        return sorted(numbers(deliver(database)))

    def test_dead_letters_are_what_is_replayed_if_nothing_is_said(
        self, database: Database, output: Output
    ) -> None:
        assert self.chosen(database, output, ReplayChoice()) == [(ADA, 1), (BOB, 1)]

    def test_everything_that_was_closed(self, database: Database, output: Output) -> None:
        everything = [(ADA, 1), (ADA, 2), (BOB, 1)]
        assert self.chosen(database, output, ReplayChoice(only_dead=False)) == everything

    @pytest.mark.parametrize(
        ("from_ms", "until_ms", "expected"),
        [
            (LATER_MS, None, [(ADA, 2)]),
            (NOW_MS, LATER_MS, [(ADA, 1), (BOB, 1)]),
            (None, NOW_MS, []),
            (NOW_MS + 1, LATER_MS, []),
        ],
    )
    def test_a_range_has_its_start_and_not_its_end(
        self,
        database: Database,
        output: Output,
        from_ms: int | None,
        until_ms: int | None,
        expected: list[tuple[int, int]],
    ) -> None:
        choice = ReplayChoice(only_dead=False, from_ms=from_ms, until_ms=until_ms)
        assert self.chosen(database, output, choice) == expected

    def test_one_person(self, database: Database, output: Output) -> None:
        assert self.chosen(database, output, ReplayChoice(mpid=ADA)) == [(ADA, 1)]

    def test_one_message(self, database: Database, output: Output, made: list[Message]) -> None:
        by_webhook_id = ReplayChoice(only_dead=False, webhook_id=made[2].webhook_id)
        assert self.chosen(database, output, by_webhook_id) == [(ADA, 2)]
        by_id = ReplayChoice(only_dead=False, message_ids=(made[1].id, made[2].id))
        assert self.chosen(database, output, by_id) == [(ADA, 2), (BOB, 1)]

    @pytest.mark.parametrize(
        "choice",
        [
            ReplayChoice(webhook_id="msg_\x00"),
            ReplayChoice(webhook_id=""),
            ReplayChoice(mpid=4711),
            ReplayChoice(message_ids=()),
        ],
    )
    def test_nothing_that_fits(
        self, database: Database, output: Output, choice: ReplayChoice
    ) -> None:
        assert self.chosen(database, output, choice) == []

    def test_counting_stops_at_the_most(self, database: Database, output: Output) -> None:
        with database.read() as connection:
            everything = ReplayChoice(only_dead=False)
            assert outbox.count_chosen(connection, output, everything, most=2) == 2


def test_what_was_delivered_before_is_remembered_whatever_becomes_of_the_replay(
    database: Database, output: Output
) -> None:
    fill(database, ADA, BOB)
    settle(database, delivered)
    replay(database, output, ReplayChoice(only_dead=False, mpid=ADA))
    settle(database, partial(failed, wait_ms=None), now_ms=LATER_MS)
    replay(database, output, ReplayChoice(mpid=ADA))

    with database.read() as connection:
        of_bob, of_ada = outbox.list_messages(connection, output, most=9)
    assert (of_ada.state, of_bob.state) == ("waiting", "delivered")
    assert of_ada.delivered_before_ms == of_bob.closed_at_ms
    assert of_bob.delivered_before_ms is None


def test_replays_are_listed_with_what_was_asked_for(database: Database, output: Output) -> None:
    other = an_output(database, "other")
    made = fill(database, ADA)
    give_up(database)
    first = replay(database, output, ReplayChoice(message_ids=(made[0].id,)))
    second = replay(database, output, ReplayChoice(only_dead=False, from_ms=1, mpid=ADA))

    with database.read() as connection:
        assert outbox.list_replays(connection, output, most=9) == [second, first]
        assert outbox.list_replays(connection, output, most=1) == [second]
        assert outbox.list_replays(connection, other, most=9) == []
    assert (first.total, second.total) == (1, 0)
    assert first.started_at_ms == LATER_MS


def test_progress_counts_what_became_of_each(database: Database, output: Output) -> None:
    fill(database, ADA, BOB, 1003)
    give_up(database)
    started = replay(database, output)
    first, second = (must_claim(database, now_ms=LATER_MS) for _ in range(2))
    webhook_outputs.record(database, first, [delivered(first.messages[0])], clock=at(LATER_MS))
    webhook_outputs.record(
        database, second, [failed(second.messages[0], wait_ms=None)], clock=at(LATER_MS)
    )

    assert progress(database, output, started.id) == Progress(
        is_chosen=True, total=3, delivered=1, dead=1, waiting=1
    )
    assert progress(database, output, 4711) is None
    assert progress(database, an_output(database, "other"), started.id) is None


def test_what_a_later_replay_took_over_is_in_the_total_alone(
    database: Database, output: Output
) -> None:
    fill(database, ADA)
    give_up(database)
    first = replay(database, output)
    deliver(database)
    second = replay(database, output, ReplayChoice(only_dead=False))

    assert progress(database, output, first.id) == Progress(True, 1, 0, 0, 0)
    assert progress(database, output, second.id) == Progress(True, 1, 0, 0, 1)


def test_an_output_that_was_removed_takes_its_replays_along(database: Database) -> None:
    other = an_output(database, "other")
    replay(database, other)
    with database.write() as connection:
        remove_output(connection, other)

    with database.read() as connection:
        assert connection.execute(select(replays)).all() == []
    with pytest.raises(NoSuchOutput):
        replay(database, other)


def test_a_store_that_was_reset_meanwhile_ends_a_replay(
    database: Database, output: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(database, ADA)
    give_up(database)
    next_of = outbox.choosing._next_of

    def found_before_the_reset(*arguments: Any) -> Any:
        found = next_of(*arguments)
        with ThreadPoolExecutor(1) as elsewhere:
            elsewhere.submit(reset).result()
        return found

    def reset() -> None:
        with database.write() as connection:
            for table in (mailboxes, messages, replays):
                connection.execute(delete(table))

    monkeypatch.setattr("higgs_shop.outbox.choosing._next_of", found_before_the_reset)
    assert replay(database, output).total == 0


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_it_waits_for_one_mailbox_at_most_and_goes_on_with_the_others(
    database: Database, output: Output
) -> None:
    """Whoever enqueues for two people at once would else wait for it, as it waits for them."""
    fill(database, ADA, BOB)
    give_up(database)
    with ThreadPoolExecutor(2) as pool:
        with database.write() as connection:
            enqueue(connection, output, BOB, 3)
            replaying = pool.submit(replay, database, output)
            free = None
            while free is None:
                free = pool.submit(claim, database, now_ms=LATER_MS).result(timeout=30)
            assert numbers(list(free.messages)) == [(ADA, 1)]
            assert not replaying.done()
            enqueue(connection, output, ADA, 4)
        assert replaying.result(timeout=30).total == 2
