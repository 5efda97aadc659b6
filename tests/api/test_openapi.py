"""The OpenAPI document says what the HTTP APIs do: held against the routes, and against real answers."""

import json
import re
from base64 import b64encode
from typing import Any, Final

import pytest
import schemathesis
from flask import Flask
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from schemathesis.config import SchemathesisConfig
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.test import TestResponse

from higgs_shop.apis.openapi import document
from higgs_shop.database import DatabaseBusy
from higgs_shop.endpoints.inbox_description import INBOX_API, INBOX_MOUNT
from higgs_shop.endpoints.openapi import EVERY_API
from higgs_shop.version import __version__
from higgs_shop.webhook_output import sign
from higgs_shop.wiring import APIS
from tests.api.conftest import OpenStore, Store

DOCUMENT: Final = document("Higgs Shop", __version__, EVERY_API)
KEY: Final = {"x-mp-key": "demo-web-key"}
BASIC: Final = {"Authorization": f"Basic {b64encode(b'demo-web-key:demo-web-secret').decode()}"}
ADA: Final = {"customerid": "C-1001", "email": "ada@example.test"}
MOBILE: Final = {"identity_type": "mobile_number", "old_value": None, "new_value": "555-0100"}
CONFIG: Final = SchemathesisConfig.from_dict(
    {
        "generation": {
            "allow-x00": False,  # NUL is refused in every text, which JSON Schema cannot say
            "with-security-parameters": False,  # random ones beside the key would outdo it
        },
        "parameters": {"path.key": "demo-web-key", "path.name": "default"},
        "operations": [
            {
                # Whether a secret can sign is more than JSON Schema can say; and to JSON Schema 5.0 is
                # an integer, which is not taken for one here.
                "include-operation-id": ["addInbox", "turnDial"],
                "checks": {"positive_data_acceptance": {"enabled": False}},
            },
            {
                # Whether there is such a profile is not for JSON Schema to say.
                "include-operation-id": ["modify", "alias"],
                "checks": {"positive_data_acceptance": {"enabled": False}},
            },
            {
                # What is wrong with one batch of many is kept in quarantine; and what is wrong with
                # numbers and names in an event's free members is more than JSON Schema can say.
                "include-tag": ["web events", "server events"],
                "checks": {
                    "negative_data_rejection": {"enabled": False},
                    "positive_data_acceptance": {"enabled": False},
                },
            },
            {
                # Many of what `events` takes one of, and has been tried for every member.
                "include-operation-id": ["bulkEvents", "historicalEvents"],
                "phases": {"coverage": {"enabled": False}},
            },
        ],
    }
)

schemathesis.openapi.format("int64", st.integers(-(2**63), 2**63 - 1).filter(bool).map(str))
schema = schemathesis.openapi.from_dict(DOCUMENT, config=CONFIG)


OPERATOR: Final = {"Authorization": "Bearer let me look"}


def credentials(path: str) -> dict[str, str]:
    """What opens an API."""
    if path.startswith("/s2s/"):
        return BASIC
    return OPERATOR if path.startswith("/inbox/") else KEY


@pytest.fixture
def store(open_store: OpenStore) -> Store:
    return open_store(operator_token="let me look")


@schema.parametrize()
@settings(
    max_examples=25,
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)
def test_schemathesis_finds_nothing(store: Store, case: schemathesis.Case[Any]) -> None:
    case.operation.app = case.operation.schema.app = store.app
    if "token" in case.path_parameters:
        case.path_parameters["token"] = store.parts.secrets.inbox_token
    case.call_and_validate(headers=credentials(case.path))


@pytest.mark.parametrize(
    ("path", "members", "status_code"),
    [
        pytest.param("identify", {"known_identities": ADA}, 200, id="identify"),
        pytest.param("login", {"known_identities": ADA}, 200, id="login"),
        pytest.param("logout", {"known_identities": {"other": "new"}}, 200, id="logout"),
        pytest.param(
            "identify?read_only=true", {"known_identities": {"other": "new"}}, 200, id="read_only"
        ),
        pytest.param("search", {"known_identities": ADA}, 200, id="search"),
        pytest.param("search", {"known_identities": {"other": "new"}}, 404, id="nobody"),
        pytest.param("{mpid}/modify", {"identity_changes": [MOBILE]}, 200, id="modify"),
        pytest.param("4711/modify", {"identity_changes": [MOBILE]}, 400, id="modify_nobody"),
        pytest.param("login", {}, 400, id="faulty"),
        pytest.param("login", {"context": "x" * 65_536}, 413, id="too_large"),
    ],
)
def test_real_answers_are_as_described(
    store: Store, path: str, members: dict[str, Any], status_code: int
) -> None:
    client = store.app.test_client()
    called = {"environment": "development"}
    body = {**called, "known_identities": ADA}
    ada = json.loads(client.post("/identity/v1/login", json=body, headers=KEY).data)["mpid"]
    response = client.post(
        f"/identity/v1/{path.format(mpid=ada)}", json={**called, **members}, headers=KEY
    )
    assert response.status_code == status_code
    assert_described(response, path)


def test_what_a_limit_answers_is_as_described(open_store: OpenStore) -> None:
    client = open_store(rate_limit="1/minute").app.test_client()
    body = {"environment": "development", "known_identities": ADA}
    let_in, refused = (client.post("/identity/v1/search", json=body, headers=KEY) for _ in range(2))
    assert (let_in.status_code, refused.status_code) == (404, 429)
    for response in (let_in, refused):
        assert_described(response, "search")


def assert_described(response: TestResponse, path: str) -> None:
    """Its status and body, and every header that it carries because of what it says."""
    template = re.sub(r"^[^/]+/modify", "{mpid}/modify", path.partition("?")[0])
    operation = schema[f"/identity/v1/{template}"]["POST"]
    described = operation.definition.raw["responses"][str(response.status_code)]
    operation.validate_response(response)
    said = {name for name, _ in response.headers if name.startswith(("X-MP-", "Retry-"))}
    assert said <= set(described["headers"] if said else ())


@pytest.mark.parametrize("name", ["default", "of-its-own"])
def test_real_answers_of_the_inbox_are_as_described(store: Store, name: str) -> None:
    """Of one that has kept every kind of request, whatever is asked of it."""
    client = store.app.test_client(use_cookies=False)
    sessions = "/inbox/v1/sessions"
    if name == "default":
        address = f"/inbox/{store.parts.secrets.inbox_token}"
    else:
        made = client.post(sessions, json={"name": "x"}, headers=OPERATOR)
        assert made.status_code == 201
        assert_inbox_described(made, "POST", "")
        name = made.get_json()["token"]
        address = f"/inbox/{name}"
    body = json.dumps({"events": [{"event_type": "custom_event", "data": {}}], "mpid": 4}).encode()
    headers = {
        "webhook-id": "msg_1",
        "webhook-timestamp": str(store.clock() // 1_000),
        "webhook-signature": sign(
            [store.parts.secrets.webhook_secret],
            webhook_id="msg_1",
            timestamp_seconds=store.clock() // 1_000,
            body=body,
        ),
    }
    for data, sent in ((body, headers), (body, headers), (b"\xff", {}), (b"text", {})):
        client.post(address, data=data, headers=sent)
    newest = client.get(f"{sessions}/{name}/requests", headers=OPERATOR).get_json()["newest"]
    for method, path, template, status_code in (
        ("GET", "", "", 200),
        ("GET", f"/{name}", "/{name}", 200),
        ("GET", "/nothing", "/{name}", 404),
        ("GET", f"/{name}/dial", "/{name}/dial", 200),
        ("PUT", f"/{name}/dial", "/{name}/dial", 415),
        ("GET", f"/{name}/requests?most=2", "/{name}/requests", 200),
        ("GET", f"/{name}/requests?since=0&signature=valid", "/{name}/requests", 200),
        ("GET", f"/{name}/requests?most=0", "/{name}/requests", 400),
        ("GET", f"/{name}/requests/count?q=msg_1", "/{name}/requests/count", 200),
        ("GET", f"/{name}/requests/{newest}", "/{name}/requests/{number}", 200),
        ("DELETE", f"/{name}/requests/{newest}", "/{name}/requests/{number}", 200),
        ("DELETE", f"/{name}/requests/{newest}", "/{name}/requests/{number}", 404),
        ("DELETE", f"/{name}/requests", "/{name}/requests", 200),
        ("DELETE", f"/{name}", "/{name}", 409 if name == "default" else 200),
    ):
        response = client.open(f"{sessions}{path}", method=method, headers=OPERATOR)
        assert response.status_code == status_code, (method, path)
        assert_inbox_described(response, method, template)


@pytest.mark.parametrize(
    ("headers", "status_code"),
    [
        pytest.param({}, 401, id="no_token"),
        pytest.param({**OPERATOR, "Sec-Fetch-Site": "cross-site"}, 403, id="another_site"),
        pytest.param({**OPERATOR, "Content-Type": "text/plain"}, 415, id="no_json"),
        pytest.param(OPERATOR, 413, id="too_large"),
    ],
)
def test_what_the_inbox_refuses_is_as_described(
    store: Store, headers: dict[str, str], status_code: int
) -> None:
    size = 65_537 if status_code == 413 else 1
    client = store.app.test_client(use_cookies=False)
    sent = {"Content-Type": "application/json", **headers}
    response = client.post("/inbox/v1/sessions", data=b"1" * size, headers=sent)
    assert response.status_code == status_code
    assert_inbox_described(response, "POST", "")


def assert_inbox_described(response: TestResponse, method: str, template: str) -> None:
    """Its status, body and headers."""
    operation = schema[f"/inbox/v1/sessions{template}"][method]
    operation.validate_response(response)
    described = operation.definition.raw["responses"][str(response.status_code)]
    said = {name for name, _ in response.headers if name.startswith(("WWW-", "Retry-"))}
    assert said <= set(described.get("headers", ()))


@pytest.mark.parametrize(
    "dial",
    [
        *(
            {"status": status, "retry_after_seconds": 7}
            for status in (200, 204, 301, 304, 400, 404, 410, 413, 422, 429, 500, 503, 599)
        ),
        {"delay_ms": 1},
    ],
    ids=lambda dial: "-".join(map(str, dial.values())),
)
def test_whatever_an_inbox_is_told_to_answer_is_as_described(
    store: Store, dial: dict[str, int]
) -> None:
    client = store.app.test_client(use_cookies=False)
    turned = client.put("/inbox/v1/sessions/default/dial", json=dial, headers=OPERATOR)
    assert turned.status_code == 200
    response = client.post(f"/inbox/{store.parts.secrets.inbox_token}", data=b"\xff")
    assert response.status_code == dial.get("status", 204)
    assert_post_described(response)


@pytest.mark.parametrize(
    ("token", "sent", "status_code"),
    [
        pytest.param("nothing", {}, 404, id="no_such_inbox"),
        pytest.param(None, {"data": b"x" * (256 * 1_024 + 1)}, 413, id="too_large"),
        pytest.param(None, {"headers": {"Host": "elsewhere.example"}}, 400, id="another_host"),
    ],
)
def test_what_an_inbox_does_not_keep_is_answered_as_described(
    store: Store, token: str | None, sent: dict[str, Any], status_code: int
) -> None:
    client = store.app.test_client(use_cookies=False)
    response = client.post(f"/inbox/{token or store.parts.secrets.inbox_token}", **sent)
    assert response.status_code == status_code
    assert response.is_json
    assert_post_described(response)


def test_an_inbox_that_cannot_write_answers_as_described(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def busy() -> None:
        raise DatabaseBusy("another writer holds it")

    monkeypatch.setattr(store.parts.database, "write", busy)
    client = store.app.test_client(use_cookies=False)
    response = client.post(f"/inbox/{store.parts.secrets.inbox_token}", data=b"{}")
    assert (response.status_code, response.headers["Retry-After"]) == (503, "1")
    assert_post_described(response)


def assert_post_described(response: TestResponse) -> None:
    """Its status, of itself or of its kind; its media type, body and headers."""
    operation = schema["/inbox/{token}"]["POST"]
    operation.validate_response(response)
    described = operation.definition.raw["responses"]
    code = str(response.status_code)
    of_it = described.get(code) or described[f"{code[0]}XX"]
    content = of_it.get("content", {})
    assert response.mimetype in content if content else not response.data
    assert ("Retry-After" in response.headers) <= ("Retry-After" in of_it["headers"])


def routes(mounted: Any) -> set[tuple[str, str]]:
    """Every route of a mounted service and its method, as OpenAPI writes them. Preflights need no words."""
    while not isinstance(mounted, Flask):
        mounted = mounted._application
    return {
        (rule.rule.replace("<", "{").replace(">", "}"), method.lower())
        for rule in mounted.url_map.iter_rules()
        for method in (rule.methods or set()) - {"OPTIONS", "HEAD"}
    }


def test_every_route_of_every_mounted_service_is_described(store: Store) -> None:
    served = store.app.wsgi_app
    assert isinstance(served, DispatcherMiddleware)
    assert set(served.mounts) == set(APIS)
    for mount, api in APIS.items():
        described = {(operation.path, operation.method) for operation in api.operations}
        assert described == routes(served.mounts[mount])


def test_every_route_that_takes_calls_from_elsewhere_is_described(store: Store) -> None:
    """A page's own forms carry its token; whatever takes a POST without one is there for programs."""
    for_programs = store.app.extensions["csrf"]._exempt_blueprints
    assert {"inbox_api", "inbox_receiver"} <= {blueprint.name for blueprint in for_programs}
    described = {
        (INBOX_MOUNT + operation.path, operation.method) for operation in INBOX_API.operations
    }
    found = {
        (re.sub(r"<(?:[^:<>]*:)?(\w+)>", r"{\1}", rule.rule), method.lower())
        for rule in store.app.url_map.iter_rules()
        if store.app.blueprints.get(rule.endpoint.partition(".")[0]) in for_programs
        for method in (rule.methods or set()) - {"OPTIONS", "HEAD"}
    }
    assert described == found


def test_the_store_serves_it_to_pages_of_any_origin(store: Store) -> None:
    response = store.app.test_client().get("/openapi.json")
    assert response.status_code == 200
    assert response.content_type == "application/json"
    assert response.headers["Access-Control-Allow-Origin"] == "*"
    assert response.get_json() == json.loads(json.dumps(DOCUMENT))
    assert "Set-Cookie" not in response.headers


def test_operations_have_names_of_their_own() -> None:
    names = [operation.id for api in EVERY_API.values() for operation in api.operations]
    assert len(set(names)) == len(names)
