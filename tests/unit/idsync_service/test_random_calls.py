"""The pure rules, walked at random beside the model: every strategy, with and without an immutable ID."""

import itertools
from collections.abc import Collection
from random import Random
from typing import Final

import pytest

from higgs_shop.identity_types import DEFAULT_IDS, DEFAULT_PRIORITY
from higgs_shop.idsync_service.errors import BadRequest
from higgs_shop.idsync_service.messages import IdentityChange
from higgs_shop.idsync_service.priority import walk as walk_priority
from higgs_shop.idsync_service.profiles import Profile
from higgs_shop.idsync_service.resolution import (
    Decision,
    check_offered,
    choose,
    modified,
    moved,
)
from higgs_shop.workspaces import Workspace
from tests.identity_rules.model import NOT_FOUND, REFUSED, Answer, Model
from tests.identity_rules.random_calls import Modify, Move, random_walk

WALKS: Final = 400


class InMemory:
    """The service without a database: the same functions on profiles in a dictionary."""

    def __init__(self, workspace: Workspace) -> None:
        self.workspace = workspace
        self.profiles: dict[int, Profile] = {}
        self.numbers = itertools.count(1)
        self.now_ms = 0

    def answer(self, step: Move | Modify) -> Answer:
        self.now_ms += 1
        before = self.copies(*self.profiles)
        try:
            if isinstance(step, Modify):
                return self.modify(step)
            return self.move(step)
        except BadRequest:
            self.profiles = before
            return Answer(status_code=REFUSED)

    def move(self, step: Move) -> Answer:
        if step.action == "search":
            return self.search(step)
        check_offered(self.workspace, step.action)
        loaded = self.carriers(step.identities.items(), step.previous)
        current = loaded.get(step.previous or 0)
        resolution = choose(step.action, step.identities, self.workspace, loaded.values(), current)
        return self.stored(
            moved(
                resolution,
                step.identities,
                self.workspace,
                loaded,
                create=lambda _source: self.made(),
                now_ms=self.now_ms,
            )
        )

    def search(self, step: Move) -> Answer:
        loaded = self.carriers(step.identities.items(), None)
        found = walk_priority(step.identities, loaded.values(), self.workspace, None).profile
        if found is None:
            return Answer(status_code=NOT_FOUND)
        return Answer(found.mpid, found.is_known(self.workspace))

    def modify(self, step: Modify) -> Answer:
        change = IdentityChange(identity_type=step.name, old_value=step.old, new_value=step.new)
        given_value = [] if step.new is None else [(step.name, step.new)]
        loaded = self.carriers(given_value, step.mpid)
        return self.stored(modified(step.mpid, [change], self.workspace, loaded, self.now_ms))

    def stored(self, decision: Decision) -> Answer:
        profile = decision.changes.profile
        self.profiles[profile.mpid] = Profile(profile.mpid, self.now_ms, profile.identities)
        return Answer(profile.mpid, profile.is_known(self.workspace))

    def made(self) -> Profile:
        made = Profile(next(self.numbers), self.now_ms, {})
        self.profiles[made.mpid] = made
        return made

    def carriers(self, pairs: Collection[tuple[str, str]], mpid: int | None) -> dict[int, Profile]:
        return {
            number: profile
            for number, profile in self.profiles.items()
            if number == mpid or any(profile.carries(*pair) for pair in pairs)
        }

    def copies(self, *mpids: int) -> dict[int, Profile]:
        return {
            mpid: Profile(
                mpid,
                self.profiles[mpid].last_seen_ms,
                {name: {**values} for name, values in self.profiles[mpid].identities.items()},
            )
            for mpid in mpids
        }

    def records(self) -> set[tuple[int, str, str]]:
        return {
            (mpid, name, value)
            for mpid, profile in self.profiles.items()
            for name, values in profile.identities.items()
            for value in values
        }


@pytest.mark.parametrize(
    ("strategy", "immutable_ids"),
    [
        *(pytest.param(strategy, (), id=strategy) for strategy in DEFAULT_IDS),
        *(
            pytest.param(strategy, ("customerid",), id=f"{strategy}, customerid never changes")
            for strategy, ids in DEFAULT_IDS.items()
            if ids
        ),
    ],
)
def test_every_answer_is_the_model_s(strategy: str, immutable_ids: tuple[str, ...]) -> None:
    ids = DEFAULT_IDS[strategy]
    workspace = Workspace(
        "default", "key", "secret", strategy, DEFAULT_PRIORITY, ids, ids, immutable_ids
    )

    for seed in range(WALKS):
        model, service = Model(workspace), InMemory(workspace)
        for number, step in enumerate(random_walk(Random(seed)), start=1):
            where = f"seed {seed}, call {number}: {step}"
            assert service.answer(step) == step.expected(model), where
            assert service.records() == model.records(), where
