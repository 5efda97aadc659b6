"""Identifiers that a person may have to read out: Crockford's base 32, without I, L, O and U.

Source: Douglas Crockford, https://www.crockford.com/base32.html
"""

import re
import secrets
from collections.abc import Callable
from typing import Final

ALPHABET: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"

Pick = Callable[[str], str]
"""Returns one character of the text it is given."""

_ORDER_NUMBER: Final = re.compile(f"H-[{ALPHABET}]{{4}}-[{ALPHABET}]{{4}}")


def new_order_number(pick: Pick = secrets.choice) -> str:
    """An order number such as `H-7K3M-9QXT`."""
    return f"H-{_characters(4, pick)}-{_characters(4, pick)}"


def is_order_number(text: str) -> bool:
    """Whether a text, out of an address for instance, has the shape of an order number."""
    return _ORDER_NUMBER.fullmatch(text) is not None


def new_customer_id(pick: Pick = secrets.choice) -> str:
    """A customer id such as `C-4F8Z0RWM`: static, and never made from an e-mail address."""
    return f"C-{_characters(8, pick)}"


def _characters(count: int, pick: Pick) -> str:
    return "".join(pick(ALPHABET) for _ in range(count))
