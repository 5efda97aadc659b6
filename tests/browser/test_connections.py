"""The receiver is broken in five ways on the inbox page, and the connections page tells the truth."""

import pytest
from playwright.sync_api import Locator, expect

from tests.browser.conftest import NewShopper, NewStore
from tests.browser.shopper import Shopper
from tests.browser.store_process import StoreProcess, until


@pytest.fixture
def store(new_store: NewStore) -> StoreProcess:
    """A store that posts to its own inbox, waits a second for its answers, and tries again soon."""
    return new_store(
        "store",
        WEBHOOK_TIMEOUT_SECONDS="1",
        WEBHOOK_RETRY_SECONDS=",".join(["0"] + ["3"] * 29),
    )


@pytest.fixture
def observer(store: StoreProcess, new_shopper: NewShopper) -> Shopper:
    """Somebody who keeps the page of connections open."""
    observer = new_shopper(store.address)
    observer.open("/connections")
    return observer


@pytest.fixture
def inbox(observer: Shopper) -> Shopper:
    """The same person, at the inbox in another tab."""
    return observer.another_tab()


@pytest.fixture
def shopper(store: StoreProcess, new_shopper: NewShopper) -> Shopper:
    """Somebody in the shop, of whom there is something to tell."""
    shopper = new_shopper(store.address)
    shopper.open("/about")
    return shopper


def turn(inbox: Shopper, preset: str) -> None:
    """Have the inbox answer so from now on."""
    inbox.open("/inbox")
    with inbox.page.expect_event("load"):
        inbox.page.locator(f"button[value={preset}]").click()


def stands(observer: Shopper, state: str) -> Locator:
    """The card says so by itself, without being loaded again. Returns its newest attempt."""
    expect(observer.see("connection")).to_have_attribute("data-state", state)
    return observer.see("connection-attempt").first


def test_whatever_the_receiver_does_is_told_at_once(
    observer: Shopper, inbox: Shopper, shopper: Shopper
) -> None:
    expect(stands(observer, "running")).to_have_attribute("data-status", "204")

    turn(inbox, "failing")
    shopper.open("/about")
    expect(stands(observer, "failing")).to_have_attribute("data-status", "500")
    expect(observer.see("connection-waiting")).not_to_have_text("0")

    turn(inbox, "dropping")
    expect(stands(observer, "failing")).to_contain_text("the connection broke")

    turn(inbox, "slow")
    expect(stands(observer, "failing")).to_contain_text("no complete answer before the deadline")

    # An inbox that holds too many answers back already gives others at once.
    turn(inbox, "gone")
    shopper.open("/about")
    stands(observer, "paused")
    expect(observer.see("connection-pause-reason")).to_contain_text("410 Gone")

    turn(inbox, "usual")
    expect(observer.see("connection")).to_have_attribute("data-state", "paused")
    observer.press("connection-link")
    observer.press("connection-resume")
    expect(observer.see("connection-state")).to_have_attribute("data-state", "running")
    expect(observer.see("connection-waiting")).to_have_attribute("data-count", "0")
    expect(observer.see("connection-dead")).to_have_attribute("data-count", "0")


def test_what_is_refused_is_given_up_and_can_be_delivered_again(
    observer: Shopper, inbox: Shopper, shopper: Shopper
) -> None:
    expect(observer.see("connection-delivered")).to_have_attribute("data-count", "2")
    inbox.open("/inbox")
    inbox.see("inbox-dial-exactly").locator("summary").click()
    inbox.see("inbox-dial-status").fill("422")
    inbox.see("inbox-dial-times").fill("5")
    inbox.press("inbox-dial-set")
    shopper.open("/about")
    expect(observer.see("connection-dead")).to_have_attribute("data-count", "1")

    observer.press("connection-dead")
    expect(observer.see("delivery")).to_have_attribute("data-sequence", "3")
    observer.press("deliveries-replay")
    expect(observer.see("replay-count")).to_contain_text("1")
    observer.press("replay-start")
    expect(observer.see("replay-done")).to_have_attribute("data-done", "1")
    expect(observer.see("replay-delivered")).to_have_text("1")


@pytest.mark.parametrize("with_scripts", [True, False], ids=["scripts", "no_scripts"])
def test_what_became_of_a_test_event_is_told_and_it_need_not_wait_for_its_retry(
    new_store: NewStore, new_shopper: NewShopper, with_scripts: bool
) -> None:
    store = new_store("store", WEBHOOK_RETRY_SECONDS="0,3600")
    observer = new_shopper(store.address, java_script_enabled=with_scripts)

    def is_told(state: str) -> bool:
        if observer.see("connection-test").get_attribute("data-state") == state and (
            state == "delivered" or "500" in observer.see("connection-test").inner_text()
        ):
            return True
        if not with_scripts:
            observer.press("connection-test-look-again")
        return False

    turn(observer, "failing")
    observer.open("/connections")
    observer.press("connection-send-test")
    until(lambda: is_told("waiting"), "the failed attempt told")
    observer.open("/inbox")
    expect(observer.see("inbox-request")).to_contain_text("Test Event")

    turn(observer, "usual")
    observer.open("/connections/webhook")
    observer.press("connection-try-now")
    until(lambda: is_told("delivered"), "the delivery told")
    expect(observer.see("connection-try-now")).to_have_count(0)
    observer.press("connection-test-delivery")
    expect(observer.see("delivery-attempt")).to_have_count(2)


def test_a_new_secret_is_in_sight_and_so_is_what_was_said_of_it(
    observer: Shopper,
) -> None:
    observer.press("connection-link")
    observer.press("connection-add-secret")
    for testid in ("connection-new-secret", "notice"):
        expect(observer.see(testid)).to_be_in_viewport()


def test_what_becomes_of_a_delivery_is_told_while_it_is_looked_at(
    store: StoreProcess, observer: Shopper, inbox: Shopper, shopper: Shopper
) -> None:
    store.wait_until_delivered()
    turn(inbox, "failing")
    shopper.open("/about")
    observer.press("connection-link")
    observer.press("connection-deliveries")
    expect(observer.see("delivery").first).to_have_attribute("data-state", "waiting")
    waiting = observer.another_tab()
    waiting.open(observer.see("delivery-link").first.get_attribute("href") or "")
    expect(waiting.see("delivery-attempt").nth(1)).to_have_attribute("data-status", "500")
    waiting.see("delivery-attempt").first.locator("summary").click()

    turn(inbox, "usual")
    expect(waiting.see("delivery-state")).to_have_attribute("data-state", "delivered")
    expect(waiting.page.locator("main > [role=status]").last).to_have_text("Delivered")
    expect(waiting.see("delivery-answer").first).to_be_visible()
    expect(observer.see("delivery").first).to_have_attribute("data-state", "delivered")


def test_it_works_without_scripts(
    store: StoreProcess, new_shopper: NewShopper, shopper: Shopper
) -> None:
    store.wait_until_delivered()
    observer = new_shopper(store.address, java_script_enabled=False)
    observer.open("/connections")
    observer.press("connection-link")
    observer.press("connection-pause")
    expect(observer.see("connection-state")).to_have_attribute("data-state", "paused")
    observer.see("connection-unique-id").fill("store-7")
    observer.press("connection-change")
    expect(observer.see("notice")).to_have_text("The settings are changed.")
    observer.press("connection-add-secret")
    expect(observer.see("connection-new-secret")).to_contain_text("whsec_")
    shopper.open("/about")
    observer.press("connection-ask-replay")
    observer.see("replay-what").select_option("all")
    observer.press("replay-count-them")
    observer.press("replay-start")
    expect(observer.see("replay-done")).to_have_attribute("data-done", "0")
    observer.press("back-to-connection")
    observer.press("connection-resume")
    observer.page.locator("[data-testid=connection-replay] a").click()

    def is_done() -> bool:
        if observer.see("replay-look-again").count() == 0:
            return True
        observer.press("replay-look-again")
        return False

    until(is_done, "everything delivered again")
    expect(observer.see("replay-delivered")).to_have_text("2")


def test_the_page_can_be_used_from_the_keyboard_while_it_is_kept_true(
    observer: Shopper, shopper: Shopper
) -> None:
    observer.press("connection-link")
    observer.see("connection-pause").focus()
    shopper.open("/")
    expect(observer.see("connection-delivered")).to_have_attribute("data-count", "4")
    expect(observer.see("connection-pause")).to_be_focused()
    observer.page.keyboard.press("Enter")
    expect(observer.see("connection-resume")).to_be_visible()
