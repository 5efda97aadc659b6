"""Whom a batch is about: the identities in it by which an identity service would find somebody."""

from collections.abc import Callable, Mapping
from typing import Final

from higgs_shop.identity_types import DEVICE_APPLICATION_STAMP
from higgs_shop.intake.messages import MAX_NAME_CHARACTERS, Batch
from higgs_shop.workspaces import Workspace

Resolve = Callable[[Workspace, str, Mapping[str, str], str | None], int]
"""Asks who somebody is, as an identify does, given workspace, environment, identities by type, and an
id that names the question; answers with the MPID. Raises: BadRequest. Unavailable."""

DEVICE_MEMBERS: Final = {
    "ios_advertising_id": "ios_idfa",
    "ios_idfv": "ios_idfv",
    "android_advertising_id": "android_aaid",
    "android_uuid": "android_uuid",
    "amp_id": "amp_id",
    "push_token": "push_token",
    "roku_advertising_id": "roku_aid",
    "roku_publisher_id": "roku_publisher_id",
    "microsoft_advertising_id": "microsoft_aid",
    "microsoft_publisher_id": "microsoft_publisher_id",
    "fire_advertising_id": "fire_aid",
}
"""The identity type of each member of `device_info` that names a device."""


def known_identities(batch: Batch) -> dict[str, str]:
    """Every identity that a batch tells, the person's own first, in the HTTP API's spelling."""
    identities = batch.identities()
    for member, identity_type in DEVICE_MEMBERS.items():
        value = (batch.device_info or {}).get(member)
        if isinstance(value, str) and 0 < len(value) <= MAX_NAME_CHARACTERS:
            identities[identity_type] = value
    if batch.mp_deviceid is not None:
        identities[DEVICE_APPLICATION_STAMP] = batch.mp_deviceid
    return identities
