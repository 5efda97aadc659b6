"""Makes the WSGI application: Flask, the pages, the error pages, the mounted identity service."""

import logging
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from flask import (
    Flask,
    Response,
    current_app,
    g,
    jsonify,
    redirect,
    render_template,
    request,
    session,
    url_for,
)
from flask_login import LoginManager
from flask_wtf.csrf import CSRFError, CSRFProtect
from sqlalchemy.exc import SQLAlchemyError
from werkzeug.exceptions import HTTPException, InternalServerError
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.middleware.proxy_fix import ProxyFix
from werkzeug.wrappers import Response as AnyResponse

from higgs_shop.database import DatabaseError
from higgs_shop.pages import (
    BLUEPRINTS,
    VisitSession,
    VisitSessionInterface,
    add_page_context,
    keep_parts,
    load_signed_in,
    parts,
)
from higgs_shop.security_headers import SecurityHeaders, new_nonce, page_policy
from higgs_shop.settings import Settings, variable
from higgs_shop.visitors import FormChanged, SubmissionError
from higgs_shop.wiring import Parts, wire

IDENTITY_MOUNT: Final = "/identity"

_MAX_BODY_BYTES: Final = 64 * 1024
_MESSAGES: Final = {
    400: ("That did not work", "The request was not one that this page understands."),
    404: ("Nothing here", "This page does not exist, or not for you. It has left no track."),
    405: ("Not like this", "This address does not take that kind of request."),
    409: (
        "This form was sent before",
        "It came again with other values, so nothing was changed. Load the page again.",
    ),
    413: ("Too much", "What you sent is larger than this store takes."),
    500: ("Something broke", "It is our fault, and it was written down. Nothing was half done."),
    503: ("Just a moment", "The store is busy. Nothing was changed; please try again."),
}

_logger = logging.getLogger(__name__)


def create_app(settings: Settings | None = None, *, wired: Parts | None = None) -> Flask:
    """The store as a Flask application, everything built fresh.

    Args:
        settings: read from the environment and `.env` when left out.
        wired: the parts, when the caller has made them already.
    Raises: SettingsError; DatabaseError when the database cannot be used.
    """
    wired = wired or wire(settings or Settings.load())
    app = Flask(
        __name__,
        template_folder=str(_shipped("templates")),
        static_folder=str(_shipped("static")),
    )
    app.config.update(
        SECRET_KEY=wired.secrets.secret_key,
        MAX_CONTENT_LENGTH=_MAX_BODY_BYTES,
        # No browser can send a cookie of this name: nobody is remembered, and what strangers put
        # there is not even read. (Flask-Login fails on letters beyond ASCII in it.)
        REMEMBER_COOKIE_NAME="none;",
        WTF_CSRF_TIME_LIMIT=None,  # a form may stay open for as long as its visit
        WTF_CSRF_SSL_STRICT=False,  # wants a Referer; _refuse_foreign_origins asks Origin instead
        SEND_FILE_MAX_AGE_DEFAULT=3_600 if wired.settings.production else 0,
    )
    app.json.sort_keys = False  # type: ignore[attr-defined]  # as they were logged
    app.jinja_env.trim_blocks = True
    app.jinja_env.lstrip_blocks = True
    keep_parts(app, wired)
    app.session_interface = VisitSessionInterface(wired.visitors, secure=wired.settings.production)
    app.before_request(_prepare)
    app.before_request(_refuse_unknown_hosts)
    app.before_request(_refuse_unreadable)
    app.before_request(_refuse_foreign_origins)
    app.before_request(_answer_second_click)
    csrf = CSRFProtect(app)
    _add_login(app)
    for blueprint in BLUEPRINTS:
        app.register_blueprint(blueprint)
    csrf.exempt(app.blueprints["inbox_receiver"])
    add_page_context(app)
    _add_error_pages(app)
    app.after_request(_add_page_headers)
    _mount(app, wired)
    return app


def _shipped(folder: str) -> Path:
    """In an installed package the folder lies inside it; in a checkout, beside it."""
    package = Path(__file__).parent
    inside = package / folder
    return inside if inside.is_dir() else package.parent / folder


def _mount(app: Flask, wired: Parts) -> None:
    secure = wired.settings.production
    service = SecurityHeaders(wired.identity_service, secure=secure)
    pages = SecurityHeaders(app.wsgi_app, secure=secure)
    served: Any = DispatcherMiddleware(pages, {IDENTITY_MOUNT: service})
    hops = wired.settings.proxy_hops
    if hops:
        served = ProxyFix(served, x_for=hops, x_proto=hops, x_host=hops)
    app.wsgi_app = served  # type: ignore[method-assign]


def _add_login(app: Flask) -> None:
    login = LoginManager(app)
    # The visit's token changes at every sign-in and sign-out, and opens nothing afterwards. The
    # library's own protection believes X-Forwarded-For.
    login.session_protection = None
    login.user_loader(load_signed_in)


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
    if rebuilt != host.lower() or not any(
        name == known or (known.startswith(".") and name.endswith(known))
        for known in parts().settings.trusted_hosts
    ):
        return _refuse_host()
    return None


def _refuse_host() -> AnyResponse:
    g.without_context = True
    return _plain_page(
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
    return None if readable else _plain_page(400)


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


def _led_to_before() -> str | None:
    """A double click on "Sign in" whose second half comes with the new cookie already: its CSRF token
    is the old visit's, but it is the same form, and does nothing more.
    """
    form_token = request.form.get("form_token", "")
    if not isinstance(session, VisitSession) or session.visit is None or not form_token:
        return None
    return parts().visitors.answered_before(session.visit, form_token)


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


def _add_error_pages(app: Flask) -> None:
    app.register_error_handler(CSRFError, _csrf_page)
    app.register_error_handler(SubmissionError, _submission_page)
    app.register_error_handler(DatabaseError, _busy_page)
    app.register_error_handler(HTTPException, _http_error_page)
    app.register_error_handler(InternalServerError, _broken_page)


def _csrf_page(_error: CSRFError) -> AnyResponse:
    location = _led_to_before()
    if location is not None:
        return redirect(location, 303)
    return _page(
        400,
        "Please send that again",
        "The form was open for too long, belonged to somebody who has signed in or out since, or "
        "your browser keeps no cookies. Nothing was changed. Go back, load the page again, and "
        "send the form once more.",
    )


def _submission_page(error: SubmissionError) -> AnyResponse:
    if isinstance(error, FormChanged):
        return _page(409, *_MESSAGES[409])
    return _page(
        400,
        "Please send that again",
        "The form was incomplete: its one-time token is missing. Load the page again.",
    )


def _busy_page(_error: DatabaseError) -> AnyResponse:
    response = _plain_page(503)
    response.headers["Retry-After"] = "1"
    return response


def _http_error_page(error: HTTPException) -> AnyResponse:
    if error.response is not None:
        return error.get_response()
    status = error.code or 500
    title, message = _MESSAGES.get(status, (error.name, error.description or ""))
    if status == 400 and error.description and error.description != type(error).description:
        message = error.description
    response = _page(status, title, message)
    for name, value in error.get_headers():
        if name.lower() not in {"content-type", "content-length"}:
            response.headers[name] = value
    return response


def _broken_page(error: InternalServerError) -> AnyResponse:
    original = getattr(error, "original_exception", None)
    if isinstance(original, DatabaseError | SQLAlchemyError):
        _logger.error("the database failed: %s", type(original).__name__, exc_info=original)
        return _busy_page(DatabaseError())
    return _plain_page(500)


def _page(status: int, title: str, message: str) -> AnyResponse:
    if _wants_json():
        return _json_error(status, message)
    try:
        body = render_template(
            "errors/error.html",
            status=status,
            title=title,
            message=message,
            page_title=title,
            links=[("To the shop", url_for("landing.show")), ("To the cart", url_for("cart.show"))],
        )
    except (DatabaseError, SQLAlchemyError):
        return _plain_page(503)
    return Response(body, status, mimetype="text/html")


def _plain_page(status: int, message: str | None = None, *, has_files: bool = True) -> AnyResponse:
    """A page that asks the database nothing.

    Args:
        has_files: whether style and picture would be served to whoever sees it.
    """
    g.without_context = True
    title, usual = _MESSAGES[status]
    if _wants_json():
        return _json_error(status, message or usual)
    body = render_template(
        "errors/plain.html",
        status=status,
        title=title,
        message=message or usual,
        links=[("To the shop", "/")],
        url_for=_file_url,
        has_files=has_files,
    )
    return Response(body, status, mimetype="text/html")


def _file_url(_endpoint: str, *, filename: str) -> str:
    """Flask builds no address at all for a Host that cannot be one."""
    return f"/static/{filename}"


def _wants_json() -> bool:
    return request.path.startswith(("/inbox/", "/healthz", "/readyz")) and (
        request.blueprint != "inbox"
    )


def _json_error(status: int, message: str) -> AnyResponse:
    response = jsonify({"errors": [{"code": str(status), "message": message}]})
    response.status_code = status
    return response
