"""What the calls of each identity strategy cost the service, beside a route with one durable write."""

import uuid
from collections.abc import Callable, Mapping
from typing import Final

from benchmarks.identity_calls import BaseRoutes, SignedCall
from benchmarks.measuring import Row, Size, cpu_seconds, medians
from benchmarks.stores import Store, store
from higgs_shop.idsync_service import STRATEGIES, Strategy

# Everybody who is timed lives through the calls before first, untimed.
_PART: Final = 4


def rows(size: Size) -> list[Row]:
    """A row a strategy: new identify, login of a new and of a returning customer, logout."""
    return [
        _row(strategy, Size(max(1, size.requests // _PART))) for strategy in STRATEGIES.values()
    ]


def _row(strategy: Strategy, size: Size) -> Row:
    with store(identity_strategy=strategy.name) as quiet:
        people = _People(quiet, login="login" if strategy.has_login else "identify")
        acts = [people.new_identify, people.new_login, people.returning_login]
        if strategy.has_login:
            acts.append(people.logout)
        base = BaseRoutes(quiet.parts.database)
        durable, *taken = medians(
            [base.durable, *(_in_turn(prepare, size) for prepare in acts)], size, cpu_seconds
        )
    figures = [f"{each / durable:.2f}" for each in taken]
    if not strategy.has_login:
        figures.append("not offered")
    name = f"{strategy.name}: new identify, login of a new and of a returning customer, logout"
    return Row(name, " · ".join(figures))


def _in_turn(prepare: Callable[[], SignedCall], size: Size) -> Callable[[], bytes]:
    signed = iter([prepare() for _ in range(size.warm_up + size.requests)])

    def call() -> bytes:
        return next(signed)()

    return call


class _People:
    """Somebody new for every call: on a device, and as a customer, never seen before.

    Args:
        login: the call by which people sign in.
    """

    def __init__(self, of: Store, *, login: str) -> None:
        self._of = of
        self._login = login

    def new_identify(self) -> SignedCall:
        """Somebody comes."""
        return SignedCall(self._of, "identify", _device())

    def new_login(self) -> SignedCall:
        """Somebody who came signs up."""
        device = _device()
        anonymous = self._identified(device)
        return SignedCall(self._of, self._login, _customer() | device, anonymous)

    def returning_login(self) -> SignedCall:
        """A customer signs in on a device that they never used."""
        customer, device = _customer(), _device()
        SignedCall(self._of, self._login, customer | _device())()
        return SignedCall(self._of, self._login, customer | device, self._identified(device))

    def logout(self) -> SignedCall:
        """Somebody who came and signed up signs out."""
        device = _device()
        anonymous = self._identified(device)
        known = SignedCall(self._of, self._login, _customer() | device, anonymous).mpid()
        return SignedCall(self._of, "logout", device, known)

    def _identified(self, device: Mapping[str, str]) -> str:
        return SignedCall(self._of, "identify", device).mpid()


def _device() -> dict[str, str]:
    return {"device_application_stamp": str(uuid.uuid4())}


def _customer() -> dict[str, str]:
    customer_id = uuid.uuid4().hex
    return {"customerid": customer_id, "email": f"{customer_id}@example.com"}
