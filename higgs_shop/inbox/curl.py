"""A request that came, as a command that sends it again: for any POSIX shell, and safe to paste.

What stands in single quotes is nothing but itself to the shell. Bytes that are no plain text travel as
base64 through a pipe.
"""

import base64
import re
import shlex
from typing import Final
from urllib.parse import quote

from higgs_shop.inbox.requests import MASK, InboxRequest

# Of the connection it came by; curl writes its own.
_OF_THE_CONNECTION: Final = frozenset(
    {
        "host",
        "connection",
        "content-length",
        "transfer-encoding",
        "expect",
        "keep-alive",
        "te",
        "trailer",
        "upgrade",
    }
)
# What curl would add by itself.
_ADDED_BY_CURL: Final = ("User-Agent", "Accept", "Content-Type")
_HEADER_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", re.ASCII)
_KEPT_IN_A_PATH: Final = "/%?&=+:@!$'()*,;~[]{}|\\^`\""
# Linux takes no longer word in a command.
_LONGEST_WORD_BYTES: Final = 100_000


def as_curl(request: InboxRequest, origin: str, *, certificate: str | None = None) -> str:
    """The command. Lines that begin with # say what of the request could not be put into it.

    Args:
        request: as it was kept.
        origin: where it goes, e.g. `http://127.0.0.1:8000`.
        certificate: the file by which curl knows the server, if it has one of its own.
    """
    sent, left_out = _headers(request)
    words = ["curl", "--globoff", "-X", request.method]
    words += [origin + quote(request.path, safe=_KEPT_IN_A_PATH)]
    words += ["--cacert", certificate] if certificate else []
    options = [f"-H {shlex.quote(header)}" for header in sent]
    pipe, data = _data(request.body)
    command = " \\\n  ".join([" ".join(map(shlex.quote, words)), *options, f"--data-binary {data}"])
    return "\n".join([*(f"# {reason}" for reason in left_out), pipe + command])


def _headers(request: InboxRequest) -> tuple[list[str], list[str]]:
    """For curl's -H, and a sentence for each that cannot be sent."""
    sent, left_out = [], []
    for name, value in request.headers:
        if name.lower() in _OF_THE_CONNECTION:
            continue
        if MASK in value:
            left_out.append(f"{_one_line(name)} is not kept here; put it in yourself.")
        elif (text := _typed(value)) is None or not _HEADER_NAME.fullmatch(name):
            left_out.append(f"{_one_line(name)} cannot be typed in a command.")
        else:
            # A semicolon is curl's way to send a header without a value.
            sent.append(f"{name}: {text}" if text else f"{name};")
    present = {name.lower() for name, _ in request.headers}
    sent += [f"{name}:" for name in _ADDED_BY_CURL if name.lower() not in present]
    return sent, left_out


def _typed(value: str) -> str | None:
    """A header's value as it is typed, or None. (WSGI reads bytes as Latin-1; terminals write UTF-8.)"""
    try:
        text = value.encode("latin-1").decode()
    except UnicodeError:
        return None
    return text if text.isprintable() else None


def _data(body: bytes) -> tuple[str, str]:
    """What goes before curl, and what is behind --data-binary."""
    text = _plain_text(body)
    if text is not None:
        return "", shlex.quote(text)
    return f"printf %s {base64.b64encode(body).decode()} | base64 -d | ", "@-"


def _plain_text(body: bytes) -> str | None:
    """The body if it can be pasted as it is: curl would take what begins with @ for a file's name."""
    if body.startswith(b"@") or len(body) > _LONGEST_WORD_BYTES:
        return None
    try:
        text = body.decode()
    except UnicodeDecodeError:
        return None
    is_plain = all(character.isprintable() or character in "\n\t" for character in text)
    return text if is_plain else None


def _one_line(text: str) -> str:
    return "".join(character for character in text if character.isprintable())
