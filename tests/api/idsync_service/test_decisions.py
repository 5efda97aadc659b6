"""What is kept of every decision, and what a repeated request does with it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from flask import Flask
from sqlalchemy import event, func, select

from higgs_shop.database import Database
from higgs_shop.idsync_service import create_service, profiles
from higgs_shop.tables import decision_profiles, identity_decisions, profile_identities
from higgs_shop.tables import profiles as profiles_table
from higgs_shop.workspaces import DEFAULT_WORKSPACE
from tests.api.idsync_service.conftest import KEY, NOW_MS, Calls
from tests.api.idsync_service.stored import decisions
from tests.at_once import at_once

S1 = {"device_application_stamp": "s-1"}
pytestmark = pytest.mark.usefixtures("workspace")


def count(database: Database, table: Any) -> int:
    with database.read() as connection:
        return connection.execute(select(func.count()).select_from(table)).scalar_one()


def test_a_decision_tells_every_step(calls: Calls, database: Database) -> None:
    a = calls.move("identify", S1, request_id="r-1")["mpid"]
    calls.login({"customerid": "C-1", **S1}, a)
    calls.identify(S1, a)
    first, login, protected = decisions(database)
    assert (first.action, first.request_id, first.mpid) == ("identify", "r-1", int(a))
    assert first.record["request"] == {"environment": "development", "known_identities": S1}
    assert first.record["answer"]["mpid"] == a
    assert first.decided_at_ms == NOW_MS
    assert [step["rule"] for step in first.record["steps"]] == [
        "looked_up",
        "nobody_found",
        "profile_created",
        "identity_added",
    ]
    assert login.previous_mpid == int(a)
    assert [step["rule"] for step in login.record["steps"]] == [
        "looked_up",
        "looked_up",
        "anonymous_profile_converted",
        "identity_added",
    ]
    assert "login_id_protected" in [step["rule"] for step in protected.record["steps"]]
    protection = protected.record["steps"][1]
    assert protection["mpids"] == [a]
    assert protection["identity_type"] == "device_application_stamp"
    assert a in protection["text"]


def test_a_search_leaves_no_record(calls: Calls, database: Database) -> None:
    calls.search(S1)
    assert decisions(database) == []


class TestLosses:
    """What a decision takes away from others is on record for them, too."""

    def test_who_lost_an_identity_is_kept_beside_the_decision(
        self, calls: Calls, database: Database
    ) -> None:
        loser = calls.login({"customerid": "C-1", "email": "a@example.test"})["mpid"]
        calls.login({"customerid": "C-2", "email": "a@example.test"})
        with database.read() as connection:
            ((about, decision_id),) = connection.execute(
                select(decision_profiles.c.mpid, decision_profiles.c.decision_id)
            )
        assert (str(about), decision_id) == (loser, decisions(database)[-1].id)

    def test_a_repeat_of_a_call_that_took_something_is_answered_as_before(
        self, calls: Calls, database: Database
    ) -> None:
        calls.login({"customerid": "C-1", "email": "a@example.test"})
        both = {"customerid": "C-2", "email": "a@example.test"}
        first, second = (calls.move("login", both, request_id="r-1") for _ in range(2))
        assert first == second
        assert count(database, decision_profiles) == 1

    def test_calls_that_take_nothing_from_others_cost_no_statement_more(
        self, calls: Calls, database: Database
    ) -> None:
        statements: list[str] = []

        def remember(_c: object, _cursor: object, text: str, *_: object) -> None:
            statements.append(text)

        event.listen(database.engine, "before_cursor_execute", remember)
        mpid = calls.identify(S1)["mpid"]
        calls.identify(S1)
        calls.login({"customerid": "C-1", **S1}, mpid)
        calls.modify(mpid, "email", None, "a@example.test")
        assert any("identity_decisions" in text for text in statements)
        assert not any("decision_profiles" in text for text in statements)


class TestRepeats:
    """A lost reply, and the same request again."""

    @pytest.mark.parametrize("action", ["identify", "login", "logout"])
    def test_the_same_request_gets_the_same_answer(
        self, calls: Calls, database: Database, action: str
    ) -> None:
        body = {"customerid": "C-1", **S1} if action == "login" else S1
        answers = [calls.move(action, body, request_id="r-1") for _ in range(10)]
        assert all(answer == answers[0] for answer in answers)
        assert count(database, profiles_table) == 1
        assert count(database, identity_decisions) == 1

    def test_the_same_modify_is_done_once(self, calls: Calls, database: Database) -> None:
        mpid = calls.login({"customerid": "C-1"})["mpid"]
        change = {"identity_type": "email", "old_value": None, "new_value": "a@example.test"}
        body = {"request_id": "r-1", "identity_changes": [change]}
        first = calls.post(f"v1/{mpid}/modify", body).json()
        calls.modify(mpid, "email", "a@example.test", "b@example.test")
        assert calls.post(f"v1/{mpid}/modify", body).json() == first
        assert calls.search({"email": "b@example.test"}).json()["mpid"] == mpid
        assert count(database, identity_decisions) == 3

    def test_the_same_request_may_be_sent_at_another_time(self, calls: Calls) -> None:
        """The documented client dates every attempt anew."""
        first, second = (
            calls.move("logout", S1, request_id="r-1", request_timestamp_ms=at_ms)
            for at_ms in (1_772_360_100_000, 1_772_360_160_000)
        )
        assert first == second

    def test_another_body_is_another_request(self, calls: Calls) -> None:
        one = calls.move("identify", S1, request_id="r-1")["mpid"]
        two = calls.move("identify", {"device_application_stamp": "s-2"}, request_id="r-1")["mpid"]
        assert one != two

    def test_another_action_is_another_request(self, calls: Calls) -> None:
        one = calls.move("identify", S1, request_id="r-1")["mpid"]
        assert calls.move("logout", S1, request_id="r-1")["mpid"] != one

    def test_another_mpid_is_another_request(self, calls: Calls) -> None:
        mpids = [calls.login({"customerid": name})["mpid"] for name in ("C-1", "C-2")]
        for mpid in mpids:
            response = calls.post(
                f"v1/{mpid}/modify", {"request_id": "r-1", "identity_changes": []}
            )
            assert response.json()["mpid"] == mpid


def post(service: Flask, action: str, body: dict[str, Any]) -> str:
    response = service.test_client().post(
        f"/v1/{action}",
        data=json.dumps({"environment": "development", **body}),
        headers={"x-mp-key": KEY},
    )
    assert response.status_code == 200, response.text
    return str(response.get_json()["mpid"])


def test_logins_at_once_leave_one_profile(service: Flask, database: Database) -> None:
    def login(number: int) -> Callable[[], str]:
        identities = {"customerid": "C-1", "device_application_stamp": f"s-{number}"}
        return lambda: post(service, "login", {"known_identities": identities})

    mpids = at_once([login(number) for number in range(16)])
    assert len(set(mpids)) == 1
    with database.read() as connection:
        rows = connection.execute(
            select(profile_identities.c.identity_type, func.count())
            .where(profile_identities.c.mpid == int(mpids[0]))
            .group_by(profile_identities.c.identity_type)
        )
        assert dict(rows.all()) == {
            "customerid": 1,
            "device_application_stamp": 16,
        }


def test_repeats_at_once_leave_one_profile(service: Flask, database: Database) -> None:
    body = {"request_id": "r-1", "known_identities": S1}
    mpids = at_once([lambda: post(service, "logout", body) for _ in range(8)])
    assert len(set(mpids)) == 1
    assert count(database, identity_decisions) == 1


def test_changes_at_once_leave_one_address(service: Flask, database: Database) -> None:
    mpid = post(service, "login", {"known_identities": {"customerid": "C-1", "email": "old@x"}})

    def login(number: int) -> Callable[[], str]:
        identities = {"customerid": "C-1", "email": f"{number}@x"}
        return lambda: post(service, "login", {"known_identities": identities})

    def modify(number: int) -> Callable[[], str]:
        change = {"identity_type": "email", "old_value": "old@x", "new_value": f"{number}@x"}
        return lambda: post(service, f"{mpid}/modify", {"identity_changes": [change]})

    at_once([(login if number % 2 else modify)(number) for number in range(8)])
    with database.read() as connection:
        emails = connection.execute(
            select(func.count())
            .select_from(profile_identities)
            .where(profile_identities.c.identity_type == "email")
        ).scalar_one()
    assert emails == 1


def test_a_number_that_is_taken_is_drawn_again(database: Database) -> None:
    numbers = iter([7, 7, 7, 8])
    service = create_service(database, clock=lambda: NOW_MS, new_mpid=lambda: next(numbers))
    with httpx.Client(transport=httpx.WSGITransport(service), base_url="http://localhost") as http:
        calls = Calls(http)
        assert calls.identify(S1)["mpid"] == "7"
        assert calls.logout(S1)["mpid"] == "8"


def test_a_call_is_one_write_transaction(calls: Calls, database: Database) -> None:
    a = calls.identify(S1)["mpid"]
    commits: list[None] = []
    event.listen(database.engine, "commit", lambda _connection: commits.append(None))
    calls.identify(S1, a)
    assert len(commits) == 1
    calls.logout(S1, a)
    assert len(commits) == 2
    calls.search(S1)
    assert len(commits) == 2


def test_a_look_up_never_reads_the_whole_table(sqlite_file: Path) -> None:
    """SQLite's plan: every table is searched by all columns of an index."""
    database = Database(f"sqlite:///{sqlite_file}")
    executed: list[tuple[str, Any]] = []
    event.listen(
        database.engine,
        "before_cursor_execute",
        lambda _c, _cursor, text, values, *_: executed.append((text, values)),
    )
    identities = [("email", "a@x"), ("customerid", "C-1"), ("other", "handle")]
    with database.read() as connection:
        profiles.load(connection, DEFAULT_WORKSPACE, identities, 7)
        text, values = executed[-1]
        plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {text}", values)
        lines = [row.detail for row in plan]
    database.close()
    searches = [line for line in lines if line.startswith("SEARCH")]
    assert len(searches) == 4
    assert all("mpid=?" in line or "identity_value=?" in line for line in searches)
    assert [line for line in lines if line.startswith("SCAN")] == ["SCAN CONSTANT ROW"]
