"""Journey 1: somebody looks around, buys as a guest, and stays anonymous."""

from tests.browser.received_events import ReceivedEvents
from tests.browser.shopper import BOWL, TEE, Shopper


def test_a_guest_buys_and_every_step_arrives_once_in_order(
    shopper: Shopper, received: ReceivedEvents
) -> None:
    shopper.enter()
    mpid = shopper.mpid
    shopper.is_seen_as("anonymous")
    shopper.add_to_cart(TEE, quantity=2, size="M")
    shopper.press("back-to-shop")
    shopper.add_to_cart(BOWL)
    shopper.open_cart()
    order_number = shopper.check_out()

    assert shopper.mpid == mpid
    shopper.is_seen_as("anonymous")
    events = received.of(mpid)
    assert [event.what for event in events] == [
        "session_start",
        "screen_view Landing",
        "Product List Impression",
        "custom_event Landing Button Click",
        "view_detail",
        "add_to_cart",
        "view_detail",
        "screen_view Landing",
        "Product List Impression",
        "view_detail",
        "add_to_cart",
        "view_detail",
        "custom_event Navbar Click",
        "screen_view View My Cart",
        "checkout",
        "screen_view Checkout",
        "checkout_option",
        "screen_view Checkout",
        "checkout_option",
        "screen_view Checkout",
        "purchase",
        "screen_view Order Confirmation",
    ]
    assert [event.session_sequence for event in events] == list(range(1, len(events) + 1))
    assert {event.mpid for event in events} == received.mpids()

    purchase = next(event for event in events if event.what == "purchase")
    assert purchase.data["currency_code"] == "USD"
    action = purchase.data["product_action"]
    assert action["transaction_id"] == order_number
    # 2 x 8.00 + 28.00; 15 % of it for shipping, 8.875 % for tax, each rounded to a cent.
    assert action["shipping_amount"] == 6.6
    assert action["tax_amount"] == 3.91
    assert action["total_amount"] == 54.51
    tee, bowl = action["products"]
    assert (tee["id"], tee["quantity"], tee["price"], tee["total_product_amount"]) == (
        TEE,
        2,
        8,
        16,
    )
    assert tee["custom_attributes"] == {"color": "Dark Grey Heather", "size": "M"}
    assert (bowl["id"], bowl["quantity"], bowl["total_product_amount"]) == (BOWL, 1, 28)
    # A guest's e-mail is a field of the order, never an identity.
    assert all(event.identities == {} for event in events)
    assert all("grace.field@example.net" not in str(event.body) for event in events)
