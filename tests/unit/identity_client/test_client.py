"""The five calls: what is sent, what is remembered, who is told."""

import doctest
import json
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import httpx
import pytest

from higgs_shop import identity_client
from higgs_shop.identity_client import (
    AliasRequest,
    BadRequest,
    ChangeResult,
    Device,
    Forbidden,
    IdentityChange,
    IdentityClient,
    IdentityError,
    IdentityRequest,
    InvalidRequest,
    KeyOnly,
    Misconfigured,
    NoConnection,
    NoCurrentUser,
    NotUnderstood,
    OptedOut,
    ProfileNotFound,
    Refused,
    RequestInProgress,
    ServiceFailed,
    TimedOut,
    TooManyRequests,
    Unauthorized,
    UnexpectedStatus,
    User,
)
from higgs_shop.outgoing_http import OutgoingHttp

STAMP = "0b7f3d64-1f0a-4c2a-9d55-2f3c8a5f1e10"
DEVICE = Device(stamp=STAMP)
NOW_MS = 1_772_360_100_000


class Service:
    """Answers identity calls from a list, and keeps what was asked."""

    def __init__(self) -> None:
        self.requests: list[httpx.Request] = []
        self.answers: list[httpx.Response | Exception] = []
        self.now_ms = NOW_MS
        self.changed: list[tuple[str | None, str]] = []

    @property
    def bodies(self) -> list[dict[str, Any]]:
        return [json.loads(request.content) for request in self.requests]

    def answer(self, *bodies: dict[str, Any]) -> None:
        self.answers.extend(httpx.Response(200, json=body) for body in bodies)

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


@pytest.fixture
def service() -> Service:
    return Service()


@pytest.fixture
def client(service: Service) -> IdentityClient:
    def note(previous: User | None, user: User) -> None:
        service.changed.append((previous.mpid if previous else None, user.mpid))

    return new_client(service, lambda: service.now_ms, note)


def new_client(
    answer: Callable[[httpx.Request], httpx.Response],
    clock: Callable[[], int] = lambda: NOW_MS,
    on_user_changed: Callable[[User | None, User], None] | None = None,
    alias_url: str | None = "https://alias.example/v1/identity",
) -> IdentityClient:
    return IdentityClient(
        base_url="https://identity.example/v1/",
        alias_url=alias_url,
        auth=KeyOnly("demo-web-key"),
        http=OutgoingHttp(
            deadline_seconds=1.0,
            max_answer_bytes=65_536,
            transport=httpx.MockTransport(answer),
        ),
        clock=clock,
        on_user_changed=on_user_changed,
        new_request_id=lambda: "R-1",
    )


def seen(mpid: str, **identities: str) -> User:
    return User(mpid, identities, is_logged_in=True, first_seen_ms=10, last_seen_ms=20)


def device_of(*users: User) -> Device:
    return Device(stamp=STAMP, users=users, current_mpid=users[0].mpid)


def request(**identities: str) -> IdentityRequest:
    wanted = IdentityRequest.empty()
    for identity_type, value in identities.items():
        wanted = wanted.with_identity(identity_type, value)
    return wanted


def test_the_first_identify_says_only_which_device_it_is(
    service: Service, client: IdentityClient
) -> None:
    service.answer({"mpid": "11"})
    result = client.identify(DEVICE)
    assert str(service.requests[0].url) == "https://identity.example/v1/identify"
    assert service.requests[0].headers["Content-Type"] == "application/json"
    assert service.requests[0].headers["x-mp-key"] == "demo-web-key"
    assert service.bodies[0] == {
        "client_sdk": {"platform": "web", "sdk_vendor": "higgs", "sdk_version": "1.0.0"},
        "environment": "development",
        "request_id": "R-1",
        "request_timestamp_ms": NOW_MS,
        "context": None,
        "previous_mpid": None,
        "known_identities": {"device_application_stamp": STAMP},
    }
    assert result.user == User("11", {}, False, first_seen_ms=NOW_MS, last_seen_ms=NOW_MS)
    assert result.device.current_user == result.user
    assert (result.previous_user, result.user_changed, result.sent) == (None, True, True)
    assert (result.request_id, result.status_code, result.changes) == ("R-1", 200, ())


def test_identify_names_the_most_recent_user_as_known_here(
    service: Service, client: IdentityClient
) -> None:
    service.answer({"mpid": "11"})
    client.identify(device_of(seen("11", email="ada@example.test"), seen("22", other="grace")))
    assert service.bodies[0]["known_identities"] == {
        "email": "ada@example.test",
        "device_application_stamp": STAMP,
    }


@pytest.mark.parametrize("action", ["login", "logout"])
def test_login_and_logout_without_a_request_name_nobody(
    service: Service, client: IdentityClient, action: str
) -> None:
    service.answer({"mpid": "22"})
    getattr(client, action)(device_of(seen("11", email="ada@example.test")))
    assert service.bodies[0]["known_identities"] == {"device_application_stamp": STAMP}
    assert service.bodies[0]["previous_mpid"] == "11"


def test_login_remembers_the_identities_of_the_request(
    service: Service, client: IdentityClient
) -> None:
    service.answer({"mpid": "11"}, {"mpid": "11", "is_logged_in": True, "context": "note"})
    device = client.identify(DEVICE).device
    service.now_ms += 60_000
    result = client.login(device, request(customerid="C-1001", email="ada@example.test"))
    assert result.user == User(
        "11",
        {"customerid": "C-1001", "email": "ada@example.test"},
        is_logged_in=True,
        first_seen_ms=NOW_MS,
        last_seen_ms=NOW_MS + 60_000,
    )
    assert result.changes == (
        IdentityChange("customerid", None, "C-1001"),
        IdentityChange("email", None, "ada@example.test"),
    )
    assert (result.user_changed, result.device.context) == (False, "note")


def test_identities_are_merged_with_those_known_of_the_same_profile(
    service: Service, client: IdentityClient
) -> None:
    service.answer({"mpid": "22"})
    device = device_of(seen("11"), seen("22", customerid="C-1001", email="old@example.test"))
    result = client.login(device, request(email="new@example.test"))
    assert result.user.identities == {"customerid": "C-1001", "email": "new@example.test"}
    assert result.user.first_seen_ms == 10
    assert result.changes == (IdentityChange("email", "old@example.test", "new@example.test"),)


def test_changes_never_compare_two_people(service: Service, client: IdentityClient) -> None:
    service.answer({"mpid": "22"})
    device = device_of(seen("11", email="ada@example.test"))
    result = client.login(device, request(email="grace@example.test"))
    assert result.changes == (IdentityChange("email", None, "grace@example.test"),)


def test_after_a_logout_the_new_user_has_no_identities(
    service: Service, client: IdentityClient
) -> None:
    service.answer({"mpid": "22"})
    ada = seen("11", email="ada@example.test")
    result = client.logout(device_of(ada))
    assert (result.user.mpid, result.user.identities, result.user.is_logged_in) == ("22", {}, False)
    assert result.previous_user == ada
    assert [user.mpid for user in result.device.users] == ["22", "11"]
    assert result.device.users[1].identities == {"email": "ada@example.test"}


def test_a_context_is_sent_back_until_there_is_a_newer_one(
    service: Service, client: IdentityClient
) -> None:
    service.answer({"mpid": "11", "context": "note"}, {"mpid": "11"}, {"mpid": "11"})
    device = client.identify(DEVICE).device
    device = client.login(device).device
    client.logout(device)
    assert [body["context"] for body in service.bodies] == [None, "note", "note"]


def test_the_signal_comes_when_the_mpid_changes(service: Service, client: IdentityClient) -> None:
    service.answer({"mpid": "11"}, {"mpid": "11"}, {"mpid": "22"})
    device = client.identify(DEVICE).device
    device = client.login(device).device
    client.logout(device)
    assert service.changed == [(None, "11"), ("11", "22")]


def test_an_error_in_the_signal_does_not_lose_the_result(
    service: Service, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(_previous: User | None, _user: User) -> None:
        raise RuntimeError("a listener fell over")

    service.answer({"mpid": "11"})
    result = new_client(service, on_user_changed=fail).identify(DEVICE)
    assert result.user.mpid == "11"
    assert "on_user_changed failed" in caplog.text


def test_a_listener_may_make_the_next_call(service: Service) -> None:
    def log_in(_previous: User | None, user: User) -> None:
        chaining.login(device_of(user))

    chaining = new_client(service, on_user_changed=log_in)
    service.answer({"mpid": "11"}, {"mpid": "11"})
    chaining.identify(DEVICE)
    assert len(service.requests) == 2


def test_modify_sends_only_what_is_different(service: Service, client: IdentityClient) -> None:
    answer = {
        "mpid": "11",
        "is_logged_in": True,
        "change_results": [{"identity_type": "email", "modified_mpid": "11"}],
    }
    service.answer(answer)
    ada = seen("11", customerid="C-1001", email="ada@example.test", other="lovelace")
    wanted = (
        IdentityRequest.of(ada)
        .with_identity("email", "countess@example.test")
        .with_identity("other", None)
    )
    result = client.modify(device_of(ada), wanted)
    assert str(service.requests[0].url) == "https://identity.example/v1/11/modify"
    body = service.bodies[0]
    assert body["identity_changes"] == [
        {
            "old_value": "ada@example.test",
            "new_value": "countess@example.test",
            "identity_type": "email",
        },
        {"old_value": "lovelace", "new_value": None, "identity_type": "other"},
    ]
    assert "known_identities" not in body
    assert "previous_mpid" not in body
    assert result.user.identities == {"customerid": "C-1001", "email": "countess@example.test"}
    assert result.user.first_seen_ms == 10
    assert result.change_results == (ChangeResult("email", "11"),)
    assert [change.identity_type for change in result.changes] == ["email", "other"]
    assert (result.user_changed, service.changed) == (False, [])


def test_modify_with_nothing_to_change_sends_nothing(
    service: Service, client: IdentityClient
) -> None:
    ada = seen("11", email="ada@example.test")
    wanted = IdentityRequest.of(ada).with_identity("facebook", None)
    result = client.modify(device_of(ada), wanted)
    assert service.requests == []
    assert (result.sent, result.status_code, result.user) == (False, None, ada)
    assert (result.device, result.user_changed) == (device_of(ada), False)


def test_an_empty_answer_to_modify_leaves_the_login_state(
    service: Service, client: IdentityClient
) -> None:
    service.answer({})
    result = client.modify(device_of(seen("11")), request(email="ada@example.test"))
    assert (result.user.is_logged_in, result.user.identities) == (
        True,
        {"email": "ada@example.test"},
    )


def test_an_answer_to_modify_about_somebody_else_is_not_understood(
    service: Service, client: IdentityClient
) -> None:
    service.answer({"mpid": "22"})
    with pytest.raises(NotUnderstood):
        client.modify(device_of(seen("11")), request(email="ada@example.test"))


def test_modify_needs_a_current_user(service: Service, client: IdentityClient) -> None:
    with pytest.raises(NoCurrentUser):
        client.modify(DEVICE, request(email="ada@example.test"))
    assert service.requests == []


def test_search_finds_and_changes_nothing(service: Service, client: IdentityClient) -> None:
    service.answer(
        {"mpid": "22", "is_logged_in": True, "matched_identities": {"email": "ada@example.test"}}
    )
    device = device_of(seen("11"))
    result = client.search(device, request(email="ada@example.test"))
    assert service.bodies[0]["known_identities"] == {"email": "ada@example.test"}
    assert not {"context", "previous_mpid"} & service.bodies[0].keys()
    assert result.user == User(
        "22", {"email": "ada@example.test"}, True, first_seen_ms=NOW_MS, last_seen_ms=NOW_MS
    )
    assert (result.device, result.user_changed, service.changed) == (device, False, [])


def test_search_keeps_the_times_of_somebody_seen_here(
    service: Service, client: IdentityClient
) -> None:
    service.answer({"mpid": "11"})
    found = client.search(device_of(seen("11")), request(email="ada@example.test")).user
    assert (found.first_seen_ms, found.last_seen_ms) == (10, 20)


@pytest.mark.parametrize("nobody", [None, IdentityRequest.empty()])
def test_search_needs_an_identity(
    service: Service, client: IdentityClient, nobody: IdentityRequest | None
) -> None:
    with pytest.raises(InvalidRequest):
        client.search(DEVICE, nobody)
    assert service.requests == []


def test_who_opted_out_can_still_sign_in_and_out(service: Service, client: IdentityClient) -> None:
    device = device_of(seen("11")).with_opt_out(True)
    for refused in (client.identify, client.search, client.modify):
        with pytest.raises(OptedOut):
            refused(device, request(email="ada@example.test"))
    assert service.requests == []
    service.answer({"mpid": "11"}, {"mpid": "22"})
    device = client.login(device, request(customerid="C-1001")).device
    assert client.logout(device).device.opted_out


def test_a_given_request_id_is_used(service: Service, client: IdentityClient) -> None:
    service.answer({"mpid": "11"})
    assert client.identify(DEVICE, request_id="I-7").request_id == "I-7"
    assert service.bodies[0]["request_id"] == "I-7"


def test_two_calls_for_one_device_do_not_overlap() -> None:
    asked, answered = threading.Event(), threading.Event()

    def answer(_: httpx.Request) -> httpx.Response:
        asked.set()
        answered.wait(10)
        return httpx.Response(200, json={"mpid": "11"})

    client = new_client(answer)
    with ThreadPoolExecutor(2) as threads:
        first = threads.submit(client.identify, DEVICE)
        assert asked.wait(10)
        try:
            with pytest.raises(RequestInProgress):
                client.login(DEVICE)
            other = threads.submit(client.identify, Device(stamp="another"))
        finally:
            answered.set()
        assert first.result().user.mpid == other.result().user.mpid == "11"
    assert client.login(DEVICE).user.mpid == "11"


def test_a_failed_call_leaves_the_device_free_for_the_next(
    service: Service, client: IdentityClient
) -> None:
    service.answers = [httpx.ConnectError("refused")]
    with pytest.raises(NoConnection):
        client.identify(DEVICE)
    service.answer({"mpid": "11"})
    assert client.identify(DEVICE).user.mpid == "11"


@pytest.mark.parametrize(
    ("status_code", "expected"),
    [
        (301, UnexpectedStatus),
        (400, BadRequest),
        (401, Unauthorized),
        (403, Forbidden),
        (404, ProfileNotFound),
        (409, UnexpectedStatus),
        (429, TooManyRequests),
        (500, ServiceFailed),
        (503, ServiceFailed),
        (599, ServiceFailed),
        (600, UnexpectedStatus),
    ],
)
def test_a_refusal_is_typed_by_its_status(
    service: Service,
    client: IdentityClient,
    caplog: pytest.LogCaptureFixture,
    status_code: int,
    expected: type[Refused],
) -> None:
    body = {"errors": [{"code": "CODE", "message": "about ada@example.test"}]}
    service.answers = [httpx.Response(status_code, json=body)]
    with pytest.raises(expected) as caught:
        client.identify(DEVICE)
    assert type(caught.value) is expected
    assert (caught.value.status_code, caught.value.request_id) == (status_code, "R-1")
    assert caught.value.errors == (("CODE", "about ada@example.test"),)
    assert f"HTTP status {status_code}, request R-1" in caplog.text
    assert "ada@example.test" not in caplog.text


def test_too_many_requests_says_how_long_to_wait(service: Service, client: IdentityClient) -> None:
    service.answers = [httpx.Response(429, headers={"Retry-After": "30"})]
    with pytest.raises(TooManyRequests) as caught:
        client.identify(DEVICE)
    assert caught.value.retry_after_seconds == 30


@pytest.mark.parametrize(
    ("raised", "expected"),
    [
        (httpx.ConnectError("refused"), NoConnection),
        (httpx.ReadTimeout("slow"), TimedOut),
        (httpx.LocalProtocolError("bad header"), Misconfigured),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_no_answer_is_typed_by_its_cause(
    service: Service, client: IdentityClient, raised: Exception, expected: type[IdentityError]
) -> None:
    service.answers = [raised]
    with pytest.raises(expected):
        client.identify(DEVICE)
    assert len(service.requests) == 1


def test_a_success_without_an_mpid_is_not_understood(
    service: Service, client: IdentityClient
) -> None:
    service.answer({"is_logged_in": True})
    with pytest.raises(NotUnderstood):
        client.login(DEVICE)


@pytest.mark.parametrize(
    "base_url",
    [
        "",
        "identity.example/v1",
        "file:///v1",
        "https://",
        "https://identity.example:port/v1",
        "https://ada:secret@identity.example/v1",
        "https://identity.example/v1?key=1",
        "https://identity.example/v1#top",
    ],
)
def test_a_base_url_that_cannot_be_used_is_refused_at_once(base_url: str) -> None:
    with pytest.raises(ValueError, match="base URL"):
        IdentityClient(
            base_url=base_url,
            auth=KeyOnly("demo-web-key"),
            http=OutgoingHttp(deadline_seconds=1.0, max_answer_bytes=10),
            clock=lambda: NOW_MS,
        )


@pytest.mark.parametrize("module", ["auth", "client", "device", "messages"])
def test_the_examples_in_the_docstrings_hold(module: str) -> None:
    assert doctest.testmod(vars(identity_client)[module]).failed == 0


NOBODY = User("1", {}, is_logged_in=False, first_seen_ms=NOW_MS - 9_000, last_seen_ms=NOW_MS)
ADA = User("2", {"customerid": "C-1"}, is_logged_in=True, first_seen_ms=NOW_MS, last_seen_ms=NOW_MS)


class TestAlias:
    """What one user did, carried over to another."""

    def test_it_is_sent_as_the_web_sdk_does(self, service: Service, client: IdentityClient) -> None:
        service.answers.append(httpx.Response(202))
        client.alias(device_of(ADA, NOBODY), AliasRequest.of(NOBODY, ADA, now_ms=NOW_MS))
        (request,) = service.requests
        assert str(request.url) == "https://alias.example/v1/identity/demo-web-key/Alias"
        assert service.bodies == [
            {
                "request_id": "R-1",
                "request_type": "alias",
                "environment": "development",
                "api_key": "demo-web-key",
                "data": {
                    "destination_mpid": "2",
                    "source_mpid": "1",
                    "start_unixtime_ms": NOW_MS - 9_000,
                    "end_unixtime_ms": NOW_MS,
                    "scope": "device",
                    "device_application_stamp": STAMP,
                },
            }
        ]

    def test_the_period_is_cut_to_ninety_days(self) -> None:
        long_ago = replace(NOBODY, first_seen_ms=5)
        asked = AliasRequest.of(long_ago, ADA, now_ms=NOW_MS)
        assert asked.start_ms == NOW_MS - 90 * 86_400_000
        assert asked.end_ms == NOW_MS

    def test_it_begins_with_what_waited_for_the_first_answer(self) -> None:
        asked = AliasRequest.of(NOBODY, ADA, now_ms=NOW_MS, since_ms=NOW_MS - 9_500)
        assert asked.start_ms == NOW_MS - 9_500

    def test_a_profile_has_nothing_to_get_from_itself(self, client: IdentityClient) -> None:
        with pytest.raises(InvalidRequest):
            client.alias(device_of(ADA), AliasRequest.of(ADA, ADA, now_ms=NOW_MS))

    def test_without_a_place_to_send_it_to(self, service: Service) -> None:
        client = new_client(service, alias_url=None)
        assert not client.has_alias
        with pytest.raises(Misconfigured):
            client.alias(device_of(ADA, NOBODY), AliasRequest.of(NOBODY, ADA, now_ms=NOW_MS))

    def test_who_opted_out_is_let_be(self, service: Service, client: IdentityClient) -> None:
        with pytest.raises(OptedOut):
            client.alias(
                device_of(ADA, NOBODY).with_opt_out(True),
                AliasRequest.of(NOBODY, ADA, now_ms=NOW_MS),
            )
        assert service.requests == []

    def test_a_refusal_is_the_error_that_it_is_elsewhere(
        self, service: Service, client: IdentityClient
    ) -> None:
        service.answers.append(httpx.Response(403))
        with pytest.raises(Forbidden):
            client.alias(device_of(ADA, NOBODY), AliasRequest.of(NOBODY, ADA, now_ms=NOW_MS))
