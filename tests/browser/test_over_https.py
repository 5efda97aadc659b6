"""`run --tls`: the same journey over https, cookies, forms, x-ray and inbox included."""

from playwright.sync_api import expect

from tests.browser.conftest import NewShopper, NewStore
from tests.browser.shopper import BOWL, OPERATOR_TOKEN


def test_a_purchase_over_https_reaches_the_stores_own_inbox(
    new_store: NewStore, new_shopper: NewShopper
) -> None:
    store = new_store("over-https", "--tls", OPERATOR_TOKEN=OPERATOR_TOKEN)
    shopper = new_shopper(store.address, ignore_https_errors=True)
    shopper.enter()
    mpid = shopper.mpid
    shopper.add_to_cart(BOWL)
    shopper.sign_up("Nova Quark", "nova.quark@example.com")
    shopper.open_cart()
    order_number = shopper.check_out()
    assert shopper.mpid == mpid
    assert shopper.page.url == f"{store.address}/orders/{order_number}"
    store.wait_until_delivered()

    shopper.open_inbox()
    rows = shopper.see("inbox-request").filter(has_text=mpid[-6:])
    expect(rows.filter(has_text="purchase")).to_have_attribute("data-signature", "valid")
    rows.get_by_role("link", name="purchase").click()
    expect(shopper.see("inbox-body")).to_contain_text(order_number)
    shopper.open("/x-ray")
    expect(shopper.see("x-ray-event").filter(has_text="purchase")).to_have_attribute(
        "data-delivery", "delivered"
    )
    cookies = {cookie["name"]: cookie for cookie in shopper.page.context.cookies()}
    assert set(cookies) == {"__Host-higgs_visit", "__Host-higgs_device", "__Host-higgs_operator"}
    assert all(cookie["secure"] for cookie in cookies.values())
