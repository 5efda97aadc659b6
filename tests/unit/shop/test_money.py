"""Integer cents, rounded half up, and written as people read them."""

from fractions import Fraction
from math import floor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from higgs_shop.shop import Totals, format_cents, totals_of


def half_up(exact: Fraction) -> int:
    return floor(exact + Fraction(1, 2))


@pytest.mark.parametrize(
    ("subtotal_cents", "shipping_cents", "tax_cents", "total_cents"),
    [
        pytest.param(0, 0, 0, 0, id="nothing"),
        pytest.param(100, 15, 9, 124, id="a-sticker-whose-tax-is-8.875-cents"),
        pytest.param(400, 60, 36, 496, id="half-a-cent-goes-up"),
        pytest.param(10, 2, 1, 13, id="both-round-up"),
        pytest.param(11_000, 1_650, 976, 13_626, id="a-jacket"),
    ],
)
def test_totals_add_shipping_and_tax_each_rounded_to_a_cent(
    subtotal_cents: int, shipping_cents: int, tax_cents: int, total_cents: int
) -> None:
    assert totals_of(subtotal_cents) == Totals(
        subtotal_cents, shipping_cents, tax_cents, total_cents
    )


@given(st.integers(min_value=0, max_value=10**12))
def test_any_subtotal_has_the_exact_shares_rounded_half_up(subtotal_cents: int) -> None:
    totals = totals_of(subtotal_cents)

    assert totals.subtotal_cents == subtotal_cents
    assert totals.shipping_cents == half_up(subtotal_cents * Fraction(15, 100))
    assert totals.tax_cents == half_up(subtotal_cents * Fraction(8_875, 100_000))
    assert totals.total_cents == subtotal_cents + totals.shipping_cents + totals.tax_cents


@pytest.mark.parametrize(
    ("cents", "text"),
    [
        (0, "$0.00"),
        (5, "$0.05"),
        (800, "$8.00"),
        (123_450, "$1,234.50"),
        (123_456_789, "$1,234,567.89"),
        (-5, "-$0.05"),
    ],
)
def test_cents_are_written_as_dollars(cents: int, text: str) -> None:
    assert format_cents(cents) == text
