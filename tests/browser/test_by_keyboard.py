"""Everything works by keyboard alone, and one always sees where one is."""

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import NewShopper
from tests.browser.received_events import ReceivedEvents
from tests.browser.shopper import OPERATOR_TOKEN, TEE, Shopper
from tests.browser.store_process import StoreProcess

MOST_TABS = 120
ACTIVE = """() => {
    const element = document.activeElement;
    const box = element.getClientRects()[0];
    const top = document.elementFromPoint(box.left + box.width / 2, box.top + box.height / 2);
    const around = [element, element.parentElement, element.parentElement.parentElement];
    const styles = [...around.map((e) => getComputedStyle(e)), getComputedStyle(element, "::after")];
    return {
        testId: element.dataset.testid ?? "",
        href: element.getAttribute("href") ?? "",
        isMarked: styles.some((style) => style.outlineStyle === "solid"),
        isOnTop: top !== null && (element.contains(top) || top.contains(element)),
    };
}"""


@pytest.fixture
def shopper(new_shopper: NewShopper) -> Shopper:
    """Somebody who has asked for less motion, so that things are where they are at once."""
    return new_shopper(reduced_motion="reduce")


class Keyboard:
    """A shopper's hands on Tab, Enter, Space, arrows and letters."""

    def __init__(self, shopper: Shopper) -> None:
        self.shopper = shopper
        self.press = shopper.page.keyboard.press
        self.type = shopper.page.keyboard.type

    def tab_to(self, test_id: str = "", *, href: str = "") -> None:
        """Press Tab until it has the focus. Whatever has it on the way must be marked and uncovered."""
        for _ in range(MOST_TABS):
            self.press("Tab")
            active = self.shopper.page.evaluate(ACTIVE)
            where = f"{active} on {self.shopper.page.url}"
            assert active["isMarked"], f"nothing shows the focus: {where}"
            assert active["isOnTop"], f"something covers the focus: {where}"
            if (test_id and active["testId"] == test_id) or (href and active["href"] == href):
                return
        raise AssertionError(f"{test_id or href} cannot be reached by Tab")

    def go(self, test_id: str = "", *, href: str = "", key: str = "Enter") -> None:
        """Tab to a link or button, use it, and arrive."""
        self.tab_to(test_id, href=href)
        with self.shopper.page.expect_event("load"):
            self.press(key)

    def fill(self, test_id: str, text: str) -> None:
        """Tab to a field, which selects what is in it, and type."""
        self.tab_to(test_id)
        self.press("ControlOrMeta+A")
        self.type(text)


def test_the_whole_purchase(shopper: Shopper, received: ReceivedEvents) -> None:
    keyboard = Keyboard(shopper)
    shopper.open("/")
    expect(shopper.see("landing-button")).to_be_focused()
    with shopper.page.expect_response("**/welcome"):
        keyboard.press("Enter")
    mpid = shopper.mpid
    keyboard.go(href=f"/products/{TEE}")
    keyboard.tab_to("product-size")
    keyboard.type("M")
    expect(shopper.see("product-size")).to_have_value("M")
    keyboard.tab_to("product-quantity")
    keyboard.press("ArrowUp")
    expect(shopper.see("product-quantity")).to_have_value("2")
    keyboard.go("add-to-cart", key="Space")
    keyboard.go("go-to-cart")
    keyboard.fill("cart-item-quantity", "3")
    with shopper.page.expect_event("load"):
        keyboard.press("Enter")
    expect(shopper.see("cart-subtotal")).to_have_text("$24.00")
    keyboard.go("checkout")
    keyboard.fill("name", "Key Board")
    keyboard.go("continue-to-payment")
    keyboard.go("continue-to-review", key="Space")
    keyboard.go("place-order")
    assert shopper.order_number

    what = received.what_of(mpid)
    assert what.count("purchase") == 1
    (product,) = received.of(mpid)[what.index("purchase")].data["product_action"]["products"]
    assert (product["id"], product["quantity"]) == (TEE, 3)


def test_sign_up_profile_and_sign_out(shopper: Shopper) -> None:
    keyboard = Keyboard(shopper)
    shopper.open("/account")
    keyboard.go("create-account")
    keyboard.fill("signup-name", "Keys Only")
    keyboard.fill("signup-email", "keys.only@example.com")
    keyboard.tab_to("signup-marketing")
    keyboard.press("Space")
    expect(shopper.see("signup-marketing")).to_be_checked()
    keyboard.go("sign-up")
    keyboard.go("go-to-account")
    expect(shopper.see("account-email")).to_have_text("keys.only@example.com")
    keyboard.go("edit-profile")
    keyboard.fill("phone", "+1 212 555 0107")
    keyboard.go("save-profile")
    expect(shopper.see("account-phone")).to_have_text("+1 212 555 0107")
    keyboard.go("sign-out", key="Space")
    keyboard.fill("user-id", "keys.only@example.com")
    keyboard.fill("password", "higgs-boson")
    with shopper.page.expect_event("load"):
        keyboard.press("Enter")
    expect(shopper.see("account-name")).to_have_text("Keys Only")


def test_the_skip_link_leads_past_the_menu(shopper: Shopper) -> None:
    keyboard = Keyboard(shopper)
    shopper.open("/about")
    keyboard.tab_to(href="#main")
    keyboard.press("Enter")

    expect(shopper.page.locator("main")).to_be_focused()


def test_the_x_ray_bar_and_the_inbox(new_shopper: NewShopper, observed_store: StoreProcess) -> None:
    shopper = new_shopper(observed_store.address, reduced_motion="reduce")
    keyboard = Keyboard(shopper)
    shopper.open("/inbox")
    keyboard.fill("operator-token", OPERATOR_TOKEN)
    with shopper.page.expect_event("load"):
        keyboard.press("Enter")
    shopper.open("/about")
    bar = shopper.see("x-ray")
    shopper.page.locator("main").focus()
    summary = bar.locator("summary").first
    for _ in range(MOST_TABS):
        keyboard.press("Tab")
        if summary.evaluate("summary => summary === document.activeElement"):
            break
    keyboard.press("Space")
    expect(bar).to_have_attribute("open", "")
    keyboard.press("Space")
    expect(bar).not_to_have_attribute("open", "")
    observed_store.wait_until_delivered()
    shopper.open("/inbox")
    first = shopper.see("inbox-request").first.get_by_role("link").first
    keyboard.go(href=first.get_attribute("href") or "")
    expect(shopper.see("inbox-selected")).to_be_visible()


def test_a_workspace_is_made_and_removed(
    new_shopper: NewShopper, observed_store: StoreProcess
) -> None:
    shopper = new_shopper(observed_store.address, reduced_motion="reduce")
    shopper.open_inbox()
    keyboard = Keyboard(shopper)
    shopper.open("/workspaces")
    keyboard.fill("workspace-name", "by-keyboard")
    with shopper.page.expect_event("load"):
        keyboard.press("Enter")
    expect(shopper.see("workspace-id")).to_have_text("by-keyboard")
    keyboard.go("workspace-show-secret")
    expect(shopper.see("workspace-secret")).to_be_visible()
    keyboard.tab_to("workspace-strategy")
    keyboard.type("profile_l")
    keyboard.go("workspace-change", key="Space")
    expect(shopper.see("workspace-is-strategy")).to_have_text("profile_link")
    keyboard.go("workspace-remove")
    keyboard.go("workspace-forget", key="Space")
    expect(shopper.see("notice")).to_contain_text("by-keyboard is forgotten")
