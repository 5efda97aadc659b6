"""Alias: what is accepted, what is refused, what is accepted and has no effect; rows 18 and 19 of the visit."""

import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from sqlalchemy import select

from higgs_shop.aliasing import Aliasing
from higgs_shop.database import Database
from higgs_shop.idsync_service import Aliases, WorkspacesByKey, create_alias_service
from higgs_shop.idsync_service.authentication import signature
from higgs_shop.tables import aliases as aliases_table
from higgs_shop.tables import profiles
from tests.api.idsync_service.conftest import KEY, NOW_MS, SECRET, Calls, StoreWorkspace

DAY_MS = 86_400_000
HOUR_MS = 3_600_000
S1 = {"device_application_stamp": "s-1"}
S2 = {"device_application_stamp": "s-2"}

Ask = Callable[..., httpx.Response]

pytestmark = pytest.mark.usefixtures("workspace")


@pytest.fixture
def delay_ms() -> int:
    return 0


@pytest.fixture
def ask(database: Database, clock_ms: list[int], delay_ms: int) -> Ask:
    """Sends an alias request; what is not given is as the Web SDK sends it."""

    def clock() -> int:
        return clock_ms[0]

    service = create_alias_service(
        Aliases(database, clock=clock, delay_ms=delay_ms),
        find_workspace=WorkspacesByKey(database, clock=clock),
        clock=clock,
    )
    http = httpx.Client(
        transport=httpx.WSGITransport(service.wsgi_app), base_url="http://localhost"
    )

    def post(
        source: Any,
        destination: Any,
        *,
        path: str = f"/{KEY}/Alias",
        headers: dict[str, str] | None = None,
        without: str | None = None,
        data: dict[str, Any] | None = None,
        **members: Any,
    ) -> httpx.Response:
        body: dict[Any, Any] = {
            "request_type": "alias",
            "environment": "development",
            "api_key": KEY,
            "data": {
                "destination_mpid": destination,
                "source_mpid": source,
                "start_unixtime_ms": NOW_MS - HOUR_MS,
                "end_unixtime_ms": NOW_MS,
                **(data or {}),
            },
            **members,
        }
        for of in (body["data"], body):
            of.pop(without, None)
        return http.post(path, content=json.dumps(body), headers=headers or {})

    return post


def carry_out(database: Database, clock_ms: list[int]) -> int:
    aliasing = Aliasing(database, clock=lambda: clock_ms[0], on_messages=lambda: None)
    return aliasing.carry_out_due()


def states(database: Database) -> list[str]:
    with database.read() as connection:
        rows = connection.execute(select(aliases_table.c.state).order_by(aliases_table.c.id))
        return list(rows.scalars())


@pytest.fixture
def two(calls: Calls) -> tuple[str, str]:
    """An anonymous profile and a known one."""
    anonymous = calls.identify(S1)["mpid"]
    known = calls.login({"customerid": "C-1", **S2})["mpid"]
    return anonymous, known


class TestAnswers:
    """What a client is told."""

    def test_18_from_one_profile_to_another_is_accepted(
        self, ask: Ask, two: tuple[str, str], database: Database
    ) -> None:
        response = ask(*two)
        assert (response.status_code, response.content) == (202, b"")
        assert response.headers["Access-Control-Allow-Origin"] == "*"
        assert states(database) == ["waiting"]

    def test_19_from_a_profile_to_itself_is_refused(self, ask: Ask, two: tuple[str, str]) -> None:
        response = ask(two[0], two[0])
        assert response.status_code == 400
        assert response.json()["code"] == "BAD_REQUEST"
        assert "same profile" in response.json()["message"]
        assert response.json()["errors"][0]["code"] == "BAD_REQUEST"

    @pytest.mark.parametrize("word", ["Alias", "alias", "ALIAS"])
    def test_the_last_word_is_read_in_any_case(
        self, ask: Ask, two: tuple[str, str], word: str
    ) -> None:
        assert ask(*two, path=f"/{KEY}/{word}").status_code == 202

    def test_another_last_word_is_not_found(self, ask: Ask, two: tuple[str, str]) -> None:
        assert ask(*two, path=f"/{KEY}/modify").status_code == 404

    def test_mobile_clients_send_numbers(self, ask: Ask, two: tuple[str, str]) -> None:
        assert ask(*map(int, two)).status_code == 202

    @pytest.mark.parametrize(
        ("change", "named"),
        [
            ({"without": "data"}, "data"),
            ({"without": "request_type"}, "request_type"),
            ({"without": "environment"}, "environment"),
            ({"without": "source_mpid"}, "data.source_mpid"),
            ({"without": "destination_mpid"}, "data.destination_mpid"),
            ({"request_type": "merge"}, "request_type"),
            ({"environment": "staging"}, "environment"),
            ({"api_key": "another"}, "api_key"),
            ({"data": {"source_mpid": True}}, "data.source_mpid"),
            ({"data": {"source_mpid": "0"}}, "data.source_mpid"),
            ({"data": {"source_mpid": "9223372036854775808"}}, "data.source_mpid"),
            ({"data": {"destination_mpid": None}}, "data.destination_mpid"),
            ({"data": {"destination_mpid": "12345"}}, "data.destination_mpid"),
            ({"data": {"scope": "world"}}, "data.scope"),
            ({"data": {"start_unixtime_ms": "1"}}, "data.start_unixtime_ms"),
            ({"data": {"start_unixtime_ms": NOW_MS + 1}}, "data.end_unixtime_ms"),
            ({"data": {"start_unixtime_ms": NOW_MS - 91 * DAY_MS}}, "data.start_unixtime_ms"),
        ],
        ids=str,
    )
    def test_what_is_wrong_is_named_and_nothing_is_kept(
        self,
        ask: Ask,
        two: tuple[str, str],
        database: Database,
        change: dict[str, Any],
        named: str,
    ) -> None:
        response = ask(*two, **change)
        assert response.status_code == 400
        assert response.json()["message"].startswith(f"{named}: ")
        assert response.headers["Access-Control-Allow-Origin"] == "*"
        assert states(database) == []

    def test_without_a_period_it_is_the_whole_window(
        self, ask: Ask, two: tuple[str, str], database: Database
    ) -> None:
        whole = {"start_unixtime_ms": None, "end_unixtime_ms": None}
        assert ask(*two, data=whole).status_code == 202
        with database.read() as connection:
            row = connection.execute(select(aliases_table)).one()
        assert (row.start_ms, row.end_ms) == (NOW_MS - 90 * DAY_MS, NOW_MS)

    def test_a_start_that_a_client_cut_to_the_window_may_have_been_on_its_way(
        self, ask: Ask, two: tuple[str, str]
    ) -> None:
        start = {"start_unixtime_ms": NOW_MS - 90 * DAY_MS - 1_000}
        assert ask(*two, data=start).status_code == 202

    @pytest.mark.parametrize("strategy", ["profile_isolation", "best_match"])
    def test_strategies_that_keep_profiles_apart_refuse(
        self, ask: Ask, calls: Calls, store_workspace: StoreWorkspace, strategy: str
    ) -> None:
        store_workspace(identity_strategy=strategy)
        one, other = calls.identify(S1)["mpid"], calls.identify(S2)["mpid"]
        response = ask(one, other)
        assert response.status_code == 403
        assert strategy in response.json()["message"]

    @pytest.mark.parametrize("strategy", ["default", "profile_conversion", "profile_link"])
    def test_the_others_accept(
        self, ask: Ask, calls: Calls, store_workspace: StoreWorkspace, strategy: str
    ) -> None:
        store_workspace(identity_strategy=strategy)
        one, other = calls.identify(S1)["mpid"], calls.identify(S2)["mpid"]
        assert ask(one, other).status_code == 202

    def test_a_preflight_is_answered_without_credentials(
        self, database: Database, clock_ms: list[int]
    ) -> None:
        service = create_alias_service(
            Aliases(database, clock=lambda: clock_ms[0]),
            find_workspace=lambda _key: None,
            clock=lambda: clock_ms[0],
        )
        response = service.test_client().options("/any-key/Alias")
        assert response.status_code == 204
        assert "content-type" in response.headers["Access-Control-Allow-Headers"]


class TestCredentials:
    """The key in the path is enough, but what is sent besides must be right."""

    def test_an_unknown_key(self, ask: Ask, two: tuple[str, str]) -> None:
        response = ask(*two, path="/nobody/Alias")
        assert response.status_code == 401
        assert response.headers["Access-Control-Allow-Origin"] == "*"

    def test_a_wrong_secret_never_falls_back(self, ask: Ask, two: tuple[str, str]) -> None:
        basic = httpx.BasicAuth(KEY, "wrong")._auth_header
        assert ask(*two, headers={"Authorization": basic}).status_code == 401

    def test_a_wrong_signature_never_falls_back(self, ask: Ask, two: tuple[str, str]) -> None:
        headers = {"x-mp-key": KEY, "x-mp-signature": "0" * 64, "Date": "20260301T101500Z"}
        assert ask(*two, headers=headers).status_code == 401

    def test_somebody_else_s_key_in_the_path(self, ask: Ask, two: tuple[str, str]) -> None:
        basic = httpx.BasicAuth(KEY, SECRET)._auth_header
        assert ask(*two, path="/another/Alias", headers={"Authorization": basic}).status_code == 401

    def test_a_right_signature(self, ask: Ask, two: tuple[str, str]) -> None:
        date, body = "20260301T101500Z", b""
        sent = ask(*two)
        body = sent.request.content
        signed = signature(SECRET, "POST", date, f"/{KEY}/Alias", body)
        headers = {"x-mp-key": KEY, "x-mp-signature": signed, "Date": date}
        assert ask(*two, headers=headers).status_code == 202


class TestHistory:
    """Accepted, and without effect: nothing of it is told to the client."""

    @pytest.fixture
    def people(self, calls: Calls) -> list[str]:
        return [
            calls.identify({"device_application_stamp": f"p-{number}"})["mpid"]
            for number in range(3)
        ]

    def test_a_source_again_with_an_overlapping_period(
        self, ask: Ask, people: list[str], database: Database
    ) -> None:
        a, b, c = people
        ask(a, b)
        assert ask(a, c, data={"end_unixtime_ms": NOW_MS + 5}).status_code == 202
        assert states(database) == ["waiting", "dropped"]

    def test_a_source_again_with_another_period(
        self, ask: Ask, people: list[str], database: Database
    ) -> None:
        a, b, c = people
        ask(a, b)
        earlier = {"start_unixtime_ms": NOW_MS - DAY_MS, "end_unixtime_ms": NOW_MS - HOUR_MS - 1}
        ask(a, c, data=earlier)
        assert states(database) == ["waiting", "waiting"]

    def test_a_source_that_was_a_destination(
        self, ask: Ask, people: list[str], database: Database
    ) -> None:
        a, b, c = people
        ask(a, b)
        assert ask(b, c).status_code == 202
        assert states(database) == ["waiting", "dropped"]

    def test_a_destination_that_was_a_source(
        self, ask: Ask, people: list[str], database: Database
    ) -> None:
        a, b, c = people
        ask(a, b)
        assert ask(c, a).status_code == 202
        assert states(database) == ["waiting", "dropped"]

    def test_what_was_dropped_forbids_nothing(
        self, ask: Ask, people: list[str], database: Database
    ) -> None:
        a, b, c = people
        ask(a, b)
        ask(b, c)
        ask(c, b)
        assert states(database) == ["waiting", "dropped", "waiting"]

    def test_several_sources_may_have_one_destination(
        self, ask: Ask, people: list[str], database: Database
    ) -> None:
        a, b, c = people
        ask(a, c)
        ask(b, c)
        assert states(database) == ["waiting", "waiting"]

    def test_the_same_request_again_is_accepted_once(
        self, ask: Ask, people: list[str], database: Database
    ) -> None:
        a, b, _ = people
        for _ in range(3):
            assert ask(a, b, request_id="r-1").status_code == 202
        assert states(database) == ["waiting"]


class TestCarryingOut:
    """It waits for its time, and then happens once."""

    @pytest.fixture
    def delay_ms(self) -> int:
        return DAY_MS

    def test_after_the_delay(
        self, ask: Ask, two: tuple[str, str], database: Database, clock_ms: list[int]
    ) -> None:
        ask(*two)
        clock_ms[0] += DAY_MS - 1
        assert carry_out(database, clock_ms) == 0
        clock_ms[0] += 1
        assert carry_out(database, clock_ms) == 1
        assert carry_out(database, clock_ms) == 0
        assert states(database) == ["done"]

    def test_the_first_seen_date_moves_if_it_is_earlier(
        self, ask: Ask, calls: Calls, database: Database, clock_ms: list[int]
    ) -> None:
        first = calls.identify(S1)["mpid"]
        clock_ms[0] += 5_000
        second = calls.identify(S2)["mpid"]
        clock_ms[0] += 5_000
        third = calls.identify({"device_application_stamp": "s-3"})["mpid"]
        ask(first, second)
        ask(third, second)
        clock_ms[0] += DAY_MS
        assert carry_out(database, clock_ms) == 2
        with database.read() as connection:
            rows = connection.execute(select(profiles.c.mpid, profiles.c.first_seen_ms))
            seen = {str(row.mpid): row.first_seen_ms for row in rows}
        assert seen == {first: NOW_MS, second: NOW_MS, third: NOW_MS + 10_000}
