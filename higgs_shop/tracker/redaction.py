"""What a body leaves out of an event, or tells hashed, because its output is set so."""

import hashlib
import json
from typing import Any

from higgs_shop.identity_types import EMAIL
from higgs_shop.outputs import OutputSettings
from higgs_shop.tracker.json_text import compact_json


def redacted_event(event: str, settings: OutputSettings) -> str:
    """An event's JSON as this output may have it. Most have nothing to hide and stay as they are."""
    hides_location = not settings.include_location and '"location"' in event
    hashes = settings.hash_email_addresses and '"user_identity_change"' in event
    if not (hides_location or hashes):
        return event
    read = json.loads(event)
    data = read["data"]
    if hides_location:
        data.pop("location", None)
    if hashes and read["event_type"] == "user_identity_change":
        data |= {side: _redacted(data[side], settings) for side in ("new", "old") if side in data}
    return compact_json(read)


def redacted_identity(identity_type: str, value: str, settings: OutputSettings) -> str:
    """A person's identity as this output may have it.

    The hash of an e-mail address is the SHA-256 of what is left without spaces around it and in small
    letters, as 64 hex digits. It is a pseudonym, and no more: who has the address finds its hash.
    """
    if settings.hash_email_addresses and identity_type == EMAIL:
        return hashlib.sha256(value.strip().lower().encode()).hexdigest()
    return value


def _redacted(side: Any, settings: OutputSettings) -> Any:
    """One side of a change. A client may have sent anything as one."""
    match side:
        case {"identity_type": str(identity_type), "identity": str(value)}:
            return {**side, "identity": redacted_identity(identity_type, value, settings)}
    return side
