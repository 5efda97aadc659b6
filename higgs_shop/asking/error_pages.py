"""What people get when something is refused or broken, and what to do then."""

import logging
from http import HTTPStatus
from typing import Final

from flask import (
    Flask,
    Response,
    current_app,
    jsonify,
    redirect,
    render_template,
    request,
    session,
    url_for,
)
from flask_wtf.csrf import CSRFError
from sqlalchemy.exc import SQLAlchemyError
from werkzeug.exceptions import HTTPException, InternalServerError
from werkzeug.wrappers import Response as AnyResponse

from higgs_shop.apis.errors import error_body
from higgs_shop.asking.parts import parts
from higgs_shop.asking.visit_session import VisitSession
from higgs_shop.database import DatabaseBusy, DatabaseError
from higgs_shop.visitors import FormChanged, SubmissionError

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

_NOT_NOW: Final = (
    "The store cannot write anything down right now. Nothing was changed; please try again later."
)

_logger = logging.getLogger(__name__)


def add_error_pages(app: Flask) -> None:
    """Answer every error with a page, or with JSON where no person is looking."""
    app.register_error_handler(CSRFError, _csrf_page)
    app.register_error_handler(SubmissionError, _submission_page)
    app.register_error_handler(DatabaseError, _database_page)
    app.register_error_handler(HTTPException, _http_error_page)
    app.register_error_handler(InternalServerError, _broken_page)


def _csrf_page(_error: CSRFError) -> AnyResponse:
    if request.blueprint == "inbox_api":
        return _json_error(403, "the call comes from another site")
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


def _database_page(error: DatabaseError) -> AnyResponse:
    message = None
    if not isinstance(error, DatabaseBusy):
        _logger.error("the database cannot be used: %s", error)
        message = _NOT_NOW
    response = plain_page(503, message)
    response.headers["Retry-After"] = "1"
    return response


def _http_error_page(error: HTTPException) -> AnyResponse:
    if error.response is not None:
        return error.get_response()
    status = error.code or 500
    title, message = _MESSAGES.get(status, (error.name, error.description or ""))
    if status in {400, 404} and error.description and error.description != type(error).description:
        message = error.description
    response = _page(status, title, message)
    for name, value in error.get_headers():
        if name.lower() not in {"content-type", "content-length"}:
            response.headers[name] = value
    return response


def _broken_page(error: InternalServerError) -> AnyResponse:
    original = getattr(error, "original_exception", None)
    if isinstance(original, DatabaseError):
        return _database_page(original)
    if isinstance(original, SQLAlchemyError):
        _logger.error("the database failed: %s", type(original).__name__, exc_info=original)
        return _database_page(DatabaseError("see above"))
    return plain_page(500)


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
        return plain_page(503)
    return Response(body, status, mimetype="text/html")


def plain_page(status: int, message: str | None = None, *, has_files: bool = True) -> AnyResponse:
    """A page that asks the database nothing.

    Args:
        has_files: whether style and picture would be served to whoever sees it.
    """
    title, usual = _MESSAGES[status]
    if _wants_json():
        return _json_error(status, message or usual)
    # Not by render_template: what it adds to every page asks who is visiting.
    body = current_app.jinja_env.get_template("errors/plain.html").render(
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
        request.blueprint not in {"inbox", "inbox_changes"}
    )


def _json_error(status: int, message: str) -> AnyResponse:
    response = jsonify(error_body(HTTPStatus(status).name, [message]))
    response.status_code = status
    return response


def _led_to_before() -> str | None:
    """A double click on "Sign in" whose second half comes with the new cookie already: its CSRF token
    is the old visit's, but it is the same form, and does nothing more.
    """
    form_token = request.form.get("form_token", "")
    if not isinstance(session, VisitSession) or session.visit is None or not form_token:
        return None
    return parts().visitors.answered_before(session.visit, form_token)
