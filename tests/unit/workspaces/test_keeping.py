"""Workspaces are made, listed, changed and removed; the default one belongs to the environment."""

import dataclasses
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import Connection, insert

from higgs_shop.database import Database
from higgs_shop.tables import events, profiles
from higgs_shop.workspaces import (
    MOST_COUNTED,
    DefaultWorkspace,
    NoSuchWorkspace,
    WorkspaceRefused,
    add_workspace,
    by_api_key,
    change_workspace,
    ensure_workspace,
    find_workspace,
    list_workspaces,
    listed_workspace,
    new_workspace,
    remove_workspace,
)

DEFAULT = new_workspace({"id": "default", "api_key": "demo"})
KIOSK = new_workspace({"id": "kiosk", "api_key": "key"})


@pytest.fixture
def database(database: Database) -> Database:
    with database.write() as connection:
        ensure_workspace(connection, DEFAULT, 1)
    return database


def fill(connection: Connection, workspace_id: str, number: int) -> None:
    """So many profiles."""
    moments = {column.name: 1 for column in profiles.c if column.name.endswith("_ms")}
    row = {"workspace_id": workspace_id, "identities": {}, **moments}
    connection.execute(insert(profiles), [{**row, "mpid": mpid} for mpid in range(1, number + 1)])


def log(connection: Connection, workspace_id: str) -> None:
    """One event."""
    event: dict[str, Any] = {
        "workspace_id": workspace_id,
        "visit_id": 1,
        "session_id": 1,
        "session_sequence": 1,
        "request_id": "r",
        "event_type": "custom_event",
        "name": "n",
        "data": {},
        "source_message_id": "m",
        "code_place": "c",
        "logged_at_ms": 1,
    }
    connection.execute(insert(events), event)


def test_one_is_added_and_found_by_its_key(database: Database) -> None:
    with database.write() as connection:
        add_workspace(connection, KIOSK, 5)
        assert by_api_key(connection, "key") == KIOSK


@pytest.mark.parametrize(
    ("given", "field", "reason"),
    [
        ({"id": "kiosk"}, "id", "there is a workspace of that name; choose another"),
        ({"id": "default"}, "id", "there is a workspace of that name; choose another"),
        (
            {"id": "other", "api_key": "key"},
            "api_key",
            "another workspace has that key; choose another",
        ),
    ],
)
def test_names_and_keys_are_there_once(
    database: Database, given: dict[str, str], field: str, reason: str
) -> None:
    with database.write() as connection:
        add_workspace(connection, KIOSK, 5)
    with pytest.raises(WorkspaceRefused) as raised, database.write() as connection:
        add_workspace(connection, new_workspace(given), 6)
    assert [(each.field, each.reason) for each in raised.value.mistakes] == [(field, reason)]
    with database.read() as connection:
        assert find_workspace(connection, "kiosk") == KIOSK


def test_of_several_that_want_one_key_at_once_one_gets_it(database: Database) -> None:
    def add(number: int) -> bool:
        try:
            with database.write() as connection:
                wanted = new_workspace({"id": f"w-{number}", "api_key": "the-one"})
                add_workspace(connection, wanted, 5)
        except WorkspaceRefused:
            return False
        return True

    with ThreadPoolExecutor(4) as threads:
        assert sum(threads.map(add, range(8))) == 1


def test_one_is_changed(database: Database) -> None:
    changed = new_workspace({"id": "kiosk", "api_key": "new", "identity_strategy": "best_match"})
    with database.write() as connection:
        add_workspace(connection, KIOSK, 5)
        change_workspace(connection, changed)
        assert find_workspace(connection, "kiosk") == changed
        assert by_api_key(connection, "key") is None


def test_a_key_is_not_taken_from_another(database: Database) -> None:
    with database.write() as connection:
        add_workspace(connection, KIOSK, 5)
    taking = dataclasses.replace(KIOSK, api_key="demo")
    with pytest.raises(WorkspaceRefused, match="has that key"), database.write() as connection:
        change_workspace(connection, taking)
    with database.read() as connection:
        assert find_workspace(connection, "kiosk") == KIOSK


def test_the_default_one_is_neither_changed_nor_removed(database: Database) -> None:
    with database.write() as connection:
        with pytest.raises(DefaultWorkspace):
            change_workspace(connection, dataclasses.replace(DEFAULT, login_ids=("email",)))
        with pytest.raises(DefaultWorkspace):
            remove_workspace(connection, "default")
        assert find_workspace(connection, "default") == DEFAULT


def test_what_is_not_there_is_neither_changed_nor_removed(database: Database) -> None:
    with database.write() as connection:
        with pytest.raises(NoSuchWorkspace):
            change_workspace(connection, KIOSK)
        with pytest.raises(NoSuchWorkspace):
            remove_workspace(connection, "kiosk")


def test_one_that_is_removed_leaves_nothing_for_the_next_of_its_name(database: Database) -> None:
    with database.write() as connection:
        add_workspace(connection, KIOSK, 5)
        fill(connection, "kiosk", 3)
        fill(connection, "default", 2)
        remove_workspace(connection, "kiosk")
        log(connection, "kiosk")  # an upload that came too late
        log(connection, "default")
        add_workspace(connection, KIOSK, 6)
        listed = list_workspaces(connection, most=9)
    assert [(of.workspace.id, of.profiles, of.events) for of in listed] == [
        ("default", 2, 1),
        ("kiosk", 0, 0),
    ]


def test_they_are_listed_by_name_page_by_page(database: Database) -> None:
    with database.write() as connection:
        for name in ("zoo", "kiosk", "a"):
            add_workspace(connection, new_workspace({"id": name}), 5)
        first = list_workspaces(connection, most=3)
        assert [of.workspace.id for of in first] == ["a", "default", "kiosk"]
        assert [of.is_default for of in first] == [False, True, False]
        (last,) = list_workspaces(connection, after="kiosk", most=3)
        assert (last.workspace.id, last.created_at_ms) == ("zoo", 5)


def test_counting_ends_somewhere(database: Database) -> None:
    with database.write() as connection:
        fill(connection, "default", MOST_COUNTED + 2)
        listed = listed_workspace(connection, "default")
        assert listed is not None
        assert listed.profiles == MOST_COUNTED + 1
        assert listed_workspace(connection, "kiosk") is None
