"""What a cart adds up to, before any database."""

from hypothesis import given
from hypothesis import strategies as st

from higgs_shop.shop import Cart, CartLine, read_catalog
from higgs_shop.shop.carts import MOST_PER_LINE, filled_up

(BALL,) = read_catalog("""
[[product]]
id = "1"
label = "Ball"
category = "Toys"
brand = "Higgs"
price_cents = 250
blurb = "Round."
description = ["Bounces."]
""").products

quantities = st.integers(min_value=1, max_value=MOST_PER_LINE)


def test_an_empty_cart_costs_nothing() -> None:
    cart = Cart(None, ())

    assert cart.subtotal_cents == 0
    assert cart.count == 0
    assert cart.line(1) is None


def test_a_cart_counts_pieces_and_adds_up_its_lines() -> None:
    two, three = CartLine(1, BALL, "", "", 2), CartLine(2, BALL, "", "", 3)
    cart = Cart(7, (two, three))

    assert cart.count == 5
    assert cart.subtotal_cents == 1_250
    assert cart.line(2) is three


@given(quantities, quantities)
def test_a_line_takes_more_until_it_holds_99(quantity: int, more: int) -> None:
    after = filled_up(quantity, more)

    assert quantity <= after <= MOST_PER_LINE
    assert after == quantity + more or after == MOST_PER_LINE


@given(quantities, quantities, quantities)
def test_it_does_not_matter_in_which_order_a_line_is_filled(a: int, b: int, c: int) -> None:
    assert filled_up(a, b) == filled_up(b, a)
    assert filled_up(filled_up(a, b), c) == filled_up(a, filled_up(b, c))
