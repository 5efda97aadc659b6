r"""Who may call: HTTP Basic, an HMAC signature, or the API key alone, as browsers have to.

Source: IDSync HTTP API, "Authentication". The signature is the lower-case hex of HMAC-SHA256 over
`METHOD \n DATE \n PATH` directly followed by the body. Undocumented are whether a query string
belongs to the path (both ways are accepted) and how old a signature may be (a clock window bounds it).
"""

import hmac
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from higgs_shop.clock import Clock
from higgs_shop.database import Database
from higgs_shop.idsync_service.errors import Unauthorized
from higgs_shop.workspaces import Workspace, by_api_key

FindWorkspace = Callable[[str], Workspace | None]
"""Finds the workspace that an API key opens."""

_REMEMBERED_MS: Final = 1_000


class WorkspacesByKey:
    """Finds workspaces, and remembers each for a second: reading one costs a fifth of a call.

    A changed setting therefore takes up to a second to be seen; a key that is not known is looked up
    each time.
    """

    def __init__(self, database: Database, *, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._remembered: dict[str, tuple[int, Workspace]] = {}

    def __call__(self, api_key: str) -> Workspace | None:
        """The workspace that the key opens, or None."""
        now_ms = self._clock()
        read_at_ms, workspace = self._remembered.get(api_key, (now_ms, None))
        if workspace is not None and abs(now_ms - read_at_ms) < _REMEMBERED_MS:
            return workspace
        with self._database.read() as connection:
            workspace = by_api_key(connection, api_key)
        if workspace is not None:
            self._remembered[api_key] = (now_ms, workspace)
        return workspace


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a request carries to prove who sends it.

    Attributes:
        basic: user name and password; None without an Authorization header.
        is_basic_broken: there is an Authorization header, but not a readable Basic one.
        paths: the request path as it was sent, without and with its query string; none unsigned.
    """

    method: str
    paths: tuple[str, ...]
    body: bytes = field(repr=False)
    key: str | None
    signature: str | None
    date: str | None
    basic: tuple[str, str] | None = field(repr=False)
    is_basic_broken: bool


def authenticate(
    credentials: Credentials,
    find_workspace: FindWorkspace,
    *,
    now_ms: int,
    clock_window_seconds: int,
) -> Workspace:
    """The workspace in whose name the request may act.

    The strongest proof that is present decides: a wrong signature never falls back to a weaker one.
    Raises: Unauthorized.
    """
    if credentials.signature is not None:
        workspace = _opened_by(credentials.key, find_workspace)
        _check_date(credentials.date, now_ms, clock_window_seconds)
        _check_signature(credentials, workspace)
        return workspace
    if credentials.is_basic_broken:
        raise Unauthorized("the Authorization header is not HTTP Basic with key and secret")
    if credentials.basic is not None:
        key, secret = credentials.basic
        workspace = _opened_by(key, find_workspace)
        if not _equal(secret, workspace.api_secret):
            raise Unauthorized("the secret does not belong to the API key")
        return workspace
    return _opened_by(credentials.key, find_workspace)


def signature(secret: str, method: str, date: str, path: str, body: bytes) -> str:
    """The documented signature of one request."""
    signed = f"{method}\n{date}\n{path}".encode() + body
    return hmac.digest(secret.encode(), signed, "sha256").hex()


def _opened_by(key: str | None, find_workspace: FindWorkspace) -> Workspace:
    if not key:
        raise Unauthorized("send an API key: Basic, signed, or as x-mp-key")
    # PostgreSQL cannot even be asked for a text with a NUL in it.
    workspace = None if "\x00" in key else find_workspace(key)
    if workspace is None:
        raise Unauthorized("the API key is not known")
    return workspace


def _check_date(date: str | None, now_ms: int, clock_window_seconds: int) -> None:
    try:
        sent = datetime.fromisoformat(date or "")
        if sent.tzinfo is None:
            raise ValueError("no time zone")
        sent_ms = sent.timestamp() * 1_000
    except (ValueError, OverflowError) as error:
        raise Unauthorized(
            "a signed request needs a Date header in ISO 8601 UTC, as 20260301T101500Z"
        ) from error
    if abs(now_ms - sent_ms) > clock_window_seconds * 1_000:
        raise Unauthorized(f"the Date header is more than {clock_window_seconds} seconds off")


def _check_signature(credentials: Credentials, workspace: Workspace) -> None:
    given = credentials.signature or ""
    for path in credentials.paths:
        right = signature(
            workspace.api_secret,
            credentials.method,
            credentials.date or "",
            path,
            credentials.body,
        )
        if _equal(given, right):
            return
    raise Unauthorized("the signature does not fit the request")


def _equal(given: str, right: str) -> bool:
    return hmac.compare_digest(given.encode("utf-8", "replace"), right.encode("utf-8", "replace"))
