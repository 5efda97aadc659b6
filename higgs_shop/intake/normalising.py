"""One spelling for what clients spell differently. Pure.

Source: the Web SDK and the Python client, as observed; the documentation for what is right.
"""

import re
from collections.abc import Mapping
from typing import Any, Final

from higgs_shop.intake.messages import MAX_NAME_CHARACTERS, EventData, SentEvent

_PROMOTION_ACTIONS: Final = {0: "unknown", 1: "view", 2: "click"}
_PRODUCT_ACTIONS: Final = {"remove_from_wishlist": "remove_from_wish_list"}
_COMMERCE: Final = ("product_action", "promotion_action", "product_impressions", "shopping_cart")
_CRASH: Final = ("message", "class_name", "stack_trace")
_AMOUNTS: Final = frozenset(
    {
        "price",
        "quantity",
        "position",
        "total_product_amount",
        "total_amount",
        "tax_amount",
        "shipping_amount",
        "checkout_step",
    }
)
_TEXTS: Final = frozenset({"id", "transaction_id", "coupon_code"})
_NUMBER: Final = re.compile(r"-?[0-9]{1,15}(\.[0-9]{1,15})?", re.ASCII)

# Read already, or the server's to fill in.
_NOT_KEPT: Final = frozenset(
    {
        "event_id",
        "event_num",
        "source_message_id",
        "timestamp_unixtime_ms",
        "event_start_unixtime_ms",
        "session_uuid",
        "active_time_on_site_ms",  # the Web SDK's own; the output's format does not know it
    }
)
_MEANINGFUL_NULLS: Final = frozenset({"new", "old"})

_NAME_MEMBERS: Final = {
    "screen_view": ("screen_name",),
    "custom_event": ("event_name",),
    "user_attribute_change": ("user_attribute_name",),
    "user_identity_change": ("new", "identity_type"),
    "application_state_transition": ("application_transition_type",),
    "crash_report": ("message",),
    "network_performance": ("url",),
    "breadcrumb": ("label",),
    "profile": ("profile_event_type",),
    "push_message": ("push_message_type",),
}


def normalised(event: SentEvent) -> tuple[str, dict[str, Any]]:
    """An event's type and data as they are kept: one spelling, and nothing that says nothing."""
    data = event.data.members()
    event_type = event.event_type
    if event_type == "commerce_event" and _is_crash(data):
        event_type = "crash_report"
    for member in _COMMERCE:
        if member in data:
            data[member] = _commerce(data[member])
    if isinstance(data.get("product_action"), dict):
        _respell(data["product_action"], _PRODUCT_ACTIONS)
    if isinstance(data.get("promotion_action"), dict):
        _respell(data["promotion_action"], _PROMOTION_ACTIONS)
    return event_type, _without_nothing(data, event.data)


def name_of(event_type: str, data: Mapping[str, Any]) -> str:
    """What people call an event: its screen, event, action or list, else its type in words."""
    name = _found(data, _NAME_MEMBERS.get(event_type, ()))
    if event_type == "commerce_event":
        name = _commerce_name(data)
    elif event_type == "opt_out":
        name = "Opted Out" if data.get("is_opted_out") else "Opted In"
    if isinstance(name, str) and name:
        return name[:MAX_NAME_CHARACTERS]
    return event_type.replace("_", " ").title()


def _is_crash(data: Mapping[str, Any]) -> bool:
    """The Python client sends its crash reports under this type."""
    is_commerce = any(data.get(member) for member in _COMMERCE)
    return not is_commerce and any(data.get(member) for member in _CRASH)


def _commerce(value: Any) -> Any:
    if isinstance(value, list):
        return [_commerce(item) for item in value]
    if isinstance(value, dict):
        return {
            name: member if name == "custom_attributes" else _member(name, _commerce(member))
            for name, member in value.items()
            if member is not None
        }
    return value


def _member(name: str, value: Any) -> Any:
    if name in _TEXTS and isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    if name in _AMOUNTS and isinstance(value, str) and _NUMBER.fullmatch(value):
        return float(value) if "." in value else int(value)
    return value


def _respell(node: dict[str, Any], words: Mapping[Any, str]) -> None:
    action = node.get("action")
    if isinstance(action, str | int):
        node["action"] = words.get(action, action)


def _without_nothing(data: Mapping[str, Any], sent: EventData) -> dict[str, Any]:
    is_left_out = _NOT_KEPT if sent.session_uuid is None else _NOT_KEPT | {"session_id"}
    return {
        name: value
        for name, value in data.items()
        if name not in is_left_out and (name in _MEANINGFUL_NULLS or value not in (None, {}))
    }


def _commerce_name(data: Mapping[str, Any]) -> Any:
    match data:
        case {"product_action": {"action": name}} | {"promotion_action": {"action": name}}:
            return name
        case {"product_impressions": [{"product_impression_list": name}, *_]}:
            return name
    return None


def _found(data: Any, path: tuple[str, ...]) -> Any:
    if not path:
        return None
    for member in path:
        data = data.get(member) if isinstance(data, dict) else None
    return data
