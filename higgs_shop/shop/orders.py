"""What was bought. One checkout makes one order, however often and from wherever it is placed."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any, Final

from sqlalchemy import Connection, Row, and_, insert, or_, select
from sqlalchemy import update as sql_update
from sqlalchemy.exc import IntegrityError

from higgs_shop.shop import checkouts
from higgs_shop.shop.checkouts import Checkout, OrderLine
from higgs_shop.shop.errors import CheckoutClosed, ShopError, StepMissing
from higgs_shop.shop.identifiers import is_order_number, new_order_number
from higgs_shop.tables import checkouts as checkout_table
from higgs_shop.tables import orders

# There are 32^8 numbers; when this many in a row are taken, the source of randomness is broken.
_NUMBERS_TRIED: Final = 5


@dataclass(frozen=True)
class Order:
    """One order, as it was placed.

    Attributes:
        number: such as `H-7K3M-9QXT`; unique in its workspace.
        customer_id: None for a guest's.
        ship_to: what the shipping form asked for, a guest's e-mail address included.
    """

    number: str
    checkout_id: int
    customer_id: str | None
    ship_to: dict[str, str]
    lines: tuple[OrderLine, ...]
    subtotal_cents: int
    shipping_cents: int
    tax_cents: int
    total_cents: int
    placed_at_ms: int

    @property
    def count(self) -> int:
        """How many pieces were bought."""
        return sum(line.quantity for line in self.lines)


def place(
    connection: Connection,
    workspace_id: str,
    checkout: Checkout,
    *,
    customer_id: str | None,
    visit_id: int,
    now_ms: int,
    new_number: Callable[[], str] = new_order_number,
) -> tuple[Order, bool]:
    """Make the order of this checkout, or find the one that was made before.

    The cart is left as it is; emptying it is up to the caller, and so is asking
    `checkout.matches(cart)` first.

    Returns: the order, and whether it is a new one: only then is there a purchase to track.
    Raises: CheckoutClosed when it was replaced or is not this visit's; StepMissing.
    """
    held = checkouts.hold(connection, workspace_id, visit_id=visit_id, checkout_id=checkout.id)
    if held is None or held.state == "replaced":
        raise CheckoutClosed(f"checkout {checkout.id} cannot be placed")
    if held.state == "placed":
        return _of_checkout(connection, workspace_id, held.id), False
    if held.ship_to is None:
        raise StepMissing("shipping")
    if not held.has_paid:
        raise StepMissing("payment")
    checkouts.mark_placed(connection, workspace_id, held)
    row = _insert_numbered(
        connection,
        new_number,
        workspace_id=workspace_id,
        checkout_id=held.id,
        visit_id=visit_id,
        customer_id=customer_id,
        ship_to=held.ship_to,
        lines=[asdict(line) for line in held.lines],
        placed_at_ms=now_ms,
        **asdict(held.totals),
    )
    return _order(row), True


def find(
    connection: Connection,
    workspace_id: str,
    number: str,
    *,
    customer_id: str | None,
    visit_id: int,
) -> Order | None:
    """The order of this number, for its owner only; anybody else, and any text at all, gets None.

    The owner is the customer who placed it or, of a guest's order, the same visit until a sign-out.
    """
    if not is_order_number(number):
        return None
    own = and_(orders.c.customer_id.is_(None), orders.c.visit_id == visit_id)
    if customer_id is not None:
        own = or_(own, orders.c.customer_id == customer_id)
    row = connection.execute(
        select(orders).where(orders.c.workspace_id == workspace_id, orders.c.number == number, own)
    ).first()
    return None if row is None else _order(row)


def of_customer(connection: Connection, workspace_id: str, customer_id: str) -> list[Order]:
    """The customer's orders, newest first."""
    rows = connection.execute(
        select(orders)
        .where(orders.c.workspace_id == workspace_id, orders.c.customer_id == customer_id)
        .order_by(orders.c.placed_at_ms.desc(), orders.c.checkout_id.desc())
    )
    return [_order(row) for row in rows]


def just_placed(connection: Connection, workspace_id: str, visit_id: int) -> Order | None:
    """What this visit bought last, unless somebody has signed out since."""
    row = connection.execute(
        select(orders)
        .join(checkout_table, checkout_table.c.id == orders.c.checkout_id)
        .where(
            checkout_table.c.workspace_id == workspace_id,
            checkout_table.c.visit_id == visit_id,
            checkout_table.c.state == "placed",
            orders.c.visit_id == visit_id,
        )
        .order_by(checkout_table.c.id.desc())
        .limit(1)
    ).first()
    return None if row is None else _order(row)


def forget_visit(connection: Connection, workspace_id: str, visit_id: int) -> None:
    """At sign-out: whoever uses this browser next is not shown a guest's order of before."""
    connection.execute(
        sql_update(orders)
        .where(orders.c.workspace_id == workspace_id, orders.c.visit_id == visit_id)
        .values(visit_id=None)
    )


def _of_checkout(connection: Connection, workspace_id: str, checkout_id: int) -> Order:
    return _order(
        connection.execute(
            select(orders).where(
                orders.c.workspace_id == workspace_id, orders.c.checkout_id == checkout_id
            )
        ).one()
    )


def _insert_numbered(
    connection: Connection, new_number: Callable[[], str], **values: object
) -> Row[Any]:
    for _ in range(_NUMBERS_TRIED):
        with suppress(IntegrityError), connection.begin_nested():
            new_order = insert(orders).values(number=new_number(), **values)
            return connection.execute(new_order.returning(orders)).one()
    raise ShopError(f"no free order number in {_NUMBERS_TRIED} tries")


def _order(row: Row[Any]) -> Order:
    return Order(
        number=row.number,
        checkout_id=row.checkout_id,
        customer_id=row.customer_id,
        ship_to=row.ship_to,
        lines=tuple(OrderLine(**line) for line in row.lines),
        subtotal_cents=row.subtotal_cents,
        shipping_cents=row.shipping_cents,
        tax_cents=row.tax_cents,
        total_cents=row.total_cents,
        placed_at_ms=row.placed_at_ms,
    )
