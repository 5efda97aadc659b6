"""A checkout is a picture of the cart, begun once, and never anybody else's."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from higgs_shop.shop import Catalog, CheckoutClosed, EmptyCart, OrderLine, Totals, checkouts
from tests.api.shop.shopper import BALL, BLANKET, SHIP_TO, TEE, Shopper


def test_beginning_takes_a_picture_of_the_cart(shopper: Shopper) -> None:
    shopper.add(TEE, 2, color="Navy", size="M")
    shopper.add(BALL)

    checkout, is_new = shopper.begin()

    assert is_new
    assert checkout.state == "open"
    assert checkout.ship_to is None
    assert not checkout.has_paid
    assert checkout.lines == (
        OrderLine(TEE, "Unisex Full Logo Tee", "Apparel", "mParticle", "Navy", "M", 2, 900),
        OrderLine(BALL, "Tennis Ball", "Toys", "mParticle", "", "", 1, 200),
    )
    assert checkout.lines[0].total_cents == 1_800
    assert checkout.totals == Totals(2_000, 300, 178, 2_478)
    assert shopper.current() == checkout


def test_an_empty_cart_cannot_be_checked_out(shopper: Shopper) -> None:
    with pytest.raises(EmptyCart):
        shopper.begin()

    assert shopper.current() is None


def test_beginning_again_with_the_same_cart_goes_on_where_it_was(shopper: Shopper) -> None:
    shopper.add(BALL)
    checkout = shopper.checked_out()

    assert shopper.begin() == (checkout, False)


def test_beginning_again_with_another_cart_replaces_the_checkout(shopper: Shopper) -> None:
    shopper.add(BALL)
    old, _ = shopper.begin()
    shopper.add(BALL)

    new, is_new = shopper.begin()

    assert is_new
    assert shopper.current() == new
    with shopper.database.write() as connection:
        held = checkouts.hold(connection, "w", visit_id=1, checkout_id=old.id)
    assert held == replace(old, state="replaced")


def test_two_clicks_at_once_begin_one_checkout(shopper: Shopper) -> None:
    shopper.add(BALL)

    with ThreadPoolExecutor(8) as pool:
        begun = list(pool.map(lambda _: shopper.begin(), range(16)))

    assert len({checkout.id for checkout, _ in begun}) == 1
    assert sum(is_new for _, is_new in begun) == 1


def test_a_checkout_matches_its_cart_until_a_line_or_a_price_changes(shopper: Shopper) -> None:
    shopper.add(BALL)
    checkout, _ = shopper.begin()
    dearer = Catalog(
        tuple(
            replace(product, price_cents=product.price_cents + 1)
            for product in shopper.catalog.products
        )
    )

    assert checkout.matches(shopper.cart())
    assert not checkout.matches(replace(shopper, catalog=dearer).cart())
    assert not checkout.matches(replace(shopper, catalog=Catalog(())).cart())

    shopper.add(BLANKET)
    assert not checkout.matches(shopper.cart())


def test_shipping_is_kept_and_can_be_corrected(shopper: Shopper) -> None:
    shopper.add(BALL)
    checkout, _ = shopper.begin()

    with shopper.database.write() as connection:
        checkouts.save_shipping(connection, "w", checkout, SHIP_TO | {"city": "Genf"})
        saved = checkouts.save_shipping(connection, "w", checkout, SHIP_TO)

    assert saved.ship_to == SHIP_TO
    assert shopper.current() == saved


def test_of_the_payment_only_that_it_was_made_is_kept(shopper: Shopper) -> None:
    shopper.add(BALL)
    checkout, _ = shopper.begin()

    with shopper.database.write() as connection:
        saved = checkouts.save_payment(connection, "w", checkout)

    assert saved == replace(checkout, has_paid=True)


def test_steps_of_a_closed_checkout_are_refused(shopper: Shopper) -> None:
    shopper.add(BALL)
    checkout, _ = shopper.begin()

    with shopper.database.write() as connection:
        checkouts.abandon(connection, "w", 1)

        with pytest.raises(CheckoutClosed):
            checkouts.save_shipping(connection, "w", checkout, SHIP_TO)
        with pytest.raises(CheckoutClosed):
            checkouts.save_payment(connection, "w", checkout)


def test_after_abandoning_the_next_person_starts_afresh(shopper: Shopper) -> None:
    shopper.add(BALL)
    before = shopper.checked_out()

    with shopper.database.write() as connection:
        checkouts.abandon(connection, "w", 1)

    assert shopper.current() is None
    after, is_new = shopper.begin()
    assert is_new
    assert after.id != before.id
    assert after.ship_to is None


def test_checkouts_of_other_visits_and_workspaces_are_out_of_reach(shopper: Shopper) -> None:
    shopper.add(BALL)
    checkout, _ = shopper.begin()

    assert replace(shopper, visit_id=2).current() is None
    assert replace(shopper, workspace_id="other").current() is None
    with shopper.database.write() as connection:
        assert checkouts.hold(connection, "w", visit_id=2, checkout_id=checkout.id) is None
        assert checkouts.hold(connection, "other", visit_id=1, checkout_id=checkout.id) is None
        assert checkouts.hold(connection, "w", visit_id=1, checkout_id=2**70) is None
