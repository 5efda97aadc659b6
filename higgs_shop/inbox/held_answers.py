"""Answers that are held back: few at once, since each keeps one of the server's threads."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Place:
    """Room for one answer to be held back; it has to be taken before."""

    def __init__(self, free: threading.Semaphore, closing: threading.Event) -> None:
        self._free = free
        self._closing = closing
        self._is_taken = False

    def take(self) -> bool:
        """Whether there is room. Never waits."""
        self._is_taken = self._free.acquire(blocking=False)
        return self._is_taken

    def hold(self, delay_ms: int) -> None:
        """Wait so long, or until the store is about to end."""
        self._closing.wait(delay_ms / 1_000)

    def give_back(self) -> None:
        """Make room for another one, if it was taken."""
        if self._is_taken:
            self._free.release()


class HeldAnswers:
    """How many answers are held back at the same time, in one process.

    Args:
        most: at once; whoever comes then is answered without delay.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self._free = threading.Semaphore(most)
        self._closing = threading.Event()

    @contextmanager
    def place(self) -> Iterator[Place]:
        """Room for one answer, free again after the block."""
        place = Place(self._free, self._closing)
        try:
            yield place
        finally:
            place.give_back()

    def close(self) -> None:
        """Hold nothing back any more."""
        self._closing.set()
