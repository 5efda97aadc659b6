"""The inbox, its addresses and its JSON API, as OpenAPI describes them. The routes themselves
are in `inbox_receiver` and `inbox_api`.

Nothing is built from the models of answers here: they describe, and the tests hold real answers against
them. What may be sent is described by the models that read it.
"""

from dataclasses import replace
from http import HTTPStatus
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from higgs_shop.apis.answers import refusal, too_large
from higgs_shop.apis.openapi import Answer, Api, Content, Operation, Parameter
from higgs_shop.endpoints.inbox_json import MOST_ID, Filters, Page, WantedSession
from higgs_shop.endpoints.inbox_receiver import MOST_KIBIBYTES
from higgs_shop.inbox import MOST_KEPT, Dial

INBOX_MOUNT: Final = "/inbox"

_Moment = Annotated[str, Field(json_schema_extra={"format": "date-time"})]


class _Described(BaseModel):
    model_config = ConfigDict(extra="forbid")


class SessionAnswer(_Described):
    """An inbox. Its secret is never told."""

    token: str
    name: str
    address: Annotated[str, Field(description="Where to post.")]
    is_own: Annotated[bool, Field(description="Whether it is the store's own, which stays.")]
    checks_signatures: bool
    dial: Dial
    requests: Annotated[int, Field(description="How many it has kept.")]
    created_at: _Moment | None


class SessionsAnswer(_Described):
    """All inboxes, the store's own first."""

    sessions: list[SessionAnswer]


class SignatureAnswer(_Described):
    """Whether the signature holds."""

    state: Literal["valid", "invalid", "missing", "unchecked"]
    reason: str


class AnswerGiven(_Described):
    """What the request got."""

    status: Annotated[int | None, Field(description="Null: the connection was closed.")]
    retry_after_seconds: int | None
    delay_ms: int
    not_held_ms: Annotated[int, Field(description="The delay for which there was no room.")]


class EventAnswer(_Described):
    """The first event of a batch of the store's format."""

    event_type: str
    name: str | None
    mpid: str | None
    sequence: Annotated[int | None, Field(description="The person's count of messages.")]


class RequestAnswer(_Described):
    """A request that came."""

    id: int
    received_at: _Moment
    method: str
    path: str
    headers: Annotated[
        list[Annotated[list[str], Field(min_length=2, max_length=2)]],
        Field(description="Names and values, as they came; those that are secret are masked."),
    ]
    webhook_id: str | None
    attempt: Annotated[int, Field(ge=1, description="Which one it is at its webhook-id.")]
    same_body: Annotated[
        bool | None, Field(description="Whether its bytes are those of all earlier attempts.")
    ]
    signature: SignatureAnswer
    sender: Annotated[
        str | None, Field(description="The connection that has signed it, where that is known.")
    ]
    answer: AnswerGiven
    event: EventAnswer | None
    body: Annotated[str | None, Field(description="Null: it is no UTF-8.")]
    body_base64: Annotated[str | None, Field(description="Set where `body` is null.")]
    body_json: Annotated[Any, Field(description="What the body says, if it is JSON.")]


class OneRequestAnswer(RequestAnswer):
    """A request, and how to send it again."""

    curl: str


class RequestsAnswer(_Described):
    """A page of requests, newest first."""

    requests: list[RequestAnswer]
    newest: Annotated[int | None, Field(description="The next value of `since`.")]
    before: Annotated[int | None, Field(description="The next value of `before`; null: the last.")]


class CountAnswer(_Described):
    """How many requests are wanted."""

    count: int


class RemovedAnswer(_Described):
    """How many requests are gone."""

    removed_requests: int


_MEANINGS: Final = {
    "q": "A text in any case, in the path, a header or the first 16 KiB of the body.",
    "webhook_id": "With this `webhook-id`.",
    "event_type": "Of this type.",
    "name": "Of this name.",
    "mpid": "Of this person.",
    "signature": "Whose signature is so.",
    "before": "Older than this number.",
    "since": "Newer than this number.",
    "most": "How many at once.",
}


# A query's parameter has its own meaning, and its values are told by their bounds.
_NOT_OF_A_QUERY: Final = frozenset({"title", "description", "allowed"})


def _asked_by(model: type[BaseModel]) -> tuple[Parameter, ...]:
    """The members of a query, which is never null: what is not asked for is left out."""
    return tuple(
        Parameter(
            name,
            "query",
            _MEANINGS[name],
            {key: value for key, value in _not_null(shape).items() if key not in _NOT_OF_A_QUERY},
        )
        for name, shape in model.model_json_schema()["properties"].items()
    )


def _not_null(shape: dict[str, Any]) -> dict[str, Any]:
    first: dict[str, Any] = shape.get("anyOf", [shape])[0]
    return first


_SESSION: Final = Parameter(
    "name",
    "path",
    "The token of an inbox; `default` is the store's own.",
    {"type": "string", "minLength": 1},
)
_NUMBER: Final = Parameter(
    "number",
    "path",
    "The id of a request.",
    {"type": "integer", "minimum": 0, "maximum": MOST_ID},
)
_REFUSED: Final = {
    HTTPStatus.UNAUTHORIZED: refusal(
        "The operator token is missing.",
        "UNAUTHORIZED",
        "send the operator token as Authorization: Bearer …",
        {"WWW-Authenticate": "How to send it."},
    ),
    HTTPStatus.NOT_FOUND: refusal(
        "It is not there; or nobody may look, as long as no operator token is set.",
        "NOT_FOUND",
        "there is no such request in this inbox",
    ),
    HTTPStatus.SERVICE_UNAVAILABLE: refusal(
        "The database is busy, or takes nothing: its disk is full, or it is down.",
        "SERVICE_UNAVAILABLE",
        "The store is busy. Nothing was changed; please try again.",
        {"Retry-After": "Whole seconds to wait before the next try."},
    ),
}
_WRONG: Final = {
    HTTPStatus.BAD_REQUEST: refusal(
        "The call is wrong: every fault of it is named at once.",
        "BAD_REQUEST",
        "most: use a whole number from 1 to 100",
    )
}
_CHANGING: Final = {
    HTTPStatus.FORBIDDEN: refusal(
        "A browser calls from a page of another site.",
        "FORBIDDEN",
        "the call comes from another site",
    )
}
_WITH_BODY: Final = {
    **_WRONG,
    **_CHANGING,
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE: refusal(
        "The body is not declared as JSON.",
        "UNSUPPORTED_MEDIA_TYPE",
        "Content-Type: send application/json",
    ),
    **too_large(64),
}
_CONFLICT: Final = HTTPStatus.CONFLICT


def _answers(shape: Any, *more: dict[HTTPStatus, Answer]) -> dict[HTTPStatus, Answer]:
    answers = {HTTPStatus.OK: Answer("What was asked for.", Content(shape)), **_REFUSED}
    for each in more:
        answers |= each
    return answers


def _operation(
    method: str,
    path: str,
    operation_id: str,
    summary: str,
    answers: dict[HTTPStatus, Answer],
    *,
    parameters: tuple[Parameter, ...] = (),
    body: Content | None = None,
) -> Operation:
    in_path = tuple(each for each in (_SESSION, _NUMBER) if f"{{{each.name}}}" in path)
    return Operation(
        path=f"/v1/sessions{path}",
        id=operation_id,
        method=method,
        summary=summary,
        answers=answers,
        parameters=(*in_path, *parameters),
        body=body,
        # At the machine itself, a store in development without a token asks for none.
        security=(("operator",), ()),
    )


_SIGNED_BY: Final = {
    "id": "Names a message: the same at each attempt to deliver it.",
    "timestamp": "When it was signed, in Unix seconds.",
    "signature": "Of id, timestamp and body, as Standard Webhooks has it.",
}
_RETRY_AFTER: Final = {
    "Retry-After": "As the dial says, if it does; whole seconds to wait where the store is busy."
}
_DIALLED: Final = Content(
    str, {"turned": "This inbox was told to answer 503.\n"}, media_types=("text/plain",)
)
_NOT_KEPT: Final = {
    HTTPStatus.BAD_REQUEST: refusal(
        "The host or the query cannot be read, or the body broke off.",
        "BAD_REQUEST",
        "The request was not one that this page understands.",
    ),
    HTTPStatus.NOT_FOUND: refusal(
        "There is no such inbox.",
        "NOT_FOUND",
        "This page does not exist, or not for you. It has left no track.",
    ),
    **too_large(MOST_KIBIBYTES),
    HTTPStatus.SERVICE_UNAVAILABLE: _REFUSED[HTTPStatus.SERVICE_UNAVAILABLE],
}
_POST: Final = Operation(
    path="/{token}",
    id="postToInbox",
    summary="Send a request to an inbox.",
    description=(
        "Whatever is posted is kept, with its headers but for those that are secret, and then answered as "
        "the dial says: with a status from 200 to 599, which is 204 until somebody turns it, at once or up "
        "to 30 seconds later. A dial that drops the connection keeps the request and sends no byte of an "
        f"answer. An inbox keeps its newest {MOST_KEPT:,} requests."
    ),
    parameters=(
        Parameter(
            "token",
            "path",
            "What the address of an inbox ends with.",
            {"type": "string", "minLength": 1},
        ),
        *(
            Parameter(f"webhook-{name}", "header", meaning, {"type": "string"})
            for name, meaning in _SIGNED_BY.items()
        ),
    ),
    body=Content(
        Any,
        {"batch": {"mpid": 4711, "events": [{"event_type": "custom_event", "data": {}}]}},
        media_types=("*/*",),
    ),
    needs_body=False,
    # The dial may choose the status of a refusal, too: then as text.
    answers={
        status: replace(
            refused,
            description=f"{refused.description} Or, as text: it is kept, and the dial says so.",
            headers=_RETRY_AFTER,
            instead=(_DIALLED,),
        )
        for status, refused in _NOT_KEPT.items()
    },
    other_answers={
        "2XX": Answer("It is kept.", headers=_RETRY_AFTER),
        "3XX": Answer("It is kept, and the dial says so.", headers=_RETRY_AFTER),
        "4XX": Answer("It is kept, and the dial says so.", _DIALLED, _RETRY_AFTER),
        "5XX": Answer("It is kept, and the dial says so.", _DIALLED, _RETRY_AFTER),
    },
)

INBOX_API: Final = Api(
    name="inbox",
    description="The built-in webhook receiver, for tests to ask: docs/inbox.md.",
    operations=(
        _POST,
        _operation("get", "", "listInboxes", "All inboxes.", _answers(SessionsAnswer)),
        _operation(
            "post",
            "",
            "addInbox",
            "Make an inbox.",
            {
                HTTPStatus.CREATED: Answer("The new inbox.", Content(SessionAnswer)),
                **_REFUSED,
                **_WITH_BODY,
                _CONFLICT: refusal(
                    "There are as many inboxes as may be.",
                    "CONFLICT",
                    "There are 100 sessions already; remove one that is not needed any more.",
                ),
            },
            body=Content(
                WantedSession,
                {"failing": {"name": "checkout tests", "dial": {"status": 503, "times": 2}}},
            ),
        ),
        _operation("get", "/{name}", "getInbox", "One inbox.", _answers(SessionAnswer)),
        _operation(
            "delete",
            "/{name}",
            "removeInbox",
            "Forget an inbox and everything in it.",
            _answers(
                RemovedAnswer,
                _CHANGING,
                {
                    _CONFLICT: refusal(
                        "It is the store's own.",
                        "CONFLICT",
                        "The store's own inbox stays for as long as the store does.",
                    )
                },
            ),
        ),
        _operation("get", "/{name}/dial", "getDial", "How an inbox answers.", _answers(Dial)),
        _operation(
            "put",
            "/{name}/dial",
            "turnDial",
            "Answer so from now on. What is left out becomes as in a new inbox.",
            _answers(Dial, _WITH_BODY),
            body=Content(Dial, {"busy": {"status": 503, "retry_after_seconds": 7, "times": 2}}),
        ),
        _operation(
            "get",
            "/{name}/requests",
            "listRequests",
            "The newest requests that are wanted, newest first.",
            _answers(RequestsAnswer, _WRONG),
            parameters=_asked_by(Page),
        ),
        _operation(
            "delete",
            "/{name}/requests",
            "removeRequests",
            "Forget all requests of an inbox.",
            _answers(RemovedAnswer, _CHANGING),
        ),
        _operation(
            "get",
            "/{name}/requests/count",
            "countRequests",
            "How many requests are wanted.",
            _answers(CountAnswer, _WRONG),
            parameters=_asked_by(Filters),
        ),
        _operation(
            "get",
            "/{name}/requests/{number}",
            "getRequest",
            "One request, and the command that sends it again.",
            _answers(OneRequestAnswer),
        ),
        _operation(
            "delete",
            "/{name}/requests/{number}",
            "removeRequest",
            "Forget one request.",
            _answers(RemovedAnswer, _CHANGING),
        ),
    ),
    security_schemes={
        "operator": {
            "type": "http",
            "scheme": "bearer",
            "description": "The operator token, HIGGS_SHOP_OPERATOR_TOKEN.",
        }
    },
)
