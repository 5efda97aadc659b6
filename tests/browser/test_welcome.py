"""The welcome: once a visitor, in a dialog that can be left in each of the usual ways."""

from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from tests.browser.received_events import ReceivedEvents
from tests.browser.shopper import Shopper


def press_the_button(shopper: Shopper) -> None:
    """The one that it shows."""
    shopper.see("landing-button").click()


def click_beside_it(shopper: Shopper) -> None:
    """In the corner of the window."""
    shopper.see("landing-background").click(position={"x": 5, "y": 5})


def press_escape(shopper: Shopper) -> None:
    """As one leaves any dialog."""
    shopper.page.keyboard.press("Escape")


@pytest.mark.parametrize(
    ("leave", "event"),
    [
        (press_the_button, "custom_event Landing Button Click"),
        (click_beside_it, "custom_event Landing Modal Background Click"),
        (press_escape, "custom_event Landing Modal Background Click"),
    ],
)
def test_the_welcome_is_answered_once(
    leave: Callable[[Shopper], None], event: str, shopper: Shopper, received: ReceivedEvents
) -> None:
    shopper.open("/")
    dialog = shopper.page.get_by_role("dialog")
    expect(dialog).to_be_visible()
    expect(shopper.see("landing-button")).to_be_focused()
    with shopper.page.expect_response("**/welcome"):
        leave(shopper)
    expect(dialog).to_be_hidden()
    shopper.page.reload()

    expect(dialog).to_have_count(0)
    landing = ["screen_view Landing", "Product List Impression"]
    assert received.what_of(shopper.mpid) == ["session_start", *landing, event, *landing]
