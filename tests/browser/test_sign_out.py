"""Journey 3: whoever signs out leaves; what happens next is somebody else's."""

from playwright.sync_api import expect

from tests.browser.received_events import ReceivedEvents
from tests.browser.shopper import BOWL, Shopper


def test_after_sign_out_nothing_more_arrives_under_the_old_mpid(
    shopper: Shopper, received: ReceivedEvents
) -> None:
    shopper.enter()
    shopper.sign_up("Lea Ving", "lea.ving@example.com")
    known = shopper.mpid
    shopper.open("/")
    shopper.add_to_cart(BOWL)
    shopper.sign_out()
    events_of_known = received.of(known)

    anonymous = shopper.mpid
    assert anonymous != known
    shopper.is_seen_as("anonymous")
    expect(shopper.see("cart-count")).to_have_text("0")
    shopper.open("/about")
    shopper.open("/")
    shopper.look_at(BOWL)

    assert received.of(known) == events_of_known
    assert events_of_known[-1].what == "screen_view My Account"
    events = received.of(anonymous)
    assert [event.what for event in events] == [
        "screen_view My Account",
        "screen_view About",
        "screen_view Landing",
        "Product List Impression",
        "view_detail",
    ]
    assert all(event.identities == {} for event in events)
    assert all(event.body["user_attributes"] == {} for event in events)
    # Signing in and out happens within a session, it does not end one.
    assert {event.session_uuid for event in events} == {events_of_known[0].session_uuid}


def test_a_page_of_the_old_session_cannot_act_after_sign_out(shopper: Shopper) -> None:
    shopper.enter()
    shopper.sign_up("Sta Lepage", "sta.lepage@example.com")
    stale = shopper.another_tab()
    stale.open("/account/profile")
    shopper.sign_out()
    stale.see("name").fill("Some Body Else")
    stale.press("save-profile")

    expect(stale.see("error-page")).to_have_attribute("data-status", "400")
    shopper.sign_in("sta.lepage@example.com")
    expect(shopper.see("account-name")).to_have_text("Sta Lepage")
