"""The edge: who may call, what browsers may read, and what happens to everything that is not right."""

import base64
import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from flask import Flask
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.test import Client, TestResponse

from higgs_shop.database import Database, DatabaseBusy
from higgs_shop.identity_types import IDENTITY_TYPES
from higgs_shop.idsync_service import create_service, random_mpid
from higgs_shop.idsync_service.authentication import signature
from tests.api.idsync_service.conftest import KEY, NOW_MS, SECRET, Calls, StoreWorkspace

pytestmark = pytest.mark.usefixtures("workspace")

on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
"""For what ends before the database: one kind is enough."""

DATE = "20260301T101500Z"
BODY = json.dumps({"environment": "development", "known_identities": {"customerid": "C-1"}})
PATHS = ["/v1/identify", "/v1/login", "/v1/logout", "/v1/search", "/v1/4711/modify"]


@pytest.fixture
def client(service: Flask) -> Client:
    return service.test_client()


def errors(response: TestResponse) -> list[str]:
    assert response.headers["Access-Control-Allow-Origin"] == "*"
    assert response.content_type == "application/json"
    found: list[dict[str, str]] = json.loads(response.data)["errors"]
    assert found
    assert all(set(error) == {"code", "message"} for error in found)
    return [error["message"] for error in found]


def basic(key: str, secret: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{key}:{secret}".encode()).decode()}


def signed(
    path: str, *, date: str = DATE, secret: str = SECRET, body: str = BODY
) -> dict[str, str]:
    return {
        "x-mp-key": KEY,
        "Date": date,
        "x-mp-signature": signature(secret, "POST", date, path, body.encode()),
    }


@on_sqlite
class TestAuthentication:
    """Basic, signature, key: the strongest that is present decides."""

    @pytest.mark.parametrize(
        "headers",
        [
            pytest.param(basic(KEY, SECRET), id="basic"),
            pytest.param({"x-mp-key": KEY}, id="key_only"),
            pytest.param(signed("/v1/identify"), id="signed"),
            pytest.param(signed("/v1/identify", date="2026-03-01T10:19:59Z"), id="signed_early"),
            pytest.param(signed("/v1/identify", date="20260301T101001Z"), id="signed_late"),
        ],
    )
    def test_is_let_in(self, client: Client, headers: dict[str, str]) -> None:
        assert client.post("/v1/identify", data=BODY, headers=headers).status_code == 200

    @pytest.mark.parametrize(
        "headers",
        [
            pytest.param({}, id="nothing"),
            pytest.param({"x-mp-key": "somebody's"}, id="unknown_key"),
            pytest.param({"x-mp-key": ""}, id="empty_key"),
            pytest.param({"x-mp-key": "\u00e9\u00ff"}, id="latin_key"),
            pytest.param(basic(KEY, "wrong"), id="wrong_secret"),
            pytest.param(basic(KEY, ""), id="no_secret"),
            pytest.param(basic("wrong", SECRET), id="wrong_basic_key"),
            pytest.param(basic("a\x00b", SECRET), id="nul_in_basic_key"),
            pytest.param({**basic(KEY, "wrong"), "x-mp-key": KEY}, id="wrong_basic_beside_key"),
            pytest.param({"Authorization": "Basic ?", "x-mp-key": KEY}, id="junk_basic_beside_key"),
            pytest.param({"Authorization": "Bearer x", "x-mp-key": KEY}, id="bearer_beside_key"),
            pytest.param({"Authorization": "", "x-mp-key": KEY}, id="empty_authorization"),
            pytest.param(
                {**signed("/v1/identify", secret="wrong"), **basic(KEY, SECRET)},
                id="wrong_signature_beside_basic",
            ),
            pytest.param({**signed("/v1/identify"), "x-mp-signature": ""}, id="empty_signature"),
            pytest.param(
                {**signed("/v1/identify"), "x-mp-signature": "\u00e9"}, id="latin_signature"
            ),
            pytest.param(
                {
                    **signed("/v1/identify"),
                    "x-mp-signature": signed("/v1/identify")["x-mp-signature"].upper(),
                },
                id="upper_case_signature",
            ),
            pytest.param(signed("/v1/login"), id="another_path"),
            pytest.param(signed("/v1/identify", body="{}"), id="another_body"),
            pytest.param(signed("/v1/identify", date="20260301T102001Z"), id="too_early"),
            pytest.param(signed("/v1/identify", date="20260301T100959Z"), id="too_late"),
            pytest.param(signed("/v1/identify", date="yesterday"), id="junk_date"),
            pytest.param(signed("/v1/identify", date=""), id="empty_date"),
            pytest.param(
                signed("/v1/identify", date="2026-03-01T10:15:00"), id="date_without_zone"
            ),
            pytest.param(
                signed("/v1/identify", date="0001-01-01T00:00:00+23:59"), id="date_before_time"
            ),
        ],
    )
    def test_is_kept_out(self, client: Client, headers: dict[str, str]) -> None:
        response = client.post("/v1/identify", data=BODY, headers=headers)
        assert response.status_code == 401
        assert errors(response)

    def test_a_query_string_may_be_signed_or_not(self, client: Client) -> None:
        for path in ("/v1/identify", "/v1/identify?cb=1"):
            response = client.post("/v1/identify?cb=1", data=BODY, headers=signed(path))
            assert response.status_code == 200

    def test_the_path_counts_as_it_was_sent(self, client: Client) -> None:
        path = "/v1/%69dentify"
        assert client.post(path, data=BODY, headers=signed(path)).status_code == 200
        assert client.post(path, data=BODY, headers=signed("/v1/identify")).status_code == 401

    def test_a_whole_url_as_the_target_is_signed_by_its_path(self, client: Client) -> None:
        response = client.post(
            "/v1/identify",
            data=BODY,
            headers=signed("/v1/identify"),
            environ_overrides={"REQUEST_URI": "http://localhost/v1/identify"},
        )
        assert response.status_code == 200

    @pytest.mark.parametrize(
        ("path", "body", "expected"),
        [
            pytest.param(
                "/idsync/v1/identify",
                '{"client_sdk":{"platform":"web","sdk_vendor":"higgs","sdk_version":"1.0.0"},'
                '"environment":"development","request_id":"0b7f3d64-1f0a-4c2a-9d55-2f3c8a5f1e10",'
                '"request_timestamp_ms":1772360100000,"known_identities":'
                '{"customerid":"C-1001","email":"ada@example.test"}}',
                ("8ea454836679d07d6191933851ffe87c6ce054779e9262bfd6382119c110768d", 200),
                id="12.2",
            ),
            pytest.param(
                "/idsync/v1/4711471147114711/modify",
                '{"client_sdk":{"platform":"web","sdk_vendor":"higgs","sdk_version":"1.0.0"},'
                '"environment":"development","request_id":"5d1d0a55-60f1-4a0e-8c0e-7f1f3d0c2b11",'
                '"request_timestamp_ms":1772360160000,"identity_changes":[{"old_value":'
                '"ada@example.test","new_value":null,"identity_type":"email"}]}',
                ("6b39fe74ae8ed03c9e4ec35aba56eac73732561c3434a669653c1ac28170386c", 400),
                id="12.3",
            ),
            pytest.param(
                "/idsync/v1/search",
                '{"environment":"development","known_identities":{"other":"Zoë"}}',
                ("5ae6fc9fe080a0bbb3e7faaea3dbc7b1b0eccbcdd9fccad49169738ca5226eb7", 404),
                id="12.4",
            ),
        ],
    )
    def test_the_documented_signatures_hold_behind_a_mount(
        self, service: Flask, path: str, body: str, expected: tuple[str, int]
    ) -> None:
        right, status_code = expected
        headers = {"x-mp-key": KEY, "Date": DATE, "x-mp-signature": right}
        mounted = DispatcherMiddleware(_nothing, {"/idsync": service.wsgi_app})
        response = Client(mounted).post(path, data=body.encode(), headers=headers)
        assert response.status_code == status_code
        with httpx.Client(
            transport=httpx.WSGITransport(mounted), base_url="http://localhost"
        ) as http:
            assert (
                http.post(path, content=body.encode(), headers=headers).status_code == status_code
            )

    def test_a_changed_secret_is_seen_within_a_second(
        self, client: Client, store_workspace: StoreWorkspace, clock_ms: list[int]
    ) -> None:
        assert client.post("/v1/search", data=BODY, headers={"x-mp-key": KEY}).status_code == 404
        store_workspace(api_key="a-new-key")
        clock_ms[0] += 1_000
        assert client.post("/v1/search", data=BODY, headers={"x-mp-key": KEY}).status_code == 401


@on_sqlite
class TestBrowsers:
    """What a page of any origin may see."""

    @pytest.mark.parametrize("path", PATHS)
    def test_a_preflight_needs_no_key(self, client: Client, path: str) -> None:
        response = client.options(path, headers={"Origin": "https://example.test"})
        assert response.status_code == 204
        assert response.headers["Access-Control-Allow-Origin"] == "*"
        assert "POST" in response.headers["Access-Control-Allow-Methods"]
        allowed = response.headers["Access-Control-Allow-Headers"]
        assert {"content-type", "x-mp-key", "authorization"} <= set(allowed.split(", "))
        assert int(response.headers["Access-Control-Max-Age"]) > 0

    @pytest.mark.parametrize(
        ("method", "path", "status_code"),
        [
            ("GET", "/v1/identify", 405),
            ("HEAD", "/v1/identify", 405),
            ("PUT", "/v1/4711/modify", 405),
            ("POST", "/v1/nothing", 404),
            ("POST", "/v1/identify/", 404),
            ("POST", "//v1//identify", 404),
            ("POST", "/", 404),
        ],
    )
    def test_what_is_not_served_is_said_in_the_error_format(
        self, client: Client, method: str, path: str, status_code: int
    ) -> None:
        response = client.open(path, method=method, headers={"x-mp-key": KEY})
        assert response.status_code == status_code
        if method == "HEAD":
            assert response.headers["Access-Control-Allow-Origin"] == "*"
        else:
            assert errors(response)
        if status_code == 405:
            assert "POST" in response.headers["Allow"]

    def test_a_body_too_large_is_refused(self, client: Client) -> None:
        response = client.post("/v1/identify", data=b" " * 65_537, headers={"x-mp-key": KEY})
        assert response.status_code == 413
        assert errors(response)

    def test_a_foreign_host_is_refused_where_hosts_are_named(self, database: Database) -> None:
        service = create_service(
            database, clock=lambda: NOW_MS, new_mpid=random_mpid, trusted_hosts=["localhost"]
        )
        client = service.test_client()
        headers = {"x-mp-key": KEY}
        assert client.post("/v1/identify", data=BODY, headers=headers).status_code == 200
        for host in ("evil.test", "localhost.evil.test", "[::1", "local host"):
            response = client.post("/v1/identify", data=BODY, headers={**headers, "Host": host})
            assert response.status_code == 400
            assert errors(response)


@on_sqlite
class TestFailures:
    """What is nobody's fault outside."""

    def test_a_busy_database_says_when_to_come_back(
        self, client: Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def busy(_self: Database) -> Iterator[Connection]:
            raise DatabaseBusy("another writer")

        monkeypatch.setattr(Database, "write", busy)
        response = client.post("/v1/identify", data=BODY, headers={"x-mp-key": KEY})
        assert response.status_code == 503
        assert response.headers["Retry-After"] == "1"
        assert errors(response)

    def test_a_failure_tells_nothing_of_the_inside(
        self, database: Database, caplog: pytest.LogCaptureFixture
    ) -> None:
        def broken() -> int:
            raise RuntimeError("a secret detail")

        service = create_service(database, clock=lambda: NOW_MS, new_mpid=broken)
        response = service.test_client().post("/v1/identify", data=BODY, headers={"x-mp-key": KEY})
        assert response.status_code == 500
        assert "secret" not in "".join(errors(response))
        assert "an API call failed" in caplog.text


def nested(depth: int) -> bytes:
    return b'{"environment":' + b"[" * depth + b"]" * depth + b"}"


@on_sqlite
class TestBadInput:
    """Never a 5xx, and the message names what is wrong."""

    @pytest.mark.parametrize("path", PATHS)
    @pytest.mark.parametrize(
        "body",
        [
            pytest.param(b"", id="empty"),
            pytest.param(b"{", id="cut_off"),
            pytest.param(b"[]", id="list"),
            pytest.param(b"null", id="null"),
            pytest.param(b'"text"', id="text"),
            pytest.param(b"NaN", id="nan"),
            pytest.param(b'{"request_timestamp_ms": NaN}', id="nan_inside"),
            pytest.param(b'{"request_timestamp_ms": 9223372036854775808}', id="2_to_63"),
            pytest.param(b'{"environment": "development", "environment": "x"}', id="twice"),
            pytest.param(b'{"context": "\\ud800"}', id="lone_surrogate"),
            pytest.param(b'{"context": "\\u0000"}', id="nul"),
            pytest.param(b"\xef\xbb\xbf{}", id="byte_order_mark"),
            pytest.param('{"context": "é"}'.encode("latin-1"), id="latin_1"),
            pytest.param(BODY.encode("utf-16"), id="utf_16"),
            pytest.param(nested(65), id="nested_65"),
            pytest.param(nested(30_000), id="nested_30000"),
        ],
    )
    def test_what_is_not_the_documented_json(self, client: Client, path: str, body: bytes) -> None:
        response = client.post(
            path,
            data=body,
            headers={"x-mp-key": KEY, "Content-Type": "application/json"},
        )
        assert response.status_code == 400
        assert errors(response)

    @pytest.mark.parametrize(
        ("members", "fields"),
        [
            pytest.param({"environment": "test"}, {"environment"}, id="environment"),
            pytest.param({"environment": None}, {"environment"}, id="environment_null"),
            pytest.param({"known_identities": None}, {"known_identities"}, id="identities_null"),
            pytest.param({"known_identities": []}, {"known_identities"}, id="identities_list"),
            pytest.param({"known_identities": {}}, {"known_identities"}, id="identities_empty"),
            pytest.param(
                {"known_identities": {"email": None}},
                {"known_identities"},
                id="identities_all_null",
            ),
            pytest.param(
                {
                    "known_identities": {
                        "email": 5,
                        "shoe_size": "9",
                        "other": "",
                        "google": "g" * 257,
                    }
                },
                {
                    "known_identities.email",
                    "known_identities.shoe_size",
                    "known_identities.other",
                    "known_identities.google",
                },
                id="every_faulty_identity",
            ),
            pytest.param({"previous_mpid": 5}, {"previous_mpid"}, id="mpid_number"),
            pytest.param({"previous_mpid": "0"}, {"previous_mpid"}, id="mpid_0"),
            pytest.param(
                {"previous_mpid": "9223372036854775808"}, {"previous_mpid"}, id="mpid_large"
            ),
            pytest.param({"previous_mpid": "٣"}, {"previous_mpid"}, id="mpid_arabic_digits"),
            pytest.param({"request_id": ""}, {"request_id"}, id="request_id_empty"),
            pytest.param({"request_id": 5}, {"request_id"}, id="request_id_number"),
            pytest.param({"context": 5}, {"context"}, id="context"),
            pytest.param({"request_timestamp_ms": "5"}, {"request_timestamp_ms"}, id="time_text"),
            pytest.param({"request_timestamp_ms": True}, {"request_timestamp_ms"}, id="time_true"),
            pytest.param(
                {"client_sdk": {"platform": "pda"}}, {"client_sdk.platform"}, id="platform"
            ),
            pytest.param(
                {"environment": 1, "context": 1, "previous_mpid": ""},
                {"environment", "context", "previous_mpid"},
                id="all_at_once",
            ),
        ],
    )
    def test_every_faulty_field_is_named(
        self, client: Client, members: dict[str, Any], fields: set[str]
    ) -> None:
        body = {**json.loads(BODY), **members}
        response = client.post("/v1/identify", json=body, headers={"x-mp-key": KEY})
        assert response.status_code == 400
        assert {message.partition(":")[0] for message in errors(response)} == fields

    @pytest.mark.parametrize(
        ("change", "field"),
        [
            ({"old_value": None, "new_value": "x"}, "identity_type"),
            ({"identity_type": "email", "new_value": "x"}, "old_value"),
            ({"identity_type": "email", "old_value": None}, "new_value"),
            ({"identity_type": "shoe_size", "old_value": None, "new_value": "9"}, "identity_type"),
            ({"identity_type": "email", "old_value": None, "new_value": ""}, "new_value"),
        ],
    )
    def test_a_faulty_change_is_named(
        self, client: Client, change: dict[str, Any], field: str
    ) -> None:
        body = {"environment": "development", "identity_changes": [change]}
        response = client.post("/v1/4711/modify", json=body, headers={"x-mp-key": KEY})
        assert response.status_code == 400
        assert errors(response)[0].startswith(f"identity_changes.0.{field}:")

    @pytest.mark.parametrize(
        "mpid",
        [
            "0",
            "-0",
            "+5",
            "007",
            "5.0",
            "abc",
            "%00",
            "%ff",
            "9" * 5_000,
            str(2**63),
            str(-(2**63) - 1),
        ],
    )
    def test_a_malformed_mpid(self, client: Client, mpid: str) -> None:
        body = {"environment": "development", "identity_changes": []}
        response = client.post(f"/v1/{mpid}/modify", json=body, headers={"x-mp-key": KEY})
        assert response.status_code == 400
        assert errors(response)[0].startswith("mpid:")

    def test_the_path_and_the_body_are_faulted_together(self, client: Client) -> None:
        response = client.post("/v1/abc/modify", json={}, headers={"x-mp-key": KEY})
        named = {message.partition(":")[0] for message in errors(response)}
        assert named == {"mpid", "environment", "identity_changes"}

    def test_many_faults_are_counted(self, client: Client) -> None:
        identities = {f"type-{number}": "x" for number in range(500)}
        body = {"environment": "development", "known_identities": identities}
        response = client.post("/v1/identify", json=body, headers={"x-mp-key": KEY})
        messages = errors(response)
        assert len(messages) == 51
        assert messages[-1] == "and 450 more faults"

    def test_a_null_identity_counts_as_absent(self, client: Client) -> None:
        body = {
            "environment": "development",
            "known_identities": {"email": None, "customerid": "C-1"},
            "unknown": {"member": 1},
        }
        response = client.post("/v1/login", json=body, headers={"x-mp-key": KEY})
        assert response.status_code == 200

    @pytest.mark.parametrize(
        "content_type",
        [
            pytest.param("application/json", id="as_official_clients_send_it"),
            pytest.param("application/json; charset=utf-8", id="with_the_charset_it_has"),
            pytest.param('text/plain;charset="UTF-8"', id="as_beacons_do"),
            pytest.param("application/x-www-form-urlencoded", id="as_curl_does"),
            pytest.param("application/json; charset=us-ascii", id="a_part_of_utf_8"),
            pytest.param("text/xml", id="another"),
            pytest.param("multipart/form-data", id="without_its_boundary"),
            pytest.param("", id="none"),
            pytest.param("x; charset", id="junk"),
        ],
    )
    def test_the_content_type_does_not_matter(self, client: Client, content_type: str) -> None:
        headers = {"x-mp-key": KEY, "Content-Type": content_type}
        assert client.post("/v1/identify", data=BODY, headers=headers).status_code == 200

    @pytest.mark.parametrize("path", PATHS)
    @pytest.mark.parametrize("charset", ["latin-1", "UTF-16", '"utf-7"', "'", "no such"])
    def test_a_body_in_another_charset_is_refused_not_misread(
        self, client: Client, path: str, charset: str
    ) -> None:
        """Even if its bytes happen to be UTF-8 too: in UTF-7, say, they would mean something else."""
        headers = {"x-mp-key": KEY, "Content-Type": f"application/json; Charset={charset}"}
        response = client.post(path, data=BODY, headers=headers)
        assert response.status_code == 400
        (message,) = errors(response)
        assert message.startswith("Content-Type: send the body as UTF-8, not as ")

    @pytest.mark.parametrize("path", PATHS)
    @pytest.mark.parametrize(
        "query", ["read_only=yes", "read_only=", "read_only=true&read_only=false"]
    )
    def test_a_parameter_that_is_not_one_boolean(
        self, client: Client, path: str, query: str
    ) -> None:
        response = client.post(f"{path}?{query}", data=BODY, headers={"x-mp-key": KEY})
        assert response.status_code == 400
        assert errors(response) == ["read_only: use true or false, once"]


def test_the_largest_values_are_kept(calls: Calls) -> None:
    identities = dict.fromkeys(sorted(IDENTITY_TYPES), "𐍈" * 256)
    mpid = calls.identify(identities)["mpid"]
    assert calls.identify(identities, str(-(2**63)))["mpid"] == mpid


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["email", "customerid", "old_value", "new_value", "identity_type"])
            | st.text(max_size=5),
            inner,
            max_size=4,
        )
    ),
    max_leaves=8,
)
BODIES = st.binary(max_size=60) | st.fixed_dictionaries(
    {},
    optional={
        "environment": st.just("development") | JSON,
        "known_identities": st.dictionaries(
            st.sampled_from(sorted(IDENTITY_TYPES)), st.text(min_size=1, max_size=5), min_size=1
        )
        | JSON,
        "identity_changes": st.lists(
            st.fixed_dictionaries(
                {
                    "identity_type": st.sampled_from(sorted(IDENTITY_TYPES)),
                    "old_value": st.none() | st.text(max_size=3),
                    "new_value": st.none() | st.text(max_size=3),
                }
            ),
            max_size=3,
        )
        | JSON,
        "previous_mpid": st.none() | st.integers(-5, 5).map(str) | JSON,
        "request_id": st.none() | st.sampled_from(["r-1", "r-2"]) | JSON,
        "context": JSON,
        "client_sdk": JSON,
    },
).map(lambda members: json.dumps(members).encode())


@settings(
    deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    path=st.sampled_from(PATHS) | st.text(max_size=10).map(lambda mpid: f"/v1/{mpid}/modify"),
    body=BODIES,
)
def test_nothing_that_is_sent_makes_it_fail(client: Client, path: str, body: bytes) -> None:
    response = client.post(quote(path), data=body, headers={"x-mp-key": KEY})
    assert response.status_code < 500
    assert response.headers["Access-Control-Allow-Origin"] == "*"
    json.loads(response.data)


def _nothing(_environ: Any, start_response: Any) -> list[bytes]:
    start_response("404 Not Found", [])
    return []
