"""The inbox as test suites ask it: JSON, for observers only, and nothing for other sites."""

from typing import Any, Final

import pytest
from werkzeug.test import TestResponse

from higgs_shop.inbox import MOST_SESSIONS
from higgs_shop.webhook_output import sign
from tests.api.conftest import OpenStore, Store
from tests.api.test_security import CHANGING, path_of, rules

API: Final = "/inbox/v1/sessions"
OWN: Final = f"{API}/default"
SECRET: Final = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


class Suite:
    """A test suite that asks the store, and posts to its inboxes."""

    def __init__(self, store: Store) -> None:
        self.client = store.app.test_client(use_cookies=False)

    def ask(self, method: str, path: str, **options: Any) -> TestResponse:
        return self.client.open(path, method=method, **options)

    def get(self, path: str, **query: Any) -> Any:
        answer = self.ask("GET", path, query_string=query)
        assert answer.status_code == 200, answer.text
        return answer.get_json()

    def post(self, session: Any, data: bytes = b"{}", **headers: str) -> int:
        path = session["address"].partition("8000")[2]
        return self.ask("POST", path, data=data, headers=headers).status_code


@pytest.fixture
def suite(store: Store) -> Suite:
    return Suite(store)


@pytest.fixture
def session(suite: Suite) -> Any:
    """An inbox of the test's own."""
    return suite.ask("POST", API, json={"name": "checkout"}).get_json()


def messages(answer: TestResponse, status: int) -> list[str]:
    """Why something was refused."""
    assert answer.status_code == status, answer.text
    body = answer.get_json()
    assert set(body) == {"errors"}
    assert all(set(each) == {"code", "message"} for each in body["errors"])
    return [each["message"] for each in body["errors"]]


def test_the_stores_own_inbox_is_there_from_the_start(suite: Suite, store: Store) -> None:
    token = store.parts.secrets.inbox_token

    assert suite.get(OWN) == {
        "token": token,
        "name": "",
        "address": f"http://127.0.0.1:8000/inbox/{token}",
        "is_own": True,
        "checks_signatures": True,
        "dial": {
            "status": 204,
            "retry_after_seconds": None,
            "delay_ms": 0,
            "drop_connection": False,
            "times": None,
        },
        "requests": 0,
        "created_at": None,
    }
    assert suite.get(f"{API}/{token}") == suite.get(OWN)


def test_an_inbox_is_made_used_and_forgotten(suite: Suite, session: Any) -> None:
    path = f"{API}/{session['token']}"
    assert (session["name"], session["is_own"], session["requests"]) == ("checkout", False, 0)
    assert suite.post(session, b"hello") == 204

    assert [each["requests"] for each in suite.get(API)["sessions"]] == [0, 1]
    assert suite.ask("DELETE", path).get_json() == {"removed_requests": 1}
    assert suite.post(session) == 404
    assert messages(suite.ask("GET", path), 404) != []
    assert messages(suite.ask("DELETE", path), 404) != []


def test_a_request_is_told_whole(suite: Suite, session: Any) -> None:
    body = b'{"events":[{"event_type":"screen_view","data":{"screen_name":"Home"}}],"mpid":-5}'
    headers = {"Content-Type": "application/json", "webhook-id": "msg_1", "Cookie": "a=canary"}
    suite.post(session, body, **headers)
    suite.post(session, body, **headers)

    (told, _) = suite.get(f"{API}/{session['token']}/requests")["requests"]

    assert told == {
        "id": told["id"],
        "received_at": "2026-03-01T10:15:00.000Z",
        "method": "POST",
        "path": f"/inbox/{session['token']}",
        "headers": told["headers"],
        "webhook_id": "msg_1",
        "attempt": 2,
        "same_body": True,
        "signature": {
            "state": "unchecked",
            "reason": "This inbox has no signing secret to check with.",
        },
        "sender": None,
        "answer": {"status": 204, "retry_after_seconds": None, "delay_ms": 0, "not_held_ms": 0},
        "event": {"event_type": "screen_view", "name": "Home", "mpid": "-5", "sequence": None},
        "body": body.decode(),
        "body_base64": None,
        "body_json": {
            "events": [{"event_type": "screen_view", "data": {"screen_name": "Home"}}],
            "mpid": -5,
        },
    }
    assert ["Webhook-Id", "msg_1"] in told["headers"]
    assert ["Cookie", "•••"] in told["headers"]
    one = suite.get(f"{API}/{session['token']}/requests/{told['id']}")
    assert one.pop("curl").startswith("# Cookie is not kept here")
    assert one == told


def test_bytes_that_are_no_text_are_told_as_base64(suite: Suite, session: Any) -> None:
    suite.post(session, b"\x00\xff")

    (told,) = suite.get(f"{API}/{session['token']}/requests")["requests"]
    assert (told["body"], told["body_base64"], told["body_json"]) == (None, "AP8=", None)


def test_a_suite_polls_with_a_cursor_and_misses_nothing(suite: Suite, session: Any) -> None:
    path = f"{API}/{session['token']}/requests"
    assert suite.get(path) == {"requests": [], "newest": None, "before": None}
    for number in range(5):
        suite.post(session, str(number).encode())

    first = suite.get(path, most=2)
    assert [each["body"] for each in first["requests"]] == ["4", "3"]
    older = suite.get(path, most=2, before=first["before"])
    oldest = suite.get(path, most=2, before=older["before"])
    assert [each["body"] for each in older["requests"]] == ["2", "1"]
    assert [each["body"] for each in oldest["requests"]] == ["0"]
    assert oldest["before"] is None

    nothing = suite.get(path, since=first["newest"])
    assert nothing == {"requests": [], "newest": first["newest"], "before": None}
    suite.post(session, b"5")
    news = suite.get(path, since=nothing["newest"])
    assert [each["body"] for each in news["requests"]] == ["5"]


@pytest.mark.parametrize(
    "wanted",
    [
        {"webhook_id": "msg_1"},
        {"event_type": "screen_view"},
        {"name": "Home"},
        {"mpid": "-5"},
        {"signature": "valid"},
        {"q": "SCREEN_NAME"},
    ],
)
def test_requests_are_counted_and_listed_by_what_they_are(
    suite: Suite, store: Store, wanted: dict[str, str]
) -> None:
    visitor = store.browser()
    visitor.get("/about")
    session = suite.get(OWN)
    body = b'{"events":[{"event_type":"screen_view","data":{"screen_name":"Home"}}],"mpid":-5}'
    suite.post(session, b"something else")
    suite.post(session, body, **signed(body, store.parts.secrets.webhook_secret, store.clock()))

    assert suite.get(f"{OWN}/requests/count") == {"count": 2}
    assert suite.get(f"{OWN}/requests/count", **wanted) == {"count": 1}
    (found,) = suite.get(f"{OWN}/requests", **wanted)["requests"]
    assert (found["body"], found["sender"]) == (body.decode(), "webhook")


def signed(body: bytes, secret: str, now_ms: int) -> dict[str, str]:
    """The headers of a signed webhook."""
    signature = sign([secret], webhook_id="msg_1", timestamp_seconds=now_ms // 1_000, body=body)
    return {
        "webhook-id": "msg_1",
        "webhook-timestamp": str(now_ms // 1_000),
        "webhook-signature": signature,
    }


def test_an_inbox_checks_with_the_secret_it_was_given_and_never_tells_it(
    suite: Suite, store: Store
) -> None:
    made = suite.ask("POST", API, json={"signing_secret": SECRET})
    session = made.get_json()
    path = f"{API}/{session['token']}"
    own = store.parts.secrets.webhook_secret
    suite.post(session, b"{}", **signed(b"{}", SECRET, store.clock()))
    suite.post(session, b"{}", **signed(b"{}", own, store.clock()))

    told = suite.get(f"{path}/requests")["requests"]
    assert [each["signature"]["state"] for each in told] == ["invalid", "valid"]
    assert session["checks_signatures"]
    for text in (made.text, str(told), str(suite.get(path)), str(suite.get(API))):
        assert SECRET not in text
    assert SECRET not in store.browser().get(f"/inbox/sessions/{session['token']}").html


def test_the_dial_is_turned_and_counts_down(suite: Suite, session: Any) -> None:
    path = f"{API}/{session['token']}/dial"
    turned = {"status": 503, "retry_after_seconds": 7, "times": 2}

    told = suite.ask("PUT", path, json=turned).get_json()
    assert told == {**turned, "delay_ms": 0, "drop_connection": False}
    assert [suite.post(session) for _ in range(3)] == [503, 503, 204]
    # What is told is what is answered.
    assert suite.get(path) == {**told, "status": 204, "retry_after_seconds": None, "times": 0}
    suite.ask("PUT", path, json={})
    assert suite.get(path)["status"] == 204


def test_an_inbox_is_made_with_its_dial(suite: Suite) -> None:
    session = suite.ask("POST", API, json={"dial": {"status": 410}}).get_json()
    assert suite.post(session) == 410


def test_requests_are_removed_one_by_one_or_all(suite: Suite, session: Any) -> None:
    path = f"{API}/{session['token']}/requests"
    for _ in range(3):
        suite.post(session)
    one = f"{path}/{suite.get(path)['newest']}"

    assert suite.ask("DELETE", one).get_json() == {"removed_requests": 1}
    assert messages(suite.ask("DELETE", one), 404) == ["there is no such request in this inbox"]
    assert messages(suite.ask("GET", one), 404) == ["there is no such request in this inbox"]
    assert suite.ask("DELETE", path).get_json() == {"removed_requests": 2}
    assert suite.get(path)["requests"] == []


def test_the_stores_own_inbox_cannot_be_removed(suite: Suite) -> None:
    assert "stays" in messages(suite.ask("DELETE", OWN), 409)[0]


def test_there_are_so_many_inboxes_and_no_more(suite: Suite) -> None:
    for _ in range(MOST_SESSIONS):
        assert suite.ask("POST", API, json={}).status_code == 201
    assert "remove one" in messages(suite.ask("POST", API, json={}), 409)[0]


@pytest.mark.parametrize(
    ("method", "path", "body", "complaint"),
    [
        ("PUT", f"{OWN}/dial", b'{"status": "500"}', "status: use a whole number from 200 to 599"),
        ("PUT", f"{OWN}/dial", b'{"status": 199}', "status: use a whole number from 200 to 599"),
        ("PUT", f"{OWN}/dial", b'{"delay_ms": 30001}', "delay_ms: use whole milliseconds from 0"),
        ("PUT", f"{OWN}/dial", b'{"colour": 1}', "colour: there is no such member; use status, "),
        (
            "PUT",
            f"{OWN}/dial",
            b'{"time": 1}',
            "time: there is no such member; did you mean times?",
        ),
        ("PUT", f"{OWN}/dial", b"[]", "the body: use an object"),
        ("PUT", f"{OWN}/dial", b"{", "the body is not JSON"),
        ("PUT", f"{OWN}/dial", b'{"status":500,"status":204}', "the member 'status' stands twice"),
        ("POST", API, b'{"name": 5}', "name: use a text of at most 80 characters"),
        ("POST", API, b'{"name": "\\u0000"}', "a string holds a NUL character"),
        ("POST", API, b'{"signing_secret": "hunter2"}', "signing_secret: a signing secret starts"),
        ("POST", API, b'{"signing_secret": 5}', "signing_secret: use whsec_ and then base64"),
        ("POST", API, b'{"dial": {"times": -1}}', "dial.times: use a whole number from 0 to 1,000"),
        ("POST", API, b'{"dial": {"colour": 1}}', "dial.colour: there is no such member; use stat"),
        ("POST", API, b'{"dial": 5}', "dial: use an object with members of the dial"),
        ("GET", f"{OWN}/requests?most=101", b"", "most: use a whole number from 1 to 100"),
        ("GET", f"{OWN}/requests?since=x", b"", "since: use the number of one request, 0 or more"),
        ("GET", f"{OWN}/requests?since=1&since=2", b"", "since: use the number of one request"),
        ("GET", f"{OWN}/requests?q=a&q=b", b"", "q: use one text of at most 1,000 characters"),
        (
            "GET",
            f"{OWN}/requests?signature=odd",
            b"",
            "signature: use valid, invalid, missing or u",
        ),
        (
            "GET",
            f"{OWN}/requests?webhookid=1",
            b"",
            "webhookid: there is no such member; did you m",
        ),
        ("GET", f"{OWN}/requests/count?most=1", b"", "most: there is no such member; use q, webho"),
    ],
)
def test_what_is_wrong_is_named_first_and_then_what_to_use(
    suite: Suite, store: Store, method: str, path: str, body: bytes, complaint: str
) -> None:
    before = store.dump()
    answer = suite.ask(method, path, data=body, content_type="application/json")

    assert messages(answer, 400)[0].startswith(complaint)
    assert "hunter2" not in answer.text
    assert store.dump() == before


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", f"{API}/none", 404),
        ("GET", f"{API}/none/requests", 404),
        ("GET", f"{API}/%00/dial", 404),
        ("PUT", f"{API}/none/dial", 404),
        ("DELETE", f"{API}/none/requests", 404),
        ("GET", f"{OWN}/requests/1", 404),
        ("GET", f"{OWN}/requests/9007199254740992", 404),
        ("DELETE", f"{OWN}/requests/99999999999999999999", 404),
        ("GET", f"{OWN}/nothing", 404),
        ("POST", f"{OWN}/dial", 405),
    ],
)
def test_what_is_not_there_is_told_as_json(
    suite: Suite, method: str, path: str, status: int
) -> None:
    assert messages(suite.ask(method, path, json={}), status) != []


def changing_calls(store: Store) -> list[tuple[str, str]]:
    """Method and path of every call that changes something."""
    return [
        (method, path_of(rule, name="default"))
        for rule in rules(store, CHANGING)
        if rule.endpoint.startswith("inbox_api.")
        for method in sorted((rule.methods or set()) & CHANGING)
    ]


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://localhost.evil.example"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
def test_no_call_of_another_site_changes_anything(
    suite: Suite, store: Store, headers: dict[str, str]
) -> None:
    suite.post(suite.get(OWN))
    before = store.dump()
    calls = changing_calls(store)
    assert len(calls) == 5
    for method, path in calls:
        answer = suite.ask(method, path, json={}, headers=headers)
        assert messages(answer, 403) == ["the call comes from another site"], path
        assert "Access-Control-Allow-Origin" not in answer.headers
    assert store.dump() == before


def test_what_a_form_of_another_site_could_send_is_no_call(suite: Suite, store: Store) -> None:
    before = store.dump()
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""):
        for method, path in (("POST", API), ("PUT", f"{OWN}/dial")):
            answer = suite.ask(method, path, data=b"{}", content_type=kind)
            assert messages(answer, 415) == ["Content-Type: send application/json"]
    assert store.dump() == before


def test_no_other_site_is_given_leave_to_ask(suite: Suite) -> None:
    asking = {"Origin": "https://evil.example", "Access-Control-Request-Method": "PUT"}
    answer = suite.ask("OPTIONS", f"{OWN}/dial", headers=asking)
    assert not [name for name, _ in answer.headers if name.startswith("Access-Control")]


def test_who_may_not_look_may_not_call(open_store: OpenStore) -> None:
    guarded = open_store(operator_token="let me look")
    suite = Suite(guarded)
    before = guarded.dump()
    for token in (None, "Bearer wrong", "Bearer", "Basic bGV0IG1lIGxvb2s=", "let me look"):
        headers = {} if token is None else {"Authorization": token}
        for method, path in [*changing_calls(guarded), ("GET", OWN), ("GET", API)]:
            answer = suite.ask(method, path, json={}, headers=headers)
            assert "operator token" in messages(answer, 401)[0]
            assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert guarded.dump() == before

    bearer = {"Authorization": "Bearer let me look"}
    assert suite.ask("GET", OWN, headers=bearer).status_code == 200
    observer = guarded.browser()
    observer.submit(observer.get("/operator"), "operator-enter", token="let me look")
    assert observer.get(OWN).status == 200


def test_in_production_without_a_token_there_is_no_such_api(production: Store) -> None:
    assert production.browser().get(OWN).status == 404


def test_calls_begin_no_visit(suite: Suite, store: Store) -> None:
    suite.get(OWN)
    suite.ask("PUT", f"{OWN}/dial", json={})
    assert store.rows("visits") == []
