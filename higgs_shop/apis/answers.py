"""What the HTTP APIs of the store have in common, as OpenAPI describes it: above all their refusals.

Nothing is built from the models here: they describe, and the tests hold real answers against them.
"""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field

from higgs_shop.apis.errors import NO_SUCH_PATH, error_body
from higgs_shop.apis.openapi import Answer, Content, Parameter
from higgs_shop.apis.rate_limit import LIMIT_EXCEEDED, PERCENTAGE_USED, RETRY_AFTER

USED: Final = {PERCENTAGE_USED: "How much of the API key's limit is used; only if there is one."}
"""The header of every answer to a known caller."""

_WAIT: Final = {RETRY_AFTER: "Whole seconds to wait before the next try."}


class ErrorDetail(BaseModel):
    """One fault."""

    model_config = ConfigDict(extra="forbid")

    code: str
    message: str


class ErrorAnswer(BaseModel):
    """Why a call was refused: an entry for each fault."""

    model_config = ConfigDict(extra="forbid")

    errors: Annotated[list[ErrorDetail], Field(min_length=1)]


def refusal(
    description: str, code: str, message: str, headers: Mapping[str, str] | None = None
) -> Answer:
    """An error answer, with an example of its body."""
    content = Content(ErrorAnswer, {"refused": error_body(code, [message])})
    return Answer(description, content, headers or {})


UNAUTHORIZED: Final = {
    HTTPStatus.UNAUTHORIZED: refusal(
        "No credentials, or wrong ones.", "UNAUTHORIZED", "the API key is not known"
    )
}
BAD_REQUEST: Final = {
    HTTPStatus.BAD_REQUEST: refusal(
        "The call is wrong: every fault of it is named at once.",
        "BAD_REQUEST",
        "environment: Field required",
        USED,
    )
}
KEY_IN_PATH: Final = Parameter("key", "path", "The API key.", {"type": "string", "minLength": 1})

NO_PATH: Final = {
    HTTPStatus.NOT_FOUND: refusal(
        "There is no such path: what stands in it has no slash.",
        "NOT_FOUND",
        NO_SUCH_PATH,
    )
}
NOT_NOW: Final = {
    HTTPStatus.TOO_MANY_REQUESTS: refusal(
        "The API key has used up its limit.",
        "TOO_MANY_REQUESTS",
        "the API key has used up its limit; try again in 7 seconds",
        {
            **USED,
            **_WAIT,
            LIMIT_EXCEEDED: "Whose limit it is: that of the app, which has the key.",
        },
    ),
    HTTPStatus.SERVICE_UNAVAILABLE: refusal(
        "The database is busy, or takes nothing: its disk is full, or it is down.",
        "SERVICE_UNAVAILABLE",
        "the database is busy; try again",
        {**USED, **_WAIT},
    ),
}


def too_large(kibibytes: int) -> dict[HTTPStatus, Answer]:
    """For an API that takes bodies up to a size."""
    return {
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE: refusal(
            f"The body is larger than {kibibytes} KiB.",
            "REQUEST_ENTITY_TOO_LARGE",
            "The data value transmitted exceeds the capacity limit.",
            USED,
        )
    }
