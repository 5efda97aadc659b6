"""What goes into an identity call and what comes out: shapes, and how they look on the wire.

Source: IDSync HTTP API, "Identity requests", "Modify" and "Success response".
"""

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Any, Final, Self, TypeVar

from higgs_shop import strict_json
from higgs_shop.identity_client.device import Device, User, is_mpid
from higgs_shop.identity_client.errors import ErrorDetail, InvalidRequest, NotUnderstood
from higgs_shop.identity_types import DEVICE_APPLICATION_STAMP, IDENTITY_TYPES

_JSON_MEDIA_TYPE: Final = re.compile(r"application/(?:[\w.-]+\+)?json", re.IGNORECASE)
_SECONDS: Final = re.compile(r"[0-9]{1,10}", re.ASCII)
_ALIAS_WINDOW_MS: Final = 90 * 86_400_000
_MOST_ERRORS: Final = 10
_LONGEST_ERROR_TEXT: Final = 500

_T = TypeVar("_T")


@dataclass(frozen=True)
class IdentityRequest:
    """Whom to move to (identify, login, logout), to find (search) or to become (modify).

    Immutable; made by empty() or of(), and changed by with_identity(). The device stamp never
    stands in a request: the client appends it.

    >>> request = IdentityRequest.empty().with_identity("email", "ada@example.test")
    >>> request.identities
    {'email': 'ada@example.test'}
    >>> request.with_identity("email", None).removed
    frozenset({'email'})
    """

    identities: Mapping[str, str] = field(default_factory=dict)
    removed: frozenset[str] = frozenset()

    @classmethod
    def empty(cls) -> Self:
        """A user without identities."""
        return cls()

    @classmethod
    def of(cls, user: User) -> Self:
        """A copy of a user's identities, which can then be changed."""
        request = cls()
        for identity_type, value in user.identities.items():
            request = request.with_identity(identity_type, value)
        return request

    def with_identity(self, identity_type: str, value: str | None) -> Self:
        """A copy with this identity; None takes it away (and modify will remove it).

        Raises: InvalidRequest for an unknown type, the device stamp, or a value that is not text.
        """
        _check_type(identity_type)
        others = {name: kept for name, kept in self.identities.items() if name != identity_type}
        if value is None:
            return type(self)(others, self.removed | {identity_type})
        _check_value(identity_type, value)
        return type(self)(others | {identity_type: value}, self.removed - {identity_type})

    def changes_from(self, known: Mapping[str, str]) -> "tuple[IdentityChange, ...]":
        """What has to change for somebody known so far by these identities; () when nothing has.

        Types that the request does not name stay as they are.
        """
        wanted = [*self.identities.items(), *((name, None) for name in sorted(self.removed))]
        return tuple(
            IdentityChange(identity_type, known.get(identity_type), value)
            for identity_type, value in wanted
            if known.get(identity_type) != value
        )


@dataclass(frozen=True)
class IdentityChange:
    """One identity that was added (old_value None), replaced, or removed (new_value None)."""

    identity_type: str
    old_value: str | None
    new_value: str | None


@dataclass(frozen=True)
class AliasRequest:
    """What one user did, to be carried over to another. Times are UTC milliseconds, both included.

    >>> nobody = User("1", {}, False, first_seen_ms=1_000, last_seen_ms=5_000)
    >>> ada = User("2", {"customerid": "C-1001"}, True, first_seen_ms=5_000, last_seen_ms=5_000)
    >>> AliasRequest.of(nobody, ada, now_ms=6_000)
    AliasRequest(source_mpid='1', destination_mpid='2', start_ms=1000, end_ms=5000)
    """

    source_mpid: str
    destination_mpid: str
    start_ms: int
    end_ms: int

    @classmethod
    def of(
        cls, source: User, destination: User, *, now_ms: int, since_ms: int | None = None
    ) -> Self:
        """All that the source did on the device, as far back as may be carried over: 90 days.

        Args:
            since_ms: when it began, if that was before the first answer about this user.
        """
        began_ms = min(source.first_seen_ms, since_ms or source.first_seen_ms)
        start_ms = max(began_ms, now_ms - _ALIAS_WINDOW_MS)
        end_ms = max(source.last_seen_ms, start_ms)
        return cls(source.mpid, destination.mpid, start_ms, end_ms)


@dataclass(frozen=True)
class ChangeResult:
    """What modify answers about one change: whose identity it is now."""

    identity_type: str
    modified_mpid: str


@dataclass(frozen=True)
class ClientSdk:
    """How the client introduces itself in every request."""

    platform: str = "web"
    sdk_vendor: str = "higgs"
    sdk_version: str = "1.0.0"


@dataclass(frozen=True)
class IdentityResult:
    """What a call brought.

    Attributes:
        user: who it is now; for search, who was found.
        previous_user: who was current before the call; None at first.
        device: the new memory, to be kept instead of the old one. search leaves it as it was.
        matched_identities: those of the request by which the profile was found.
        is_ephemeral: whether this user's data may be forgotten when somebody else becomes current.
        request_id: the id the request was sent with.
        status_code: the HTTP status; None when nothing was sent.
        sent: False when modify had nothing to change.
        changes: what is different about `user` compared with what this device knew of that same
            profile; for modify, what was sent. Never a comparison of two people.
        change_results: modify's answer about each change, if it gave one.
        duration_ms: how long the call took; 0 when nothing was sent.
    """

    user: User
    previous_user: User | None
    device: Device
    request_id: str
    matched_identities: Mapping[str, str] = field(default_factory=dict)
    is_ephemeral: bool = False
    status_code: int | None = None
    sent: bool = True
    changes: tuple[IdentityChange, ...] = ()
    change_results: tuple[ChangeResult, ...] = ()
    duration_ms: int = 0

    @property
    def user_changed(self) -> bool:
        """Whether another MPID became current through this call; never for search."""
        previous_mpid = None if self.previous_user is None else self.previous_user.mpid
        return self.device.current_mpid != previous_mpid


@dataclass(frozen=True)
class IdentityAnswer:
    """The body of a 2xx answer, checked; what is missing has its documented default."""

    mpid: str | None
    is_logged_in: bool | None
    context: str | None
    matched_identities: Mapping[str, str]
    is_ephemeral: bool
    change_results: tuple[ChangeResult, ...]


def to_json(members: Mapping[str, Any]) -> bytes:
    """The bytes of a request body: UTF-8, without spaces, in the order given."""
    return json.dumps(members, ensure_ascii=False, separators=(",", ":")).encode()


def read_answer(body: bytes, content_type: str | None) -> IdentityAnswer:
    """Read a 2xx answer. Raises NotUnderstood, whatever the bytes are; unknown members are ignored."""
    media_type = (content_type or "").partition(";")[0].strip()
    if not _JSON_MEDIA_TYPE.fullmatch(media_type):
        raise NotUnderstood("the answer does not say that it is JSON")
    try:
        members = strict_json.loads(body)
    except strict_json.BadJson as error:
        raise NotUnderstood("the answer is not JSON that can be kept") from error
    if not isinstance(members, dict):
        raise NotUnderstood("the answer is not a JSON object")
    mpid = _member(members, "mpid", str)
    if mpid is not None and not is_mpid(mpid):
        raise NotUnderstood("the answer's mpid is not a 64-bit decimal")
    return IdentityAnswer(
        mpid=mpid,
        is_logged_in=_member(members, "is_logged_in", bool),
        context=_member(members, "context", str),
        matched_identities=_texts(_member(members, "matched_identities", dict) or {}),
        is_ephemeral=_member(members, "is_ephemeral", bool) or False,
        change_results=tuple(
            _change_result(entry) for entry in _member(members, "change_results", list) or ()
        ),
    )


def read_errors(body: bytes) -> tuple[ErrorDetail, ...]:
    """Read the body of an error answer; () when it is not in the documented shape."""
    try:
        members = strict_json.loads(body)
    except strict_json.BadJson:
        return ()
    errors = members.get("errors") if isinstance(members, dict) else None
    if not isinstance(errors, list):
        return ()
    return tuple(
        ErrorDetail(_short(error.get("code")), _short(error.get("message")))
        for error in errors[:_MOST_ERRORS]
        if isinstance(error, dict)
    )


def read_retry_after(header: str | None, now_ms: int) -> int | None:
    """Seconds to wait by a Retry-After header, a number or an HTTP date; None when it is neither.

    >>> read_retry_after("30", now_ms=0), read_retry_after("soon", now_ms=0)
    (30, None)
    """
    if header is None:
        return None
    if _SECONDS.fullmatch(header):
        return int(header)
    try:
        date = parsedate_to_datetime(header)
        date_ms = (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp() * 1000
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return max(0, math.ceil((date_ms - now_ms) / 1000))


def _check_type(identity_type: str) -> None:
    if identity_type == DEVICE_APPLICATION_STAMP:
        raise InvalidRequest(f"{DEVICE_APPLICATION_STAMP} belongs to the device; it is appended")
    if identity_type not in IDENTITY_TYPES:
        raise InvalidRequest(f"unknown identity type: {str(identity_type)[:80]!r}")


def _check_value(identity_type: str, value: object) -> None:
    if not isinstance(value, str):
        raise InvalidRequest(f"{identity_type} must be text, not {type(value).__name__}")
    if not value.strip():
        raise InvalidRequest(f"{identity_type} is empty; None takes an identity away")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise InvalidRequest(f"{identity_type} holds half of a surrogate pair") from error


def _member(members: dict[str, Any], name: str, kind: type[_T]) -> _T | None:
    value = members.get(name)
    if value is not None and not isinstance(value, kind):
        raise NotUnderstood(f"the answer's {name} is not of the documented type")
    return value


def _texts(members: dict[str, Any]) -> dict[str, str]:
    if not all(isinstance(value, str) for value in members.values()):
        raise NotUnderstood("the answer's matched_identities are not all text")
    return members


def _change_result(entry: object) -> ChangeResult:
    match entry:
        case {"identity_type": str(identity_type), "modified_mpid": str(modified_mpid)}:
            return ChangeResult(identity_type, modified_mpid)
    raise NotUnderstood("the answer's change_results are not in the documented shape")


def _short(text: object) -> str:
    return str(text)[:_LONGEST_ERROR_TEXT] if isinstance(text, str | int) else ""
