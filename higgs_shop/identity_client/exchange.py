"""One call over HTTP: signed, guarded by a circuit breaker, and each way in which it fails as an error."""

from collections.abc import Mapping
from typing import Any, Final

from higgs_shop import outgoing_http
from higgs_shop.clock import Clock
from higgs_shop.identity_client.auth import Basic, Hmac, KeyOnly
from higgs_shop.identity_client.circuit_breaker import CircuitBreaker
from higgs_shop.identity_client.errors import (
    BadRequest,
    ConnectionLost,
    Forbidden,
    IdentityError,
    Misconfigured,
    NoAnswer,
    NoConnection,
    NotUnderstood,
    ProfileNotFound,
    Refused,
    ServiceFailed,
    TimedOut,
    TlsFailed,
    TooManyRequests,
    Unauthorized,
    UnexpectedStatus,
)
from higgs_shop.identity_client.messages import read_errors, read_retry_after, to_json
from higgs_shop.outgoing_http import OutgoingHttp

_REFUSALS: Final[Mapping[int, type[Refused]]] = {
    400: BadRequest,
    401: Unauthorized,
    403: Forbidden,
    404: ProfileNotFound,
}

_OUTGOING: Final[Mapping[type[outgoing_http.OutgoingError], type[IdentityError]]] = {
    outgoing_http.BadUrl: Misconfigured,
    outgoing_http.NotPermitted: Misconfigured,
    outgoing_http.NoConnection: NoConnection,
    outgoing_http.TlsFailed: TlsFailed,
    outgoing_http.TimedOut: TimedOut,
    outgoing_http.ConnectionLost: ConnectionLost,
    outgoing_http.AnswerTooLarge: NotUnderstood,
}


class Exchange:
    """Posts JSON to an identity service. The arguments are an IdentityClient's."""

    def __init__(self, http: OutgoingHttp, auth: KeyOnly | Basic | Hmac, clock: Clock) -> None:
        self._http = http
        self._auth = auth
        self._clock = clock

    def post(
        self, url: str, body: Mapping[str, Any], *, request_id: str, breaker: CircuitBreaker
    ) -> outgoing_http.Answer:
        """Post it once. Returns: an answer of 2xx.

        Raises: IdentityError: CircuitOpen, NoAnswer and its kinds, NotUnderstood, Misconfigured, and a
            Refused that fits any other answer.
        """
        answer = self._send(url, to_json(body), breaker)
        if not 200 <= answer.status_code < 300:
            raise _refusal(answer, request_id, self._clock())
        return answer

    def _send(self, url: str, content: bytes, breaker: CircuitBreaker) -> outgoing_http.Answer:
        entered, answered = breaker.enter(), None
        try:
            answer = self._http.post(
                url,
                content=content,
                headers={"Content-Type": "application/json", "Accept": "application/json"},
                auth=self._auth,
            )
            answered = _shows_that_somebody_is_there(answer)
        except outgoing_http.OutgoingError as error:
            raised = _OUTGOING[type(error)](str(error))
            answered = False if isinstance(raised, NoAnswer) else None
            raise raised from error
        finally:
            breaker.leave(entered, answered=answered)
        return answer


def _shows_that_somebody_is_there(answer: outgoing_http.Answer) -> bool | None:
    """For the circuit breaker, whose docstring has the reasons."""
    if answer.status_code == 503 and "Retry-After" in answer.headers:
        return None
    return answer.status_code < 500


def _refusal(answer: outgoing_http.Answer, request_id: str, now_ms: int) -> Refused:
    status_code, errors = answer.status_code, read_errors(answer.body)
    if status_code == 429:
        return TooManyRequests(
            status_code,
            errors,
            request_id,
            retry_after_seconds=read_retry_after(answer.headers.get("Retry-After"), now_ms),
        )
    if 500 <= status_code < 600:
        return ServiceFailed(status_code, errors, request_id)
    return _REFUSALS.get(status_code, UnexpectedStatus)(status_code, errors, request_id)
