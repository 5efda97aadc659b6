"""Connections that are dialled here, to permitted addresses only, and end with the call."""

import socket
import ssl
from collections.abc import Iterable
from typing import Any, Final

import httpcore

from higgs_shop.networks import Address, Reach
from higgs_shop.outgoing_http.deadline import Deadline
from higgs_shop.outgoing_http.errors import (
    BadUrl,
    ConnectionLost,
    NoConnection,
    NotPermitted,
    TlsFailed,
)
from higgs_shop.outgoing_http.lookup import Lookup

KEEPALIVE_SECONDS: Final = 5.0
"""An idle connection is not used again after this: most servers keep theirs a little longer."""

# The deadline is looked at between reads, and httpcore would read 64 KiB at once: in them are so many
# interim answers, if a server sends nothing else, that a busy machine takes a second to get through.
_MOST_BYTES_A_READ: Final = 16 * 1024


class Dialler(httpcore.NetworkBackend):
    """Dials where it may; no step may take longer than what is left of the call."""

    def __init__(self, lookup: Lookup, reach: Reach, deadline: Deadline) -> None:
        self._lookup = lookup
        self._reach = reach
        self._deadline = deadline
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
        addresses = self._permitted(host, port)
        failure: Exception = NoConnection(f"{host} has no address")
        for position, address in enumerate(addresses):
            # An address that swallows packets must leave the next one its share of the time.
            share_seconds = self._deadline.at_most(timeout) / (len(addresses) - position)
            try:
                stream = self._sockets.connect_tcp(
                    str(address), port, share_seconds, local_address, socket_options
                )
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
            else:
                return _Stream(stream, self._deadline)
        raise failure

    def _permitted(self, host: str, port: int) -> list[Address]:
        # One address that is not permitted refuses them all: who answers the look-up could
        # otherwise have the others fail.
        addresses = self._lookup.addresses(host, port)
        if (host.lower(), port) != self._reach.own:
            for address in addresses:
                refusal = self._reach.refusal(address)
                if refusal is not None:
                    raise NotPermitted(f"no connection to {host}: {refusal}")
        return addresses


def dialling_pool(
    dialler: Dialler, ssl_context: ssl.SSLContext, *, max_connections: int
) -> httpcore.ConnectionPool:
    """Connections that are kept alive between calls, and whose sockets know the deadline."""
    return httpcore.ConnectionPool(
        ssl_context=ssl_context,
        max_connections=max_connections,
        keepalive_expiry=KEEPALIVE_SECONDS,
        network_backend=dialler,
    )


def refuse_what_came_before(stream: object) -> None:
    """Raise ConnectionLost if an answer was there before the request that it seems to answer.

    What a server sends beyond its answer, httpcore takes for the answer to the next request on that
    connection: an event would count as delivered before anybody has looked at it.

    Args:
        stream: the response's `network_stream`; a transport within the process has none.
    """
    if isinstance(stream, _Stream) and not stream.has_read_since_write:
        raise ConnectionLost("the answer was there before the request: a surplus of the one before")


class _Stream(httpcore.NetworkStream):
    """A connection each of whose steps ends with the call.

    Attributes:
        has_read_since_write: whether anything was received after the last byte was sent.
    """

    def __init__(self, stream: httpcore.NetworkStream, deadline: Deadline) -> None:
        self._stream = stream
        self._deadline = deadline
        self.has_read_since_write = False

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        self.has_read_since_write = True
        return self._stream.read(
            min(max_bytes, _MOST_BYTES_A_READ), self._deadline.at_most(timeout)
        )

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self.has_read_since_write = False
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
