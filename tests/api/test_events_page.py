"""docs/events.md says what is logged, and it is true: a walk through the whole store compares."""

import re
from pathlib import Path

from tests.api.conftest import Store

PAGE = Path(__file__).parents[2] / "docs" / "events.md"


def documented() -> set[tuple[str, str]]:
    """Kind and name of every row of the table."""
    table = PAGE.read_text("utf-8").partition("<!-- events:")[2].partition("<!-- /events -->")[0]
    rows = [line.strip("| ").split(" | ") for line in table.splitlines() if line.startswith("| ")]
    return {(row[2].strip("`"), row[3].strip("`").strip()) for row in rows[2:]}


def documented_members() -> dict[tuple[str, str], set[str]]:
    """The members and attributes that the table promises, by kind and name."""
    table = PAGE.read_text("utf-8").partition("<!-- events:")[2].partition("<!-- /events -->")[0]
    members: dict[tuple[str, str], set[str]] = {}
    for line in table.splitlines():
        cells = [cell.strip() for cell in line.split("|")[1:-1]]
        if line.startswith("| ") and cells[2].startswith("`") and cells[2] != "`event_type`":
            promised = members.setdefault((cells[2].strip("`"), cells[3]), set())
            promised |= {name.split(".")[-1] for name in re.findall(r"`([^`]+)`", cells[4])}
    return members


def walk(store: Store) -> None:
    """Do everything that can be done in the store, once."""
    browser = store.browser()
    page = browser.get("/")
    browser.submit(page, "landing-button")
    other = store.browser()
    other.submit(other.get("/"), "landing-background")
    browser.get("/?category=Toys")
    browser.get(browser.get("/").one("desktop-nav-about-button")["href"])
    browser.get("/about")
    browser.submit(
        browser.get("/products/128745"), "add-to-cart", color="Navy", size="M", quantity="2"
    )
    browser.submit(browser.get("/products/128743"), "add-to-cart")
    browser.submit(browser.get("/cart"), "cart-item-update", quantity="1")
    browser.submit(browser.get("/cart"), "cart-item-update", quantity="5")
    browser.submit(browser.get("/cart"), "cart-item-remove")
    browser.get("/account/sign-up")
    browser.submit(
        browser.get("/account/sign-up"),
        "sign-up",
        name="Zoe Quark",
        email="zoe@example.com",
        phone="+1 212 555 0100",
    )
    browser.get("/account/welcome")
    browser.submit(browser.get("/cart"), "checkout")
    browser.submit(browser.get("/checkout"), "continue-to-payment")
    browser.submit(browser.get("/checkout"), "continue-to-review")
    placed = browser.submit(browser.get("/checkout"), "place-order")
    assert placed.location is not None
    browser.get(placed.location)
    browser.submit(browser.get("/account/profile"), "save-profile", name="Zoe Gluon")
    browser.get("/account")
    store.clock.forward(minutes=45)
    browser.get("/account")
    browser.submit(browser.get("/privacy"), "opt-out")
    browser.submit(browser.get("/privacy"), "opt-in")


def test_the_page_names_every_event_that_is_logged_and_no_other(store: Store) -> None:
    walk(store)

    logged = {(event.event_type, event.name) for event in store.events()}

    assert logged == documented()


def test_events_carry_what_the_page_promises(store: Store) -> None:
    walk(store)
    promised = documented_members()
    carried: dict[tuple[str, str], set[str]] = {}
    for event in store.events():
        carried.setdefault((event.event_type, event.name), set()).update(members(event.data))

    missing = {event: names - carried[event] for event, names in promised.items()}

    assert {event: names for event, names in missing.items() if names} == {}


def members(value: object) -> set[str]:
    """The names of all members, at any depth."""
    if isinstance(value, dict):
        return set(value) | {name for member in value.values() for name in members(member)}
    if isinstance(value, list):
        return {name for item in value for name in members(item)}
    return set()
