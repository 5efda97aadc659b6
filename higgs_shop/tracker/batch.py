"""The webhook's body: who did what, when. One event a body, in the format of mParticle's batches.

Source: event batch JSON reference and webhook output documentation. Differences from what a client
uploads: identities are a list with times, MPIDs are numbers, and the server's ids are filled in.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from higgs_shop.database import JsonText
from higgs_shop.identity_types import BATCH_NAMES
from higgs_shop.version import __version__


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


def batch_body(
    *,
    event_type: str,
    data: str,
    person: Person,
    session: SessionFacts,
    sequence: int,
    session_sequence: int,
    logged_at_ms: int,
    webhook_id: str,
    environment: str,
) -> bytes:
    """The bytes to send, on every attempt the same.

    `data` is JSON already, and stands in the body as it is: an event is written once, for all who
    keep it. `context` carries two counters for whoever wants to check order and completeness:
    `mpid_sequence` counts a person's events from 1 without gaps, `session_sequence` a session's.
    """
    facts = {
        "schema_version": 2,
        "environment": environment,
        "mpid": person.mpid,
        "batch_id": number_of("batch", webhook_id),
        "timestamp_unixtime_ms": logged_at_ms,
        "source_request_id": webhook_id,
        "user_identities": [
            {
                "identity_type": BATCH_NAMES.get(identity.identity_type, identity.identity_type),
                "identity": identity.value,
                "timestamp_unixtime_ms": identity.set_at_ms,
            }
            for identity in person.identities
        ],
        "user_attributes": dict(person.attributes),
        "device_info": {"platform": "web", "http_header_user_agent": session.user_agent},
        "application_info": {
            "application_name": "Higgs Shop",
            "application_version": __version__,
        },
        "source_info": {
            "channel": "server_to_server",
            "partner": None,
            "replay_request_id": None,
            "replay_job_id": None,
            "is_historical": False,
        },
        "context": {"mpid_sequence": sequence, "session_sequence": session_sequence},
        "system_notifications": [],
    }
    event = f'{{"event_type":{compact_json(event_type)},"data":{data}}}'
    return f'{{"events":[{event}],{compact_json(facts)[1:]}'.encode()


_ENCODER: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))


def compact_json(value: Any) -> JsonText:
    """JSON as it travels: no spaces, and letters as they are."""
    return JsonText(_ENCODER.encode(value))


def event_data(
    kind_data: Mapping[str, Any],
    *,
    logged_at_ms: int,
    source_message_id: str,
    session: SessionFacts,
) -> dict[str, Any]:
    """The kind's own members with those that every event carries."""
    return {
        "event_id": number_of("event", source_message_id),
        "source_message_id": source_message_id,
        "timestamp_unixtime_ms": logged_at_ms,
        "event_start_unixtime_ms": logged_at_ms,
        "session_id": number_of("session", session.session_uuid),
        "session_uuid": session.session_uuid,
        "session_start_unixtime_ms": session.started_at_ms,
        **kind_data,
    }


def number_of(kind: str, text: str) -> int:
    """A server's numeric id for a textual one: always the same, below 2^53 so that JavaScript reads
    it right.
    """
    digest = hashlib.sha256(f"{kind}:{text}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 11
