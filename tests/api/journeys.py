"""What visitors do in a store, step by step; each step asserts that it went well."""

from typing import Final

from tests.api.browsing import Browser, Page

BALL: Final = "128743"
TEE: Final = "128745"
BLANKET: Final = "128738"
PASSWORD: Final = "higgs-boson"


def add_to_cart(visitor: Browser, product_id: str = BALL, **choices: str) -> Page:
    """From the product's page; the answer is that page again."""
    page = visitor.submit(visitor.get(f"/products/{product_id}"), "add-to-cart", **choices)
    assert page.location == f"/products/{product_id}"
    return page


def begin_checkout(visitor: Browser) -> Page:
    """From the cart to the first step."""
    page = visitor.submit(visitor.get("/cart"), "checkout")
    assert page.location == "/checkout"
    return visitor.follow(page)


def reach_review(visitor: Browser) -> Page:
    """Through shipping and payment as they are filled in, to the last step."""
    page = visitor.follow(visitor.submit(begin_checkout(visitor), "continue-to-payment"))
    page = visitor.follow(visitor.submit(page, "continue-to-review"))
    assert page.has("place-order")
    return page


def place_order(visitor: Browser) -> Page:
    """From a filled cart to the thank-you page."""
    page = visitor.follow(visitor.submit(reach_review(visitor), "place-order"))
    assert page.has("order-number")
    return page


def buy(visitor: Browser, product_id: str = BALL, **choices: str) -> str:
    """One product, from its page to an order. Returns the order's number."""
    add_to_cart(visitor, product_id, **choices)
    return place_order(visitor).text("order-number")


def sign_up(
    visitor: Browser,
    *,
    name: str = "Grace Field",
    email: str = "grace.field@example.com",
    phone: str = "",
) -> Page:
    """A new account; the answer is the welcome page."""
    form = visitor.get("/account/sign-up")
    page = visitor.submit(form, "sign-up", name=name, email=email, phone=phone)
    assert page.location == "/account/welcome", page.html
    return visitor.follow(page)


def sign_in(visitor: Browser, user_id: str = "returning_user") -> Page:
    """To a ready account, or one's own; the answer is the account page."""
    form = visitor.get("/account")
    page = visitor.submit(form, "sign-in", user_id=user_id, password=PASSWORD)
    assert page.location == "/account", page.html
    return visitor.follow(page)


def sign_out(visitor: Browser) -> Page:
    """The answer is the account page of nobody."""
    page = visitor.submit(visitor.get("/account"), "sign-out")
    assert page.location == "/account"
    return visitor.follow(page)


def mpid(page: Page) -> str:
    """Who the visitor is, as every shop page says."""
    return page.all("mpid")[0]["data-mpid"]


def identity_state(page: Page) -> str:
    """`anonymous`, `known` or `pending`, as every shop page says."""
    return page.all("identity-state")[0]["data-state"]
