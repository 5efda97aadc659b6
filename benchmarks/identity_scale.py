"""Whether it matters how many people a store knows: the same calls of one with 1,000 and of one with many.

Everybody has three identities, and people are asked for at random. Both stores are asked in turns.
"""

import json
import uuid
from collections.abc import Callable
from contextlib import ExitStack
from random import Random
from typing import Any, Final

from benchmarks.filling import fill, identities_of, mpid_of
from benchmarks.identity_calls import call
from benchmarks.measuring import Act, Row, Size, at_most, cpu_seconds, medians, wall_seconds
from benchmarks.stores import Store, store
from higgs_shop.idsync_service import profiles
from higgs_shop.workspaces import DEFAULT_WORKSPACE

_FEW: Final = 1_000
_IN_A_ROW: Final = 20
_GOAL_LOOK_UP: Final = 1.5
_GOAL_FLAT: Final = 1.2


def rows(size: Size) -> list[Row]:
    """The look-up by itself, and each call with all that is around it."""
    acts: dict[str, tuple[Callable[[_Crowd], Act], float]] = {
        f"{_IN_A_ROW} look-ups by three identities": (_Crowd.look_ups, _GOAL_LOOK_UP),
        "search": (_Crowd.search, _GOAL_LOOK_UP),
        "identify of a known device": (_Crowd.identify, _GOAL_FLAT),
        "login of a returning customer": (_Crowd.login, _GOAL_FLAT),
        "modify of an e-mail address": (_Crowd.modify, _GOAL_FLAT),
    }
    with ExitStack() as stack:
        few, many = (
            _Crowd(stack.enter_context(store()), people) for people in (_FEW, size.profiles)
        )
        return [
            _compared(
                f"{name}, {size.profiles:,} profiles ÷ {_FEW:,}, CPU",
                act(few),
                act(many),
                goal,
                size,
            )
            for name, (act, goal) in acts.items()
        ]


def _compared(name: str, few: Act, many: Act, goal: float, size: Size) -> Row:
    of_few, of_many = medians([few, many], size, cpu_seconds)
    of_few_wall, of_many_wall = medians([few, many], size, wall_seconds)
    note = f"{of_many * 1e3:.2f} ms ÷ {of_few * 1e3:.2f} ms; wall {of_many_wall / of_few_wall:.2f}"
    return at_most(name, of_many / of_few, goal, note=note)


class _Crowd:
    """A store that knows so many people, and calls that are each about one of them."""

    def __init__(self, of: Store, people: int) -> None:
        self._of = of
        self._people = people
        self._random = Random(people)  # noqa: S311 - the same people at every run
        fill(of, people)

    def look_ups(self) -> Act:
        """What every call begins with, in a connection that is open."""

        def act() -> None:
            with self._of.parts.database.read() as connection:
                for _ in range(_IN_A_ROW):
                    number = self._random.randint(1, self._people)
                    found = profiles.load(
                        connection, DEFAULT_WORKSPACE, identities_of(number).items(), None
                    )
                    _assert_equal([*found], [mpid_of(number)])

        return act

    def search(self) -> Act:
        """By everything that a customer can be found by."""
        return lambda: self._move("search", self._customer())

    def identify(self) -> Act:
        """Somebody anonymous, by the device alone."""

        def act() -> None:
            number = self._customer() - 1
            device = identities_of(number)["device_application_stamp"]
            self._call(number, "identify", known_identities={"device_application_stamp": device})

        return act

    def login(self) -> Act:
        """By everything that a customer can be found by."""
        return lambda: self._move("login", self._customer())

    def modify(self) -> Act:
        """An address that nobody ever had, of a customer."""

        def act() -> None:
            number = self._customer()
            change = {
                "identity_type": "email",
                "old_value": None,
                "new_value": f"{uuid.uuid4().hex}@example.com",
            }
            self._call(number, f"{mpid_of(number)}/modify", identity_changes=[change])

        return act

    def _customer(self) -> int:
        return self._random.randint(1, self._people // 2) * 2

    def _move(self, action: str, number: int) -> None:
        self._call(number, action, known_identities=identities_of(number))

    def _call(self, number: int, action: str, **members: Any) -> None:
        body = {"environment": "development", "request_id": str(uuid.uuid4()), **members}
        answer = call(
            self._of.parts.identity_service,
            f"/v1/{action}",
            json.dumps(body).encode(),
            {"HTTP_X_MP_KEY": self._of.parts.settings.idsync_key},
        )
        _assert_equal(json.loads(answer)["mpid"], str(mpid_of(number)))


def _assert_equal(found: object, wanted: object) -> None:
    if found != wanted:
        raise RuntimeError(f"found {found}, and wanted {wanted}")
