"""The receiver over TCP, as senders meet it: broken in every way that its dial knows, and never lossy."""

import os
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, Self
from urllib.parse import urlsplit

import httpx
import pytest

from tests.at_once import at_once
from tests.browser.store_process import StoreProcess

_OF_THE_CONNECTION: Final = {"Host", "Content-Length", "Connection"}


class Inbox:
    """An inbox of a running store, by its address and its API.

    Args:
        served: the store.
        name: of the session.
    """

    def __init__(self, served: StoreProcess, name: str) -> None:
        self._name = name
        self._client = httpx.Client(
            base_url=f"{served.address}/inbox/v1/sessions",
            verify=served.trusted(),
            trust_env=False,
        )
        self.verify = served.trusted()
        self.address = str(self._client.get(f"/{name}").json()["address"])

    def turn(self, **dial: Any) -> None:
        """Answer so from now on."""
        assert self._client.put(f"/{self._name}/dial", json=dial).status_code == 200

    def post(self, content: bytes = b"{}", **options: Any) -> httpx.Response:
        """Send something, as a client does that is patient for five seconds unless told otherwise."""
        return httpx.post(
            self.address, content=content, verify=self.verify, trust_env=False, **options
        )

    def requests(self) -> list[dict[str, Any]]:
        """What was kept, newest first."""
        found: list[dict[str, Any]] = self._client.get(f"/{self._name}/requests").json()["requests"]
        return found

    def curl(self, number: int) -> str:
        """The command that sends a request again."""
        return str(self._client.get(f"/{self._name}/requests/{number}").json()["curl"])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()


@pytest.fixture(scope="module", params=["http", "https"])
def served(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[StoreProcess]:
    """A store in a process of its own, plain and over TLS."""
    options = ["--tls"] if request.param == "https" else []
    with StoreProcess(tmp_path_factory.mktemp("store"), *options, THREADS="4") as served:
        yield served


@pytest.fixture
def inbox(served: StoreProcess) -> Iterator[Inbox]:
    """One that nobody else posts to."""
    made = httpx.post(
        f"{served.address}/inbox/v1/sessions", json={}, verify=served.trusted(), trust_env=False
    )
    with Inbox(served, made.json()["token"]) as inbox:
        yield inbox


@pytest.mark.parametrize("status", [200, 204, 301, 304, 400, 410, 429, 500, 503, 599])
def test_it_answers_with_any_status(inbox: Inbox, status: int) -> None:
    inbox.turn(status=status, retry_after_seconds=60)

    answer = inbox.post()

    assert (answer.status_code, answer.headers["Retry-After"]) == (status, "60")
    (kept,) = inbox.requests()
    assert (kept["answer"]["status"], kept["answer"]["retry_after_seconds"]) == (status, 60)


def test_a_dropped_connection_brings_the_sender_no_answer(inbox: Inbox) -> None:
    inbox.turn(drop_connection=True, times=1)

    with pytest.raises(httpx.RemoteProtocolError, match="without sending a response"):
        inbox.post(b"received, and not acknowledged")

    (kept,) = inbox.requests()
    assert kept["body"] == "received, and not acknowledged"
    assert kept["answer"]["status"] is None
    assert inbox.post().status_code == 204


def test_a_dropped_connection_is_closed_without_a_single_byte(
    inbox: Inbox, served: StoreProcess
) -> None:
    inbox.turn(drop_connection=True)
    path = urlsplit(inbox.address).path
    head = f"POST {path} HTTP/1.1\r\nHost: {urlsplit(inbox.address).netloc}\r\n"

    with socket.create_connection(served.host, timeout=20) as plain:
        trusted = served.trusted()
        context = trusted if isinstance(trusted, ssl.SSLContext) else None
        sender = context.wrap_socket(plain, server_hostname="127.0.0.1") if context else plain
        sender.sendall(f"{head}Content-Length: 2\r\n\r\n{{}}".encode())
        received = sender.recv(1_000)
        sender.close()

    assert received == b""
    assert len(inbox.requests()) == 1


def test_an_answer_is_held_back_for_as_long_as_it_was_told(inbox: Inbox) -> None:
    inbox.turn(status=503, delay_ms=300)

    began = time.monotonic()
    answer = inbox.post()

    assert answer.status_code == 503
    assert time.monotonic() - began >= 0.3
    assert inbox.requests()[0]["answer"]["delay_ms"] == 300


def test_of_many_at_once_exactly_so_many_fail(inbox: Inbox) -> None:
    inbox.turn(status=500, times=3)

    answers = at_once([inbox.post] * 8)

    assert sorted(answer.status_code for answer in answers) == [204] * 5 + [500] * 3


def test_a_sender_that_gives_up_was_received_and_the_next_one_need_not_wait(
    tmp_path: Path,
) -> None:
    """Also, a store that ends waits for no answer that it holds back."""
    store = StoreProcess(tmp_path / "store", THREADS="4")
    store.start()
    with Inbox(store, "default") as inbox:
        inbox.turn(delay_ms=30_000)
        with pytest.raises(httpx.ReadTimeout):
            inbox.post(b"first", timeout=0.5)
        second = inbox.post(b"second")
        newest, oldest = inbox.requests()

    assert second.status_code == 204
    assert (oldest["body"], oldest["answer"]["delay_ms"]) == ("first", 30_000)
    assert (newest["body"], newest["answer"]["delay_ms"]) == ("second", 0)
    assert newest["answer"]["not_held_ms"] == 30_000
    began = time.monotonic()
    store.stop()
    assert time.monotonic() - began < 15


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        pytest.param(b"", {}, id="nothing"),
        pytest.param(b'{"it\'s": "$HOME `id` \\"quoted\\" \\\\ 100%"}\n\n', {}, id="quotes"),
        pytest.param("Łódź, 東京\n\ttabs".encode(), {"Content-Type": "text/plain"}, id="UTF-8"),
        pytest.param(bytes(range(256)), {"Content-Type": "application/x"}, id="all bytes"),
        pytest.param(b"@/etc/passwd", {}, id="no file"),
        pytest.param(b"-x; rm -rf ~ #", {"X-Odd": "'; exit 1 #", "X-Empty": ""}, id="no options"),
        pytest.param(b"x" * 150_000, {}, id="large"),
        pytest.param(b"{}", {"X-City": "Łódź".encode(), "User-Agent": "me"}, id="headers"),
    ],
)
def test_the_curl_command_sends_the_same_request_again(
    inbox: Inbox, body: bytes, headers: dict[str, Any]
) -> None:
    sent = httpx.post(
        f"{inbox.address}?a=[1]{{2}}&b=%20%27",
        content=body,
        headers=headers,
        verify=inbox.verify,
        trust_env=False,
    )
    assert sent.status_code == 204
    (first,) = inbox.requests()

    subprocess.run(
        ["/bin/sh", "-e"],
        input=inbox.curl(first["id"]).encode(),
        env={"PATH": os.environ["PATH"]},
        check=True,
        timeout=60,
    )

    again, _ = inbox.requests()
    for member in ("method", "path", "body", "body_base64"):
        assert again[member] == first[member]
    assert headers_of(again) == headers_of(first)


def headers_of(kept: dict[str, Any]) -> dict[str, str]:
    return {name: value for name, value in kept["headers"] if name not in _OF_THE_CONNECTION}
