"""Secrets that a store makes for itself once, and keeps in the instance folder from then on.

Each is a file of its own, readable by the owner only. Two processes that start at the same moment
end up with the same secret: whoever links the finished file first wins, the other one reads it.
"""

import base64
import os
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from higgs_shop.setting_values import SIGNING_SECRET_PREFIX
from higgs_shop.settings import Settings, SettingsError, variable


@dataclass(frozen=True)
class InstanceSecrets:
    """The secrets in force: those of the settings where given, else the kept ones."""

    secret_key: str = field(repr=False)
    webhook_secret: str = field(repr=False)
    inbox_token: str = field(repr=False)


def load_secrets(
    settings: Settings, random_bytes: Callable[[int], bytes] = secrets.token_bytes
) -> InstanceSecrets:
    """Read the secrets that the settings leave open from the instance folder, made there if new.

    Raises: SettingsError, when the folder cannot be written or a kept secret is empty.
    """
    return InstanceSecrets(
        secret_key=settings.secret_key.get_secret_value()
        or keep_secret(settings, "secret_key", lambda: random_bytes(48).hex()),
        webhook_secret=settings.webhook_secret.get_secret_value()
        or keep_secret(
            settings,
            "webhook_secret",
            lambda: new_signing_secret(random_bytes),
        ),
        inbox_token=keep_secret(settings, "inbox_token", lambda: random_bytes(16).hex()),
    )


def new_signing_secret(random_bytes: Callable[[int], bytes] = secrets.token_bytes) -> str:
    """A fresh Standard Webhooks signing secret."""
    return f"{SIGNING_SECRET_PREFIX}{base64.b64encode(random_bytes(32)).decode()}"


def keep_secret(settings: Settings, name: str, make: Callable[[], str]) -> str:
    """Read one secret from its file in the instance folder; made there if there is none.

    Raises: SettingsError, when the folder cannot be written or the kept secret is empty.
    """
    folder = settings.instance
    try:
        return _kept(folder / name, make)
    except OSError as error:
        raise SettingsError(
            [f"{variable('instance')}={folder}: cannot keep {name} there ({error.strerror})"]
        ) from error


def _kept(file: Path, make: Callable[[], str]) -> str:
    if not file.exists():
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _create(file, make())
    secret = file.read_text(encoding="ascii").strip()
    if not secret:
        raise SettingsError([f"{file}: is empty; delete it, and a new secret is made"])
    return secret


def _create(file: Path, secret: str) -> None:
    """Write the file whole or not at all, and leave one that is there already as it is."""
    unfinished = file.with_name(f".{file.name}.{os.getpid()}.{secrets.token_hex(8)}")
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as stream:
            stream.write(f"{secret}\n")
            stream.flush()
            os.fsync(stream.fileno())
        try:
            os.link(unfinished, file)
        except FileExistsError:
            return
    finally:
        unfinished.unlink()
