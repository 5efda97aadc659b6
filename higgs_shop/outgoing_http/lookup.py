"""From a host to its addresses, before the deadline."""

import queue
import socket
import threading
from collections.abc import Callable
from ipaddress import ip_address
from typing import Final

from higgs_shop.networks import Address
from higgs_shop.outgoing_http.deadline import Deadline
from higgs_shop.outgoing_http.errors import BadUrl, NoConnection, OutgoingError, TimedOut

_LOOKUPS_AT_ONCE: Final = 4

Resolve = Callable[[str, int], list[str]]
"""Turns a host name and a port into IP addresses, best first; raises OSError or ValueError."""


def resolve(host: str, port: int) -> list[str]:
    """Ask the operating system for the addresses of a host, without doubles and in its order."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


class Lookup:
    """Finds the addresses of hosts, of a few at the same time, each before its call's deadline."""

    def __init__(self, resolve: Resolve, deadline: Deadline) -> None:
        self._resolve = resolve
        self._deadline = deadline
        self._places = threading.BoundedSemaphore(_LOOKUPS_AT_ONCE)

    def addresses(self, host: str, port: int) -> list[Address]:
        """The addresses of a host, best first; those of an address are itself.

        Raises: BadUrl, NoConnection, TimedOut.
        """
        try:
            return [ip_address(host)]
        except ValueError:
            return self._look_up(host, port)

    def _look_up(self, host: str, port: int) -> list[Address]:
        # getaddrinfo knows no time-out, so it runs beside the call. The thread is a daemon: a name
        # server that never answers must not keep the process from ending.
        if not self._places.acquire(timeout=self._deadline.left_seconds()):
            raise TimedOut(f"too many names are being looked up; {host} had to wait too long")
        found: queue.SimpleQueue[list[Address] | OutgoingError] = queue.SimpleQueue()

        def look_up() -> None:
            try:
                found.put([ip_address(address) for address in self._resolve(host, port)])
            except ValueError as error:
                found.put(BadUrl(f"no host can have this name: {error}"))
            except OSError as error:
                found.put(NoConnection(f"{host} has no address: {error.strerror or error}"))
            finally:
                self._places.release()

        threading.Thread(target=look_up, name=f"look up {host}", daemon=True).start()
        try:
            addresses = found.get(timeout=self._deadline.left_seconds())
        except queue.Empty:
            raise TimedOut(f"the name {host} was not resolved before the deadline") from None
        if isinstance(addresses, OutgoingError):
            raise addresses
        return addresses
