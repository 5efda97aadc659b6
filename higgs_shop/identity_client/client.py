"""The client of the IDSync HTTP API: five calls with one signature, and alias.

Source: IDSync documentation, "Identity requests", "Modify" and "Authentication"; the Web SDK for
what is remembered after an answer. See errors.py for all that a call can end in.
"""

import logging
import threading
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Final, Literal

import httpx

from higgs_shop.clock import Clock
from higgs_shop.identity_client.auth import Basic, Hmac, KeyOnly
from higgs_shop.identity_client.circuit_breaker import CircuitBreaker
from higgs_shop.identity_client.device import Device, User
from higgs_shop.identity_client.errors import (
    CircuitOpen,
    IdentityError,
    InvalidRequest,
    Misconfigured,
    NoCurrentUser,
    NotUnderstood,
    OptedOut,
    RequestInProgress,
)
from higgs_shop.identity_client.exchange import Exchange
from higgs_shop.identity_client.messages import (
    AliasRequest,
    ClientSdk,
    IdentityAnswer,
    IdentityChange,
    IdentityRequest,
    IdentityResult,
    read_answer,
)
from higgs_shop.identity_types import DEVICE_APPLICATION_STAMP
from higgs_shop.outgoing_http import OutgoingHttp

Environment = Literal["development", "production"]

_logger = logging.getLogger(__name__)

_THIS_SDK: Final = ClientSdk()


class IdentityClient:
    """Asks an identity service who somebody is. Safe to share between threads.

    Every call takes a Device (what is remembered so far) and a request, and returns an
    IdentityResult with the Device to keep instead. A call that fails raises an IdentityError and
    changes nothing. Nothing is tried again here, and no call takes longer than `http` allows. A
    service that keeps failing is left alone for a while (see circuit_breaker.py); calls then raise
    CircuitOpen at once.

    Args:
        base_url: all that stands before `/identify`, e.g. "https://identity.example/v1".
        alias_url: all that stands before the API key in the path of alias; None where there is none.
        auth: KeyOnly, Basic or Hmac.
        http: sends the requests; brings the deadline and the largest answer.
        clock: UTC Unix milliseconds.
        environment: which of the two data sets the calls belong to.
        on_user_changed: called with (previous user or None, new user) after an answer that made
            another MPID current. An error in it is logged, and the result is returned.
        new_request_id: makes the id of a request that is sent without one.
        client_sdk: how the client introduces itself.

    Raises: ValueError for a base URL that no call could be sent to.

    >>> answer = {"mpid": "4711", "is_logged_in": True, "matched_identities": {}}
    >>> service = httpx.MockTransport(lambda request: httpx.Response(200, json=answer))
    >>> client = IdentityClient(
    ...     base_url="https://identity.example/v1",
    ...     auth=KeyOnly("demo-web-key"),
    ...     http=OutgoingHttp(deadline_seconds=1.5, max_answer_bytes=65_536, transport=service),
    ...     clock=lambda: 1_772_360_100_000,
    ... )
    >>> device = Device(stamp="0b7f3d64-1f0a-4c2a-9d55-2f3c8a5f1e10")
    >>> ada = IdentityRequest.empty().with_identity("customerid", "C-1001")
    >>> result = client.login(device, ada)
    >>> result.user.mpid, result.user.is_logged_in, result.user_changed
    ('4711', True, True)
    >>> client.modify(result.device, ada).sent
    False
    """

    def __init__(
        self,
        *,
        base_url: str,
        auth: KeyOnly | Basic | Hmac,
        http: OutgoingHttp,
        clock: Clock,
        alias_url: str | None = None,
        environment: Environment = "development",
        on_user_changed: Callable[[User | None, User], None] | None = None,
        new_request_id: Callable[[], str] = lambda: str(uuid.uuid4()),
        client_sdk: ClientSdk = _THIS_SDK,
    ) -> None:
        self._base_url = _checked(base_url)
        self._alias_url = None if alias_url is None else _checked(alias_url)
        self._auth = auth
        self._exchange = Exchange(http, auth, clock)
        self._clock = clock
        self._environment = environment
        self._on_user_changed = on_user_changed
        self._new_request_id = new_request_id
        self._client_sdk = client_sdk
        self._breaker = CircuitBreaker(clock)
        self._alias_breaker = CircuitBreaker(clock)  # another host, as a rule
        self._under_way: set[str] = set()
        self._under_way_lock = threading.Lock()

    @property
    def pause_left_ms(self) -> int:
        """How long every call but alias is refused, since the service failed too often; 0 when none is."""
        return self._breaker.pause_left_ms

    def identify(
        self,
        device: Device,
        request: IdentityRequest | None = None,
        *,
        request_id: str | None = None,
    ) -> IdentityResult:
        """Say who is here, once at the start of a session.

        Without a request: the most recent user's identities as this device knows them, and with
        nobody seen yet, the device stamp alone.

        Raises: IdentityError; OptedOut when the person has opted out.
        """
        _refuse_if_opted_out(device)
        if request is None:
            request = IdentityRequest.of(device.users[0]) if device.users else IdentityRequest()
        return self._move("identify", device, request, request_id)

    def login(
        self,
        device: Device,
        request: IdentityRequest | None = None,
        *,
        request_id: str | None = None,
    ) -> IdentityResult:
        """Move to the person with these identities. Raises: IdentityError."""
        return self._move("login", device, request or IdentityRequest(), request_id)

    def logout(
        self,
        device: Device,
        request: IdentityRequest | None = None,
        *,
        request_id: str | None = None,
    ) -> IdentityResult:
        """Move away from the current person, usually with no request. Raises: IdentityError."""
        return self._move("logout", device, request or IdentityRequest(), request_id)

    def search(
        self,
        device: Device,
        request: IdentityRequest | None = None,
        *,
        request_id: str | None = None,
    ) -> IdentityResult:
        """Find whose identities these are; changes nobody, and `device` stays as it is.

        The found user's identities are those of the request that matched; who was never seen on
        this device has now as first and last seen.

        Raises: IdentityError; ProfileNotFound when it is nobody, InvalidRequest without identities.
        """
        _refuse_if_opted_out(device)
        if request is None or not request.identities:
            raise InvalidRequest("a search needs at least one identity")
        with self._alone_with(device):
            reply = self._ask("search", {"known_identities": dict(request.identities)}, request_id)
        found_mpid, now_ms = _required_mpid(reply.answer), self._clock()
        known = device.user(found_mpid)
        return reply.result(
            User(
                mpid=found_mpid,
                identities=_without_stamp(reply.answer.matched_identities),
                is_logged_in=reply.answer.is_logged_in or False,
                first_seen_ms=known.first_seen_ms if known else now_ms,
                last_seen_ms=known.last_seen_ms if known else now_ms,
            ),
            before=device,
            after=device,
        )

    def resolve(self, identities: Mapping[str, str], *, request_id: str | None = None) -> str:
        """Say who a server means: an identify without a device. Returns the MPID.

        Raises: IdentityError; InvalidRequest without identities.
        """
        if not identities:
            raise InvalidRequest("resolving needs at least one identity")
        reply = self._ask("identify", {"known_identities": dict(identities)}, request_id)
        return _required_mpid(reply.answer)

    def modify(
        self,
        device: Device,
        request: IdentityRequest | None = None,
        *,
        request_id: str | None = None,
    ) -> IdentityResult:
        """Change the current user's identities to those of the request; the MPID stays.

        Start from IdentityRequest.of(device.current_user). Types that the request does not name
        stay as they are, and those taken away with None are removed. What this device knows
        already is not sent; when nothing is left, neither is the request (`sent` is False).

        Raises: IdentityError; NoCurrentUser when nobody was identified yet.
        """
        _refuse_if_opted_out(device)
        user = device.current_user
        if user is None:
            raise NoCurrentUser("modify changes the current user, and nobody was identified yet")
        changes = (request or IdentityRequest()).changes_from(user.identities)
        if not changes:
            return IdentityResult(user, user, device, request_id or "", sent=False)
        members = {
            "context": device.context,
            "identity_changes": [
                {
                    "old_value": change.old_value,
                    "new_value": change.new_value,
                    "identity_type": change.identity_type,
                }
                for change in changes
            ],
        }
        with self._alone_with(device):
            reply = self._ask(f"{user.mpid}/modify", members, request_id)
        if reply.answer.mpid not in (None, user.mpid):
            raise NotUnderstood("the answer to modify is about another profile")
        now_ms, is_logged_in = self._clock(), reply.answer.is_logged_in
        modified = replace(
            user,
            identities=_applied(changes, user.identities),
            is_logged_in=user.is_logged_in if is_logged_in is None else is_logged_in,
            last_seen_ms=now_ms,
        )
        after = device.with_current(modified, now_ms=now_ms)
        return reply.result(modified, before=device, after=after, changes=changes)

    @property
    def has_alias(self) -> bool:
        """Whether alias can be called."""
        return self._alias_url is not None

    def alias(
        self, device: Device, request: AliasRequest, *, request_id: str | None = None
    ) -> None:
        """Ask that what one profile did on this device is carried over to another one.

        The service accepts the request and carries it out later; whether it had an effect is not told.

        Raises: IdentityError; Forbidden where profiles are kept apart, InvalidRequest for a profile and
            itself, Misconfigured without `alias_url`.
        """
        _refuse_if_opted_out(device)
        if self._alias_url is None:
            raise Misconfigured("there is no URL for alias")
        if request.source_mpid == request.destination_mpid:
            raise InvalidRequest("source and destination are the same profile")
        request_id = request_id or self._new_request_id()
        body = {
            "request_id": request_id,
            "request_type": "alias",
            "environment": self._environment,
            "api_key": self._auth.key,
            "data": {
                "destination_mpid": request.destination_mpid,
                "source_mpid": request.source_mpid,
                "start_unixtime_ms": request.start_ms,
                "end_unixtime_ms": request.end_ms,
                "scope": "device",
                "device_application_stamp": device.stamp,
            },
        }
        url = f"{self._alias_url}/{self._auth.key}/Alias"
        with _logged("alias", request_id):
            self._exchange.post(url, body, request_id=request_id, breaker=self._alias_breaker)

    def _move(
        self, action: str, device: Device, request: IdentityRequest, request_id: str | None
    ) -> IdentityResult:
        """identify, login and logout: the answer says who is current from now on."""
        identities = {**request.identities, DEVICE_APPLICATION_STAMP: device.stamp}
        members = {
            "context": device.context,
            "previous_mpid": device.current_mpid,
            "known_identities": identities,
        }
        with self._alone_with(device):
            reply = self._ask(action, members, request_id)
        mpid, now_ms = _required_mpid(reply.answer), self._clock()
        known = device.user(mpid)
        known_identities = known.identities if known else {}
        changes = request.changes_from(known_identities)
        user = User(
            mpid=mpid,
            identities=_applied(changes, known_identities) if request.identities else {},
            is_logged_in=reply.answer.is_logged_in or False,
            first_seen_ms=known.first_seen_ms if known else now_ms,
            last_seen_ms=now_ms,
        )
        after = device.with_current(user, now_ms=now_ms).with_context(reply.answer.context)
        result = reply.result(user, before=device, after=after, changes=changes)
        self._signal(result)
        return result

    @contextmanager
    def _alone_with(self, device: Device) -> Iterator[None]:
        with self._under_way_lock:
            if device.stamp in self._under_way:
                raise RequestInProgress("another identity call for this device is under way")
            self._under_way.add(device.stamp)
        try:
            yield
        finally:
            with self._under_way_lock:
                self._under_way.discard(device.stamp)

    def _ask(self, path: str, members: Mapping[str, Any], request_id: str | None) -> "_Reply":
        request_id = request_id or self._new_request_id()
        with _logged(path, request_id):
            return self._post(path, members, request_id)

    def _post(self, path: str, members: Mapping[str, Any], request_id: str) -> "_Reply":
        body = {
            "client_sdk": vars(self._client_sdk),
            "environment": self._environment,
            "request_id": request_id,
            "request_timestamp_ms": self._clock(),
            **members,
        }
        answer = self._exchange.post(
            f"{self._base_url}/{path}", body, request_id=request_id, breaker=self._breaker
        )
        return _Reply(
            read_answer(answer.body, answer.headers.get("Content-Type")),
            request_id,
            answer.status_code,
            answer.duration_ms,
        )

    def _signal(self, result: IdentityResult) -> None:
        if self._on_user_changed is None or not result.user_changed:
            return
        try:
            self._on_user_changed(result.previous_user, result.user)
        except Exception:
            _logger.exception("on_user_changed failed; the identity call did not")


@dataclass(frozen=True)
class _Reply:
    """A success, understood."""

    answer: IdentityAnswer
    request_id: str
    status_code: int
    duration_ms: int

    def result(
        self,
        user: User,
        *,
        before: Device,
        after: Device,
        changes: tuple[IdentityChange, ...] = (),
    ) -> IdentityResult:
        return IdentityResult(
            user=user,
            previous_user=before.current_user,
            device=after,
            request_id=self.request_id,
            matched_identities=self.answer.matched_identities,
            is_ephemeral=self.answer.is_ephemeral,
            status_code=self.status_code,
            changes=changes,
            change_results=self.answer.change_results,
            duration_ms=self.duration_ms,
        )


@contextmanager
def _logged(path: str, request_id: str) -> Iterator[None]:
    try:
        yield
    except CircuitOpen:
        raise  # was logged once, when the circuit opened
    except IdentityError as error:
        # Not the error's text: what a service writes into it may name a person.
        _logger.warning(
            "identity call %s failed: %s, HTTP status %s, request %s",
            path,
            error.code,
            getattr(error, "status_code", None),
            request_id,
        )
        raise


def _checked(base_url: str) -> str:
    try:
        url = httpx.URL(base_url)
    except (httpx.InvalidURL, ValueError, TypeError) as error:
        raise ValueError(f"not a base URL: {error}") from error
    if url.scheme not in {"http", "https"} or not url.host:
        raise ValueError("the base URL must begin with http:// or https:// and a host")
    if url.userinfo or url.query or url.fragment or "?" in base_url or "#" in base_url:
        raise ValueError("the base URL may hold neither credentials nor a query nor a fragment")
    return base_url.rstrip("/")


def _refuse_if_opted_out(device: Device) -> None:
    if device.opted_out:
        raise OptedOut("the person on this device has opted out")


def _required_mpid(answer: IdentityAnswer) -> str:
    if answer.mpid is None:
        raise NotUnderstood("the answer has no mpid")
    return answer.mpid


def _applied(changes: tuple[IdentityChange, ...], known: Mapping[str, str]) -> dict[str, str]:
    values: dict[str, str | None] = {**known}
    values.update({change.identity_type: change.new_value for change in changes})
    return {name: value for name, value in values.items() if value is not None}


def _without_stamp(identities: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in identities.items() if name != DEVICE_APPLICATION_STAMP}
