"""What the identity service refuses, and the error body that says so.

IdSyncError             .status_code, .code, .messages
├─ BadRequest 400       the request must be changed before it is sent again
│  └─ ImmutableIdentity a value that never changes would have changed
├─ Unauthorized 401     the credentials must be changed
└─ ProfileNotFound 404  search only: nobody may be returned for these identities

The body is `{"errors": [{"code": …, "message": …}]}`, as documented. The capitalised `Errors` that the
Web SDK's verbose log looks for is left out: it repeats the same under other names, and nothing but
that log reads it.
"""

from collections.abc import Sequence
from typing import Any


class IdSyncError(Exception):
    """Anything the service refuses; each message stands for one fault."""

    status_code: int
    code: str

    def __init__(self, *messages: str) -> None:
        super().__init__(*messages)
        self.messages = messages

    def body(self) -> dict[str, Any]:
        """The documented error body."""
        return error_body(self.code, self.messages)


class BadRequest(IdSyncError):
    """The request is not understood, or asks for what cannot be."""

    status_code = 400
    code = "BAD_REQUEST"


class ImmutableIdentity(BadRequest):
    """The request would change, remove or move a value of an immutable type."""


class Unauthorized(IdSyncError):
    """The credentials are missing or wrong."""

    status_code = 401
    code = "UNAUTHORIZED"


class ProfileNotFound(IdSyncError):
    """No profile may be returned for the identities of a search."""

    status_code = 404
    code = "NOT_FOUND_ERROR"


def error_body(code: str, messages: Sequence[str]) -> dict[str, Any]:
    """One entry for each message, all under one code."""
    return {"errors": [{"code": code, "message": message} for message in messages]}
