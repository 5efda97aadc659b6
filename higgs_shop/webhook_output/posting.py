"""One POST of one message: its headers, and what its answer means."""

import logging
from collections.abc import Callable, Sequence
from typing import Final

from higgs_shop.clock import Clock
from higgs_shop.outbox import Attempt, Message, State
from higgs_shop.outgoing_http import Answer, OutgoingError, OutgoingHttp
from higgs_shop.outputs import Output
from higgs_shop.version import __version__
from higgs_shop.webhook_output.retry import GONE, next_wait_ms, retry_after_ms, schedule_after
from higgs_shop.webhook_output.signature import sign

USER_AGENT: Final = f"higgs-shop/{__version__}"
MOST_ANSWER_CHARACTERS: Final = 2_048
GAP_HEADER: Final = "higgs-shop-gap"
"""Names the sequence numbers right before a message that were given up: `7-9`, or `7-7` for one."""

_log = logging.getLogger(__name__)


class Posting:
    """Posts messages, and knows nothing of where they are kept. The arguments are a Sender's.

    Raises: BadSecret for a secret that cannot sign, ValueError for an empty schedule.
    """

    def __init__(
        self,
        http: OutgoingHttp,
        *,
        clock: Clock,
        inbox_address: str,
        secrets: Sequence[str],
        schedule_seconds: Sequence[float],
        random: Callable[[], float],
    ) -> None:
        if not schedule_seconds:
            raise ValueError("a schedule has at least one attempt")
        sign(secrets, webhook_id="", timestamp_seconds=0, body=b"")
        self._http = http
        self._clock = clock
        self._inbox_address = inbox_address
        self._secrets = tuple(secrets)
        self._schedule_seconds = tuple(schedule_seconds)
        self._random = random

    def attempt(self, output: Output, message: Message, given_up: range) -> Attempt:
        """Post it once. An answer of any kind, and none, is an outcome; so is an error of our own."""
        started_at_ms = self._clock()
        try:
            answer = self._http.post(
                output.settings.url or self._inbox_address,
                content=message.body,
                headers=self._headers(output, message, given_up, started_at_ms),
            )
        except OutgoingError as error:
            said = str(error)
        except Exception as error:  # noqa: BLE001 (see below)
            # One message that nobody foresaw must not be tried for ever, nor keep others from being sent.
            _log.exception("message %d cannot be posted", message.id)
            said = f"it cannot be posted: {type(error).__name__}"
        else:
            return self._outcome(message, answer, started_at_ms, answer.duration_ms)
        duration_ms = max(0, self._clock() - started_at_ms)
        return self._outcome(message, None, started_at_ms, duration_ms, error=said)

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
            # The output is paused: when it goes on, this comes first, as if it had not been tried.
            state, wait_ms = "waiting", 0
        elif status_code is None or not 200 <= status_code < 300:
            wait_ms = next_wait_ms(
                schedule_after(status_code, self._schedule_seconds),
                attempts_made=number - message.attempts_before,
                random=self._random,
                retry_after_ms=retry_after_ms(
                    answer.headers.get("Retry-After") if answer else None,
                    now_ms=started_at_ms + duration_ms,
                ),
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
            starts_anew=status_code == GONE,
            retry_after=_header(answer, "Retry-After"),
            location=_header(answer, "Location"),
        )


def _header(answer: Answer | None, name: str) -> str | None:
    value = answer.headers.get(name) if answer else None
    return None if value is None else _storable(value)


def _storable(text: str) -> str:
    """PostgreSQL keeps no NUL, and nobody reads a page of error text."""
    return text.replace("\x00", "")[:MOST_ANSWER_CHARACTERS]
