"""Posting what is due in the outbox: one message of a person at a time, in order, each recorded before the next.

Nothing of the database is held while the network is used. A process that dies between sending and
recording leaves leases that run out; what it had sent then goes out again, with the same `webhook-id`
and the same bytes, so that a receiver can tell.
"""

import logging
import random as random_module
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Final, TypeVar

from sqlalchemy import Connection

from higgs_shop.clock import Clock
from higgs_shop.database import Database, DatabaseBusy
from higgs_shop.outbox import (
    Claim,
    HandedIn,
    LeaseClock,
    Recorded,
    claim_due,
    record,
)
from higgs_shop.outgoing_http import OutgoingHttp
from higgs_shop.outputs import (
    Output,
    give_probe_back,
    leave_alone,
    leave_alone_no_more,
    running_outputs,
)
from higgs_shop.webhook_output.errands import Delivery, Errand, Turn, Work
from higgs_shop.webhook_output.posting import Posting
from higgs_shop.webhook_output.retry import SCHEDULE_SECONDS
from higgs_shop.webhook_output.unreachable import Unanswered, left_alone_ms

_GONE_REASON: Final = "the receiver answered 410 Gone: it wants no more"
# A lease covers starting POSTs, the last one's deadline, and room to record them on a busy machine.
_ROUND_MS: Final = 10_000
_ROOM_MS: Final = 10_000
# Each try waits for the busy timeout. Giving up costs a second sending of what has been delivered.
_TRIES: Final = 3

_log = logging.getLogger(__name__)

T = TypeVar("T")


class Sender:
    """Posts what is due in the outbox, to whatever output it is for, with Standard Webhooks headers.

    Args:
        http: does not follow redirects, and bounds each POST.
        timeout_seconds: that bound, the deadline that `http` was made with; leases outlast it.
        inbox_address: where an output without a URL posts.
        secrets: signing secrets (`whsec_…`), at least one; each signs what an output without secrets of
            its own sends.
        clock: dates attempts and signatures.
        lease_clock: the time of leases, and of what is due; by default `clock`.
        schedule_seconds: the wait before each attempt; its length is how many there are.
        random: gives 0 ≤ x < 1, for the jitter of retries.
        monotonic_seconds: bounds how long a mailbox is worked on, whatever happens to the clock.
    Raises: BadSecret for a secret that cannot sign, ValueError for an empty schedule.
    """

    def __init__(
        self,
        database: Database,
        http: OutgoingHttp,
        *,
        timeout_seconds: float,
        clock: Clock,
        inbox_address: str,
        secrets: Sequence[str],
        lease_clock: LeaseClock | None = None,
        schedule_seconds: Sequence[float] = SCHEDULE_SECONDS,
        random: Callable[[], float] = random_module.random,
        monotonic_seconds: Callable[[], float] = time.monotonic,
    ) -> None:
        self._database = database
        self._posting = Posting(
            http,
            clock=clock,
            inbox_address=inbox_address,
            secrets=secrets,
            schedule_seconds=schedule_seconds,
            random=random,
        )
        self._lease_clock: LeaseClock = lease_clock or (lambda _: clock())
        self._monotonic_seconds = monotonic_seconds
        self._schedule_seconds = tuple(schedule_seconds)
        self._unanswered = Unanswered()
        self._lease_ms = _ROUND_MS + round(timeout_seconds * 1_000) + _ROOM_MS
        self._last_output = 0

    @property
    def lease_ms(self) -> int:
        """How long a mailbox is leased."""
        return self._lease_ms

    def deliver_due(self, *, keep_going: Callable[[], bool] = lambda: True) -> list[Delivery]:
        """Send the messages of the mailbox that has been due for longest, here and now, until one fails.

        Outputs take turns. A Forwarder does the same, for several people side by side.

        Args:
            keep_going: asked before each POST; at the first False, what is left is given back unsent.
        Returns: one Delivery a message, in sequence; only the last one may have failed. Empty when
            nothing is due. A refused or silent receiver is an outcome, not an error.
        Raises: DatabaseError and SQLAlchemy's errors, when leasing or recording is impossible.
        """
        deliveries: list[Delivery] = []
        errands = self.turn(Work(places=1)).errands
        while errands:
            (errand,) = errands
            if not keep_going():
                self.turn(Work(unsent=errands))
                break
            try:
                deliveries.append(self.post(errand))
            except BaseException:
                self.turn(Work(unsent=errands))
                raise
            errands = self.turn(Work(deliveries[-1:])).errands
        return deliveries

    def turn(self, work: Work) -> Turn:
        """Record how messages went, and lease further mailboxes, in one short transaction.

        What pauses an output (410) is recorded with it. An output is asked for anew each time: nothing
        more is sent to one that is paused or removed, and the next message obeys its changed settings.
        Where nobody answered several in a row, nothing is sent for a while: see `left_alone_ms`.

        Raises: DatabaseError and SQLAlchemy's errors, with nothing recorded, given back or leased.
        """
        done, held = work.done, work.held

        def once() -> tuple[Turn, Sequence[HandedIn], Sequence[Recorded], set[int]]:
            with self._database.write() as connection:
                running = _running(connection, done) if work.goes_on and (done or held) else {}
                self._give_probes_back(connection, work.unsent)
                left_alone = self._leave_alone(connection, done, running)
                following = [self._following(each, running) for each in done]
                handed_in = [
                    *(_hand_in(*each) for each in zip(done, following, strict=True)),
                    *(HandedIn(each.claim) for each in work.unsent),
                ]
                recorded = record(connection, handed_in, clock=self._lease_clock, waits=work.waits)
                of_done = recorded[: len(done)]
                going_on = [
                    errand
                    for errand, state in zip(following, of_done, strict=True)
                    if errand is not None and state == "kept"
                ]
                claims = claim_due(
                    connection,
                    clock=self._lease_clock,
                    lease_ms=self._lease_ms,
                    mailboxes=work.places - len(going_on),
                    held=Counter(each.output.id for each in (*held, *going_on)),
                    most_of_one_output=work.most_of_one_output,
                    after_output=self._last_output,
                )
                # What is due without a message is not due any more, whoever has left it so.
                empty = [HandedIn(each) for each in claims if not each.messages]
                record(connection, empty, clock=self._lease_clock)
            turn = Turn(
                errands=[*going_on, *(self._first(each) for each in claims if each.messages)],
                unrecorded=[
                    each for each, state in zip(done, of_done, strict=True) if state == "busy"
                ],
                stopped=_stopped(held, running.keys() - left_alone, claims),
            )
            return turn, handed_in, recorded, left_alone

        turn, handed_in, recorded, left_alone = _tried_again(once)
        for number in left_alone:
            self._unanswered.start_anew(number)
        if turn.errands:
            self._last_output = turn.errands[-1].output.id
        for each, state in zip(handed_in, recorded, strict=True):
            _report(each, state)
        return turn

    def post(self, errand: Errand) -> Delivery:
        """Post a message, and judge the answer. Nothing is recorded, and any error is an outcome."""
        self._database.assert_not_writing()
        attempt = self._posting.attempt(errand.output, errand.message, errand.given_up)
        self._unanswered.count(errand.output.id, attempt.status_code)
        return Delivery(errand, attempt)

    def _give_probes_back(self, connection: Connection, unsent: Sequence[Errand]) -> None:
        """Let somebody else find out whether anybody answers."""
        for claim in sorted((each.claim for each in unsent), key=lambda each: each.output.id):
            if claim.is_probe:
                give_probe_back(
                    connection,
                    claim.output,
                    until_ms=claim.until_ms,
                    now_ms=self._lease_clock(connection),
                )

    def _leave_alone(
        self, connection: Connection, done: Sequence[Delivery], running: Mapping[int, Output]
    ) -> set[int]:
        """Remember where nobody answers any more, and where somebody does again.

        Returns: the outputs where nobody does, of those that run.
        """
        unreachable = {
            number for number, output in running.items() if output.unreachable_since_ms is not None
        }
        for number in sorted({each.errand.output.id for each in done} & running.keys()):
            output = running[number]
            deliveries = [each for each in done if each.errand.output.id == number]
            if any(each.is_answered for each in deliveries):
                if number in unreachable:
                    leave_alone_no_more(connection, output)
                    unreachable.remove(number)
                    _log.info("somebody answers at output %s again", output.name)
            elif (
                any(each.errand.claim.is_probe for each in deliveries)
                if number in unreachable
                else self._unanswered.is_too_many(number)
            ):
                now_ms, since_ms = self._lease_clock(connection), output.unreachable_since_ms
                since_ms = now_ms if since_ms is None else since_ms
                wait_ms = left_alone_ms(self._schedule_seconds, unreachable_ms=now_ms - since_ms)
                leave_alone(connection, output, since_ms=since_ms, until_ms=now_ms + wait_ms)
                if number not in unreachable:
                    _log.warning("nobody answers at output %s: it is left alone", output.name)
                unreachable.add(number)
        return unreachable

    def _first(self, claim: Claim) -> Errand:
        last_start_seconds = self._monotonic_seconds() + _ROUND_MS / 1_000
        return _errand(claim, claim.output, 0, claim.delivered_sequence, last_start_seconds)

    def _following(self, delivery: Delivery, running: Mapping[int, Output]) -> Errand | None:
        """The next message of the same person, if it is to be sent now."""
        errand = delivery.errand
        claim, place = errand.claim, errand.place + 1
        output = running.get(claim.output.id)
        is_too_late = self._monotonic_seconds() > errand.last_start_seconds
        if not delivery.succeeded or output is None or is_too_late or place == len(claim.messages):
            return None
        delivered_sequence = max(claim.delivered_sequence, errand.message.sequence)
        return _errand(claim, output, place, delivered_sequence, errand.last_start_seconds)


def _errand(
    claim: Claim, output: Output, place: int, delivered_sequence: int, last_start_seconds: float
) -> Errand:
    given_up = range(delivered_sequence + 1, claim.messages[place].sequence)
    return Errand(claim, output, place, given_up, last_start_seconds)


def _running(connection: Connection, done: Sequence[Delivery]) -> Mapping[int, Output]:
    """The outputs that still run once this is recorded."""
    gone = {each.errand.output.id for each in done if each.is_gone}
    return {each.id: each for each in running_outputs(connection) if each.id not in gone}


def _stopped(held: Sequence[Errand], reached: set[int], claims: Sequence[Claim]) -> frozenset[int]:
    """Outputs that nothing more is sent to, of what is held; a probe is sent."""
    probed = {
        each.output.id for each in (*(errand.claim for errand in held), *claims) if each.is_probe
    }
    return frozenset(each.output.id for each in held) - reached - probed


def _hand_in(delivery: Delivery, following: Errand | None) -> HandedIn:
    return HandedIn(
        delivery.errand.claim,
        (delivery.attempt,),
        keeps_lease=following is not None,
        pause_because=_GONE_REASON if delivery.is_gone else None,
    )


def _tried_again(work: Callable[[], T]) -> T:
    for _ in range(_TRIES - 1):
        with suppress(DatabaseBusy):
            return work()
    return work()


def _report(handed_in: HandedIn, recorded: Recorded) -> None:
    claim = handed_in.claim
    if recorded == "lost":
        _log.warning(
            "the lease on the mailbox of MPID %d ran out; %d attempts are not recorded",
            claim.mpid,
            len(handed_in.attempts),
        )
    if recorded != "kept":
        return
    if handed_in.pause_because:
        _log.warning("output %s is paused: %s", claim.output.name, handed_in.pause_because)
    for attempt in handed_in.attempts:
        if attempt.state == "dead":
            _log.warning(
                "message %d of MPID %d is dead after %d attempts: %s",
                attempt.message_id,
                claim.mpid,
                attempt.number,
                attempt.error or f"status {attempt.status_code}",
            )
