"""S16 and P3: a whole shopping trip whose secrets are known, and everywhere that they must not be.

Every secret is a value that stands nowhere else. The receiver refuses first, so that there are dead
letters with their reasons, and says back what it was sent.
"""

import base64
import json
import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final
from urllib.parse import quote, quote_plus

import pytest
from sqlalchemy import text

from tests.api.browsing import Browser, Page
from tests.api.conftest import OpenStore, Store
from tests.api.delivering import deliver, find
from tests.api.journeys import BALL, add_to_cart, begin_checkout, sign_in, sign_out, sign_up
from tests.network_faults import PASS, RESET, FaultProxy, Received, Receiver, Reply

ADDRESS: Final = "203.0.113.77"
EMAIL: Final = "canary.customer@example.com"
PARCEL_EMAIL: Final = "canary.parcel@example.com"
CARD: Final = "4000 0566 5566 5556"
OTHER_CARD: Final = "4111 1111 1111 1111"
HEADERS: Final = {"X-Forwarded-For": ADDRESS, "X-Forwarded-Proto": "https"}
PASSWORD: Final = "canary-password-1f6b"
AUTHORIZATION: Final = "Bearer canary-authorization-77d0"
SETTINGS: Final[dict[str, Any]] = {
    "environment": "production",
    "idsync_key": "shop-key",
    "idsync_secret": "canary-api-secret-5c19",
    "secret_key": "canary-secret-key-" + "k" * 40,
    "operator_token": "canary-operator-token-9e02",
    "webhook_authorization": AUTHORIZATION,
    "webhook_secret": "whsec_Y2FuYXJ5LXNpZ25pbmctc2VjcmV0LWUzYTk1NzE=",
    "trusted_hosts": ("shop.example",),
    "permitted_networks": "127.0.0.0/8",
    "webhook_retry_seconds": (0, 5),
    "proxy_hops": 1,
}
SECRETS: Final = {
    "the password": PASSWORD,
    "the card number": CARD,
    "the card number in a field for something else": OTHER_CARD,
    "the Authorization header": AUTHORIZATION.removeprefix("Bearer "),
    "the API secret": SETTINGS["idsync_secret"],
    "the key of cookies": SETTINGS["secret_key"],
    "the operator token": SETTINGS["operator_token"],
    "the signing secret": SETTINGS["webhook_secret"],
    "the address": ADDRESS,
    "the e-mail address of the parcel": PARCEL_EMAIL,
}

_OF_EVERY_EVENT: Final = [
    "event_type",
    "data.event_id",
    "data.source_message_id",
    "data.timestamp_unixtime_ms",
    "data.event_start_unixtime_ms",
    "data.session_id",
    "data.session_uuid",
    "data.session_start_unixtime_ms",
]
_OF_SOME: Final = [
    "data.screen_name",
    "data.event_name",
    "data.custom_event_type",
    "data.currency_code",
    "data.session_duration_ms",
    "data.is_opted_out",
]
# Ours, and as flat as they are: what a page says of itself.
_CUSTOM_ATTRIBUTES: Final = [
    "category",
    "label",
    "number_of_products",
    "total_product_amounts",
    "step",
]
_OF_AN_ACTION: Final = [
    "action",
    "transaction_id",
    "total_amount",
    "tax_amount",
    "shipping_amount",
    "checkout_step",
    "checkout_options",
]
_OF_A_PRODUCT: Final = [
    "id",
    "name",
    "brand",
    "category",
    "price",
    "quantity",
    "total_product_amount",
    "variant",
    "position",
    "custom_attributes.color",
    "custom_attributes.size",
]
_OF_AN_IDENTITY: Final = ["identity_type", "identity", "timestamp_unixtime_ms"]
_OF_A_BODY: Final = [
    "schema_version",
    "environment",
    "mpid",
    "batch_id",
    "timestamp_unixtime_ms",
    "source_request_id",
    "user_attributes.name",
    "user_attributes.wants_marketing",
    "device_info.platform",
    "device_info.http_header_user_agent",
    "application_info.application_name",
    "application_info.application_version",
    "source_info.channel",
    "source_info.partner",
    "source_info.replay_request_id",
    "source_info.replay_job_id",
    "source_info.is_historical",
    "context.mpid_sequence",
    "context.session_sequence",
    "user_attributes",
    "user_identities",
    "system_notifications",
]
_PRODUCTS: Final = (
    "events.data.product_action.products",
    "events.data.product_impressions.products",
)
MEMBERS: Final = frozenset(
    [
        *_OF_A_BODY,
        *(f"user_identities.{name}" for name in _OF_AN_IDENTITY),
        *(f"events.{name}" for name in (*_OF_EVERY_EVENT, *_OF_SOME)),
        *(f"events.data.custom_attributes.{name}" for name in _CUSTOM_ATTRIBUTES),
        *(f"events.data.product_action.{name}" for name in _OF_AN_ACTION),
        *(f"{products}.{name}" for products in _PRODUCTS for name in _OF_A_PRODUCT),
        "events.data.product_impressions.product_impression_list",
        *(
            f"events.data.{side}.{name}"
            for side in ("new", "old")
            for name in (*_OF_AN_IDENTITY, "created_this_batch")
        ),
    ]
)
"""Every member that a body of the store's own events may have, lists left out of their paths."""


@dataclass
class Trip:
    """What the trip left behind: secrets made on the way, and what was refused.

    Attributes:
        refused: pages that say so.
        sent_back: forms with mistakes, which belong to whoever filled them in.
    """

    secrets: dict[str, str] = field(default_factory=dict)
    refused: list[Page] = field(default_factory=list)
    sent_back: list[Page] = field(default_factory=list)


def test_a_shopping_trip_takes_no_secret_anywhere(
    open_store: OpenStore, receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    # At DEBUG the library writes down every row that it reads, which nothing of the store turns on.
    caplog.set_level(logging.INFO, "sqlalchemy")
    with FaultProxy(receiver.address) as line:
        settings = {**SETTINGS, "webhook_url": f"{line.url}/hook"}
        store = open_store(**settings)
        trip = _shop(store)
        broken = open_store(
            **settings, before_serving=lambda parts: replace(parts, catalog=_BrokenCatalog())
        )
        trip.refused.append(broken.browser(**HEADERS).get("/"))
        _be_refused_and_then_deliver(store, receiver, line)

    secrets = {**SECRETS, **trip.secrets}
    assert {page.status for page in trip.refused} == {400, 404, 413, 500, 503}
    assert "UPDATE checkouts SET" in caplog.text, "the statement that failed is told"
    places = _places(store, receiver, caplog.text, trip)
    assert all(places.values())
    for place, said in places.items():
        assert _found(secrets, said) == set(), place
        assert EMAIL not in said or place in {"bodies", "messages"}, place
        for name, secret in secrets.items():
            for written in _spellings(secret):
                assert _found(secrets, f"{said}{written}") == {name}, "the search would find it"
    for page in trip.sent_back:
        assert _found({"password": PASSWORD, "card": CARD}, page.html) == set(), page.path
    # An answer is kept as it came, for operators: what a receiver says back stands there alone.
    answers = " ".join(row["answer"] for row in store.rows("delivery_attempts"))
    assert _found(secrets, answers) == {"the Authorization header"}
    assert ADDRESS not in repr(store.dump()), "nobody's address is kept"


def test_a_shopping_trip_tells_receivers_what_is_listed_and_no_more(
    open_store: OpenStore, receiver: Receiver
) -> None:
    store = open_store(**SETTINGS, webhook_url=f"{receiver.url}/hook")
    _shop(store)
    deliver(store)
    bodies = [json.loads(request.body) for request in receiver.requests]
    members = {path for body in bodies for path, _ in _members(body)}
    assert members - MEMBERS == set()
    assert {path for path, _ in _members({**bodies[0], "ip": ADDRESS})} - MEMBERS == {"ip"}
    has_email = {path for body in bodies for path, value in _members(body) if value == EMAIL}
    assert has_email == {"user_identities.identity", "events.data.new.identity"}


def _shop(store: Store) -> Trip:
    """From the first page to an order and out again, with mistakes on the way."""
    trip = Trip()
    visitor = store.browser(**HEADERS)
    visitor.get("/")
    _note(trip, visitor, "of a stranger")
    page = visitor.get("/account")
    trip.sent_back.append(
        visitor.submit(page, "sign-in", user_id="returning_user", password=PASSWORD)
    )
    sign_up(visitor, name="Canary Customer", email=EMAIL)
    _note(trip, visitor, "of a customer")
    add_to_cart(visitor)
    form = begin_checkout(visitor).form_of("continue-to-payment")
    form = form.with_values({"name": OTHER_CARD, "address": OTHER_CARD, "email": PARCEL_EMAIL})
    trip.refused.append(_while_nothing_is_kept(store, lambda: visitor.send(form)))
    page = visitor.follow(visitor.send(form))
    trip.sent_back.append(visitor.submit(page, "continue-to-review", card_number=CARD))
    page = visitor.follow(visitor.submit(page, "continue-to-review"))
    trip.refused += _mistaken(visitor, page.form_of("place-order")["csrf_token"])
    assert visitor.follow(visitor.submit(page, "place-order")).has("order-number")
    sign_out(visitor)
    sign_in(visitor)
    _note(trip, visitor, "of another customer")
    assert {page.status for page in trip.sent_back} == {422}
    return trip


def _note(trip: Trip, visitor: Browser, whose: str) -> None:
    cookie = visitor.cookie("__Host-higgs_visit")
    assert cookie is not None
    trip.secrets[f"the cookie {whose}"] = cookie
    token = visitor.get(f"/products/{BALL}").form_of("add-to-cart")["csrf_token"]
    # What the tokens of a visit have in common; the rest is when they were made.
    trip.secrets[f"the CSRF token {whose}"] = token.partition(".")[0]


def _while_nothing_is_kept(store: Store, act: Callable[[], Page]) -> Page:
    """What comes of it when the database refuses the statement that holds what was typed."""
    with store.parts.database.write() as connection:
        connection.execute(text(_REFUSE))
    page = act()
    with store.parts.database.write() as connection:
        connection.execute(text("DROP TRIGGER refuse"))
    return page


def _mistaken(visitor: Browser, csrf_token: str) -> Iterator[Page]:
    """Requests with secrets in them that lead nowhere."""
    given = {"password": PASSWORD, "card_number": CARD, "csrf_token": csrf_token}
    yield visitor.open("/nothing", query_string=given)
    yield visitor.open("/nothing", method="POST", data=given)
    yield visitor.open("/products/1", query_string=given)
    yield visitor.open("/cart/lines", method="POST", data={**given, "csrf_token": "another"})
    yield visitor.open("/cart/lines", method="POST", data={**given, "name": "x" * 70_000})


class _BrokenCatalog:
    """Fails at whatever is asked of it."""

    def __getattr__(self, name: str) -> Any:
        raise ZeroDivisionError(name)


def _be_refused_and_then_deliver(store: Store, receiver: Receiver, line: FaultProxy) -> None:
    """One dead letter of each kind: without an answer, and with one. The rest arrives."""
    receiver.answer = _say_back
    for mode in (RESET, PASS):
        line.mode = mode
        for _ in range(2):
            deliver(store)
            store.clock.forward(seconds=60)
    receiver.answer = lambda _: Reply()
    deliver(store)
    dead = [row for row in store.rows("messages") if row["state"] == "dead"]
    assert {row["last_status"] for row in dead} == {None, 400}
    assert any(row["last_error"] for row in dead)
    assert all(row["state"] != "waiting" for row in store.rows("messages"))


def _say_back(request: Received) -> Reply:
    """No, and what a careless receiver prints: the header that should have let the request in."""
    return Reply(400, body=f"not with {request.headers['authorization']}".encode())


def _places(store: Store, receiver: Receiver, log: str, trip: Trip) -> dict[str, str]:
    """Everything that is looked through, as text, by what it is called."""
    parts = store.parts
    attempts = [{**row, "answer": ""} for row in store.rows("delivery_attempts")]
    messages = [{**row, "body": row["body"].decode()} for row in store.rows("messages")]
    headers = [
        {name: value for name, value in request.headers.items() if name != "authorization"}
        for request in receiver.requests
    ]
    shown = (parts.settings, parts.secrets, parts, parts.sender, parts.identity_client, find(store))
    return {
        "bodies": " ".join(request.body.decode() for request in receiver.requests),
        "headers": repr(headers),
        "messages": repr(messages),
        "attempts": repr(attempts),
        "log": log,
        "refusals": " ".join(f"{page.html} {page.response.headers}" for page in trip.refused),
        "reprs": " ".join(f"{each!r} {each}" for each in shown),
    }


def _found(secrets: Mapping[str, str], said: str) -> set[str]:
    return {
        name
        for name, secret in secrets.items()
        if any(written in said for written in _spellings(secret))
    }


def _spellings(secret: str) -> set[str]:
    """As it is, and as addresses, headers and people write it."""
    in_base64 = base64.b64encode(secret.encode()).decode()
    return {secret, quote(secret), quote_plus(secret), in_base64, secret.replace(" ", "")}


def _members(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every value that is no object and no list, with its path; empty ones count as one."""
    inner = value.items() if isinstance(value, dict) else ()
    if isinstance(value, list):
        for each in value:
            yield from _members(each, path)
    for name, member in inner:
        yield from _members(member, f"{path}.{name}".lstrip("."))
    if not isinstance(value, dict | list) or not value:
        yield path, value


_REFUSE: Final = (
    "CREATE TRIGGER refuse BEFORE UPDATE ON checkouts BEGIN SELECT RAISE(ABORT, 'full'); END"
)
