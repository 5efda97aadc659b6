"""One checkout, one order, one purchase: however often, from wherever and in whatever order it comes."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, NoReturn

import pytest

from higgs_shop.shop import Catalog
from tests.api.browsing import Browser, Form, Page
from tests.api.conftest import OpenStore, Store
from tests.api.journeys import (
    BALL,
    BLANKET,
    PASSWORD,
    add_to_cart,
    begin_checkout,
    place_order,
    reach_review,
)

ROUNDS: Final = 10
POSTS: Final = 50
THREADS: Final = 8


def purchases(store: Store) -> list[str]:
    """The order numbers of the purchase events."""
    return [event.action["transaction_id"] for event in store.events() if event.name == "purchase"]


def send_at_once(store: Store, visitor: Browser, form: Form, times: int) -> list[Page]:
    """The same form many times, from as many windows of the same browser."""
    cookies = "; ".join(
        f"{name}={visitor.cookie(name)}" for name in ("higgs_visit", "higgs_device")
    )

    def send(_number: int) -> Page:
        window = Browser(store.app, headers={"Cookie": cookies})
        window.client = store.app.test_client(use_cookies=False)  # those above, not a jar's
        for _ in range(20):
            answer = window.open(form.action, method="POST", data=dict(form.fields))
            if answer.status != 503:  # "The store is busy. Nothing was changed; please try again."
                return answer
        raise AssertionError("the store stays busy")

    with ThreadPoolExecutor(THREADS) as threads:
        return list(threads.map(send, range(times)))


def test_the_same_form_fifty_times_at_once_makes_one_order(
    open_store: OpenStore, database_url: str, tmp_path: Path
) -> None:
    """X1: one order and one purchase each round, and the same confirmation for everybody."""
    store = open_store(database_url=database_url, instance=tmp_path)
    visitor = store.browser()
    rounds = ROUNDS if store.parts.database.is_sqlite else 3
    for number in range(1, rounds + 1):
        add_to_cart(visitor)
        form = reach_review(visitor).form_of("place-order")
        answers = send_at_once(store, visitor, form, POSTS)
        assert Counter(answer.status for answer in answers) == {303: POSTS}
        (location,) = {answer.location for answer in answers}
        assert location is not None
        assert visitor.get(location).has("order-number")
        assert len(store.rows("orders")) == number
        assert len(purchases(store)) == number
        assert visitor.get("/cart").has("cart-empty")
    assert sorted(purchases(store)) == sorted(row["number"] for row in store.rows("orders"))


def test_two_tabs_with_the_same_checkout_make_one_order(
    open_store: OpenStore, database_url: str, tmp_path: Path
) -> None:
    """Other tokens, the same checkout, at once: still one order, shown to both."""
    store = open_store(database_url=database_url, instance=tmp_path)
    visitor = store.browser()
    add_to_cart(visitor)
    reach_review(visitor)
    forms = [visitor.get("/checkout").form_of("place-order") for _ in range(THREADS)]
    with ThreadPoolExecutor(THREADS) as threads:
        sent = threads.map(lambda form: send_at_once(store, visitor, form, 1)[0], forms)
        answers = list(sent)
    assert {answer.status for answer in answers} == {303}
    (number,) = purchases(store)
    assert {answer.location for answer in answers} == {f"/orders/{number}"}
    assert len(store.rows("orders")) == 1


def test_everything_a_visitor_does_at_once_is_done_once(
    open_store: OpenStore, database_url: str, tmp_path: Path
) -> None:
    store = open_store(database_url=database_url, instance=tmp_path)
    visitor = store.browser()
    form = visitor.get(f"/products/{BALL}").form_of("add-to-cart")
    assert {answer.status for answer in send_at_once(store, visitor, form, 20)} == {303}
    form = visitor.get("/cart").form_of("checkout")
    for button in ("continue-to-payment", "continue-to-review", "place-order"):
        answers = send_at_once(store, visitor, form, 20)
        assert len({(answer.status, answer.location) for answer in answers}) == 1
        form = visitor.follow(answers[0]).form_of(button)
    names = Counter(event.name for event in store.events() if event.event_type == "commerce_event")
    assert names == {"view_detail": 1, "add_to_cart": 1, "checkout": 1, "checkout_option": 2}
    assert store.rows("cart_lines")[0]["quantity"] == 1


def test_the_same_token_with_another_body_is_refused(store: Store, visitor: Browser) -> None:
    """X2: a conflict, and nothing changed."""
    add_to_cart(visitor)
    page = begin_checkout(visitor)
    form = page.form_of("continue-to-payment")
    assert visitor.send(form).status == 303
    before = store.dump(without=frozenset({"visits"}))
    for values in ({"city": "Elsewhere"}, {"zip": "99999"}, {"extra": "field"}):
        answer = visitor.send(form.with_values({**values}))
        assert answer.status == 409
        assert answer.headline == "This form was sent before"
    assert store.dump(without=frozenset({"visits"})) == before

    review = visitor.follow(visitor.submit(visitor.get("/checkout"), "continue-to-review"))
    order = review.form_of("place-order")
    assert visitor.send(order).status == 303
    before = store.dump(without=frozenset({"visits"}))
    assert visitor.send(order.with_values({"checkout_id": "999"})).status == 409
    assert store.dump(without=frozenset({"visits"})) == before


def test_a_token_cannot_be_used_for_another_form(store: Store, visitor: Browser) -> None:
    add_to_cart(visitor)
    used = visitor.get("/cart").form_of("checkout")
    visitor.send(used)
    other = visitor.get("/cart").form_of("cart-item-remove")
    answer = visitor.send(other.with_values({"form_token": used["form_token"]}))
    assert store.rows("cart_lines"), "nothing was removed"
    assert answer.status in (303, 409)


def test_an_answer_that_got_lost_is_given_again(store: Store, visitor: Browser) -> None:
    """X3, the answer lost on its way: the browser sends the form again. With kills: tests/reliability/crash."""
    add_to_cart(visitor)
    form = reach_review(visitor).form_of("place-order")
    lost = send_at_once(store, visitor, form, 1)[0]
    again = visitor.send(form)
    assert again.location == lost.location
    store.clock.forward(minutes=60)
    assert visitor.send(form).location == lost.location
    assert len(store.rows("orders")) == len(purchases(store)) == 1


@pytest.mark.parametrize("testid", ["sign-up", "sign-in"])
def test_who_signs_in_as_the_store_is_killed_is_signed_in_when_the_form_comes_again(
    store: Store, visitor: Browser, monkeypatch: pytest.MonkeyPatch, testid: str
) -> None:
    """All is written down, and the process ends before it has answered."""
    page = visitor.get("/account/sign-up" if testid == "sign-up" else "/account")
    values = {
        "sign-up": {"name": "Ada", "email": "ada@example.com"},
        "sign-in": {"user_id": "returning_user", "password": PASSWORD},
    }
    form = page.form_of(testid).with_values({**values[testid]})
    with monkeypatch.context() as until_killed:
        until_killed.setattr(store.parts.visitors, "settle", _be_killed)
        with pytest.raises(SystemExit):
            visitor.send(form)
    page = visitor.follow(visitor.send(form))
    assert page.status == 200
    assert visitor.get("/account").has("sign-out")
    assert add_to_cart(visitor).status == 303, "its forms are good"


def _be_killed(*_: object) -> NoReturn:
    raise SystemExit


def test_the_back_button_after_an_order_leads_to_friendly_pages(
    store: Store, visitor: Browser
) -> None:
    """X4: every page of the checkout, gone back to and sent again."""
    add_to_cart(visitor)
    cart = visitor.get("/cart")
    shipping = begin_checkout(visitor)
    payment = visitor.follow(visitor.submit(shipping, "continue-to-payment"))
    review = visitor.follow(visitor.submit(payment, "continue-to-review"))
    thanks = visitor.follow(visitor.submit(review, "place-order"))
    number = thanks.text("order-number")

    for page, button in (
        (cart, "checkout"),
        (shipping, "continue-to-payment"),
        (payment, "continue-to-review"),
        (review, "place-order"),
    ):
        fresh = visitor.get("/account").form_of("sign-in")["form_token"]
        for values in ({}, {"form_token": fresh}):
            answer = visitor.send(page.form_of(button).with_values(values))
            assert answer.status in (303, 409), button
            if answer.status == 303:
                assert visitor.follow(answer).status in (200, 303), button
    assert visitor.get("/checkout").location == f"/orders/{number}"
    assert visitor.submit(review, "place-order").location == f"/orders/{number}"
    assert len(store.rows("orders")) == len(purchases(store)) == 1


def test_a_stale_cart_is_refused_with_a_message(store: Store, visitor: Browser) -> None:
    """X4: the cart changed in another tab."""
    add_to_cart(visitor)
    review = reach_review(visitor)
    visitor.submit(visitor.get("/cart"), "cart-item-update", quantity="5")
    answer = visitor.submit(review, "place-order")
    assert answer.location == "/cart"
    page = visitor.follow(answer)
    assert "Your cart has changed since you began" in page.notices[-1]
    assert purchases(store) == []
    assert "5" in place_order(visitor).one("order-line").text
    assert len(purchases(store)) == 1


def test_a_price_that_changed_is_refused_with_a_message(
    open_store: OpenStore, visitor: Browser
) -> None:
    """X4: nobody pays a price that they have not seen."""
    add_to_cart(visitor, BLANKET)
    review = reach_review(visitor)

    def with_new_prices(parts: Any) -> Any:
        dearer = [
            replace(product, price_cents=product.price_cents + 1_000)
            for product in parts.catalog.products
        ]
        return replace(parts, catalog=Catalog(tuple(dearer)))

    later = open_store(before_serving=with_new_prices)
    returning = later.browser()
    for name in ("higgs_visit", "higgs_device"):
        returning.client.set_cookie(name, visitor.cookie(name) or "", domain="localhost")
    answer = returning.submit(review, "place-order")
    assert answer.location == "/cart"
    page = returning.follow(answer)
    assert "Your cart has changed" in page.notices[-1]
    assert page.text("cart-subtotal") == "$51.00"
    assert purchases(later) == []
    assert returning.get("/checkout").location == "/cart"
    place_order(returning)
    (order,) = later.rows("orders")
    assert order["subtotal_cents"] == 5_100
