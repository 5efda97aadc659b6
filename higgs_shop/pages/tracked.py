"""The shop's products as events carry them."""

from collections.abc import Iterable

from higgs_shop.shop import Cart, Order, OrderLine, Product, Totals
from higgs_shop.tracker import Amounts, TrackedProduct


def tracked(
    product: Product,
    *,
    quantity: int = 1,
    color: str = "",
    size: str = "",
    position: int | None = None,
) -> TrackedProduct:
    """One product, as seen, added or removed."""
    return TrackedProduct(
        id=product.id,
        label=product.label,
        category=product.category,
        brand=product.brand,
        price_cents=product.price_cents,
        quantity=quantity,
        color=color,
        size=size,
        position=position,
    )


def tracked_cart(cart: Cart) -> list[TrackedProduct]:
    """Every line of a cart."""
    return [
        tracked(line.product, quantity=line.quantity, color=line.color, size=line.size)
        for line in cart.lines
    ]


def tracked_lines(lines: Iterable[OrderLine]) -> list[TrackedProduct]:
    """Every line of a checkout or an order, at the price it had then."""
    return [
        TrackedProduct(
            id=line.product_id,
            label=line.label,
            category=line.category,
            brand=line.brand,
            price_cents=line.unit_price_cents,
            quantity=line.quantity,
            color=line.color,
            size=line.size,
        )
        for line in lines
    ]


def amounts(totals: Totals | Order) -> Amounts:
    """The money of a checkout or an order."""
    return Amounts(
        total_cents=totals.total_cents,
        tax_cents=totals.tax_cents,
        shipping_cents=totals.shipping_cents,
    )
