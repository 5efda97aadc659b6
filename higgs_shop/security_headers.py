"""What browsers may do with our answers: the same headers on every one of them.

Source: OWASP Secure Headers. Pages have a policy of their own, with a nonce; all else gets the
strictest there is.
"""

import secrets
from collections.abc import Callable, Iterable
from typing import Any, Final

_POLICY: Final = "default-src 'none'; frame-ancestors 'none'"
_PAGE_POLICY: Final = (
    "default-src 'none'; script-src 'self' 'nonce-{nonce}'; style-src 'self' 'nonce-{nonce}'; "
    "img-src 'self' data:; connect-src 'self'; font-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)
_HEADERS: Final = (
    ("X-Content-Type-Options", "nosniff"),
    # Not no-referrer: it breaks CSRF checks by Referer over https.
    ("Referrer-Policy", "strict-origin-when-cross-origin"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
    ("X-Frame-Options", "DENY"),
    ("Permissions-Policy", "camera=(), geolocation=(), microphone=(), payment=()"),
    ("Content-Security-Policy", _POLICY),
)
_HSTS: Final = ("Strict-Transport-Security", "max-age=31536000")


def new_nonce() -> str:
    """128 random bits for one answer."""
    return secrets.token_urlsafe(16)


def page_policy(nonce: str) -> str:
    """The Content-Security-Policy of a page."""
    return _PAGE_POLICY.format(nonce=nonce)


class SecurityHeaders:
    """WSGI middleware: adds each header that an answer does not have yet.

    Args:
        secure: whether the store is reached over https, so that browsers may be told to stay there.
    """

    def __init__(self, application: Callable[..., Iterable[bytes]], *, secure: bool) -> None:
        self._application = application
        self._headers = (*_HEADERS, _HSTS) if secure else _HEADERS

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        """Answer as the application does, with the headers."""

        def start(status: str, headers: list[tuple[str, str]], *rest: Any) -> Any:
            present = {name.lower() for name, _ in headers}
            missing = [header for header in self._headers if header[0].lower() not in present]
            return start_response(status, [*headers, *missing], *rest)

        return self._application(environ, start)
