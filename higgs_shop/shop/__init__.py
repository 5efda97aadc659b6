"""What a shop knows: products, carts, checkouts, orders and customers.

No Flask, no tracking, no identity. Every function that reads or writes takes the caller's open
connection and the workspace, so that a page can put its events into the same transaction. They are
called by their module's name: `carts.add(…)`, `orders.place(…)`.
"""

from higgs_shop.shop.carts import AddResult, Cart, CartLine, QuantityChange
from higgs_shop.shop.catalog import (
    Catalog,
    Category,
    Product,
    Variant,
    read_catalog,
    shipped_catalog,
)
from higgs_shop.shop.checkouts import Checkout, OrderLine
from higgs_shop.shop.customers import Customer, ReadyAccount
from higgs_shop.shop.errors import (
    CatalogError,
    CheckoutClosed,
    EmailTaken,
    EmptyCart,
    QuantityOutOfRange,
    ShopError,
    StepMissing,
    UnknownChoice,
    UnknownCustomer,
)
from higgs_shop.shop.money import Totals, format_cents, totals_of
from higgs_shop.shop.orders import Order

__all__ = [
    "AddResult",
    "Cart",
    "CartLine",
    "Catalog",
    "CatalogError",
    "Category",
    "Checkout",
    "CheckoutClosed",
    "Customer",
    "EmailTaken",
    "EmptyCart",
    "Order",
    "OrderLine",
    "Product",
    "QuantityChange",
    "QuantityOutOfRange",
    "ReadyAccount",
    "ShopError",
    "StepMissing",
    "Totals",
    "UnknownChoice",
    "UnknownCustomer",
    "Variant",
    "format_cents",
    "read_catalog",
    "shipped_catalog",
    "totals_of",
]
