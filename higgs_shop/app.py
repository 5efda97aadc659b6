"""Makes the WSGI application: Flask, the pages, the error pages, the mounted APIs."""

from pathlib import Path
from typing import Any, Final

from flask import Flask
from flask_login import LoginManager
from flask_wtf.csrf import CSRFProtect
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.middleware.proxy_fix import ProxyFix

from higgs_shop import endpoints, pages
from higgs_shop.asking import (
    VisitSessionInterface,
    add_error_pages,
    add_gate,
    keep_parts,
    load_signed_in,
)
from higgs_shop.security_headers import SecurityHeaders
from higgs_shop.settings import Settings
from higgs_shop.wiring import (
    ALIAS_MOUNT,
    IDENTITY_MOUNT,
    SERVER_INTAKE_MOUNT,
    WEB_CONFIG_MOUNT,
    WEB_INTAKE_MOUNT,
    Parts,
    wire,
)

_MAX_BODY_BYTES: Final = 64 * 1024


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
        WTF_CSRF_SSL_STRICT=False,  # wants a Referer; the gate asks Origin instead
        SEND_FILE_MAX_AGE_DEFAULT=3_600 if wired.settings.production else 0,
    )
    app.json.sort_keys = False  # type: ignore[attr-defined]  # as they were logged
    app.jinja_env.trim_blocks = True
    app.jinja_env.lstrip_blocks = True
    keep_parts(app, wired)
    app.session_interface = VisitSessionInterface(wired.visitors, secure=wired.settings.secure)
    add_gate(app)
    csrf = CSRFProtect(app)
    _add_login(app)
    for blueprint in (*pages.BLUEPRINTS, *endpoints.BLUEPRINTS):
        app.register_blueprint(blueprint)
    for blueprint in endpoints.FOR_ANY_SITE:
        csrf.exempt(blueprint)
    pages.add_page_context(app)
    add_error_pages(app)
    _mount(app, wired)
    return app


def _shipped(folder: str) -> Path:
    """In an installed package the folder lies inside it; in a checkout, beside it."""
    package = Path(__file__).parent
    inside = package / folder
    return inside if inside.is_dir() else package.parent / folder


def _mount(app: Flask, wired: Parts) -> None:
    # Not over a development store's own TLS: browsers would stay away from http on all of localhost.
    secure = wired.settings.production
    mounted = {
        IDENTITY_MOUNT: wired.identity_service,
        ALIAS_MOUNT: wired.alias_service,
        WEB_INTAKE_MOUNT: wired.web_intake,
        WEB_CONFIG_MOUNT: wired.web_config,
        SERVER_INTAKE_MOUNT: wired.server_intake,
    }
    served: Any = DispatcherMiddleware(
        SecurityHeaders(app.wsgi_app, secure=secure),
        {path: SecurityHeaders(api, secure=secure) for path, api in mounted.items()},
    )
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
