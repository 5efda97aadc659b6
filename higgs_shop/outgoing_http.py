"""The one way out over HTTP: a POST that ends in time, in size and in one tree of errors.

httpx knows no total deadline (a server that drips one byte at a time is never late), follows the
proxy variables of the environment, unpacks whatever it is sent and raises outside its own tree.
Here, every call has one deadline for name look-up, connecting, TLS, sending and reading together;
answers are kept as sent and up to a size; nothing of the environment counts; redirects, cookies
and retries do not exist.

    OutgoingError        what a call can end in, split by what may have happened to the request
    ├─ BadUrl            URL or header that can never be sent: permanent, correct it
    ├─ NoConnection      nobody listens there, or the name is unknown: nothing was sent
    ├─ TlsFailed         the other side could not prove who it is: nothing was sent
    ├─ TimedOut          the deadline passed: it may have been received
    ├─ ConnectionLost    closed or no HTTP before the answer was complete: it may have been received
    └─ AnswerTooLarge    it was received, and answered with more than we read
"""

import functools
import ipaddress
import os
import queue
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.cookiejar import CookieJar, DefaultCookiePolicy
from types import TracebackType
from typing import Any, Final, Self, cast

import certifi
import httpcore
import httpx

KEEPALIVE_SECONDS: Final = 5.0
"""An idle connection is not used again after this: most servers keep theirs a little longer."""

_LOOKUPS_AT_ONCE: Final = 4

Resolve = Callable[[str, int], list[str]]
"""Turns a host name and a port into IP addresses, best first; raises OSError or ValueError."""


class OutgoingError(Exception):
    """A call that brought no answer; the message names the host and the reason, never the content."""


class BadUrl(OutgoingError):
    """The URL or a header can never be sent. Trying again does not help."""


class NoConnection(OutgoingError):
    """Nobody listens there, or the name is unknown. The request was not sent."""


class TlsFailed(OutgoingError):
    """The certificate is not valid for this host, or TLS failed. The request was not sent."""


class TimedOut(OutgoingError):
    """The deadline passed. The request may have been received."""


class ConnectionLost(OutgoingError):
    """The connection broke, or what came was not HTTP. The request may have been received."""


class AnswerTooLarge(OutgoingError):
    """The request was received; its answer has more bytes than are read here."""


@dataclass(frozen=True)
class Answer:
    """What came back, whatever its status; names of headers are found in any case."""

    status_code: int
    headers: Mapping[str, str]
    body: bytes
    duration_ms: int


def resolve(host: str, port: int) -> list[str]:
    """Ask the operating system for the addresses of a host, without doubles and in its order."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


class OutgoingHttp:
    """Posts bytes to a URL; safe to share between threads, and to carry over a fork.

    Args:
        deadline_seconds: for the whole call, waiting for a free connection included.
        max_answer_bytes: a longer body raises AnswerTooLarge; no more than this is ever held.
        transport: answers in the process instead of the network (httpx.WSGITransport,
            httpx.MockTransport). It has no sockets, so the deadline cannot interrupt it.
        max_connections: calls at once; who finds no place before the deadline gets TimedOut.
        ssl_context: for a private certificate authority. By default, certifi's authorities.

    >>> echo = httpx.MockTransport(lambda request: httpx.Response(200, content=request.content))
    >>> with OutgoingHttp(deadline_seconds=1.5, max_answer_bytes=65_536, transport=echo) as http:
    ...     answer = http.post("http://shop.example/", content=b"a quark", headers={})
    >>> answer.status_code, answer.body
    (200, b'a quark')
    """

    def __init__(
        self,
        *,
        deadline_seconds: float,
        max_answer_bytes: int,
        transport: httpx.BaseTransport | None = None,
        max_connections: int = 20,
        ssl_context: ssl.SSLContext | None = None,
        resolve: Resolve = resolve,
        monotonic_seconds: Callable[[], float] = time.monotonic,
    ) -> None:
        self._deadline_seconds = deadline_seconds
        self._max_answer_bytes = max_answer_bytes
        self._transport = transport
        self._max_connections = max_connections
        self._ssl_context = ssl_context
        self._resolve = resolve
        self._monotonic_seconds = monotonic_seconds
        self._deadline = _Deadline(monotonic_seconds)
        self._pools: dict[int, _Pool] = {}

    def post(
        self,
        url: str,
        *,
        content: bytes,
        headers: Mapping[str, str],
        auth: httpx.Auth | None = None,
    ) -> Answer:
        """Post these bytes once and return the answer, whatever its status.

        Raises: one of the OutgoingError tree (see the module), and nothing else.
        """
        started_seconds = self._monotonic_seconds()
        self._deadline.start(self._deadline_seconds)
        pool = self._pool_of_this_process()
        with (
            _in_our_words(),
            pool.place(self._deadline),
            pool.client.stream(
                "POST", url, content=content, headers=headers, auth=auth
            ) as response,
        ):
            return Answer(
                status_code=response.status_code,
                headers=response.headers,
                body=self._read(response),
                duration_ms=round((self._monotonic_seconds() - started_seconds) * 1000),
            )

    def close(self) -> None:
        """Close the connections that this process holds open."""
        pool = self._pools.pop(os.getpid(), None)
        if pool is not None:
            pool.client.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _pool_of_this_process(self) -> "_Pool":
        # A forked child must not write into its parent's sockets, nor close them. setdefault lets
        # one of two threads win without a lock, which could be held while another thread forks.
        process_id = os.getpid()
        return self._pools.get(process_id) or self._pools.setdefault(process_id, self._open())

    def _open(self) -> "_Pool":
        transport = self._transport or _DeadlineTransport(
            _Backend(self._deadline, self._resolve),
            ssl_context=self._ssl_context or _ssl_context(),
            max_connections=self._max_connections,
        )
        client = httpx.Client(
            transport=transport,
            trust_env=False,
            follow_redirects=False,
            timeout=self._deadline_seconds,
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
            headers={"Accept-Encoding": "identity", "User-Agent": "higgs-shop"},
        )
        return _Pool(client, threading.BoundedSemaphore(self._max_connections))

    def _read(self, response: httpx.Response) -> bytes:
        # The stream itself, since iter_raw() refuses an answer that a mock has already read.
        stream = cast("httpx.SyncByteStream", response.stream)
        body = bytearray()
        for chunk in stream:
            body += chunk
            if len(body) > self._max_answer_bytes:
                raise AnswerTooLarge(
                    f"{response.url.host}: the answer has more than {self._max_answer_bytes} bytes"
                )
        return bytes(body)


@dataclass(frozen=True)
class _Pool:
    """What one process sends with."""

    client: httpx.Client
    places: threading.BoundedSemaphore

    @contextmanager
    def place(self, deadline: "_Deadline") -> Iterator[None]:
        # httpcore's own queue starts its time-out anew whenever two calls meet at one connection.
        if not self.places.acquire(timeout=deadline.left_seconds()):
            raise TimedOut("no connection became free before the deadline")
        try:
            yield
        finally:
            self.places.release()


class _Deadline(threading.local):
    """When the call that this thread is in has to be over."""

    def __init__(self, monotonic_seconds: Callable[[], float]) -> None:
        self._monotonic_seconds = monotonic_seconds
        self._at_seconds = 0.0

    def start(self, deadline_seconds: float) -> None:
        self._at_seconds = self._monotonic_seconds() + deadline_seconds

    def at_most(self, timeout_seconds: float | None) -> float:
        left_seconds = self.left_seconds()
        return left_seconds if timeout_seconds is None else min(timeout_seconds, left_seconds)

    def left_seconds(self) -> float:
        left_seconds = self._at_seconds - self._monotonic_seconds()
        if left_seconds <= 0:
            raise TimedOut("no complete answer before the deadline")
        return left_seconds


@contextmanager
def _in_our_words() -> Iterator[None]:
    try:
        yield
    except OutgoingError:
        raise
    except httpx.TimeoutException as error:
        raise TimedOut("no complete answer before the deadline") from error
    except httpx.ConnectError as error:
        raise NoConnection(f"no connection: {error}") from error
    except (httpx.UnsupportedProtocol, httpx.LocalProtocolError) as error:
        raise BadUrl(f"this cannot be sent: {error}") from error
    except (httpx.HTTPError, OSError) as error:
        raise ConnectionLost(
            f"the connection broke before the answer was complete: {error}"
        ) from error
    except (httpx.InvalidURL, ValueError) as error:
        raise BadUrl(f"this cannot be sent: {type(error).__name__}") from error


@functools.cache  # reading the authorities takes longer than most calls
def _ssl_context() -> ssl.SSLContext:
    # Not ssl.create_default_context(), which would write session keys to SSLKEYLOGFILE.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(certifi.where())
    return context


class _DeadlineTransport(httpx.HTTPTransport):
    """httpx's transport over a pool whose sockets know the deadline.

    httpx has no public way to hand over a network backend; `_pool` is private, the version is
    pinned, and a test fails when the attribute moves.
    """

    def __init__(
        self, backend: httpcore.NetworkBackend, *, ssl_context: ssl.SSLContext, max_connections: int
    ) -> None:
        super().__init__(verify=ssl_context, trust_env=False)
        self._pool = httpcore.ConnectionPool(
            ssl_context=ssl_context,
            max_connections=max_connections,
            keepalive_expiry=KEEPALIVE_SECONDS,
            network_backend=backend,
        )


class _Backend(httpcore.NetworkBackend):
    """Dials; no step may take longer than what is left of the call."""

    def __init__(self, deadline: _Deadline, resolve: Resolve) -> None:
        self._deadline = deadline
        self._resolve = resolve
        self._lookups = threading.BoundedSemaphore(_LOOKUPS_AT_ONCE)
        self._sockets = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        if not 0 < port < 65_536:
            raise BadUrl(f"{host}: no port has the number {port}")
        addresses = self._addresses(host, port)
        failure: Exception = NoConnection(f"{host} has no address")
        for position, address in enumerate(addresses):
            # An address that swallows packets must leave the next one its share of the time.
            share_seconds = self._deadline.at_most(timeout) / (len(addresses) - position)
            try:
                stream = self._sockets.connect_tcp(
                    address, port, share_seconds, local_address, socket_options
                )
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
            else:
                return _Stream(stream, self._deadline)
        raise failure

    def _addresses(self, host: str, port: int) -> list[str]:
        try:
            return [str(ipaddress.ip_address(host))]
        except ValueError:
            return self._look_up(host, port)

    def _look_up(self, host: str, port: int) -> list[str]:
        # getaddrinfo knows no time-out, so it runs beside the call. The thread is a daemon: a name
        # server that never answers must not keep the process from ending.
        if not self._lookups.acquire(timeout=self._deadline.left_seconds()):
            raise TimedOut(f"too many names are being looked up; {host} had to wait too long")
        found: queue.SimpleQueue[list[str] | OutgoingError] = queue.SimpleQueue()

        def look_up() -> None:
            try:
                found.put(self._resolve(host, port))
            except ValueError as error:
                found.put(BadUrl(f"no host can have this name: {error}"))
            except OSError as error:
                found.put(NoConnection(f"{host} has no address: {error.strerror or error}"))
            finally:
                self._lookups.release()

        threading.Thread(target=look_up, name=f"look up {host}", daemon=True).start()
        try:
            addresses = found.get(timeout=self._deadline.left_seconds())
        except queue.Empty:
            raise TimedOut(f"the name {host} was not resolved before the deadline") from None
        if isinstance(addresses, OutgoingError):
            raise addresses
        return addresses


class _Stream(httpcore.NetworkStream):
    """A connection each of whose steps ends with the call."""

    def __init__(self, stream: httpcore.NetworkStream, deadline: _Deadline) -> None:
        self._stream = stream
        self._deadline = deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, self._deadline.at_most(timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        # httpcore gives each piece the whole time-out anew, which a peer that reads slowly draws out.
        connection: socket.socket = self._stream.get_extra_info("socket")
        unsent = memoryview(buffer)
        while unsent:
            connection.settimeout(self._deadline.at_most(timeout))
            try:
                unsent = unsent[connection.send(unsent) :]
            except TimeoutError as error:
                raise httpcore.WriteTimeout(error) from error
            except OSError as error:
                raise httpcore.WriteError(error) from error

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.NetworkStream:
        try:
            stream = self._stream.start_tls(
                ssl_context, server_hostname, self._deadline.at_most(timeout)
            )
        except httpcore.ConnectError as error:
            if isinstance(error.__cause__, ssl.SSLError):
                raise TlsFailed(f"{server_hostname}: {error}") from error
            raise
        return _Stream(stream, self._deadline)

    def close(self) -> None:
        self._stream.close()

    def get_extra_info(self, info: str) -> object:
        return self._stream.get_extra_info(info)
