"""What an identity call can end in, split by what the caller can do next.

    IdentityError               anything a call can raise
    ├─ InvalidRequest           no service could answer it: correct the request (also a ValueError)
    │  └─ NoCurrentUser         modify before anybody was identified: identify first
    ├─ Misconfigured            base URL or key can never be sent, or not there: correct the settings
    ├─ OptedOut                 the person does not want this call: leave it
    ├─ RequestInProgress        another call for this device is under way: wait for its result
    ├─ NoAnswer                 try again later; __cause__ tells more
    │  ├─ NoConnection          nobody listens there: nothing was sent
    │  │  └─ CircuitOpen        it failed too often just now, so it was not even tried
    │  ├─ TlsFailed             the service could not prove who it is: nothing was sent
    │  ├─ TimedOut              the deadline passed: it may have been carried out
    │  └─ ConnectionLost        the connection broke: it may have been carried out
    ├─ Refused                  an error answer: .status_code, .errors, .request_id
    │  ├─ BadRequest 400        do not retry; read the errors
    │  ├─ Unauthorized 401      correct the key
    │  ├─ Forbidden 403         this key may not do this; ask for the right
    │  ├─ ProfileNotFound 404   nobody has these identities
    │  ├─ TooManyRequests 429   try again after .retry_after_seconds
    │  ├─ ServiceFailed 5xx     try again later
    │  └─ UnexpectedStatus      any other status, redirects included: check the base URL
    └─ NotUnderstood            a 2xx answer that is not in the documented shape: nothing was learnt

Each class has a `code`, stable text for storage and display. No message holds a body, a key or
anybody's identities, except what the service itself wrote into `errors`.
Source: IDSync documentation, "Errors" and "HTTP status codes".
"""

from collections.abc import Sequence
from typing import ClassVar, NamedTuple


class ErrorDetail(NamedTuple):
    """One entry of the service's error body."""

    code: str
    message: str


class IdentityError(Exception):
    """An identity call that brought no result; the device's memory stays as it was."""

    code: ClassVar[str] = "unknown"


class InvalidRequest(IdentityError, ValueError):
    """No service could answer this; the message says what to correct. Nothing was sent."""

    code = "invalid_request"


class NoCurrentUser(InvalidRequest):
    """modify changes the current user, and there is none yet. Identify first."""

    code = "no_current_user"


class Misconfigured(IdentityError):
    """The base URL or the key can never be sent, or nothing may be sent there: correct the settings.

    Retrying does not help.
    """

    code = "misconfigured"


class OptedOut(IdentityError):
    """The person has opted out; only login and logout, which signing in needs, are sent."""

    code = "opted_out"


class RequestInProgress(IdentityError):
    """Another call for the same device has not come back yet. Wait for it, then decide anew."""

    code = "request_in_progress"


class NoAnswer(IdentityError):
    """The service could not be reached, or not in time. Try again later."""

    code = "no_answer"


class NoConnection(NoAnswer):
    """Nobody listens at the base URL. The request was not sent; try again later."""

    code = "no_connection"


class CircuitOpen(NoConnection):
    """The service failed too often just now and is left alone for a while. Nothing was sent.

    Attributes:
        retry_after_seconds: when it may be worth asking again.
    """

    code = "circuit_open"

    def __init__(self, retry_after_seconds: float) -> None:
        super().__init__("the service failed too often just now; it was not asked")
        self.retry_after_seconds = retry_after_seconds


class TlsFailed(NoAnswer):
    """The service could not prove who it is. The request was not sent; check certificate and URL."""

    code = "tls_failed"


class TimedOut(NoAnswer):
    """No answer before the deadline. It may have been carried out; try again with the same request id."""

    code = "timed_out"


class ConnectionLost(NoAnswer):
    """The connection broke. It may have been carried out; try again with the same request id."""

    code = "connection_lost"


class Refused(IdentityError):
    """The service answered with an error.

    Attributes:
        status_code: the HTTP status.
        errors: what the service says about it, (code, message) each; may be empty.
        request_id: the id that this request was sent with.
    """

    code = "refused"

    def __init__(
        self, status_code: int, errors: Sequence[ErrorDetail] = (), request_id: str = ""
    ) -> None:
        said = "; ".join(f"{error.code}: {error.message}" for error in errors)
        super().__init__(f"HTTP {status_code}" + (f": {said}" if said else ""))
        self.status_code = status_code
        self.errors = tuple(errors)
        self.request_id = request_id


class BadRequest(Refused):
    """400: the request is wrong. Do not retry; read the errors."""

    code = "bad_request"


class Unauthorized(Refused):
    """401: the key, secret or signature is not accepted. Correct the settings."""

    code = "unauthorized"


class Forbidden(Refused):
    """403: the key is known but may not do this."""

    code = "forbidden"


class ProfileNotFound(Refused):
    """404: nobody has these identities (search), or the profile is unknown."""

    code = "profile_not_found"


class TooManyRequests(Refused):
    """429: wait.

    Attributes:
        retry_after_seconds: how long, if the service said it; else None.
    """

    code = "too_many_requests"

    def __init__(
        self,
        status_code: int,
        errors: Sequence[ErrorDetail] = (),
        request_id: str = "",
        *,
        retry_after_seconds: int | None = None,
    ) -> None:
        super().__init__(status_code, errors, request_id)
        self.retry_after_seconds = retry_after_seconds


class ServiceFailed(Refused):
    """5xx: the service failed. Try again later, with the same request id."""

    code = "service_failed"


class UnexpectedStatus(Refused):
    """A status that the documentation does not know; redirects are never followed."""

    code = "unexpected_status"


class NotUnderstood(IdentityError):
    """A success in an undocumented shape; it may have been carried out, but nothing was learnt."""

    code = "not_understood"
