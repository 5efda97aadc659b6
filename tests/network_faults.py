"""A real HTTP receiver and a TCP proxy that misbehaves, both on 127.0.0.1 and in threads.

    with Receiver() as receiver:                      # answers 200 with an empty body
        receiver.script(Reply(503), Reply(200))       # …but these first, in turn
        with FaultProxy(receiver.address) as proxy:
            proxy.mode = cut_after(20)                # then post to proxy.url
        receiver.wait_for(2)                          # the first two requests, in order

Nothing here sleeps: a receiver on hold answers when released, and what waits, waits on an event.
"""

import contextlib
import socket
import ssl
import struct
import threading
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
    """

    def __init__(
        self,
        answer: Callable[[Received], Reply] = lambda _: Reply(),
        *,
        ssl_context: ssl.SSLContext | None = None,
    ) -> None:
        self.answer = answer
        self._script: deque[Reply] = deque()
        self._received: list[Received] = []
        self._changed = threading.Condition()
        self._released = threading.Event()
        self._released.set()
        self._server = _Server(self, ssl_context)
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

    def __init__(self, receiver: Receiver, ssl_context: ssl.SSLContext | None) -> None:
        self.receiver = receiver
        self.accepted = 0
        self._ssl_context = ssl_context
        self._open: set[socket.socket] = set()
        super().__init__(("127.0.0.1", 0), _Handler)

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
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
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
    """How a FaultProxy treats a connection; use the constants below and cut_after()."""

    name: str
    after_bytes: int = 0


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
JUNK: Final = Mode("junk")
"""Answer with something that is not HTTP."""


def cut_after(after_bytes: int) -> Mode:
    """Hand the request on, then close after so many bytes of the answer."""
    return Mode("cut_after", after_bytes)


class FaultProxy:
    """A TCP proxy in front of an address. A new mode ends the connections that were open before.

    Args:
        target: where the connections go.
        drip_seconds: the pause before each byte in DRIP mode.
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
            if mode in (PASS, DRIP) or mode.name == "cut_after":
                self._hand_on(client, mode)
            elif mode == RESET:
                client.recv(65_536)
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            elif mode == JUNK:
                client.recv(65_536)
                client.sendall(b"220 smtp.example ESMTP\r\nwhat was that?\r\n\r\n")
            else:
                while client.recv(65_536):
                    pass
        self._open.discard(client)

    def _hand_on(self, client: socket.socket, mode: Mode) -> None:
        with socket.create_connection(self._target) as target:
            self._open.add(target)
            back = threading.Thread(target=self._hand_back, args=(target, client, mode))
            back.start()
            with contextlib.suppress(OSError):
                while request := client.recv(65_536):
                    target.sendall(request)
            with contextlib.suppress(OSError):
                target.shutdown(socket.SHUT_RDWR)
            back.join()
            self._open.discard(target)

    def _hand_back(self, target: socket.socket, client: socket.socket, mode: Mode) -> None:
        left = mode.after_bytes if mode.name == "cut_after" else None
        with contextlib.suppress(OSError):
            while left != 0 and (answer := target.recv(65_536 if left is None else left)):
                self._send(client, answer, drip=mode == DRIP)
                left = None if left is None else left - len(answer)
        with contextlib.suppress(OSError):
            client.shutdown(socket.SHUT_RDWR)

    def _send(self, client: socket.socket, answer: bytes, *, drip: bool) -> None:
        if not drip:
            client.sendall(answer)
            return
        for position in range(len(answer)):
            if self._ended.wait(self._drip_seconds):
                return
            client.sendall(answer[position : position + 1])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._stop_listening()
        while self._threads:
            self._hang_up()
            self._threads.pop(0).join()
