"""The judge sees what is wrong: else a run without faults would say nothing."""

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

from tests.reliability.crash.judging import Arrival, Event, Judgement, judge, read_ledger
from tests.reliability.crash.results import faults_in

ADA, BOB = 1001, 1002
SOUND = Judgement(
    acknowledged=3,
    stored=3,
    delivered=3,
    lost=0,
    strays=0,
    duplicates=0,
    altered=0,
    out_of_order=0,
    shortest_seconds=None,
)


def event(number: int) -> Event:
    return Event(f"client-{number}", f"client-{number}")


def arrival(number: int, mpid: int = ADA, sequence: int | None = None) -> Arrival:
    """What is sent for an event; by default its number is also its place in the order."""
    return Arrival(
        webhook_id=f"msg_{number}",
        sha256=f"of {number}",
        mpid=mpid,
        sequence=sequence or number,
        event=event(number),
        at_seconds=float(number),
        was_answered=True,
    )


def judged(*arrivals: Arrival, acknowledged: int = 3, stored: int = 3) -> Judgement:
    return judge(
        Counter(f"client-{number}" for number in range(1, acknowledged + 1)),
        [event(number) for number in range(1, stored + 1)],
        arrivals,
    )


def test_everything_once_in_order_is_sound() -> None:
    assert judged(arrival(1), arrival(2), arrival(3)) == SOUND


def test_people_have_an_order_each() -> None:
    assert judged(arrival(1), arrival(2, BOB, 1), arrival(3, ADA, 2)) == SOUND


def test_what_was_acknowledged_and_is_nowhere_is_lost() -> None:
    found = judged(arrival(1), arrival(2), arrival(3), acknowledged=4)

    assert found == replace(SOUND, acknowledged=4, lost=1)


def test_what_is_stored_and_was_never_delivered_is_lost_even_if_nobody_got_an_answer() -> None:
    found = judged(arrival(1), arrival(2), arrival(3), stored=4)

    assert found == replace(SOUND, stored=4, strays=1, lost=1)


def test_what_was_delivered_and_is_not_stored_is_lost_too() -> None:
    found = judged(arrival(1), arrival(2), arrival(3), stored=2)

    assert found.lost == 2, "once as acknowledged, once as delivered"


def test_a_repetition_is_a_duplicate_and_keeps_its_body() -> None:
    again = replace(arrival(1), at_seconds=30.0)

    assert judged(arrival(1), again, arrival(2), arrival(3)) == replace(
        SOUND, duplicates=1, shortest_seconds=29.0
    )
    altered = judged(arrival(1), replace(again, sha256="other"), arrival(2), arrival(3))
    assert altered.altered == 1


def test_a_repetition_of_what_was_not_answered_may_come_at_any_time() -> None:
    unanswered = replace(arrival(1), was_answered=False)

    assert judged(unanswered, arrival(1), arrival(2), arrival(3)).shortest_seconds is None


def test_gaps_and_inversions_are_out_of_order() -> None:
    assert judged(arrival(2), arrival(1), arrival(3)).out_of_order == 3
    assert judged(arrival(1), arrival(3), acknowledged=1, stored=1).out_of_order == 1


def test_each_fault_is_told() -> None:
    assert faults_in(SOUND, refusals=[]) == []
    broken = replace(SOUND, lost=1, altered=2, out_of_order=3)
    assert faults_in(broken, refusals=["GET /: 500"]) == [
        "1 events are lost",
        "2 repetitions have another body",
        "3 first deliveries are out of order",
        "1 answers are errors (['GET /: 500'])",
    ]


def test_a_ledger_outlives_its_writer_and_a_torn_line_counts_for_nothing(tmp_path: Path) -> None:
    noted = {
        "webhook_id": "msg_1",
        "sha256": "of 1",
        "mpid": ADA,
        "sequence": 1,
        "source_message_id": "client-1",
        "name": "Sent",
        "at_seconds": 1.0,
    }
    file = tmp_path / "ledger.jsonl"
    first = json.dumps({"arrived": noted})
    again = json.dumps({"arrived": {**noted, "at_seconds": 2.0}})
    answered = json.dumps({"answered": "msg_1"})
    file.write_text(f"\n{first}\n{again[:20]}\n\n{again}\n{answered}\n", encoding="utf-8")

    assert read_ledger(file) == [
        replace(arrival(1), was_answered=False),
        replace(arrival(1), at_seconds=2.0),
    ]
