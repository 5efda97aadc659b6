"""Outputs are made, changed, paused and removed; what the environment says of the main one holds."""

from typing import Any, Final

import pytest
from sqlalchemy import select

from higgs_shop import outbox
from higgs_shop.database import Database
from higgs_shop.outputs import (
    MAIN_OUTPUT,
    NoSuchOutput,
    Output,
    OutputRefused,
    OutputSettings,
    add_output,
    change_output,
    end_gathering,
    ensure_main_output,
    find_output,
    held_output,
    hold_alone,
    list_outputs,
    outputs_ending,
    outputs_of,
    pause_output,
    remove_output,
    resume_output,
    running_outputs,
)
from higgs_shop.tables import gatherings, mailboxes, messages
from higgs_shop.workspaces import add_workspace, new_workspace

NOW_MS: Final = 1_700_000_000_000
SECRET: Final = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


@pytest.fixture
def database(database: Database) -> Database:
    with database.write() as connection:
        for name in ("default", "kiosk"):
            add_workspace(connection, new_workspace({"id": name}), NOW_MS)
    return database


def ensure(database: Database, authorization: str | None = None, **given: Any) -> Output:
    """The main output, as after a start with these in the environment."""
    with database.write() as connection:
        ensure_main_output(
            connection, "default", now_ms=NOW_MS, given=given, authorization=authorization
        )
    return find(database)


def find(database: Database, name: str = MAIN_OUTPUT) -> Output:
    with database.read() as connection:
        output = find_output(connection, "default", name)
    assert output is not None
    return output


def add(database: Database, name: str, workspace_id: str = "default", **given: Any) -> None:
    with database.write() as connection:
        add_output(
            connection,
            workspace_id,
            name,
            OutputSettings(**given),
            authorization="Bearer canary",
            secrets=(SECRET,),
            now_ms=NOW_MS,
        )


def change(database: Database, output: Output, *, authorization: str = "", **given: Any) -> Output:
    with database.write() as connection:
        change_output(
            connection,
            output,
            OutputSettings(**given),
            authorization=authorization,
            secrets=output.secrets,
        )
    return find(database, output.name)


def test_the_main_output_posts_to_the_inbox_and_sends_identity_changes(database: Database) -> None:
    output = ensure(database)
    assert output.name == "webhook"
    assert output.settings == OutputSettings(send_user_identity_changes=True)
    assert (output.authorization, output.secrets, output.from_environment) == ("", (), ())
    assert (output.state, output.pause_reason, output.paused_at_ms) == ("running", "", None)
    assert (output.is_full, output.gathering, output.created_at_ms) == (False, "no", NOW_MS)
    assert ensure(database) == output


def test_the_environment_comes_changes_and_goes(database: Database) -> None:
    ensure(database)
    given = ensure(database, "Bearer one", url="https://a.example/hook", send_alias_requests=True)
    assert given.settings.url == "https://a.example/hook"
    assert given.settings.send_alias_requests
    assert given.settings.send_user_identity_changes
    assert given.authorization == "Bearer one"
    assert given.from_environment == ("authorization", "send_alias_requests", "url")

    other = ensure(database, url="https://b.example/hook")
    assert (other.settings.url, other.settings.send_alias_requests) == (
        "https://b.example/hook",
        False,
    )
    assert (other.authorization, other.from_environment) == ("", ("url",))
    assert ensure(database).settings == OutputSettings(send_user_identity_changes=True)


def test_what_somebody_has_set_stays_where_the_environment_says_nothing(
    database: Database,
) -> None:
    mine = change(
        database, ensure(database), authorization="Bearer mine", url="https://mine.example"
    )
    assert ensure(database) == mine
    theirs = ensure(database, "Bearer theirs", url="https://theirs.example")
    assert (theirs.authorization, theirs.settings.url) == (
        "Bearer theirs",
        "https://theirs.example",
    )


def test_nobody_changes_what_the_environment_gives(database: Database) -> None:
    output = ensure(database, "Bearer theirs", url="https://theirs.example")
    changed = change(
        database,
        output,
        authorization="Bearer mine",
        url="https://mine.example",
        unique_id="demo",
    )
    assert changed.settings == OutputSettings(url="https://theirs.example", unique_id="demo")
    assert changed.authorization == "Bearer theirs"
    assert changed.from_environment == output.from_environment


def test_an_output_is_as_it_was_made(database: Database) -> None:
    add(database, "Bosón ☕", url="https://a.example", left_out_metadata=("source_info",))
    output = find(database, "Bosón ☕")
    assert output.settings.left_out_metadata == ("source_info",)
    assert (output.authorization, output.secrets) == ("Bearer canary", (SECRET,))
    assert output.from_environment == ()
    assert "canary" not in repr(output)
    assert SECRET not in repr(output)
    with database.read() as connection:
        assert find_output(connection, "default", "no\x00body") is None


def test_a_name_is_taken_once_in_a_workspace(database: Database) -> None:
    add(database, "one")
    add(database, "one", "kiosk")
    with pytest.raises(OutputRefused) as refused:
        add(database, "one")
    (mistake,) = refused.value.mistakes
    assert (mistake.field, mistake.shown) == ("name", "one")
    assert "choose another" in mistake.reason
    assert "choose another" in str(refused.value)


def test_each_workspace_has_its_own_in_the_order_of_their_making(database: Database) -> None:
    ensure(database)
    add(database, "b", "kiosk")
    add(database, "a")
    with database.read() as connection:
        assert [each.name for each in list_outputs(connection, "default")] == ["webhook", "a"]
        assert [each.name for each in list_outputs(connection, "kiosk")] == ["b"]
        assert [each.name for each in running_outputs(connection)] == ["webhook", "b", "a"]
    with database.write() as connection:
        assert [each.name for each in outputs_of(connection, "default")] == ["webhook", "a"]
        output = outputs_of(connection, "kiosk")[0]
        assert held_output(connection, "kiosk", output.id) == output
        assert held_output(connection, "default", output.id) is None
        pause_output(connection, output.id, "it is gone", NOW_MS)
        assert [each.name for each in running_outputs(connection)] == ["webhook", "a"]


def test_pausing_says_why_and_since_when_and_once(database: Database) -> None:
    output = ensure(database)
    with database.write() as connection:
        assert pause_output(connection, output.id, "it is gone", NOW_MS + 1)
        assert not pause_output(connection, output.id, "again", NOW_MS + 2)
    paused = find(database)
    assert (paused.state, paused.pause_reason, paused.paused_at_ms) == (
        "paused",
        "it is gone",
        NOW_MS + 1,
    )
    assert ensure(database, url="https://a.example").state == "paused", "a restart is no resuming"
    with database.write() as connection:
        assert resume_output(connection, output.id)
        assert not resume_output(connection, output.id)
    resumed = find(database)
    assert (resumed.state, resumed.pause_reason, resumed.paused_at_ms) == ("running", "", None)


def test_gathering_ends_when_nothing_is_left(database: Database) -> None:
    output = ensure(database)
    assert change(database, output).gathering == "no"
    gathering = change(database, output, send_as_batch=True)
    assert gathering.gathering == "yes"
    ending = change(database, gathering)
    assert ending.gathering == "ending"
    assert change(database, gathering).gathering == "ending"
    with database.write() as connection:
        assert outputs_ending(connection) == [ending]
        hold_alone(connection, ending)
        end_gathering(connection, ending)
    assert find(database).gathering == "no"
    assert change(database, output, wait_for_session=True, is_active=False).gathering == "no"


def test_removing_takes_everything_that_was_for_it_along(database: Database) -> None:
    for name in ("stays", "goes"):
        add(database, name)
    stays, goes = find(database, "stays"), find(database, "goes")
    with database.write() as connection:
        for output in (stays, goes):
            outbox.enqueue(
                connection,
                workspace_id="default",
                output_id=output.id,
                mpid=1,
                drafts=[outbox.Draft(None, lambda *_: b"{}", (1, 2))],
                now_ms=NOW_MS,
            )
        remove_output(connection, goes)
    with database.read() as connection:
        assert find_output(connection, "default", "goes") is None
        for table in (messages, mailboxes):
            assert list(connection.scalars(select(table.c.output_id))) == [stays.id]
        assert connection.execute(select(gatherings)).all() == []
        states = outbox.messages_of_events(connection, "default", [1, 2])
    assert {len(each) for each in states.values()} == {1}
    with database.write() as connection, pytest.raises(NoSuchOutput):
        remove_output(connection, goes)
    with pytest.raises(NoSuchOutput):
        change(database, goes)


def test_the_main_output_stays(database: Database) -> None:
    output = ensure(database)
    with database.write() as connection, pytest.raises(OutputRefused, match="make it inactive"):
        remove_output(connection, output)
    assert find(database) == output
