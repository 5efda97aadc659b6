"""What the HTTP APIs of the store have in common: JSON, errors too, which any origin may read."""

import json
import logging
from collections.abc import Sequence
from typing import Any, Final

from flask import Flask, Response, g
from werkzeug.exceptions import HTTPException, NotFound

from higgs_shop.apis.errors import NO_SUCH_PATH, ApiError, TooManyCalls, error_body
from higgs_shop.apis.rate_limit import RateLimiter
from higgs_shop.database import DatabaseBusy, DatabaseError

HEADERS: Final = {
    "Access-Control-Allow-Origin": "*",
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
}
_ALLOWED_HEADERS: Final = "accept, authorization, content-type, date, x-mp-key, x-mp-signature"
_RETRY_AFTER_SECONDS: Final = "1"

_logger = logging.getLogger(__name__)


def create_api(
    name: str,
    *,
    max_body_bytes: int,
    trusted_hosts: Sequence[str] | None,
    rate_limiter: RateLimiter | None,
) -> Flask:
    """An API without routes, which answers whatever goes wrong.

    Args:
        name: of the package whose API it is.
        max_body_bytes: a longer body is answered 413.
        trusted_hosts: the Host values that are served; None serves any.
        rate_limiter: what `count_call` will be given; None if calls are not counted.
    """
    app = Flask(name, static_folder=None, template_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = max_body_bytes
    app.config["TRUSTED_HOSTS"] = None if trusted_hosts is None else list(trusted_hosts)
    app.config["PROVIDE_AUTOMATIC_OPTIONS"] = False
    app.url_map.merge_slashes = False
    app.register_error_handler(ApiError, _refused)
    app.register_error_handler(DatabaseError, _not_now)
    app.register_error_handler(HTTPException, _not_served)
    app.register_error_handler(Exception, _failed)
    if rate_limiter is not None:
        app.after_request(_tell_usage)
    return app


def count_call(rate_limiter: RateLimiter, api_key: str) -> None:
    """Count this request. Once it is sure who calls: a wrong secret uses up nobody's limit.

    Raises: TooManyCalls.
    """
    g.usage = rate_limiter.count(api_key)
    if g.usage.is_exceeded:
        wait = f"try again in {g.usage.retry_after_seconds} seconds"
        raise TooManyCalls(f"the API key has used up its limit; {wait}")


def add_preflights(app: Flask) -> None:
    """Let browsers ask before they call, at every route there is so far.

    Routes of their own, and not a hook after every request, which each of them would pay for.
    """
    methods: dict[str, set[str]] = {}
    for rule in app.url_map.iter_rules():
        methods.setdefault(rule.rule, {"OPTIONS"}).update((rule.methods or set()) - {"HEAD"})
    for path, allowed in methods.items():
        headers = HEADERS | {
            "Access-Control-Allow-Methods": ", ".join(sorted(allowed)),
            "Access-Control-Allow-Headers": _ALLOWED_HEADERS,
            "Access-Control-Max-Age": "86400",
        }

        def preflight(_headers: dict[str, str] = headers, **_path: str) -> Response:
            return Response(status=204, headers=_headers)

        app.add_url_rule(path, f"preflight {path}", preflight, methods=["OPTIONS"])


def json_answer(answer: Any, status_code: int = 200) -> Response:
    """JSON, whatever the client says that it accepts."""
    return Response(json.dumps(answer), status_code, HEADERS, content_type="application/json")


def _tell_usage(response: Response) -> Response:
    if "usage" in g:
        response.headers.update(g.usage.headers())
    return response


def _refused(error: ApiError) -> Response:
    response = json_answer(error.body(), error.status_code)
    if error.status_code == 503:
        response.headers["Retry-After"] = _RETRY_AFTER_SECONDS
    return response


def _not_now(error: DatabaseError) -> Response:
    message = "the database is busy; try again"
    if not isinstance(error, DatabaseBusy):
        _logger.error("an API call failed: the database cannot be used: %s", error)
        message = "the database cannot be used now; nothing was changed, try again later"
    response = json_answer(error_body("SERVICE_UNAVAILABLE", [message]), 503)
    response.headers["Retry-After"] = _RETRY_AFTER_SECONDS
    response.headers["Access-Control-Expose-Headers"] = "Retry-After"
    return response


def _not_served(error: HTTPException) -> Response:
    code = error.name.upper().replace(" ", "_")
    message = error.description or error.name
    if error.description == NotFound.description:
        message = NO_SUCH_PATH
    response = json_answer(error_body(code, [message]), error.code or 500)
    for name, value in error.get_headers():
        if name != "Content-Type":
            response.headers[name] = value
    return response


def _failed(error: Exception) -> Response:
    _logger.error("an API call failed", exc_info=error)
    return json_answer(error_body("INTERNAL_ERROR", ["the store failed"]), 500)
