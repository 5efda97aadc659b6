"""How a request gets to whoever answers it: over a connection that is dialled, or within the process."""

import functools
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Protocol, cast

import httpcore
import httpx

from higgs_shop.outgoing_http.errors import BadUrl

_HEADERS: Final = {"Accept": "*/*", "Accept-Encoding": "identity", "User-Agent": "higgs-shop"}


@dataclass(frozen=True, slots=True)
class Received:
    """An answer whose body is still to be read.

    Attributes:
        network_stream: what it comes through; None within the process.
        close: is called once it is read, or is not wanted any more.
    """

    host: str
    status_code: int
    headers: httpx.Headers
    chunks: Iterable[bytes]
    network_stream: object
    close: Callable[[], None]


class Carrier(Protocol):
    """Sends a POST."""

    def send(
        self, url: str, content: bytes, headers: Mapping[str, str], auth: httpx.Auth | None
    ) -> Received:
        """Raises: errors of httpx, of httpcore, and of this package."""

    def close(self) -> None:
        """Close what is open."""


class WithinProcess:
    """Asks one of httpx's transports (httpx.WSGITransport, httpx.MockTransport)."""

    def __init__(self, transport: httpx.BaseTransport) -> None:
        self._transport = transport

    def send(
        self, url: str, content: bytes, headers: Mapping[str, str], auth: httpx.Auth | None
    ) -> Received:
        request = _request(url, content, headers, auth)
        response = self._transport.handle_request(request)
        response.request = request
        # The stream itself, since iter_raw() refuses an answer that a mock has already read.
        chunks = cast("httpx.SyncByteStream", response.stream)
        host, status_code = request.url.host, response.status_code
        return Received(host, status_code, response.headers, chunks, None, response.close)

    def close(self) -> None:
        self._transport.close()


class OverNetwork:
    """Sends through a pool of connections.

    Not through an httpx.Client, nor its transport: what they add (cookies, redirects, proxies of the
    environment, another form of each request and answer) is unwanted here, and is half of what a POST
    costs.
    """

    def __init__(self, pool: httpcore.ConnectionPool, timeout_seconds: float) -> None:
        self._pool = pool
        self._extensions = {"timeout": httpx.Timeout(timeout_seconds).as_dict()}

    def send(
        self, url: str, content: bytes, headers: Mapping[str, str], auth: httpx.Auth | None
    ) -> Received:
        target = _target(url)
        response = self._pool.handle_request(
            httpcore.Request(
                "POST",
                target.url,
                headers=_raw(target, content, headers)
                if auth is None
                else _request(url, content, headers, auth).headers.raw,
                content=content,
                extensions=self._extensions,
            )
        )
        return Received(
            target.host,
            response.status,
            httpx.Headers(response.headers),
            cast("Iterable[bytes]", response.stream),
            response.extensions.get("network_stream"),
            response.close,
        )

    def close(self) -> None:
        self._pool.close()


@dataclass(frozen=True, slots=True)
class _Target:
    host: str
    url: httpcore.URL
    host_header: tuple[bytes, bytes]


@functools.lru_cache(maxsize=64)  # a store posts to a few addresses, again and again
def _parsed(url: str) -> httpx.URL:
    parsed = httpx.URL(url)
    if not parsed.host:
        raise BadUrl("this cannot be sent: the URL names no host")
    return parsed


@functools.lru_cache(maxsize=64)
def _target(url: str) -> _Target:
    parsed = _parsed(url)
    target = httpcore.URL(
        scheme=parsed.raw_scheme, host=parsed.raw_host, port=parsed.port, target=parsed.raw_path
    )
    return _Target(parsed.host, target, (b"Host", parsed.netloc))


def _raw(target: _Target, content: bytes, headers: Mapping[str, str]) -> list[tuple[bytes, bytes]]:
    return [
        target.host_header,
        *((name.encode("ascii"), value.encode("ascii")) for name, value in _all(headers)),
        (b"Content-Length", b"%d" % len(content)),
    ]


def _request(
    url: str, content: bytes, headers: Mapping[str, str], auth: httpx.Auth | None
) -> httpx.Request:
    request = httpx.Request("POST", _parsed(url), content=content, headers=dict(_all(headers)))
    return request if auth is None else next(auth.sync_auth_flow(request))


def _all(headers: Mapping[str, str]) -> Iterable[tuple[str, str]]:
    return {**_HEADERS, **headers}.items()
