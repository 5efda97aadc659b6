"""The server under `run --tls`, with one thread: whoever held that would hold up everybody."""

import contextlib
import socket
import ssl
import threading
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import trustme

from higgs_shop.tls import TlsServer
from tests.network_faults import serving, trusting

PATIENCE_SECONDS = 60
LARGE = 5_000_000


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def address(authority: trustme.CA) -> Iterator[tuple[str, int]]:
    """Where an application echoes what it gets; `/large` answers with five megabytes."""

    def echo(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        is_large = environ["PATH_INFO"] == "/large"
        body = bytes(LARGE) if is_large else environ["wsgi.input"].read()
        headers = [("Content-Length", str(len(body))), ("X-Peer", environ["REMOTE_ADDR"])]
        start_response("200 OK", [*headers, ("X-Scheme", environ["wsgi.url_scheme"])])
        return [body]

    listening = socket.create_server(("127.0.0.1", 0))
    context = serving(authority.issue_cert("127.0.0.1"))
    server = TlsServer(echo, listening, context, threads=1, ident=None)
    thread = threading.Thread(target=server.run)
    thread.start()
    yield listening.getsockname()
    # Closed by its own thread, since that one may be waiting on the socket right now.
    server.trigger.pull_trigger(server.close)
    thread.join()
    server.task_dispatcher.shutdown()
    for channel in list(server.active_channels.values()):
        channel.handle_close()


@pytest.fixture
def trust(authority: trustme.CA) -> ssl.SSLContext:
    return trusting(authority)


@pytest.fixture
def web(address: tuple[str, int], trust: ssl.SSLContext) -> Iterator[httpx.Client]:
    with httpx.Client(
        base_url=f"https://127.0.0.1:{address[1]}",
        verify=trust,
        trust_env=False,
        timeout=PATIENCE_SECONDS,
    ) as client:
        yield client


@contextlib.contextmanager
def connected(address: tuple[str, int], trust: ssl.SSLContext) -> Iterator[ssl.SSLSocket]:
    with (
        socket.create_connection(address, PATIENCE_SECONDS) as plain,
        trust.wrap_socket(plain, server_hostname="127.0.0.1") as connection,
    ):
        yield connection


def test_tells_the_application_who_asks_and_how(web: httpx.Client) -> None:
    answer = web.post("/", content=b"hello")

    assert answer.content == b"hello"
    assert answer.headers["x-peer"] == "127.0.0.1"
    assert answer.headers["x-scheme"] == "https"


@pytest.mark.parametrize("size", [0, 1, 8_191, 8_192, 8_193, 16_384, 16_385, 300_000])
def test_bodies_of_every_size_come_whole(web: httpx.Client, size: int) -> None:
    body = bytes(range(256)) * (size // 256 + 1)

    assert web.post("/", content=body[:size]).content == body[:size]


def test_connections_are_kept(web: httpx.Client) -> None:
    for number in range(3):
        assert web.post("/", content=str(number).encode()).text == str(number)


def test_who_waits_with_a_handshake_or_a_request_holds_up_nobody(
    address: tuple[str, int], trust: ssl.SSLContext, web: httpx.Client
) -> None:
    with (
        socket.create_connection(address) as silent,
        socket.create_connection(address) as halting,
        connected(address, trust) as slow,
    ):
        halting.sendall(client_hello(trust)[:20])
        slow.sendall(b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Le")
        assert web.post("/", content=b"quick").content == b"quick"
        slow.sendall(b"ngth: 4\r\nConnection: close\r\n\r\nslow")
        assert everything(slow).endswith(b"\r\n\r\nslow")
        silent.sendall(client_hello(trust))
        assert silent.recv(1) == b"\x16", "the handshake goes on"


def test_who_reads_slowly_holds_up_nobody(
    address: tuple[str, int], trust: ssl.SSLContext, web: httpx.Client
) -> None:
    with connected(address, trust) as slow:
        slow.sendall(b"GET /large HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        head = slow.recv(100)
        assert web.post("/", content=b"quick").content == b"quick"
        answer = head + everything(slow)
    assert len(answer.partition(b"\r\n\r\n")[2]) == LARGE


def test_an_answer_ends_with_a_goodbye(address: tuple[str, int], trust: ssl.SSLContext) -> None:
    """Without one, the end could be somebody's who cut the line."""
    with (
        socket.create_connection(address, PATIENCE_SECONDS) as plain,
        trust.wrap_socket(
            plain, server_hostname="127.0.0.1", suppress_ragged_eofs=False
        ) as connection,
    ):
        connection.sendall(b"GET / HTTP/1.0\r\n\r\n")
        assert b"200 OK" in everything(connection)


def test_plain_http_is_told_what_to_do(address: tuple[str, int]) -> None:
    answer = httpx.get(f"http://127.0.0.1:{address[1]}/", trust_env=False)

    assert answer.status_code == 400
    assert "https://" in answer.text


@pytest.mark.parametrize(
    "content",
    [b"", b"\x00", b"\x16\x03\x01\xff\xff", b"\x16\x03\x01\x00\x05junk!", b"\xff" * 100_000],
    ids=["nothing", "a NUL", "a long promise", "junk in a record", "a flood"],
)
def test_what_is_no_handshake_is_hung_up_on(
    address: tuple[str, int], web: httpx.Client, content: bytes
) -> None:
    with contextlib.suppress(OSError), socket.create_connection(address) as stranger:
        stranger.sendall(content)
        stranger.shutdown(socket.SHUT_WR)
        everything(stranger)
    assert web.post("/", content=b"still there").content == b"still there"


def test_junk_after_the_handshake_is_hung_up_on(
    address: tuple[str, int], trust: ssl.SSLContext, web: httpx.Client
) -> None:
    with socket.create_connection(address, PATIENCE_SECONDS) as plain:
        connection = trust.wrap_socket(plain, server_hostname="127.0.0.1")
        socket.socket.sendall(connection, b"\x17\x03\x03\x00\x10" + bytes(16))
        with contextlib.suppress(OSError):
            everything(connection)
        connection.close()
    assert web.post("/", content=b"still there").content == b"still there"


def test_bad_requests_get_what_they_get_without_tls(
    address: tuple[str, int], trust: ssl.SSLContext
) -> None:
    with connected(address, trust) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost : x\r\n\r\n")
        assert everything(connection).startswith(b"HTTP/1.0 400 ")


def client_hello(trust: ssl.SSLContext) -> bytes:
    """The first bytes of a handshake."""
    outgoing = ssl.MemoryBIO()
    client = trust.wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname="127.0.0.1")
    with contextlib.suppress(ssl.SSLWantReadError):
        client.do_handshake()
    return outgoing.read()


def everything(connection: socket.socket) -> bytes:
    """What comes until the other side has said all."""
    received = bytearray()
    while piece := connection.recv(65_536):
        received += piece
    return bytes(received)
