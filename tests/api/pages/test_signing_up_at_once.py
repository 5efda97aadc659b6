"""One address, typed into the sign-up form of several browsers, which all send it at once."""

from collections import Counter
from functools import partial
from pathlib import Path
from typing import Final

from tests.api.browsing import Browser, Form, Page
from tests.api.conftest import OpenStore
from tests.api.journeys import identity_state, mpid
from tests.at_once import at_once

EMAIL: Final = "grace.field@example.com"
BROWSERS: Final = 6


def test_one_gets_the_account_and_the_others_are_told(
    open_store: OpenStore, database_url: str, tmp_path: Path
) -> None:
    store = open_store(database_url=database_url, instance=tmp_path)
    browsers = [store.browser() for _ in range(BROWSERS)]
    before = [mpid(browser.get("/")) for browser in browsers]
    forms = [
        browser.get("/account/sign-up")
        .form_of("sign-up")
        .with_values({"name": "Grace Field", "email": EMAIL, "phone": ""})
        for browser in browsers
    ]

    answers = at_once(
        [partial(send, browser, form) for browser, form in zip(browsers, forms, strict=True)]
    )

    assert Counter(answer.status for answer in answers) == {303: 1, 422: BROWSERS - 1}
    winner = next(number for number, answer in enumerate(answers) if answer.status == 303)
    assert answers[winner].location == "/account/welcome"
    others = [answer for answer in answers if answer.status == 422]
    assert all(
        "There is an account with this e-mail address already." in each.html for each in others
    )

    (customer,) = (row for row in store.rows("customers") if row["email"] == EMAIL)
    found = {
        (row["identity_type"], row["identity_value"], str(row["mpid"]))
        for row in store.rows("profile_identities")
        if row["identity_type"] in ("customerid", "email")
    }
    assert found == {
        ("customerid", customer["customer_id"], before[winner]),
        ("email", EMAIL, before[winner]),
    }
    after = [browser.get("/") for browser in browsers]
    assert [mpid(page) for page in after] == before
    assert Counter(map(identity_state, after)) == {"known": 1, "anonymous": BROWSERS - 1}


def send(browser: Browser, form: Form) -> Page:
    """As a person does: where the store is busy, once more."""
    answer = browser.send(form)
    while answer.status == 503:
        answer = browser.send(form)
    return answer
