"""A purchase on its way: what is bought at which price, where it goes, and whether it is paid.

A checkout is a picture of the cart taken when it was begun. It is `open` until it was `placed`, which
makes it an order, or `replaced`, because the cart had changed when the person began again.

No card number ever comes here: the page looks at it, throws it away and says that the step is done.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final, Literal

from sqlalchemy import ColumnElement, Connection, Row, and_, insert, select, update

from higgs_shop.shop.carts import Cart
from higgs_shop.shop.errors import CheckoutClosed, EmptyCart
from higgs_shop.shop.money import Totals, totals_of
from higgs_shop.tables import carts, checkouts

_LARGEST_ID: Final = 2**63 - 1

State = Literal["open", "placed", "replaced"]


@dataclass(frozen=True)
class OrderLine:
    """A line of a checkout or an order, as it was when the checkout began."""

    product_id: str
    label: str
    category: str
    brand: str
    color: str
    size: str
    quantity: int
    unit_price_cents: int

    @property
    def total_cents(self) -> int:
        """What the line costs."""
        return self.unit_price_cents * self.quantity


@dataclass(frozen=True)
class Checkout:
    """One checkout.

    Attributes:
        ship_to: name, address and whatever else the shipping form asks for; None before that step.
        has_paid: the payment step is done.
    """

    id: int
    state: State
    lines: tuple[OrderLine, ...]
    ship_to: dict[str, str] | None
    has_paid: bool

    @property
    def totals(self) -> Totals:
        """What it costs, with shipping and tax."""
        return totals_of(sum(line.total_cents for line in self.lines))

    def matches(self, cart: Cart) -> bool:
        """Whether the cart still holds what is being checked out, at the same prices."""
        return self.lines == lines_of(cart)


def lines_of(cart: Cart) -> tuple[OrderLine, ...]:
    """The cart's lines as a checkout keeps them."""
    return tuple(
        OrderLine(
            product_id=line.product.id,
            label=line.product.label,
            category=line.product.category,
            brand=line.product.brand,
            color=line.color,
            size=line.size,
            quantity=line.quantity,
            unit_price_cents=line.unit_price_cents,
        )
        for line in cart.lines
    )


def begin(
    connection: Connection, workspace_id: str, *, visit_id: int, cart: Cart, now_ms: int
) -> tuple[Checkout, bool]:
    """Check the cart out, or go on with the open checkout when it is about the same lines.

    Returns: the checkout, and whether it is a new one.
    Raises: EmptyCart.
    """
    if not cart.lines:
        raise EmptyCart("there is nothing in the cart")
    # Two clicks at once begin one checkout: the second waits here for the first.
    connection.execute(
        select(carts.c.id)
        .where(carts.c.workspace_id == workspace_id, carts.c.id == cart.id)
        .with_for_update()
    )
    open_one = current(connection, workspace_id, visit_id)
    if open_one is not None and open_one.matches(cart):
        return open_one, False
    abandon(connection, workspace_id, visit_id)
    row = connection.execute(
        insert(checkouts)
        .values(
            workspace_id=workspace_id,
            visit_id=visit_id,
            state="open",
            lines=[asdict(line) for line in lines_of(cart)],
            shipping=None,
            has_paid=False,
            begun_at_ms=now_ms,
        )
        .returning(checkouts)
    ).one()
    return _checkout(row), True


def current(connection: Connection, workspace_id: str, visit_id: int) -> Checkout | None:
    """The open checkout of this visit, or None."""
    row = connection.execute(
        select(checkouts).where(_is_open(workspace_id, visit_id)).order_by(checkouts.c.id.desc())
    ).first()
    return None if row is None else _checkout(row)


def hold(
    connection: Connection, workspace_id: str, *, visit_id: int, checkout_id: int
) -> Checkout | None:
    """This visit's checkout of that id in any state, kept from others until the transaction ends.

    Whoever is about to place an order looks first with this and at the cart after: of two at once,
    the second then sees a placed checkout, not an emptied cart.
    """
    if not 0 < checkout_id <= _LARGEST_ID:
        return None
    row = connection.execute(
        select(checkouts)
        .where(
            checkouts.c.workspace_id == workspace_id,
            checkouts.c.visit_id == visit_id,
            checkouts.c.id == checkout_id,
        )
        .with_for_update()
    ).first()
    return None if row is None else _checkout(row)


def save_shipping(
    connection: Connection, workspace_id: str, checkout: Checkout, ship_to: Mapping[str, str]
) -> Checkout:
    """Keep where the order goes, in place of what was there before.

    Raises: CheckoutClosed.
    """
    return _save(connection, workspace_id, checkout, shipping=dict(ship_to))


def save_payment(connection: Connection, workspace_id: str, checkout: Checkout) -> Checkout:
    """Keep that the payment step is done, and nothing else about it.

    Raises: CheckoutClosed.
    """
    return _save(connection, workspace_id, checkout, has_paid=True)


def abandon(connection: Connection, workspace_id: str, visit_id: int) -> None:
    """Close this visit's open checkout.

    Called at sign-out, too: the next person on the device is to see nobody else's address.
    """
    connection.execute(
        update(checkouts).where(_is_open(workspace_id, visit_id)).values(state="replaced")
    )


def mark_placed(connection: Connection, workspace_id: str, checkout: Checkout) -> None:
    """Close a checkout that has become an order. For orders.py."""
    _save(connection, workspace_id, checkout, state="placed")


def _is_open(workspace_id: str, visit_id: int) -> ColumnElement[bool]:
    return and_(
        checkouts.c.workspace_id == workspace_id,
        checkouts.c.visit_id == visit_id,
        checkouts.c.state == "open",
    )


def _save(
    connection: Connection, workspace_id: str, checkout: Checkout, **changes: object
) -> Checkout:
    row = connection.execute(
        update(checkouts)
        .where(
            checkouts.c.workspace_id == workspace_id,
            checkouts.c.id == checkout.id,
            checkouts.c.state == "open",
        )
        .values(**changes)
        .returning(checkouts)
    ).first()
    if row is None:
        raise CheckoutClosed(f"checkout {checkout.id} is not open any more")
    return _checkout(row)


def _checkout(row: Row[Any]) -> Checkout:
    return Checkout(
        id=row.id,
        state=row.state,
        lines=tuple(OrderLine(**line) for line in row.lines),
        ship_to=row.shipping,
        has_paid=row.has_paid,
    )
