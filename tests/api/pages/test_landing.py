"""The front page: products, categories, and a welcome that is shown once."""

import pytest

from tests.api.browsing import Browser
from tests.api.conftest import Store

LANDING = ["screen_view Landing", "commerce_event Product List Impression"]


def test_all_products_are_shown_with_price_and_link(store: Store, visitor: Browser) -> None:
    page = visitor.get("/")
    cards = page.all("product-card")
    assert page.status == 200
    assert [card["data-product-id"] for card in cards] == [
        product.id for product in store.parts.catalog.products
    ]
    assert "Tennis Ball" in cards[-1].text
    assert "$2.00" in cards[-1].text
    assert cards[-1].with_tag("a")[0]["href"] == "/products/128743"


def test_the_first_page_begins_a_session_and_logs_what_was_seen(
    store: Store, visitor: Browser
) -> None:
    visitor.get("/")
    start, view, impression = store.events()
    assert start.label == "session_start Session Start"
    assert view.data["screen_name"] == "Landing"
    (seen,) = impression.data["product_impressions"]
    assert seen["product_impression_list"] == "Product List Impression"
    assert [product["position"] for product in seen["products"]] == list(range(1, 15))
    assert impression.data["currency_code"] == "USD"
    ball = seen["products"][-1]
    assert ball == {
        "id": "128743",
        "name": "Tennis Ball",
        "brand": "mParticle",
        "category": "Toys",
        "price": 2,
        "quantity": 1,
        "total_product_amount": 2,
        "position": 14,
    }
    assert {event.mpid for event in store.events()} == {start.mpid} != {None}


def test_a_reload_is_one_more_view(store: Store, visitor: Browser) -> None:
    visitor.get("/")
    visitor.get("/")
    assert store.labels(since=3) == LANDING


def test_a_category_shows_and_logs_its_own_products(store: Store, visitor: Browser) -> None:
    visitor.get("/")
    page = visitor.get("/?category=Toys")
    assert [card["data-product-id"] for card in page.all("product-card")] == ["128743"]
    view, impression = store.events(since=3)
    assert view.attributes == {"category": "Toys"}
    assert len(impression.data["product_impressions"][0]["products"]) == 1


def test_an_unknown_category_is_not_found_and_logs_nothing(store: Store, visitor: Browser) -> None:
    visitor.get("/")
    page = visitor.get("/?category=toys")
    assert page.status == 404
    assert page.has("error-page")
    assert store.labels(since=3) == []


@pytest.mark.parametrize(
    ("button", "event_name"),
    [
        ("landing-button", "Landing Button Click"),
        ("landing-background", "Landing Modal Background Click"),
    ],
)
def test_the_welcome_is_shown_once_and_its_answer_logged_once(
    store: Store, visitor: Browser, button: str, event_name: str
) -> None:
    page = visitor.get("/")
    answer = page.form_of(button)
    assert visitor.send(answer).location == "/"
    assert visitor.send(answer).location == "/"
    assert not visitor.get("/").has(button)
    (click,) = [event for event in store.events() if event.event_type == "custom_event"]
    assert click.name == event_name
    assert click.data["custom_event_type"] == "other"


def test_an_answer_that_the_welcome_does_not_offer_is_refused(
    store: Store, visitor: Browser
) -> None:
    form = visitor.get("/").form_of("landing-button")
    assert visitor.send(form.with_values({"answer": "later"})).status == 400
    assert store.labels() == ["session_start Session Start", *LANDING]


def test_a_look_that_nobody_sees_does_not_use_up_the_welcome(visitor: Browser) -> None:
    visitor.get("/about")
    visitor.open("/", method="HEAD")
    visitor.get("/", sec_purpose="prefetch")
    assert visitor.get("/").has("landing-button")


def test_another_browser_is_welcomed_too(store: Store, visitor: Browser) -> None:
    visitor.get("/")
    assert store.browser().get("/").has("landing-button")
