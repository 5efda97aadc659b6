"""waitress over TLS: the same loop, parser and threads; only the bytes are sealed on their way.

waitress speaks no TLS. But its channels never wait for a socket, and `ssl` need not either: a
handshake or a record that comes in pieces waits for its next piece in the loop, and holds no thread.
"""

import contextlib
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any, Final

from waitress.adjustments import Adjustments
from waitress.channel import HTTPChannel
from waitress.server import TcpWSGIServer

_NOT_YET: Final = (ssl.SSLWantReadError, ssl.SSLWantWriteError)
_PLAIN_HTTP: Final = "HTTP_REQUEST"
_SPEAK_TLS: Final = b"This port speaks TLS only: put https:// in front of its address.\n"
_TO_PLAIN_HTTP: Final = (
    b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nConnection: close\r\n"
    b"Content-Length: %d\r\n\r\n%s" % (len(_SPEAK_TLS), _SPEAK_TLS)
)


class _TlsChannel(HTTPChannel):  # type: ignore[misc]  # waitress has no types
    """One connection. The loop reads while a thread may write, which `ssl` does not allow at once."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        self._one_at_a_time = threading.Lock()
        super().__init__(*arguments, **options)

    def handle_read(self) -> None:
        """Read what has come; with it the handshake goes on by itself."""
        try:
            received = self._unsealed()
        except _NOT_YET:
            return
        except OSError as error:
            if getattr(error, "reason", None) == _PLAIN_HTTP:
                self._answer_plain_http()
            received = b""
        if received:
            self.last_activity = time.time()
            self.received(received)
        else:
            self.handle_close()

    def send(self, data: bytes, do_close: bool = True) -> int:
        """Send as much as the other side takes now; 0 when that is nothing."""
        try:
            with self._one_at_a_time:
                return int(self.socket.send(data))
        except _NOT_YET:
            return 0
        except OSError:
            if do_close:
                self.handle_close()
            return 0

    def handle_close(self) -> None:
        """Say that nothing more comes, so that nobody takes the end for a cut, and close."""
        if self.socket is not None:
            with self._one_at_a_time, contextlib.suppress(OSError, ValueError):
                self.socket.unwrap()
        super().handle_close()

    def _unsealed(self) -> bytes:
        with self._one_at_a_time:
            received: bytes = self.socket.recv(self.adj.recv_bytes)
            # The rest of a record is not in the socket any more, so the loop would not hear of it.
            rest_bytes = self.socket.pending()
            return received + (self.socket.recv(rest_bytes) if rest_bytes else b"")

    def _answer_plain_http(self) -> None:
        with contextlib.suppress(OSError):
            # Unread bytes would turn the end into a reset, which takes the answer with it.
            socket.socket.recv(self.socket, self.adj.recv_bytes)
            socket.socket.send(self.socket, _TO_PLAIN_HTTP)


class TlsServer(TcpWSGIServer):  # type: ignore[misc]  # waitress has no types
    """Serves an application on a listening socket, over TLS; run() and close() are waitress's.

    Args:
        listening: a TCP socket that listens; several processes may share it.
        context: holds certificate and key.
        adjustments: waitress's own, e.g. `threads`.
    """

    channel_class = _TlsChannel

    def __init__(
        self,
        application: Callable[..., Iterable[bytes]],
        listening: socket.socket,
        context: ssl.SSLContext,
        **adjustments: Any,
    ) -> None:
        self._context = context
        super().__init__(
            application,
            _sock=listening,
            adj=Adjustments(sockets=[listening], url_scheme="https", **adjustments),
            sockinfo=(listening.family, listening.type, listening.proto, listening.getsockname()),
            bind_socket=False,
        )

    def accept(self) -> tuple[ssl.SSLSocket, Any] | None:
        """Take the next connection. Its handshake happens in the loop, as its bytes come."""
        accepted = super().accept()
        if accepted is None:
            return None
        connection, address = accepted
        try:
            sealed = self._context.wrap_socket(
                connection, server_side=True, do_handshake_on_connect=False
            )
        except OSError:  # gone already
            connection.close()
            return None
        return sealed, address
