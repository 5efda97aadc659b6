"""Makes self-signed certificates, and judges them: pure functions of PEM bytes and a time.

Such a certificate is no authority: whoever trusts it trusts these names with this key, and nothing
else. Its lifetime is what Apple's systems accept of one that people trust by hand (825 days).
"""

import datetime as dt
import ipaddress
from collections.abc import Sequence
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

VALID_DAYS: Final = 730
RENEWED_DAYS_BEFORE_THE_END: Final = 30

_DAY: Final = dt.timedelta(days=1)


def new_key() -> bytes:
    """A private key on the curve that every browser knows, as PEM."""
    return ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def new_certificate(key_pem: bytes, names: Sequence[str], now_ms: int) -> bytes:
    """A certificate for these host names and addresses, signed with its own key, as PEM.

    Raises: ValueError when that is no private key.
    """
    key = _read_key(key_pem)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Higgs Shop")])
    key_id = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    now = _time(now_ms)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _DAY)  # for clocks that are late
        .not_valid_after(now + VALID_DAYS * _DAY)
        .add_extension(x509.SubjectAlternativeName(map(_general_name, names)), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(key_id, critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(key_id), critical=False
        )
        .sign(key, hashes.SHA256())
    )
    return certificate.public_bytes(serialization.Encoding.PEM)


def is_good(certificate_pem: bytes, key_pem: bytes, names: Sequence[str], now_ms: int) -> bool:
    """Whether a certificate is this key's, for all these names, and not about to end.

    Raises: ValueError when the key is no private key.
    """
    key = _read_key(key_pem)
    try:
        certificate = x509.load_pem_x509_certificate(certificate_pem)
        held = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (ValueError, x509.ExtensionNotFound):
        return False
    renewed = certificate.not_valid_after_utc - RENEWED_DAYS_BEFORE_THE_END * _DAY
    return (
        certificate.public_key() == key.public_key()
        and certificate.not_valid_before_utc <= _time(now_ms) < renewed
        and set(map(_general_name, names)) <= set(held)
    )


def _read_key(key_pem: bytes) -> ec.EllipticCurvePrivateKey:
    key = serialization.load_pem_private_key(key_pem, password=None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise ValueError("not a key on an elliptic curve")  # noqa: TRY004 (as for any other content)
    return key


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name.strip("[]")))
    except ValueError:
        return x509.DNSName(f"*{name}" if name.startswith(".") else name)


def _time(now_ms: int) -> dt.datetime:
    return dt.datetime.fromtimestamp(now_ms // 1000, dt.UTC)
