"""Impatience costs nothing: whatever is pressed, sent, reloaded or gone back to twice happens once."""

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Route, expect

from tests.browser.conftest import NewShopper
from tests.browser.received_events import ReceivedEvents
from tests.browser.shopper import BOWL, Shopper


def presses_everything_twice(new_shopper: NewShopper) -> Shopper:
    """Somebody who double-clicks."""
    shopper = new_shopper()
    shopper.press_everything_twice()
    return shopper


def whose_answers_get_lost(new_shopper: NewShopper) -> Shopper:
    """Somebody without JavaScript whose forms all arrive twice: the first answer never came."""
    shopper = new_shopper(java_script_enabled=False)
    send_forms_twice(shopper, keep_first_cookies=False)
    return shopper


def send_forms_twice(shopper: Shopper, *, keep_first_cookies: bool) -> None:
    """Have every form arrive twice, the second time with or without the first answer's cookies."""
    context = shopper.page.context

    def send_twice(route: Route) -> None:
        if route.request.method == "POST":
            cookies: list[Any] = list(context.cookies())
            route.fetch(max_redirects=0)
            if not keep_first_cookies:
                context.clear_cookies()
                context.add_cookies(cookies)
        route.continue_()

    context.route("**/*", send_twice)


@pytest.mark.parametrize("come", [presses_everything_twice, whose_answers_get_lost])
def test_every_form_sent_twice_does_its_work_once(
    come: Callable[[NewShopper], Shopper], new_shopper: NewShopper, received: ReceivedEvents
) -> None:
    shopper = come(new_shopper)
    shopper.open("/about")
    first = shopper.mpid
    shopper.open(f"/products/{BOWL}")
    shopper.choose(quantity=2)
    shopper.press("add-to-cart")
    expect(shopper.see("cart-count")).to_have_text("2")
    shopper.open("/cart")
    shopper.see("cart-item-quantity").fill("3")
    shopper.press("cart-item-update")
    expect(shopper.see("cart-count")).to_have_text("3")
    email = f"twice.{come.__name__}@example.com"
    shopper.sign_up("Twi Ce", email)
    assert shopper.mpid == first
    shopper.open("/cart")
    shopper.check_out()
    shopper.edit_profile(name="Twice Named")
    expect(shopper.see("account-order")).to_have_count(1)
    shopper.sign_out()
    between = shopper.mpid
    shopper.sign_in(email)
    assert shopper.mpid == first
    shopper.open("/privacy")
    shopper.press("opt-out")

    assert between != first
    assert received.mpids() == {first, between}
    assert received.what_of(between) == ["screen_view My Account"] * 2
    assert received.what_of(first) == [
        "session_start",
        "screen_view About",
        "view_detail",
        "add_to_cart",
        "view_detail",
        "screen_view View My Cart",
        "add_to_cart",
        "screen_view View My Cart",
        "screen_view Sign Up",
        "name set",
        "wants_marketing set",
        "customer_id changed",
        "email changed",
        "screen_view Welcome",
        "custom_event Signed Up",
        "screen_view View My Cart",
        "checkout",
        "screen_view Checkout",
        "checkout_option",
        "screen_view Checkout",
        "checkout_option",
        "screen_view Checkout",
        "purchase",
        "screen_view Order Confirmation",
        "screen_view Edit Profile",
        "name set",
        "screen_view My Account",
        "screen_view My Account",
        "screen_view My Account",
        "screen_view Privacy",
        "opt_out",
    ]


def test_two_tabs_place_the_same_order_once(shopper: Shopper, received: ReceivedEvents) -> None:
    shopper.enter()
    shopper.add_to_cart(BOWL)
    shopper.open_cart()
    shopper.go_to_review()
    tab = shopper.another_tab()
    tab.open("/checkout")
    shopper.press("place-order")
    tab.press("place-order")

    assert tab.order_number == shopper.order_number
    assert received.what_of(shopper.mpid).count("purchase") == 1


def test_going_back_after_the_order_orders_nothing_more(
    shopper: Shopper, received: ReceivedEvents
) -> None:
    shopper.enter()
    shopper.add_to_cart(BOWL)
    shopper.open_cart()
    order_number = shopper.check_out()
    shopper.page.go_back()
    # The checkout is over, so the way back ends at the order again, and says so.
    expect(shopper.see("notice")).to_contain_text("placed already")
    assert shopper.order_number == order_number
    shopper.page.go_forward()

    assert shopper.order_number == order_number
    assert received.what_of(shopper.mpid).count("purchase") == 1


def test_a_reload_is_one_more_view_and_nothing_else(
    shopper: Shopper, received: ReceivedEvents
) -> None:
    shopper.enter()
    mpid = shopper.mpid
    shopper.add_to_cart(BOWL)
    seen: list[tuple[str, list[str]]] = []

    def reload(arrive: Callable[[], Any]) -> None:
        arrive()
        before = received.what_of(mpid)
        shopper.page.reload()
        seen.append((shopper.page.url, received.what_of(mpid)[len(before) :]))

    for arrive in (
        lambda: shopper.press("back-to-shop"),
        lambda: shopper.look_at(BOWL),
        shopper.open_cart,
        lambda: shopper.press("checkout"),
        lambda: shopper.press("continue-to-payment"),
        lambda: shopper.press("continue-to-review"),
        lambda: shopper.press("place-order"),
        lambda: shopper.press("desktop-nav-account-button"),
        lambda: shopper.press("desktop-nav-about-button"),
        lambda: shopper.press("footer-privacy"),
        lambda: shopper.press("footer-inbox"),
        lambda: shopper.press("footer-x-ray"),
    ):
        reload(arrive)

    assert [added for _, added in seen] == [
        ["screen_view Landing", "Product List Impression"],
        ["view_detail"],
        ["screen_view View My Cart"],
        ["screen_view Checkout"],
        ["screen_view Checkout"],
        ["screen_view Checkout"],
        ["screen_view Order Confirmation"],
        ["screen_view My Account"],
        ["screen_view About"],
        ["screen_view Privacy"],
        [],
        [],
    ], seen


def test_a_second_click_after_the_cookie_came_leads_where_the_first_one_did(
    new_shopper: NewShopper, received: ReceivedEvents
) -> None:
    shopper = new_shopper(java_script_enabled=False)
    send_forms_twice(shopper, keep_first_cookies=True)
    shopper.sign_up("Sec Ond", "sec.ond@example.com")
    mpid = shopper.mpid
    shopper.sign_out()
    shopper.sign_in("sec.ond@example.com")

    assert shopper.mpid == mpid
    assert received.what_of(mpid).count("custom_event Signed Up") == 1
