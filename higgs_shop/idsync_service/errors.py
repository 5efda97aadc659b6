"""What the identity service refuses, and the error body that says so.

IdSyncError             .status_code, .code, .messages
├─ BadRequest 400       the request must be changed before it is sent again
│  └─ ImmutableIdentity a value that never changes would have changed
├─ Unauthorized 401     the credentials must be changed
├─ Forbidden 403        the workspace's strategy does not offer it
└─ ProfileNotFound 404  search only: nobody may be returned for these identities
"""

from higgs_shop.apis.errors import ApiError


class IdSyncError(ApiError):
    """Anything the service refuses; each message stands for one fault."""


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


class Forbidden(IdSyncError):
    """The credentials are right, and what is asked for is not offered."""

    status_code = 403
    code = "FORBIDDEN"


class ProfileNotFound(IdSyncError):
    """No profile may be returned for the identities of a search."""

    status_code = 404
    code = "NOT_FOUND_ERROR"
