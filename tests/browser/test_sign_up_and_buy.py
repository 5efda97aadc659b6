"""Journey 2: from anonymous to known without a break, and the purchase under the same MPID."""

from tests.browser.received_events import ReceivedEvents
from tests.browser.shopper import BOWL, Shopper


def test_who_signs_up_keeps_the_mpid_of_the_first_page(
    shopper: Shopper, received: ReceivedEvents
) -> None:
    shopper.enter()
    mpid = shopper.mpid
    shopper.add_to_cart(BOWL)
    customer_id = shopper.sign_up("Nova Quark", "nova.quark@example.com", phone="+1 212 555 0100")

    assert shopper.mpid == mpid
    shopper.is_seen_as("known")
    shopper.open_cart()
    order_number = shopper.check_out()

    assert shopper.mpid == mpid
    assert received.mpids() == {mpid}
    events = received.of(mpid)
    assert [event.what for event in events] == [
        "session_start",
        "screen_view Landing",
        "Product List Impression",
        "custom_event Landing Button Click",
        "view_detail",
        "add_to_cart",
        "view_detail",
        "screen_view Sign Up",
        "name set",
        "wants_marketing set",
        "customer_id changed",
        "email changed",
        "mobile_number changed",
        "screen_view Welcome",
        "custom_event Signed Up",
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
    before = events[: [event.what for event in events].index("name set")]
    assert all(event.identities == {} for event in before)
    purchase = events[-2]
    assert purchase.identities == {
        "customer_id": customer_id,
        "email": "nova.quark@example.com",
        "mobile_number": "+1 212 555 0100",
    }
    assert purchase.body["user_attributes"] == {"name": "Nova Quark", "wants_marketing": False}
    assert purchase.data["product_action"]["transaction_id"] == order_number


def test_the_sign_up_is_logged_once_however_often_the_welcome_is_seen(
    shopper: Shopper, received: ReceivedEvents
) -> None:
    shopper.enter()
    shopper.sign_up("Reel Oader", "reel.oader@example.com")
    mpid = shopper.mpid
    shopper.page.reload()
    shopper.page.reload()

    what = received.what_of(mpid)
    assert what.count("screen_view Welcome") == 3
    assert what.count("custom_event Signed Up") == 1
