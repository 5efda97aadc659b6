"""The two queries of the documented API: read_only, which changes nothing, and return_matches."""

from typing import Any

import pytest
from sqlalchemy import select

from higgs_shop.database import Database
from higgs_shop.tables import metadata
from tests.api.idsync_service.conftest import Calls, StoreWorkspace

STAMP = {"device_application_stamp": "s-1"}
ADA = {"customerid": "C-1", "email": "ada@example.test", **STAMP}

pytestmark = pytest.mark.usefixtures("workspace")


@pytest.fixture
def dump(database: Database) -> Any:
    """Reads everything that is stored."""

    def read() -> dict[str, list[Any]]:
        with database.read() as connection:
            return {
                name: list(connection.execute(select(table).order_by(*table.primary_key.columns)))
                for name, table in metadata.tables.items()
            }

    return read


def would_be(calls: Calls, action: str, identities: dict[str, str], previous: str | None) -> Any:
    body = {"known_identities": identities, "previous_mpid": previous}
    response = calls.post(f"v1/{action}?read_only=true", body)
    assert response.status_code == 200, response.text
    return response.json()


@pytest.mark.parametrize("action", ["identify", "login", "logout"])
def test_a_new_profile_has_no_mpid_yet(calls: Calls, dump: Any, action: str) -> None:
    before = dump()
    identities = ADA if action == "login" else STAMP
    assert would_be(calls, action, identities, None) == {
        "context": None,
        "mpid": None,
        "matched_identities": {},
        "is_ephemeral": False,
        "is_logged_in": action == "login",
    }
    assert dump() == before


def test_the_answer_is_the_one_that_would_be_given(
    calls: Calls, dump: Any, clock_ms: list[int]
) -> None:
    anonymous = calls.identify(STAMP)["mpid"]
    clock_ms[0] += 1
    before = dump()
    said = would_be(calls, "login", ADA, anonymous)
    assert dump() == before, "not even when the profile was seen last"
    assert (said["mpid"], said["is_logged_in"]) == (anonymous, True)
    assert said == calls.login(ADA, anonymous)


def test_modify_says_what_it_would_do(calls: Calls, dump: Any) -> None:
    owner = calls.login(ADA)["mpid"]
    other = calls.login({"customerid": "C-2"})["mpid"]
    before = dump()
    change = {"identity_type": "email", "old_value": None, "new_value": "ada@example.test"}
    response = calls.post(f"v1/{other}/modify?read_only=true", {"identity_changes": [change]})
    assert response.json()["change_results"] == [{"identity_type": "email", "modified_mpid": other}]
    assert dump() == before
    assert calls.search({"email": "ada@example.test"}).json()["mpid"] == owner


def test_what_would_be_refused_is_refused(
    store_workspace: StoreWorkspace, calls: Calls, clock_ms: list[int]
) -> None:
    mpid = calls.login(ADA)["mpid"]
    store_workspace(immutable_ids=("customerid",))
    clock_ms[0] += 1_000
    change = {"identity_type": "customerid", "old_value": "C-1", "new_value": "C-9"}
    response = calls.post(f"v1/{mpid}/modify?read_only=true", {"identity_changes": [change]})
    assert response.status_code == 400
    assert calls.post("v1/4711/modify?read_only=true", {"identity_changes": []}).status_code == 400


def test_read_only_false_and_unknown_queries_change_nothing_of_a_call(calls: Calls) -> None:
    body = {"known_identities": STAMP}
    mpid = calls.post("v1/identify?read_only=false&cb=1", body).json()["mpid"]
    assert mpid == calls.identify(STAMP)["mpid"]


@pytest.mark.parametrize("action", ["identify", "search"])
def test_matches_are_left_out_on_request(calls: Calls, action: str) -> None:
    calls.identify(STAMP)
    body = {"known_identities": STAMP}
    for query, matches in (("", STAMP), ("true", STAMP), ("false", {})):
        path = f"v1/{action}?return_matches={query}" if query else f"v1/{action}"
        assert calls.post(path, body).json()["matched_identities"] == matches


@pytest.mark.parametrize("path", ["v1/identify", "v1/search", "v1/4711/modify"])
def test_anything_but_true_and_false_is_named(calls: Calls, dump: Any, path: str) -> None:
    before = dump()
    response = calls.post(f"{path}?read_only=yes&return_matches=", {"known_identities": STAMP})
    assert response.status_code == 400
    assert [error["message"] for error in response.json()["errors"]] == [
        "read_only: use true or false, once",
        "return_matches: use true or false, once",
    ]
    assert dump() == before
