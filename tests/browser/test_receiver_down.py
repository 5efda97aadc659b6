"""Journey 8: the receiver goes away and comes back: every event once, in order, byte for byte."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import AUTHORIZATION, NewShopper, NewStore
from tests.browser.received_events import ReceivedEvents
from tests.browser.shopper import BOWL
from tests.browser.store_process import StoreProcess
from tests.network_faults import PASS, REFUSE, FaultProxy, Received, Receiver, Reply, cut_after


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """One of its own, to be cut off."""
    with Receiver() as receiver:
        yield receiver


@pytest.fixture
def line(receiver: Receiver) -> Iterator[FaultProxy]:
    """The line to the receiver."""
    with FaultProxy(receiver.address) as line:
        yield line


@pytest.fixture
def store(new_store: NewStore, line: FaultProxy) -> StoreProcess:
    """A store that posts over that line and tries again every second."""
    return new_store(
        "store",
        WEBHOOK_URL=line.url,
        WEBHOOK_AUTHORIZATION=AUTHORIZATION,
        WEBHOOK_RETRY_SECONDS=",".join(["0"] + ["1"] * 29),
    )


def test_shopping_goes_on_and_every_event_arrives_once_in_order(
    line: FaultProxy, receiver: Receiver, new_shopper: NewShopper, received: ReceivedEvents
) -> None:
    shopper = new_shopper()
    shopper.enter()
    mpid = shopper.mpid
    received.wait_for(mpid, "custom_event Landing Button Click")
    line.mode = REFUSE
    shopper.add_to_cart(BOWL)
    shopper.open_cart()
    shopper.check_out()
    shopper.open("/")
    assert "add_to_cart" not in {event.what for event in received.arrived(mpid)}

    line.mode = PASS
    what = received.what_of(mpid)

    assert [name for name in what if not name.startswith("screen_view Checkout")] == [
        "session_start",
        "screen_view Landing",
        "Product List Impression",
        "custom_event Landing Button Click",
        "view_detail",
        "add_to_cart",
        "view_detail",
        "custom_event Navbar Click",
        "screen_view View My Cart",
        "checkout",
        "checkout_option",
        "checkout_option",
        "purchase",
        "screen_view Order Confirmation",
        "screen_view Landing",
        "Product List Impression",
    ]
    assert len(receiver.requests) == len(what)


def test_an_attempt_whose_answer_is_lost_is_repeated_byte_for_byte(
    line: FaultProxy, new_shopper: NewShopper, received: ReceivedEvents
) -> None:
    line.mode = cut_after(5)
    shopper = new_shopper()
    shopper.open("/about")
    mpid = shopper.mpid
    received.wait_for(mpid, "session_start")
    shopper.open("/about")
    line.mode = PASS

    what = received.what_of(mpid)

    assert what == ["session_start", "screen_view About", "screen_view About"]
    bodies = received.attempts(lambda event: event.what == "session_start")
    assert len(bodies) > 1
    assert len(set(bodies)) == 1


def test_what_the_receiver_refuses_is_tried_again_and_holds_up_nobody_else(
    receiver: Receiver, new_shopper: NewShopper, received: ReceivedEvents
) -> None:
    unlucky, lucky = new_shopper(), new_shopper()
    unlucky.open("/about")
    mpid = unlucky.mpid
    received.wait_for(mpid, "screen_view About")

    def refuse_the_unlucky(request: Received) -> Reply:
        return Reply(503 if f'"mpid":{mpid}'.encode() in request.body else 200)

    receiver.answer = refuse_the_unlucky
    unlucky.open("/")
    lucky.open("/about")
    received.wait_for(lucky.mpid, "screen_view About")
    expect(unlucky.see("x-ray-event").first).to_be_attached()
    receiver.answer = lambda _: Reply()

    assert received.what_of(mpid) == [
        "session_start",
        "screen_view About",
        "screen_view Landing",
        "Product List Impression",
    ]
