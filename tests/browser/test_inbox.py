"""The inbox as a receiver that people break on purpose, with and without JavaScript."""

import re

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import NewShopper, NewStore
from tests.browser.shopper import OPERATOR_TOKEN
from tests.browser.store_process import until


@pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "no-scripts"])
def test_what_was_refused_is_seen_and_comes_again(
    new_store: NewStore, new_shopper: NewShopper, *, scripts: bool
) -> None:
    store = new_store("store", OPERATOR_TOKEN=OPERATOR_TOKEN, WEBHOOK_RETRY_SECONDS="0,1,1,1,1")
    observer = new_shopper(store.address, java_script_enabled=scripts)
    observer.open_inbox()
    observer.see("inbox-preset").get_by_text("Fail 3 times").click()
    expect(observer.see("notice")).to_contain_text("The next 3 requests get 500")

    shopper = new_shopper(store.address)
    shopper.open("/about")
    store.wait_until_delivered()

    observer.open("/inbox")
    expect(observer.see("inbox-dial")).to_contain_text("the dial has run down")
    refused = observer.page.locator("[data-testid=inbox-request][data-status='500']")
    expect(refused).to_have_count(3)
    about = observer.see("inbox-request").filter(has_text="About")
    expect(about).to_have_attribute("data-status", "204")
    again = observer.see("inbox-request").filter(has_text="3rd attempt, 2 before, the same bytes")
    again.get_by_role("link").first.click()
    expect(observer.see("inbox-answer")).to_have_text("It got 500.")
    expect(observer.see("inbox-signature-reason")).to_contain_text("every byte")
    expect(observer.see("inbox-copy-curl")).to_be_visible(visible=scripts)

    observer.press("inbox-attempts")
    expect(observer.see("inbox-request")).to_have_count(4)


def test_every_button_breaks_the_receiver_and_nothing_is_lost(
    new_store: NewStore, new_shopper: NewShopper
) -> None:
    """In many ways, one after the other; whatever a sender met, its events arrive in the end."""
    store = new_store(
        "store",
        OPERATOR_TOKEN=OPERATOR_TOKEN,
        WEBHOOK_RETRY_SECONDS=",".join(["0"] + ["1"] * 29),
        WEBHOOK_TIMEOUT_SECONDS="0.5",
    )
    observer = new_shopper(store.address)
    observer.open_inbox()
    for label, got in (
        ("500 always", "500"),
        ("Fail once", "500"),
        ("Fail 3 times", "500"),
        ("Slow: 12 s", "204"),
        ("Drop the connection", "no answer, a closed connection"),
        ("503, Retry-After 60", "503 with Retry-After 60"),
    ):
        observer.open("/inbox")
        observer.see("inbox-preset").get_by_text(label, exact=True).click()
        count = int(observer.see("inbox-kept").get_attribute("data-count") or 0)
        shopper = new_shopper(store.address)
        shopper.open("/about")

        def has_come(before: int = count) -> bool:
            observer.open("/inbox")
            return int(observer.see("inbox-kept").get_attribute("data-count") or 0) > before

        until(has_come, f"a request, with {label}")
        observer.see("inbox-request").first.get_by_role("link").first.click()
        if not label.startswith("Fail"):
            expect(observer.see("inbox-answer")).to_contain_text(f"It got {got}")
        observer.open("/inbox")
        observer.see("inbox-preset").get_by_text("Answer 204").click()
        if label != "503, Retry-After 60":
            store.wait_until_delivered()


def test_the_list_is_kept_true_while_it_is_searched_and_read(
    new_store: NewStore, new_shopper: NewShopper
) -> None:
    store = new_store("store", OPERATOR_TOKEN=OPERATOR_TOKEN)
    observer = new_shopper(store.address)
    observer.open_inbox()
    address = observer.see("inbox-address").inner_text()
    expect(observer.see("inbox-empty")).to_be_visible()
    said = observer.page.locator("main > [role=status]").last

    observer.page.request.post(address, data="an orange")
    expect(observer.see("inbox-request")).to_have_count(1)
    expect(said).to_have_text(re.compile(r"A request without an event, no\. 1"))
    expect(observer.see("inbox-kept")).to_have_attribute("data-count", "1")

    # Whoever has the focus on a request, or is reading one, is not taken away from it.
    link = observer.see("inbox-request").get_by_role("link").first
    link.focus()
    href = link.get_attribute("href")
    observer.page.request.post(address, data="a pear")
    expect(observer.see("inbox-request")).to_have_count(2)
    assert observer.page.evaluate("document.activeElement.getAttribute('href')") == href
    observer.page.keyboard.press("Enter")
    expect(observer.see("inbox-body")).to_have_text("an orange")
    expect(observer.see("inbox-selected")).to_be_in_viewport(ratio=0.3)

    observer.see("inbox-search").fill("pear")
    observer.press("inbox-find")
    observer.see("inbox-search").fill("half typed")
    observer.page.request.post(address, data="an apple")
    observer.page.request.post(address, data="another pear")
    expect(observer.see("inbox-request")).to_have_count(2)
    expect(observer.see("inbox-search")).to_have_value("half typed")


def test_what_stands_still_is_read_where_it_was_though_more_comes_in_above(
    new_store: NewStore, new_shopper: NewShopper
) -> None:
    store = new_store("store", OPERATOR_TOKEN=OPERATOR_TOKEN)
    observer = new_shopper(store.address)
    observer.open_inbox()
    address = observer.see("inbox-address").inner_text()
    for number in range(30):
        observer.page.request.post(address, data=f"request {number}")
    expect(observer.see("inbox-request")).to_have_count(30)
    read = observer.see("inbox-request").filter(has_text="no. 5 ")
    read.scroll_into_view_if_needed()
    before = read.bounding_box()

    observer.page.request.post(address, data="one more")
    expect(observer.see("inbox-request")).to_have_count(31)
    after = read.bounding_box()
    assert before is not None
    assert after is not None
    assert abs(after["y"] - before["y"]) < 2


def test_whoever_turns_the_dial_by_keyboard_is_still_at_it(
    new_store: NewStore, new_shopper: NewShopper
) -> None:
    store = new_store("store", OPERATOR_TOKEN=OPERATOR_TOKEN)
    observer = new_shopper(store.address, reduced_motion="reduce")
    observer.open_inbox()
    once = observer.page.locator("button[value=once]")
    once.focus()
    with observer.page.expect_event("load"):
        observer.page.keyboard.press("Enter")
    expect(observer.page.locator("#dial")).to_be_focused()
    expect(observer.see("inbox-dial")).to_be_in_viewport()
    observer.page.keyboard.press("Tab")
    expect(observer.see("inbox-preset").first).to_be_focused()

    # It counts down under one's eyes, and says so.
    observer.page.request.post(observer.see("inbox-address").inner_text(), data="{}")
    expect(observer.see("inbox-dial")).to_contain_text("the dial has run down")
    expect(once).not_to_have_attribute("aria-pressed", "true")
    expect(observer.see("inbox-preset").first).to_be_focused()


def test_an_inbox_of_ones_own_is_posted_to_searched_and_forgotten(
    new_store: NewStore, new_shopper: NewShopper
) -> None:
    store = new_store("store", OPERATOR_TOKEN=OPERATOR_TOKEN)
    observer = new_shopper(store.address)
    observer.open_inbox()
    observer.press("inbox-all")
    observer.see("inbox-name").fill("Billing")
    observer.press("inbox-add")
    address = observer.see("inbox-address").inner_text()
    for body in ("an orange", "a pear"):
        assert observer.page.request.post(address, data=body).status == 204

    observer.see("inbox-search").fill("ORANGE")
    observer.press("inbox-find")
    expect(observer.see("inbox-request")).to_have_count(1)
    observer.see("inbox-request").get_by_role("link").first.click()
    expect(observer.see("inbox-body")).to_have_text("an orange")
    observer.press("inbox-remove-one")
    observer.press("inbox-forget")
    expect(observer.see("inbox-kept")).to_have_attribute("data-count", "1")
    observer.press("inbox-remove")
    observer.press("inbox-forget")
    expect(observer.see("notice")).to_contain_text("Billing is forgotten")
    assert observer.page.request.post(address, data="late").status == 404
