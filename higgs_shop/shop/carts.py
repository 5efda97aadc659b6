"""What a visitor means to buy. A cart belongs to a customer, or to a visit while nobody is signed in.

Only variants and quantities are stored; prices come from the catalogue each time, and a line whose
product is no longer sold is left out. A line holds 1 to 99 pieces.

Every function that changes a cart locks its row first, so that changes to one cart come one after
the other on PostgreSQL too.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Row, Select, and_, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from higgs_shop.shop.catalog import Catalog, Product, Variant
from higgs_shop.shop.errors import QuantityOutOfRange
from higgs_shop.tables import cart_lines, carts

MOST_PER_LINE: Final = 99


@dataclass(frozen=True)
class CartLine:
    """So many pieces of one variant; `color` and `size` are empty where there is no choice."""

    id: int
    product: Product
    color: str
    size: str
    quantity: int

    @property
    def unit_price_cents(self) -> int:
        """What one piece costs today."""
        return self.product.price_cents

    @property
    def total_cents(self) -> int:
        """What the line costs today."""
        return self.unit_price_cents * self.quantity


@dataclass(frozen=True)
class Cart:
    """A cart as it was when it was looked at.

    Attributes:
        id: None as long as nothing was ever put into it.
        lines: in the order in which they were added.
    """

    id: int | None
    lines: tuple[CartLine, ...]

    @property
    def subtotal_cents(self) -> int:
        """The sum of the lines, before shipping and tax."""
        return sum(line.total_cents for line in self.lines)

    @property
    def count(self) -> int:
        """How many pieces are in it."""
        return sum(line.quantity for line in self.lines)

    def line(self, line_id: int) -> CartLine | None:
        """The line of this id, or None when it is not in this cart."""
        return next((line for line in self.lines if line.id == line_id), None)


@dataclass(frozen=True)
class AddResult:
    """What became of an add.

    Attributes:
        line: the line as it is now.
        added: how many pieces went in; fewer than asked for, even 0, when `capped`.
        capped: the line is full at 99.
    """

    line: CartLine
    added: int
    capped: bool


@dataclass(frozen=True)
class QuantityChange:
    """The line as it is now, and how many pieces it held before."""

    line: CartLine
    previous_quantity: int


def find(
    connection: Connection,
    workspace_id: str,
    catalog: Catalog,
    *,
    visit_id: int,
    customer_id: str | None = None,
) -> Cart:
    """The customer's cart when one is signed in, else the visit's. Nothing is written."""
    owned = and_(carts.c.workspace_id == workspace_id, _owned_by(visit_id, customer_id))
    cart_id = connection.scalar(select(carts.c.id).where(owned))
    if cart_id is None:
        return Cart(None, ())
    rows = _stored_lines(connection, workspace_id, cart_id)
    sold = ((row, catalog.get(row.product_id)) for row in rows)
    lines = tuple(_line(row, product) for row, product in sold if product is not None)
    return Cart(cart_id, lines)


def add(
    connection: Connection,
    workspace_id: str,
    *,
    visit_id: int,
    customer_id: str | None = None,
    product: Product,
    variant: Variant,
    quantity: int,
    now_ms: int,
) -> AddResult:
    """Put 1 to 99 pieces of one variant into the cart; the same variant shares a line, up to 99.

    The variant is what `product.choose` returned.

    Raises: QuantityOutOfRange.
    """
    _check_quantity(quantity)
    cart_id = _locked_cart_id(connection, workspace_id, visit_id, customer_id)
    this_line = and_(
        cart_lines.c.workspace_id == workspace_id,
        cart_lines.c.cart_id == cart_id,
        cart_lines.c.product_id == product.id,
        cart_lines.c.color == variant.color,
        cart_lines.c.size == variant.size,
    )
    before = connection.scalar(select(cart_lines.c.quantity).where(this_line))
    after = filled_up(before or 0, quantity)
    if before is None:
        new_line = insert(cart_lines).values(
            workspace_id=workspace_id,
            cart_id=cart_id,
            product_id=product.id,
            color=variant.color,
            size=variant.size,
            quantity=after,
            added_at_ms=now_ms,
        )
        row = connection.execute(new_line.returning(cart_lines)).one()
    else:
        more = update(cart_lines).where(this_line).values(quantity=after)
        row = connection.execute(more.returning(cart_lines)).one()
    added = after - (before or 0)
    return AddResult(_line(row, product), added=added, capped=added < quantity)


def change_quantity(
    connection: Connection, workspace_id: str, cart: Cart, line_id: int, quantity: int
) -> QuantityChange | None:
    """Give a line of this cart another quantity, 1 to 99.

    Returns: None when the cart has no such line, another cart's line included.
    Raises: QuantityOutOfRange.
    """
    _check_quantity(quantity)
    known = cart.line(line_id)
    if known is None:
        return None
    _lock(connection, workspace_id, carts.c.id == cart.id)
    this_line = _is_line(workspace_id, cart.id, line_id)
    previous_quantity = connection.scalar(select(cart_lines.c.quantity).where(this_line))
    if previous_quantity is None:
        return None
    row = connection.execute(
        update(cart_lines).where(this_line).values(quantity=quantity).returning(cart_lines)
    ).one()
    return QuantityChange(_line(row, known.product), previous_quantity)


def remove(connection: Connection, workspace_id: str, cart: Cart, line_id: int) -> CartLine | None:
    """Take a line out of this cart.

    Returns: the line as it was; None when the cart has no such line, or not any more, so that a
        double click removes, and is told of, one line once.
    """
    known = cart.line(line_id)
    if known is None:
        return None
    _lock(connection, workspace_id, carts.c.id == cart.id)
    this_line = _is_line(workspace_id, cart.id, line_id)
    row = connection.execute(delete(cart_lines).where(this_line).returning(cart_lines)).first()
    return None if row is None else _line(row, known.product)


def empty(connection: Connection, workspace_id: str, cart: Cart) -> None:
    """Take the lines of this cart out; a line that came in since it was looked at stays."""
    connection.execute(
        delete(cart_lines).where(
            cart_lines.c.workspace_id == workspace_id,
            cart_lines.c.cart_id == cart.id,
            cart_lines.c.id.in_([line.id for line in cart.lines]),
        )
    )


def hand_over(
    connection: Connection, workspace_id: str, *, visit_id: int, customer_id: str
) -> None:
    """At sign-in: move the visit's lines into the customer's cart.

    The same variant in both is added up, to 99 at most. The visit's cart is empty afterwards, so
    that signing in twice adds nothing twice.
    """
    visits_cart = _lock(connection, workspace_id, carts.c.visit_id == visit_id)
    if visits_cart is None:
        return
    customers_cart = _locked_cart_id(connection, workspace_id, visit_id, customer_id)
    kept = {_variant(row): row for row in _stored_lines(connection, workspace_id, customers_cart)}
    for brought in _stored_lines(connection, workspace_id, visits_cart):
        same = kept.get(_variant(brought))
        if same is None:
            move = update(cart_lines).values(cart_id=customers_cart)
            connection.execute(move.where(_is_line(workspace_id, visits_cart, brought.id)))
        else:
            quantity = filled_up(same.quantity, brought.quantity)
            fill = update(cart_lines).values(quantity=quantity)
            connection.execute(fill.where(_is_line(workspace_id, customers_cart, same.id)))
            drop = delete(cart_lines)
            connection.execute(drop.where(_is_line(workspace_id, visits_cart, brought.id)))


def filled_up(quantity: int, more: int) -> int:
    """The pieces that a line holds after more of the same were put on it: the sum, 99 at most."""
    return min(quantity + more, MOST_PER_LINE)


def _check_quantity(quantity: int) -> None:
    if not 1 <= quantity <= MOST_PER_LINE:
        raise QuantityOutOfRange(f"a line holds 1 to {MOST_PER_LINE} pieces, not {quantity}")


def _owned_by(visit_id: int, customer_id: str | None) -> ColumnElement[bool]:
    if customer_id is None:
        return carts.c.visit_id == visit_id
    return carts.c.customer_id == customer_id


def _lock(connection: Connection, workspace_id: str, which: ColumnElement[bool]) -> int | None:
    return connection.scalar(_cart_to_lock(workspace_id, which))


def _cart_to_lock(workspace_id: str, which: ColumnElement[bool]) -> Select[int]:
    cart = select(carts.c.id).where(carts.c.workspace_id == workspace_id, which)
    return cart.with_for_update()


def _locked_cart_id(
    connection: Connection, workspace_id: str, visit_id: int, customer_id: str | None
) -> int:
    owned = _owned_by(visit_id, customer_id)
    cart_id = _lock(connection, workspace_id, owned)
    if cart_id is not None:
        return cart_id
    owner = {"visit_id": visit_id} if customer_id is None else {"customer_id": customer_id}
    # Another request of the same owner may make the cart at this moment; then theirs is taken.
    with suppress(IntegrityError), connection.begin_nested():
        connection.execute(insert(carts).values(workspace_id=workspace_id, **owner))
    return connection.execute(_cart_to_lock(workspace_id, owned)).scalar_one()


def _stored_lines(connection: Connection, workspace_id: str, cart_id: int) -> Sequence[Row[Any]]:
    return connection.execute(
        select(cart_lines)
        .where(cart_lines.c.workspace_id == workspace_id, cart_lines.c.cart_id == cart_id)
        .order_by(cart_lines.c.added_at_ms, cart_lines.c.id)
    ).all()


def _is_line(workspace_id: str, cart_id: int | None, line_id: int) -> ColumnElement[bool]:
    return and_(
        cart_lines.c.workspace_id == workspace_id,
        cart_lines.c.cart_id == cart_id,
        cart_lines.c.id == line_id,
    )


def _variant(row: Row[Any]) -> tuple[str, str, str]:
    return (row.product_id, row.color, row.size)


def _line(row: Row[Any], product: Product) -> CartLine:
    return CartLine(row.id, product, row.color, row.size, row.quantity)
