"""JSON read from strangers: what the standard library lets through and a database or reader cannot hold.

Refused: NaN and Infinity, integers beyond 64 bits, lone surrogates, NUL characters, duplicate
members, nesting deeper than 64, anything but UTF-8. (Source: RFC 8259, sections 4, 6, 8, 9.)
"""

import json
from typing import Any, Final

MAX_DEPTH: Final = 64
_INT64_MIN: Final = -(2**63)
_INT64_MAX: Final = 2**63 - 1


class BadJson(ValueError):
    """The bytes are not JSON that we can keep; the message says what is wrong, in one sentence."""


def loads(body: bytes) -> Any:
    """Read one JSON value. Raises BadJson, whatever the bytes are."""
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise BadJson(f"the body is not UTF-8 (byte {error.start})") from error
    if text.startswith("\ufeff"):
        raise BadJson("the body starts with a byte order mark; send plain UTF-8")
    try:
        value = _DECODER.decode(text)
    except json.JSONDecodeError as error:
        raise BadJson(
            f"the body is not JSON: {error.msg} at line {error.lineno}, column {error.colno}"
        ) from error
    except RecursionError as error:
        raise BadJson(f"the body is nested more than {MAX_DEPTH} deep") from error
    # Only an escape brings in what UTF-8 cannot hold, and without brackets nothing is deep.
    if "\\u" in text or text.count("{") + text.count("[") >= MAX_DEPTH:
        _check(value, MAX_DEPTH)
    return value


def _unique_members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise BadJson(f"the member {twice[:80]!r} stands twice in one object")
    return members


def _no_constant(constant: str) -> Any:
    raise BadJson(f"{constant} is not a JSON number")


def _int64(digits: str) -> int:
    if len(digits) > 20 or not _INT64_MIN <= int(digits) <= _INT64_MAX:
        raise BadJson(f"the number {digits[:20]}… is beyond 64 bits")
    return int(digits)


def _finite(digits: str) -> float:
    number = float(digits)
    if number in (float("inf"), float("-inf")):
        raise BadJson(f"the number {digits[:20]} is beyond what a double can hold")
    return number


def _check(value: Any, depth: int) -> None:
    if depth == 0:
        raise BadJson(f"the body is nested more than {MAX_DEPTH} deep")
    if isinstance(value, str):
        _check_text(value)
    elif isinstance(value, dict):
        for name, member in value.items():
            _check_text(name)
            _check(member, depth - 1)
    elif isinstance(value, list):
        for item in value:
            _check(item, depth - 1)


def _check_text(text: str) -> None:
    if "\x00" in text:
        raise BadJson("a string holds a NUL character")
    if not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text):
        raise BadJson("a string holds half of a surrogate pair")


_DECODER: Final = json.JSONDecoder(
    object_pairs_hook=_unique_members,
    parse_constant=_no_constant,
    parse_int=_int64,
    parse_float=_finite,
)
