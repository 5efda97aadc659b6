"""A receiver that is down for a long time, while people shop and a long backlog waits; then it comes back."""

import socket
import tempfile
import threading
import time
from contextlib import closing
from pathlib import Path
from typing import Final

from sqlalchemy import func, select

from benchmarks.full_outbox import fill, until, waiting
from benchmarks.measuring import Row, Size, at_least, at_most, exactly, percentile_95
from benchmarks.stores import Shopper, receiver, running
from higgs_shop.database import Database
from higgs_shop.settings import Settings
from higgs_shop.tables import messages

_EVENTS_A_PERSON: Final = 50
_GOAL_PAGE: Final = 1.2
_GOAL_DRAIN: Final = 200
_GOAL_GROWTH_MB: Final = 50
_LONGEST_WAIT_SECONDS: Final = 60
_PAGES_A_SECOND: Final = 5


def rows(size: Size) -> list[Row]:
    """One store in a process of its own throughout, on SQLite, which delivers as it comes."""
    port = _free_port()
    settings = {"WEBHOOK_URL": f"http://127.0.0.1:{port}", "WEBHOOK_RETRY_SECONDS": _schedule(size)}
    with (
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder,
        running(Path(folder), **settings) as store,
        store.visited() as shopper,
        closing(Database(Settings(instance=Path(folder), port=8000).database_url)) as database,
    ):
        with receiver(port=port):
            up_ms = _pages_ms(shopper, max(1, size.outage_seconds // 5))
            until(lambda: waiting(database) == 0)
        before_mb = store.resident_mb()
        fill(database, size.events, people=max(1, size.events // _EVENTS_A_PERSON))
        down_ms = _pages_ms(shopper, size.outage_seconds)
        with receiver(port=port):
            per_second = _drained_per_second(database)
        grown_mb = store.resident_mb() - before_mb
        undelivered = _undelivered(database)
    down, up = percentile_95(down_ms), percentile_95(up_ms)
    return [
        at_most(
            f"page while the receiver is down for {size.outage_seconds:,} s ÷ up, 95th percentile",
            down / up,
            _GOAL_PAGE,
            note=f"{down:.0f} ms ÷ {up:.0f} ms",
        ),
        at_least(f"drain of {size.events:,} events after it, a second", per_second, _GOAL_DRAIN),
        at_most("memory that all of it costs", max(0.0, grown_mb), _GOAL_GROWTH_MB, unit=" MB"),
        exactly("events that are not delivered in the end", undelivered, 0),
    ]


def _schedule(size: Size) -> str:
    # Instead of hours: who was tried in vain waits no longer than the others for the end of the outage.
    wait_seconds = max(1, min(size.outage_seconds // 10, _LONGEST_WAIT_SECONDS))
    return ",".join(["0", *[f"{wait_seconds}"] * 19])


def _pages_ms(shopper: Shopper, for_seconds: int) -> list[float]:
    """A few pages a second, while the store has other work too."""
    taken: list[float] = []
    pause = threading.Event()
    until = time.perf_counter() + for_seconds
    while time.perf_counter() < until or not taken:
        started = time.perf_counter()
        shopper.get("/")
        taken.append((time.perf_counter() - started) * 1_000)
        pause.wait(1 / _PAGES_A_SECOND)
    return taken


def _drained_per_second(database: Database) -> float:
    """From when the first of them is delivered to when nothing waits."""
    before = waiting(database)
    until(lambda: waiting(database) < before)
    started = time.perf_counter()
    until(lambda: waiting(database) == 0)
    return before / (time.perf_counter() - started)


def _free_port() -> int:
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        port: int = server.getsockname()[1]
    return port


def _undelivered(database: Database) -> int:
    with database.read() as connection:
        found: int = connection.scalar(_UNDELIVERED) or 0
    return found


_UNDELIVERED: Final = select(func.count()).where(messages.c.state != "delivered")
