"""What clients send: the documented batch, read leniently where official clients differ from it.

Source: event batch JSON reference and schema; the Web SDK and the Python client, which send null for
what is absent, numbers for texts and texts for numbers. Unknown members of a batch are ignored, those
of an event's data are kept. All faults of a body are named at once.
"""

import re
from typing import Annotated, Any, Final, Literal, get_args

from pydantic import (
    AfterValidator,
    AliasChoices,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    WithJsonSchema,
    field_validator,
    model_validator,
)

from higgs_shop.identity_types import TYPES_IN_BATCHES, parse_mpid
from higgs_shop.tracker import MOST_ATTRIBUTES, CustomEventType

MAX_EVENTS: Final = 500
"""Bounds a batch, together with its 128 kB. The documented limit of a request is 100."""

_MAX_EVENT_ATTRIBUTES: Final = 100
MAX_NAME_CHARACTERS: Final = 256
_MAX_VALUE_CHARACTERS: Final = 4_096
_MAX_LIST_ENTRIES: Final = 1_000
_MAX_ENTRY_CHARACTERS: Final = 512
_LAST_MS: Final = 253_402_300_799_999  # the end of the year 9999
_WHOLE: Final = re.compile(r"-?[0-9]{1,19}", re.ASCII)
_LEGACY_TYPES: Final = frozenset({"alias"})  # in the schema, and never looked up by anybody

EVENT_TYPES: Final = (
    "session_start",
    "session_end",
    "screen_view",
    "custom_event",
    "commerce_event",
    "crash_report",
    "opt_out",
    "first_run",
    "pre_attribution",
    "push_registration",
    "application_state_transition",
    "push_message",
    "network_performance",
    "breadcrumb",
    "profile",
    "push_reaction",
    "user_attribute_change",
    "user_identity_change",
    "uninstall",
)
CUSTOM_EVENT_TYPES: Final = frozenset(
    {
        *get_args(CustomEventType),
        "unknown",  # the Web SDK's, for an event that was logged without a type
        "consent_granted",
        "consent_denied",
    }
)


def _text(value: Any) -> Any:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    return value


def _whole(value: Any) -> Any:
    if isinstance(value, bool):
        raise ValueError("is not a number")  # noqa: TRY004 (pydantic reports no other)
    if isinstance(value, str) and not _WHOLE.fullmatch(value):
        raise ValueError("is not a whole number")
    return value


def _mpid(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise ValueError("an MPID is a number or its decimal as a string")  # noqa: TRY004 (pydantic reports no other)
    return parse_mpid(str(value))


def _event_type(name: str) -> str:
    if name not in EVENT_TYPES:
        raise ValueError(f"{name[:80]!r} is not one of the documented event types")
    return name


def _scalar(value: Any) -> Any:
    if value is not None and not isinstance(value, str | int | float):
        raise ValueError("is neither a text, number nor boolean")
    if isinstance(value, str) and len(value) > _MAX_VALUE_CHARACTERS:
        raise ValueError(f"is longer than {_MAX_VALUE_CHARACTERS} characters")
    return value


def _scalar_or_list(value: Any) -> Any:
    if not isinstance(value, list):
        return _scalar(value)
    if len(value) > _MAX_LIST_ENTRIES:
        raise ValueError(f"has more than {_MAX_LIST_ENTRIES} entries")
    for entry in value:
        if isinstance(entry, bool) or not isinstance(entry, str | int | float):
            raise ValueError("has an entry that is neither a text nor a number")  # noqa: TRY004 (pydantic reports no other)
        if len(str(entry)) > _MAX_ENTRY_CHARACTERS:
            raise ValueError(f"has an entry longer than {_MAX_ENTRY_CHARACTERS} characters")
    return value


def _cut(text: str) -> str:
    return text[:MAX_NAME_CHARACTERS]


Text = Annotated[str, BeforeValidator(_text)]
Name = Annotated[str, StringConstraints(min_length=1, max_length=MAX_NAME_CHARACTERS)]
Id = Annotated[Name, BeforeValidator(_text)]
Title = Annotated[Text, AfterValidator(_cut)]
"""A name of an event, which is cut where it is too long."""

EventType = Annotated[
    str, AfterValidator(_event_type), WithJsonSchema({"type": "string", "enum": list(EVENT_TYPES)})
]
Ms = Annotated[int, BeforeValidator(_whole), Field(ge=0, le=_LAST_MS)]
Mpid = Annotated[
    int,
    BeforeValidator(_mpid),
    WithJsonSchema({"anyOf": [{"type": "integer", "format": "int64"}, {"type": "string"}]}),
]
_SCALAR_SCHEMA: Final = {"type": ["string", "number", "boolean", "null"]}
_Scalar = Annotated[Any, AfterValidator(_scalar), WithJsonSchema(_SCALAR_SCHEMA)]
_ScalarOrList = Annotated[
    Any,
    AfterValidator(_scalar_or_list),
    WithJsonSchema({"anyOf": [_SCALAR_SCHEMA, {"type": "array"}]}),
]
Attributes = Annotated[dict[Name, _Scalar], Field(max_length=_MAX_EVENT_ATTRIBUTES)]
UserAttributes = Annotated[dict[Name, _ScalarOrList], Field(max_length=MOST_ATTRIBUTES)]
Object = dict[str, Any]


class _Message(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True)


class EventData(_Message):
    """An event's `data`: what the intake looks at itself. All other members are kept as they are."""

    model_config = ConfigDict(frozen=True, extra="allow")

    timestamp_unixtime_ms: Ms | None = None
    source_message_id: Id | None = None
    session_uuid: Id | None = None
    session_start_unixtime_ms: Ms | None = None
    custom_attributes: Attributes | None = None
    custom_flags: Object | None = None
    location: Object | None = None
    event_name: Title | None = None
    screen_name: Title | None = None
    custom_event_type: str | None = None
    product_action: Object | None = None
    promotion_action: Object | None = None
    product_impressions: list[Object] | None = None
    shopping_cart: Object | None = None
    user_attribute_name: Name | None = None
    is_opted_out: bool | None = None

    def members(self) -> dict[str, Any]:
        """Everything that was sent, null for what was sent as null."""
        return self.model_dump(exclude_unset=True)


class SentEvent(_Message):
    """One event of a batch."""

    event_type: EventType
    data: EventData = EventData()

    @field_validator("data", mode="before")
    @classmethod
    def _nothing_is_empty(cls, data: Any) -> Any:
        return {} if data is None else data

    @model_validator(mode="after")
    def _custom_events_are_named(self) -> "SentEvent":
        if self.event_type != "custom_event":
            return self
        if not self.data.event_name:
            raise ValueError("a custom_event needs data.event_name")
        if self.data.custom_event_type not in CUSTOM_EVENT_TYPES:
            allowed = ", ".join(sorted(CUSTOM_EVENT_TYPES))
            raise ValueError(f"a custom_event needs data.custom_event_type, one of {allowed}")
        return self


class Consent(_Message):
    """Whether somebody agreed to one purpose. Its other members are passed on."""

    model_config = ConfigDict(frozen=True, extra="allow")

    consented: bool


class ConsentState(_Message):
    """What somebody agreed to, by purpose. The Python client sends an empty half for none."""

    gdpr: dict[str, Consent | None] | None = None
    ccpa: dict[str, Consent | None] | None = None


class DataPlan(_Message):
    """Which plan the client says that it keeps to."""

    plan_id: Text
    plan_version: int | None = None


class Context(_Message):
    """What a batch says about itself."""

    data_plan: DataPlan | None = None


class Batch(_Message):
    """What one client sends about one person, the body of one upload."""

    environment: Literal["development", "production"]
    events: Annotated[list[SentEvent], Field(max_length=MAX_EVENTS)] = []
    source_request_id: Id | None = None
    mpid: Mpid | None = None
    mp_deviceid: Id | None = None
    timestamp_unixtime_ms: Ms | None = None
    application_info: Object | None = None
    device_info: Object | None = None
    user_attributes: UserAttributes | None = None
    deleted_user_attributes: list[Name] | None = None
    user_identities: dict[str, Id | None] = {}
    consent_state: ConsentState | None = None
    integration_attributes: dict[str, Object] | None = None
    location: Object | None = None
    context: Context | None = Field(
        default=None, validation_alias=AliasChoices("context", "batch_context")
    )

    @field_validator("events", mode="before")
    @classmethod
    def _no_events_are_none(cls, events: Any) -> Any:
        return [] if events is None else events

    @field_validator("user_identities", mode="before")
    @classmethod
    def _no_identities_are_none(cls, identities: Any) -> Any:
        return {} if identities is None else identities

    @field_validator("user_identities")
    @classmethod
    def _types_are_known(cls, identities: dict[str, str | None]) -> dict[str, str | None]:
        """By the type that each name means."""
        found: dict[str, str | None] = {}
        for name, value in identities.items():
            if name in _LEGACY_TYPES or value is None:
                continue
            identity_type = TYPES_IN_BATCHES.get(name)
            if identity_type is None:
                raise ValueError(f"{name[:80]} is not an identity type of batches")
            if found.setdefault(identity_type, value) != value:
                raise ValueError(f"{name} stands there twice, under two spellings")
        return found

    def identities(self) -> dict[str, str]:
        """The person's own identities, in the HTTP API's spelling."""
        return {name: value for name, value in self.user_identities.items() if value is not None}
