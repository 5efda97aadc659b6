"""Somebody who shops without a browser: each step is one transaction, as on a page."""

from dataclasses import dataclass, replace
from typing import Final

from higgs_shop.database import Database
from higgs_shop.shop import (
    AddResult,
    Cart,
    Catalog,
    Checkout,
    Order,
    carts,
    checkouts,
    orders,
)

SHIP_TO: Final = {"name": "Ada Track", "address": "1 Ring Road", "city": "Meyrin", "zip": "12170"}

BALL: Final = "128743"
BLANKET: Final = "128738"
TEE: Final = "128745"


@dataclass(frozen=True)
class Shopper:
    """A visit, and the customer who is signed in during it, if any."""

    database: Database
    catalog: Catalog
    workspace_id: str = "w"
    visit_id: int = 1
    customer_id: str | None = None

    def signed_in(self, customer_id: str) -> "Shopper":
        return replace(self, customer_id=customer_id)

    def add(
        self,
        product_id: str,
        quantity: int = 1,
        *,
        color: str = "",
        size: str = "",
        now_ms: int = 1_000,
    ) -> AddResult:
        product = self.catalog.get(product_id)
        assert product is not None
        with self.database.write() as connection:
            return carts.add(
                connection,
                self.workspace_id,
                visit_id=self.visit_id,
                customer_id=self.customer_id,
                product=product,
                variant=product.choose(color, size),
                quantity=quantity,
                now_ms=now_ms,
            )

    def cart(self) -> Cart:
        with self.database.read() as connection:
            return carts.find(
                connection,
                self.workspace_id,
                self.catalog,
                visit_id=self.visit_id,
                customer_id=self.customer_id,
            )

    def contents(self) -> list[tuple[str, str, str, int]]:
        """The cart's lines as (product id, colour, size, quantity)."""
        return [
            (line.product.id, line.color, line.size, line.quantity) for line in self.cart().lines
        ]

    def sign_in(self, customer_id: str) -> "Shopper":
        with self.database.write() as connection:
            carts.hand_over(
                connection, self.workspace_id, visit_id=self.visit_id, customer_id=customer_id
            )
        return self.signed_in(customer_id)

    def begin(self) -> tuple[Checkout, bool]:
        with self.database.write() as connection:
            return checkouts.begin(
                connection,
                self.workspace_id,
                visit_id=self.visit_id,
                cart=self.cart(),
                now_ms=2_000,
            )

    def checked_out(self) -> Checkout:
        """A checkout with nothing left to do but to place it."""
        checkout, _ = self.begin()
        with self.database.write() as connection:
            checkouts.save_shipping(connection, self.workspace_id, checkout, SHIP_TO)
            return checkouts.save_payment(connection, self.workspace_id, checkout)

    def current(self) -> Checkout | None:
        with self.database.read() as connection:
            return checkouts.current(connection, self.workspace_id, self.visit_id)

    def place(self, checkout: Checkout, *, now_ms: int = 3_000) -> tuple[Order, bool]:
        with self.database.write() as connection:
            return orders.place(
                connection,
                self.workspace_id,
                checkout,
                customer_id=self.customer_id,
                visit_id=self.visit_id,
                now_ms=now_ms,
            )

    def buy(self, *, now_ms: int = 3_000) -> Order:
        """From an empty cart to an order for one ball."""
        self.add(BALL)
        order, is_new = self.place(self.checked_out(), now_ms=now_ms)
        assert is_new
        with self.database.write() as connection:
            carts.empty(connection, self.workspace_id, self.cart())
        return order

    def order(self, number: str) -> Order | None:
        with self.database.read() as connection:
            return orders.find(
                connection,
                self.workspace_id,
                number,
                customer_id=self.customer_id,
                visit_id=self.visit_id,
            )
