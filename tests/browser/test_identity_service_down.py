"""Journey 7: the identity service goes away and comes back, and nobody is taken for anybody else."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import AUTHORIZATION, NewShopper, NewStore
from tests.browser.received_events import ReceivedEvents
from tests.browser.shopper import BOWL, Shopper
from tests.browser.store_process import StoreProcess, until
from tests.network_faults import BLACKHOLE, PASS, REFUSE, FaultProxy, Mode, Receiver


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """One of its own: the others' store does not post here."""
    with Receiver() as receiver:
        yield receiver


@pytest.fixture
def line(new_store: NewStore) -> Iterator[FaultProxy]:
    """The line to a remote identity service: another store's, by TCP."""
    with FaultProxy(new_store("identity").host) as line:
        yield line


@pytest.fixture
def store(new_store: NewStore, line: FaultProxy, receiver: Receiver) -> StoreProcess:
    """A store that asks over that line."""
    return new_store(
        "store",
        IDSYNC_URL=f"{line.url}/identity/v1",
        IDENTITY_BUDGET_SECONDS="0.5",
        WEBHOOK_URL=receiver.url,
        WEBHOOK_AUTHORIZATION=AUTHORIZATION,
    )


def looks_until_known(shopper: Shopper) -> None:
    """Come back to the page until the identity service's answer is there."""

    def is_settled() -> bool:
        shopper.page.reload()
        return shopper.see("identity-pending").count() == 0

    until(is_settled, "the identity service's answer", timeout_seconds=60.0)


@pytest.mark.parametrize("fault", [REFUSE, BLACKHOLE], ids=lambda mode: mode.name)
def test_who_came_while_it_was_down_is_the_same_person_from_the_first_event(
    fault: Mode, line: FaultProxy, new_shopper: NewShopper, received: ReceivedEvents
) -> None:
    line.mode = fault
    shopper = new_shopper()
    shopper.enter()
    shopper.is_seen_as("pending")
    expect(shopper.see("identity-pending")).to_be_visible()
    shopper.add_to_cart(BOWL)
    customer_id = shopper.sign_up("Pen Ding", "pen.ding@example.com")
    shopper.is_seen_as("pending")
    shopper.open_cart()
    order_number = shopper.check_out()
    assert received.mpids() == set()

    line.mode = PASS
    looks_until_known(shopper)

    shopper.is_seen_as("known")
    mpid = shopper.mpid
    events = received.of(mpid)
    assert received.mpids() == {mpid}
    what = [event.what for event in events]
    assert what[:4] == [
        "session_start",
        "screen_view Landing",
        "Product List Impression",
        "custom_event Landing Button Click",
    ]
    once = ("session_start", "add_to_cart", "custom_event Signed Up", "checkout", "purchase")
    assert [name for name in what if name in once] == list(once)
    purchase = events[what.index("purchase")]
    assert purchase.data["product_action"]["transaction_id"] == order_number
    assert purchase.identities["customer_id"] == customer_id


def test_nothing_is_filed_under_who_was_there_before(
    line: FaultProxy, new_shopper: NewShopper, received: ReceivedEvents
) -> None:
    shopper = new_shopper()
    shopper.enter()
    shopper.sign_up("Gone Before", "gone.before@example.com")
    before = shopper.mpid
    events_before = received.of(before)

    line.mode = REFUSE
    shopper.sign_out()
    shopper.is_seen_as("pending")
    shopper.open("/")
    shopper.look_at(BOWL)
    shopper.sign_up("Came After", "came.after@example.com")
    shopper.open("/about")
    expect(shopper.see("identity-pending")).to_contain_text("sign-in")
    line.mode = PASS
    looks_until_known(shopper)

    after = shopper.mpid
    assert after != before
    what_before = received.what_of(before)
    assert what_before == [event.what for event in events_before] + ["screen_view My Account"]
    events = received.of(after)
    assert {"view_detail", "custom_event Signed Up", "screen_view About"} <= {
        event.what for event in events
    }
    assert "gone.before@example.com" not in str([event.body for event in events])
    assert "came.after@example.com" not in str([event.body for event in received.of(before)])
