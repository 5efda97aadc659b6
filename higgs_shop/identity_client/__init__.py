"""An identity client: says who a visitor is, over the IDSync HTTP API.

client.py     IdentityClient: identify, login, logout, search, modify
messages.py   IdentityRequest in, IdentityResult out
device.py     Device: what is remembered on one device, and its Users
auth.py       KeyOnly, Basic, Hmac
circuit_breaker.py   when to leave a service alone that keeps failing
errors.py     what a call can end in, split by what the caller can do next
"""

from higgs_shop.identity_client.auth import Basic, Hmac, KeyOnly
from higgs_shop.identity_client.client import Environment, IdentityClient
from higgs_shop.identity_client.device import Device, User, is_mpid
from higgs_shop.identity_client.errors import (
    BadRequest,
    CircuitOpen,
    ConnectionLost,
    ErrorDetail,
    Forbidden,
    IdentityError,
    InvalidRequest,
    Misconfigured,
    NoAnswer,
    NoConnection,
    NoCurrentUser,
    NotUnderstood,
    OptedOut,
    ProfileNotFound,
    Refused,
    RequestInProgress,
    ServiceFailed,
    TimedOut,
    TlsFailed,
    TooManyRequests,
    Unauthorized,
    UnexpectedStatus,
)
from higgs_shop.identity_client.messages import (
    AliasRequest,
    ChangeResult,
    ClientSdk,
    IdentityChange,
    IdentityRequest,
    IdentityResult,
)

__all__ = [
    "AliasRequest",
    "BadRequest",
    "Basic",
    "ChangeResult",
    "CircuitOpen",
    "ClientSdk",
    "ConnectionLost",
    "Device",
    "Environment",
    "ErrorDetail",
    "Forbidden",
    "Hmac",
    "IdentityChange",
    "IdentityClient",
    "IdentityError",
    "IdentityRequest",
    "IdentityResult",
    "InvalidRequest",
    "KeyOnly",
    "Misconfigured",
    "NoAnswer",
    "NoConnection",
    "NoCurrentUser",
    "NotUnderstood",
    "OptedOut",
    "ProfileNotFound",
    "Refused",
    "RequestInProgress",
    "ServiceFailed",
    "TimedOut",
    "TlsFailed",
    "TooManyRequests",
    "Unauthorized",
    "UnexpectedStatus",
    "User",
    "is_mpid",
]
