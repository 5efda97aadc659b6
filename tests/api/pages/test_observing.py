"""X-ray and inbox: looking at what the store observes logs nothing, and shows all of it."""

import json

import pytest

from tests.api.browsing import Browser
from tests.api.conftest import ARRIVING, OpenStore, Store
from tests.api.journeys import add_to_cart, identity_state, mpid, sign_in


@pytest.fixture
def store(open_store: OpenStore) -> Store:
    return open_store()


def receive(store: Store, body: bytes, **headers: str) -> int:
    """Post something to the inbox. Returns the status."""
    token = store.parts.secrets.inbox_token
    return store.browser().open(f"/inbox/{token}", method="POST", data=body, headers=headers).status


def test_the_bar_shows_what_this_page_logged_with_lines_of_code(
    store: Store, visitor: Browser
) -> None:
    visitor.get("/about")
    page = visitor.get("/cart")
    bar = page.one("x-ray")
    here, *_before = bar.find("x-ray-event")
    assert here["data-event-type"] == "screen_view"
    assert here["data-delivery"] == "waiting"
    assert "View My Cart" in here.text
    assert "higgs_shop/pages/cart.py:" in here.text
    assert "screen_view(" in here.text
    assert len(bar.find("x-ray-event")) == len(store.events())
    (call,) = bar.find("x-ray-call")
    assert (call["data-action"], call["data-state"]) == ("identify", "done")


def test_the_bar_tells_what_the_visitor_just_did_from_what_came_before(visitor: Browser) -> None:
    visitor.get("/about")
    added = add_to_cart(visitor)
    assert added.location is not None
    page = visitor.get(added.location)
    (did,) = page.one("x-ray-did").find("x-ray-event")
    assert did["data-event-name"] == "add_to_cart"
    assert "quantity" in did.text
    again = visitor.get(added.location)
    assert not again.has("x-ray-did")


def test_what_another_tab_logs_is_not_called_before(store: Store, visitor: Browser) -> None:
    page = visitor.get("/cart")
    visitor.get("/about")
    fragment = visitor.get(page.one("x-ray")["data-fragment-url"])
    names = [event["data-event-name"] for event in fragment.all("x-ray-event")]
    assert names == ["Session Start", "View My Cart", "About"]
    assert store.labels()[-1] == "screen_view About"


def test_a_request_in_the_inbox_is_looked_at_as_the_visitor_one_is(
    store: Store, visitor: Browser
) -> None:
    add_to_cart(visitor)
    receive(store, b"{}")
    page = visitor.get(visitor.get("/inbox").all("inbox-request")[0].with_tag("a")[0]["href"])
    assert page.text("cart-count") != "0"
    assert mpid(page) == mpid(visitor.get("/cart"))


def test_the_bar_says_who_the_visitor_is(visitor: Browser) -> None:
    page = visitor.get("/")
    assert identity_state(page) == "anonymous"
    page = sign_in(visitor)
    assert identity_state(page) == "known"
    assert mpid(page).isdecimal()
    panel = page.one("x-ray").text
    for fact in ("returning_user", "ada.track@example.com", mpid(page)[-6:]):
        assert fact in panel


def test_the_x_ray_page_and_its_fragment_log_nothing(store: Store, visitor: Browser) -> None:
    add_to_cart(visitor)
    page = visitor.get("/cart")
    before = store.dump()
    whole = visitor.get("/x-ray")
    fragment = visitor.get(page.one("x-ray")["data-fragment-url"])
    assert (whole.status, fragment.status) == (200, 200)
    assert "View My Cart" in fragment.html
    assert store.dump() == before


def test_looking_at_the_x_ray_first_begins_nothing(store: Store, visitor: Browser) -> None:
    before = store.dump()
    assert visitor.get("/x-ray").status == 200
    assert visitor.get("/profiles").status == 200
    assert store.dump() == before


def test_looking_at_the_inbox_begins_no_more_than_its_forms_need(
    store: Store, visitor: Browser
) -> None:
    before = store.dump(without=ARRIVING)
    assert visitor.get("/inbox").status == 200
    assert visitor.get("/inbox/sessions").status == 200
    assert store.dump(without=ARRIVING) == before
    assert store.rows("sessions") == []


def test_the_inbox_lists_requests_newest_first_with_their_signatures(
    store: Store, visitor: Browser
) -> None:
    assert visitor.get("/inbox").has("inbox-empty")
    visitor.get("/about")
    body = json.dumps(store.bodies()[-1]).encode()
    assert receive(store, body, **{"Content-Type": "application/json"}) == 204
    assert receive(store, b"not json", Authorization="Bearer s3cret") == 204
    newest, oldest = visitor.get("/inbox").all("inbox-request")
    assert (newest["data-event-type"], newest["data-signature"]) == ("", "missing")
    assert oldest["data-event-type"] == "screen_view"
    page = visitor.get(oldest.with_tag("a")[0]["href"])
    assert "About" in page.one("inbox-selected").text
    assert json.loads(page.text("inbox-body"))["events"][0]["event_type"] == "screen_view"
    assert "s3cret" not in visitor.get(newest.with_tag("a")[0]["href"]).html


def test_the_inbox_pages_through_older_requests(store: Store, visitor: Browser) -> None:
    for _ in range(51):
        receive(store, b"{}")
    page = visitor.get("/inbox")
    assert len(page.all("inbox-request")) == 50
    older = visitor.get(page.one("inbox-older")["href"])
    assert len(older.all("inbox-request")) == 1
    assert not older.has("inbox-older")


def test_the_inbox_takes_nothing_under_another_address(store: Store) -> None:
    answer = store.browser().open("/inbox/somebody-elses", method="POST", data=b"{}")
    assert answer.status == 404
    assert answer.response.is_json
    assert receive(store, b"x" * 256 * 1024) == 204
    assert receive(store, b"x" * (256 * 1024 + 1)) == 413
    assert len(store.rows("inbox_requests")) == 1


def test_the_inbox_keeps_a_posted_form_whole(store: Store, visitor: Browser) -> None:
    visitor.get("/about")
    address = f"/inbox/{store.parts.secrets.inbox_token}"
    assert visitor.open(address, method="POST", data={"form_token": "x" * 20}).status == 204
    (request,) = store.rows("inbox_requests")
    assert request["body"] == b"form_token=" + b"x" * 20


def test_a_request_that_is_not_in_the_inbox_is_not_found(visitor: Browser) -> None:
    for number in ("0", "1", "9" * 15, "9" * 400, "x", "-1"):
        assert visitor.get(f"/inbox/requests/{number}").status == 404
