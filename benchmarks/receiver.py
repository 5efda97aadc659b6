"""A webhook receiver in a process of its own, so that it takes no time from the store that is measured.

`python -m benchmarks.receiver` answers every POST with 200; with `hung`, it never answers.
"""

import sys

import click

from tests.network_faults import Receiver


def main(mode: str) -> None:
    """Print the address, then serve until the other end of standard input is closed."""
    with Receiver() as receiver:
        if mode == "hung":
            receiver.hold()
        click.echo(receiver.url)
        sys.stdout.flush()
        sys.stdin.read()


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "healthy")
