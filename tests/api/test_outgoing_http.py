"""The way out against real sockets that misbehave: every call ends in time, in the right error."""

import gzip
import os
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
import trustme

from higgs_shop.outgoing_http import (
    AnswerTooLarge,
    ConnectionLost,
    NoConnection,
    OutgoingError,
    OutgoingHttp,
    TimedOut,
    TlsFailed,
)
from tests.network_faults import (
    ANSWER_TWICE,
    BLACKHOLE,
    DRIP,
    JUNK,
    PASS,
    REFUSE,
    RESET,
    THIS_MACHINE,
    FaultProxy,
    Mode,
    Received,
    Receiver,
    Reply,
    cut_after,
    serving,
    trusting,
)

DEADLINE_SECONDS = 0.3
MOST_BYTES = 100_000
BROKE = "the connection broke before the answer was complete"


@pytest.fixture
def http() -> Iterator[OutgoingHttp]:
    """So patient that only what is meant to fail does, however busy the machine."""
    with OutgoingHttp(
        deadline_seconds=30.0, max_answer_bytes=MOST_BYTES, reach=THIS_MACHINE
    ) as http:
        yield http


@pytest.fixture
def impatient() -> Iterator[OutgoingHttp]:
    with OutgoingHttp(
        deadline_seconds=DEADLINE_SECONDS, max_answer_bytes=MOST_BYTES, reach=THIS_MACHINE
    ) as http:
        yield http


@contextmanager
def in_time() -> Iterator[None]:
    """The call may not outlive its deadline by more than what a busy machine needs."""
    started_seconds = time.monotonic()
    yield
    assert time.monotonic() - started_seconds < DEADLINE_SECONDS + 1.0


@pytest.mark.parametrize(
    ("mode", "expected", "words", "most_requests"),
    [
        (REFUSE, NoConnection, "no connection: Connection refused", 0),
        (RESET, ConnectionLost, f"{BROKE}: ", 0),
        (JUNK, ConnectionLost, "what was answered is no HTTP", 0),
        (cut_after(0), ConnectionLost, BROKE, 1),
        (cut_after(20), ConnectionLost, BROKE, 1),
        (cut_after(130), ConnectionLost, BROKE, 1),
    ],
    ids=lambda value: value.name + str(value.after_bytes) if isinstance(value, Mode) else None,
)
def test_a_broken_line_ends_the_call(
    http: OutgoingHttp,
    receiver: Receiver,
    mode: Mode,
    expected: type[OutgoingError],
    words: str,
    most_requests: int,
) -> None:
    """And is told in our words, not in those of a library."""
    receiver.answer = lambda _: Reply(body=b"x" * 1_000)
    with FaultProxy(receiver.address) as proxy:
        proxy.mode = mode
        with pytest.raises(expected) as caught:
            http.post(proxy.url, content=b"{}", headers={})
        assert str(caught.value).startswith(words)
        assert not str(caught.value).endswith(".")
        assert len(receiver.requests) <= most_requests
        assert proxy.accepted <= 1


@pytest.mark.parametrize(
    ("mode", "most_requests"), [(BLACKHOLE, 0), (DRIP, 1)], ids=["blackhole", "drip"]
)
def test_a_slow_line_is_left_at_the_deadline(
    impatient: OutgoingHttp, receiver: Receiver, mode: Mode, most_requests: int
) -> None:
    with FaultProxy(receiver.address) as proxy:
        proxy.mode = mode
        with in_time(), pytest.raises(TimedOut):
            impatient.post(proxy.url, content=b"{}", headers={})
        assert len(receiver.requests) <= most_requests
        assert proxy.accepted <= 1


def test_a_dripping_body_is_cut_at_the_deadline(impatient: OutgoingHttp) -> None:
    """Headers at once, then one byte at a time: each read is fast, the whole is not."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        done = threading.Event()

        def drip() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(65_536)
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
                while not done.wait(0.02):
                    connection.sendall(b"x")

        thread = threading.Thread(target=drip)
        thread.start()
        try:
            with in_time(), pytest.raises(TimedOut):
                impatient.post(
                    f"http://127.0.0.1:{listener.getsockname()[1]}", content=b"", headers={}
                )
        finally:
            done.set()
            thread.join()


def test_a_peer_that_does_not_read_cannot_hold_up_a_long_request(impatient: OutgoingHttp) -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        in_time(),
        pytest.raises(TimedOut),
    ):
        impatient.post(
            f"http://127.0.0.1:{listener.getsockname()[1]}",
            content=b"x" * 30_000_000,
            headers={},
        )


def test_50_megabytes_are_refused(http: OutgoingHttp, receiver: Receiver) -> None:
    receiver.answer = lambda _: Reply(body=b"x" * 50_000_000)
    with pytest.raises(AnswerTooLarge):
        http.post(receiver.url, content=b"", headers={})


def test_of_50_megabytes_the_beginning_is_taken_where_that_will_do(receiver: Receiver) -> None:
    receiver.answer = lambda _: Reply(body=b"x" * 50_000_000)
    with OutgoingHttp(
        deadline_seconds=5.0, max_answer_bytes=1_000, cuts_answers=True, reach=THIS_MACHINE
    ) as http:
        answers = [http.post(receiver.url, content=b"", headers={}) for _ in range(2)]

    assert [(each.status_code, each.body) for each in answers] == [(200, b"x" * 1_000)] * 2
    assert receiver.connections == 2, "what is left of an answer is nobody's"


def test_a_packed_answer_is_not_unpacked(http: OutgoingHttp, receiver: Receiver) -> None:
    bomb = gzip.compress(bytes(20_000_000))
    receiver.answer = lambda _: Reply(headers={"Content-Encoding": "gzip"}, body=bomb)
    assert http.post(receiver.url, content=b"", headers={}).body == bomb


def test_calls_share_a_connection(http: OutgoingHttp, receiver: Receiver) -> None:
    for _ in range(3):
        http.post(receiver.url, content=b"{}", headers={})
    assert (len(receiver.requests), receiver.connections) == (3, 1)


def test_a_connection_that_the_server_closes_is_not_used_again(
    http: OutgoingHttp, receiver: Receiver
) -> None:
    receiver.answer = lambda _: Reply(headers={"Connection": "close"})
    for _ in range(3):
        http.post(receiver.url, content=b"{}", headers={})
    assert (len(receiver.requests), receiver.connections) == (3, 3)


def test_no_more_calls_run_at_once_than_agreed(receiver: Receiver) -> None:
    at_once, most_at_once, lock = 0, 0, threading.Lock()

    def answer(request: Received) -> Reply:
        nonlocal at_once, most_at_once
        with lock:
            at_once += 1
            most_at_once = max(most_at_once, at_once)
        if request.number <= 2:
            receiver.wait_for(2)
        with lock:
            at_once -= 1
        return Reply()

    receiver.answer = answer
    with (
        OutgoingHttp(
            deadline_seconds=30.0, max_answer_bytes=10, max_connections=2, reach=THIS_MACHINE
        ) as http,
        ThreadPoolExecutor(8) as threads,
    ):
        answers = list(
            threads.map(lambda _: http.post(receiver.url, content=b"", headers={}), range(24))
        )
    assert [answer.status_code for answer in answers] == [200] * 24
    assert most_at_once == 2
    assert receiver.connections == 2


def test_who_finds_no_free_connection_gives_up_at_the_deadline(receiver: Receiver) -> None:
    receiver.hold()
    with (
        OutgoingHttp(
            deadline_seconds=DEADLINE_SECONDS,
            max_answer_bytes=10,
            max_connections=1,
            reach=THIS_MACHINE,
        ) as http,
        ThreadPoolExecutor(8) as threads,
        in_time(),
    ):
        calls = [threads.submit(http.post, receiver.url, content=b"", headers={}) for _ in range(8)]
        assert [type(call.exception()) for call in calls] == [TimedOut] * 8


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_forked_process_opens_connections_of_its_own(
    http: OutgoingHttp, receiver: Receiver
) -> None:
    http.post(receiver.url, content=b"parent", headers={})
    child = os.fork()
    if child == 0:
        try:
            answer = http.post(receiver.url, content=b"child", headers={})
            os._exit(0 if answer.status_code == 200 else 1)
        finally:
            os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    http.post(receiver.url, content=b"parent again", headers={})
    assert [request.body for request in receiver.requests] == [b"parent", b"child", b"parent again"]
    assert receiver.connections == 2


def test_the_environment_has_no_say(
    http: OutgoingHttp,
    receiver: Receiver,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    netrc = tmp_path / ".netrc"
    netrc.write_text("machine 127.0.0.1 login ada password lovelace\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.setenv("HOME", str(tmp_path))
    with Receiver() as hijacker:
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "all_proxy"):
            monkeypatch.setenv(name, hijacker.url)
        monkeypatch.setenv("NO_PROXY", "")
        http.post(receiver.url, content=b"", headers={})
        assert hijacker.connections == 0
    assert "authorization" not in receiver.requests[0].headers


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


def patient(ssl_context: ssl.SSLContext) -> OutgoingHttp:
    return OutgoingHttp(
        deadline_seconds=30.0,
        max_answer_bytes=MOST_BYTES,
        ssl_context=ssl_context,
        reach=THIS_MACHINE,
    )


def test_a_private_authority_can_be_trusted(authority: trustme.CA) -> None:
    with (
        Receiver(ssl_context=serving(authority.issue_cert("127.0.0.1"))) as receiver,
        patient(trusting(authority)) as http,
    ):
        assert http.post(receiver.url, content=b"{}", headers={}).status_code == 200


@pytest.mark.parametrize("by_environment", [False, True], ids=["plain", "SSL_CERT_FILE"])
def test_an_unknown_authority_is_refused_whatever_the_environment_says(
    authority: trustme.CA,
    by_environment: bool,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    if by_environment:
        authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    with (
        Receiver(ssl_context=serving(authority.issue_cert("127.0.0.1"))) as receiver,
        OutgoingHttp(deadline_seconds=30.0, max_answer_bytes=10, reach=THIS_MACHINE) as http,
    ):
        with pytest.raises(TlsFailed):
            http.post(receiver.url, content=b"{}", headers={})
        assert receiver.requests == []


@pytest.mark.parametrize("fault", ["wrong host", "expired"])
def test_a_certificate_that_does_not_fit_is_refused(authority: trustme.CA, fault: str) -> None:
    certificate = (
        authority.issue_cert("shop.example")
        if fault == "wrong host"
        else authority.issue_cert("127.0.0.1", not_after=datetime(2020, 1, 1, tzinfo=UTC))
    )
    with (
        Receiver(ssl_context=serving(certificate)) as receiver,
        patient(trusting(authority)) as http,
    ):
        with pytest.raises(TlsFailed):
            http.post(receiver.url, content=b"{}", headers={})
        assert receiver.requests == []


def test_a_server_without_tls_is_refused_under_https(
    http: OutgoingHttp, receiver: Receiver
) -> None:
    with pytest.raises(TlsFailed):
        http.post(receiver.url.replace("http:", "https:"), content=b"{}", headers={})
    assert receiver.requests == []


@pytest.mark.parametrize("mode", [BLACKHOLE, DRIP], ids=lambda mode: mode.name)
def test_a_handshake_that_does_not_end_is_cut_at_the_deadline(
    impatient: OutgoingHttp, authority: trustme.CA, mode: Mode
) -> None:
    with (
        Receiver(ssl_context=serving(authority.issue_cert("127.0.0.1"))) as receiver,
        FaultProxy(receiver.address) as proxy,
    ):
        proxy.mode = mode
        with in_time(), pytest.raises(TimedOut):
            impatient.post(proxy.url.replace("http:", "https:"), content=b"{}", headers={})


def test_a_line_that_broke_and_came_back_is_used_again(
    http: OutgoingHttp, receiver: Receiver
) -> None:
    with FaultProxy(receiver.address) as proxy:
        http.post(proxy.url, content=b"before", headers={})
        proxy.mode = REFUSE
        with pytest.raises(NoConnection):
            http.post(proxy.url, content=b"meanwhile", headers={})
        proxy.mode = PASS
        http.post(proxy.url, content=b"after", headers={})
    assert [request.body for request in receiver.requests] == [b"before", b"after"]


def test_what_a_server_sends_beyond_its_answer_answers_nothing(
    http: OutgoingHttp, receiver: Receiver
) -> None:
    """The next call would otherwise be told, by bytes older than itself, that it went well."""
    with FaultProxy(receiver.address) as proxy:
        proxy.mode = ANSWER_TWICE
        for body in (b"first", b"third"):
            assert http.post(proxy.url, content=body, headers={}).status_code == 200
            with pytest.raises(ConnectionLost):
                http.post(proxy.url, content=b"in between", headers={})
    assert [request.body for request in receiver.requests] == [b"first", b"third"]
