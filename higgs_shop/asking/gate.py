"""What is refused before any page or endpoint is asked, and what every page's answer carries."""

from urllib.parse import urlsplit

from flask import Flask, Response, current_app, g, redirect, request, session
from flask_wtf.csrf import CSRFError
from werkzeug.wrappers import Response as AnyResponse

from higgs_shop.asking.error_pages import plain_page
from higgs_shop.asking.parts import parts
from higgs_shop.asking.visit_session import VisitSession, VisitSessionInterface
from higgs_shop.security_headers import new_nonce, page_policy
from higgs_shop.settings import variable


def add_gate(app: Flask) -> None:
    """Look at each request before the pages do. To be called before CSRF protection is added."""
    app.before_request(_prepare)
    app.before_request(_refuse_unknown_hosts)
    app.before_request(_refuse_unreadable)
    app.before_request(_refuse_foreign_origins)
    app.before_request(_answer_second_click)
    app.after_request(_add_page_headers)


def _prepare() -> None:
    g.csp_nonce = new_nonce()


def _refuse_unknown_hosts() -> AnyResponse | None:
    """Nothing is built from a Host that we do not know. (Werkzeug's own check cannot hold [::1].)"""
    host = request.environ.get("HTTP_HOST", "")
    try:
        parsed = urlsplit(f"//{host}")
        name, port = (parsed.hostname or ""), parsed.port
    except ValueError:
        return _refuse_host()
    name = f"[{name}]" if ":" in name else name
    rebuilt = name if port is None else f"{name}:{port}"
    if (
        rebuilt != host.lower()
        or _is_for_another(host)
        or not any(
            name == known or (known.startswith(".") and name.endswith(known))
            for known in parts().settings.trusted_hosts
        )
    ):
        return _refuse_host()
    return None


def _is_for_another(host: str) -> bool:
    """A request line that names a host itself must name the one that the Host header does."""
    target = request.environ.get("REQUEST_URI", "/")
    return not target.startswith("/") and _host_of(target) != host


def _refuse_host() -> AnyResponse:
    return plain_page(
        400,
        "This store is not served under that name. To serve it, add the name to "
        f"{variable('trusted_hosts')}.",
        has_files=False,
    )


def _refuse_unreadable() -> AnyResponse | None:
    """A query that is not UTF-8, a form field without a name: the libraries would break on them."""
    try:
        readable = request.args is not None
        if request.method == "POST" and request.blueprint != "inbox_receiver":
            readable = None not in request.form
    except UnicodeDecodeError:
        readable = False
    return None if readable else plain_page(400)


def _refuse_foreign_origins() -> AnyResponse | None:
    origin = request.headers.get("Origin")
    if request.method in {"GET", "HEAD", "OPTIONS"} or origin is None:
        return None
    if request.blueprint == "inbox_receiver" or _host_of(origin) == request.host:
        return None
    raise CSRFError("The form came from another site.")


def _host_of(origin: str) -> str | None:
    try:
        return urlsplit(origin).netloc
    except ValueError:
        return None


def _answer_second_click() -> AnyResponse | None:
    """A double click on "Sign in": the second form comes with the cookie that the first renewed."""
    held, interface = session, _session_interface()
    if request.method != "POST" or not isinstance(held, VisitSession) or held.visit is not None:
        return None
    token = interface.token_of(request)
    if token is None or request.blueprint == "inbox_receiver":
        return None  # before the body is read: the inbox takes larger ones, and takes them whole
    form_token = request.form.get("form_token", "")
    if not form_token:
        return None
    found = parts().visitors.second_click(token, form_token)
    if found is None:
        return None
    held.visit, location = found
    return redirect(location, 303)


def _session_interface() -> VisitSessionInterface:
    """The session interface of the application that answers this request."""
    interface = current_app.session_interface
    if not isinstance(interface, VisitSessionInterface):
        raise TypeError("the application keeps its sessions elsewhere")
    return interface


def _add_page_headers(response: Response) -> Response:
    response.headers.setdefault("Content-Security-Policy", page_policy(g.get("csp_nonce", "")))
    if request.endpoint != "static" or response.status_code >= 400:  # error pages are personal
        response.headers.setdefault("Cache-Control", "no-store")
        response.vary.add("Cookie")
    return response
