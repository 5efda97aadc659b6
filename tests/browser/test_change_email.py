"""Journey 5: an address changes, the person does not."""

from playwright.sync_api import expect

from tests.browser.conftest import NewShopper
from tests.browser.received_events import ReceivedEvents
from tests.browser.shopper import Shopper


def test_a_new_email_keeps_the_mpid_and_the_old_one_finds_nobody(
    shopper: Shopper, new_shopper: NewShopper, received: ReceivedEvents
) -> None:
    shopper.enter()
    customer_id = shopper.sign_up("Emmy Drift", "old.address@example.com")
    mpid = shopper.mpid
    shopper.edit_profile(email="new.address@example.com", phone="+1 212 555 0199")

    assert shopper.mpid == mpid
    expect(shopper.see("account-email")).to_have_text("new.address@example.com")
    changes = {
        event.what: (event.data["old"]["identity"], event.data["new"]["identity"])
        for event in received.of(mpid)
        if event.event_type == "user_identity_change"
    }
    assert changes == {
        "customer_id changed": (None, customer_id),
        "email changed": ("old.address@example.com", "new.address@example.com"),
        "mobile_number changed": (None, "+1 212 555 0199"),
    }

    elsewhere = new_shopper()
    elsewhere.fill_sign_in("old.address@example.com")
    elsewhere.press("sign-in")
    expect(elsewhere.see("user-id-error")).to_contain_text("Nobody")
    elsewhere.sign_in("new.address@example.com")
    assert elsewhere.mpid == mpid
    assert received.of(mpid)[-1].identities == {
        "customer_id": customer_id,
        "email": "new.address@example.com",
        "mobile_number": "+1 212 555 0199",
    }


def test_somebody_who_takes_the_freed_address_is_somebody_else(
    shopper: Shopper, new_shopper: NewShopper
) -> None:
    shopper.enter()
    shopper.sign_up("First Owner", "freed@example.com")
    shopper.edit_profile(email="moved.on@example.com")
    second = new_shopper()
    second.enter()
    second.sign_up("Second Owner", "freed@example.com")

    assert second.mpid != shopper.mpid
    third = new_shopper()
    third.sign_in("freed@example.com")
    expect(third.see("account-name")).to_have_text("Second Owner")
    assert third.mpid == second.mpid


def test_saving_a_new_name_alone_changes_no_identity(
    shopper: Shopper, received: ReceivedEvents
) -> None:
    shopper.enter()
    shopper.sign_up("Old Name", "new.name@example.com")
    mpid = shopper.mpid
    before = received.what_of(mpid)
    shopper.edit_profile(name="New Name")

    added = received.what_of(mpid)[len(before) :]
    assert added == ["screen_view Edit Profile", "name set", "screen_view My Account"]
    assert received.of(mpid)[-1].body["user_attributes"]["name"] == "New Name"
