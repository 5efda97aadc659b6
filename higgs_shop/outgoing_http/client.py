"""Posts bytes and reads the answer."""

import functools
import os
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Self

import certifi
import httpcore
import httpx

from higgs_shop.networks import PUBLIC, Reach
from higgs_shop.outgoing_http.carriers import Carrier, OverNetwork, Received, WithinProcess
from higgs_shop.outgoing_http.deadline import Deadline
from higgs_shop.outgoing_http.dialling import Dialler, dialling_pool, refuse_what_came_before
from higgs_shop.outgoing_http.errors import (
    AnswerTooLarge,
    BadUrl,
    ConnectionLost,
    NoConnection,
    OutgoingError,
    TimedOut,
)
from higgs_shop.outgoing_http.lookup import Lookup, Resolve, resolve

_NOT_COMPLETE: Final = "the connection broke before the answer was complete"
_NO_HTTP: Final = "what was answered is no HTTP"
_CANNOT_BE_SENT: Final = (
    httpx.UnsupportedProtocol,
    httpx.LocalProtocolError,
    httpcore.UnsupportedProtocol,
    httpcore.LocalProtocolError,
)


@dataclass(frozen=True)
class Answer:
    """What came back, whatever its status; names of headers are found in any case."""

    status_code: int
    headers: Mapping[str, str]
    body: bytes
    duration_ms: int


class OutgoingHttp:
    """Posts bytes to a URL; safe to share between threads, and to carry over a fork.

    Args:
        deadline_seconds: for the whole call, waiting for a free connection included.
        max_answer_bytes: a longer body raises AnswerTooLarge; no more than this is ever held.
        cuts_answers: takes the beginning of a longer body instead.
        reach: where connections may go. By default, to the public internet and nowhere else.
        transport: answers in the process instead of the network (httpx.WSGITransport,
            httpx.MockTransport). It has no sockets: there is no address to
            refuse, and the deadline cannot interrupt it.
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
        cuts_answers: bool = False,
        reach: Reach = PUBLIC,
        transport: httpx.BaseTransport | None = None,
        max_connections: int = 20,
        ssl_context: ssl.SSLContext | None = None,
        resolve: Resolve = resolve,
        monotonic_seconds: Callable[[], float] = time.monotonic,
    ) -> None:
        self._deadline_seconds = deadline_seconds
        self._max_answer_bytes = max_answer_bytes
        self._cuts_answers = cuts_answers
        self._reach = reach
        self._transport = transport
        self._max_connections = max_connections
        self._ssl_context = ssl_context
        self._resolve = resolve
        self._monotonic_seconds = monotonic_seconds
        self._deadline = Deadline(monotonic_seconds)
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

        Args:
            auth: signs the request; one that has to see an answer first cannot.
        Raises: one of the OutgoingError tree (see errors.py), and nothing else.
        """
        started_seconds = self._monotonic_seconds()
        self._deadline.start(self._deadline_seconds)
        pool = self._pool_of_this_process()
        with (
            _in_our_words(),
            pool.place(self._deadline),
            closing(pool.carrier.send(url, content, headers, auth)) as received,
        ):
            refuse_what_came_before(received.network_stream)
            return Answer(
                status_code=received.status_code,
                headers=received.headers,
                body=self._read(received),
                duration_ms=round((self._monotonic_seconds() - started_seconds) * 1000),
            )

    def close(self) -> None:
        """Close the connections that this process holds open."""
        pool = self._pools.pop(os.getpid(), None)
        if pool is not None:
            pool.carrier.close()

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
        return _Pool(self._carrier(), threading.BoundedSemaphore(self._max_connections))

    def _carrier(self) -> Carrier:
        if self._transport is not None:
            return WithinProcess(self._transport)
        dialler = Dialler(Lookup(self._resolve, self._deadline), self._reach, self._deadline)
        ssl_context = self._ssl_context or _ssl_context()
        pool = dialling_pool(dialler, ssl_context, max_connections=self._max_connections)
        return OverNetwork(pool, self._deadline_seconds)

    def _read(self, received: Received) -> bytes:
        body = bytearray()
        for chunk in received.chunks:
            body += chunk
            if len(body) > self._max_answer_bytes:
                if self._cuts_answers:
                    return bytes(body[: self._max_answer_bytes])
                raise AnswerTooLarge(
                    f"{received.host}: the answer has more than {self._max_answer_bytes} bytes"
                )
        return bytes(body)


@dataclass(frozen=True)
class _Pool:
    """What one process sends with."""

    carrier: Carrier
    places: threading.BoundedSemaphore

    @contextmanager
    def place(self, deadline: Deadline) -> Iterator[None]:
        # httpcore's own queue starts its time-out anew whenever two calls meet at one connection.
        if not self.places.acquire(timeout=deadline.left_seconds()):
            raise TimedOut("no connection became free before the deadline")
        try:
            yield
        finally:
            self.places.release()


@contextmanager
def _in_our_words() -> Iterator[None]:
    try:
        yield
    except OutgoingError:
        raise
    except (httpx.TimeoutException, httpcore.TimeoutException) as error:
        raise TimedOut("no complete answer before the deadline") from error
    except (httpx.ConnectError, httpcore.ConnectError) as error:
        raise NoConnection(f"no connection: {_reason(error)}") from error
    except _CANNOT_BE_SENT as error:
        raise BadUrl(f"this cannot be sent: {_reason(error)}") from error
    except (httpx.RemoteProtocolError, httpcore.RemoteProtocolError) as error:
        raise ConnectionLost(_NOT_COMPLETE if _was_closed(error) else _NO_HTTP) from error
    except (httpx.HTTPError, httpcore.NetworkError, httpcore.ProtocolError, OSError) as error:
        raise ConnectionLost(f"{_NOT_COMPLETE}: {_reason(error)}") from error
    except (httpx.InvalidURL, ValueError) as error:
        raise BadUrl(f"this cannot be sent: {type(error).__name__}") from error


def _was_closed(error: Exception) -> bool:
    """Whether the answer ended too early; else it is wrong. Only the words of httpcore and h11 tell."""
    return str(error).startswith(("Server disconnected", "peer closed connection"))


def _reason(error: BaseException) -> str:
    """What the operating system says, without its number; else what the library says."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.strerror:
            return cause.strerror
        cause = cause.__cause__ or cause.__context__
    return str(error).rstrip(".")


@functools.cache  # reading the authorities takes longer than most calls
def _ssl_context() -> ssl.SSLContext:
    # Not ssl.create_default_context(), which would write session keys to SSLKEYLOGFILE.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(certifi.where())
    return context
