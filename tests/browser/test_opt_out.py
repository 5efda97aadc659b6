"""Whoever opts out leaves no track, and whoever changes their mind is tracked from then on."""

from playwright.sync_api import expect

from tests.browser.received_events import ReceivedEvents
from tests.browser.shopper import BOWL, Shopper


def test_nothing_arrives_after_the_opt_out_until_the_opt_in(
    shopper: Shopper, received: ReceivedEvents
) -> None:
    shopper.enter()
    mpid = shopper.mpid
    shopper.opt_out()
    expect(shopper.see("footer-privacy")).to_contain_text("opted out")
    events = received.of(mpid)
    assert [event.what for event in events[-2:]] == ["screen_view Privacy", "opt_out"]
    assert events[-1].data["is_opted_out"] is True

    shopper.open("/")
    shopper.add_to_cart(BOWL)
    shopper.open_cart()
    order_number = shopper.check_out()
    assert order_number
    shopper.sign_up("Pri Vate", "pri.vate@example.com")
    shopper.sign_out()
    shopper.sign_in("pri.vate@example.com")
    assert received.of(mpid) == events
    assert received.mpids() == {mpid}

    shopper.opt_in()
    shopper.press("footer-about")

    assert received.what_of(mpid)[len(events) :] == [
        "session_start",
        "opt_out",
        "screen_view Privacy",
        "screen_view About",
    ]
    opt_in = received.of(mpid)[len(events) + 1]
    assert opt_in.data["is_opted_out"] is False
    assert opt_in.session_uuid != events[0].session_uuid
