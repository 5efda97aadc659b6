"""Identifiers can be read out over the phone, and do not repeat."""

import re
from itertools import cycle

import pytest

from higgs_shop.shop.identifiers import (
    ALPHABET,
    is_order_number,
    new_customer_id,
    new_order_number,
)


def test_identifiers_are_made_of_the_characters_that_were_picked() -> None:
    characters = cycle("7K3M9QXT")

    assert new_order_number(lambda _: next(characters)) == "H-7K3M-9QXT"
    assert new_customer_id(lambda _: next(characters)) == "C-7K3M9QXT"


def test_the_alphabet_leaves_out_what_is_mistaken_for_something_else() -> None:
    assert len(set(ALPHABET)) == 32
    assert not set(ALPHABET) & set("ILOU")


def test_identifiers_are_random_and_have_their_shape() -> None:
    numbers = {new_order_number() for _ in range(1_000)}
    customer_ids = {new_customer_id() for _ in range(1_000)}

    assert len(numbers) == len(customer_ids) == 1_000
    assert all(is_order_number(number) for number in numbers)
    assert all(re.fullmatch("C-[0-9A-Z]{8}", customer_id) for customer_id in customer_ids)


@pytest.mark.parametrize(
    "text",
    ["", "H-7K3M-9QX", "H-7K3M-9QXTT", "h-7k3m-9qxt", "H-7K3M-9QXU", "H-7K3M-9QXT\n", "H-7K3M\0"],
)
def test_anything_else_is_no_order_number(text: str) -> None:
    assert not is_order_number(text)
