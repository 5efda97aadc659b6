"""A real HTTP receiver and a TCP proxy that misbehaves, both on 127.0.0.1 and in threads.

    with Receiver() as receiver:                      # answers 200 with an empty body
        receiver.script(Reply(503), Reply(200))       # …but these first, in turn
        with FaultProxy(receiver.address) as proxy:
            proxy.mode = cut_after(20)                # then post to proxy.url
        receiver.wait_for(2)                          # the first two requests, in order

Nothing here sleeps: a receiver on hold answers when released, and what waits, waits on an event.
"""

import contextlib
import re
import socket
import ssl
import struct
import threading
import zlib
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Final, Self

import trustme

from higgs_shop.networks import LOOPBACK, Reach

THIS_MACHINE: Final = Reach(LOOPBACK)
"""What a client needs to reach these."""


@dataclass(frozen=True)
class Received:
    """One request, as it came; number counts from 1, names of headers are lower-case."""

    number: int
    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class Reply:
    """What to answer; Content-Length is added."""

    status_code: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


def serving(certificate: trustme.LeafCert) -> ssl.SSLContext:
    """For a server that has this certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    return context


def trusting(authority: trustme.CA) -> ssl.SSLContext:
    """For a client that trusts this authority, and nobody else."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    authority.configure_trust(context)
    return context


class Receiver:
    """An HTTP server that records every request before it answers.

    Args:
        answer: what to say when the script is empty; by default 200 and nothing.
        ssl_context: serves TLS with this.
        port: 0 for any that is free.
    """

    def __init__(
        self,
        answer: Callable[[Received], Reply] = lambda _: Reply(),
        *,
        ssl_context: ssl.SSLContext | None = None,
        port: int = 0,
    ) -> None:
        self.answer = answer
        self._script: deque[Reply] = deque()
        self._received: list[Received] = []
        self._changed = threading.Condition()
        self._released = threading.Event()
        self._released.set()
        self._server = _Server(self, ssl_context, port)
        self.address: tuple[str, int] = ("127.0.0.1", self._server.server_port)
        self.url = f"{'https' if ssl_context else 'http'}://127.0.0.1:{self.address[1]}"
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.01}
        )

    @property
    def requests(self) -> list[Received]:
        """Every request so far, in the order of arrival."""
        with self._changed:
            return list(self._received)

    @property
    def connections(self) -> int:
        """How many connections were made so far."""
        return self._server.accepted

    def script(self, *replies: Reply) -> None:
        """Answer the next requests with these, in turn."""
        with self._changed:
            self._script.extend(replies)

    def hold(self) -> None:
        """Record requests, but answer none until release() or the end."""
        self._released.clear()

    def release(self) -> None:
        """Answer what is on hold, and go on."""
        self._released.set()

    def wait_for(self, count: int, timeout_seconds: float = 10.0) -> list[Received]:
        """Block until at least this many requests came; AssertionError when they do not."""
        with self._changed:
            came = self._changed.wait_for(lambda: len(self._received) >= count, timeout_seconds)
            assert came, f"{len(self._received)} of {count} requests after {timeout_seconds} s"
            return list(self._received)

    def reply_to(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> Reply:
        """Record a request and decide about its answer. (The server calls this.)"""
        with self._changed:
            request = Received(len(self._received) + 1, method, path, headers, body)
            self._received.append(request)
            reply = self._script.popleft() if self._script else None
            self._changed.notify_all()
        self._released.wait()
        return reply or self.answer(request)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.release()
        self._server.shutdown()
        self._server.hang_up()
        self._server.server_close()
        self._thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = False

    def __init__(self, receiver: Receiver, ssl_context: ssl.SSLContext | None, port: int) -> None:
        self.receiver = receiver
        self.accepted = 0
        self._ssl_context = ssl_context
        self._open: set[socket.socket] = set()
        super().__init__(("127.0.0.1", port), _Handler)

    def get_request(self) -> tuple[socket.socket, tuple[str, int]]:
        connection, address = super().get_request()
        self.accepted += 1
        if self._ssl_context is not None:
            # The handshake happens in the connection's own thread, at the first read.
            connection = self._ssl_context.wrap_socket(
                connection, server_side=True, do_handshake_on_connect=False
            )
        self._open.add(connection)
        return connection, address

    def shutdown_request(self, request: socket.socket | tuple[bytes, socket.socket]) -> None:
        self._open.discard(request)
        super().shutdown_request(request)

    def hang_up(self) -> None:
        """End the connections that clients keep alive, so that their threads end."""
        for connection in list(self._open):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, *_: object) -> None:
        """Say nothing: clients that go away are what these tests are about."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def _reply(self) -> None:
        length = int(self.headers.get("Content-Length", "0"))
        body = self.rfile.read(length)
        if len(body) < length:  # the client went away in the middle: that was no request
            self.close_connection = True
            return
        headers = {name.lower(): value for name, value in self.headers.items()}
        reply = self.server.receiver.reply_to(self.command, self.path, headers, body)
        self.send_response(reply.status_code)
        for name, value in reply.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(reply.body)))
        self.end_headers()
        self.wfile.write(reply.body)

    do_GET = do_POST = do_PUT = do_HEAD = do_CONNECT = _reply  # noqa: N815 (http.server's names)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@dataclass(frozen=True)
class Mode:
    """How a FaultProxy treats a connection; use the constants and functions below.

    Attributes:
        after_bytes: how much of the answer is handed back before something happens.
        said: what the proxy itself says, instead of the answer or after it.
    """

    name: str
    after_bytes: int = 0
    said: bytes = field(default=b"", repr=False)


PASS: Final = Mode("pass")
"""Hand everything on."""
REFUSE: Final = Mode("refuse")
"""Do not listen: connecting fails."""
RESET: Final = Mode("reset")
"""Read the request, then reset the connection."""
BLACKHOLE: Final = Mode("blackhole")
"""Read everything, answer nothing."""
DRIP: Final = Mode("drip")
"""Hand the request on, and the answer back one byte at a time."""
DRIP_BODY: Final = Mode("drip_body")
"""The same, but the answer's headers come at once."""
HALF_CLOSE: Final = Mode("half_close")
"""Read the request, say that nothing will follow, and go on reading."""
CLOSE_REUSED: Final = Mode("close_reused")
"""Hand the first request of a connection on; read the second, and close."""
CONTINUE_FOREVER: Final = Mode("continue_forever")
"""Answer with one `100 Continue` after the other."""
JUNK: Final = Mode("junk", said=b"220 smtp.example ESMTP\r\nwhat was that?\r\n\r\n")
"""Answer with something that is not HTTP."""
CONTINUE_JUNK: Final = Mode(
    "continue_junk",
    said=b"HTTP/1.1 100 Continue\r\nX-Junk: \xff\r\n\r\n" * 100
    + b"HTTP/1.1 100 Con\r\ntinue\r\n\r\n",
)
"""Answer with many a `100 Continue`, and with something that is not HTTP."""
TOO_LITTLE: Final = Mode("too_little", said=b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nwell")
"""Promise more bytes than there are, and close."""
TOO_MUCH: Final = Mode("too_much", said=b"and there is more")
"""Hand everything on, and add bytes that nobody announced to each answer."""
ANSWER_TWICE: Final = Mode("answer_twice", said=b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
"""Hand the first request of a connection on and answer it twice; read the second, and close."""


def cut_after(after_bytes: int) -> Mode:
    """Hand the request on, then close after so many bytes of the answer."""
    return Mode("cut_after", after_bytes)


def reset_after(after_bytes: int) -> Mode:
    """Hand the request on, then reset the connection after so many bytes of the answer."""
    return Mode("reset_after", after_bytes)


def gzip_bomb(unpacked_bytes: int) -> Mode:
    """Answer 500 with a body that is a thousand times as large once it is unpacked."""
    packer = zlib.compressobj(wbits=zlib.MAX_WBITS | 16)
    piece = bytes(min(unpacked_bytes, 1_000_000))
    pieces = [packer.compress(piece) for _ in range(unpacked_bytes // len(piece))]
    body = b"".join([*pieces, packer.flush()])
    headers = f"HTTP/1.1 500 Oops\r\nContent-Encoding: gzip\r\nContent-Length: {len(body)}\r\n\r\n"
    return Mode("gzip_bomb", said=headers.encode() + body)


_HANDED_ON: Final = frozenset(
    mode.name
    for mode in (
        PASS,
        DRIP,
        DRIP_BODY,
        CLOSE_REUSED,
        TOO_MUCH,
        ANSWER_TWICE,
        cut_after(0),
        reset_after(0),
    )
)
_END_OF_HEADERS: Final = b"\r\n\r\n"
_CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"
_CUTS: Final = frozenset({"cut_after", "reset_after"})
_RESET_AT_CLOSE: Final = struct.pack("ii", 1, 0)


class FaultProxy:
    """A TCP proxy in front of an address. A new mode ends the connections that were open before.

    Args:
        target: where the connections go.
        drip_seconds: the pause before each byte that drips.
    """

    def __init__(self, target: tuple[str, int], *, drip_seconds: float = 0.05) -> None:
        self._target = target
        self._drip_seconds = drip_seconds
        self._mode = PASS
        self._ended = threading.Event()
        self._open: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self._listener: socket.socket | None = None
        self.accepted = 0
        self._listen(0)

    @property
    def mode(self) -> Mode:
        """How connections are treated."""
        return self._mode

    @mode.setter
    def mode(self, mode: Mode) -> None:
        self._mode = mode
        if mode == REFUSE:
            self._stop_listening()
        elif self._listener is None:
            self._listen(self.address[1])
        self._hang_up()

    def lead_to(self, target: tuple[str, int]) -> None:
        """Where connections go from now on, those that were open before excepted."""
        self._target = target

    def _listen(self, port: int) -> None:
        self._listener = socket.create_server(("127.0.0.1", port))
        self.address: tuple[str, int] = ("127.0.0.1", self._listener.getsockname()[1])
        self.url = f"http://127.0.0.1:{self.address[1]}"
        self._start(self._accept, self._listener)

    def _stop_listening(self) -> None:
        if self._listener is not None:
            # Closing alone does not wake a thread that waits in accept().
            self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()
            self._listener = None

    def _hang_up(self) -> None:
        for connection in list(self._open):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def _start(self, work: Callable[[socket.socket], None], connection: socket.socket) -> None:
        thread = threading.Thread(target=work, args=(connection,), daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self, listener: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listener.accept()
                self.accepted += 1
                self._open.add(connection)
                self._start(self._serve, connection)

    def _serve(self, client: socket.socket) -> None:
        mode = self._mode
        with client, contextlib.suppress(OSError):
            if mode.name in _HANDED_ON:
                self._hand_on(client, mode)
            elif mode == RESET:
                _read_request(client)
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_AT_CLOSE)
            elif mode == BLACKHOLE:
                _read_all(client)
            elif mode == HALF_CLOSE:
                _read_request(client)
                client.shutdown(socket.SHUT_WR)
                _read_all(client)
            elif mode == CONTINUE_FOREVER:
                _read_request(client)
                while True:
                    client.sendall(_CONTINUE)
            else:
                _read_request(client)
                client.sendall(mode.said)
        self._open.discard(client)

    def _hand_on(self, client: socket.socket, mode: Mode) -> None:
        with socket.create_connection(self._target) as target:
            self._open.add(target)
            answered = threading.Event()
            back = threading.Thread(target=self._hand_back, args=(target, client, mode, answered))
            back.start()
            with contextlib.suppress(OSError):
                while request := client.recv(65_536):
                    if mode in (CLOSE_REUSED, ANSWER_TWICE) and answered.is_set():
                        break
                    target.sendall(request)
            with contextlib.suppress(OSError):
                target.shutdown(socket.SHUT_RDWR)
            back.join()
            self._open.discard(target)

    def _hand_back(
        self, target: socket.socket, client: socket.socket, mode: Mode, answered: threading.Event
    ) -> None:
        left = mode.after_bytes if mode.name in _CUTS else None
        with contextlib.suppress(OSError):
            while left != 0 and (answer := target.recv(65_536 if left is None else left)):
                # Before it is sent: the next request may be here before this thread goes on.
                answered.set()
                self._send(client, answer + mode.said, mode)
                left = None if left is None else left - len(answer)
        with contextlib.suppress(OSError):
            if mode.name == "reset_after":
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_AT_CLOSE)
                client.shutdown(socket.SHUT_RD)  # the other direction ends, and closes
            else:
                client.shutdown(socket.SHUT_RDWR)

    def _send(self, client: socket.socket, answer: bytes, mode: Mode) -> None:
        at_once, dripping = answer, b""
        if mode == DRIP:
            at_once, dripping = b"", answer
        elif mode == DRIP_BODY:
            headers, end, body = answer.partition(_END_OF_HEADERS)
            at_once, dripping = (headers + end, body) if end else (b"", answer)
        client.sendall(at_once)
        for position in range(len(dripping)):
            if self._ended.wait(self._drip_seconds):
                return
            client.sendall(dripping[position : position + 1])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._stop_listening()
        while self._threads:
            self._hang_up()
            self._threads.pop(0).join()


def _read_all(client: socket.socket) -> None:
    while client.recv(65_536):
        pass


def _read_request(client: socket.socket) -> None:
    """Read one request whole: closing a socket that holds unread bytes would reset it."""
    received = b""
    while piece := client.recv(65_536):
        received += piece
        headers, end, body = received.partition(_END_OF_HEADERS)
        if end and len(body) >= _content_length(headers):
            return


def _content_length(headers: bytes) -> int:
    found = re.search(rb"\r\ncontent-length: *(\d+)", headers, re.IGNORECASE)
    return int(found[1]) if found else 0
