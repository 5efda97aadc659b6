"""`run --tls`: the same store over https, started as people start it."""

import contextlib
import hashlib
import re
import socket
import ssl
from collections.abc import Iterator
from http.cookies import SimpleCookie
from pathlib import Path

import httpx
import pytest

from higgs_shop.outgoing_http import OutgoingHttp, TlsFailed
from tests.api.conftest import PRODUCTION, OpenStore
from tests.browser.store_process import StoreProcess
from tests.network_faults import THIS_MACHINE

PATIENCE_SECONDS = 60


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StoreProcess]:
    with StoreProcess(tmp_path_factory.mktemp("tls"), "--tls") as store:
        yield store


@pytest.fixture
def web(store: StoreProcess) -> Iterator[httpx.Client]:
    """Somebody who trusts the store's certificate and nothing else."""
    with httpx.Client(
        base_url=store.address,
        verify=store.trusted(),
        trust_env=False,
        timeout=PATIENCE_SECONDS,
    ) as client:
        yield client


def test_it_says_where_it_is_and_how_to_trust_it(store: StoreProcess) -> None:
    port = store.host[1]
    certificate = store.instance / "certificate.pem"
    with socket.create_connection(store.host) as plain, trusting_all(plain) as connection:
        served = connection.getpeercert(binary_form=True) or b""
    fingerprint = hashlib.sha256(served).hexdigest()

    assert f"https://127.0.0.1:{port}/inbox" in store.said
    assert f"https://127.0.0.1:{port}/identity/v1/" in store.said
    assert str(certificate) in store.said
    assert fingerprint in store.said.replace(":", "").lower()
    assert "http://" not in store.said
    assert served == ssl.PEM_cert_to_DER_cert(certificate.read_text())


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_it_is_known_by_its_certificate(store: StoreProcess, web: httpx.Client, host: str) -> None:
    page = web.get(f"https://{host}:{store.host[1]}/")

    assert page.status_code == 200
    assert "mpid" in page.text


def test_it_is_trusted_by_nobody_who_was_not_asked_to(store: StoreProcess) -> None:
    with (
        OutgoingHttp(
            deadline_seconds=PATIENCE_SECONDS, max_answer_bytes=10, reach=THIS_MACHINE
        ) as http,
        pytest.raises(TlsFailed),
    ):
        http.post(f"{store.address}/inbox/x", content=b"", headers={})


def test_it_hands_out_cookies_that_stay_on_https(web: httpx.Client) -> None:
    answer = web.get("/")
    cookies: SimpleCookie = SimpleCookie()
    for line in answer.headers.get_list("set-cookie"):
        cookies.load(line)

    assert set(cookies) == {"__Host-higgs_visit", "__Host-higgs_device"}
    assert all(cookie["secure"] and cookie["path"] == "/" for cookie in cookies.values())
    assert "strict-transport-security" not in answer.headers, "all of localhost would suffer"


def test_it_delivers_to_its_own_inbox(store: StoreProcess, web: httpx.Client) -> None:
    mpid = re.findall(r'data-mpid="(\d+)"', web.get("/about").text)[0]
    store.wait_until_delivered()
    inbox = web.get("/inbox").text

    assert mpid[-6:] in inbox
    assert 'data-signature="valid"' in inbox
    assert 'data-signature="invalid"' not in inbox


def test_it_answers_identity_calls(web: httpx.Client) -> None:
    answer = web.post(
        "/identity/v1/identify",
        headers={"x-mp-key": "demo-web-key"},
        json={
            "environment": "development",
            "known_identities": {"device_application_stamp": "over-tls"},
        },
    )

    assert answer.status_code == 200
    assert answer.json()["mpid"].isdigit()


def test_it_keeps_its_certificate_over_a_restart(tmp_path: Path) -> None:
    store = StoreProcess(tmp_path, TLS="on")
    with store:
        first = (tmp_path / "certificate.pem").read_bytes()
    with store:
        assert store.address.startswith("https://")
        assert (tmp_path / "certificate.pem").read_bytes() == first


def test_over_tls_in_production_browsers_are_told_to_stay(open_store: OpenStore) -> None:
    answer = open_store(**PRODUCTION, tls=True).app.test_client().get("/healthz")

    assert answer.headers["Strict-Transport-Security"]


@contextlib.contextmanager
def trusting_all(plain: socket.socket) -> Iterator[ssl.SSLSocket]:
    """A TLS connection to whoever it is."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with context.wrap_socket(plain) as connection:
        yield connection
