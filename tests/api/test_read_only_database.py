"""A database that takes nothing: whoever asks is told so in their own way, and nothing is half done."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import event
from werkzeug.test import TestResponse

from higgs_shop.database import Database
from tests.api import journeys
from tests.api.browsing import Browser
from tests.api.conftest import Store
from tests.api.intake.conftest import basic
from tests.api.intake.conftest import batch as a_batch
from tests.api.intake.conftest import event as an_event


@contextmanager
def read_only(database: Database) -> Iterator[None]:
    """SQLite refuses every write, as it does when the file may not be written."""

    def refuse(connection: Any, *_: object) -> None:
        connection.execute("PRAGMA query_only = ON")

    def allow(connection: Any, *_: object) -> None:
        connection.execute("PRAGMA query_only = OFF")

    event.listen(database.engine, "checkout", refuse)
    event.listen(database.engine, "checkin", allow)
    try:
        yield
    finally:
        event.remove(database.engine, "checkout", refuse)
        event.remove(database.engine, "checkin", allow)


def assert_no_traceback(caplog: pytest.LogCaptureFixture) -> None:
    assert caplog.records, "an operator reads what is the matter"
    assert "attempt to write a readonly database" in caplog.text
    assert [record for record in caplog.records if record.exc_info] == []


def test_a_page_says_to_come_back_later(
    store: Store, visitor: Browser, caplog: pytest.LogCaptureFixture
) -> None:
    visitor.get("/about")
    before = store.dump()
    with read_only(store.parts.database):
        for path in ("/", "/about", "/products/128743"):
            for browser in (visitor, store.browser()):
                page = browser.get(path)
                assert (page.status, page.one("error-page")["data-status"]) == (503, "503")
                assert "The store cannot write anything down right now." in page.html
                assert page.response.headers["Retry-After"] == "1"
        assert visitor.get("/healthz").status == 200
    assert store.dump() == before
    assert_no_traceback(caplog)
    assert visitor.get("/about").status == 200


def test_a_form_changes_nothing_and_can_be_sent_again(store: Store, visitor: Browser) -> None:
    form = visitor.get("/products/128743").form_of("add-to-cart")
    before = store.dump()
    with read_only(store.parts.database):
        assert visitor.send(form).status == 503
    assert store.dump() == before
    assert visitor.send(form).location == "/products/128743"
    assert visitor.get("/cart").text("cart-count") == "1"


def refused(response: TestResponse) -> str:
    """What an API says that answers in the shape which its documentation promises."""
    assert response.status_code == 503
    assert response.headers["Retry-After"] == "1"
    ((error),) = json.loads(response.data)["errors"]
    assert error["code"] == "SERVICE_UNAVAILABLE"
    message: str = error["message"]
    return message


def test_apis_answer_in_their_own_shape(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    key = store.parts.settings.idsync_key
    secret = store.parts.settings.idsync_secret.get_secret_value()
    client = store.app.test_client(use_cookies=False)
    batch = a_batch(an_event())
    call = {"environment": "development", "known_identities": {"customerid": "C-1"}}

    def answers() -> list[TestResponse]:
        return [
            client.post("/s2s/v2/events", json=batch, headers=basic(key, secret)),
            client.post("/s2s/v2/bulkevents", json=[batch], headers=basic(key, secret)),
            client.post(f"/webevents/v3/JS/{key}/events", json=batch),
            client.post("/identity/v1/identify", json=call, headers={"x-mp-key": key}),
        ]

    before = store.dump()
    with read_only(store.parts.database):
        for answer in answers():
            assert refused(answer) == (
                "the database cannot be used now; nothing was changed, try again later"
            )
    assert store.dump() == before
    assert_no_traceback(caplog)
    assert [answer.status_code for answer in answers()] == [202, 202, 202, 200]


def test_the_inbox_asks_its_sender_to_come_again(store: Store) -> None:
    client = store.app.test_client(use_cookies=False)
    path = f"/inbox/{store.parts.secrets.inbox_token}"
    with read_only(store.parts.database):
        answer = client.post(path, json={})
    assert answer.status_code == 503
    assert json.loads(answer.data)["errors"][0]["code"] == "SERVICE_UNAVAILABLE"
    assert store.rows("inbox_requests") == []
    assert client.post(path, json={}).status_code == 204


def test_what_is_owed_stays_owed(
    store: Store, visitor: Browser, caplog: pytest.LogCaptureFixture
) -> None:
    """The background worker tries, says why it cannot, and makes up for it afterwards."""
    visitor.get("/about")
    journeys.sign_up(visitor)
    owed = store.rows("sessions")
    store.clock.forward(minutes=31)
    with read_only(store.parts.database):
        assert store.parts.background.do_round() == 0
    assert store.rows("sessions") == owed
    assert_no_traceback(caplog)
    assert store.parts.background.do_round() > 0
    assert "session_end" in [logged.event_type for logged in store.events()]
