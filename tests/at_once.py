"""Several things at the same time."""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

_T = TypeVar("_T")


def at_once(actions: Sequence[Callable[[], _T]]) -> list[_T]:
    """Run all at the same time, each in a thread of its own. Returns their answers in order; raises
    what the first of them raised.
    """
    ready = threading.Barrier(len(actions))

    def run(action: Callable[[], _T]) -> _T:
        ready.wait()
        return action()

    with ThreadPoolExecutor(len(actions)) as threads:
        return list(threads.map(run, actions))
