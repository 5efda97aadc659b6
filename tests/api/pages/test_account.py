"""Sign-up, sign-in, profile and sign-out: what people are told, and what is logged about whom."""

from typing import Any

from tests.api.browsing import Browser
from tests.api.conftest import Logged, Store
from tests.api.journeys import (
    PASSWORD,
    add_to_cart,
    buy,
    identity_state,
    mpid,
    reach_review,
    sign_in,
    sign_out,
    sign_up,
)


def logged_about_people(store: Store, *, since: int = 0) -> list[Logged]:
    """Attribute and identity changes."""
    kinds = ("user_attribute_change", "user_identity_change")
    return [event for event in store.events(since=since) if event.event_type in kinds]


def attribute_changes(events: list[Logged]) -> dict[str, tuple[Any, Any]]:
    """Old and new value by name."""
    return {
        event.name: (event.data["old"], event.data["new"])
        for event in events
        if event.event_type == "user_attribute_change"
    }


def identity_changes(events: list[Logged]) -> dict[str, tuple[str | None, str | None]]:
    """Old and new identity by type."""
    return {
        event.name: (event.data["old"]["identity"], event.data["new"]["identity"])
        for event in events
        if event.event_type == "user_identity_change"
    }


def test_signing_up_lands_on_the_welcome_page_as_the_same_person(
    store: Store, visitor: Browser
) -> None:
    anonymous = mpid(visitor.get("/"))
    page = sign_up(visitor, name="Grace Field", phone="+1 212 555 0100")
    assert page.headline == "Welcome, Grace Field"
    assert (identity_state(page), mpid(page)) == ("known", anonymous)
    customer_id = page.text("customer-id")
    assert "@" not in customer_id
    (row,) = [row for row in store.rows("customers") if not row["is_ready_account"]]
    assert row["customer_id"] == customer_id
    assert {str(event.mpid) for event in store.events()} == {anonymous}


def test_signing_up_logs_who_the_person_became(store: Store, visitor: Browser) -> None:
    page = sign_up(visitor, name="Grace Field", phone="+1 212 555 0100")
    changes = logged_about_people(store)
    assert attribute_changes(changes) == {
        "name": (None, "Grace Field"),
        "wants_marketing": (None, False),
    }
    assert identity_changes(changes) == {
        "customer_id": (None, page.text("customer-id")),
        "email": (None, "grace.field@example.com"),
        "mobile_number": (None, "+1 212 555 0100"),
    }
    assert store.labels()[-2:] == ["screen_view Welcome", "custom_event Signed Up"]
    assert store.events()[-1].data["custom_event_type"] == "user_preference"


def test_signed_up_is_logged_once_ever(store: Store, visitor: Browser) -> None:
    customer_id = sign_up(visitor).text("customer-id")
    visitor.get("/account/welcome")
    sign_out(visitor)
    elsewhere = store.browser()
    sign_in(elsewhere, customer_id)
    elsewhere.get("/account/welcome")
    assert store.labels().count("custom_event Signed Up") == 1
    sign_in(visitor, "returning_user")
    visitor.get("/account/welcome")
    assert store.labels().count("custom_event Signed Up") == 1


def test_a_sign_up_form_sent_again_makes_one_account(store: Store, visitor: Browser) -> None:
    form = (
        visitor.get("/account/sign-up")
        .form_of("sign-up")
        .with_values({"name": "Grace Field", "email": "grace@example.com"})
    )
    before = len(store.rows("customers"))
    assert visitor.send(form).location == "/account/welcome"
    # Its CSRF token went with the sign-up; that it is the same form may be told by other means.
    assert visitor.send(form).status in (303, 400)
    assert len(store.rows("customers")) == before + 1


def test_marketing_is_a_choice_that_starts_as_no(store: Store, visitor: Browser) -> None:
    form = visitor.get("/account/sign-up").form_of("sign-up")
    assert "wants_marketing" not in dict(form.fields)
    visitor.send(
        form.with_values({"name": "Yes", "email": "yes@example.com", "wants_marketing": "y"})
    )
    assert visitor.get("/account").text("account-marketing") == "yes, please"
    assert attribute_changes(logged_about_people(store))["wants_marketing"] == (None, True)


SIGN_UP_MISTAKES = [
    ("name", "", "Enter the name."),
    ("name", "  ", "Enter the name."),
    ("name", "x" * 81, "at most 80 characters"),
    ("name", "a\x00b", "no control characters"),
    ("email", "", "Enter an e-mail address."),
    ("email", "grace", "such as ada@example.com"),
    ("email", "grace@example..com", "such as ada@example.com"),
    ("email", "x" * 250 + "@example.com", "at most 254 characters"),
    ("email", "ada.track@example.com", "an account with this e-mail address already"),
    ("email", " ADA.Track@Example.com ", "an account with this e-mail address already"),
    ("phone", "call me", "such as +1 212 555 0100"),
    ("phone", "+" + "1" * 40, "such as +1 212 555 0100"),
]


def test_a_mistake_at_sign_up_comes_back_at_its_field(store: Store, visitor: Browser) -> None:
    page = visitor.get("/account/sign-up")
    before, people = store.labels(), len(store.rows("customers"))
    right = {"name": "Grace Field", "email": "grace@example.com", "phone": ""}
    for field, value, complaint in SIGN_UP_MISTAKES:
        page = visitor.submit(page, "sign-up", **{**right, field: value})
        assert page.status == 422, (field, value)
        assert complaint in page.text(f"signup-{field}-error")
    assert store.labels() == before
    assert len(store.rows("customers")) == people
    assert visitor.submit(page, "sign-up", **right).location == "/account/welcome"


def test_ready_accounts_are_listed_with_the_password_they_share(visitor: Browser) -> None:
    page = visitor.get("/account")
    assert page.text("demo-password") == PASSWORD
    assert [account.with_tag("code")[0].text for account in page.all("ready-account")] == [
        "returning_user",
        "shared_device_user",
        "email_changer",
    ]


def test_a_ready_account_is_borrowed_with_one_click(store: Store) -> None:
    for number, account in enumerate(store.browser().get("/account").all("ready-account")):
        visitor = store.browser()
        page = visitor.follow(visitor.get("/account/profile"))
        answer = visitor.send(page.form_of("borrow-account", nth=number))
        assert answer.location == "/account/profile", "it leads where one was going"
        page = visitor.get("/account")
        assert page.text("customer-id") == account["data-customer-id"]
        assert identity_state(page) == "known"


def test_people_sign_in_by_user_id_or_by_e_mail_in_any_case(store: Store) -> None:
    for login in ("returning_user", "ada.track@example.com", " ADA.TRACK@example.COM "):
        page = sign_in(store.browser(), login)
        assert page.text("account-name") == "Ada Track"
        assert page.text("customer-id") == "returning_user"
        assert identity_state(page) == "known"


def test_a_second_browser_of_the_same_customer_is_the_same_person(
    store: Store, visitor: Browser
) -> None:
    first = mpid(sign_in(visitor))
    sign_out(visitor)
    elsewhere = store.browser()
    elsewhere.get("/")
    assert mpid(sign_in(elsewhere)) == first


def test_a_mistake_at_sign_in_comes_back_at_its_field(store: Store, visitor: Browser) -> None:
    page = visitor.get("/account")
    before = store.labels()
    for values, field, complaint in (
        ({"user_id": "", "password": PASSWORD}, "user-id", "Enter a user id"),
        ({"user_id": "nobody", "password": PASSWORD}, "user-id", "Nobody has this user id"),
        ({"user_id": "Returning_User", "password": PASSWORD}, "user-id", "Nobody has"),
        ({"user_id": "returning_user", "password": ""}, "password", "Enter the demo password"),
        ({"user_id": "returning_user", "password": "s3cret"}, "password", "not the demo password"),
        ({"user_id": "returning_user", "password": "pä\x00ß"}, "password", "not the demo"),
    ):
        page = visitor.submit(page, "sign-in", **values)
        assert page.status == 422, values
        assert complaint in page.text(f"{field}-error")
        assert page.html.count(" autofocus") == 1, "the browser leads to the first mistake"
        assert "autofocus" in page.one(field).attributes
        assert page.one("password").attributes.get("value", "") == ""
    assert "s3cret" not in repr(store.dump())
    assert store.labels() == before
    assert identity_state(visitor.get("/")) == "anonymous"


def test_signing_in_leads_to_where_one_was_going(visitor: Browser) -> None:
    page = visitor.follow(visitor.get("/account/profile"))
    answer = visitor.submit(page, "sign-in", user_id="returning_user", password=PASSWORD)
    assert answer.location == "/account/profile"
    assert visitor.follow(answer).headline == "Edit your profile"


def test_saving_an_unchanged_profile_asks_and_logs_nothing(store: Store, visitor: Browser) -> None:
    sign_up(visitor, phone="+1 212 555 0100")
    page = visitor.get("/account/profile")
    events, calls = len(store.events()), len(store.rows("identity_decisions"))
    assert visitor.submit(page, "save-profile").location == "/account"
    assert len(store.events()) == events
    assert len(store.rows("identity_decisions")) == calls


def test_a_new_name_is_an_attribute_and_no_identity(store: Store, visitor: Browser) -> None:
    sign_up(visitor)
    page = visitor.get("/account/profile")
    events, calls = len(store.events()), len(store.rows("identity_decisions"))
    visitor.submit(page, "save-profile", name="Grace Particle")
    (change,) = store.events(since=events)
    assert attribute_changes([change]) == {"name": ("Grace Field", "Grace Particle")}
    assert change.data["is_new_attribute"] is False
    assert len(store.rows("identity_decisions")) == calls
    assert visitor.get("/account").text("account-name") == "Grace Particle"


def test_a_new_e_mail_and_phone_are_identity_changes_of_the_same_person(
    store: Store, visitor: Browser
) -> None:
    before = mpid(sign_up(visitor))
    events = len(store.events())
    form = visitor.get("/account/profile").form_of("save-profile")
    changed = {"email": "new@example.com", "phone": "+1 212 555 0199"}
    assert visitor.send(form.with_values(changed)).location == "/account"
    assert visitor.send(form.with_values(changed)).location == "/account"
    assert identity_changes(store.events(since=events)) == {
        "email": ("grace.field@example.com", "new@example.com"),
        "mobile_number": (None, "+1 212 555 0199"),
    }
    page = visitor.get("/account")
    assert (page.text("account-email"), page.text("account-phone")) == (
        "new@example.com",
        "+1 212 555 0199",
    )
    assert mpid(page) == before
    sign_out(visitor)
    assert mpid(sign_in(store.browser(), "new@example.com")) == before
    form = visitor.get("/account").form_of("sign-in")
    old = {"user_id": "grace.field@example.com", "password": PASSWORD}
    assert visitor.send(form.with_values(old)).status == 422


def test_an_emptied_phone_is_taken_away(store: Store, visitor: Browser) -> None:
    sign_up(visitor, phone="+1 212 555 0100")
    events = len(store.events())
    visitor.submit(visitor.get("/account/profile"), "save-profile", phone="")
    assert identity_changes(store.events(since=events)) == {
        "mobile_number": ("+1 212 555 0100", None)
    }
    assert visitor.get("/account").text("account-phone") == "none"


def test_a_mistake_in_the_profile_changes_nothing(store: Store, visitor: Browser) -> None:
    sign_up(visitor)
    page = visitor.get("/account/profile")
    before = store.labels()
    right = {"name": "New Name", "email": "new@example.com", "phone": ""}
    for field, value in (
        ("name", " "),
        ("email", "new"),
        ("email", "Ada.Track@example.com"),
        ("phone", "none"),
    ):
        page = visitor.submit(page, "save-profile", **{**right, field: value})
        assert page.status == 422, (field, value)
        assert page.has(f"{field}-error")
    assert store.labels() == before
    account = visitor.get("/account")
    assert account.text("account-name") == "Grace Field"
    assert account.text("account-email") == "grace.field@example.com"


def test_signing_out_makes_a_new_anonymous_person(store: Store, visitor: Browser) -> None:
    known = mpid(sign_in(visitor))
    events = len(store.events())
    page = sign_out(visitor)
    assert page.headline == "Sign in"
    assert identity_state(page) == "anonymous"
    assert mpid(page) != known
    visitor.get("/")
    after = store.events(since=events)
    assert [event.label for event in after if str(event.mpid) == known] == [
        "screen_view My Account"  # the page with the button
    ]
    (call,) = [row for row in store.rows("identity_intents") if row["action"] == "logout"]
    assert call["identities"] == {}


def test_a_sign_out_form_of_nobody_does_nothing(store: Store, visitor: Browser) -> None:
    sign_in(visitor)
    form = visitor.get("/account").form_of("sign-out")
    assert visitor.send(form).location == "/account"
    token = visitor.get("/account").form_of("sign-in")
    form = form.with_values(dict(token.fields) | {"user_id": None, "password": None})
    assert visitor.send(form).location == "/account"
    calls = [row["action"] for row in store.rows("identity_intents")]
    assert calls.count("logout") == 1


def test_signing_in_as_somebody_else_leaves_nothing_of_the_first(visitor: Browser) -> None:
    """No page offers it to somebody signed in, but a form can be made up."""
    number = buy(visitor)
    sign_in(visitor)
    assert visitor.get(f"/orders/{number}").status == 200, "a guest's order, in the same visit"
    add_to_cart(visitor)
    reach_review(visitor)
    form = visitor.get("/account").form_of("sign-out")
    form.action = "/account/sign-in"
    answer = visitor.send(form.with_values({"user_id": "email_changer", "password": PASSWORD}))
    assert (answer.status, answer.location) == (303, "/account")
    assert visitor.get(f"/orders/{number}").status == 404
    assert visitor.get("/checkout").location == "/cart"


def test_a_ready_account_that_changes_its_address_alone_changes_no_attribute(
    store: Store, visitor: Browser
) -> None:
    sign_in(visitor, "email_changer")
    seen = len(store.events())
    visitor.submit(visitor.get("/account/profile"), "save-profile", email="emmy.new@example.org")
    changes = logged_about_people(store, since=seen)
    assert attribute_changes(changes) == {}
    assert list(identity_changes(changes)) == ["email"]
