"""The store goes away in the middle of a visit and comes back: cart, sign-in and order are still there."""

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import AUTHORIZATION, NewShopper, NewStore
from tests.browser.received_events import ReceivedEvents
from tests.browser.shopper import BOWL, TEE
from tests.browser.store_process import StoreProcess
from tests.network_faults import Receiver


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """One of its own: the others' store does not post here."""
    with Receiver() as receiver:
        yield receiver


@pytest.fixture
def store(new_store: NewStore, receiver: Receiver) -> StoreProcess:
    """A store to be restarted."""
    return new_store("store", WEBHOOK_URL=receiver.url, WEBHOOK_AUTHORIZATION=AUTHORIZATION)


@pytest.mark.parametrize("end", [StoreProcess.stop, StoreProcess.kill], ids=["stopped", "killed"])
def test_a_visit_survives_a_restart(
    end: Callable[[StoreProcess], None],
    store: StoreProcess,
    new_shopper: NewShopper,
    received: ReceivedEvents,
) -> None:
    shopper = new_shopper()
    shopper.enter()
    mpid = shopper.mpid
    customer_id = shopper.sign_up("Re Start", "re.start@example.com")
    shopper.open("/")
    shopper.add_to_cart(BOWL)
    shopper.press("back-to-shop")
    shopper.add_to_cart(TEE, size="XL")
    shopper.open_cart()
    shopper.go_to_review()

    shopper.watch.is_strict = False
    end(store)
    store.start()
    # The page from before the restart still works: its form is one that this visit was given.
    shopper.press("place-order")
    shopper.watch.is_strict = True
    order_number = shopper.order_number

    assert shopper.mpid == mpid
    shopper.is_seen_as("known")
    shopper.open("/account")
    expect(shopper.see("customer-id")).to_have_text(customer_id)
    expect(shopper.see("account-order")).to_contain_text(order_number)
    what = received.what_of(mpid)
    assert what.count("session_start") == 1
    assert what.count("purchase") == 1
    assert received.mpids() == {mpid}
