"""What a visitor feels of trouble elsewhere: a receiver or an identity service that never answers, and
eight people who write at the same moment.

The visitor of the hung identity service is the worst off: the very first call was never answered, and
every page finds it still owed. Once such a service is left alone, a call is refused at once.
"""

import contextlib
import statistics
import threading
from typing import Final

import httpx

from benchmarks.measuring import Act, Row, Size, at_most, cpu_seconds, medians, wall_seconds
from benchmarks.stores import Store, receiver, store
from higgs_shop.clock import system_clock
from higgs_shop.identity_client import (
    CircuitOpen,
    Device,
    IdentityClient,
    KeyOnly,
    NoConnection,
)
from higgs_shop.outgoing_http import OutgoingHttp

_GOAL_HUNG: Final = 1.2
_GOAL_WORST_MS: Final = 100
_GOAL_REFUSED_MS: Final = 5
_PEOPLE: Final = 8
# A store delivers what a page logged while the next page is timed. That one should be its own.
_IN_A_ROW: Final = 10


def rows(size: Size) -> list[Row]:
    """Stores side by side in this process, each doing its background work; their pages in turns."""
    with (
        receiver() as url,
        receiver("hung") as hung_url,
        store(working=True, webhook_url=url) as healthy,
        store(working=True, webhook_url=hung_url) as no_receiver,
        store(working=True, webhook_url=url, idsync_url=hung_url) as no_identity,
    ):
        visitors = [_pages(each) for each in (healthy, no_receiver, no_identity)]
        rounds = Size(requests=max(1, size.requests // _IN_A_ROW))
        well, without_receiver, without_identity = medians(visitors, rounds, wall_seconds)
    with receiver() as url, store(working=True, webhook_url=url) as crowded:
        crowd = _crowd(crowded, max(1, size.requests // _PEOPLE) + 1)
    return [
        at_most("page, hung receiver ÷ healthy, median", without_receiver / well, _GOAL_HUNG),
        at_most(
            "page, hung identity service ÷ healthy, median", without_identity / well, _GOAL_HUNG
        ),
        at_most(
            f"worst page over the median while {_PEOPLE} people write at once",
            (max(crowd) - statistics.median(crowd)) * 1_000,
            _GOAL_WORST_MS,
            unit=" ms",
            note=f"median {statistics.median(crowd) * 1_000:.0f} ms",
        ),
        at_most(
            "identity call while the service is left alone, worst, CPU",
            max(_refused_calls(size.requests)) * 1_000,
            _GOAL_REFUSED_MS,
            unit=" ms",
        ),
    ]


def _refused_calls(calls: int) -> list[float]:
    def nobody(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("nobody listens there", request=request)

    taken: list[float] = []
    with OutgoingHttp(
        deadline_seconds=1, max_answer_bytes=1, transport=httpx.MockTransport(nobody)
    ) as http:
        client = IdentityClient(
            base_url="https://identity.example/v1",
            auth=KeyOnly("key"),
            http=http,
            clock=system_clock,
        )
        while client.pause_left_ms == 0:
            with contextlib.suppress(NoConnection):
                client.identify(Device(stamp="refused"))
        for _ in range(calls):
            started = cpu_seconds()
            with contextlib.suppress(CircuitOpen):
                client.identify(Device(stamp="refused"))
            taken.append(cpu_seconds() - started)
    return taken


def _pages(of: Store) -> Act:
    visitor = of.visitor()

    def look() -> None:
        for _ in range(_IN_A_ROW):
            visitor.look()

    return look


def _crowd(of: Store, pages: int) -> list[float]:
    visitors = [of.visitor() for _ in range(_PEOPLE)]
    together = threading.Barrier(_PEOPLE)
    taken: list[float] = []

    def browse(number: int) -> None:
        for turn in range(pages):
            together.wait()
            started = wall_seconds()
            visitors[number].look()
            if turn > 0:
                taken.append(wall_seconds() - started)

    threads = [threading.Thread(target=browse, args=(number,)) for number in range(_PEOPLE)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return taken
