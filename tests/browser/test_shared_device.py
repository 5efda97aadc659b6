"""Journey 6: two people on one device never mix."""

from tests.browser.received_events import ReceivedEvents
from tests.browser.shopper import BOWL, TEE, Shopper


def test_two_people_on_one_device_never_mix(shopper: Shopper, received: ReceivedEvents) -> None:
    shopper.enter()
    ada_id = shopper.sign_up("Ada Shares", "ada.shares@example.com")
    ada = shopper.mpid
    shopper.open("/")
    shopper.add_to_cart(BOWL)
    shopper.sign_out()
    nobody = shopper.mpid
    shopper.open("/")
    shopper.look_at(TEE)

    sam_id = shopper.sign_up("Sam Shares", "sam.shares@example.com")
    sam = shopper.mpid
    shopper.open("/")
    shopper.add_to_cart(TEE, size="S")
    shopper.open_cart()
    sams_order = shopper.check_out()
    shopper.sign_out()
    nobody_again = shopper.mpid

    shopper.sign_in("ada.shares@example.com")
    assert shopper.mpid == ada
    shopper.open_cart()
    adas_order = shopper.check_out()

    # Profile conversion: whoever was nobody before became Sam. Nobody afterwards is nobody new.
    assert nobody == sam
    assert len({ada, sam, nobody_again}) == 3
    assert received.mpids() == {ada, sam, nobody_again}
    for mpid, customer_id, email, order_number, product_id in (
        (ada, ada_id, "ada.shares@example.com", adas_order, BOWL),
        (sam, sam_id, "sam.shares@example.com", sams_order, TEE),
    ):
        events = received.of(mpid)
        (purchase,) = [event for event in events if event.what == "purchase"]
        assert purchase.data["product_action"]["transaction_id"] == order_number
        (product,) = purchase.data["product_action"]["products"]
        assert product["id"] == product_id
        seen = {(name, value) for event in events for name, value in event.identities.items()}
        assert seen == {("customer_id", customer_id), ("email", email)}
    assert all(event.identities == {} for event in received.of(nobody_again))
    # Each sees their own orders only.
    shopper.open("/account")
    assert shopper.see("account-order").count() == 1
    shopper.open(f"/orders/{sams_order}")
    assert shopper.see("error-page").get_attribute("data-status") == "404"
