"""A running store from outside: how soon it is ready, how much memory it takes, and whether that grows."""

import statistics
import tempfile
import time
from pathlib import Path
from typing import Final

from benchmarks.measuring import Row, Size, at_most
from benchmarks.stores import Running, Shopper, running

_GOAL_MB: Final = 120
_GOAL_START_SECONDS: Final = 2
_FLAT_MB: Final = 10
"""Growth over the second half of the page views that still counts as none."""


def rows(size: Size) -> list[Row]:
    """With the defaults of `higgs-shop run`: it delivers every event to its own inbox meanwhile."""
    with tempfile.TemporaryDirectory() as folder:
        instance = Path(folder)
        with running(instance) as store, store.visited() as shopper:
            fresh_mb = _used(store, shopper, 1)
            half_mb = _used(store, shopper, size.page_views // 2)
            used_mb = _used(store, shopper, size.page_views - size.page_views // 2)
        starts = [_seconds_to_ready(instance) for _ in range(size.starts)]
    return [
        Row("resident memory after the first page", f"{fresh_mb:.0f} MB"),
        at_most(
            f"resident memory after {size.page_views:,} page views", used_mb, _GOAL_MB, unit=" MB"
        ),
        at_most(
            "… of which came in the second half", max(0.0, used_mb - half_mb), _FLAT_MB, unit=" MB"
        ),
        at_most(
            f"warm start to ready, median of {size.starts}",
            statistics.median(starts),
            _GOAL_START_SECONDS,
            unit=" s",
        ),
    ]


def _used(store: Running, shopper: Shopper, page_views: int) -> float:
    for _ in range(page_views):
        shopper.get("/")
    return store.resident_mb()


def _seconds_to_ready(instance: Path) -> float:
    started = time.perf_counter()
    with running(instance) as store, store.visited() as anybody:
        anybody.get("/readyz")
        return time.perf_counter() - started
