"""The three ways in which a request says whose it is.

Source: IDSync HTTP API, "Authentication". A browser can only send the key; a server should sign.
"""

import base64
import hashlib
import hmac
from collections.abc import Generator
from dataclasses import dataclass, field
from datetime import UTC, datetime

import httpx

from higgs_shop.clock import Clock


@dataclass(frozen=True)
class KeyOnly(httpx.Auth):
    """The API key alone, in `x-mp-key`: all that a browser can do. The service must allow it.

    Raises: ValueError for a key that no header can hold.
    """

    key: str

    def __post_init__(self) -> None:
        _check("key", self.key)

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Add the header."""
        request.headers["x-mp-key"] = self.key
        yield request


@dataclass(frozen=True)
class Basic(httpx.Auth):
    """Key and secret in `Authorization: Basic`: for servers, over TLS only.

    Raises: ValueError for a key or secret that cannot be sent.
    """

    key: str
    secret: str = field(repr=False)

    def __post_init__(self) -> None:
        _check("key", self.key)
        _check("secret", self.secret)
        if ":" in self.key:
            raise ValueError("the key may not hold a colon: Basic authentication ends it there")

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Add the header."""
        credentials = base64.b64encode(f"{self.key}:{self.secret}".encode()).decode()
        request.headers["Authorization"] = f"Basic {credentials}"
        yield request


@dataclass(frozen=True)
class Hmac(httpx.Auth):
    """The key in `x-mp-key`, and a signature in `x-mp-signature`; the secret is never sent.

    Signed is the method, LF, the `Date` header, LF, the path as sent without its query, and at
    once the body, with HMAC-SHA256.

    Args:
        clock: dates the request; UTC Unix milliseconds.
    Raises: ValueError for a key that no header can hold, or an empty secret.
    """

    requires_request_body = True

    key: str
    secret: str = field(repr=False)
    clock: Clock = field(repr=False)

    def __post_init__(self) -> None:
        _check("key", self.key)
        _check("secret", self.secret)

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Date and sign the request."""
        date = datetime.fromtimestamp(self.clock() // 1000, UTC).strftime("%Y%m%dT%H%M%SZ")
        request.headers["x-mp-key"] = self.key
        request.headers["Date"] = date
        request.headers["x-mp-signature"] = signature(
            secret=self.secret,
            method=request.method,
            date=date,
            path=request.url.raw_path.partition(b"?")[0].decode("ascii"),
            body=request.content,
        )
        yield request


def signature(*, secret: str, method: str, date: str, path: str, body: bytes) -> str:
    """The lower-case hex of `x-mp-signature` for a request.

    >>> signature(secret="s", method="POST", date="20260301T101500Z", path="/v1/search", body=b"{}")
    '26875b8e812818e7d75f51e164c22bd6d580b4e03c82afd1f0fab5a5b460719c'
    """
    signed = f"{method}\n{date}\n{path}".encode() + body
    return hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()


def _check(name: str, text: str) -> None:
    if not text or not text.isascii() or not text.isprintable() or text != text.strip():
        raise ValueError(f"the {name} must be printable ASCII without spaces around it")
