"""The identity types of the IDSync HTTP API, the order in which they are looked up by default, and
which of them each identity strategy takes for a person's own.

Source: IDSync documentation, "Identity types", "Default identity priority" and "Identity strategies".
The names are the
HTTP API's; event batches spell one of them differently (`customer_id`), see BATCH_NAMES.
"""

import re
from typing import Final

CUSTOMER_ID: Final = "customerid"
EMAIL: Final = "email"
MOBILE_NUMBER: Final = "mobile_number"
OTHER: Final = "other"
DEVICE_APPLICATION_STAMP: Final = "device_application_stamp"

USER_IDENTITY_TYPES: Final = frozenset(
    {
        CUSTOMER_ID,
        EMAIL,
        MOBILE_NUMBER,
        "phone_number_2",
        "phone_number_3",
        "facebook",
        "facebookcustomaudienceid",
        "google",
        "microsoft",
        "twitter",
        "yahoo",
        OTHER,
        *(f"other{number}" for number in range(2, 11)),
    }
)
"""Types that name a person."""

DEVICE_IDENTITY_TYPES: Final = frozenset(
    {
        DEVICE_APPLICATION_STAMP,
        "amp_id",
        "android_aaid",
        "android_uuid",
        "fire_aid",
        "ios_idfa",
        "ios_idfv",
        "microsoft_aid",
        "microsoft_publisher_id",
        "push_token",
        "roku_aid",
        "roku_publisher_id",
    }
)
"""Types that name a device, which people may share."""

IDENTITY_TYPES: Final = USER_IDENTITY_TYPES | DEVICE_IDENTITY_TYPES

DEFAULT_PRIORITY: Final = (
    CUSTOMER_ID,
    MOBILE_NUMBER,
    EMAIL,
    OTHER,
    "facebook",
    "google",
    "twitter",
    "microsoft",
    "yahoo",
    "ios_idfa",
    "ios_idfv",
    "android_aaid",
    "android_uuid",
    "roku_aid",
    "roku_publisher_id",
    "microsoft_publisher_id",
    "microsoft_aid",
    DEVICE_APPLICATION_STAMP,
)
"""The documented order; types that it leaves out are looked up after it, in the order of the request."""

DEFAULT_IDS: Final = {
    "default": (CUSTOMER_ID,),
    "profile_conversion": (CUSTOMER_ID, EMAIL),
    "profile_link": (CUSTOMER_ID, EMAIL),
    "profile_isolation": (CUSTOMER_ID, EMAIL),
    "best_match": (),
}
"""By identity strategy, its login IDs and its unique IDs; in the documentation's table they are the same."""

BATCH_NAMES: Final = {
    CUSTOMER_ID: "customer_id",
    "facebookcustomaudienceid": "facebook_custom_audience_id",
    **{f"other{number}": f"other_id_{number}" for number in range(2, 11)},
}
"""How event batches spell the types whose names differ there."""

TYPES_IN_BATCHES: Final = {
    **{BATCH_NAMES.get(name, name): name for name in USER_IDENTITY_TYPES},
    **{name: name for name in USER_IDENTITY_TYPES},
}
"""The type that a name in a batch means: as batches spell it, or as the HTTP API does."""

_INT64_MIN: Final = -(2**63)
_INT64_MAX: Final = 2**63 - 1
_DECIMAL: Final = re.compile(r"-?[1-9][0-9]{0,18}", re.ASCII)
MPID_SHAPE: Final = {"type": "string", "format": "int64", "pattern": f"^{_DECIMAL.pattern}$"}
"""An MPID as JSON Schema: the format bounds it to 64 bits, the pattern says how it is written."""


def parse_mpid(text: str) -> int:
    """The number in a path or body: a signed 64-bit decimal, not 0. Raises ValueError."""
    if _DECIMAL.fullmatch(text) is None or not _INT64_MIN <= int(text) <= _INT64_MAX:
        raise ValueError("an MPID is the decimal of a signed 64-bit number other than 0")
    return int(text)
