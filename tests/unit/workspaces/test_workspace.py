"""Workspaces in the table that holds them."""

import dataclasses

from higgs_shop.database import Database
from higgs_shop.workspaces import (
    DEFAULT_WORKSPACE,
    Workspace,
    by_api_key,
    ensure_workspace,
    find_workspace,
)

WORKSPACE = Workspace(
    id=DEFAULT_WORKSPACE,
    api_key="key",
    api_secret="canary",
    identity_strategy="profile_conversion",
    identity_priority=("customerid", "email"),
    login_ids=("customerid",),
    unique_ids=("customerid",),
    immutable_ids=(),
)


def test_a_workspace_comes_back_as_it_was_stored(database: Database) -> None:
    with database.write() as connection:
        ensure_workspace(connection, WORKSPACE, 5)
        assert by_api_key(connection, "key") == WORKSPACE
        assert by_api_key(connection, "another") is None


def test_the_settings_win_at_every_start(database: Database) -> None:
    changed = dataclasses.replace(WORKSPACE, api_key="new-key", login_ids=("email",))
    with database.write() as connection:
        ensure_workspace(connection, WORKSPACE, 5)
        ensure_workspace(connection, changed, 6)
        assert by_api_key(connection, "key") is None
        assert by_api_key(connection, "new-key") == changed


def test_the_secret_is_not_shown() -> None:
    assert "canary" not in repr(WORKSPACE)


def test_any_text_may_be_asked_for(database: Database) -> None:
    with database.write() as connection:
        ensure_workspace(connection, WORKSPACE, 5)
        assert find_workspace(connection, DEFAULT_WORKSPACE) == WORKSPACE
        for text in ("", "kiosk", "Default", "default\n", "\x00", "\ud800", "d" * 41, "é", "-a"):
            assert find_workspace(connection, text) is None, text
