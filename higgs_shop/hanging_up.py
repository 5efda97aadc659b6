"""An answer that is none: the connection is closed before its first byte, as when a server dies.

waitress sends an answer's headers with the first bytes of its body. An application that says instead
that the client is gone gets the connection closed, plain or over TLS, and nothing is logged.
"""

from collections.abc import Iterator

from waitress.channel import ClientDisconnected


class NoAnswer(Iterator[bytes]):
    """The body of such an answer. Another WSGI server than waitress sees an application that fails."""

    def __next__(self) -> bytes:
        raise ClientDisconnected
