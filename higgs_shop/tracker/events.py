"""The events that the store logs: one class a kind, each naming its wire fields.

The shapes and names are those of mParticle's event batches (JSON reference, "Event types"). Money
arrives here in cents and leaves in the currency's unit, as the wire wants it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

Scalar = str | int | float | bool | None
Attributes = Mapping[str, Scalar]

CURRENCY = "USD"

CustomEventType = Literal[
    "navigation",
    "location",
    "search",
    "transaction",
    "user_content",
    "user_preference",
    "social",
    "other",
    "media",
    "attribution",
]

ProductActionName = Literal[
    "add_to_cart",
    "remove_from_cart",
    "checkout",
    "checkout_option",
    "click",
    "view_detail",
    "purchase",
    "refund",
    "add_to_wishlist",
    "remove_from_wish_list",
]


class Event(Protocol):
    """What the tracker needs to know of an event, whatever its kind."""

    @property
    def event_type(self) -> str:
        """The wire's `event_type`."""

    @property
    def name(self) -> str:
        """What people call it: the screen, the event or the action."""

    def data(self) -> dict[str, Any]:
        """The members of the wire's `data` that belong to this kind alone."""


@dataclass(frozen=True)
class SessionStart:
    """`session_start`: the first sign of life of a device after 30 minutes of silence."""

    event_type = "session_start"
    name = "Session Start"

    def data(self) -> dict[str, Any]:
        return {}


@dataclass(frozen=True)
class SessionEnd:
    """`session_end` with `session_duration_ms`, from the first to the last activity."""

    session_duration_ms: int
    event_type = "session_end"
    name = "Session End"

    def data(self) -> dict[str, Any]:
        return {"session_duration_ms": self.session_duration_ms}


@dataclass(frozen=True)
class ScreenView:
    """`screen_view` with `screen_name` and `custom_attributes`."""

    screen_name: str
    attributes: Attributes = field(default_factory=dict)
    event_type = "screen_view"

    @property
    def name(self) -> str:
        return self.screen_name

    def data(self) -> dict[str, Any]:
        return {"screen_name": self.screen_name, **_custom_attributes(self.attributes)}


@dataclass(frozen=True)
class CustomEvent:
    """`custom_event` with `event_name`, `custom_event_type` and `custom_attributes`."""

    event_name: str
    custom_event_type: CustomEventType
    attributes: Attributes = field(default_factory=dict)
    event_type = "custom_event"

    @property
    def name(self) -> str:
        return self.event_name

    def data(self) -> dict[str, Any]:
        return {
            "event_name": self.event_name,
            "custom_event_type": self.custom_event_type,
            **_custom_attributes(self.attributes),
        }


@dataclass(frozen=True)
class TrackedProduct:
    """A product as commerce events carry it. `color` and `size` are left out when it has none."""

    id: str
    label: str
    category: str
    brand: str
    price_cents: int
    quantity: int = 1
    color: str = ""
    size: str = ""
    position: int | None = None

    def wire(self) -> dict[str, Any]:
        """The wire's product: id, name, brand, category, price, quantity, total_product_amount…"""
        choices = {"color": self.color, "size": self.size}
        attributes = {name: value for name, value in choices.items() if value}
        product: dict[str, Any] = {
            "id": self.id,
            "name": self.label,
            "brand": self.brand,
            "category": self.category,
            "price": units(self.price_cents),
            "quantity": self.quantity,
            "total_product_amount": units(self.price_cents * self.quantity),
        }
        if attributes:
            product["variant"] = " / ".join(attributes.values())
            product["custom_attributes"] = attributes
        if self.position is not None:
            product["position"] = self.position
        return product


@dataclass(frozen=True)
class Amounts:
    """The money of a checkout or purchase. `total_cents` includes tax and shipping."""

    total_cents: int
    tax_cents: int
    shipping_cents: int


@dataclass(frozen=True)
class ProductAction:
    """`commerce_event` with a `product_action`."""

    action: ProductActionName
    products: Sequence[TrackedProduct]
    amounts: Amounts | None = None
    transaction_id: str | None = None
    checkout_step: int | None = None
    checkout_options: str | None = None
    attributes: Attributes = field(default_factory=dict)
    event_type = "commerce_event"

    @property
    def name(self) -> str:
        return self.action

    def data(self) -> dict[str, Any]:
        action: dict[str, Any] = {
            "action": self.action,
            "products": [product.wire() for product in self.products],
        }
        if self.amounts is not None:
            action["total_amount"] = units(self.amounts.total_cents)
            action["tax_amount"] = units(self.amounts.tax_cents)
            action["shipping_amount"] = units(self.amounts.shipping_cents)
        for member in ("transaction_id", "checkout_step", "checkout_options"):
            if getattr(self, member) is not None:
                action[member] = getattr(self, member)
        return {
            "product_action": action,
            "currency_code": CURRENCY,
            **_custom_attributes(self.attributes),
        }


@dataclass(frozen=True)
class ProductImpression:
    """`commerce_event` with `product_impressions`: products seen in a list, with positions from 1."""

    list_name: str
    products: Sequence[TrackedProduct]
    event_type = "commerce_event"

    @property
    def name(self) -> str:
        return self.list_name

    def data(self) -> dict[str, Any]:
        seen = {
            "product_impression_list": self.list_name,
            "products": [product.wire() for product in self.products],
        }
        return {"product_impressions": [seen], "currency_code": CURRENCY}


@dataclass(frozen=True)
class UserIdentityChange:
    """`user_identity_change` with `new` and `old`, in the batch spelling of identity types."""

    identity_type: str
    old_identity: str | None
    new_identity: str | None
    changed_at_ms: int
    event_type = "user_identity_change"

    @property
    def name(self) -> str:
        return self.identity_type

    def data(self) -> dict[str, Any]:
        return {
            "new": self._side(self.new_identity, created_this_batch=self.old_identity is None),
            "old": self._side(self.old_identity, created_this_batch=False),
        }

    def _side(self, identity: str | None, *, created_this_batch: bool) -> dict[str, Any]:
        return {
            "identity_type": self.identity_type,
            "identity": identity,
            "timestamp_unixtime_ms": self.changed_at_ms,
            "created_this_batch": created_this_batch,
        }


@dataclass(frozen=True)
class UserAttributeChange:
    """`user_attribute_change`. `old` and `is_new_attribute` are filled in when the user is known."""

    user_attribute_name: str
    new: Scalar
    event_type = "user_attribute_change"

    @property
    def name(self) -> str:
        return self.user_attribute_name

    def data(self) -> dict[str, Any]:
        return {
            "user_attribute_name": self.user_attribute_name,
            "new": self.new,
            "old": None,
            "deleted": self.new is None,
            "is_new_attribute": True,
        }


@dataclass(frozen=True)
class OptOut:
    """`opt_out`: the visitor said no to being tracked, or yes again."""

    is_opted_out: bool
    event_type = "opt_out"

    @property
    def name(self) -> str:
        return "Opted Out" if self.is_opted_out else "Opted In"

    def data(self) -> dict[str, Any]:
        return {"is_opted_out": self.is_opted_out}


def units(cents: int) -> int | float:
    """Cents as the wire wants amounts: 800 → 8, 850 → 8.5."""
    return cents // 100 if cents % 100 == 0 else cents / 100


def _custom_attributes(attributes: Attributes) -> dict[str, Any]:
    return {"custom_attributes": dict(attributes)} if attributes else {}
