"""What a receiver got, read as events, with the promises that hold for all of them."""

import json
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from standardwebhooks import Webhook

from tests.browser.store_process import StoreProcess, until
from tests.network_faults import Received, Receiver


@dataclass(frozen=True)
class ReceivedEvent:
    """One event as its webhook body tells it."""

    webhook_id: str
    mpid: str
    mpid_sequence: int
    session_uuid: str
    session_sequence: int
    event_type: str
    data: dict[str, Any]
    body: dict[str, Any]

    @property
    def what(self) -> str:
        """`session_start`, `screen_view Landing`, `add_to_cart`, `email changed` …"""
        data = self.data
        match self.event_type:
            case "screen_view":
                return f"screen_view {data['screen_name']}"
            case "custom_event":
                return f"custom_event {data['event_name']}"
            case "commerce_event" if "product_action" in data:
                return str(data["product_action"]["action"])
            case "commerce_event":
                return str(data["product_impressions"][0]["product_impression_list"])
            case "user_identity_change":
                return f"{data['new']['identity_type']} changed"
            case "user_attribute_change":
                return f"{data['user_attribute_name']} set"
        return self.event_type

    @property
    def identities(self) -> dict[str, str]:
        """The person's identities as the body carries them."""
        return {each["identity_type"]: each["identity"] for each in self.body["user_identities"]}


class ReceivedEvents:
    """A receiver's requests as events: each once, in the order in which they first came.

    Args:
        receiver: who got them.
        store: who sent them.
        authorization: what every request must bear.
    """

    def __init__(self, receiver: Receiver, store: StoreProcess, *, authorization: str = "") -> None:
        self._receiver = receiver
        self._store = store
        self._authorization = authorization
        self._first_request = len(receiver.requests)

    def of(self, *mpids: str) -> list[ReceivedEvent]:
        """Everything these people did, once all of it is delivered."""
        self._store.wait_until_delivered()
        return self.arrived(*mpids)

    def arrived(self, *mpids: str) -> list[ReceivedEvent]:
        """What of it has arrived by now."""
        return [event for event in self._once() if event.mpid in mpids]

    def what_of(self, *mpids: str) -> list[str]:
        """The same, in words."""
        return [event.what for event in self.of(*mpids)]

    def wait_for(self, mpid: str, what: str) -> ReceivedEvent:
        """Block until this person did that, and return the first time."""

        def found() -> list[ReceivedEvent]:
            return [each for each in self._once() if each.mpid == mpid and each.what == what]

        until(lambda: bool(found()), f"{what!r} of {mpid}")
        return found()[0]

    def attempts(self, is_meant: Callable[[ReceivedEvent], bool]) -> list[bytes]:
        """The bodies of every attempt at the events that are meant, repeats included."""
        return [request.body for request in self._receiver.requests if is_meant(_read(request))]

    def mpids(self) -> set[str]:
        """Everybody of whom something was received since this test began."""
        return {_read(each).mpid for each in self._receiver.requests[self._first_request :]}

    def assert_sound(self) -> None:
        """What is promised of every event, whoever's it is.

        Signed; the same bytes on every attempt; in order, with no gap, for each person; and each
        session's events counted without a gap, since the receiver wants every one of them.
        """
        self._store.wait_until_delivered()
        requests = self._receiver.requests
        # The independent library refuses what is older than five minutes, so only this test's.
        self._assert_signed(requests[self._first_request :])
        _assert_same_bytes(requests)
        _assert_in_order(_read(request) for request in requests)
        _assert_sessions_complete(self._once())

    def _assert_signed(self, requests: list[Received]) -> None:
        webhook = Webhook(self._store.webhook_secret)
        for request in requests:
            webhook.verify(request.body, dict(request.headers))  # raises when it does not hold
            assert request.method == "POST"
            assert request.headers["content-type"] == "application/json"
            assert request.headers.get("authorization", "") == self._authorization

    def _once(self) -> list[ReceivedEvent]:
        seen: dict[str, ReceivedEvent] = {}
        for request in self._receiver.requests:
            event = _read(request)
            seen.setdefault(event.webhook_id, event)
        return list(seen.values())


def _read(request: Received) -> ReceivedEvent:
    body = json.loads(request.body)
    (event,) = body["events"]
    return ReceivedEvent(
        webhook_id=request.headers["webhook-id"],
        mpid=str(body["mpid"]),
        mpid_sequence=body["context"]["mpid_sequence"],
        session_uuid=event["data"]["session_uuid"],
        session_sequence=body["context"]["session_sequence"],
        event_type=event["event_type"],
        data=event["data"],
        body=body,
    )


def _assert_same_bytes(requests: list[Received]) -> None:
    bodies = defaultdict(set)
    for request in requests:
        bodies[request.headers["webhook-id"]].add(request.body)
    assert [name for name, seen in bodies.items() if len(seen) > 1] == []


def _assert_in_order(events: Iterable[ReceivedEvent]) -> None:
    last: dict[str, ReceivedEvent] = {}
    for event in events:
        before = last.get(event.mpid)
        is_repeat = before is not None and before.webhook_id == event.webhook_id
        expected = (before.mpid_sequence if before else 0) + (0 if is_repeat else 1)
        assert event.mpid_sequence == expected, f"{event.what!r} of {event.mpid} out of order"
        last[event.mpid] = event


def _assert_sessions_complete(events: list[ReceivedEvent]) -> None:
    numbers = defaultdict(list)
    for event in events:
        numbers[event.session_uuid].append(event.session_sequence)
    for session_uuid, seen in numbers.items():
        assert sorted(seen) == list(range(1, len(seen) + 1)), f"session {session_uuid}"
