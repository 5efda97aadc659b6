"""What the commands that install something for the tests have in common."""

import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

INSTALL_TIMEOUT_SECONDS: Final = 600


class NotInstalled(Exception):
    """It is not here, and could not be installed."""


def attempt(what: str, command: Sequence[str | Path]) -> None:
    """Run a command that may install it, output on stderr; what came of it is seen by looking again."""
    print(f"No {what} for the tests yet:", *command, file=sys.stderr)
    try:
        subprocess.run(command, stdout=sys.stderr, check=False, timeout=INSTALL_TIMEOUT_SECONDS)
    except (OSError, subprocess.TimeoutExpired) as error:
        print(error, file=sys.stderr)


def print_path(install: Callable[[], Path]) -> int:
    """Print where it is, or one line on stderr that says what is missing."""
    try:
        print(install())
    except NotInstalled as error:
        print(error, file=sys.stderr)
        return 1
    return 0
