"""The x-ray bar and the inbox: what the store noted, where it went, and looking that leaves no track."""

import re

from playwright.sync_api import expect

from tests.browser.conftest import NewShopper
from tests.browser.received_events import ReceivedEvents
from tests.browser.shopper import BOWL, Shopper
from tests.browser.store_process import StoreProcess


def test_the_bar_follows_a_pages_events_to_their_delivery(
    shopper: Shopper, received: ReceivedEvents
) -> None:
    shopper.enter()
    shopper.look_at(BOWL)
    mpid = shopper.mpid
    bar = shopper.see("x-ray")
    bar.locator("summary").first.click()

    newest = shopper.see("x-ray-event").filter(has_text="view_detail")
    expect(newest).to_have_attribute("data-delivery", "delivered")
    expect(newest).to_contain_text("higgs_shop/pages/product.py")
    newest.get_by_text("Logged by").click()
    expect(newest.locator(".the-line")).to_contain_text('step.product_action("view_detail"')
    call = shopper.see("x-ray-call").first
    expect(call).to_have_attribute("data-action", "identify")
    expect(call).to_have_attribute("data-state", "done")
    assert received.what_of(mpid)[-1] == "view_detail"


def test_an_open_bar_covers_nothing_for_good_and_stays_open(shopper: Shopper) -> None:
    shopper.enter()
    bar = shopper.see("x-ray")
    bar.locator("summary").first.click()
    shopper.press("footer-about")

    expect(bar).to_have_attribute("open", "")


def test_looking_logs_nothing(shopper: Shopper, received: ReceivedEvents) -> None:
    shopper.open("/about")
    mpid = shopper.mpid
    for _ in range(2):
        shopper.open("/x-ray")
        shopper.open("/inbox")

    assert shopper.mpid == mpid
    assert received.what_of(mpid) == ["session_start", "screen_view About"]


def test_the_inbox_shows_each_event_with_a_valid_signature(
    observed_store: StoreProcess, new_shopper: NewShopper
) -> None:
    shopper = new_shopper(observed_store.address)
    shopper.open("/about")
    mpid = shopper.mpid
    observed_store.wait_until_delivered()
    shopper.open_inbox()
    rows = shopper.see("inbox-request").filter(has_text=mpid[-6:])

    expect(rows).to_have_count(2)
    expect(rows.filter(has_text="About")).to_have_attribute("data-signature", "valid")
    rows.get_by_role("link", name="About").click()
    expect(shopper.see("inbox-body")).to_contain_text(f'"mpid": {mpid}')
    expect(shopper.see("inbox-selected")).to_contain_text(
        re.compile("webhook-signature", re.IGNORECASE)
    )
