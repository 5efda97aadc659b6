"""What the way out promises, without a network: errors, bytes, and what it never sends."""

import doctest
import ssl
import threading
from collections.abc import Callable, Iterator

import httpcore
import httpx
import pytest

from higgs_shop.outgoing_http import (
    AnswerTooLarge,
    BadUrl,
    ConnectionLost,
    NoConnection,
    OutgoingError,
    OutgoingHttp,
    TimedOut,
    client,
)
from tests.network_faults import THIS_MACHINE, Receiver

URL = "http://service.example/path"


def answering(answer: Callable[[httpx.Request], httpx.Response]) -> OutgoingHttp:
    return OutgoingHttp(
        deadline_seconds=1.0, max_answer_bytes=10, transport=httpx.MockTransport(answer)
    )


def test_an_answer_is_handed_on_as_it_came() -> None:
    ticks = iter([0.0, 0.0, 0.0, 0.25])

    def refuse(request: httpx.Request) -> httpx.Response:
        return httpx.Response(409, headers={"X-Note": "taken"}, content=request.content)

    http = OutgoingHttp(
        deadline_seconds=1.0,
        max_answer_bytes=10,
        transport=httpx.MockTransport(refuse),
        monotonic_seconds=lambda: next(ticks),
    )
    answer = http.post(URL, content=b"\xffraw", headers={})
    assert (answer.status_code, answer.body, answer.duration_ms) == (409, b"\xffraw", 250)
    assert answer.headers["x-note"] == answer.headers["X-NOTE"] == "taken"


@pytest.mark.parametrize(
    ("raised", "expected"),
    [
        (httpx.ConnectTimeout("slow"), TimedOut),
        (httpx.ReadTimeout("slow"), TimedOut),
        (httpx.PoolTimeout("slow"), TimedOut),
        (httpx.ConnectError("refused"), NoConnection),
        (httpx.ReadError("reset"), ConnectionLost),
        (httpx.RemoteProtocolError("junk"), ConnectionLost),
        (ConnectionResetError("reset"), ConnectionLost),
        (httpx.LocalProtocolError("bad header"), BadUrl),
        (UnicodeError("label too long"), BadUrl),
    ],
    ids=lambda value: getattr(value, "__name__", type(value).__name__),
)
def test_every_error_ends_in_one_tree(raised: Exception, expected: type[OutgoingError]) -> None:
    def fail(_: httpx.Request) -> httpx.Response:
        raise raised

    with pytest.raises(expected) as caught:
        answering(fail).post(URL, content=b"", headers={})
    assert caught.value.__cause__ is raised


@pytest.mark.parametrize(
    "url",
    [
        "",
        "/relative",
        "file:///etc/passwd",
        "ftp://service.example/",
        "http://",
        "http://[::1/",
        "http://service.example:99999/",
        "http://127.0.0.1:99999/",
        f"http://{'a' * 300}/",
        "http://-\u00fc\u2024/",
        "http://service.example/\x00",
    ],
)
def test_a_url_that_can_never_be_sent_is_a_permanent_error(url: str) -> None:
    with (
        OutgoingHttp(deadline_seconds=1.0, max_answer_bytes=10, reach=THIS_MACHINE) as http,
        pytest.raises(BadUrl),
    ):
        http.post(url, content=b"", headers={})


@pytest.mark.parametrize("value", ["caf\u00e9", "two\r\nX-Injected: 1", "nul\x00"])
def test_a_header_that_can_never_be_sent_is_a_permanent_error(value: str) -> None:
    with (
        Receiver() as receiver,
        OutgoingHttp(deadline_seconds=1.0, max_answer_bytes=10, reach=THIS_MACHINE) as http,
    ):
        with pytest.raises(BadUrl):
            http.post(receiver.url, content=b"", headers={"X-Note": value})
        assert receiver.requests == []


def test_a_longer_answer_than_agreed_is_refused_without_reading_on() -> None:
    given: list[int] = []

    class Endless(httpx.SyncByteStream):
        def __iter__(self) -> Iterator[bytes]:
            while True:
                given.append(4)
                yield b"quar"

    with pytest.raises(AnswerTooLarge):
        answering(lambda _: httpx.Response(200, stream=Endless())).post(
            URL, content=b"", headers={}
        )
    assert len(given) == 3


def test_an_answer_of_just_the_agreed_length_is_read() -> None:
    http = answering(lambda _: httpx.Response(200, content=b"0123456789"))
    assert http.post(URL, content=b"", headers={}).body == b"0123456789"


def test_redirects_are_answers_like_any_other() -> None:
    seen: list[str] = []

    def redirect(request: httpx.Request) -> httpx.Response:
        seen.append(str(request.url))
        return httpx.Response(307, headers={"Location": "http://elsewhere.example/"})

    assert answering(redirect).post(URL, content=b"", headers={}).status_code == 307
    assert seen == [URL]


def test_nothing_is_remembered_from_one_call_to_the_next() -> None:
    cookies: list[str | None] = []

    def set_cookie(request: httpx.Request) -> httpx.Response:
        cookies.append(request.headers.get("Cookie"))
        return httpx.Response(200, headers={"Set-Cookie": "session=1; Path=/"})

    http = answering(set_cookie)
    http.post(URL, content=b"", headers={})
    http.post(URL, content=b"", headers={})
    assert cookies == [None, None]


def test_answers_are_asked_for_unpacked() -> None:
    asked: list[str] = []

    def note(request: httpx.Request) -> httpx.Response:
        asked.append(request.headers["Accept-Encoding"])
        return httpx.Response(200)

    answering(note).post(URL, content=b"", headers={})
    assert asked == ["identity"]


def test_an_unknown_name_is_no_connection() -> None:
    def unknown(_host: str, _port: int) -> list[str]:
        raise OSError(-2, "Name or service not known")

    with (
        OutgoingHttp(
            deadline_seconds=1.0, max_answer_bytes=10, resolve=unknown, reach=THIS_MACHINE
        ) as http,
        pytest.raises(NoConnection, match="Name or service not known"),
    ):
        http.post(URL, content=b"", headers={})


def test_a_name_without_addresses_is_no_connection() -> None:
    with (
        OutgoingHttp(
            deadline_seconds=1.0, max_answer_bytes=10, resolve=lambda *_: [], reach=THIS_MACHINE
        ) as http,
        pytest.raises(NoConnection),
    ):
        http.post(URL, content=b"", headers={})


def test_a_name_server_that_never_answers_cannot_hold_up_a_call() -> None:
    answered = threading.Event()

    def never(_host: str, _port: int) -> list[str]:
        answered.wait()
        return []

    with OutgoingHttp(
        deadline_seconds=0.1, max_answer_bytes=10, resolve=never, reach=THIS_MACHINE
    ) as http:
        try:
            for _ in range(6):  # more than may look up at once
                with pytest.raises(TimedOut):
                    http.post(URL, content=b"", headers={})
        finally:
            answered.set()


def test_the_next_address_is_tried_when_the_first_refuses() -> None:
    with (
        Receiver() as receiver,
        OutgoingHttp(
            deadline_seconds=2.0,
            max_answer_bytes=10,
            resolve=lambda *_: ["::1", "127.0.0.1"],
            reach=THIS_MACHINE,
        ) as http,
    ):
        port = receiver.address[1]
        http.post(f"http://shop.example:{port}/", content=b"", headers={})
        assert receiver.requests[0].headers["host"] == f"shop.example:{port}"


def test_the_pool_stands_where_this_version_of_httpx_keeps_it() -> None:
    """The deadline depends on a private attribute; a new httpx that moves it fails here."""
    assert isinstance(
        httpx.HTTPTransport(verify=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))._pool,
        httpcore.ConnectionPool,
    )


def test_the_examples_in_the_docstrings_hold() -> None:
    assert doctest.testmod(client).failed == 0
