"""A clock that is set while events wait (D16): nothing is stuck, and the order is what it was.

Two times run side by side: the true one, which only passes, and the machine's clock, which people set.
"""

import json
import random
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from typing import Final

import httpx

from higgs_shop import outbox
from higgs_shop.clock_steps import ClockSteps
from higgs_shop.database import Database
from higgs_shop.migrations import upgrade
from higgs_shop.outbox import Draft, Waits
from higgs_shop.outgoing_http import OutgoingHttp
from higgs_shop.webhook_output import Delivery, Sender, longest_waits_ms
from tests import webhook_outputs
from tests.reliability.result import Result
from tests.reliability.scene import Scene
from tests.webhook_outputs import NOW_MS, an_output

HOUR_MS: Final = 3_600_000
DAY_MS: Final = 24 * HOUR_MS

_SECRET: Final = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
_PEOPLE: Final = range(1, 6)
_SCHEDULE_SECONDS: Final = (0, *[60] * 1_000)
_JITTER: Final = 1.2
_TIMEOUT_SECONDS: Final = 5.0
_LEASE_MS: Final = 25_000
_TICK_MS: Final = 1_000
_EVENTS_EACH: Final = 10
_TICKS_BETWEEN_STEPS: Final = 300
# A receiver may double a wait.
_LONGEST_PLANNED_MS: Final = round(2 * 60_000 * _JITTER)
LONGEST_WAIT_MS: Final = _LONGEST_PLANNED_MS + _LEASE_MS + _TICK_MS
"""The longest that a person's events may wait for the next attempt: a wait, or a lease of the dead."""


@dataclass
class Times:
    """What time it is, and what time it is said to be, in milliseconds."""

    true_ms: int = NOW_MS
    set_forward_ms: int = 0

    def clock(self) -> int:
        return self.true_ms + self.set_forward_ms

    def monotonic_seconds(self) -> float:
        return self.true_ms / 1_000


@dataclass(frozen=True)
class Outcome:
    """What became of the events.

    Attributes:
        stuck: events that were not delivered within a longest wait of the last step.
        out_of_order: first arrivals that are not the next of their person.
        longest_ms: true time, the longest that a person with waiting events went without an attempt, or
            without one after the clock was set.
    """

    events: int
    stuck: int
    out_of_order: int
    longest_ms: int

    @property
    def is_sound(self) -> bool:
        """Whether nothing came of the steps."""
        return not (self.stuck or self.out_of_order) and self.longest_ms <= LONGEST_WAIT_MS


def step(
    database: Database, *, steps_ms: Sequence[int], events_each: int, chance: random.Random
) -> Outcome:
    """Set the clock again and again, while people shop, every other answer is a failure and senders die.

    Args:
        database: without messages, on SQLite: PostgreSQL has a clock of its own.
        steps_ms: by how much the clock is set forward, each time; below zero, back.
        events_each: how many events are logged between two steps.
    """
    times = Times()
    receiver = _Receiver(chance)
    output_id = an_output(database, url="http://receiver.example/hook").id
    waits = _Waits(times)
    planned = Waits(
        database, lease_ms=_LEASE_MS, longest_waits_ms=longest_waits_ms(_SCHEDULE_SECONDS)
    )
    corrections = ClockSteps(times.clock, owners=[planned.bring_back])
    with OutgoingHttp(
        deadline_seconds=_TIMEOUT_SECONDS,
        max_answer_bytes=1_000,
        transport=httpx.MockTransport(receiver.answer),
    ) as http:
        sender = Sender(
            database,
            http,
            timeout_seconds=_TIMEOUT_SECONDS,
            clock=times.clock,
            inbox_address="http://receiver.example/hook",
            secrets=[_SECRET],
            schedule_seconds=_SCHEDULE_SECONDS,
            random=chance.random,
            monotonic_seconds=times.monotonic_seconds,
        )
        for step_ms in steps_ms:
            for mpid in chance.choices(_PEOPLE, k=events_each):
                _enqueue(database, output_id, mpid, times.clock())
                waits.begin(mpid)
            webhook_outputs.claim_due(database, clock=lambda _: times.clock(), lease_ms=_LEASE_MS)
            _let_pass(chance.randrange(_TICKS_BETWEEN_STEPS), times, corrections, sender, waits)
            times.set_forward_ms += step_ms
            waits.begin_anew()
        receiver.is_well = True
        _let_pass(LONGEST_WAIT_MS // _TICK_MS + 1, times, corrections, sender, waits)
    events = len(steps_ms) * events_each
    return Outcome(
        events=events,
        stuck=events - len(receiver.arrived),
        out_of_order=receiver.out_of_order,
        longest_ms=waits.longest_ms,
    )


def _let_pass(
    ticks: int, times: Times, corrections: ClockSteps, sender: Sender, waits: "_Waits"
) -> None:
    for _ in range(ticks):
        corrections.look()
        while deliveries := sender.deliver_due():
            waits.end(deliveries)
        waits.look()
        times.true_ms += _TICK_MS


def _enqueue(database: Database, output_id: int, mpid: int, now_ms: int) -> None:
    with database.write() as connection:
        outbox.enqueue(
            connection,
            workspace_id="default",
            output_id=output_id,
            mpid=mpid,
            drafts=[Draft(None, partial(_body, mpid))],
            now_ms=now_ms,
        )


def _body(mpid: int, sequence: int, webhook_id: str) -> bytes:
    return json.dumps({"mpid": mpid, "sequence": sequence, "webhook_id": webhook_id}).encode()


class _Receiver:
    """Answers every other request with a failure, until it is well."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self._last = dict.fromkeys(_PEOPLE, 0)
        self.is_well = False
        self.arrived: set[str] = set()
        self.out_of_order = 0

    def answer(self, request: httpx.Request) -> httpx.Response:
        if not self.is_well and self._chance.random() < 0.5:
            return httpx.Response(503, request=request)
        facts = json.loads(request.content)
        if facts["webhook_id"] not in self.arrived:
            self.arrived.add(facts["webhook_id"])
            self.out_of_order += facts["sequence"] != self._last[facts["mpid"]] + 1
            self._last[facts["mpid"]] = facts["sequence"]
        return httpx.Response(204, request=request)


@dataclass
class _Waits:
    """How long people with waiting events have been without an attempt, in true time."""

    times: Times
    longest_ms: int = 0
    _waiting: dict[int, int] = field(default_factory=dict)
    _since_ms: dict[int, int] = field(default_factory=dict)

    def begin(self, mpid: int) -> None:
        self._waiting[mpid] = self._waiting.get(mpid, 0) + 1
        self._since_ms.setdefault(mpid, self.times.true_ms)

    def begin_anew(self) -> None:
        """The clock was set: a wait that was planned before may begin once more."""
        self._since_ms = dict.fromkeys(self._since_ms, self.times.true_ms)

    def end(self, deliveries: Sequence[Delivery]) -> None:
        for delivery in deliveries:
            mpid = delivery.message.mpid
            self._waiting[mpid] -= delivery.succeeded
            self._since_ms[mpid] = self.times.true_ms
            if self._waiting[mpid] == 0:
                del self._since_ms[mpid]

    def look(self) -> None:
        now_ms = self.times.true_ms
        waits = (now_ms - since_ms for since_ms in self._since_ms.values())
        self.longest_ms = max(self.longest_ms, *waits, 0)


def random_steps(scene: Scene) -> list[Result]:
    """D16: a clock that is set again and again, an hour back or a day forward."""
    chance = random.Random(scene.seed)
    steps_ms = chance.choices([-HOUR_MS, DAY_MS], k=scene.size.rounds)
    with closing(Database(f"sqlite:///{scene.folder / 'higgs-shop.db'}")) as database:
        upgrade(database)
        outcome = step(database, steps_ms=steps_ms, events_each=_EVENTS_EACH, chance=chance)
    return [
        Result(
            f"clock set {len(steps_ms)} times",
            f"{outcome.events} events, {outcome.stuck} stuck, {outcome.out_of_order} out of order,"
            f" longest wait {outcome.longest_ms // 1_000} s of {LONGEST_WAIT_MS // 1_000} s",
            () if outcome.is_sound else (str(outcome),),
        )
    ]
