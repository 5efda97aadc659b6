"""Journey 4: whoever comes back, on any device, is who they were."""

from playwright.sync_api import expect

from tests.browser.conftest import NewShopper
from tests.browser.received_events import ReceivedEvents
from tests.browser.shopper import BOWL, TEE, Shopper


def test_signing_in_again_brings_the_first_mpid_back(
    shopper: Shopper, received: ReceivedEvents
) -> None:
    shopper.enter()
    first = shopper.mpid
    customer_id = shopper.sign_up("Back Again", "back.again@example.com")
    shopper.sign_out()
    between = shopper.mpid
    assert between != first

    shopper.sign_in(customer_id)

    assert shopper.mpid == first
    shopper.is_seen_as("known")
    assert received.mpids() == {first, between}


def test_a_second_browser_finds_the_same_person_and_the_same_cart(
    shopper: Shopper, new_shopper: NewShopper, received: ReceivedEvents
) -> None:
    shopper.enter()
    shopper.sign_up("Two Devices", "two.devices@example.com")
    mpid = shopper.mpid
    shopper.open("/")
    shopper.add_to_cart(BOWL, quantity=2)

    elsewhere = new_shopper()
    elsewhere.enter()
    stranger = elsewhere.mpid
    assert stranger != mpid
    elsewhere.add_to_cart(BOWL, quantity=3)
    elsewhere.press("back-to-shop")
    elsewhere.add_to_cart(TEE, size="L")
    elsewhere.sign_in("two.devices@example.com")

    assert elsewhere.mpid == mpid
    expect(elsewhere.see("cart-count")).to_have_text("6")
    elsewhere.open_cart()
    elsewhere.check_out()

    events = received.of(mpid)
    assert len({event.session_uuid for event in events}) == 2
    assert [event.what for event in events if event.what in {"add_to_cart", "purchase"}] == [
        "add_to_cart",
        "purchase",
    ]
    purchase = next(event for event in events if event.what == "purchase")
    assert purchase.identities["email"] == "two.devices@example.com"
    assert [
        (product["id"], product["quantity"])
        for product in purchase.data["product_action"]["products"]
    ] == [(BOWL, 5), (TEE, 1)]
    # What was done there before is the anonymous person's, and stays so.
    assert received.what_of(stranger).count("add_to_cart") == 2
    # The first browser sees the order, and an empty cart.
    shopper.open("/account")
    expect(shopper.see("account-order")).to_have_count(1)
    expect(shopper.see("cart-count")).to_have_text("0")
