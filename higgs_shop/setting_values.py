"""What may stand in a setting: pure checks that turn a text into a value or say what is wrong."""

import base64
import binascii
import difflib
import ipaddress
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Final
from urllib.parse import SplitResult, urlsplit

from pydantic import SecretStr
from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError

from higgs_shop.identity_types import DEFAULT_IDS, IDENTITY_TYPES
from higgs_shop.networks import Network

DATABASES: Final = ("sqlite", "postgresql")
SIGNING_SECRET_PREFIX: Final = "whsec_"  # noqa: S105 (the public part)
SIGNING_SECRET_BYTES: Final = range(24, 64 + 1)
STRONG_SECRET_BYTES: Final = 32
SHOWN_CHARACTERS: Final = 80


class Refused(ValueError):
    """A value that is wrong for a reason of its own; the message ends the setting's error line."""


def nearest(name: str, known: Iterable[str], spell: Callable[[str], str] = str) -> str:
    """What somebody who wrote `name` may have meant, as the end of a sentence, or nothing."""
    close = difflib.get_close_matches(name, list(known), n=1)
    return f"; did you mean {spell(close[0])}?" if close else ""


def one_line(text: str) -> str:
    """Any text, fit to be repeated in a message: on one line, printable, shortened."""
    line = "".join(
        letter if letter.isprintable() else "\ufffd" for letter in " ".join(text.split())
    )
    return line if len(line) <= SHOWN_CHARACTERS else f"{line[:SHOWN_CHARACTERS]}…"


def split_at_commas(value: Any) -> Any:
    """`a, b` as it stands in a variable; anything but text is left to the type."""
    if not isinstance(value, str):
        return value
    return tuple(part.strip() for part in value.split(",") if part.strip())


def absolute_folder(folder: Path) -> Path:
    """The folder from the root on, whatever the current one will be; it need not exist yet."""
    try:
        absolute = folder.expanduser().absolute()
    except RuntimeError as error:
        raise Refused("nobody has that home folder") from error
    if absolute.exists() and not absolute.is_dir():
        raise Refused("that is a file; use the path of a folder")
    return absolute


def not_yet(value: bool | str) -> bool | str:
    """A setting that is agreed on and does nothing yet: better refused than ignored."""
    if value:
        raise Refused("not available in this release; leave it out")
    return value


def supported_database(url: str) -> str:
    """A SQLAlchemy URL of a database that the store speaks; PostgreSQL means psycopg 3."""
    try:
        parsed = make_url(url.replace("postgres://", "postgresql://", 1))
    except ArgumentError as error:
        raise ValueError from error
    if parsed.get_backend_name() not in DATABASES:
        raise ValueError
    if parsed.drivername == "postgresql":
        parsed = parsed.set(drivername="postgresql+psycopg")
    return parsed.render_as_string(hide_password=False)


def base_url(url: str) -> str:
    """Where an API begins, without a slash at its end: https, or http to this machine."""
    parts = _http_url(url)
    if parts is None:
        return ""
    if parts.scheme == "http" and not is_loopback(parts.hostname or ""):
        raise Refused("plain http leaves this machine; use https")
    if parts.query:
        raise Refused("a base URL has no query")
    return url.rstrip("/")


def endpoint_url(url: str) -> str:
    """An http or https URL to post to, taken as it is."""
    _http_url(url)
    return url


def network(value: Any) -> Any:
    """`10.0.0.0/8`, or one address for itself; anything but text is left to the type."""
    if not isinstance(value, str):
        return value
    try:
        interface = ipaddress.ip_interface(value)
    except ValueError as error:
        raise Refused(f"no network: {one_line(value)}; write one like 10.0.0.0/8") from error
    within: Network = interface.network
    if interface.ip != within.network_address:
        raise Refused(f"{one_line(value)} is an address within a network; write {within}")
    return within


def is_loopback(host: str) -> bool:
    """Whether a host, as it is written, is this machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def header_value(value: SecretStr) -> SecretStr:
    """What an HTTP header can carry everywhere: printable ASCII without spaces around it."""
    text = value.get_secret_value()
    if not (text.isascii() and (text.isprintable() and text == text.strip())):
        raise ValueError
    return value


def signing_secret(value: SecretStr) -> SecretStr:
    """A Standard Webhooks secret, or empty: one is made. Source: its specification, "Secrets"."""
    text = value.get_secret_value()
    if not text:
        return value
    if not text.startswith(SIGNING_SECRET_PREFIX):
        raise ValueError
    try:
        key = base64.b64decode(text.removeprefix(SIGNING_SECRET_PREFIX), validate=True)
    except binascii.Error as error:
        raise ValueError from error
    if len(key) not in SIGNING_SECRET_BYTES:
        raise ValueError
    return value


def known_strategy(name: str) -> str:
    """One of the five strategies."""
    if name not in DEFAULT_IDS:
        raise Refused(f"no such strategy{nearest(name, DEFAULT_IDS)}; use {', '.join(DEFAULT_IDS)}")
    return name


def identity_types(names: tuple[str, ...]) -> tuple[str, ...]:
    """Identity types of the HTTP API, each once."""
    known = sorted(IDENTITY_TYPES)
    for name in names:
        if name not in IDENTITY_TYPES:
            meant = nearest(name, known) or f"; use some of {', '.join(known)}"
            raise Refused(f"no such identity type: {one_line(name)}{meant}")
        if names.count(name) > 1:
            raise Refused(f"twice there: {name}; name each type once")
    return names


def first_is_at_once(waits: tuple[int, ...]) -> tuple[int, ...]:
    """The first attempt waits for nothing."""
    if waits[0] != 0:
        raise Refused("the first attempt is made at once, so the first wait is 0")
    return waits


def _http_url(url: str) -> SplitResult | None:
    """The parts of an absolute http(s) URL without credentials; None for an empty one."""
    if not url:
        return None
    if not (url.isascii() and url.isprintable()) or " " in url:
        raise ValueError
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.port == 0:
        raise ValueError
    if "@" in parts.netloc:
        raise Refused("credentials do not belong in a URL; there are settings for them")
    if parts.fragment:
        raise Refused("a URL to send to has no fragment")
    return parts
