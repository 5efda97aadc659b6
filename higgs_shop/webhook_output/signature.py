"""Standard Webhooks signatures: made for what is sent, checked for what the inbox receives.

`webhook-signature` holds one `v1,<base64>` for each secret, parted by spaces: HMAC-SHA256 over
`<webhook-id>.<webhook-timestamp>.<body>`. With two secrets at once a receiver can change from the old
to the new one without losing a message.
Source: standard-webhooks/standard-webhooks, spec/standard-webhooks.md, "Signature scheme".
"""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

TOLERANCE_SECONDS: Final = 5 * 60
_PREFIX: Final = "whsec_"
# The specification's bounds for a symmetric secret.
_SHORTEST_KEY_BYTES: Final = 24
_LONGEST_KEY_BYTES: Final = 64
# Longer than any time that a clock shows in this millennium.
_MOST_TIMESTAMP_DIGITS: Final = 11


class BadSecret(ValueError):
    """A signing secret is not `whsec_` and the base64 of 24 to 64 bytes. The message never shows it."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a receiver can say of a signature: the state, and the reason as one plain sentence."""

    state: Literal["valid", "invalid", "missing"]
    reason: str

    @property
    def ok(self) -> bool:
        """True when the signature holds."""
        return self.state == "valid"


def sign(secrets: Sequence[str], *, webhook_id: str, timestamp_seconds: int, body: bytes) -> str:
    """The value of `webhook-signature`: one signature for each secret.

    Args:
        secrets: at least one; receivers must not care about the order.
        webhook_id: the same on every attempt.
        timestamp_seconds: Unix time of the attempt, the same number as in `webhook-timestamp`.
        body: the bytes exactly as they are sent.
    Raises: BadSecret, also when there is no secret at all, so that nothing leaves unsigned by accident.
    """
    signed = f"{webhook_id}.{timestamp_seconds}.".encode() + body
    return " ".join(_signature(key, signed) for key in _keys(secrets))


def verify(
    secrets: Sequence[str],
    headers: Mapping[str, str],
    body: bytes,
    now_ms: int,
    *,
    tolerance_seconds: int = TOLERANCE_SECONDS,
) -> Verdict:
    """Whether the signature in a request's headers holds for its body. Never raises for what was sent.

    Args:
        secrets: those that the receiver accepts; one that fits is enough.
        headers: names in any case.
        body: every byte, as it came.
        now_ms: the receiver's time; a timestamp further away than the tolerance does not hold.
        tolerance_seconds: how far the two clocks may be apart, a message's travel included.
    Raises: BadSecret, for the receiver's own secrets.
    """
    by_name = {name.lower(): value for name, value in headers.items()}
    wanted = ("webhook-id", "webhook-timestamp", "webhook-signature")
    absent = [name for name in wanted if not by_name.get(name)]
    if "webhook-signature" in absent:
        return Verdict("missing", f"Not signed: {_listed(absent)} missing.")
    if absent:
        return Verdict("invalid", f"Signed, but {_listed(absent)} missing.")
    webhook_id, timestamp, signatures = (by_name[name] for name in wanted)

    complaint = _timestamp_complaint(timestamp, now_ms // 1_000, tolerance_seconds)
    if complaint:
        return Verdict("invalid", complaint)
    signed = _bytes(f"{webhook_id}.{timestamp}.") + body
    given = [each for each in signatures.split() if each.startswith("v1,")]
    if not given:
        return Verdict("invalid", "webhook-signature holds no signature of the kind v1.")
    if not _any_fits([_signature(key, signed) for key in _keys(secrets)], given):
        return Verdict("invalid", "No signature fits this id, timestamp and body with our secret.")
    return Verdict("valid", "The signature fits the id, the timestamp and every byte of the body.")


def _keys(secrets: Sequence[str]) -> list[bytes]:
    if not secrets:
        raise BadSecret("at least one signing secret is needed")
    return [_key(secret) for secret in secrets]


def _key(secret: str) -> bytes:
    if not secret.startswith(_PREFIX):
        raise BadSecret(f"a signing secret starts with {_PREFIX}")
    try:
        key = base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
    except (binascii.Error, ValueError) as error:
        raise BadSecret(f"what follows {_PREFIX} in a signing secret is base64") from error
    if not _SHORTEST_KEY_BYTES <= len(key) <= _LONGEST_KEY_BYTES:
        raise BadSecret(
            f"a signing secret holds {_SHORTEST_KEY_BYTES} to {_LONGEST_KEY_BYTES} bytes, not {len(key)}"
        )
    return key


def _signature(key: bytes, signed: bytes) -> str:
    return "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()


def _listed(names: Sequence[str]) -> str:
    return " and ".join(names) + (" is" if len(names) == 1 else " are")


def _timestamp_complaint(timestamp: str, now_seconds: int, tolerance_seconds: int) -> str | None:
    digits = timestamp.isascii() and timestamp.isdigit()
    if not digits or len(timestamp) > _MOST_TIMESTAMP_DIGITS:
        return "webhook-timestamp is not a Unix time in whole seconds."
    age_seconds = now_seconds - int(timestamp)
    if abs(age_seconds) <= tolerance_seconds:
        return None
    side = "old" if age_seconds > 0 else "far in the future"
    return (
        f"webhook-timestamp is too {side}: {abs(age_seconds)} seconds from this server's time,"
        f" and {tolerance_seconds} are allowed."
    )


def _any_fits(expected: Sequence[str], given: Sequence[str]) -> bool:
    # Every pair is compared, each in constant time: the time taken says nothing about which one fits.
    fits = [hmac.compare_digest(_bytes(one), _bytes(other)) for one in expected for other in given]
    return any(fits)


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")
