"""Outputs of a whole store, and what a receiver got through them."""

import json
from collections.abc import Sequence
from typing import Any

from higgs_shop.background import beat, this_forwarder
from higgs_shop.outputs import (
    MAIN_OUTPUT,
    Output,
    OutputSettings,
    add_output,
    change_output,
    find_output,
    remove_output,
)
from tests.api.conftest import Store
from tests.network_faults import Receiver


def add(
    store: Store, name: str, *, authorization: str = "", secrets: Sequence[str] = (), **given: Any
) -> Output:
    """Another output of the store's workspace, with these settings."""
    with store.parts.database.write() as connection:
        add_output(
            connection,
            store.parts.workspace_id,
            name,
            OutputSettings(**given),
            authorization=authorization,
            secrets=tuple(secrets),
            now_ms=store.clock(),
        )
    return find(store, name)


def find(store: Store, name: str = MAIN_OUTPUT) -> Output:
    """An output that is there."""
    with store.parts.database.read() as connection:
        output = find_output(connection, store.parts.workspace_id, name)
    assert output is not None
    return output


def change(store: Store, name: str = MAIN_OUTPUT, **given: Any) -> None:
    """Some settings of an output; the others stay."""
    output = find(store, name)
    settings = OutputSettings(**{**output.settings.model_dump(), **given})
    with store.parts.database.write() as connection:
        change_output(
            connection,
            output,
            settings,
            authorization=output.authorization,
            secrets=output.secrets,
        )


def remove(store: Store, name: str) -> None:
    """An output with all that waits for it."""
    with store.parts.database.write() as connection:
        remove_output(connection, find(store, name))


def forwarding(store: Store) -> Store:
    """As if a forwarder were there."""
    beat(store.parts.database, this_forwarder(), store.clock())
    return store


def deliver(store: Store) -> None:
    """A round of the background, and then everything that is due is sent."""
    store.parts.background.do_round()
    while store.parts.sender.deliver_due():
        pass


def bodies(receiver: Receiver, path: str = "/") -> list[dict[str, Any]]:
    """What came at a path, in the order of arrival."""
    return [json.loads(each.body) for each in receiver.requests if each.path == path]


def types(body: dict[str, Any]) -> list[str]:
    """The types of a body's events."""
    return [event["event_type"] for event in body["events"]]


def names(body: dict[str, Any]) -> list[str]:
    """A body's events by what tells them apart: a name, a screen, an action, or else the type."""
    return [_name(event) for event in body["events"]]


def _name(event: dict[str, Any]) -> str:
    data = event["data"]
    for member in ("screen_name", "event_name"):
        if member in data:
            return str(data[member])
    if "product_action" in data:
        return str(data["product_action"]["action"])
    return str(event["event_type"])
