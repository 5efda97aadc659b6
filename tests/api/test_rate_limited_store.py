"""A store that lets in few calls of a key: people shop on, it is put right later, and all APIs count."""

from base64 import b64encode

import pytest

from tests.api import journeys
from tests.api.conftest import OpenStore, Store


def calls(store: Store) -> list[tuple[str, str]]:
    """Every identity call that was ever owed, and what became of it."""
    return [(row["action"], row["state"]) for row in store.rows("identity_intents")]


def wait(store: Store, seconds: int) -> None:
    """Let time pass, and the background worker work."""
    store.clock.forward(seconds=seconds)
    store.parts.background.do_round()


def test_a_limited_store_goes_on_selling_and_puts_right_who_it_was(open_store: OpenStore) -> None:
    """One call a minute is used up by the arrival: signing in, buying and signing out owe two more."""
    store = open_store(rate_limit="1/minute")
    visitor = store.browser()
    anonymous = journeys.mpid(visitor.get("/about"))

    assert journeys.identity_state(journeys.sign_in(visitor)) == "pending"
    assert journeys.buy(visitor)
    assert journeys.identity_state(journeys.sign_out(visitor)) == "pending"
    assert store.rows("identity_intents")[1]["error_code"] == "too_many_requests"
    wait(store, 59)
    assert calls(store) == [("identify", "done"), ("login", "pending"), ("logout", "pending")]

    wait(store, 1)
    assert calls(store) == [("identify", "done"), ("login", "done"), ("logout", "pending")]
    wait(store, 60)
    assert calls(store) == [("identify", "done"), ("login", "done"), ("logout", "done")]

    (customer,) = [
        row["mpid"]
        for row in store.rows("profile_identities")
        if row["identity_type"] == "customerid"
    ]
    (purchase,) = [event for event in store.events() if "purchase" in event.label]
    assert purchase.mpid == customer == int(anonymous)
    somebody_new = journeys.mpid(visitor.get("/about"))
    assert {event.mpid for event in store.events()} == {customer, int(somebody_new)}


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/identity/v1/identify"),
        ("POST", "/webevents/v1/identity/demo-web-key/Alias"),
        ("POST", "/webevents/v3/JS/demo-web-key/events"),
        ("POST", "/webevents/v1/JS/demo-web-key/Forwarding"),
        ("GET", "/tags/JS/v2/demo-web-key/config"),
        ("POST", "/s2s/v2/events"),
        ("POST", "/s2s/v2/bulkevents"),
        ("POST", "/s2s/v2/bulkevents/historical"),
    ],
)
def test_a_key_has_one_limit_for_all_apis(open_store: OpenStore, method: str, path: str) -> None:
    client = open_store(rate_limit="2/minute").app.test_client()

    def call(credentials: str = "demo-web-key:demo-web-secret") -> tuple[int, str | None]:
        headers = {"Authorization": f"Basic {b64encode(credentials.encode()).decode()}"}
        response = client.open(path, method=method, data=b"{}", headers=headers)
        assert response.headers["Access-Control-Allow-Origin"] == "*"
        return response.status_code, response.headers.get("X-MP-Rate-Limit-Percentage-Used")

    if "demo-web-key" not in path:
        status_code, used = call("demo-web-key:wrong")
        assert status_code in {401, 403}
        assert used is None
    assert call()[1] == "50"
    assert client.post("/identity/v1/search", headers={"x-mp-key": "demo-web-key"}).status == (
        "400 BAD REQUEST"
    )
    assert call() == (429, "100")
