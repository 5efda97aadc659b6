"""Random sequences of calls, answered by the service as the model says: on every database, and over TCP."""

import itertools
from collections.abc import Callable, Iterator

import httpx
import pytest
from flask import Flask
from hypothesis import given, settings
from sqlalchemy import delete

from higgs_shop.database import Database
from higgs_shop.identity_types import DEFAULT_IDS
from higgs_shop.idsync_service import create_service
from higgs_shop.tables import identity_decisions, profile_identities, profiles
from higgs_shop.workspaces import Workspace
from tests.api.idsync_service.conftest import Calls, StoreWorkspace
from tests.api.idsync_service.stored import records
from tests.identity_rules.model import Answer, Model
from tests.identity_rules.random_calls import Modify, Move, Walk, walks

StartOver = Callable[[], None]


@pytest.fixture
def numbers() -> list[Iterator[int]]:
    """Where the next profile's number comes from: counted as the model does."""
    return [itertools.count(1)]


@pytest.fixture
def service(database: Database, clock_ms: list[int], numbers: list[Iterator[int]]) -> Flask:
    return create_service(database, clock=lambda: clock_ms[0], new_mpid=lambda: next(numbers[0]))


@pytest.fixture
def start_over(database: Database, numbers: list[Iterator[int]]) -> StartOver:
    """Forgets everybody."""

    def forget() -> None:
        numbers[0] = itertools.count(1)
        with database.write() as connection:
            for table in (identity_decisions, profile_identities, profiles):
                connection.execute(delete(table))

    return forget


@pytest.mark.parametrize("strategy", list(DEFAULT_IDS))
def test_every_answer_is_the_model_s(
    database: Database,
    store_workspace: StoreWorkspace,
    start_over: StartOver,
    calls: Calls,
    clock_ms: list[int],
    strategy: str,
) -> None:
    workspace = store_workspace(identity_strategy=strategy)

    @settings(max_examples=12)
    @given(walk=walks)
    def walks_agree(walk: Walk) -> None:
        start_over()
        assert_agreement(walk, workspace, calls, clock_ms)
        # Written as answered: nothing more, and nothing of what was refused.
        assert records(database) == expected_records(walk, workspace)

    walks_agree()


def test_over_tcp_the_answers_are_the_same(
    store_workspace: StoreWorkspace, start_over: StartOver, tcp_calls: Calls, clock_ms: list[int]
) -> None:
    workspace = store_workspace()

    @settings(max_examples=8)
    @given(walk=walks)
    def walks_agree(walk: Walk) -> None:
        start_over()
        assert_agreement(walk, workspace, tcp_calls, clock_ms)

    walks_agree()


def assert_agreement(walk: Walk, workspace: Workspace, calls: Calls, clock_ms: list[int]) -> None:
    model = Model(workspace)
    for step in walk:
        clock_ms[0] += 1
        assert answer_of(asked(calls, step)) == step.expected(model), step


def expected_records(walk: Walk, workspace: Workspace) -> set[tuple[int, str, str]]:
    model = Model(workspace)
    for step in walk:
        step.expected(model)
    return model.records()


def asked(calls: Calls, step: Move | Modify) -> httpx.Response:
    if isinstance(step, Modify):
        return calls.modify(str(step.mpid), step.name, step.old, step.new)
    previous = None if step.previous is None else str(step.previous)
    body = {"known_identities": step.identities, "previous_mpid": previous}
    return calls.post(f"v1/{step.action}", body)


def answer_of(response: httpx.Response) -> Answer:
    """What the service says, in the model's words."""
    if response.status_code != 200:
        return Answer(status_code=response.status_code)
    answer = response.json()
    return Answer(int(answer["mpid"]), answer["is_logged_in"])
