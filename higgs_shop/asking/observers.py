"""Who may look at what the store observes.

With an operator token set, whoever knows it. Without one, in development only, whoever sits at this
very machine: the socket's peer and the Host are loopback, and no proxy has passed the request on.
"""

import hmac
import ipaddress
from typing import Final
from urllib.parse import urlsplit

from flask import abort, redirect, request, url_for
from itsdangerous import BadSignature, URLSafeTimedSerializer
from werkzeug.datastructures import WWWAuthenticate
from werkzeug.exceptions import Unauthorized
from werkzeug.wrappers import Response

from higgs_shop.asking.parts import parts

COOKIE: Final = "higgs_operator"
_HOURS: Final = 12
# Besides everything that begins with X-Forwarded.
_FORWARDING_HEADERS: Final = frozenset(
    {
        "forwarded",
        "via",
        "x-real-ip",
        "x-client-ip",
        "x-cluster-client-ip",
        "true-client-ip",
        "cf-connecting-ip",
    }
)


def may_observe() -> bool:
    """Whether this request comes from somebody who may look."""
    token = _token()
    if token:
        return _holds_cookie()
    return not parts().settings.production and _is_local()


def observers_only() -> Response | None:
    """For a blueprint's before_request: let observers in, ask for the token, or show nothing."""
    if may_observe():
        return None
    if not _token():
        abort(404)
    return redirect(url_for("operator.show", next=request.path), 302)


def observing_callers_only() -> None:
    """As `observers_only`, for an API: a caller may bring the token as a bearer, and is told no."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    is_bearer = scheme.lower() == "bearer" and is_operator_token(token.strip())
    if is_bearer or may_observe():
        return
    if not has_operator_token():
        abort(404)
    raise Unauthorized(
        "send the operator token as Authorization: Bearer …",
        www_authenticate=WWWAuthenticate("bearer"),
    )


def is_operator_token(text: str) -> bool:
    """Whether this is the operator token."""
    return bool(_token()) and hmac.compare_digest(
        text.encode("utf-8", "replace"), _token().encode()
    )


def has_operator_token() -> bool:
    """Whether a token is what opens the observing pages here."""
    return bool(_token())


def remember_observer(response: Response) -> None:
    """Let this browser in for twelve hours."""
    response.set_cookie(
        _cookie_name(),
        _serializer().dumps("observer"),
        max_age=_HOURS * 3_600,
        httponly=True,
        secure=parts().settings.secure,
        samesite="Lax",
        path="/",
    )


def _holds_cookie() -> bool:
    try:
        _serializer().loads(request.cookies.get(_cookie_name(), ""), max_age=_HOURS * 3_600)
    except BadSignature:
        return False
    return True


def _cookie_name() -> str:
    return f"__Host-{COOKIE}" if parts().settings.secure else COOKIE


def _serializer() -> URLSafeTimedSerializer:
    # The token is part of the key: a new token shuts everybody out.
    return URLSafeTimedSerializer([parts().secrets.secret_key, _token()], salt="operator")


def _token() -> str:
    return parts().settings.operator_token.get_secret_value()


def _is_local() -> bool:
    names = [name.lower() for name, _ in request.headers]
    if any(name in _FORWARDING_HEADERS or name.startswith("x-forwarded") for name in names):
        return False
    return _is_loopback(request.environ.get("REMOTE_ADDR")) and _is_loopback(
        urlsplit(f"//{request.host}").hostname
    )


def _is_loopback(host: str | None) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host or "").is_loopback
    except ValueError:
        return False
