"""Many who call at once about the same few people: as if they had called one after the other."""

import json
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any, Final

import pytest
from sqlalchemy import select

from higgs_shop.database import Database
from higgs_shop.identity_types import DEFAULT_IDS
from higgs_shop.tables import aliases
from higgs_shop.workspaces import Workspace, remove_workspace
from tests.api.idsync_service.conftest import Calls, StoreWorkspace
from tests.api.idsync_service.crowd import CUSTOMERS, READY, VALUES, Heard, call_at_once, crowd
from tests.api.idsync_service.stored import decisions, records
from tests.at_once import at_once
from tests.identity_rules.model import Answer, Model

PROJECT: Final = Path(__file__).parents[3]
PATIENCE_SECONDS: Final = 120

# Everybody with the seed of somebody else sends the same requests once more, at about the same time.
SEEDS: Final = ("a", "a", "b", "b", "c", "d", "e", "f", "g", "h")
PROCESSES: Final = (("a", "b", "c"), ("a", "d", "e"), ("b", "f", "g"))


@pytest.mark.parametrize("strategy", list(DEFAULT_IDS))
def test_many_threads_leave_what_one_would(
    database: Database, store_workspace: StoreWorkspace, calls: Calls, strategy: str
) -> None:
    workspace = store_workspace(identity_strategy=strategy)
    heard = call_at_once(database, SEEDS)
    assert_all_is_well(database, workspace, calls, heard)


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_many_processes_leave_what_one_would(
    database: Database, workspace: Workspace, calls: Calls, database_url: str
) -> None:
    heard = heard_by_processes(database_url)
    assert_all_is_well(database, workspace, calls, heard)


def test_a_workspace_may_be_removed_while_everybody_calls(
    database: Database, store_workspace: StoreWorkspace
) -> None:
    def remove() -> list[Heard]:
        with database.write() as connection:
            remove_workspace(connection, "kiosk")
        return []

    store_workspace(workspace_id="kiosk")
    callers = crowd(database, SEEDS)
    at_once([caller.call_all for caller in callers])
    said = at_once([*(caller.call_all for caller in callers), remove])
    heard = [each for of_one in said for each in of_one]
    assert {each.status_code for each in heard} <= {200, 202, 400, 401, 404}
    (late,) = crowd(database, ["late"])
    assert {each.status_code for each in late.call_all()} == {401}
    assert database.is_sqlite or not any(each.busy for each in heard)
    assert records(database) == set()
    assert decisions(database) == []


def heard_by_processes(url: str) -> list[Heard]:
    """Processes with a database and a service of their own, which begin together."""
    processes = [
        subprocess.Popen(
            [sys.executable, "-m", "tests.api.idsync_service.crowd", url, *seeds],
            cwd=PROJECT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for seeds in PROCESSES
    ]
    try:
        for process in processes:
            assert process.stdout is not None
            assert process.stdout.readline() == READY
        said = at_once(
            [partial(process.communicate, "go\n", PATIENCE_SECONDS) for process in processes]
        )
    finally:
        for process in processes:
            process.kill()
            process.communicate()
    return [Heard(**each) for of_one, _ in said for each in json.loads(of_one)]


def assert_all_is_well(
    database: Database, workspace: Workspace, calls: Calls, heard: list[Heard]
) -> None:
    assert_answered(database, heard)
    assert_decided_once(database, heard)
    assert_unique_values_stand_once(database, workspace)
    assert_orphans_stay_orphans(database)
    assert_aliases_keep_their_history(database)
    assert_as_one_after_the_other(database, workspace, calls)
    if workspace.login_ids:
        assert_everybody_has_one_mpid(calls)


def assert_answered(database: Database, heard: list[Heard]) -> None:
    """Nothing failed. On PostgreSQL nothing is ever busy: only a deadlock would be."""
    assert {each.status_code for each in heard} <= {200, 202, 400, 403, 404}
    assert sum(each.status_code == 200 for each in heard) > len(heard) / 4
    if not database.is_sqlite:
        assert [each for each in heard if each.busy] == []


def assert_decided_once(database: Database, heard: list[Heard]) -> None:
    """One decision for each request id, and everybody who sent it was answered with its profile."""
    decided = {each.request_id: each for each in decisions(database) if each.request_id}
    assert len(decided) == sum(each.request_id is not None for each in decisions(database))
    sent = [each for each in heard if each.status_code == 200 and each.request_id in decided]
    assert sent
    assert [each for each in sent if each.mpid != str(decided[each.request_id].mpid)] == []


def assert_unique_values_stand_once(database: Database, workspace: Workspace) -> None:
    unique = [(name, value) for _, name, value in records(database) if name in workspace.unique_ids]
    assert len(unique) == len(set(unique))


def assert_orphans_stay_orphans(database: Database) -> None:
    """Whoever lost the last identity is never returned again."""
    orphans: set[str] = set()
    for decision in decisions(database):
        if decision.action != "alias":
            assert str(decision.mpid) not in orphans, decision
        for step in decision.record["steps"]:
            if step["rule"] == "orphaned":
                orphans.update(step["mpids"])


def assert_aliases_keep_their_history(database: Database) -> None:
    """Nobody is source and destination, and no time of a source is carried over twice."""
    with database.read() as connection:
        effective = connection.execute(select(aliases).where(aliases.c.state != "dropped")).all()
    sources = [each.source_mpid for each in effective]
    assert not {*sources} & {each.destination_mpid for each in effective}
    # No alias of the crowd ends before all have begun: any two overlap.
    assert len(sources) == len(set(sources))


def assert_as_one_after_the_other(database: Database, workspace: Workspace, calls: Calls) -> None:
    """The model, asked in the order of the decisions, answers the same and ends with the same."""
    model, numbers = Model(workspace), dict[int, int]()
    for decision in sorted(decisions(database), key=lambda each: each.decided_at_ms):
        if decision.action == "alias":
            continue
        expected = answer_of_model(model, decision, numbers)
        assert expected.mpid is not None, decision
        known = numbers.setdefault(decision.mpid, expected.mpid)
        answer = decision.record["answer"]
        assert Answer(known, answer["is_logged_in"]) == expected, decision
    assert len(numbers) == len(set(numbers.values()))
    assert {
        (numbers[mpid], name, value) for mpid, name, value in records(database)
    } == model.records()
    for name, values in VALUES.items():
        for value in values:
            found = calls.search({name: value}).json().get("mpid")
            assert (found and numbers[int(found)]) == model.search({name: value}).mpid


def answer_of_model(model: Model, decision: Any, numbers: dict[int, int]) -> Answer:
    request = decision.record["request"]
    previous = numbers.get(decision.previous_mpid)
    if decision.action != "modify":
        return model.move(decision.action, request["known_identities"], previous)
    assert previous is not None
    answers = [
        model.modify(previous, each["identity_type"], each["old_value"], each["new_value"])
        for each in request["identity_changes"]
    ]
    return answers[-1]


def assert_everybody_has_one_mpid(calls: Calls) -> None:
    """From wherever somebody signs in, they are who search says they are."""
    for customer in CUSTOMERS:
        person = {"customerid": customer}
        logins = at_once([partial(calls.login, person)] * 4)
        found = calls.search(person).json()["mpid"]
        assert {answer["mpid"] for answer in logins} == {found}
