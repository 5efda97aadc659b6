"""The store's own certificate: made once, kept private, made anew when it must be, and no authority."""

import ssl
import time
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from higgs_shop.settings import Settings, SettingsError
from higgs_shop.tls import Certificate, load_certificate

NOW_MS = 1_772_360_100_000
DAY_MS = 86_400_000


def load(folder: Path, *, days: float = 0, **settings: Any) -> Certificate:
    return load_certificate(
        Settings(instance=folder, tls=True, **settings), NOW_MS + int(days * DAY_MS)
    )


def names(certificate: Certificate) -> list[str]:
    """What it is for, as it says itself."""
    held = x509.load_pem_x509_certificate(certificate.file.read_bytes())
    value = held.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return [str(name.value) for name in value]


def test_it_is_made_once_and_kept(tmp_path: Path) -> None:
    first = load(tmp_path)

    assert load(tmp_path, days=300) == first
    assert first.file == tmp_path / "certificate.pem"
    assert len(first.fingerprint.split(":")) == 32


def test_the_key_is_for_its_owner_only(tmp_path: Path) -> None:
    made = load(tmp_path / "instance")

    assert made.key_file.stat().st_mode & 0o777 == 0o600
    assert b"PRIVATE" not in made.file.read_bytes()
    assert sorted(file.name for file in (tmp_path / "instance").iterdir()) == [
        "certificate.pem",
        "certificate_key.pem",
    ]


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, ["localhost", "127.0.0.1", "::1"]),
        ({"host": "shop.test"}, ["localhost", "127.0.0.1", "::1", "shop.test"]),
        ({"host": "0.0.0.0"}, ["localhost", "127.0.0.1", "::1"]),  # noqa: S104 (that is what is tested)
        ({"host": "::"}, ["localhost", "127.0.0.1", "::1"]),
        ({"host": "192.0.2.7"}, ["localhost", "127.0.0.1", "::1", "192.0.2.7"]),
        (
            {"trusted_hosts": "[2001:db8::1],.shop.test"},
            ["localhost", "127.0.0.1", "::1", "2001:db8::1", "*.shop.test"],
        ),
    ],
    ids=["as it comes", "a name", "everywhere", "everywhere, IPv6", "an address", "trusted hosts"],
)
def test_it_is_for_every_name_that_is_served(
    tmp_path: Path, settings: dict[str, Any], expected: list[str]
) -> None:
    assert names(load(tmp_path, **settings)) == expected


def test_it_is_made_anew_a_month_before_its_end(tmp_path: Path) -> None:
    first = load(tmp_path)

    assert load(tmp_path, days=699) == first
    second = load(tmp_path, days=700)
    assert second.fingerprint != first.fingerprint
    assert load(tmp_path, days=701) == second


def test_it_is_made_anew_for_a_new_host_and_not_for_one_less(tmp_path: Path) -> None:
    first = load(tmp_path)
    second = load(tmp_path, host="shop.test")

    assert second.fingerprint != first.fingerprint
    assert load(tmp_path) == second


def test_it_is_made_anew_when_the_clock_was_wrong(tmp_path: Path) -> None:
    first = load(tmp_path, days=30)

    assert load(tmp_path).fingerprint != first.fingerprint


@pytest.mark.parametrize("content", [b"", b"junk", b"\xff"], ids=["empty", "junk", "not text"])
def test_a_broken_certificate_is_made_anew(tmp_path: Path, content: bytes) -> None:
    first = load(tmp_path)
    first.file.write_bytes(content)

    assert load(tmp_path).server_context() is not None


def test_a_new_key_gets_a_new_certificate(tmp_path: Path) -> None:
    first = load(tmp_path)
    first.key_file.unlink()

    second = load(tmp_path)
    assert second.fingerprint != first.fingerprint
    assert second.server_context() is not None


@pytest.mark.parametrize(
    "content", ["junk", "-----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----"]
)
def test_something_else_as_the_key_is_named(tmp_path: Path, content: str) -> None:
    (tmp_path / "certificate_key.pem").write_text(content)

    with pytest.raises(
        SettingsError, match=r"certificate_key.pem: is not a private key; delete it"
    ):
        load(tmp_path)


def test_a_certificate_that_cannot_be_kept_is_named(tmp_path: Path) -> None:
    (tmp_path / "certificate.pem").mkdir()

    with pytest.raises(SettingsError, match=r"^HIGGS_SHOP_INSTANCE=.*cannot keep certificate.pem"):
        load(tmp_path)


def shake_hands(server: Certificate, client: ssl.SSLContext, host: str) -> None:
    """A handshake within this process. Raises: ssl.SSLCertVerificationError."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    sides = [
        client.wrap_bio(to_client, to_server, server_hostname=host),
        server.server_context().wrap_bio(to_server, to_client, server_side=True),
    ]
    for _ in range(3):
        for side in sides:
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue


def test_who_trusts_it_trusts_nothing_else(tmp_path: Path) -> None:
    """Neither another host with this key, nor another store's; and it can vouch for nobody."""
    now_ms = time.time_ns() // 1_000_000
    ours, theirs = (
        load_certificate(Settings(instance=tmp_path / name, tls=True), now_ms)
        for name in ("ours", "theirs")
    )
    trusting = ours.client_context()
    trusting.verify_flags |= ssl.VERIFY_X509_STRICT

    shake_hands(ours, trusting, "localhost")
    with pytest.raises(ssl.SSLCertVerificationError, match="Hostname mismatch"):
        shake_hands(ours, trusting, "shop.test")
    with pytest.raises(ssl.SSLCertVerificationError):
        shake_hands(theirs, trusting, "localhost")
    basic = x509.load_pem_x509_certificate(ours.file.read_bytes()).extensions
    assert not basic.get_extension_for_class(x509.BasicConstraints).value.ca
