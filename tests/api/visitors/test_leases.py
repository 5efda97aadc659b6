"""A visit's calls are made by one at a time, and again when whoever made them is gone."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from higgs_shop.visitors.intents import LEASE_MS
from tests.api import journeys
from tests.api.browsing import Browser
from tests.api.conftest import FakeClock, Store
from tests.api.visitors.troubled_identity import SimulatedCrash, Trouble, TroubledIdentity

LEASE_SECONDS = LEASE_MS / 1_000


@contextmanager
def held_call(store: Store, identity: TroubledIdentity) -> Iterator[None]:
    """The background worker is in the middle of a call for as long as the block lasts."""
    under_way, go_on = threading.Event(), threading.Event()

    def wait(_action: str) -> None:
        identity.before = lambda _action: None
        under_way.set()
        assert go_on.wait(60)

    identity.before = wait
    with ThreadPoolExecutor(1) as worker:
        work = worker.submit(store.parts.background.do_round)
        assert under_way.wait(60)
        try:
            yield
        finally:
            go_on.set()
            work.result(60)


@pytest.fixture
def visitor(store: Store, identity: TroubledIdentity, clock: FakeClock) -> Browser:
    """Somebody whose identify is owed, and due."""
    browser = store.browser()
    identity.trouble = Trouble.FAILED
    browser.get("/about")
    identity.trouble = Trouble.NONE
    identity.calls.clear()
    clock.forward(seconds=1)
    return browser


def intent(store: Store) -> dict[str, object]:
    (row,) = store.rows("identity_intents")
    return dict(row)


def test_two_at_once_make_one_call(
    store: Store, identity: TroubledIdentity, visitor: Browser
) -> None:
    with held_call(store, identity):
        assert journeys.identity_state(visitor.get("/about")) == "pending"
        store.parts.background.do_round()
    assert len(identity.calls) == 1
    assert intent(store)["state"] == "done"
    assert journeys.identity_state(visitor.get("/about")) == "anonymous"


def test_the_lease_is_given_back_after_a_failure(
    store: Store, identity: TroubledIdentity, visitor: Browser
) -> None:
    identity.trouble = Trouble.FAILED
    visitor.get("/about")
    assert [row["lease_token"] for row in store.rows("visits")] == [None]


@pytest.mark.parametrize("late_answer", [Trouble.NONE, Trouble.FAILED], ids=["success", "failure"])
def test_who_is_late_cannot_store_an_answer(
    store: Store,
    identity: TroubledIdentity,
    clock: FakeClock,
    visitor: Browser,
    late_answer: Trouble,
) -> None:
    """The lease ran out, somebody else has it; what they find out counts."""
    identity.trouble = late_answer
    with held_call(store, identity):
        clock.forward(seconds=LEASE_SECONDS + 1)
        # The client makes one call at a time for a device, so this one fails, and takes the lease.
        store.parts.background.do_round()
        assert intent(store)["error_code"] == "request_in_progress"
        before = intent(store)
    assert intent(store) == before
    identity.trouble = Trouble.NONE
    clock.forward(seconds=5)
    visitor.get("/about")
    assert intent(store)["state"] == "done"
    assert len({call.request_id for call in identity.calls}) == 1
    assert len(store.rows("profiles")) == 1


@pytest.mark.usefixtures("visitor")
def test_a_lease_that_nobody_else_took_is_still_good(
    store: Store, identity: TroubledIdentity, clock: FakeClock
) -> None:
    with held_call(store, identity):
        clock.forward(seconds=LEASE_SECONDS + 1)
    assert intent(store)["state"] == "done"


def test_after_a_crash_the_same_call_is_made_again(
    store: Store, identity: TroubledIdentity, clock: FakeClock, visitor: Browser
) -> None:
    """The service has carried it out; the store died before it could write that down."""
    identity.trouble = Trouble.CRASH
    assert visitor.get("/about").status == 500
    identity.trouble = Trouble.NONE
    store.parts.background.do_round()
    assert intent(store)["state"] == "pending", "the lease of the dead is still running"
    clock.forward(seconds=LEASE_SECONDS + 1)
    store.parts.background.do_round()
    first, second = identity.calls
    assert first.request_id == second.request_id
    assert intent(store)["state"] == "done"
    assert len(store.rows("profiles")) == 1


def test_a_store_that_starts_again_waits_for_no_lease_of_the_dead(
    store: Store, identity: TroubledIdentity, visitor: Browser
) -> None:
    identity.trouble = Trouble.CRASH
    assert visitor.get("/about").status == 500
    identity.trouble = Trouble.NONE
    store.parts.owed_calls.forget_leases()
    store.parts.background.do_round()
    assert intent(store)["state"] == "done"


@pytest.mark.usefixtures("visitor")
def test_a_crash_of_one_visit_is_not_the_others(
    store: Store, identity: TroubledIdentity, caplog: pytest.LogCaptureFixture
) -> None:
    """The worker goes on with its next round, and with whoever else is waiting."""
    identity.trouble = Trouble.CRASH
    store.parts.background.do_round()
    assert any(
        record.exc_info and record.exc_info[0] is SimulatedCrash for record in caplog.records
    )
    identity.trouble = Trouble.NONE
    assert journeys.identity_state(store.browser().get("/about")) == "anonymous"


@pytest.mark.usefixtures("visitor")
def test_no_transaction_is_open_during_a_call(store: Store, identity: TroubledIdentity) -> None:
    """Others write while it is out."""
    with held_call(store, identity):
        assert store.browser().get("/about").status == 200


def test_a_call_inside_a_write_transaction_is_refused(store: Store) -> None:
    with store.parts.database.write(), pytest.raises(RuntimeError, match="network"):
        store.parts.database.assert_not_writing()
