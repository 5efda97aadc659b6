"""The identity client against services that lie, drip, redirect and break: it never falls over."""

import gzip
import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
import trustme

from higgs_shop.identity_client import (
    Basic,
    ConnectionLost,
    Device,
    Hmac,
    IdentityClient,
    IdentityError,
    IdentityRequest,
    KeyOnly,
    Misconfigured,
    NoConnection,
    NotUnderstood,
    TimedOut,
    TlsFailed,
    UnexpectedStatus,
    User,
)
from higgs_shop.outgoing_http import OutgoingHttp
from higgs_shop.settings import Settings
from higgs_shop.tls import load_certificate
from tests.network_faults import (
    BLACKHOLE,
    DRIP,
    JUNK,
    REFUSE,
    RESET,
    THIS_MACHINE,
    FaultProxy,
    Mode,
    Receiver,
    Reply,
    cut_after,
    serving,
    trusting,
)

NOW_MS = 1_772_360_100_000
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
DEADLINE_SECONDS = 0.3
KEY_ONLY = KeyOnly("canary-key")
SIGNED = Hmac("canary-key", "canary-secret", lambda: NOW_MS)
BASIC = Basic("canary-key", "canary-secret")

ADA = User("4711", {"email": "ada@example.test"}, True, first_seen_ms=1, last_seen_ms=1)
DEVICE = Device(stamp="0b7f3d64", users=(ADA,), current_mpid="4711")
REQUEST = IdentityRequest.empty().with_identity("email", "canary@example.test")
JSON = {"Content-Type": "application/json"}
ACTIONS = ("identify", "login", "logout", "search", "modify")


@pytest.fixture
def http() -> Iterator[OutgoingHttp]:
    """So patient that only what is meant to fail does, however busy the machine."""
    with OutgoingHttp(deadline_seconds=30.0, max_answer_bytes=65_536, reach=THIS_MACHINE) as http:
        yield http


@pytest.fixture
def impatient() -> Iterator[OutgoingHttp]:
    with OutgoingHttp(
        deadline_seconds=DEADLINE_SECONDS, max_answer_bytes=65_536, reach=THIS_MACHINE
    ) as http:
        yield http


def client_of(
    base_url: str, http: OutgoingHttp, auth: KeyOnly | Basic | Hmac = SIGNED
) -> IdentityClient:
    return IdentityClient(base_url=base_url, auth=auth, http=http, clock=lambda: NOW_MS)


@pytest.fixture
def service() -> Iterator[Receiver]:
    with Receiver() as receiver:
        yield receiver


@contextmanager
def in_time() -> Iterator[None]:
    started_seconds = time.monotonic()
    yield
    assert time.monotonic() - started_seconds < DEADLINE_SECONDS + 1.0


@pytest.mark.parametrize("action", ACTIONS)
@pytest.mark.parametrize(
    ("mode", "expected", "most_requests"),
    [
        (REFUSE, NoConnection, 0),
        (RESET, ConnectionLost, 0),
        (JUNK, ConnectionLost, 0),
        (cut_after(30), ConnectionLost, 1),
    ],
    ids=lambda value: value.name if isinstance(value, Mode) else None,
)
def test_a_broken_line_is_a_typed_error(
    http: OutgoingHttp,
    service: Receiver,
    action: str,
    mode: Mode,
    expected: type[IdentityError],
    most_requests: int,
) -> None:
    service.answer = lambda _: Reply(headers=JSON, body=b'{"mpid":"4711"}')
    with FaultProxy(service.address) as proxy:
        proxy.mode = mode
        with pytest.raises(expected):
            getattr(client_of(proxy.url, http), action)(DEVICE, REQUEST)
        assert len(service.requests) <= most_requests


@pytest.mark.parametrize("action", ACTIONS)
@pytest.mark.parametrize(
    ("mode", "most_requests"), [(BLACKHOLE, 0), (DRIP, 1)], ids=["blackhole", "drip"]
)
def test_a_slow_line_is_left_at_the_deadline(
    impatient: OutgoingHttp, service: Receiver, action: str, mode: Mode, most_requests: int
) -> None:
    service.answer = lambda _: Reply(headers=JSON, body=b'{"mpid":"4711"}')
    with FaultProxy(service.address) as proxy:
        proxy.mode = mode
        with in_time(), pytest.raises(TimedOut):
            getattr(client_of(proxy.url, impatient), action)(DEVICE, REQUEST)
        assert len(service.requests) <= most_requests


LIES = {
    "50 MB": Reply(headers=JSON, body=b" " * 50_000_000),
    "gzip bomb": Reply(
        headers={**JSON, "Content-Encoding": "gzip"}, body=gzip.compress(bytes(20_000_000))
    ),
    "wrong content type": Reply(headers={"Content-Type": "text/html"}, body=b'{"mpid":"1"}'),
    "no content type": Reply(body=b'{"mpid":"1"}'),
    "empty": Reply(headers=JSON),
    "204": Reply(204),
    "deep": Reply(headers=JSON, body=b"[" * 60_000),
    "mpid as a number": Reply(headers=JSON, body=b'{"mpid":4711}'),
    "mpid 0": Reply(headers=JSON, body=b'{"mpid":"0"}'),
    "NaN": Reply(headers=JSON, body=b'{"mpid":"4711","x":NaN}'),
    "a member twice": Reply(headers=JSON, body=b'{"mpid":"4711","mpid":"4712"}'),
    "not UTF-8": Reply(headers=JSON, body=b'{"mpid":"4711","x":"\xff"}'),
}


@pytest.mark.parametrize("action", ACTIONS)
@pytest.mark.parametrize("lie", LIES)
def test_a_lie_is_not_understood(
    http: OutgoingHttp, service: Receiver, action: str, lie: str
) -> None:
    service.answer = lambda _: LIES[lie]
    with pytest.raises(NotUnderstood):
        getattr(client_of(service.url, http), action)(DEVICE, REQUEST)
    assert len(service.requests) == 1


def test_unknown_members_are_ignored(http: OutgoingHttp, service: Receiver) -> None:
    service.answer = lambda _: Reply(headers=JSON, body=b'{"mpid":"4711","quark":{"spin":[0.5]}}')
    assert client_of(service.url, http).identify(DEVICE).user.mpid == "4711"


@pytest.mark.parametrize("status_code", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("auth", [KEY_ONLY, SIGNED, BASIC], ids=lambda auth: type(auth).__name__)
def test_the_key_never_reaches_another_origin(
    http: OutgoingHttp, service: Receiver, status_code: int, auth: KeyOnly | Basic | Hmac
) -> None:
    with Receiver() as elsewhere:
        service.answer = lambda _: Reply(status_code, {"Location": f"{elsewhere.url}/v1/identify"})
        with pytest.raises(UnexpectedStatus) as caught:
            client_of(service.url, http, auth).identify(DEVICE)
        assert caught.value.status_code == status_code
        assert elsewhere.connections == 0
    assert len(service.requests) == 1


def test_a_redirect_to_a_file_is_not_followed(http: OutgoingHttp, service: Receiver) -> None:
    service.answer = lambda _: Reply(302, {"Location": "file:///etc/passwd"})
    with pytest.raises(UnexpectedStatus):
        client_of(service.url, http).identify(DEVICE)


def test_neither_bodies_nor_keys_are_logged(
    http: OutgoingHttp, service: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    service.script(
        Reply(400, JSON, b'{"errors":[{"code":"canary-code","message":"canary-message"}]}'),
        Reply(200, JSON, b'{"mpid":"canary-answer"}'),
    )
    client = client_of(service.url, http, BASIC)
    for _ in range(2):
        with pytest.raises(IdentityError):
            client.login(DEVICE, REQUEST)
    ours = [record.getMessage() for record in caplog.records if record.name.startswith("higgs")]
    assert len(ours) == 2
    assert not any("canary" in message for message in ours)
    assert "canary-secret" not in caplog.text


def test_a_failed_call_says_what_the_next_step_is(http: OutgoingHttp, service: Receiver) -> None:
    """The code is what the shop stores and shows; the message holds nobody's identities."""
    service.answer = lambda _: Reply(headers=JSON, body=b'{"mpid":"canary@example.test"}')
    with pytest.raises(NotUnderstood) as caught:
        client_of(service.url, http).login(DEVICE, REQUEST)
    assert caught.value.code == "not_understood"
    assert "canary" not in str(caught.value)


def test_proxies_in_the_environment_have_no_effect(
    http: OutgoingHttp, service: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    service.answer = lambda _: Reply(headers=JSON, body=b'{"mpid":"4711"}')
    with Receiver() as hijacker:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, hijacker.url)
        monkeypatch.setenv("NO_PROXY", "")
        assert client_of(service.url, http).identify(DEVICE).user.mpid == "4711"
        assert hijacker.connections == 0


IMPOSTORS = ["expired", "for another host", "self-signed", "of an unknown authority"]


@pytest.mark.parametrize("impostor", IMPOSTORS)
@pytest.mark.parametrize("auth", [KEY_ONLY, SIGNED, BASIC], ids=lambda auth: type(auth).__name__)
def test_a_service_that_cannot_prove_who_it_is_learns_nothing(
    impostor: str, auth: KeyOnly | Basic | Hmac, tmp_path: Path
) -> None:
    authority = trustme.CA()
    served = {
        "expired": lambda: serving(authority.issue_cert("127.0.0.1", not_after=LONG_AGO)),
        "for another host": lambda: serving(authority.issue_cert("identity.example")),
        "self-signed": lambda: load_certificate(
            Settings(instance=tmp_path, tls=True), NOW_MS
        ).server_context(),
        "of an unknown authority": lambda: serving(trustme.CA().issue_cert("127.0.0.1")),
    }[impostor]()
    with (
        Receiver(ssl_context=served) as service,
        OutgoingHttp(
            deadline_seconds=30.0,
            max_answer_bytes=65_536,
            ssl_context=trusting(authority),
            reach=THIS_MACHINE,
        ) as http,
    ):
        with pytest.raises(TlsFailed):
            client_of(service.url, http, auth).identify(DEVICE)
        assert service.requests == []


def test_a_service_that_speaks_no_tls_learns_nothing(http: OutgoingHttp, service: Receiver) -> None:
    with pytest.raises(TlsFailed):
        client_of(service.url.replace("http:", "https:"), http).identify(DEVICE)
    assert service.requests == []


def test_a_service_that_may_not_be_reached_is_a_matter_for_the_settings(service: Receiver) -> None:
    with (
        OutgoingHttp(deadline_seconds=30.0, max_answer_bytes=65_536) as public_only,
        pytest.raises(Misconfigured, match="HIGGS_SHOP_PERMITTED_NETWORKS"),
    ):
        client_of(service.url, public_only).identify(DEVICE)
    assert service.connections == 0


def test_a_host_that_cannot_exist_is_a_matter_for_the_settings(http: OutgoingHttp) -> None:
    with pytest.raises(Misconfigured):
        client_of(f"https://{'a' * 300}.example/v1", http).identify(DEVICE)
