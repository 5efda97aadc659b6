"""What the store's HTTP APIs refuse, and the documented error body that says so.

The body is `{"errors": [{"code": …, "message": …}]}`. The capitalised `Errors` that the Web SDK's
verbose log looks for is left out: it repeats the same under other names, and nothing but that log
reads it.
"""

from collections.abc import Sequence
from typing import Any, Final

from pydantic import ValidationError
from pydantic_core import ErrorDetails

_MAX_NAMED_FAULTS: Final = 50
_MAX_SHOWN_CHARACTERS: Final = 80


class ApiError(Exception):
    """Anything that an API refuses; each message stands for one fault."""

    status_code: int
    code: str

    def __init__(self, *messages: str) -> None:
        super().__init__(*messages)
        self.messages = messages

    def body(self) -> dict[str, Any]:
        """The documented error body."""
        return error_body(self.code, self.messages)


class TooManyCalls(ApiError):
    """The API key has made as many calls as its limit allows; the headers say until when."""

    status_code = 429
    code = "TOO_MANY_REQUESTS"


NO_SUCH_PATH: Final = "there is no such path; /openapi.json lists those that there are"


def error_body(code: str, messages: Sequence[str]) -> dict[str, Any]:
    """One entry for each message, all under one code."""
    return {"errors": [{"code": code, "message": message} for message in messages]}


def faults_of(error: ValidationError) -> list[str]:
    """Everything that is wrong with a body: a sentence each, which begins with the member's path."""
    details = error.errors(include_url=False, include_input=False)
    faults = [fault_of(detail) for detail in details[:_MAX_NAMED_FAULTS]]
    if len(details) > _MAX_NAMED_FAULTS:
        faults.append(f"and {len(details) - _MAX_NAMED_FAULTS} more faults")
    return faults


def fault_of(detail: ErrorDetails) -> str:
    """One thing that is wrong."""
    path = ".".join(_shown(part) for part in detail["loc"] if part != "[key]")
    context: dict[str, Any] = detail.get("ctx", {})
    return f"{path}: {context.get('error', detail['msg'])}"


def _shown(part: int | str) -> str:
    text = str(part)
    return text if len(text) <= _MAX_SHOWN_CHARACTERS else f"{text[:_MAX_SHOWN_CHARACTERS]}…"
