"""The five calls as OpenAPI describes them. The routes themselves are in `http_api`."""

from http import HTTPStatus
from typing import Any, Final

from higgs_shop.api_errors import error_body
from higgs_shop.identity_types import MPID_SHAPE
from higgs_shop.idsync_service.answers import ErrorAnswer, IdentityAnswer, ModifyAnswer
from higgs_shop.idsync_service.messages import IdentityRequest, ModifyRequest
from higgs_shop.openapi import Answer, Api, Content, Operation, Parameter
from higgs_shop.rate_limit import LIMIT_EXCEEDED, PERCENTAGE_USED, RETRY_AFTER

_SECURITY: Final = (("key", "date", "signature"), ("basic",), ("key",))

_SECURITY_SCHEMES: Final = {
    "basic": {"type": "http", "scheme": "basic", "description": "API key and secret."},
    "key": {
        "type": "apiKey",
        "in": "header",
        "name": "x-mp-key",
        "description": "The API key: alone, as browsers have to, or beside a signature.",
    },
    "signature": {
        "type": "apiKey",
        "in": "header",
        "name": "x-mp-signature",
        "description": (
            "Lower-case hex of HMAC-SHA256, keyed with the secret, over the method, a newline, the "
            "Date header, a newline, and the path directly followed by the body."
        ),
    },
    "date": {
        "type": "apiKey",
        "in": "header",
        "name": "Date",
        "description": "When it was signed: ISO 8601 UTC, as 20260301T101500Z.",
    },
}

_QUERY: Final = (
    Parameter(
        "read_only",
        "query",
        "Answer as usual, and change nothing.",
        {"type": "boolean", "default": False},
    ),
    Parameter(
        "return_matches",
        "query",
        "Whether the answer tells the identities by which the profile was found.",
        {"type": "boolean", "default": True},
    ),
)
_MPID: Final = Parameter("mpid", "path", "The profile to change.", MPID_SHAPE)

_CALLED: Final = {
    "client_sdk": {"platform": "web", "sdk_vendor": "mparticle", "sdk_version": "2.68.0"},
    "context": None,
    "environment": "development",
    "request_id": "0b7f3d64-1f0a-4c2a-9d55-2f3c8a5f1e10",
    "request_timestamp_ms": 1_772_360_100_000,
}
_STAMP: Final = {"device_application_stamp": "58dfe642-ec66-4256-f423-7f8ccac60001"}
_ADA: Final = {"customerid": "C-1001", "email": "ada@example.test"}
_ANSWERED: Final = {
    "context": None,
    "mpid": "5811471147114711",
    "matched_identities": {"customerid": "C-1001"},
    "is_ephemeral": False,
    "is_logged_in": True,
}

_USED: Final = {PERCENTAGE_USED: "How much of the API key's limit is used; only if there is one."}
_WAIT: Final = {RETRY_AFTER: "Whole seconds to wait before the next try."}


def _refusal(description: str, code: str, message: str, **headers: str) -> Answer:
    content = Content(ErrorAnswer, {"refused": error_body(code, [message])})
    return Answer(description, content, headers)


_REFUSALS: Final = {
    HTTPStatus.BAD_REQUEST: _refusal(
        "The call is wrong: every fault of it is named at once.",
        "BAD_REQUEST",
        "environment: Field required",
        **_USED,
    ),
    HTTPStatus.UNAUTHORIZED: _refusal(
        "No credentials, or wrong ones.", "UNAUTHORIZED", "the API key is not known"
    ),
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: _refusal(
        "The body is larger than 64 KiB.",
        "REQUEST_ENTITY_TOO_LARGE",
        "The data value transmitted exceeds the capacity limit.",
    ),
    HTTPStatus.TOO_MANY_REQUESTS: _refusal(
        "The API key has used up its limit.",
        "TOO_MANY_REQUESTS",
        "the API key has used up its limit; try again in 7 seconds",
        **_USED,
        **_WAIT,
        **{LIMIT_EXCEEDED: "Whose limit it is: that of the app, which has the key."},
    ),
    HTTPStatus.SERVICE_UNAVAILABLE: _refusal(
        "The database is busy.",
        "SERVICE_UNAVAILABLE",
        "the database is busy; try again",
        **_USED,
        **_WAIT,
    ),
}
_NOBODY: Final = _refusal(
    "Nobody may be returned for these identities.",
    "NOT_FOUND_ERROR",
    "no profile may be returned for these identities",
    **_USED,
)
_NO_PATH: Final = _refusal(
    "There is no such path: an MPID has no slash in it.",
    "NOT_FOUND",
    "The requested URL was not found on the server.",
)


def _answered(model: Any, example: Any) -> Answer:
    return Answer("Done.", Content(model, {"answered": example}), _USED)


def _move(action: str, summary: str, identities: dict[str, str]) -> Operation:
    asked = {**_CALLED, "previous_mpid": None, "known_identities": identities}
    return Operation(
        path=f"/v1/{action}",
        id=action,
        summary=summary,
        body=Content(IdentityRequest, {action: asked}),
        parameters=_QUERY,
        answers={HTTPStatus.OK: _answered(IdentityAnswer, _ANSWERED), **_REFUSALS},
        security=_SECURITY,
    )


_SEARCH: Final = Operation(
    path="/v1/search",
    id="search",
    summary="Who has these identities? Changes nothing.",
    body=Content(
        IdentityRequest,
        {"search": {"environment": "development", "known_identities": {"customerid": "C-1001"}}},
    ),
    parameters=_QUERY,
    answers={
        HTTPStatus.OK: _answered(IdentityAnswer, _ANSWERED),
        **_REFUSALS,
        HTTPStatus.NOT_FOUND: _NOBODY,
    },
    security=_SECURITY,
)
_MODIFY: Final = Operation(
    path="/v1/{mpid}/modify",
    id="modify",
    summary="Change the identities of one profile.",
    description="Never makes a profile, and never changes the MPID.",
    body=Content(
        ModifyRequest,
        {
            "modify": {
                **_CALLED,
                "identity_changes": [
                    {
                        "identity_type": "email",
                        "old_value": "ada@example.test",
                        "new_value": "ada2@example.test",
                    }
                ],
            }
        },
    ),
    parameters=(_MPID, *_QUERY),
    answers={
        HTTPStatus.OK: _answered(
            ModifyAnswer,
            {
                **_ANSWERED,
                "matched_identities": {},
                "change_results": [{"identity_type": "email", "modified_mpid": "5811471147114711"}],
            },
        ),
        **_REFUSALS,
        HTTPStatus.NOT_FOUND: _NO_PATH,
    },
    security=_SECURITY,
)

API: Final = Api(
    name="identity",
    description="Who is this? The IDSync HTTP API.",
    operations=(
        _move("identify", "Who is here, at the start of a session.", _STAMP),
        _move("login", "Somebody says who they are.", {**_ADA, **_STAMP}),
        _move("logout", "Somebody leaves; the identities are those to move to.", _STAMP),
        _SEARCH,
        _MODIFY,
    ),
    security_schemes=_SECURITY_SCHEMES,
)
"""Every route of the service, below wherever it is mounted."""
