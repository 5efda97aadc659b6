"""Everything works without JavaScript: it is made of links and forms."""

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import NewShopper
from tests.browser.received_events import ReceivedEvents
from tests.browser.shopper import BOWL, TEE, Shopper
from tests.browser.store_process import StoreProcess


@pytest.fixture
def shopper(new_shopper: NewShopper) -> Shopper:
    """Somebody whose browser runs no scripts."""
    return new_shopper(java_script_enabled=False)


def test_the_whole_purchase(shopper: Shopper, received: ReceivedEvents) -> None:
    shopper.open("/")
    shopper.press("landing-button")
    expect(shopper.see("landing-button")).to_have_count(0)
    mpid = shopper.mpid
    shopper.look_at(TEE)
    # What is wrong is said at the field, and what was right is kept.
    shopper.page.get_by_label("Quantity").fill("100")
    shopper.press("add-to-cart")
    expect(shopper.see("product-size-error")).to_be_visible()
    expect(shopper.see("product-quantity-error")).to_be_visible()
    shopper.choose(quantity=2, size="S")
    shopper.press("add-to-cart")
    shopper.press("go-to-cart")
    shopper.page.get_by_label("Quantity").fill("4")
    shopper.press("cart-item-update")
    expect(shopper.see("cart-subtotal")).to_have_text("$32.00")
    order_number = shopper.check_out()

    what = received.what_of(mpid)
    assert "custom_event Landing Button Click" in what
    assert what.count("add_to_cart") == 2
    assert what.count("purchase") == 1
    purchase = received.of(mpid)[what.index("purchase")]
    assert purchase.data["product_action"]["transaction_id"] == order_number


def test_sign_up_profile_and_sign_out(shopper: Shopper, received: ReceivedEvents) -> None:
    shopper.open("/about")
    mpid = shopper.mpid
    customer_id = shopper.sign_up("No Script", "no.script@example.com")
    shopper.edit_profile(name="Still None", email="still.none@example.com")
    expect(shopper.see("account-name")).to_have_text("Still None")
    shopper.sign_out()
    assert shopper.mpid != mpid
    shopper.sign_in(customer_id)

    assert shopper.mpid == mpid
    assert received.of(mpid)[-1].identities["email"] == "still.none@example.com"


def test_emptying_the_cart(shopper: Shopper, received: ReceivedEvents) -> None:
    shopper.open(f"/products/{BOWL}")
    shopper.press("add-to-cart")
    shopper.press("go-to-cart")
    shopper.press("cart-item-remove")
    expect(shopper.see("cart-empty")).to_be_visible()

    assert received.what_of(shopper.mpid).count("remove_from_cart") == 1


def test_the_x_ray_bar_opens_and_so_does_its_page(shopper: Shopper) -> None:
    shopper.open(f"/products/{BOWL}")
    bar = shopper.see("x-ray")
    event = shopper.see("x-ray-event").filter(has_text="view_detail")
    expect(event).to_be_hidden()
    bar.locator("summary").first.click()
    expect(event).to_be_visible()
    expect(shopper.see("x-ray-call")).to_have_attribute("data-action", "identify")

    shopper.open("/x-ray")
    expect(shopper.see("x-ray-event").filter(has_text="view_detail").first).to_be_visible()


def test_the_inbox(observed_store: StoreProcess, new_shopper: NewShopper) -> None:
    shopper = new_shopper(observed_store.address, java_script_enabled=False)
    shopper.open("/about")
    mpid = shopper.mpid
    observed_store.wait_until_delivered()
    shopper.open_inbox()
    row = shopper.see("inbox-request").filter(has_text=mpid[-6:]).filter(has_text="About")
    expect(row).to_have_attribute("data-signature", "valid")
    row.get_by_role("link").first.click()

    expect(shopper.see("inbox-body")).to_contain_text(mpid)
