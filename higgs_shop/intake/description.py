"""What official clients may ask besides identity, as OpenAPI describes it. The routes themselves are in
`web_sdk` and `server_to_server`.
"""

from http import HTTPStatus
from typing import Annotated, Any, Final

from pydantic import Field

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
from higgs_shop.apis.openapi import JSON, Answer, Api, Content, Operation
from higgs_shop.intake.messages import Batch
from higgs_shop.intake.server_to_server import MAX_BATCHES

_TEXT: Final = ("text/plain", *JSON)
_BATCHES: Final = Annotated[list[Batch], Field(max_length=MAX_BATCHES)]
_ACCEPTED: Final = {HTTPStatus.ACCEPTED: Answer("Taken in.", headers=USED)}
_FORBIDDEN: Final = {
    HTTPStatus.FORBIDDEN: refusal(
        "The credentials are wrong.",
        "FORBIDDEN",
        "the API key is not known, or the secret is not its own",
    )
}
_EVENT: Final = {
    "event_type": "custom_event",
    "data": {
        "event_name": "Store visit",
        "custom_event_type": "location",
        "timestamp_unixtime_ms": 1_772_360_200_000,
    },
}
_BROWSER: Final = {
    "source_request_id": "9f0c2a1e-77f0-4f0e-9c55-0d6a3b5f0001",
    "mpid": "5811471147114711",
    "timestamp_unixtime_ms": 1_772_360_105_000,
    "environment": "development",
    "mp_deviceid": "58dfe642-ec66-4256-f423-7f8ccac60001",
    "events": [_EVENT],
}
_SERVER: Final = {
    "environment": "production",
    "source_request_id": "pos-2026-03-01-17",
    "user_identities": {"customer_id": "C-1001", "email": "ada@example.test"},
    "events": [_EVENT],
}


def _from_browser(path: str, operation_id: str, summary: str, body: Content) -> Operation:
    return Operation(
        path=path,
        id=operation_id,
        summary=summary,
        description="What is not sound in the body is kept in quarantine, and never refused.",
        body=body,
        parameters=(KEY_IN_PATH,),
        answers={**_ACCEPTED, **UNAUTHORIZED, **NO_PATH, **too_large(128), **NOT_NOW},
    )


def _from_server(path: str, operation_id: str, summary: str, body: Content) -> Operation:
    return Operation(
        path=path,
        id=operation_id,
        summary=summary,
        body=body,
        answers={
            **_ACCEPTED,
            **BAD_REQUEST,
            **UNAUTHORIZED,
            **_FORBIDDEN,
            **too_large(256),
            **NOT_NOW,
        },
        security=(("server",),),
    )


_REPORT: Final = Content(dict[str, Any], media_types=_TEXT)

WEB_API: Final = Api(
    name="web events",
    description="The Web SDK's uploads.",
    operations=(
        _from_browser(
            "/v3/JS/{key}/events",
            "upload",
            "Events of one browser.",
            Content(Batch, {"browser": _BROWSER}, _TEXT),
        ),
        _from_browser(
            "/v1/JS/{key}/Forwarding", "reportForwarding", "What one kit has done.", _REPORT
        ),
        _from_browser(
            "/v2/JS/{key}/Forwarding", "reportForwardings", "What kits have done.", _REPORT
        ),
    ),
    security_schemes={},
)
CONFIG_API: Final = Api(
    name="web config",
    description="The Web SDK's settings.",
    operations=(
        Operation(
            path="/JS/v2/{key}/config",
            id="config",
            method="get",
            summary="What the SDK is to do.",
            parameters=(KEY_IN_PATH,),
            answers={
                HTTPStatus.OK: Answer("The settings.", Content(dict[str, Any]), USED),
                **UNAUTHORIZED,
                **NO_PATH,
                **NOT_NOW,
            },
        ),
    ),
    security_schemes={},
)
SERVER_API: Final = Api(
    name="server events",
    description="The server-to-server Events API.",
    operations=(
        _from_server(
            "/v2/events",
            "events",
            "Events of one person. Refused for anything that is wrong with it.",
            Content(Batch, {"server": _SERVER}),
        ),
        _from_server(
            "/v2/bulkevents",
            "bulkEvents",
            "Up to 100 batches. Those that are wrong are kept in quarantine.",
            Content(_BATCHES, {"servers": [_SERVER]}),
        ),
        _from_server(
            "/v2/bulkevents/historical",
            "historicalEvents",
            "Up to 100 batches of events from more than 72 hours ago, which are kept only.",
            Content(_BATCHES, {"servers": [_SERVER]}),
        ),
    ),
    security_schemes={
        "server": {"type": "http", "scheme": "basic", "description": "API key and secret."}
    },
)
