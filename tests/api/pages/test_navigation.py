"""The menu: each link that was rendered logs one click, however often it is followed."""

from tests.api.browsing import Browser
from tests.api.conftest import Logged, Store

MENU = {
    "home": ("Home", "/"),
    "shop": ("Shop All", "/"),
    "about": ("About", "/about"),
    "account": ("Account", "/account"),
    "cart": ("Cart", "/cart"),
}


def clicks(store: Store) -> list[Logged]:
    return [event for event in store.events() if event.name == "Navbar Click"]


def test_a_click_is_logged_and_leads_on(store: Store, visitor: Browser) -> None:
    for item, (label, target) in MENU.items():
        link = visitor.get("/about").one(f"desktop-nav-{item}-button")["href"]
        assert visitor.get(link).location == target
        click = clicks(store)[-1]
        assert click.attributes == {"label": label}
        assert click.data["custom_event_type"] == "navigation"
    assert len(clicks(store)) == len(MENU)


def test_a_rendered_link_counts_once(store: Store, visitor: Browser) -> None:
    link = visitor.get("/about").one("desktop-nav-cart-button")["href"]
    assert {visitor.get(link).location for _ in range(3)} == {"/cart"}
    assert len(clicks(store)) == 1
    other = visitor.get("/about").one("desktop-nav-cart-button")["href"]
    visitor.get(other)
    assert len(clicks(store)) == 2


def test_a_link_of_somebody_elses_page_counts_for_whoever_follows_it(
    store: Store, visitor: Browser
) -> None:
    link = visitor.get("/about").one("desktop-nav-cart-button")["href"]
    visitor.get(link)
    store.browser().get(link)
    assert len(clicks(store)) == 2


def test_a_link_without_a_token_leads_on_and_logs_nothing(store: Store, visitor: Browser) -> None:
    for query in ("", "?once=", "?once=short", "?once=" + "x" * 65, "?once=%00%00%00%00%00%00%00"):
        assert visitor.get(f"/go/cart{query}").location == "/cart"
    assert clicks(store) == []
