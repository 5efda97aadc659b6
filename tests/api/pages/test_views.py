"""What holds for every page that somebody looks at: a rendered GET is one view, nothing else is."""

from typing import Any

import pytest

from tests.api.browsing import Browser
from tests.api.conftest import OpenStore, Store
from tests.api.journeys import add_to_cart, begin_checkout, buy, sign_in, sign_up

VIEWS = {
    "/": ["screen_view Landing", "commerce_event Product List Impression"],
    "/products/128743": ["commerce_event view_detail"],
    "/cart": ["screen_view View My Cart"],
    "/account": ["screen_view My Account"],
    "/account/sign-up": ["screen_view Sign Up"],
    "/about": ["screen_view About"],
    "/privacy": ["screen_view Privacy"],
}
SIGNED_IN_VIEWS = {
    "/account": ["screen_view My Account"],
    "/account/welcome": ["screen_view Welcome"],
    "/account/profile": ["screen_view Edit Profile"],
}
NOT_VIEWS: list[dict[str, Any]] = [
    {"method": "HEAD"},
    {"method": "OPTIONS"},
    {"headers": {"Sec-Purpose": "prefetch"}},
    {"headers": {"Sec-Purpose": "prefetch;prerender"}},
    {"headers": {"Purpose": "prefetch"}},
]


@pytest.fixture
def store(open_store: OpenStore) -> Store:
    """On one kind of database: what is logged is the same on both."""
    return open_store()


@pytest.mark.parametrize("path", VIEWS)
def test_looking_twice_is_two_views(store: Store, visitor: Browser, path: str) -> None:
    assert visitor.get(path).status == 200
    assert visitor.get(path).status == 200
    assert store.labels() == ["session_start Session Start", *VIEWS[path], *VIEWS[path]]


@pytest.mark.parametrize("path", [*VIEWS, "/go/shop?once=0123456789ab"])
def test_nobody_looks_with_head_options_or_a_prefetch(
    store: Store, visitor: Browser, path: str
) -> None:
    for request in NOT_VIEWS:
        assert store.browser().open(path, **request).status in (200, 302), "a first visit"
    assert store.events() == []
    visitor.get("/about")
    before = store.labels()
    for request in NOT_VIEWS:
        assert visitor.open(path, **request).status in (200, 302), "a later visit"
    assert store.labels() == before


def test_a_prefetched_page_counts_when_it_is_really_opened(store: Store, visitor: Browser) -> None:
    visitor.get("/about", sec_purpose="prefetch")
    visitor.get("/about")
    assert store.labels() == ["session_start Session Start", "screen_view About"]
    assert len(store.rows("visits")) == 1


@pytest.mark.parametrize("path", SIGNED_IN_VIEWS)
def test_a_customers_pages_are_views_too(store: Store, visitor: Browser, path: str) -> None:
    sign_in(visitor)
    before = len(store.events())
    assert visitor.get(path).status == 200
    visitor.open(path, method="HEAD")
    assert visitor.get(path).status == 200
    assert store.labels(since=before) == SIGNED_IN_VIEWS[path] * 2


def test_checkout_and_thank_you_page_are_views_too(store: Store, visitor: Browser) -> None:
    add_to_cart(visitor)
    begin_checkout(visitor)
    before = len(store.events())
    visitor.get("/checkout")
    visitor.open("/checkout", method="HEAD")
    (view,) = store.events(since=before)
    assert (view.label, view.attributes) == ("screen_view Checkout", {"step": "shipping"})
    number = buy(visitor)
    before = len(store.events())
    visitor.get(f"/orders/{number}")
    visitor.open(f"/orders/{number}", method="HEAD")
    assert store.labels(since=before) == ["screen_view Order Confirmation"]


def test_pages_that_lead_elsewhere_are_no_views(store: Store, visitor: Browser) -> None:
    visitor.get("/about")
    before = len(store.events())
    for path, leads_to in [
        ("/account/welcome", "/account"),
        ("/account/profile", "/account?next=/account/profile"),
        ("/checkout", "/cart"),
    ]:
        assert visitor.get(path).location == leads_to
    assert store.labels(since=before) == []
    sign_up(visitor)
    before = len(store.events())
    assert visitor.get("/account/sign-up").location == "/account"
    assert store.labels(since=before) == []


@pytest.mark.parametrize(
    "path", ["/nothing", "/products/1", "/orders/H-0000-0000", "/go/nowhere", "/account/nothing"]
)
def test_a_page_that_is_not_found_is_no_view(store: Store, visitor: Browser, path: str) -> None:
    visitor.get("/about")
    before = len(store.events())
    page = visitor.get(path)
    assert (page.status, page.one("error-page")["data-status"]) == (404, "404")
    assert store.labels(since=before) == []


def test_every_event_of_a_page_is_queued_under_its_visitor_in_order(
    store: Store, visitor: Browser
) -> None:
    visitor.get("/")
    visitor.get("/cart")
    mpid = store.events()[0].mpid
    bodies = store.bodies()
    assert [body["mpid"] for body in bodies] == [mpid] * 4
    assert [body["context"]["mpid_sequence"] for body in bodies] == [1, 2, 3, 4]
    assert [body["context"]["session_sequence"] for body in bodies] == [1, 2, 3, 4]
    assert [body["events"][0]["data"] for body in bodies] == [
        event.data for event in store.events()
    ]
