"""What the calls carry: the documented request bodies, read strictly, with all faults named at once.

Source: IDSync HTTP API, "Request schema". Unknown extra members are ignored; identities that are null
count as absent.
"""

import json
from typing import Annotated, Any, Final, Literal, Self, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    WithJsonSchema,
    field_validator,
    model_validator,
)

from higgs_shop import strict_json
from higgs_shop.apis.errors import faults_of
from higgs_shop.identity_types import IDENTITY_TYPES, MPID_SHAPE, parse_mpid
from higgs_shop.idsync_service.errors import BadRequest

MAX_VALUE_CHARACTERS: Final = 256
"""Bounds an identity value, so that it fits into every database's index, whatever the alphabet."""

MAX_CHANGES: Final = 100
_MAX_REQUEST_ID_CHARACTERS: Final = 128


def _known_type(name: str) -> str:
    if name not in IDENTITY_TYPES:
        raise ValueError("is not an identity type")
    return name


def _valid_mpid(text: str) -> str:
    parse_mpid(text)
    return text


IdentityType = Annotated[
    str,
    AfterValidator(_known_type),
    WithJsonSchema({"type": "string", "enum": sorted(IDENTITY_TYPES)}),
]
IdentityValue = Annotated[str, StringConstraints(min_length=1, max_length=MAX_VALUE_CHARACTERS)]
Mpid = Annotated[str, AfterValidator(_valid_mpid), WithJsonSchema(MPID_SHAPE)]
_RequestId = Annotated[str, StringConstraints(min_length=1, max_length=_MAX_REQUEST_ID_CHARACTERS)]
_Milliseconds = Annotated[
    int,
    WithJsonSchema(
        {"type": "integer", "format": "int64", "minimum": -(2**63), "maximum": 2**63 - 1}
    ),
]
_Platform = Literal[
    "ios", "android", "web", "tvos", "roku", "alexa", "smart_tv", "fire", "xbox", "other"
]


class _Message(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True, extra="ignore")


class ClientSdk(_Message):
    """Which client sent the request."""

    platform: _Platform | None = None
    sdk_vendor: str | None = None
    sdk_version: str | None = None


class _Call(_Message):
    client_sdk: ClientSdk | None = None
    context: Annotated[
        str | None, Field(description="The context of the last answer; null is as good as none.")
    ] = None
    environment: Annotated[
        Literal["production", "development"], Field(description="Which data the call belongs to.")
    ]
    request_id: Annotated[
        _RequestId | None,
        Field(
            description="A call that comes again with the same id is answered as the first time."
        ),
    ] = None
    request_timestamp_ms: Annotated[
        _Milliseconds | None, Field(description="When it was sent: Unix time in milliseconds.")
    ] = None

    def _content(self, *asked: Any) -> bytes:
        # Neither the time nor the client: the same call may be sent again, and by another release.
        return json.dumps([self.environment, self.request_id, self.context, *asked]).encode()


class IdentityRequest(_Call):
    """The body of identify, login, logout and search: the person to move to."""

    known_identities: Annotated[
        dict[IdentityType, IdentityValue | None],
        Field(
            description="Identities by type, at least one of them; null counts as absent.",
            json_schema_extra={"not": {"additionalProperties": {"type": "null"}}},
        ),
    ]
    previous_mpid: Annotated[
        Mpid | None, Field(description="The profile moved from, if there is one.")
    ] = None

    @field_validator("known_identities")
    @classmethod
    def _at_least_one(cls, identities: dict[str, str | None]) -> dict[str, str | None]:
        if all(value is None for value in identities.values()):
            raise ValueError("needs at least one identity")
        return identities

    def content(self) -> bytes:
        """What is asked for, as bytes: the same whenever it is sent."""
        return self._content(self.previous_mpid, self.known_identities)

    def identities(self) -> dict[str, str]:
        """The identities that are not null, in the order of the request."""
        return {name: value for name, value in self.known_identities.items() if value is not None}


class IdentityChange(_Message):
    """One change: an old value of null adds, a new value of null removes. All three are required."""

    identity_type: IdentityType
    old_value: str | None
    new_value: IdentityValue | None


class ModifyRequest(_Call):
    """The body of modify."""

    identity_changes: Annotated[list[IdentityChange], Field(max_length=MAX_CHANGES)]

    def content(self) -> bytes:
        """What is asked for, as bytes: the same whenever it is sent."""
        return self._content(
            *(
                (each.identity_type, each.old_value, each.new_value)
                for each in self.identity_changes
            )
        )


def _mpid_number(given: Any) -> int:
    # Web SDKs send a text, mobile ones a number.
    if isinstance(given, bool) or not isinstance(given, str | int):
        raise ValueError("an MPID is a text or a number")  # noqa: TRY004 (pydantic reports it)
    return parse_mpid(str(given))


_MpidNumber = Annotated[
    int,
    BeforeValidator(_mpid_number),
    WithJsonSchema({"anyOf": [MPID_SHAPE, {"type": "integer", "format": "int64"}]}),
]


class AliasData(_Message):
    """What is to be carried over, from whom to whom. Times are UTC milliseconds, both included."""

    destination_mpid: _MpidNumber
    source_mpid: _MpidNumber
    start_unixtime_ms: _Milliseconds | None = None
    end_unixtime_ms: _Milliseconds | None = None
    scope: Literal["device", "mpid"] | None = None
    device_application_stamp: IdentityValue | None = None

    @model_validator(mode="after")
    def _two_profiles(self) -> Self:
        if self.source_mpid == self.destination_mpid:
            raise ValueError("source_mpid and destination_mpid are the same profile")
        return self


class AliasRequest(_Message):
    """The body of alias. The key stands in the path, and may stand here too."""

    request_id: _RequestId | None = None
    request_type: Literal["alias"]
    environment: Literal["production", "development"]
    api_key: str | None = None
    data: AliasData

    @property
    def device_stamp(self) -> str | None:
        """The device on which it was done, when only that is meant."""
        return None if self.data.scope == "mpid" else self.data.device_application_stamp

    def content(self) -> bytes:
        """What is asked for, as bytes: the same whenever it is sent."""
        return self.model_dump_json(exclude={"api_key"}).encode()

    def as_sent(self, api_key: str, *, start_ms: int, end_ms: int) -> dict[str, Any]:
        """The whole request, as a client writes it."""
        data = self.data
        return {
            "request_id": self.request_id,
            "request_type": "alias",
            "environment": self.environment,
            "api_key": api_key,
            "data": {
                "destination_mpid": str(data.destination_mpid),
                "source_mpid": str(data.source_mpid),
                "start_unixtime_ms": start_ms,
                "end_unixtime_ms": end_ms,
                "scope": data.scope,
                "device_application_stamp": data.device_application_stamp,
            },
        }


_MessageT = TypeVar("_MessageT", bound=_Message)


def read(message: type[_MessageT], body: bytes) -> _MessageT:
    """Read a request body. Raises BadRequest, with one message for each faulty field."""
    try:
        members = strict_json.loads(body)
    except strict_json.BadJson as error:
        raise BadRequest(str(error)) from error
    if not isinstance(members, dict):
        raise BadRequest("the body is not a JSON object")
    try:
        return message.model_validate(members)
    except ValidationError as error:
        raise BadRequest(*faults_of(error)) from error
