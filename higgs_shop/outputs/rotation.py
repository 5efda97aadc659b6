"""Changing the secret that signs, while a receiver still knows the old one only.

A new one is added, and both sign; the receiver is told; then the old one is taken away. Nothing here
asks the database. Source: Standard Webhooks, "Secret rotation".
"""

import hashlib
from collections.abc import Sequence
from typing import Final

from higgs_shop.mistakes import MASK, Mistake
from higgs_shop.outputs.errors import OutputRefused

MOST_SECRETS: Final = 3
"""Each makes every request longer; one rotation at a time needs two."""

_FINGERPRINT_DIGITS: Final = 12


def fingerprint(secret: str) -> str:
    """What tells a secret from others without giving it away."""
    return hashlib.sha256(secret.encode()).hexdigest()[:_FINGERPRINT_DIGITS]


def with_another_secret(secrets: Sequence[str], another: str, *, usual: str) -> tuple[str, ...]:
    """The secrets that sign, oldest first, once another one does too.

    Args:
        secrets: the output's own so far; where it has none, the usual one goes on signing.
        usual: what signs for outputs without secrets of their own.
    Raises: OutputRefused when it signs already, or too many do.
    """
    now = tuple(secrets) or (usual,)
    if another in now:
        raise OutputRefused([Mistake("secret", MASK, "that one signs already")])
    if len(now) >= MOST_SECRETS:
        reason = f"{MOST_SECRETS} sign already, which is the most; remove the oldest first"
        raise OutputRefused([Mistake("secret", MASK, reason)])
    return (*now, another)


def without_secret(secrets: Sequence[str], gone: str) -> tuple[str, ...]:
    """The secrets that are left when the one with this fingerprint is taken away.

    One that is not there is gone already. Raises: OutputRefused for the last one: something has to sign.
    """
    left = tuple(secret for secret in secrets if fingerprint(secret) != gone)
    if not left:
        raise OutputRefused([Mistake("secret", MASK, "the last one stays; add another first")])
    return left
