"""What a visitor feels of trouble elsewhere: a receiver or an identity service that never answers, and
eight people who write at the same moment.

The visitor of the hung identity service is the worst off: the very first call was never answered, and
every page finds it still owed.
"""

import statistics
import threading
from typing import Final

from benchmarks.measuring import Act, Row, Size, at_most, medians, wall_seconds
from benchmarks.stores import Store, receiver, store

_GOAL_HUNG: Final = 1.2
_GOAL_WORST_MS: Final = 100
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
    ]


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
