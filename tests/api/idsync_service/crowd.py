"""People who all call at once about the same few identities: in threads, or as a process of its own.

`python -m tests.api.idsync_service.crowd URL SEED…` says that it is ready, waits for a line, calls, and
says what it heard.
"""

import itertools
import json
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from random import Random
from typing import Any, Final

import click
import httpx
from werkzeug.middleware.dispatcher import DispatcherMiddleware

from higgs_shop.aliasing import Aliasing
from higgs_shop.clock import Clock
from higgs_shop.database import Database
from higgs_shop.idsync_service import (
    Aliases,
    WorkspacesByKey,
    create_alias_service,
    create_service,
    random_mpid,
)
from tests.api.idsync_service.conftest import KEY, Calls
from tests.at_once import at_once

CUSTOMERS: Final = ("C-1", "C-2", "C-3", "C-4")
VALUES: Final = {
    "customerid": CUSTOMERS,
    "email": tuple(f"{name}@example.test" for name in ("ada", "bob", "eve", "sam")),
    "other": ("a-handle", "b-handle"),
    "device_application_stamp": ("s-1", "s-2", "s-3"),
}
CALLS_EACH: Final = 25
READY: Final = "ready\n"

# How often a call is made, of a hundred.
_OFTEN: Final = {
    "login": 35,
    "identify": 15,
    "logout": 12,
    "modify": 20,
    "search": 8,
    "alias": 6,
    "carry_out": 4,
}
_ALIAS: Final = "webevents/v1/identity"
_MOST_TRIES: Final = 50
_MUCH_LATER: Final = 2**62

# Finer than the store's clock, and the same in every process: decisions that depend on each other
# never have the same time.
fine_clock: Final[Clock] = time.monotonic_ns


@dataclass(frozen=True)
class Heard:
    """What a caller was answered.

    Attributes:
        mpid: None where no profile was returned.
        busy: how often the database was busy before.
    """

    request_id: str
    status_code: int
    mpid: str | None
    busy: int


class Caller:
    """A client, whose calls follow from its seed and from what it was answered.

    Two with the same seed send the same requests, as somebody does whose reply was lost.
    """

    def __init__(self, calls: Calls, carry_out: Callable[[], int], seed: str) -> None:
        self._calls = calls
        self._carry_out = carry_out
        self._seed = seed
        self._random = Random(seed)
        self._mpids: list[str] = []
        self._numbers = itertools.count()

    def call_all(self) -> list[Heard]:
        """Make so many calls, one after the other."""
        numbers = itertools.islice(self._numbers, CALLS_EACH)
        return [self._call(f"{self._seed}-{number}") for number in numbers]

    def _call(self, request_id: str) -> Heard:
        (action,) = self._random.choices([*_OFTEN], [*_OFTEN.values()])
        if action in ("alias", "modify") and not self._mpids:
            action = "identify"
        if action == "carry_out":
            self._carry_out()
            action = "search"
        path, body = self._request(action)
        response, busy = self._answered(path, {"request_id": request_id, **body})
        mpid = response.json()["mpid"] if response.status_code == 200 else None
        if mpid is not None and action != "search":
            self._mpids.append(mpid)
        return Heard(request_id, response.status_code, mpid, busy)

    def _answered(self, path: str, body: dict[str, Any]) -> tuple[httpx.Response, int]:
        for busy in range(_MOST_TRIES):
            response = self._calls.post(path, body)
            if response.status_code != 503:
                return response, busy
        raise AssertionError("the database stays busy")

    def _request(self, action: str) -> tuple[str, dict[str, Any]]:
        if action == "alias":
            source, destination = (self._random.choice(self._mpids) for _ in range(2))
            asked = {
                "source_mpid": source,
                "destination_mpid": destination,
                "end_unixtime_ms": _MUCH_LATER,
            }
            return f"{_ALIAS}/{KEY}/Alias", {"request_type": "alias", "data": asked}
        if action == "modify":
            mpid = self._random.choice(self._mpids)
            return f"v1/{mpid}/modify", {"identity_changes": self._changes()}
        previous = self._random.choice([None, *self._mpids[-1:], *self._mpids[-4:]])
        body = {"known_identities": self._identities(action), "previous_mpid": previous}
        return f"v1/{action}", body

    def _identities(self, action: str) -> dict[str, str]:
        number = self._random.randrange(len(CUSTOMERS))
        device = {
            "device_application_stamp": self._random.choice(VALUES["device_application_stamp"])
        }
        person = {"customerid": CUSTOMERS[number], "email": VALUES["email"][number]}
        somebody_s = {"email": self._random.choice(VALUES["email"])}
        return self._random.choice(
            {
                "login": [person | device, person, person | somebody_s | device, somebody_s],
                "identify": [device, device, {"other": VALUES["other"][number % 2]} | device],
                "logout": [device],
                "search": [person, somebody_s, device],
            }[action]
        )

    def _changes(self) -> list[dict[str, str | None]]:
        names = self._random.sample([*VALUES], self._random.randint(1, 3))
        values: list[str | None] = [self._random.choice(VALUES[name]) for name in names]
        if len(values) == 1 and self._random.random() < 0.3:
            values = [None]
        return [
            {"identity_type": name, "old_value": None, "new_value": value}
            for name, value in zip(names, values, strict=True)
        ]


def crowd(database: Database, seeds: Sequence[str]) -> list[Caller]:
    """A caller for each seed, all of one service."""
    find_workspace = WorkspacesByKey(database, clock=fine_clock)
    service = DispatcherMiddleware(
        create_service(database, clock=fine_clock, new_mpid=random_mpid).wsgi_app,
        {
            f"/{_ALIAS}": create_alias_service(
                Aliases(database, clock=fine_clock),
                find_workspace=find_workspace,
                clock=fine_clock,
            ).wsgi_app
        },
    )
    aliasing = Aliasing(database, clock=fine_clock, on_messages=lambda: None)
    transport = httpx.WSGITransport(service)
    return [
        Caller(
            Calls(httpx.Client(transport=transport, base_url="http://localhost/")),
            aliasing.carry_out_due,
            seed,
        )
        for seed in seeds
    ]


def call_at_once(database: Database, seeds: Sequence[str]) -> list[Heard]:
    """Let everybody call, each in a thread of their own."""
    heard = at_once([caller.call_all for caller in crowd(database, seeds)])
    return [each for of_one in heard for each in of_one]


def main(url: str, seeds: Sequence[str]) -> None:
    database = Database(url)
    click.echo(READY, nl=False)
    sys.stdin.readline()
    heard = call_at_once(database, seeds)
    database.close()
    click.echo(json.dumps([asdict(each) for each in heard]))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
