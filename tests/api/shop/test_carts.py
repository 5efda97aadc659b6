"""A cart belongs to one owner, keeps its order, and loses nothing on the way to a customer."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import count

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from higgs_shop.shop import CartLine, Catalog, QuantityOutOfRange, carts
from higgs_shop.shop.carts import QuantityChange
from tests.api.shop.shopper import BALL, BLANKET, TEE, Shopper


def change(shopper: Shopper, line_id: int, quantity: int) -> QuantityChange | None:
    with shopper.database.write() as connection:
        return carts.change_quantity(
            connection, shopper.workspace_id, shopper.cart(), line_id, quantity
        )


def remove(shopper: Shopper, line_id: int) -> CartLine | None:
    with shopper.database.write() as connection:
        return carts.remove(connection, shopper.workspace_id, shopper.cart(), line_id)


def test_a_visit_starts_without_a_cart_and_looking_makes_none(shopper: Shopper) -> None:
    assert shopper.cart().id is None
    assert shopper.cart().lines == ()


def test_lines_stand_in_the_order_in_which_they_were_added(shopper: Shopper) -> None:
    shopper.add(TEE, color="Navy", size="M", now_ms=1_000)
    shopper.add(BALL, 2, now_ms=2_000)
    shopper.add(TEE, color="Navy", size="L", now_ms=3_000)
    shopper.add(TEE, color="Navy", size="M", now_ms=4_000)

    assert shopper.contents() == [
        (TEE, "Navy", "M", 2),
        (BALL, "", "", 2),
        (TEE, "Navy", "L", 1),
    ]
    assert shopper.cart().subtotal_cents == 3 * 900 + 2 * 200
    assert shopper.cart().count == 5


def test_the_same_variant_shares_a_line_up_to_99_and_says_so(shopper: Shopper) -> None:
    first = shopper.add(BALL, 60)
    second = shopper.add(BALL, 60)
    third = shopper.add(BALL)

    assert (first.line.quantity, first.added, first.capped) == (60, 60, False)
    assert (second.line.quantity, second.added, second.capped) == (99, 39, True)
    assert (third.line.quantity, third.added, third.capped) == (99, 0, True)
    assert first.line.id == third.line.id


@pytest.mark.parametrize("quantity", [-3, 0, 100, 9_999_999])
def test_quantities_outside_1_to_99_are_refused(shopper: Shopper, quantity: int) -> None:
    line = shopper.add(BALL).line

    with pytest.raises(QuantityOutOfRange):
        shopper.add(BALL, quantity)
    with pytest.raises(QuantityOutOfRange):
        change(shopper, line.id, quantity)

    assert shopper.contents() == [(BALL, "", "", 1)]


def test_a_line_gets_another_quantity(shopper: Shopper) -> None:
    line = shopper.add(BALL, 2).line

    changed = change(shopper, line.id, 5)

    assert changed == QuantityChange(replace(line, quantity=5), previous_quantity=2)
    assert shopper.contents() == [(BALL, "", "", 5)]


def test_a_line_is_removed_once_and_handed_back(shopper: Shopper) -> None:
    line = shopper.add(BALL, 2).line
    shopper.add(BLANKET)

    assert remove(shopper, line.id) == line
    assert remove(shopper, line.id) is None
    assert change(shopper, line.id, 3) is None
    assert shopper.contents() == [(BLANKET, "", "", 1)]


def test_of_two_tabs_that_remove_the_same_line_one_is_told_so(shopper: Shopper) -> None:
    line = shopper.add(BALL, 2).line
    seen_in_both = shopper.cart()

    with shopper.database.write() as connection:
        first = carts.remove(connection, "w", seen_in_both, line.id)
        second = carts.remove(connection, "w", seen_in_both, line.id)
        third = carts.change_quantity(connection, "w", seen_in_both, line.id, 3)

    assert (first, second, third) == (line, None, None)


def test_another_carts_line_is_out_of_reach(shopper: Shopper) -> None:
    stranger = replace(shopper, visit_id=2)
    line = shopper.add(BALL, 2).line
    stranger.add(BLANKET)

    assert remove(stranger, line.id) is None
    assert change(stranger, line.id, 9) is None
    assert change(stranger, 2**70, 9) is None
    assert shopper.contents() == [(BALL, "", "", 2)]


def test_carts_of_other_visits_customers_and_workspaces_are_others(shopper: Shopper) -> None:
    shopper.add(BALL)

    assert replace(shopper, visit_id=2).contents() == []
    assert shopper.signed_in("C-1").contents() == []
    assert replace(shopper, workspace_id="other").contents() == []


def test_a_line_whose_product_is_no_longer_sold_is_left_out(shopper: Shopper) -> None:
    gone = shopper.add(BALL).line
    shopper.add(BLANKET)
    sold = tuple(product for product in shopper.catalog.products if product.id != BALL)

    later = replace(shopper, catalog=Catalog(sold))

    assert later.contents() == [(BLANKET, "", "", 1)]
    assert remove(later, gone.id) is None


def test_emptying_takes_what_was_seen_and_leaves_what_came_in_since(shopper: Shopper) -> None:
    shopper.add(BALL)
    seen = shopper.cart()
    shopper.add(BLANKET)

    with shopper.database.write() as connection:
        carts.empty(connection, "w", seen)

    assert shopper.contents() == [(BLANKET, "", "", 1)]


def test_signing_in_hands_the_cart_over(shopper: Shopper) -> None:
    shopper.add(TEE, 2, color="Navy", size="M")

    ada = shopper.sign_in("C-ADA")

    assert ada.contents() == [(TEE, "Navy", "M", 2)]
    assert shopper.contents() == []


def test_signing_in_without_a_cart_changes_nothing(shopper: Shopper) -> None:
    shopper.signed_in("C-ADA").add(BALL)

    assert shopper.sign_in("C-ADA").contents() == [(BALL, "", "", 1)]


def test_handed_over_lines_are_added_up_to_99_and_keep_their_order(shopper: Shopper) -> None:
    ada_elsewhere = replace(shopper, visit_id=2, customer_id="C-ADA")
    ada_elsewhere.add(BALL, 70, now_ms=1_000)
    ada_elsewhere.add(TEE, 1, color="Navy", size="M", now_ms=3_000)
    shopper.add(BLANKET, 4, now_ms=2_000)
    shopper.add(BALL, 70, now_ms=4_000)
    shopper.add(TEE, 2, color="Navy", size="L", now_ms=5_000)
    shopper.add(TEE, 5, color="Navy", size="M", now_ms=6_000)

    ada = shopper.sign_in("C-ADA")

    assert ada.contents() == [
        (BALL, "", "", 99),
        (BLANKET, "", "", 4),
        (TEE, "Navy", "M", 6),
        (TEE, "Navy", "L", 2),
    ]
    assert ada_elsewhere.contents() == ada.contents()


workspace_ids = count()
lines = st.dictionaries(st.sampled_from([BALL, BLANKET, "128737"]), st.integers(1, 99))


# Each example shops in a workspace of its own, so that one database can serve them all.
@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(customers_lines=lines, visits_lines=lines)
def test_whatever_two_carts_hold_is_summed_when_they_become_one(
    shopper: Shopper,
    customers_lines: dict[str, int],
    visits_lines: dict[str, int],
) -> None:
    visit = replace(shopper, workspace_id=str(next(workspace_ids)))
    ada = visit.signed_in("C-ADA")
    for owner, wanted in ((ada, customers_lines), (visit, visits_lines)):
        for product_id, quantity in wanted.items():
            owner.add(product_id, quantity)

    visit.sign_in("C-ADA")

    assert {product_id: quantity for product_id, _, _, quantity in ada.contents()} == {
        product_id: min(customers_lines.get(product_id, 0) + visits_lines.get(product_id, 0), 99)
        for product_id in customers_lines.keys() | visits_lines.keys()
    }
    assert visit.contents() == []


def test_signing_in_twice_adds_nothing_twice(shopper: Shopper) -> None:
    shopper.add(BALL, 3)

    shopper.sign_in("C-ADA")

    assert shopper.sign_in("C-ADA").contents() == [(BALL, "", "", 3)]


def test_adds_at_the_same_moment_make_one_cart_with_one_line(shopper: Shopper) -> None:
    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(lambda _: shopper.add(BALL, 5), range(24)))

    assert shopper.contents() == [(BALL, "", "", 99)]
    assert sum(result.added for result in results) == 99
