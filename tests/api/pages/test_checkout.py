"""Checkout: three steps with filled-in, editable, validated details, and one order at the end."""

from collections.abc import Callable
from typing import Any

import pytest

from higgs_shop.shop import Checkout, CheckoutClosed
from tests.api.browsing import Browser, Page
from tests.api.conftest import Logged, Store
from tests.api.journeys import (
    BALL,
    BLANKET,
    add_to_cart,
    begin_checkout,
    buy,
    reach_review,
    sign_in,
    sign_out,
    sign_up,
)

SHIPPING = {
    "name": "Grace Field",
    "email": "grace.field@example.net",
    "address": "27 Collider Ring",
    "city": "Meyrin Falls",
    "state": "NY",
    "zip": "12116",
    "country": "United States",
}
BLANKETS: dict[str, Any] = {
    "id": BLANKET,
    "name": "Field & Co Sherpa Blanket",
    "brand": "Field & Co",
    "category": "Bedding",
    "price": 41,
    "quantity": 3,
    "total_product_amount": 123,
}
# 3 x $41.00; shipping 15 %, tax 8.875 %, each rounded to a cent.
TOTALS = {"total_amount": 152.37, "tax_amount": 10.92, "shipping_amount": 18.45}


def actions(store: Store) -> list[Logged]:
    """What was logged of the checkout."""
    names = ("checkout", "checkout_option", "purchase")
    return [event for event in store.events() if event.name in names]


def test_a_guest_buys_in_three_steps_and_each_is_logged_once(
    store: Store, visitor: Browser
) -> None:
    add_to_cart(visitor, BLANKET, quantity="3")
    shipping = begin_checkout(visitor)
    assert {name: shipping.form_of("continue-to-payment")[name] for name in SHIPPING} == SHIPPING
    answer = visitor.submit(shipping, "continue-to-payment")
    assert answer.location == "/checkout?step=payment"
    payment = visitor.follow(answer)
    answer = visitor.submit(payment, "continue-to-review")
    assert answer.location == "/checkout?step=review"
    review = visitor.follow(answer)
    assert [review.text(f"order-{part}") for part in ("subtotal", "shipping", "tax", "total")] == [
        "$123.00",
        "$18.45",
        "$10.92",
        "$152.37",
    ]
    answer = visitor.submit(review, "place-order")
    thanks = visitor.follow(answer)
    number = thanks.text("order-number")
    assert answer.location == f"/orders/{number}"
    assert visitor.get("/cart").has("cart-empty")

    begun, first, second, purchase = actions(store)
    assert begun.action == {"action": "checkout", "products": [BLANKETS], **TOTALS}
    assert first.action == {
        "action": "checkout_option",
        "products": [BLANKETS],
        "checkout_step": 1,
        "checkout_options": "Standard shipping",
    }
    assert second.action == {
        "action": "checkout_option",
        "products": [BLANKETS],
        "checkout_step": 2,
        "checkout_options": "Demo card",
    }
    assert purchase.action == {
        "action": "purchase",
        "products": [BLANKETS],
        **TOTALS,
        "transaction_id": number,
    }
    assert {event.data["currency_code"] for event in actions(store)} == {"USD"}
    assert [event.attributes for event in store.events() if event.name == "Checkout"] == [
        {"step": "shipping"},
        {"step": "payment"},
        {"step": "review"},
    ]


def test_every_form_sent_again_gives_the_same_answer_and_logs_nothing(
    store: Store, visitor: Browser
) -> None:
    add_to_cart(visitor)
    form = visitor.get("/cart").form_of("checkout")
    for button in ("continue-to-payment", "continue-to-review", "place-order"):
        answers = [visitor.send(form) for _ in range(3)]
        assert len({answer.location for answer in answers}) == 1
        form = visitor.follow(answers[0]).form_of(button)
    assert len({visitor.send(form).location for _ in range(3)}) == 1
    assert [event.name for event in actions(store)] == [
        "checkout",
        "checkout_option",
        "checkout_option",
        "purchase",
    ]


def test_coming_back_to_the_same_cart_goes_on_where_it_was(store: Store, visitor: Browser) -> None:
    add_to_cart(visitor)
    visitor.submit(begin_checkout(visitor), "continue-to-payment")
    page = begin_checkout(visitor)
    assert page.has("continue-to-review")
    assert [event.name for event in actions(store)] == ["checkout", "checkout_option"]


def test_what_was_typed_is_shown_again_and_ordered(store: Store, visitor: Browser) -> None:
    add_to_cart(visitor)
    visitor.submit(
        begin_checkout(visitor), "continue-to-payment", name="  Lise Meitner ", city="Wien"
    )
    shipping = visitor.get("/checkout?step=shipping").form_of("continue-to-payment")
    assert (shipping["name"], shipping["city"]) == ("Lise Meitner", "Wien")
    page = visitor.submit(visitor.get("/checkout"), "continue-to-review")
    thanks = visitor.follow(visitor.submit(visitor.follow(page), "place-order"))
    assert "Lise Meitner" in thanks.root.with_tag("address")[0].text
    (order,) = store.rows("orders")
    assert order["ship_to"] == {**SHIPPING, "name": "Lise Meitner", "city": "Wien"}


def test_a_customers_own_name_and_address_are_filled_in(visitor: Browser) -> None:
    sign_up(visitor, name="Grace Field", email="grace.field@example.com")
    add_to_cart(visitor)
    form = begin_checkout(visitor).form_of("continue-to-payment")
    assert (form["name"], form["email"]) == ("Grace Field", "grace.field@example.com")


def test_a_guests_e_mail_is_in_the_order_and_in_no_event(store: Store, visitor: Browser) -> None:
    add_to_cart(visitor)
    visitor.submit(begin_checkout(visitor), "continue-to-payment", email="guest@example.com")
    page = visitor.submit(visitor.get("/checkout"), "continue-to-review")
    visitor.submit(visitor.follow(page), "place-order")
    (order,) = store.rows("orders")
    assert order["ship_to"]["email"] == "guest@example.com"
    assert "guest@example.com" not in repr(store.bodies())
    assert "guest@example.com" not in repr(store.rows("profile_identities"))


MISTAKES = [
    *((field, "", "Enter the") for field in SHIPPING if field != "email"),
    *((field, "   ", "Enter the") for field in SHIPPING if field != "email"),
    ("email", "", "Enter an e-mail address."),
    ("email", "ada", "such as ada@example.com"),
    ("name", "x" * 81, "at most 80 characters"),
    ("zip", "1" * 13, "at most 12 characters"),
    ("city", "Mey\x07rin", "no control characters"),
    ("address", "a\x00b", "no control characters"),
]


def test_a_mistake_in_the_address_comes_back_at_its_field(store: Store, visitor: Browser) -> None:
    add_to_cart(visitor)
    page = begin_checkout(visitor)
    before = store.labels()
    for field, value, complaint in MISTAKES:
        page = visitor.submit(page, "continue-to-payment", **{**SHIPPING, field: value})
        assert page.status == 422, (field, value)
        assert complaint in page.text(f"{field}-error")
    assert store.labels() == before
    assert store.rows("checkouts")[0]["shipping"] is None
    assert visitor.submit(page, "continue-to-payment", **SHIPPING).status == 303


def test_only_the_demo_card_pays_and_no_other_is_kept_or_shown(
    store: Store, visitor: Browser
) -> None:
    add_to_cart(visitor)
    payment = visitor.follow(visitor.submit(begin_checkout(visitor), "continue-to-payment"))
    for field, value, testid in (
        ("card_number", "4111 1111 1111 1111", "card-number"),
        ("expiry", "01 / 99", "expiry"),
        ("cvc", "73519", "cvc"),
    ):
        answer = visitor.submit(payment, "continue-to-review", **{field: value})
        assert answer.status == 422
        assert answer.has(f"{testid}-error")
        assert answer.one(testid)["value"] == payment.one(testid)["value"]
        assert value not in answer.html
        assert value not in repr(store.dump())
    assert visitor.submit(payment, "continue-to-review", cvc="").status == 422
    assert not store.rows("checkouts")[0]["has_paid"]


def test_steps_cannot_be_skipped_by_url_or_by_form(store: Store, visitor: Browser) -> None:
    add_to_cart(visitor)
    shipping = begin_checkout(visitor)
    for step in ("payment", "review", "nonsense"):
        assert visitor.get(f"/checkout?step={step}").has("continue-to-payment")
    form = shipping.form_of("continue-to-payment")
    checkout_id = str(store.rows("checkouts")[0]["id"])
    for action, values in (
        ("/checkout/payment", {"card_number": "4242", "expiry": "12 / 34", "cvc": "123"}),
        ("/checkout/order", {"checkout_id": checkout_id}),
    ):
        form.action = action
        fresh = visitor.get("/checkout").form_of("continue-to-payment")
        fresh.action = action
        answer = visitor.send(fresh.with_values(values))
        assert answer.location in ("/checkout", "/checkout?step=shipping")
        assert visitor.follow(answer).has("continue-to-payment")
    assert store.rows("orders") == []
    assert [event.name for event in actions(store)] == ["checkout"]


def test_a_cart_that_changed_meanwhile_sends_people_back_to_it(
    store: Store, visitor: Browser
) -> None:
    add_to_cart(visitor)
    review = reach_review(visitor)
    add_to_cart(visitor, BLANKET)
    answer = visitor.submit(review, "place-order")
    assert answer.location == "/cart"
    assert "Your cart has changed" in visitor.follow(answer).notices[-1]
    assert visitor.get("/checkout").location == "/cart"
    assert store.rows("orders") == []
    shipping = begin_checkout(visitor)
    assert len(shipping.all("order-line")) == 2
    assert [event.name for event in actions(store)].count("checkout") == 2


def test_an_empty_cart_cannot_be_checked_out(store: Store, visitor: Browser) -> None:
    add_to_cart(visitor)
    form = visitor.get("/cart").form_of("checkout")
    visitor.submit(visitor.get("/cart"), "cart-item-remove")
    assert visitor.send(form).location == "/cart"
    assert actions(store) == []


def test_without_a_checkout_every_step_leads_to_the_cart(store: Store, visitor: Browser) -> None:
    add_to_cart(visitor)
    form = visitor.get("/cart").form_of("checkout")
    for action in ("/checkout/shipping", "/checkout/payment", "/checkout/order"):
        form.action = action
        answer = visitor.send(form)
        assert answer.location == "/cart"
    assert "Begin the checkout" in visitor.get("/cart").notices[0]
    assert actions(store) == []


def test_going_back_after_buying_shows_what_was_bought(store: Store, visitor: Browser) -> None:
    add_to_cart(visitor)
    payment = visitor.follow(visitor.submit(begin_checkout(visitor), "continue-to-payment"))
    review = visitor.follow(visitor.submit(payment, "continue-to-review"))
    thanks = visitor.follow(visitor.submit(review, "place-order"))
    number = thanks.text("order-number")
    ways_back: list[Callable[[], Page]] = [
        lambda: visitor.get("/checkout"),
        lambda: visitor.submit(payment, "continue-to-review"),
    ]
    for go_back in ways_back:
        answer = go_back()
        assert answer.location == f"/orders/{number}"
        page = visitor.follow(answer)
        assert "placed already" in page.notices[-1]
        assert page.text("order-number") == number
    add_to_cart(visitor)
    assert visitor.get("/checkout").location == "/cart", "something else can be bought now"
    assert [event.name for event in actions(store)].count("purchase") == 1


def test_whoever_comes_after_a_buyer_is_not_shown_the_order(visitor: Browser) -> None:
    sign_in(visitor)
    buy(visitor)
    sign_out(visitor)
    assert visitor.get("/checkout").location == "/cart"


def test_an_order_for_no_checkout_of_ours_leads_to_the_cart(store: Store, visitor: Browser) -> None:
    add_to_cart(visitor, BALL)
    reach_review(visitor)
    for checkout_id in ("", "0", "-1", "1.5", "x", "9" * 15, "9" * 5_000, "９", "99"):
        review = visitor.get("/checkout")
        answer = visitor.submit(review, "place-order", checkout_id=checkout_id)
        assert answer.location == "/cart", checkout_id
    assert store.rows("orders") == []


def test_a_step_sent_while_another_tab_orders_leads_to_the_cart(
    visitor: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On PostgreSQL the other tab's order may be placed between looking and saving."""

    def too_late(*_arguments: object) -> Checkout:
        raise CheckoutClosed

    add_to_cart(visitor)
    page = visitor.follow(visitor.submit(visitor.get("/cart"), "checkout"))
    monkeypatch.setattr("higgs_shop.shop.checkouts.save_shipping", too_late)
    answer = visitor.submit(page, "continue-to-payment")
    assert (answer.status, answer.location) == (303, "/cart")
    assert "has changed" in visitor.get("/cart").notices[0]
