"""The certificate that a store serves https with, made by itself and kept in the instance folder.

`certificate.pem` is for everybody who shall trust the store; `certificate_key.pem` is a secret. The
key stays. The certificate is made anew from it at a start at which it is about to end, or is not for
every name that the store is served under.
"""

import hashlib
import ipaddress
import os
import ssl
from dataclasses import dataclass
from pathlib import Path

import certifi

from higgs_shop.instance_secrets import keep_secret
from higgs_shop.settings import Settings, SettingsError, variable

_LOOPBACK = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True)
class Certificate:
    """A certificate and its key, as files in PEM.

    Attributes:
        fingerprint: SHA-256 over the certificate, as browsers show it: `A1:B2:…`.
    """

    file: Path
    key_file: Path
    fingerprint: str

    def server_context(self) -> ssl.SSLContext:
        """What a server needs to serve with it."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.options |= ssl.OP_NO_RENEGOTIATION
        context.set_alpn_protocols(["http/1.1"])
        context.load_cert_chain(self.file, self.key_file)
        return context

    def client_context(self) -> ssl.SSLContext:
        """For a client that trusts it, besides the authorities that all of the world trusts."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(certifi.where())
        context.load_verify_locations(self.file)
        return context


def load_certificate(settings: Settings, now_ms: int) -> Certificate:
    """The store's certificate from the instance folder; made there if there is none that will do.

    Raises: SettingsError when the folder cannot be written, or holds something else as the key.
    """
    from higgs_shop.tls import self_signed  # noqa: PLC0415 (slow, and seldom needed)

    key_file = settings.instance / "certificate_key.pem"
    key_pem = keep_secret(settings, key_file.name, lambda: self_signed.new_key().decode()).encode()
    file, names = settings.instance / "certificate.pem", _names(settings)
    try:
        if not self_signed.is_good(_read(file), key_pem, names, now_ms):
            _replace(file, self_signed.new_certificate(key_pem, names, now_ms))
    except ValueError as error:
        raise SettingsError(
            [f"{key_file}: is not a private key; delete it, and a new one is made"]
        ) from error
    except OSError as error:
        raise SettingsError(
            [
                f"{variable('instance')}={settings.instance}: cannot keep {file.name} there ({error.strerror})"
            ]
        ) from error
    der = ssl.PEM_cert_to_DER_cert(file.read_text(encoding="ascii"))
    return Certificate(file, key_file, hashlib.sha256(der).digest().hex(":").upper())


def _names(settings: Settings) -> tuple[str, ...]:
    """Every name under which the store may be asked for."""
    names = (*_LOOPBACK, settings.host, *settings.trusted_hosts)
    plain = (name.strip("[]").lower() for name in names)
    return tuple(dict.fromkeys(name for name in plain if not _is_everywhere(name)))


def _is_everywhere(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_unspecified
    except ValueError:
        return False


def _read(file: Path) -> bytes:
    return file.read_bytes() if file.exists() else b""


def _replace(file: Path, content: bytes) -> None:
    """Write the file whole or not at all: another process may be reading it."""
    unfinished = file.with_name(f".{file.name}.{os.getpid()}")
    unfinished.write_bytes(content)
    unfinished.replace(file)
