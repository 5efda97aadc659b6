"""Profiles: a person who reads one can say why it looks as it does, and ask what would happen if."""

import re

import pytest
from playwright.sync_api import Locator, expect

from tests.browser.conftest import NewShopper
from tests.browser.shopper import BOWL, Shopper
from tests.browser.store_process import StoreProcess


@pytest.fixture
def observer(observed_store: StoreProcess, new_shopper: NewShopper) -> Shopper:
    """A shopper at the store that asks for the operator token, who knows it."""
    observer = new_shopper(observed_store.address)
    observer.open_inbox()
    return observer


def chapters(shopper: Shopper, outcome: str) -> Locator:
    """The decisions that meant this for the profile."""
    return shopper.page.locator(f"[data-testid=history-chapter][data-outcome={outcome}]")


def test_a_profile_tells_how_somebody_became_known_and_changed(observer: Shopper) -> None:
    observer.enter()
    observer.look_at(BOWL)
    mpid = observer.mpid
    customer_id = observer.sign_up("Lise Trace", "lise@example.com")
    observer.edit_profile(email="lise.new@example.com")
    observer.sign_out()

    observer.open("/profiles")
    observer.see("profile-search").fill("lise.new@example.com")
    observer.press("profile-find")
    expect(observer.see("profile-row")).to_have_count(1)
    observer.press("profile-link")

    expect(observer.see("profile-mpid")).to_have_text(mpid)
    expect(observer.see("profile-kind")).to_have_attribute("data-kind", "known")
    identities = observer.see("profile-identity")
    expect(identities.filter(has_text="customerid")).to_contain_text(customer_id)
    expect(identities.filter(has_text="email")).to_contain_text("lise.new@example.com")
    expect(chapters(observer, "made")).to_contain_text("Made by identify")
    became_known = chapters(observer, "converted")
    expect(became_known).to_contain_text("Became known at login")
    expect(became_known).to_contain_text("email: lise@example.com was added")
    became_known.get_by_text("Why:").click()
    expect(became_known.get_by_text("nobody carries it").first).to_be_visible()
    expect(chapters(observer, "changed")).to_contain_text(
        "lise@example.com became lise.new@example.com"
    )
    expect(observer.see("profile-event").filter(has_text="view_detail")).to_have_count(1)

    observer.open("/profiles?q=lise%40example.com")
    expect(observer.see("profiles-empty")).to_contain_text("Nobody carries exactly this now.")
    expect(observer.see("former-row")).to_have_attribute("data-mpid", mpid)


def test_the_history_leads_from_person_to_person(observer: Shopper) -> None:
    observer.enter()
    observer.sign_up("Ida Pair", "ida@example.com")
    known = observer.mpid
    observer.sign_out()
    anonymous = observer.mpid

    observer.open(f"/profiles/{known}")
    chapters(observer, "left").get_by_role("heading").get_by_role("link").click()
    expect(observer.see("profile-mpid")).to_have_text(anonymous)
    expect(observer.see("profile-kind")).to_have_attribute("data-kind", "anonymous")
    made = chapters(observer, "made")
    expect(made).to_contain_text("none of their login IDs was given")
    made.get_by_role("link", name=f"…{known[-6:]}").first.click()
    expect(observer.see("profile-mpid")).to_have_text(known)


def test_a_question_about_a_strangers_device_is_answered_and_changes_nothing(
    observer: Shopper,
) -> None:
    observer.enter()
    observer.sign_up("Wu Decay", "wu@example.com")
    known = observer.mpid
    device = observer.see("profile-identity").filter(has_text="device_application_stamp")
    observer.open(f"/profiles/{known}")
    stamp = device.locator("code").inner_text()

    observer.open("/profiles")
    before = [count.inner_text() for count in observer.see("profile-count").all()]
    observer.see("what-if").locator("summary").first.click()
    observer.page.get_by_label("Type of identity 1").select_option("device_application_stamp")
    observer.page.get_by_label("Value of identity 1").fill(stamp)
    observer.press("what-if-ask")

    answer = observer.see("what-if-answer")
    expect(answer).to_have_attribute("data-outcome", "new")
    expect(answer).to_contain_text("A new profile would be made")
    expect(answer).to_contain_text("a known person, and none of their login IDs was given")
    assert [count.inner_text() for count in observer.see("profile-count").all()] == before

    observer.page.get_by_label("Value of identity 2").fill("wu@example.com")
    observer.page.get_by_label("Type of identity 2").select_option("email")
    observer.press("what-if-ask")
    expect(answer).to_have_attribute("data-mpid", known)
    expect(observer.page).to_have_url(re.compile(r"type=email&value=wu%40example\.com"))


def test_on_a_phone_the_answer_to_a_question_is_in_view(observer: Shopper) -> None:
    observer.enter()
    observer.page.set_viewport_size({"width": 390, "height": 800})
    for path in ("/profiles", f"/profiles/{observer.mpid}"):
        observer.open(path)
        observer.see("what-if").locator("summary").first.click()
        observer.see("what-if-value").first.fill("C-1")
        observer.press("what-if-ask")
        expect(observer.see("what-if-answer").get_by_role("heading").first).to_be_in_viewport()


def test_the_bar_leads_to_the_profile(observer: Shopper) -> None:
    observer.enter()
    mpid = observer.mpid
    observer.see("x-ray").locator("summary").first.click()
    observer.see("x-ray").get_by_role("link", name=f"…{mpid[-6:]}").first.click()
    expect(observer.see("profile-mpid")).to_have_text(mpid)
