"""One checkout makes one order, and only its owner sees it."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import repeat

import pytest

from higgs_shop.shop import CheckoutClosed, ShopError, StepMissing, checkouts, orders
from tests.api.shop.shopper import BALL, BLANKET, SHIP_TO, Shopper


def test_placing_makes_an_order_of_what_was_checked_out(shopper: Shopper) -> None:
    shopper.add(BALL, 5)
    checkout = shopper.checked_out()

    order, is_new = shopper.place(checkout)

    assert is_new
    assert order.checkout_id == checkout.id
    assert order.customer_id is None
    assert order.ship_to == SHIP_TO
    assert order.lines == checkout.lines
    assert (order.subtotal_cents, order.shipping_cents) == (1_000, 150)
    assert (order.tax_cents, order.total_cents) == (89, 1_239)
    assert order.count == 5
    assert order.placed_at_ms == 3_000
    assert shopper.order(order.number) == order
    assert shopper.current() is None


def test_placing_again_finds_the_same_order(shopper: Shopper) -> None:
    shopper.add(BALL)
    checkout = shopper.checked_out()
    order, _ = shopper.place(checkout)

    assert shopper.place(checkout) == (order, False)


def test_fifty_clicks_at_once_make_one_order(shopper: Shopper) -> None:
    shopper.add(BALL)
    checkout = shopper.checked_out()

    with ThreadPoolExecutor(8) as pool:
        placed = list(pool.map(lambda _: shopper.place(checkout), range(50)))

    assert len({order.number for order, _ in placed}) == 1
    assert sum(is_new for _, is_new in placed) == 1


def test_an_order_waits_until_shipping_and_payment_are_done(shopper: Shopper) -> None:
    shopper.add(BALL)
    checkout, _ = shopper.begin()

    with pytest.raises(StepMissing) as no_address:
        shopper.place(checkout)
    with shopper.database.write() as connection:
        checkouts.save_shipping(connection, "w", checkout, SHIP_TO)
    with pytest.raises(StepMissing) as no_payment:
        shopper.place(checkout)

    assert no_address.value.step == "shipping"
    assert no_payment.value.step == "payment"
    assert shopper.current() is not None


def test_a_replaced_checkout_makes_no_order(shopper: Shopper) -> None:
    shopper.add(BALL)
    stale = shopper.checked_out()
    shopper.add(BLANKET)
    shopper.begin()

    with pytest.raises(CheckoutClosed):
        shopper.place(stale)


def test_another_visits_checkout_makes_no_order(shopper: Shopper) -> None:
    shopper.add(BALL)
    checkout = shopper.checked_out()

    with pytest.raises(CheckoutClosed):
        replace(shopper, visit_id=2).place(checkout)
    with pytest.raises(CheckoutClosed):
        replace(shopper, workspace_id="other").place(checkout)


def test_a_number_that_is_taken_is_made_again(shopper: Shopper) -> None:
    first = shopper.buy()
    shopper.add(BALL)
    checkout = shopper.checked_out()
    numbers = iter([first.number, first.number, "H-0000-0001"])

    with shopper.database.write() as connection:
        order, _ = orders.place(
            connection,
            "w",
            checkout,
            customer_id=None,
            visit_id=1,
            now_ms=4_000,
            new_number=lambda: next(numbers),
        )

    assert order.number == "H-0000-0001"
    assert shopper.order(first.number) == first


def test_when_every_number_is_taken_nothing_is_half_placed(shopper: Shopper) -> None:
    taken = repeat(shopper.buy().number)
    shopper.add(BALL)
    checkout = shopper.checked_out()

    with (
        pytest.raises(ShopError, match="no free order number"),
        shopper.database.write() as connection,
    ):
        orders.place(
            connection,
            "w",
            checkout,
            customer_id=None,
            visit_id=1,
            now_ms=4_000,
            new_number=lambda: next(taken),
        )

    assert shopper.current() == checkout


def test_a_guests_order_is_seen_from_the_same_visit_only(shopper: Shopper) -> None:
    order = shopper.buy()

    assert shopper.order(order.number) == order
    assert shopper.signed_in("C-ADA").order(order.number) == order
    assert replace(shopper, visit_id=2).order(order.number) is None
    assert replace(shopper, workspace_id="other").order(order.number) is None


def test_a_customers_order_is_seen_by_that_customer_only(shopper: Shopper) -> None:
    """From any browser, and not by whoever comes after the customer on the same one."""
    ada = shopper.signed_in("C-ADA")
    order = ada.buy()

    assert ada.order(order.number) == order
    assert replace(ada, visit_id=2).order(order.number) == order
    assert shopper.signed_in("C-SAM").order(order.number) is None
    assert shopper.order(order.number) is None


def test_after_a_sign_out_the_visits_guest_orders_are_out_of_sight(shopper: Shopper) -> None:
    ada = shopper.signed_in("C-ADA")
    guests, adas = shopper.buy(), ada.buy()
    elsewhere = replace(shopper, visit_id=2).buy()

    with shopper.database.write() as connection:
        orders.forget_visit(connection, "w", 1)

    assert shopper.order(guests.number) is None
    assert ada.order(guests.number) is None
    assert ada.order(adas.number) == adas
    assert replace(shopper, visit_id=2).order(elsewhere.number) == elsewhere


@pytest.mark.parametrize("number", ["", "H-0000-0000", "' OR 1=1 --", "\0", "\ud800"])
def test_any_other_text_finds_no_order(shopper: Shopper, number: str) -> None:
    shopper.buy()

    assert shopper.order(number) is None


def test_a_customers_orders_come_newest_first(shopper: Shopper) -> None:
    ada = shopper.signed_in("C-ADA")
    numbers = [ada.buy(now_ms=now_ms).number for now_ms in (5_000, 6_000, 6_000)]
    shopper.signed_in("C-SAM").buy()

    with shopper.database.read() as connection:
        found = orders.of_customer(connection, "w", "C-ADA")
        elsewhere = orders.of_customer(connection, "other", "C-ADA")

    assert [order.number for order in found] == numbers[::-1]
    assert elsewhere == []
