"""What became of what was acknowledged, by what the database keeps and what the receiver wrote down."""

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import create_engine, text

from tests.reliability.crash.traffic import tracked_as


@dataclass(frozen=True)
class Event:
    """One event, as the database or a body tells it."""

    source_message_id: str
    tracked: str | None


@dataclass(frozen=True)
class Arrival:
    """One request to the receiver, in the order of arrival.

    Attributes:
        was_answered: whether the receiver lived long enough to answer, and to write that down.
        at_seconds: when, on the machine's monotonic clock.
    """

    webhook_id: str
    sha256: str
    mpid: int
    sequence: int
    event: Event
    at_seconds: float
    was_answered: bool


@dataclass(frozen=True)
class Judgement:
    """Counts of events, but for `duplicates`, `altered` and `too_early`, which count requests.

    Attributes:
        lost: acknowledged or stored or delivered, and not both stored and delivered.
        strays: stored although nobody got an answer.
        duplicates: arrivals of something that had arrived before.
        altered: those of them whose body is another.
        out_of_order: first arrivals that are not the next of their MPID.
        shortest_seconds: between an arrival that was answered and its repetition; None without one.
    """

    acknowledged: int
    stored: int
    delivered: int
    lost: int
    strays: int
    duplicates: int
    altered: int
    out_of_order: int
    shortest_seconds: float | None


def judge(
    acknowledged: Counter[str], stored: Sequence[Event], arrivals: Sequence[Arrival]
) -> Judgement:
    """Compare. Each event is one, however often it arrived."""
    first = {arrival.webhook_id: arrival for arrival in reversed(arrivals)}
    delivered = [arrival.event for arrival in first.values()]
    kept = Counter(event.tracked for event in stored if event.tracked is not None)
    return Judgement(
        acknowledged=acknowledged.total(),
        stored=len(stored),
        delivered=len(delivered),
        lost=(acknowledged - kept).total() + _difference(stored, delivered),
        strays=(kept - acknowledged).total(),
        duplicates=len(arrivals) - len(first),
        altered=sum(arrival.sha256 != first[arrival.webhook_id].sha256 for arrival in arrivals),
        out_of_order=_out_of_order(arrivals),
        shortest_seconds=min(_between(arrivals), default=None),
    )


def _difference(stored: Sequence[Event], delivered: Sequence[Event]) -> int:
    one = Counter(event.source_message_id for event in stored)
    other = Counter(event.source_message_id for event in delivered)
    return (one - other).total() + (other - one).total()


def _out_of_order(arrivals: Iterable[Arrival]) -> int:
    seen = set()
    last: dict[int, int] = defaultdict(int)
    wrong = 0
    for arrival in arrivals:
        if arrival.webhook_id in seen:
            continue
        seen.add(arrival.webhook_id)
        wrong += arrival.sequence != last[arrival.mpid] + 1
        last[arrival.mpid] = arrival.sequence
    return wrong


def _between(arrivals: Iterable[Arrival]) -> Iterator[float]:
    before: dict[str, Arrival] = {}
    for arrival in arrivals:
        earlier = before.get(arrival.webhook_id)
        if earlier is not None and earlier.was_answered:
            yield arrival.at_seconds - earlier.at_seconds
        before[arrival.webhook_id] = arrival


def stored_events(database_url: str) -> list[Event]:
    """Every event that the database keeps. A SQLite file has to be sound."""
    engine = create_engine(database_url)
    with engine.connect() as connection:
        if engine.dialect.name == "sqlite":
            found = connection.scalar(text("PRAGMA integrity_check"))
            assert found == "ok", found
        rows = connection.execute(text("SELECT name, mpid, source_message_id FROM events")).all()
    engine.dispose()
    return [
        Event(row.source_message_id, tracked_as(row.name, row.mpid, row.source_message_id))
        for row in rows
    ]


def read_ledger(file: Path) -> list[Arrival]:
    """What the receiver wrote down. A torn line was never answered, and counts for nothing."""
    arrived: list[dict[str, Any]] = []
    answered: set[int] = set()
    last: dict[str, int] = {}
    for line in file.read_text(encoding="utf-8").splitlines():
        try:
            noted = json.loads(line)
        except ValueError:
            continue
        if arrival := noted.get("arrived"):
            last[arrival["webhook_id"]] = len(arrived)
            arrived.append(arrival)
        else:
            answered.add(last[noted["answered"]])
    return [
        arrival_of(noted, was_answered=number in answered) for number, noted in enumerate(arrived)
    ]


def arrival_of(noted: dict[str, Any], *, was_answered: bool) -> Arrival:
    """One arrival, by what the receiver noted of it."""
    name, mpid, source_message_id = noted["name"], noted["mpid"], noted["source_message_id"]
    return Arrival(
        webhook_id=noted["webhook_id"],
        sha256=noted["sha256"],
        mpid=mpid,
        sequence=noted["sequence"],
        event=Event(source_message_id, tracked_as(name, mpid, source_message_id)),
        at_seconds=noted["at_seconds"],
        was_answered=was_answered,
    )
