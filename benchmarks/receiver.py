"""A webhook receiver in a process of its own, so that it takes no time from the store that is measured.

`python -m benchmarks.receiver` answers every POST with 200; with `slow`, ten milliseconds later; with `hung`,
it never answers. A second argument names the port.
"""

import sys
import threading
from typing import Final

import click

from tests.network_faults import Received, Receiver, Reply

_SLOW_SECONDS: Final = 0.01


def main(mode: str = "healthy", port: str = "0") -> None:
    """Print the address, then serve until the other end of standard input is closed."""
    with Receiver(_ten_ms_later if mode == "slow" else _at_once, port=int(port)) as receiver:
        if mode == "hung":
            receiver.hold()
        click.echo(receiver.url)
        sys.stdout.flush()
        sys.stdin.read()


def _at_once(_: Received) -> Reply:
    return Reply()


def _ten_ms_later(_: Received) -> Reply:
    threading.Event().wait(_SLOW_SECONDS)
    return Reply()


if __name__ == "__main__":
    main(*sys.argv[1:])
