"""One round of sending: claim a mailbox, post its messages in order until one fails, record it all.

Nothing of the database is held while the network is used. A process that dies between sending and
recording leaves a lease that runs out; the message then goes out again, with the same `webhook-id` and
the same bytes, so that a receiver can tell.
"""

import logging
import random as random_module
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from higgs_shop.clock import Clock
from higgs_shop.database import Database, DatabaseBusy
from higgs_shop.outbox import Attempt, Claim, Message, State, claim_due, record
from higgs_shop.outgoing_http import Answer, OutgoingError, OutgoingHttp
from higgs_shop.version import __version__
from higgs_shop.webhook_output.retry import SCHEDULE_SECONDS, next_attempt_ms, retry_after_ms
from higgs_shop.webhook_output.signature import sign

USER_AGENT: Final = f"higgs-shop/{__version__}"
MOST_ANSWER_CHARACTERS: Final = 2_048
# A lease covers starting POSTs, the last one's deadline, and room to record them on a busy machine.
_ROUND_MS: Final = 10_000
_ROOM_MS: Final = 10_000
# Each try waits for the busy timeout. Giving up costs a second sending of what has been delivered.
_RECORD_TRIES: Final = 3

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Delivery:
    """One message that was posted, and how that went."""

    message: Message
    attempt: Attempt

    @property
    def succeeded(self) -> bool:
        """True when the receiver answered 2xx."""
        return self.attempt.state == "delivered"


class WebhookOutput:
    """Posts what is due in the outbox to one URL, as JSON with Standard Webhooks headers.

    Args:
        http: does not follow redirects, and bounds each POST.
        timeout_seconds: that bound, the deadline that `http` was made with; leases outlast it.
        url: where to.
        secrets: signing secrets (`whsec_…`), at least one; each signs every message.
        authorization: value of the Authorization header, or empty for none.
        schedule_seconds: the wait before each attempt; its length is how many there are.
        random: gives 0 ≤ x < 1, for the jitter of retries.
    Raises: BadSecret for a secret that cannot sign, ValueError for an empty schedule.
    """

    def __init__(
        self,
        database: Database,
        http: OutgoingHttp,
        *,
        timeout_seconds: float,
        clock: Clock,
        url: str,
        secrets: Sequence[str],
        authorization: str = "",
        schedule_seconds: Sequence[float] = SCHEDULE_SECONDS,
        random: Callable[[], float] = random_module.random,
    ) -> None:
        if not schedule_seconds:
            raise ValueError("a schedule has at least one attempt")
        sign(secrets, webhook_id="", timestamp_seconds=0, body=b"")
        self.url = url
        self._database = database
        self._http = http
        self._clock = clock
        self._random = random
        self._authorization = authorization
        self._secrets = tuple(secrets)
        self._schedule_seconds = tuple(schedule_seconds)
        self._lease_ms = _ROUND_MS + round(timeout_seconds * 1_000) + _ROOM_MS

    def deliver_due(
        self, now_ms: int, *, keep_going: Callable[[], bool] = lambda: True
    ) -> list[Delivery]:
        """Send the messages of the mailbox that has been due for longest, and record how each went.

        Args:
            now_ms: a mailbox is due at or before it.
            keep_going: asked before each POST; at the first False, what is left is given back unsent.
        Returns: one Delivery a message, in sequence, at most one of them failed, and that one last;
            empty when nothing is due. A refused or silent receiver is an outcome, not an error.
        Raises: DatabaseBusy and SQLAlchemy's errors, when claiming or recording is impossible.
        """
        claim = claim_due(self._database, now_ms=now_ms, lease_ms=self._lease_ms)
        if claim is None:
            return []
        deliveries: list[Delivery] = []
        try:
            self._deliver(claim, deliveries, keep_going)
        finally:
            # Also when something unforeseen ends the round: what was delivered stays delivered.
            self._record(claim, deliveries)
        return deliveries

    def _deliver(
        self, claim: Claim, deliveries: list[Delivery], keep_going: Callable[[], bool]
    ) -> None:
        self._database.assert_not_writing()
        last_start_ms = claim.until_ms - self._lease_ms + _ROUND_MS
        for message in claim.messages:
            if not keep_going() or self._clock() > last_start_ms:
                return
            deliveries.append(Delivery(message, self._attempt(message)))
            if not deliveries[-1].succeeded:
                return

    def _attempt(self, message: Message) -> Attempt:
        started_at_ms = self._clock()
        try:
            answer = self._http.post(
                self.url, content=message.body, headers=self._headers(message, started_at_ms)
            )
        except OutgoingError as error:
            duration_ms = max(0, self._clock() - started_at_ms)
            return self._outcome(message, None, started_at_ms, duration_ms, error=str(error))
        return self._outcome(message, answer, started_at_ms, answer.duration_ms)

    def _headers(self, message: Message, now_ms: int) -> dict[str, str]:
        timestamp_seconds = now_ms // 1_000
        signature = sign(
            self._secrets,
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
        if self._authorization:
            headers["Authorization"] = self._authorization
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
        ended_at_ms = started_at_ms + duration_ms
        state: State = "delivered"
        next_ms = None
        if answer is None or not 200 <= answer.status_code < 300:
            asked = answer.headers.get("Retry-After") if answer else None
            next_ms = next_attempt_ms(
                self._schedule_seconds,
                attempts_made=number,
                now_ms=ended_at_ms,
                random=self._random,
                retry_after_ms=retry_after_ms(asked, now_ms=ended_at_ms),
            )
            state = "dead" if next_ms is None else "waiting"
        return Attempt(
            message_id=message.id,
            number=number,
            status_code=answer.status_code if answer else None,
            error=_storable(error) if error is not None else None,
            answer=_storable(answer.body.decode("utf-8", "replace")) if answer else "",
            duration_ms=duration_ms,
            started_at_ms=started_at_ms,
            state=state,
            next_attempt_ms=next_ms,
        )

    def _record(self, claim: Claim, deliveries: Sequence[Delivery]) -> None:
        attempts = [delivery.attempt for delivery in deliveries]
        for _ in range(_RECORD_TRIES - 1):
            with suppress(DatabaseBusy):
                return self._record_once(claim, attempts)
        return self._record_once(claim, attempts)

    def _record_once(self, claim: Claim, attempts: Sequence[Attempt]) -> None:
        if not record(self._database, claim, attempts, now_ms=self._clock()):
            _log.warning(
                "the lease on the mailbox of MPID %d ran out; %d attempts are not recorded",
                claim.mpid,
                len(attempts),
            )
            return
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
