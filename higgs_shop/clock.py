"""What time it is, as an argument: everything that needs the time is given a Clock."""

import time
from collections.abc import Callable

Clock = Callable[[], int]
"""Returns UTC Unix time in milliseconds."""


def system_clock() -> int:
    """The machine's clock: UTC Unix time in milliseconds."""
    return time.time_ns() // 1_000_000
