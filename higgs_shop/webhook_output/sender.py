"""One round of sending: claim a mailbox, post its messages in order until one fails, record each.

Nothing of the database is held while the network is used. A process that dies between sending and
recording leaves a lease that runs out; the one message then goes out again, with the same `webhook-id`
and the same bytes, so that a receiver can tell.
"""

import logging
import random as random_module
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, NamedTuple

from sqlalchemy import Connection

from higgs_shop.clock import Clock
from higgs_shop.database import Database, DatabaseBusy
from higgs_shop.group_commit import GroupCommit
from higgs_shop.outbox import Attempt, Claim, LeaseClock, Message, State, claim_due, record
from higgs_shop.outgoing_http import Answer, OutgoingError, OutgoingHttp
from higgs_shop.outputs import Output
from higgs_shop.version import __version__
from higgs_shop.webhook_output.retry import (
    GONE,
    SCHEDULE_SECONDS,
    next_wait_ms,
    retry_after_ms,
    schedule_after,
)
from higgs_shop.webhook_output.signature import sign

USER_AGENT: Final = f"higgs-shop/{__version__}"
MOST_ANSWER_CHARACTERS: Final = 2_048
GAP_HEADER: Final = "higgs-shop-gap"
"""Names the sequence numbers right before a message that were given up: `7-9`, or `7-7` for one."""

_GONE_REASON: Final = "the receiver answered 410 Gone: it wants no more"
# A lease covers starting POSTs, the last one's deadline, and room to record them on a busy machine.
_ROUND_MS: Final = 10_000
_ROOM_MS: Final = 10_000
# Each try waits for the busy timeout. Giving up costs a second sending of what has been delivered.
_RECORD_TRIES: Final = 3

MAILBOXES_A_ROUND: Final = 20
"""What a forwarder works through before it looks up: enough that claiming is next to free."""

_log = logging.getLogger(__name__)

_Then = Callable[[Connection], Claim | None]


def _claim_nothing(_: Connection) -> None:
    return None


@dataclass(frozen=True, slots=True)
class Delivery:
    """One message that was posted, and how that went."""

    message: Message
    attempt: Attempt

    @property
    def succeeded(self) -> bool:
        """True when the receiver answered 2xx."""
        return self.attempt.state == "delivered"


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
        monotonic_seconds: bounds a round, whatever happens to the clock.
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
        if not schedule_seconds:
            raise ValueError("a schedule has at least one attempt")
        sign(secrets, webhook_id="", timestamp_seconds=0, body=b"")
        self._database = database
        self._commits = GroupCommit(database)
        self._http = http
        self._clock = clock
        self._lease_clock: LeaseClock = lease_clock or (lambda _: clock())
        self._random = random
        self._monotonic_seconds = monotonic_seconds
        self._inbox_address = inbox_address
        self._secrets = tuple(secrets)
        self._schedule_seconds = tuple(schedule_seconds)
        self._lease_ms = _ROUND_MS + round(timeout_seconds * 1_000) + _ROOM_MS
        self._last_output = 0

    @property
    def lease_ms(self) -> int:
        """How long a mailbox is leased for one round."""
        return self._lease_ms

    def deliver_due(
        self, *, keep_going: Callable[[], bool] = lambda: True, mailboxes: int = 1
    ) -> list[Delivery]:
        """Send the messages of the mailbox that has been due for longest, and record how each went.

        Outputs take turns. What pauses an output (410) is recorded with it.

        Args:
            keep_going: asked before each POST; at the first False, what is left is given back unsent.
            mailboxes: how many at most, one after the other, while the round lasts. To claim the next
                costs no transaction of its own.
        Returns: one Delivery a message, in sequence, at most one a mailbox failed, and that one last;
            empty when nothing is due. A refused or silent receiver is an outcome, not an error.
        Raises: DatabaseError and SQLAlchemy's errors, when claiming or recording is impossible.
        """
        last_start_seconds = self._monotonic_seconds() + _ROUND_MS / 1_000
        deliveries: list[Delivery] = []

        def goes_on() -> bool:
            return keep_going() and self._monotonic_seconds() <= last_start_seconds

        claim = self._commits.run(self._claim)
        while claim is not None:
            mailboxes -= 1
            claim = self._work_through(claim, deliveries, goes_on, claims_next=mailboxes > 0)
        return deliveries

    def _claim(self, connection: Connection) -> Claim | None:
        claim = claim_due(
            connection,
            clock=self._lease_clock,
            lease_ms=self._lease_ms,
            after_output=self._last_output,
        )
        if claim is not None:
            self._last_output = claim.output.id
        return claim

    def _work_through(
        self,
        claim: Claim,
        deliveries: list[Delivery],
        goes_on: Callable[[], bool],
        *,
        claims_next: bool,
    ) -> Claim | None:
        """Returns: the next mailbox, if there is one and it is wanted."""
        unrecorded: list[Attempt] = []
        then: _Then = _claim_nothing
        try:
            self._deliver(claim, deliveries, unrecorded, goes_on)
            if claims_next and goes_on():
                then = self._claim
        finally:
            # Also when something unforeseen ends the round: what was delivered stays delivered.
            recorded = self._record(claim, unrecorded, then=then)
            if not recorded.is_kept:
                _log.warning(
                    "the lease on the mailbox of MPID %d ran out; %d attempts are not recorded",
                    claim.mpid,
                    len(unrecorded),
                )
        return recorded.next_claim

    def _deliver(
        self,
        claim: Claim,
        deliveries: list[Delivery],
        unrecorded: list[Attempt],
        goes_on: Callable[[], bool],
    ) -> None:
        self._database.assert_not_writing()
        delivered_sequence = claim.delivered_sequence
        for message in claim.messages:
            if not goes_on():
                return
            # Before the next POST: whoever is killed has one to repeat, and not all of the mailbox.
            if unrecorded and not self._record(claim, unrecorded, keeps_lease=True).is_kept:
                return
            unrecorded.clear()
            given_up = range(delivered_sequence + 1, message.sequence)
            attempt = self._attempt(claim.output, message, given_up)
            unrecorded.append(attempt)
            deliveries.append(Delivery(message, attempt))
            if not deliveries[-1].succeeded:
                return
            delivered_sequence = max(delivered_sequence, message.sequence)

    def _attempt(self, output: Output, message: Message, given_up: range) -> Attempt:
        started_at_ms = self._clock()
        try:
            answer = self._http.post(
                output.settings.url or self._inbox_address,
                content=message.body,
                headers=self._headers(output, message, given_up, started_at_ms),
            )
        except OutgoingError as error:
            duration_ms = max(0, self._clock() - started_at_ms)
            return self._outcome(message, None, started_at_ms, duration_ms, error=str(error))
        return self._outcome(message, answer, started_at_ms, answer.duration_ms)

    def _headers(
        self, output: Output, message: Message, given_up: range, now_ms: int
    ) -> dict[str, str]:
        timestamp_seconds = now_ms // 1_000
        signature = sign(
            output.secrets or self._secrets,
            webhook_id=message.webhook_id,
            timestamp_seconds=timestamp_seconds,
            body=message.body,
        )
        headers = {
            "Content-Type": "application/json",
            "User-Agent": USER_AGENT,
            "webhook-id": message.webhook_id,
            "webhook-timestamp": str(timestamp_seconds),
            "webhook-signature": signature,
        }
        if output.authorization:
            headers["Authorization"] = output.authorization
        if given_up:
            headers[GAP_HEADER] = f"{given_up[0]}-{given_up[-1]}"
        return headers

    def _outcome(
        self,
        message: Message,
        answer: Answer | None,
        started_at_ms: int,
        duration_ms: int,
        *,
        error: str | None = None,
    ) -> Attempt:
        number = message.attempts + 1
        status_code = answer.status_code if answer else None
        state: State = "delivered"
        wait_ms = None
        if status_code == GONE:
            # The output is paused: when it goes on, this comes first.
            state, wait_ms = "waiting", 0
        elif status_code is None or not 200 <= status_code < 300:
            asked = answer.headers.get("Retry-After") if answer else None
            wait_ms = next_wait_ms(
                schedule_after(status_code, self._schedule_seconds),
                attempts_made=number - message.attempts_before,
                random=self._random,
                retry_after_ms=retry_after_ms(asked, now_ms=started_at_ms + duration_ms),
            )
            state = "dead" if wait_ms is None else "waiting"
        return Attempt(
            message_id=message.id,
            number=number,
            status_code=status_code,
            error=_storable(error) if error is not None else None,
            answer=_storable(answer.body.decode("utf-8", "replace")) if answer else "",
            duration_ms=duration_ms,
            started_at_ms=started_at_ms,
            state=state,
            wait_ms=wait_ms,
        )

    def _record(
        self,
        claim: Claim,
        attempts: Sequence[Attempt],
        *,
        keeps_lease: bool = False,
        then: _Then = _claim_nothing,
    ) -> "_Recorded":
        for _ in range(_RECORD_TRIES - 1):
            with suppress(DatabaseBusy):
                return self._record_once(claim, attempts, keeps_lease, then)
        return self._record_once(claim, attempts, keeps_lease, then)

    def _record_once(
        self, claim: Claim, attempts: Sequence[Attempt], keeps_lease: bool, then: _Then
    ) -> "_Recorded":
        is_gone = any(attempt.status_code == GONE for attempt in attempts)

        def work(connection: Connection) -> _Recorded:
            is_kept = record(
                connection,
                claim,
                attempts,
                clock=self._lease_clock,
                keeps_lease=keeps_lease,
                pause_because=_GONE_REASON if is_gone else None,
            )
            return _Recorded(is_kept, then(connection))

        recorded = self._commits.run(work)
        if recorded.is_kept:
            _report(claim, attempts, is_gone=is_gone)
        return recorded


class _Recorded(NamedTuple):
    """What became of a recording: is_kept is False when somebody else has taken the mailbox."""

    is_kept: bool
    next_claim: Claim | None


def _report(claim: Claim, attempts: Sequence[Attempt], *, is_gone: bool) -> None:
    if is_gone:
        _log.warning("output %s is paused: %s", claim.output.name, _GONE_REASON)
    for attempt in attempts:
        if attempt.state == "dead":
            _log.warning(
                "message %d of MPID %d is dead after %d attempts: %s",
                attempt.message_id,
                claim.mpid,
                attempt.number,
                attempt.error or f"status {attempt.status_code}",
            )


def _storable(text: str) -> str:
    """PostgreSQL keeps no NUL, and nobody reads a page of error text."""
    return text.replace("\x00", "")[:MOST_ANSWER_CHARACTERS]
