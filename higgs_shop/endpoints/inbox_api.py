"""The inbox for test suites, as JSON under /inbox/v1, for whoever may look at the page.

It takes no form tokens. Cookies are not enough to change something from another site all the same: a
browser says where a call comes from (Origin, Sec-Fetch-Site), and asks first before it sends JSON, PUT
or DELETE there, to which it gets no leave. docs/inbox.md has the shapes and examples.
"""

from http import HTTPStatus
from typing import Any, Final, NoReturn, TypeVar

from flask import Blueprint, Response, abort, jsonify, request
from pydantic import BaseModel, ValidationError
from sqlalchemy import Connection
from werkzeug.exceptions import HTTPException

from higgs_shop.apis.errors import error_body
from higgs_shop.asking.asked_inbox import curl_of, session_or_404, token_of
from higgs_shop.asking.observers import observing_callers_only
from higgs_shop.asking.parts import parts
from higgs_shop.endpoints.inbox_json import (
    MOST_ID,
    Filters,
    Page,
    WantedSession,
    faults,
    request_json,
    session_json,
)
from higgs_shop.inbox import (
    Dial,
    InboxError,
    InboxSession,
    NoSuchSession,
    add_session,
    claim_session,
    count_requests,
    get_request,
    list_requests,
    list_sessions,
    new_token,
    remove_request,
    remove_requests,
    remove_session,
    turn_dial,
)
from higgs_shop.strict_json import BadJson, loads

bp = Blueprint("inbox_api", __name__, url_prefix="/inbox/v1")
bp.before_request(observing_callers_only)

_LOOKING: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_OF_OUR_OWN: Final = frozenset({None, "same-origin", "none"})
_NO_SUCH_REQUEST: Final = "there is no such request in this inbox"

_Body = TypeVar("_Body", bound=BaseModel)


@bp.before_request
def refuse_other_sites() -> None:
    """A browser on another site's behalf changes nothing here. (The gate has looked at Origin.)"""
    if request.method not in _LOOKING and request.headers.get("Sec-Fetch-Site") not in _OF_OUR_OWN:
        _refuse(HTTPStatus.FORBIDDEN, "the call comes from another site")


@bp.errorhandler(HTTPException)
def say_as_json(error: HTTPException) -> Any:
    """Everything that is refused is told in the body of all our APIs."""
    if error.response is not None:
        return error.response
    status = HTTPStatus(error.code or HTTPStatus.INTERNAL_SERVER_ERROR)
    response = jsonify(error_body(status.name, [error.description or status.phrase]))
    response.status_code = status
    for name, value in error.get_headers():
        if name.lower() not in {"content-type", "content-length"}:
            response.headers[name] = value
    return response


@bp.get("/sessions")
def show_sessions() -> Response:
    """All inboxes, the store's own first."""
    with parts().database.read() as connection:
        listed = list_sessions(
            connection, parts().workspace_id, own_token=parts().secrets.inbox_token
        )
    return jsonify({"sessions": [session_json(each, count) for each, count in listed]})


@bp.post("/sessions")
def add() -> tuple[Response, int]:
    """Make an inbox."""
    wanted = _body(WantedSession)
    made = InboxSession(
        workspace_id=parts().workspace_id,
        token=new_token(),
        name=wanted.name,
        signing_secret=wanted.signing_secret,
        dial=wanted.dial,
        created_at_ms=parts().clock(),
    )
    try:
        with parts().database.write() as connection:
            add_session(
                connection, made, own_token=parts().secrets.inbox_token, now_ms=parts().clock()
            )
    except InboxError as refused:
        _refuse(HTTPStatus.CONFLICT, str(refused))
    return jsonify(session_json(made, 0)), HTTPStatus.CREATED


@bp.get("/sessions/<name>")
def show_session(name: str) -> Response:
    """One inbox."""
    shown = session_or_404(name)
    with parts().database.read() as connection:
        count = count_requests(connection, shown.workspace_id, shown.token)
    return jsonify(session_json(shown, count))


@bp.delete("/sessions/<name>")
def remove(name: str) -> Response:
    """Forget an inbox and everything in it."""
    try:
        with parts().database.write() as connection:
            claimed = _claim(connection, name)
            count = count_requests(connection, claimed.workspace_id, claimed.token)
            remove_session(connection, claimed, own_token=parts().secrets.inbox_token)
    except InboxError as refused:
        _refuse(HTTPStatus.CONFLICT, str(refused))
    return jsonify({"removed_requests": count})


@bp.get("/sessions/<name>/dial")
def show_dial(name: str) -> Response:
    """How it answers; `times` counts down."""
    return jsonify(session_or_404(name).dial.in_force.model_dump())


@bp.put("/sessions/<name>/dial")
def turn(name: str) -> Response:
    """Answer so from now on. What is left out becomes as in a new inbox."""
    dial = _body(Dial)
    with parts().database.write() as connection:
        turn_dial(connection, _claim(connection, name), dial)
    return jsonify(dial.in_force.model_dump())


@bp.get("/sessions/<name>/requests")
def show_requests(name: str) -> Response:
    """The newest requests that are wanted, newest first, and how to go on from them."""
    page = _query(Page)
    shown = session_or_404(name)
    with parts().database.read() as connection:
        found = list_requests(
            connection, shown.workspace_id, shown.token, page.wanted, most=page.most + 1
        )
    listed = found[: page.most]
    return jsonify(
        {
            "requests": [request_json(each) for each in listed],
            "newest": listed[0].id if listed else page.since,
            "before": listed[-1].id if len(found) > page.most else None,
        }
    )


@bp.get("/sessions/<name>/requests/count")
def count(name: str) -> Response:
    """How many requests are wanted."""
    wanted = _query(Filters).wanted
    shown = session_or_404(name)
    with parts().database.read() as connection:
        found = count_requests(connection, shown.workspace_id, shown.token, wanted)
    return jsonify({"count": found})


@bp.get("/sessions/<name>/requests/<int:number>")
def show_request(name: str, number: int) -> Response:
    """One request, and the command that sends it again."""
    shown = session_or_404(name)
    _refuse_no_number(number)
    with parts().database.read() as connection:
        found = get_request(connection, shown.workspace_id, shown.token, number)
    if found is None:
        _refuse(HTTPStatus.NOT_FOUND, _NO_SUCH_REQUEST)
    return jsonify({**request_json(found), "curl": curl_of(found)})


@bp.delete("/sessions/<name>/requests")
def empty(name: str) -> Response:
    """Forget all requests of an inbox."""
    with parts().database.write() as connection:
        removed = remove_requests(connection, _claim(connection, name))
    return jsonify({"removed_requests": removed})


@bp.delete("/sessions/<name>/requests/<int:number>")
def remove_one(name: str, number: int) -> Response:
    """Forget one request."""
    _refuse_no_number(number)
    with parts().database.write() as connection:
        is_removed = remove_request(connection, _claim(connection, name), number)
    if not is_removed:
        _refuse(HTTPStatus.NOT_FOUND, _NO_SUCH_REQUEST)
    return jsonify({"removed_requests": 1})


def _refuse_no_number(number: int) -> None:
    """The database cannot even be asked for all of them. (A limit in the route would answer 405.)"""
    if number > MOST_ID:
        _refuse(HTTPStatus.NOT_FOUND, _NO_SUCH_REQUEST)


def _claim(connection: Connection, name: str) -> InboxSession:
    try:
        return claim_session(
            connection,
            parts().workspace_id,
            token_of(name),
            own_token=parts().secrets.inbox_token,
            now_ms=parts().clock(),
        )
    except NoSuchSession as error:
        _refuse(HTTPStatus.NOT_FOUND, str(error))


def _body(model: type[_Body]) -> _Body:
    """What was sent as JSON. A body of another type is refused, which a form of another site has."""
    if request.mimetype != "application/json":
        _refuse(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "Content-Type: send application/json")
    try:
        return model.model_validate(loads(request.get_data()), strict=True)
    except BadJson as error:
        _refuse(HTTPStatus.BAD_REQUEST, str(error))
    except ValidationError as error:
        _refuse(HTTPStatus.BAD_REQUEST, *faults(model, error))


def _query(model: type[_Body]) -> _Body:
    """What was asked for in the address."""
    given = {
        name: values[0] if len(values) == 1 else values for name, values in request.args.lists()
    }
    try:
        return model.model_validate(given)
    except ValidationError as error:
        _refuse(HTTPStatus.BAD_REQUEST, *faults(model, error))


def _refuse(status: HTTPStatus, *messages: str) -> NoReturn:
    response = jsonify(error_body(status.name, messages))
    response.status_code = status
    abort(response)
