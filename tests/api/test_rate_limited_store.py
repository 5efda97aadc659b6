"""A store whose own identity service lets in few calls: people shop on, and it is put right later."""

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
