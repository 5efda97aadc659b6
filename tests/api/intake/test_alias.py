"""What clients sent under one profile, carried over to another: by period, and by device."""

import json
from typing import Any

import pytest

from higgs_shop.idsync_service import Resolver, random_mpid
from higgs_shop.idsync_service.messages import IdentityRequest
from higgs_shop.workspaces import get_workspace
from tests.api.conftest import NOW_MS, Store
from tests.api.intake.conftest import KEY, Sender, batch, event

HOUR_MS = 3_600_000


def identify(store: Store, stamp: str) -> int:
    """A profile that is known by a device."""
    resolver = Resolver(store.parts.database, clock=store.clock, new_mpid=random_mpid)
    with store.parts.database.read() as connection:
        workspace = get_workspace(connection, store.parts.workspace_id)
    asked = IdentityRequest(
        environment="development", known_identities={"device_application_stamp": stamp}
    )
    return int(resolver.move(workspace, "identify", asked, stamp)["mpid"])


@pytest.fixture
def people(store: Store) -> tuple[int, int]:
    return identify(store, "phone"), identify(store, "laptop")


def alias(store: Store, sender: Sender, source: int, destination: int, **data: Any) -> None:
    """Asks, and lets the background worker do it."""
    body = {
        "request_type": "alias",
        "environment": "development",
        "data": {"source_mpid": str(source), "destination_mpid": str(destination), **data},
    }
    response = sender.client.post(f"/webevents/v1/identity/{KEY}/alias", data=json.dumps(body))
    assert response.status_code == 202, response.text
    store.parts.background.do_round()


def names(store: Store, mpid: int) -> list[str]:
    return [found.name for found in store.events() if found.mpid == mpid]


def visit(at_ms: int, name: str) -> dict[str, Any]:
    return event(timestamp_unixtime_ms=at_ms, event_name=name)


def test_only_what_happened_in_the_period_is_carried_over(
    store: Store, sender: Sender, people: tuple[int, int]
) -> None:
    source, destination = people
    happened = {"before": -1, "first": 0, "last": HOUR_MS, "after": HOUR_MS + 1}
    start_ms = NOW_MS - 2 * HOUR_MS
    sender.post(batch(*(visit(start_ms + at, name) for name, at in happened.items()), mpid=source))
    alias(
        store,
        sender,
        source,
        destination,
        start_unixtime_ms=start_ms,
        end_unixtime_ms=start_ms + HOUR_MS,
    )
    assert names(store, source) == ["before", "first", "last", "after"]
    assert names(store, destination) == ["first", "last"]


@pytest.mark.parametrize(
    ("asked", "carried"),
    [
        ({"scope": "device", "device_application_stamp": "phone"}, ["on the phone"]),
        ({"device_application_stamp": "phone"}, ["on the phone"]),
        ({"scope": "device", "device_application_stamp": "tablet"}, []),
        ({"scope": "mpid", "device_application_stamp": "phone"}, ["on the phone", "at the till"]),
        ({}, ["on the phone", "at the till"]),
    ],
    ids=["that device", "no scope", "another device", "the whole profile", "no device"],
)
def test_a_device_may_bound_it(
    store: Store,
    sender: Sender,
    people: tuple[int, int],
    asked: dict[str, str],
    carried: list[str],
) -> None:
    source, destination = people
    sender.post(batch(visit(NOW_MS - 5, "on the phone"), mpid=source, mp_deviceid="phone"))
    sender.post(batch(visit(NOW_MS - 4, "at the till"), mpid=source))
    alias(store, sender, source, destination, **asked)
    assert names(store, destination) == carried


def test_a_copy_is_shown_with_its_origin_and_not_delivered_again(
    store: Store, sender: Sender, people: tuple[int, int]
) -> None:
    source, destination = people
    sender.post(batch(visit(NOW_MS - 5, "at the till"), mpid=source))
    delivered = len(store.bodies())
    alias(store, sender, source, destination)
    assert len(store.bodies()) == delivered
    (shown,) = store.browser().get(f"/profiles/{destination}").all("profile-event")
    assert shown["data-channel"] == "server_to_server"
    assert shown["data-delivery"] == "kept"


def test_the_same_event_sent_again_stays_known(
    store: Store, sender: Sender, people: tuple[int, int]
) -> None:
    source, destination = people
    sent = event(source_message_id="m-1", timestamp_unixtime_ms=NOW_MS - 5)
    sender.post(batch(sent, mpid=source))
    alias(store, sender, source, destination)
    sender.post(batch(sent, mpid=source))
    sender.post(batch(sent, mpid=destination))
    assert len(names(store, source)) == 1
    assert len(names(store, destination)) == 1
