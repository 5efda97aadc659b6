"""What delivering costs: beside a loop that only sends, with a slow receiver, and with a long backlog."""

import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import httpx

from benchmarks.full_outbox import body_of, fill, until, waiting
from benchmarks.measuring import (
    Row,
    Size,
    at_least,
    at_most,
    percentile_95,
    taken_in_turns,
    wall_seconds,
)
from benchmarks.stores import PROJECT, Running, Store, receiver, store
from higgs_shop import outbox
from higgs_shop.database import Database
from higgs_shop.outputs import OutputSettings, change_output, list_outputs
from higgs_shop.settings import Settings
from higgs_shop.webhook_output import Forwarder, Sender, Turn, Work
from higgs_shop.wiring import wire

_SENDERS: Final = 4
_TURNS: Final = 9
_MANY_SENDERS: Final = 8
_SPEED_GOAL: Final = 0.8
_OVERLAP_GOAL: Final = 5.0
_ENQUEUE_GOAL_MS: Final = 0.3
_CLAIM_GOAL_MS: Final = 20.0
_DRAIN_GOAL_MB: Final = 30.0
_LOG_GOAL_MB: Final = 64.0
_LEASE_MS: Final = 30_000
_EVENTS_OF_A_PAGE: Final = 2


def rows(size: Size) -> list[Row]:
    """Everything about delivery."""
    return [*_speed(size), _overlap(size), _enqueueing(size), *_claiming(size), _draining(size)]


def _speed(size: Size) -> list[Row]:
    """Events a second, each durably marked, beside as many threads that post the same bytes.

    Each turn is judged by itself, and the median is told: how fast a machine is differs from one second
    to the next by more than what is measured.
    """
    count = size.requests * 2
    found = []
    for people, said in ((count, "a person each"), (_SENDERS * 5, "twenty people")):
        with receiver() as url:
            turns = [
                (
                    _delivered_per_second(url, count, people, senders=_SENDERS),
                    _posted_per_second(url, count, threads=_SENDERS),
                )
                for _ in range(_TURNS)
            ]
        durable, plain = (statistics.median(side) for side in zip(*turns, strict=True))
        ratio = statistics.median(ours / theirs for ours, theirs in turns)
        found.append(
            at_least(
                f"delivered events ÷ a bare httpx loop, a second, {said}",
                ratio,
                _SPEED_GOAL,
                note=f"{durable:.0f}/s ÷ {plain:.0f}/s, {_SENDERS} at a time",
            )
        )
    return found


def _overlap(size: Size) -> Row:
    """A receiver that takes ten milliseconds: eight senders beside one."""
    count = max(_MANY_SENDERS, size.requests // 2)
    with receiver("slow") as url:
        one = _delivered_per_second(url, count, count, senders=1)
        eight = _delivered_per_second(url, count, count, senders=_MANY_SENDERS)
    return at_least(
        "delivered events to a receiver of 10 ms, 8 senders ÷ 1",
        eight / one,
        _OVERLAP_GOAL,
        note=f"{eight:.0f}/s ÷ {one:.0f}/s",
    )


def _enqueueing(size: Size) -> Row:
    """A tracked page whose output takes its events, beside one whose output is switched off."""
    with ExitStack() as stack:
        on, off = (stack.enter_context(store()) for _ in range(2))
        _switch_off(off)
        with_it, without = taken_in_turns(
            [on.visitor().look, off.visitor().look], size, wall_seconds
        )
    # The machine's speed drifts: each turn is judged by itself.
    more_seconds = statistics.median(a - b for a, b in zip(with_it, without, strict=True))
    each_ms = more_seconds * 1_000 / _EVENTS_OF_A_PAGE
    return at_most(
        "enqueueing an event, over a page whose output is off",
        max(0.0, each_ms),
        _ENQUEUE_GOAL_MS,
        unit=" ms",
    )


def _claiming(size: Size) -> list[Row]:
    """Leasing the next mailbox, with as many messages waiting as a full store knows people."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        database = _filled(Path(folder), size.profiles, people=max(1, size.profiles // 50))
        taken_ms, log_mb = [], 0.0
        for _ in range(min(size.requests, max(1, size.profiles // 50))):
            started = time.perf_counter()
            with database.write() as connection:
                (claim,) = outbox.claim_due(connection, clock=_now, lease_ms=_LEASE_MS)
            taken_ms.append((time.perf_counter() - started) * 1_000)
            with database.write() as connection:
                outbox.record(connection, [outbox.HandedIn(claim)], clock=_now)
            log_mb = max(log_mb, *(log.stat().st_size / 1e6 for log in Path(folder).rglob("*-wal")))
        database.close()
    claiming = at_most(
        f"claiming a mailbox among {size.profiles:,} waiting messages, 95th percentile",
        percentile_95(taken_ms),
        _CLAIM_GOAL_MS,
        unit=" ms",
        note=f"median {statistics.median(taken_ms):.2f} ms",
    )
    log_row = at_most("SQLite's log meanwhile, at most", log_mb, _LOG_GOAL_MB, unit=" MB")
    return [claiming, log_row]


def _draining(size: Size) -> Row:
    """`higgs-shop forward` with a long backlog: its memory after a tenth of it, and at the end."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder, receiver() as url:
        database = _filled(Path(folder), size.events, people=max(1, size.events // 50), url=url)
        process = subprocess.Popen(
            [sys.executable, "-m", "higgs_shop", "forward"],
            cwd=PROJECT,
            env=_environment(Path(folder), url),
            stdout=subprocess.DEVNULL,
            text=True,
        )
        try:
            until(lambda: waiting(database) <= size.events * 9 // 10)
            early_mb, started = Running(process, "").resident_mb(), time.perf_counter()
            until(lambda: waiting(database) == 0)
            grown_mb = Running(process, "").resident_mb() - early_mb
            per_second = size.events * 9 // 10 / (time.perf_counter() - started)
        finally:
            process.kill()
            process.communicate()
            database.close()
    return at_most(
        f"memory that delivering {size.events:,} events costs, after the first tenth",
        max(0.0, grown_mb),
        _DRAIN_GOAL_MB,
        unit=" MB",
        note=f"{per_second:.0f}/s",
    )


class _Counting:
    """A sender that tells when the first deliveries are recorded, and when all are."""

    def __init__(self, sender: Sender, *, first: int, count: int) -> None:
        self.post = sender.post
        self.first_recorded, self.all_recorded = threading.Event(), threading.Event()
        self._turn = sender.turn
        self._count, self._first, self._recorded = count, first, 0

    def turn(self, work: Work) -> Turn:
        turn = self._turn(work)
        self._recorded += len(work.done) - len(turn.unrecorded)
        if self._recorded >= self._first:
            self.first_recorded.set()
        if self._recorded >= self._count:
            self.all_recorded.set()
        return turn


def _delivered_per_second(url: str, count: int, people: int, *, senders: int) -> float:
    """After a tenth to warm up, as everywhere."""
    first = count // 10
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        parts = wire(Settings(instance=Path(folder), port=8000, webhook_url=url))
        fill(parts.database, count, people=people)
        sending = _Counting(parts.sender, first=first, count=count)
        with Forwarder(sending, clock=parts.clock, senders=senders):
            sending.first_recorded.wait()
            started = time.perf_counter()
            sending.all_recorded.wait()
            taken = time.perf_counter() - started
        parts.close()
    return (count - first) / taken


def _posted_per_second(url: str, count: int, *, threads: int) -> float:
    bodies = [body_of(number) for number in range(count)]
    headers = {"Content-Type": "application/json", "webhook-id": "msg_1"}
    limits = httpx.Limits(max_connections=threads, max_keepalive_connections=threads)
    with (
        httpx.Client(trust_env=False, limits=limits) as client,
        ThreadPoolExecutor(threads) as pool,
    ):
        first = count // 10
        list(pool.map(lambda body: client.post(url, content=body, headers=headers), bodies[:first]))
        started = time.perf_counter()
        list(pool.map(lambda body: client.post(url, content=body, headers=headers), bodies[first:]))
        return (count - first) / (time.perf_counter() - started)


def _switch_off(of: Store) -> None:
    with of.parts.database.write() as connection:
        (output,) = list_outputs(connection, of.parts.workspace_id)
        settings = OutputSettings(is_active=False)
        change_output(connection, output, settings, authorization="", secrets=())


def _filled(folder: Path, count: int, *, people: int, url: str = "") -> Database:
    parts = wire(Settings(instance=folder, port=8000, webhook_url=url))
    fill(parts.database, count, people=people)
    parts.close()
    return Database(parts.settings.database_url)


def _environment(folder: Path, url: str) -> dict[str, str]:
    return {**os.environ, "HIGGS_SHOP_INSTANCE": str(folder), "HIGGS_SHOP_WEBHOOK_URL": url}


def _now(_connection: object) -> int:
    return time.time_ns() // 1_000_000
