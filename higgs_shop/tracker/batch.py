"""The webhook's body: who did what, when. One event a body, or several together, in the format of
mParticle's batches.

Source: event batch JSON reference and webhook output documentation. Differences from what a client
uploads: identities are a list with times, MPIDs are numbers, and the server's ids are filled in.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from higgs_shop.database import JsonText
from higgs_shop.identity_types import BATCH_NAMES
from higgs_shop.outputs import OutputSettings
from higgs_shop.tracker.json_text import compact_json
from higgs_shop.tracker.redaction import redacted_event, redacted_identity
from higgs_shop.version import __version__

Channel = Literal["javascript", "server_to_server"]


@dataclass(frozen=True)
class KnownIdentity:
    """An identity of the current user. `identity_type` is in the HTTP API's spelling."""

    identity_type: str
    value: str
    set_at_ms: int


@dataclass(frozen=True)
class Person:
    """Whose event it is, as known when the body is frozen."""

    mpid: int
    identities: Sequence[KnownIdentity]
    attributes: Mapping[str, Any]


@dataclass(frozen=True)
class SessionFacts:
    """The session in which the event was logged."""

    session_uuid: str
    started_at_ms: int
    user_agent: str


@dataclass(frozen=True)
class Origin:
    """Where an event comes from, as its message tells it.

    Attributes:
        channel: `javascript` or `server_to_server`, as `source_info` spells them.
        environment: `development` or `production`.
        device_info: the wire's object.
        application_info: likewise.
        source_request_id: the client's name for the batch; None when the store's own pages logged
            it, whose messages are batches of their own.
        passed_on: other members of the client's batch that a message hands on as they are.
        context: the client's `context`, to which ours is added.
        device_stamp: the device's id, where there is one.
        location: where the client was when it sent the batch, if it says.
    """

    channel: Channel
    environment: str
    device_info: Mapping[str, Any]
    application_info: Mapping[str, Any]
    source_request_id: str | None = None
    passed_on: Mapping[str, Any] = field(default_factory=dict)
    context: Mapping[str, Any] = field(default_factory=dict)
    device_stamp: str | None = None
    location: Mapping[str, Any] | None = None


def page_origin(session: SessionFacts, environment: str, device_stamp: str) -> Origin:
    """The origin of what the store's own pages log: a server tells what a browser did."""
    return Origin(
        channel="server_to_server",
        environment=environment,
        device_info={"platform": "web", "http_header_user_agent": session.user_agent},
        application_info={"application_name": "Higgs Shop", "application_version": __version__},
        device_stamp=device_stamp,
    )


def event_json(event_type: str, data: str) -> JsonText:
    """One event of a batch. Its data is JSON already, and stands in the body as it is: an event is
    written once, for all who keep it.
    """
    return JsonText(f'{{"event_type":{compact_json(event_type)},"data":{data}}}')


def batch_body(
    *,
    events: Sequence[str],
    person: Person,
    origin: Origin,
    sequence: int,
    session_sequences: Sequence[int | None],
    received_at_ms: int,
    webhook_id: str,
    settings: OutputSettings,
) -> bytes:
    """The bytes to send, on every attempt the same.

    `events` are as `event_json` writes them, none for a batch without events; `settings` are the
    output's. `context` carries counters for whoever wants to check order and completeness:
    `mpid_sequence` counts a person's messages to this output from 1 without gaps; `session_sequence` a
    session's events, where the store counts them. With several events that is a list,
    `session_sequences`, with one number for each.
    """
    counters: dict[str, Any] = {"mpid_sequence": sequence}
    if any(number is not None for number in session_sequences):
        if len(session_sequences) == 1:
            counters["session_sequence"] = session_sequences[0]
        else:
            counters["session_sequences"] = list(session_sequences)
    facts = {
        "schema_version": 2,
        "environment": origin.environment,
        "mpid": person.mpid,
        "batch_id": number_of("batch", webhook_id),
        "timestamp_unixtime_ms": received_at_ms,
        "source_request_id": origin.source_request_id or webhook_id,
        "user_identities": [
            {
                "identity_type": BATCH_NAMES.get(identity.identity_type, identity.identity_type),
                "identity": redacted_identity(identity.identity_type, identity.value, settings),
                "timestamp_unixtime_ms": identity.set_at_ms,
            }
            for identity in person.identities
        ],
        "user_attributes": dict(person.attributes),
        **origin.passed_on,
        **_metadata(origin, settings),
        "context": {**origin.context, **counters},
        "system_notifications": [],
    }
    if settings.unique_id:
        facts["unique_id"] = settings.unique_id
    if settings.include_device_id and origin.device_stamp is not None:
        facts["mp_deviceid"] = origin.device_stamp
    if settings.include_batch_location and origin.location is not None:
        facts["location"] = dict(origin.location)
    told = [redacted_event(event, settings) for event in events]
    return f'{{"events":[{",".join(told)}],{compact_json(facts)[1:]}'.encode()


def _metadata(origin: Origin, settings: OutputSettings) -> dict[str, Any]:
    if not settings.include_metadata:
        return {}
    metadata: dict[str, dict[str, Any]] = {
        "device_info": dict(origin.device_info),
        "application_info": dict(origin.application_info),
        "source_info": {
            "channel": origin.channel,
            "partner": None,
            "replay_request_id": None,
            "replay_job_id": None,
            "is_historical": False,
        },
    }
    for name in settings.left_out_metadata:
        member, _, inner = name.partition(".")
        if inner:
            metadata.get(member, {}).pop(inner, None)
        else:
            metadata.pop(member, None)
    return metadata


def event_data(
    kind_data: Mapping[str, Any],
    *,
    happened_at_ms: int,
    source_message_id: str,
    session: SessionFacts,
) -> dict[str, Any]:
    """The kind's own members with those that every event carries."""
    return {
        **numbered(happened_at_ms, source_message_id, session.session_uuid),
        "session_start_unixtime_ms": session.started_at_ms,
        **kind_data,
    }


def numbered(
    happened_at_ms: int, source_message_id: str, session_uuid: str | None
) -> dict[str, Any]:
    """The ids and times that a server fills in: all but when its session began."""
    of_session = (
        {}
        if session_uuid is None
        else {"session_id": number_of("session", session_uuid), "session_uuid": session_uuid}
    )
    return {
        "event_id": number_of("event", source_message_id),
        "source_message_id": source_message_id,
        "timestamp_unixtime_ms": happened_at_ms,
        "event_start_unixtime_ms": happened_at_ms,
        **of_session,
    }


def number_of(kind: str, text: str) -> int:
    """A server's numeric id for a textual one: always the same, below 2^53 so that JavaScript reads
    it right.
    """
    digest = hashlib.sha256(f"{kind}:{text}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 11
