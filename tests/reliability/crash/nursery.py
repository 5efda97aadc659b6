"""The program that forks the others: `python -m tests.reliability.crash.nursery`, and then a JSON line for each order.

    {"program": "higgs-shop", "words": ["forward"], "settings": {…}, "log": "/…"}   answers the pid
    {"reap": 4711}                                                                  answers how it ended

Reading the store takes Python a second and a half, at each start the same: here it is done once. What is
forked then is the whole program, alone in a process, a session and a group of its own.
"""

import json
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final

import psycopg  # SQLAlchemy would import it in each child

from higgs_shop.command_line import main as higgs_shop
from tests.reliability.crash import receiver

PROGRAMS: Final[Mapping[str, Callable[[Sequence[str]], object]]] = {
    "higgs-shop": lambda words: higgs_shop(words, prog_name="higgs-shop"),
    "receiver": receiver.main,
}


def main() -> None:
    """Follow orders until nobody is there to give any; then nobody is left behind."""
    assert psycopg.__version__
    children: set[int] = set()
    for line in sys.stdin:
        order = json.loads(line)
        if "reap" in order:
            _, status = os.waitpid(order["reap"], 0)
            children.discard(order["reap"])
            answer = os.waitstatus_to_exitcode(status)
        else:
            answer = _fork(**order)
            children.add(answer)
        sys.stdout.write(f"{answer}\n")
        sys.stdout.flush()
    for pid in children:
        with suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGKILL)


def _fork(*, program: str, words: Sequence[str], settings: dict[str, str], log: str) -> int:
    pid = os.fork()
    if pid:
        return pid
    ended: Any = 1
    try:
        os.setsid()
        _connect(log)
        os.environ.update(settings)
        PROGRAMS[program](words)
        ended = 0
    except SystemExit as told:
        ended = told.code
    finally:
        sys.stdout.flush()
        os._exit(ended if isinstance(ended, int) else ended is not None)


def _connect(log: str) -> None:
    """Nothing to read, and everything that is said into the log."""
    nothing = os.open(os.devnull, os.O_RDONLY)
    written = os.open(log, os.O_CREAT | os.O_APPEND | os.O_WRONLY)
    os.dup2(nothing, 0)
    os.dup2(written, 1)
    os.dup2(written, 2)


if __name__ == "__main__":
    main()
