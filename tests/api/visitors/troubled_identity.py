"""The embedded identity service, behind a line on which everything goes wrong that can."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

import httpx


class Trouble(Enum):
    """What happens to a call. After LOST_REPLY and CRASH the service has carried it out."""

    NONE = "none"
    NO_CONNECTION = "no connection"
    FAILED = "500"
    UNAVAILABLE = "503"
    TOO_MANY = "429"
    REFUSED = "400"
    NOT_UNDERSTOOD = "junk"
    LOST_REPLY = "lost reply"
    CRASH = "crash"


class SimulatedCrash(Exception):
    """The process ends here: nothing that would come after the call happens."""


@dataclass(frozen=True)
class Call:
    """One call, as it was sent; `carried_out` tells whether the service did what was asked."""

    action: str
    request_id: str
    stamp: str | None
    identities: Mapping[str, str]
    body: Mapping[str, Any]
    carried_out: bool


class TroubledIdentity(httpx.BaseTransport):
    """Hands calls on to a service, or not.

    Attributes:
        trouble: what happens to every call until it is changed.
        calls: every call so far.
        before: called with the action before a call is carried out; may wait, or change things.
        on_call: told of every call when it is over.
    """

    def __init__(self) -> None:
        self.trouble = Trouble.NONE
        self.calls: list[Call] = []
        self.before: Callable[[str], None] = lambda _action: None
        self.on_call: Callable[[Call, Trouble], None] = lambda _call, _trouble: None
        self._service: httpx.BaseTransport | None = None

    def reach(self, service: Any) -> None:
        """What stands behind the line: a WSGI application."""
        self._service = httpx.WSGITransport(service, raise_app_exceptions=False)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Carry a call out as the trouble allows."""
        assert self._service is not None
        trouble = self.trouble
        content = json.loads(request.read())
        action = request.url.path.rpartition("/")[2].lower()
        self.before(action)
        reaches = trouble in {Trouble.NONE, Trouble.LOST_REPLY, Trouble.CRASH}
        response = self._service.handle_request(request) if reaches else _answer(trouble)
        identities = dict(content.get("known_identities", {}))
        call = Call(
            action=action,
            request_id=content["request_id"],
            stamp=identities.pop("device_application_stamp", None),
            identities=identities,
            body=content,
            carried_out=reaches and response is not None and response.is_success,
        )
        self.calls.append(call)
        self.on_call(call, trouble)
        if trouble is Trouble.CRASH:
            raise SimulatedCrash
        if trouble is Trouble.LOST_REPLY:
            raise httpx.ReadError("the connection was closed before the answer", request=request)
        if response is None:
            raise httpx.ConnectError("nobody listens there", request=request)
        return response


def _answer(trouble: Trouble) -> httpx.Response | None:
    errors = {"errors": [{"code": "400", "message": "never heard of that"}]}
    if trouble is Trouble.TOO_MANY:
        return httpx.Response(429, headers={"Retry-After": "3"}, json=errors)
    if trouble is Trouble.NOT_UNDERSTOOD:
        return httpx.Response(200, text="<h1>It works!</h1>")
    return httpx.Response(int(trouble.value), json=errors) if trouble.value.isdigit() else None
