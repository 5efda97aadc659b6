"""What a body leaves out of an event, or tells hashed, because its output is set so."""

import hashlib
import json
from typing import Any

from higgs_shop.outputs import OutputSettings
from higgs_shop.tracker.json_text import compact_json


def redacted_event(event: str, settings: OutputSettings) -> str:
    """An event's JSON as this output may have it. Most have nothing to hide and stay as they are."""
    hides_location = not settings.include_location and '"location"' in event
    hashes = settings.hash_email_addresses and '"user_identity_change"' in event
    if not (hides_location or hashes):
        return event
    read = json.loads(event)
    if hides_location:
        read["data"].pop("location", None)
    if hashes and read["event_type"] == "user_identity_change":
        for side in ("new", "old"):
            _hash_inside(read["data"].get(side))
    return compact_json(read)


def redacted_identity(identity_type: str, value: str, settings: OutputSettings) -> str:
    """A person's identity as this output may have it."""
    if settings.hash_email_addresses and identity_type == "email":
        return hashed(value)
    return value


def hashed(email_address: str) -> str:
    """The SHA-256 of an address without spaces around it and in small letters, as 64 hex digits.

    A pseudonym, and no more: who has the address finds its hash, and the same address has the same one
    everywhere.
    """
    return hashlib.sha256(email_address.strip().lower().encode()).hexdigest()


def _hash_inside(identity: Any) -> None:
    if isinstance(identity, dict) and identity.get("identity_type") == "email":
        value = identity.get("identity")
        if isinstance(value, str):
            identity["identity"] = hashed(value)
