"""People and servers that use a store without a pause, and remember what it acknowledged.

A request is acknowledged when its answer is 2xx or 3xx. What was not answered is not sent again: if it
was kept all the same, the judge shall see it.
"""

import base64
import http.client
import json
import random
import re
import threading
from collections import Counter
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final, Self

from higgs_shop.settings import DEMO_KEY, DEMO_SECRET
from tests.browser.store_process import until

CLIENTS: Final = 4
_MPIDS_EACH: Final = 50
_CUSTOMERS_EACH: Final = 10
# The first page after a start takes as long as a short life, to compile its template; a click takes none.
_PAGES, _CLICKS, _UPLOADS = 1, 12, 36
_PATIENCE_SECONDS: Final = 300.0
_CREDENTIALS: Final = base64.b64encode(f"{DEMO_KEY}:{DEMO_SECRET}".encode()).decode()
_UPLOADS_TO: Final = "/s2s/v2/events"
_UPLOAD_HEADERS: Final = {
    "Authorization": f"Basic {_CREDENTIALS}",
    "Content-Type": "application/json",
}
_CLIENT: Final = "client-"
_LOOKED_AT: Final = "view_detail"
_CLICKED: Final = "Navbar Click"
_BOUGHT: Final = "purchase"

_Person = Mapping[str, str | Mapping[str, str]]
"""The members of a batch that say whom it is about."""


def tracked_as(name: str, mpid: int, source_message_id: str) -> str | None:
    """What clients call an event: its id if they gave it one, or else who did it.

    Returns: None for an event that nobody asked for, as the start of a session.
    """
    if name in (_LOOKED_AT, _CLICKED, _BOUGHT):
        return f"{name} of {mpid}"
    return source_message_id if source_message_id.startswith(_CLIENT) else None


class Traffic:
    """Four clients, in threads, for as long as the block lasts.

    Args:
        port: where the store listens, now or later.
        seed: decides who does what in which order.
    """

    def __init__(self, port: int, seed: int) -> None:
        self._open = threading.Event()
        self._open.set()
        self._stopping = threading.Event()
        self._clients = [
            _Client(number, port, random.Random(f"{seed} {number}"), self._open)
            for number in range(1, CLIENTS + 1)
        ]
        self._threads = ThreadPoolExecutor(CLIENTS)
        self._running: list[Future[None]] = []

    @property
    def acknowledged(self) -> Counter[str]:
        """How often each event was acknowledged, as `tracked_as` calls them."""
        return sum((client.acknowledged for client in self._clients), Counter())

    @property
    def count(self) -> int:
        """How many events were acknowledged so far."""
        return sum(client.count for client in self._clients)

    @property
    def refusals(self) -> list[str]:
        """Answers that nobody should ever get: all but 2xx, 3xx and 503."""
        return [refusal for client in self._clients for refusal in client.refusals]

    def wait_for(self, count: int) -> None:
        """Until so many events are acknowledged."""
        until(
            lambda: self.count >= count,
            f"{count} events acknowledged",
            timeout_seconds=_PATIENCE_SECONDS,
        )

    def hold(self) -> None:
        """Whoever gets no answer waits until `go_on()`: the store is gone, and asking is of no use."""
        self._open.clear()

    def go_on(self) -> None:
        """The store is back."""
        self._open.set()

    def __enter__(self) -> Self:
        for client in self._clients:
            client.arrive()
        self._running = [
            self._threads.submit(client.run, self._stopping) for client in self._clients
        ]
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._open.set()
        self._threads.shutdown()
        for running in self._running:
            running.result()


def upload(port: int, mpid: int, number: int) -> str:
    """One event about one person, sent as a server does; AssertionError if it is not acknowledged.

    Returns: what it is tracked as.
    """
    name = f"{_CLIENT}{mpid}-{number}"
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_PATIENCE_SECONDS)
    connection.request("POST", _UPLOADS_TO, _batch(name, {"mpid": str(mpid)}), _UPLOAD_HEADERS)
    answer = connection.getresponse()
    text = answer.read()
    connection.close()
    assert answer.status == 202, text
    return name


def _batch(name: str, person: _Person) -> str:
    data = {"event_name": "Sent", "custom_event_type": "other", "source_message_id": name}
    return json.dumps(
        {
            "environment": "development",
            "source_request_id": f"batch-of-{name}",
            "events": [{"event_type": "custom_event", "data": data}],
            **person,
        }
    )


class _Client:
    def __init__(
        self, number: int, port: int, chance: random.Random, opened: threading.Event
    ) -> None:
        self.acknowledged: Counter[str] = Counter()
        self.count = 0
        self.refusals: list[str] = []
        self._name = f"{_CLIENT}{number}"
        self._chance = chance
        self._open = opened
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_PATIENCE_SECONDS)
        self._people: list[_Person] = [
            {"mpid": str(number * 1_000 + each)} for each in range(_MPIDS_EACH)
        ]
        self._people += [
            {"user_identities": {"customer_id": f"{self._name}-{each}"}}
            for each in range(_CUSTOMERS_EACH)
        ]
        self._uploads = 0
        self._cookies: dict[str, str] = {}
        self._mpid = 0
        self._clicks = 0

    def arrive(self) -> None:
        """Look at a first page, for the cookies, and to learn from it who one is."""
        self._look()
        assert self._mpid, "nobody is known yet"

    def run(self, stopping: threading.Event) -> None:
        """Send one request after the other, and wait for each answer."""
        habits = [*_PAGES * [self._look], *_CLICKS * [self._click], *_UPLOADS * [self._upload]]
        while not stopping.is_set():
            try:
                self._chance.choice(habits)()
            except (OSError, http.client.HTTPException):
                self._connection.close()
                self._open.wait()
        self._connection.close()

    def _upload(self) -> None:
        """As a server sends an event of somebody it knows."""
        self._uploads += 1
        name = f"{self._name}-{self._uploads}"
        batch = _batch(name, self._chance.choice(self._people))
        if self._ask("POST", _UPLOADS_TO, _UPLOAD_HEADERS, batch) is not None:
            self._acknowledge(name)

    def _look(self) -> None:
        """As a browser asks for a product's page; the page says who is looking."""
        page = self._browse("/products/128743")
        if page is None:
            return
        # Shown to nobody while an identity call is out; the visitor stays who they were.
        if found := re.search(r'data-mpid="(\d+)"', page):
            self._mpid = int(found[1])
        self._acknowledge(f"{_LOOKED_AT} of {self._mpid}")

    def _click(self) -> None:
        """As a browser follows a link of the menu; the answer leads to a page."""
        self._clicks += 1
        if self._browse(f"/go/about?once={self._name}-{self._clicks}") is not None:
            self._acknowledge(f"{_CLICKED} of {self._mpid}")

    def _browse(self, path: str) -> str | None:
        crumbs = "; ".join(f"{name}={value}" for name, value in self._cookies.items())
        return self._ask("GET", path, {"Cookie": crumbs} if crumbs else {})

    def _acknowledge(self, tracked: str) -> None:
        self.acknowledged[tracked] += 1
        self.count += 1

    def _ask(
        self, method: str, path: str, headers: Mapping[str, str], body: str | None = None
    ) -> str | None:
        """The answer's body, or None if it was refused."""
        self._connection.request(method, path, body, headers)
        answer = self._connection.getresponse()
        text = answer.read().decode()
        for cookie in answer.headers.get_all("Set-Cookie") or []:
            name, _, value = cookie.partition(";")[0].partition("=")
            self._cookies[name] = value
        if answer.status < 400:
            return text
        if answer.status != 503:
            self.refusals.append(f"{method} {path}: {answer.status} {text[:200]}")
        return None
