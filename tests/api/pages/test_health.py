"""Alive and ready, for whoever watches the process."""

from higgs_shop import __version__
from higgs_shop.background import beat
from tests.api.browsing import Browser
from tests.api.conftest import Store


def test_a_process_that_answers_is_alive(visitor: Browser) -> None:
    assert visitor.get("/healthz").response.json == {"status": "ok", "version": __version__}


def test_a_store_is_ready_and_tells_whether_anybody_delivers(
    store: Store, visitor: Browser
) -> None:
    visitor.get("/about")
    ready = visitor.get("/readyz")
    assert ready.response.json == {
        "status": "ready",
        "database": "ok",
        "forwarder": "silent",
        "waiting_messages": 2,
    }
    beat(store.parts.database, "forwarder", store.clock())
    assert '"forwarder":"running"' in visitor.get("/readyz").html
    store.clock.forward(minutes=1)
    assert '"forwarder":"silent"' in visitor.get("/readyz").html
