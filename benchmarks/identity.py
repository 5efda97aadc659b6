"""What an identity call costs the service, beside the least that a Flask route could do.

The service is called as WSGI, with requests that were signed before; the embedded total is the whole
way of a page's call: the client, its signature, httpx, the service, and the answer read back.
"""

import uuid
from collections.abc import Callable
from typing import Final

from benchmarks.identity_calls import BaseRoutes, SignedCall
from benchmarks.measuring import (
    Row,
    Size,
    at_most,
    counted_sql,
    cpu_seconds,
    exactly,
    medians,
    python_calls,
)
from benchmarks.stores import Store, store
from higgs_shop.identity_client import Device

_GOAL_NEW: Final = 2.0
_GOAL_KNOWN: Final = 2.5
_KNOWN_WARM_UP: Final = 5


def rows(size: Size) -> list[Row]:
    """A new visitor's identify and a known one's, in CPU, Python calls and write transactions."""
    with store() as quiet:
        base = BaseRoutes(quiet.parts.database)
        new, durable, embedded, echo = medians(
            [
                _new(quiet, size),
                base.durable,
                lambda: quiet.parts.identity_client.identify(Device(stamp=str(uuid.uuid4()))),
                base.echo,
            ],
            size,
            cpu_seconds,
        )
        known = _known(quiet)
        known_calls, echo_calls = python_calls(known), python_calls(base.echo)
        return [
            at_most(
                "new identify, service side, CPU ÷ a route with one durable Core write",
                new / durable,
                _GOAL_NEW,
                note=f"{new * 1e3:.2f} ms ÷ {durable * 1e3:.2f} ms; bare route {echo * 1e3:.2f} ms",
            ),
            Row("… embedded, through the client", f"{embedded / durable:.2f}"),
            at_most(
                "known identify, service side, Python calls ÷ a bare echo route",
                known_calls / echo_calls,
                _GOAL_KNOWN,
                note=f"{known_calls} ÷ {echo_calls}",
            ),
            _writes("write transactions of a known identify", quiet, known),
            _writes("write transactions of a new identify", quiet, _new(quiet, size)),
        ]


def _writes(name: str, of: Store, act: Callable[[], object]) -> Row:
    with counted_sql(of.parts.database) as statements:
        act()
    return exactly(name, statements.writes, 1, note=f"{statements.queries} statements")


def _known(of: Store) -> Callable[[], bytes]:
    """One device, already seen, each time with a request id of its own."""
    device = {"device_application_stamp": str(uuid.uuid4())}
    signed = iter([SignedCall(of, "identify", device) for _ in range(_KNOWN_WARM_UP + 2)])

    def known() -> bytes:
        return next(signed)()

    for _ in range(_KNOWN_WARM_UP):
        known()
    return known


def _new(of: Store, size: Size) -> Callable[[], bytes]:
    """A device never seen before, each time."""
    stamps = [str(uuid.uuid4()) for _ in range(size.warm_up + size.requests)]
    signed = iter(
        [SignedCall(of, "identify", {"device_application_stamp": stamp}) for stamp in stamps]
    )

    def new() -> bytes:
        return next(signed)()

    return new
