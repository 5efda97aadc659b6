"""Random sequences of calls about few people on few devices, so that they meet."""

from dataclasses import dataclass
from random import Random
from typing import Final, Literal

from hypothesis import strategies as st

from tests.identity_rules.model import Answer, Model

# A type that names a device; one that names a person, but is nowhere a login ID.
VALUES: Final = {
    "customerid": ("C-1", "C-2"),
    "email": ("ada@example.test", "bob@example.test"),
    "other": ("a-handle", "b-handle"),
    "ios_idfv": ("phone-1",),
    "device_application_stamp": ("s-1", "s-2"),
}
MOST_PROFILES: Final = 5
ACTIONS: Final[tuple[Literal["identify", "login", "logout", "search"], ...]] = (
    "identify",
    "login",
    "logout",
    "search",
)


@dataclass(frozen=True)
class Move:
    """identify, login, logout or search."""

    action: Literal["identify", "login", "logout", "search"]
    identities: dict[str, str]
    previous: int | None

    def expected(self, model: Model) -> Answer:
        if self.action == "search":
            return model.search(self.identities)
        return model.move(self.action, self.identities, self.previous)


@dataclass(frozen=True)
class Modify:
    """One change of one profile."""

    mpid: int
    name: str
    old: str | None
    new: str | None

    def expected(self, model: Model) -> Answer:
        return model.modify(self.mpid, self.name, self.old, self.new)


Walk = list[Move | Modify]

_mpids = st.integers(1, MOST_PROFILES)
_moves = st.builds(
    Move,
    action=st.sampled_from(ACTIONS),
    identities=st.fixed_dictionaries(
        {}, optional={name: st.sampled_from(values) for name, values in VALUES.items()}
    ).filter(bool),
    previous=st.none() | _mpids,
)
_modifies = st.sampled_from(list(VALUES)).flatmap(
    lambda name: st.builds(
        Modify,
        mpid=_mpids,
        name=st.just(name),
        old=st.none() | st.sampled_from(VALUES[name]),
        new=st.none() | st.sampled_from(VALUES[name]),
    )
)
walks: Final = st.lists(st.one_of(_moves, _moves, _moves, _modifies), min_size=8, max_size=16)
"""For Hypothesis, which finds the shortest walk that goes wrong."""


def random_walk(random: Random) -> Walk:
    """The same, a hundred times faster: for many walks without a database."""
    return [
        _random_modify(random) if random.random() < 0.2 else _random_move(random)
        for _ in range(random.randint(8, 16))
    ]


def _random_move(random: Random) -> Move:
    names = random.sample(list(VALUES), random.randint(1, 3))
    return Move(
        action=random.choice(ACTIONS),
        identities={name: random.choice(VALUES[name]) for name in names},
        previous=random.choice([None, *range(1, MOST_PROFILES + 1)]),
    )


def _random_modify(random: Random) -> Modify:
    name = random.choice(list(VALUES))
    return Modify(
        mpid=random.randint(1, MOST_PROFILES),
        name=name,
        old=random.choice([None, *VALUES[name]]),
        new=random.choice([None, *VALUES[name]]),
    )
