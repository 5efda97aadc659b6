"""Money is integer cents inside and text at the edge.

Source: the original store: shipping is 15 % and sales tax 8.875 % of the subtotal. It adds them as raw
floats; here each is rounded to a cent, half up, before it is added.
"""

from dataclasses import dataclass
from typing import Final

SHIPPING_PER_100_000: Final = 15_000
TAX_PER_100_000: Final = 8_875


@dataclass(frozen=True)
class Totals:
    """What an order costs, part by part; `total_cents` is the sum of the other three."""

    subtotal_cents: int
    shipping_cents: int
    tax_cents: int
    total_cents: int


def totals_of(subtotal_cents: int) -> Totals:
    """Add shipping and sales tax to a subtotal of zero cents or more."""
    shipping_cents = _share(subtotal_cents, SHIPPING_PER_100_000)
    tax_cents = _share(subtotal_cents, TAX_PER_100_000)
    return Totals(
        subtotal_cents=subtotal_cents,
        shipping_cents=shipping_cents,
        tax_cents=tax_cents,
        total_cents=subtotal_cents + shipping_cents + tax_cents,
    )


def format_cents(cents: int) -> str:
    """Cents as a person reads them: 123450 is `$1,234.50`."""
    dollars, rest = divmod(abs(cents), 100)
    sign = "-" if cents < 0 else ""
    return f"{sign}${dollars:,}.{rest:02}"


def _share(cents: int, per_100_000: int) -> int:
    return (cents * per_100_000 + 50_000) // 100_000
