"""A disk that is full, a file that somebody else has locked (D10): a real store, asked all the while."""

import json
import random
import resource
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

import httpx

from higgs_shop.settings import DEMO_KEY, DEMO_SECRET
from tests.browser.store_process import StoreProcess, until
from tests.network_faults import Receiver
from tests.reliability.result import Result
from tests.reliability.scene import Scene

LOCKED_SECONDS: Final = 30.0

_DATABASE: Final = "higgs-shop.db"
_PAGE: Final = "/about"
_PAGE_EVENT: Final = "About"
_PATH: Final = "/webhook-of-d10"
_MOST_LEFT_BYTES: Final = 100_000
_MOST_ROUNDS_LEFT: Final = 8
_REFUSALS_EACH: Final = 6
_MOST_ROUNDS: Final = 1_000
_DELIVERED_SECONDS: Final = 90.0
_LOCK: Final = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN IMMEDIATE")
print("locked", flush=True)
sys.stdin.read()
"""


class Customers:
    """A visitor who looks at a page, a server that sends events, an app that asks who somebody is.

    Attributes:
        kept: names of the events that were acknowledged.
        pages: how many pages were served.
        refused: how many requests were answered 503, each in the way of whoever asked.
        wrong: every other answer.
    """

    def __init__(self, address: str) -> None:
        self._web = httpx.Client(base_url=address, trust_env=False, timeout=60)
        self._asked = 0
        self.kept: set[str] = set()
        self.pages = 0
        self.refused = 0
        self.wrong: list[str] = []

    def ask(self) -> None:
        """Each of them once."""
        self._asked += 1
        self._look()
        self._send()
        self._identify()

    def _look(self) -> None:
        answer = self._web.get(_PAGE)
        if answer.status_code == 200:
            self.pages += 1
        else:
            self._judge(answer, is_plain='data-testid="error-page"' in answer.text)

    def _send(self) -> None:
        name = f"event-{self._asked}"
        data = {"event_name": name, "custom_event_type": "other", "source_message_id": name}
        batch = {
            "environment": "development",
            "mpid": 4711,
            "events": [{"event_type": "custom_event", "data": data}],
        }
        answer = self._web.post("/s2s/v2/events", json=batch, auth=(DEMO_KEY, DEMO_SECRET))
        if answer.status_code == 202:
            self.kept.add(name)
        else:
            self._judge(answer, is_plain=_is_documented(answer))

    def _identify(self) -> None:
        call = {
            "environment": "development",
            "known_identities": {"customerid": f"customer-{self._asked}"},
        }
        answer = self._web.post("/identity/v1/identify", json=call, headers={"x-mp-key": DEMO_KEY})
        if answer.status_code != 200:
            self._judge(answer, is_plain=_is_documented(answer))

    def _judge(self, answer: httpx.Response, *, is_plain: bool) -> None:
        if answer.status_code == 503 and is_plain and "Traceback" not in answer.text:
            self.refused += 1
        else:
            self.wrong.append(f"{answer.request.url}: {answer.status_code} {answer.text[:200]}")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._web.close()


def _is_documented(answer: httpx.Response) -> bool:
    (error,) = json.loads(answer.text)["errors"]
    return set(error) == {"code", "message"} and "Retry-After" in answer.headers


@dataclass(frozen=True)
class Outcome:
    """What became of a store in trouble.

    Attributes:
        acknowledged: events and pages.
        refused: requests answered 503.
        wrong: requests answered in another way than 2xx or 503.
        unwell: requests that were still refused when the trouble was over.
        lost: acknowledged, and not both stored and delivered.
        strays: stored, and not acknowledged.
        is_intact: what SQLite itself says of the file.
    """

    acknowledged: int
    refused: int
    wrong: tuple[str, ...]
    unwell: int
    lost: int
    strays: int
    is_intact: bool

    @property
    def is_sound(self) -> bool:
        """Whether the trouble was felt, and nothing came of it."""
        return self.refused > 0 and self.is_intact and not (self.wrong or self.unwell or self.lost)


def fill_disk(folder: Path, *, times: int, chance: random.Random) -> Outcome:
    """Leave room for a random number of bytes, which may be enough for a while, then none; and again.

    Args:
        folder: an empty one, for the store.
    """

    def trouble(store: StoreProcess, customers: Customers) -> int:
        unwell = 0
        for _ in range(times):
            log = store.instance / f"{_DATABASE}-wal"
            most_bytes = chance.randrange(log.stat().st_size + _MOST_LEFT_BYTES)
            with _little_room(store, most_bytes):
                for _ in range(chance.randrange(_MOST_ROUNDS_LEFT)):
                    customers.ask()
            with _little_room(store, 0):
                _ask_until_refused(customers, _REFUSALS_EACH)
            unwell += _refusals_of_one_round(customers)
        return unwell

    return _suffered(folder, trouble)


def lock_file(folder: Path, *, seconds: float) -> Outcome:
    """Let another process lock the database for so long, or until somebody was refused.

    Args:
        folder: an empty one, for the store.
    """

    def trouble(store: StoreProcess, customers: Customers) -> int:
        with _locked(store.instance / _DATABASE):
            _ask_until_refused(customers, 1, seconds=seconds)
        return _refusals_of_one_round(customers)

    return _suffered(folder, trouble)


def _ask_until_refused(customers: Customers, times: int, *, seconds: float = 0) -> None:
    """Ask until so many requests were refused, and for so long at least."""
    enough, over_at = customers.refused + times, time.monotonic() + seconds
    for _ in range(_MOST_ROUNDS):
        if customers.refused >= enough and time.monotonic() >= over_at:
            return
        customers.ask()
    raise AssertionError(f"refused less than {times} times in {_MOST_ROUNDS} rounds")


def _refusals_of_one_round(customers: Customers) -> int:
    before = customers.refused
    customers.ask()
    return customers.refused - before


def _suffered(folder: Path, trouble: Callable[[StoreProcess, Customers], int]) -> Outcome:
    with Receiver() as receiver:
        store = StoreProcess(folder, WEBHOOK_URL=f"{receiver.url}{_PATH}")
        store.start()
        try:
            with Customers(store.address) as customers:
                customers.ask()
                unwell = trouble(store, customers)
            until(store.is_idle, "everything is delivered", timeout_seconds=_DELIVERED_SECONDS)
        finally:
            store.kill()
        bodies = [json.loads(each.body) for each in receiver.requests if each.path == _PATH]
    delivered = {name for body in bodies for name in _names(body)}
    with closing(sqlite3.connect(folder / _DATABASE)) as connection:
        ((verdict,),) = connection.execute("PRAGMA integrity_check").fetchall()
        stored = [name for (name,) in connection.execute("SELECT name FROM events")]
    views = stored.count(_PAGE_EVENT)
    sent = {name for name in stored if name.startswith("event-")}
    return Outcome(
        acknowledged=len(customers.kept) + customers.pages,
        refused=customers.refused,
        wrong=tuple(customers.wrong),
        unwell=unwell,
        lost=len(customers.kept - (sent & delivered)) + max(0, customers.pages - views),
        strays=len(sent - customers.kept) + max(0, views - customers.pages),
        is_intact=verdict == "ok",
    )


def _names(body: dict[str, list[dict[str, dict[str, str]]]]) -> Iterator[str]:
    for event in body["events"]:
        if name := event["data"].get("event_name"):
            yield name


@contextmanager
def _little_room(store: StoreProcess, most_bytes: int) -> Iterator[None]:
    """Nothing can be written to a file of the store beyond so many bytes; what is there stays."""
    _, most = resource.prlimit(store.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(store.pid, resource.RLIMIT_FSIZE, (most_bytes, most))
    try:
        yield
    finally:
        resource.prlimit(store.pid, resource.RLIMIT_FSIZE, (most, most))


@contextmanager
def _locked(file: Path) -> Iterator[None]:
    with subprocess.Popen(
        [sys.executable, "-c", _LOCK, str(file)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "locked\n"
        yield


def full_and_locked(scene: Scene) -> list[Result]:
    """D10: a disk that is full again and again, and a file that is locked for half a minute."""
    times, chance = scene.size.rounds, random.Random(scene.seed)
    full, locked = scene.folder / "full", scene.folder / "locked"
    full.mkdir()
    locked.mkdir()
    outcomes = {
        f"disk full {times} times": fill_disk(full, times=times, chance=chance),
        f"database locked for {LOCKED_SECONDS:.0f} s": lock_file(locked, seconds=LOCKED_SECONDS),
    }
    return [
        Result(
            name,
            f"{outcome.acknowledged} acknowledged, {outcome.refused} answered 503,"
            f" {len(outcome.wrong)} answered otherwise, {outcome.lost} lost,"
            f" {outcome.unwell} refused afterwards",
            () if outcome.is_sound else (str(outcome),),
        )
        for name, outcome in outcomes.items()
    ]
