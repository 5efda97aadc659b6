"""What the intake refuses.

IntakeError          .status_code, .code, .messages
├─ BadRequest 400    the batch must be changed before it is sent again
├─ Unauthorized 401  the credentials are missing, or no key is known by that name
├─ Forbidden 403     there are credentials, and they are wrong
├─ TooLarge 413      the batch must be sent in parts
└─ Unavailable 503   the identity service does not answer; the same again later

Source: Events API documentation, "Status codes"; the Web SDK keeps and sends again what is answered
400, 429 or 5xx, and drops what is answered otherwise.
"""

from higgs_shop.apis.errors import ApiError


class IntakeError(ApiError):
    """Anything the intake refuses."""


class BadRequest(IntakeError):
    """The body is not understood, or says of nobody whom it is about."""

    status_code = 400
    code = "BAD_REQUEST"


class Unauthorized(IntakeError):
    """Nobody has said who they are."""

    status_code = 401
    code = "UNAUTHORIZED"


class Forbidden(IntakeError):
    """Whoever sends this is not who they say."""

    status_code = 403
    code = "FORBIDDEN"


class TooLarge(IntakeError):
    """The body is beyond a documented limit."""

    status_code = 413
    code = "REQUEST_ENTITY_TOO_LARGE"


class Unavailable(IntakeError):
    """Nobody can say now whom the batch is about."""

    status_code = 503
    code = "SERVICE_UNAVAILABLE"
