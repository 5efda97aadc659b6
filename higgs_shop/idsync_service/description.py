"""The five calls and aliasing as OpenAPI describes them. The routes themselves are in `http_api` and
`alias_api`.
"""

from http import HTTPStatus
from typing import Any, Final

from higgs_shop.apis.answers import (
    BAD_REQUEST,
    KEY_IN_PATH,
    NO_PATH,
    NOT_NOW,
    UNAUTHORIZED,
    USED,
    refusal,
    too_large,
)
from higgs_shop.apis.errors import error_body
from higgs_shop.apis.openapi import Answer, Api, Content, Operation, Parameter
from higgs_shop.identity_types import MPID_SHAPE
from higgs_shop.idsync_service.answers import AliasErrorAnswer, IdentityAnswer, ModifyAnswer
from higgs_shop.idsync_service.messages import AliasRequest, IdentityRequest, ModifyRequest

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

_REFUSALS: Final = {**BAD_REQUEST, **UNAUTHORIZED, **too_large(64), **NOT_NOW}
_NOBODY: Final = refusal(
    "Nobody may be returned for these identities.",
    "NOT_FOUND_ERROR",
    "no profile may be returned for these identities",
    USED,
)


def _answered(model: Any, example: Any) -> Answer:
    return Answer("Done.", Content(model, {"answered": example}), USED)


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
        **NO_PATH,
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


def _alias_refusal(description: str, code: str, message: str) -> Answer:
    told = {**error_body(code, [message]), "message": message, "code": code}
    return Answer(description, Content(AliasErrorAnswer, {"refused": told}), USED)


ALIAS_API: Final = Api(
    name="alias",
    description="What somebody did before they were known.",
    operations=(
        Operation(
            path="/{key}/{word}",
            id="alias",
            summary="Carry over what one profile did to another one.",
            description=(
                "A secret or signature that is sent as well must be right. A request that the history "
                "of the two profiles forbids is accepted, and does nothing."
            ),
            body=Content(
                AliasRequest,
                {
                    "alias": {
                        "request_id": _CALLED["request_id"],
                        "request_type": "alias",
                        "environment": "development",
                        "data": {
                            "destination_mpid": "5811471147114711",
                            "source_mpid": "7331471147114711",
                            "start_unixtime_ms": 1_772_360_000_000,
                            "end_unixtime_ms": 1_772_363_600_000,
                            "scope": "device",
                            **_STAMP,
                        },
                    }
                },
            ),
            parameters=(
                KEY_IN_PATH,
                Parameter(
                    "word",
                    "path",
                    "Alias, in any case.",
                    {"type": "string", "enum": ["Alias", "alias"]},
                ),
            ),
            answers={
                HTTPStatus.ACCEPTED: Answer("Accepted.", headers=USED),
                HTTPStatus.BAD_REQUEST: _alias_refusal(
                    "The request is wrong: every fault of it is named at once.",
                    "BAD_REQUEST",
                    "data.source_mpid: Field required",
                ),
                HTTPStatus.UNAUTHORIZED: _alias_refusal(
                    "An unknown key, or wrong credentials.",
                    "UNAUTHORIZED",
                    "the API key is not known",
                ),
                HTTPStatus.FORBIDDEN: _alias_refusal(
                    "The workspace's strategy keeps profiles apart.",
                    "FORBIDDEN",
                    "this workspace's strategy, best_match, has no alias",
                ),
                **NO_PATH,
                **too_large(64),
                **NOT_NOW,
            },
        ),
    ),
    security_schemes={},
)
"""The route of aliasing, below where the Web SDK looks for it."""
