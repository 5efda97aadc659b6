"""The thank-you page: for whoever placed the order, and nobody else."""

import re

from tests.api.browsing import Browser
from tests.api.conftest import Store
from tests.api.journeys import BLANKET, buy, sign_in, sign_out


def test_an_order_has_a_number_of_its_own_and_shows_what_was_bought(
    store: Store, visitor: Browser
) -> None:
    numbers = {buy(visitor, BLANKET, quantity="2"), buy(visitor)}
    assert len(numbers) == 2
    assert all(re.fullmatch(r"H-[0-9A-Z]{4}-[0-9A-Z]{4}", number) for number in numbers)
    page = visitor.get(f"/orders/{store.rows('orders')[0]['number']}")
    assert page.one("order-line").text
    assert page.title == "Thank you · Higgs Shop"


def test_looking_again_logs_a_view_and_no_purchase(store: Store, visitor: Browser) -> None:
    number = buy(visitor)
    before = len(store.events())
    visitor.get(f"/orders/{number}")
    assert store.labels(since=before) == ["screen_view Order Confirmation"]


def test_a_guests_order_is_the_guests_until_sign_out(store: Store, visitor: Browser) -> None:
    number = buy(visitor)
    assert store.browser().get(f"/orders/{number}").status == 404
    sign_in(visitor)
    assert visitor.get(f"/orders/{number}").status == 200
    sign_out(visitor)
    assert visitor.get(f"/orders/{number}").status == 404


def test_a_customers_order_is_found_from_everywhere_when_signed_in(
    store: Store, visitor: Browser
) -> None:
    sign_in(visitor)
    number = buy(visitor)
    (listed,) = visitor.get("/account").all("account-order")
    assert number in listed.text
    sign_out(visitor)
    assert visitor.get(f"/orders/{number}").status == 404
    elsewhere = store.browser()
    sign_in(elsewhere)
    assert elsewhere.get(f"/orders/{number}").text("order-number") == number
    stranger = store.browser()
    sign_in(stranger, "shared_device_user")
    assert stranger.get(f"/orders/{number}").status == 404
    assert not stranger.get("/account").has("account-order")
