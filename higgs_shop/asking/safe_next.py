"""Where a form may send people afterwards: to a page of this store, nowhere else."""

from urllib.parse import urlsplit


def safe_next(target: str | None, default: str) -> str:
    """The target if it is a path on this site, else the default.

    Browsers strip tabs, newlines and leading spaces and read a backslash as a slash, so anything
    below 0x21, backslash and DEL is refused before looking further.
    """
    if not target or any(character <= " " or character in "\\\x7f" for character in target):
        return default
    if not target.startswith("/") or target.startswith("//"):
        return default
    try:
        parts = urlsplit(target)
    except ValueError:
        return default
    return default if parts.scheme or parts.netloc else target
