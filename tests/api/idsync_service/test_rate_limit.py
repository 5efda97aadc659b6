"""A limit of calls for each API key: what callers are told, and whose calls count."""

import base64

import pytest
from flask import Flask
from werkzeug.test import Client, TestResponse

from higgs_shop.apis.rate_limit import Limit, RateLimiter
from higgs_shop.database import Database
from higgs_shop.idsync_service import create_service, random_mpid
from tests.api.idsync_service.conftest import KEY, SECRET, StoreWorkspace

pytestmark = [
    pytest.mark.usefixtures("workspace"),
    # The limit is counted in memory: one kind of database is enough.
    pytest.mark.parametrize("database_url", ["sqlite"], indirect=True),
]

BODY = {"environment": "development", "known_identities": {"customerid": "C-1"}}
USED = "X-MP-Rate-Limit-Percentage-Used"


@pytest.fixture
def service(database: Database, clock_ms: list[int]) -> Flask:
    """Lets in four calls a minute."""

    def clock() -> int:
        return clock_ms[0]

    limiter = RateLimiter(Limit(4, 60_000), clock=clock)
    return create_service(database, clock=clock, new_mpid=random_mpid, rate_limiter=limiter)


@pytest.fixture
def client(service: Flask) -> Client:
    return service.test_client()


def call(client: Client, *, key: str = KEY, path: str = "/v1/identify") -> TestResponse:
    return client.post(path, json=BODY, headers={"x-mp-key": key})


def test_the_fifth_call_is_answered_with_429_and_told_when_to_come_back(client: Client) -> None:
    answers = [call(client) for _ in range(5)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 200, 429]
    assert [answer.headers[USED] for answer in answers] == ["25", "50", "75", "100", "100"]
    refused = answers[-1]
    assert refused.headers["Retry-After"] == "15"
    assert refused.headers["X-MP-Rate-Limit-Exceeded"] == '"app"'
    assert refused.get_json() == {
        "errors": [
            {
                "code": "TOO_MANY_REQUESTS",
                "message": "the API key has used up its limit; try again in 15 seconds",
            }
        ]
    }


def test_who_waits_as_told_is_let_in(client: Client, clock_ms: list[int]) -> None:
    for _ in range(4):
        call(client)
    clock_ms[0] += 1_000 * int(call(client).headers["Retry-After"])
    assert call(client).status_code == 200


def test_browsers_may_read_what_a_limit_says(client: Client) -> None:
    for answer in [call(client) for _ in range(5)]:
        assert answer.headers["Access-Control-Allow-Origin"] == "*"
        exposed = answer.headers["Access-Control-Expose-Headers"].split(", ")
        assert {USED, "Retry-After", "X-MP-Rate-Limit-Exceeded"} == set(exposed)


def test_every_answer_to_a_known_caller_says_how_much_is_used(client: Client) -> None:
    not_found = call(client, path="/v1/search")
    refused = client.post("/v1/identify", json={}, headers={"x-mp-key": KEY})
    assert (not_found.status_code, not_found.headers[USED]) == (404, "25")
    assert (refused.status_code, refused.headers[USED]) == (400, "50")


def test_a_wrong_secret_or_key_uses_up_nobodys_limit(client: Client) -> None:
    wrong = base64.b64encode(f"{KEY}:not {SECRET}".encode()).decode()
    for headers in ({"Authorization": f"Basic {wrong}"}, {"x-mp-key": "nobody's"}, {}):
        for _ in range(9):
            answer = client.post("/v1/identify", json=BODY, headers=headers)
            assert answer.status_code == 401
            assert USED not in answer.headers
    assert call(client).headers[USED] == "25"


def test_what_needs_no_key_is_not_counted(client: Client) -> None:
    for _ in range(9):
        assert client.options("/v1/identify").status_code == 204
        assert client.get("/v1/identify").status_code == 405
    assert call(client).headers[USED] == "25"


def test_keys_have_limits_of_their_own(client: Client, store_workspace: StoreWorkspace) -> None:
    store_workspace(workspace_id="another", api_key="another-key")
    for _ in range(5):
        call(client)
    assert call(client).status_code == 429
    assert call(client, key="another-key").headers[USED] == "25"


def test_a_refused_call_changes_nothing(client: Client, database: Database) -> None:
    for _ in range(4):
        call(client, path="/v1/search")
    assert call(client).status_code == 429
    with database.read() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM profiles").scalar() == 0


def test_without_a_limit_nothing_is_said_about_one(database: Database) -> None:
    free = create_service(database, clock=lambda: 1_772_360_100_000, new_mpid=random_mpid)
    answer = call(free.test_client())
    assert answer.status_code == 200
    assert USED not in answer.headers
