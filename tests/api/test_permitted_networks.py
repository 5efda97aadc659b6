"""What a whole store may connect to: by its settings, in either environment, and its own inbox."""

import re
import socket
from collections.abc import Callable
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import create_engine, select

from higgs_shop.settings import Settings
from higgs_shop.tables import messages
from tests.api.conftest import PRODUCTION, OpenStore, Store
from tests.api.journeys import identity_state
from tests.api.test_command_line import command
from tests.browser.store_process import StoreProcess, until
from tests.network_faults import Receiver

KEYS = {"IDSYNC_KEY": "shop-key", "IDSYNC_SECRET": "a secret of our own"}


LeadTo = Callable[[str], None]


@pytest.fixture
def names_lead_to(monkeypatch: pytest.MonkeyPatch) -> LeadTo:
    """Has every name have this address, as its owner can arrange."""
    look_up = socket.getaddrinfo

    def lead_to(address: str) -> None:
        def found(host: Any, *rest: Any, **options: Any) -> Any:
            named = str(host).endswith(".example")
            return look_up(address if named else host, *rest, **options)

        monkeypatch.setattr(socket, "getaddrinfo", found)

    return lead_to


@pytest.fixture
def document() -> str:
    """What is written about where a receiver may be."""
    return (Path(__file__).parents[2] / "docs" / "events.md").read_text("utf-8")


def first_message(store: Store) -> tuple[str, int, str | None]:
    """State, attempts and last error of the oldest message."""
    message = store.rows("messages")[0]
    return message["state"], message["attempts"], message["last_error"]


def test_a_name_that_leads_inside_is_refused_at_delivery_and_the_event_waits(
    open_store: OpenStore, names_lead_to: LeadTo
) -> None:
    names_lead_to("127.0.0.1")
    with Receiver() as receiver:
        url = f"http://hook.example:{receiver.address[1]}/hook"
        store = open_store(**PRODUCTION, webhook_url=url)
        store.browser().get("/")

        store.parts.sender.deliver_due()

        assert receiver.connections == 0
        state, attempts, error = first_message(store)
        assert (state, attempts) == ("waiting", 1)
        assert error == (
            "no connection to hook.example: 127.0.0.1 is in 127.0.0.0/8 (loopback), "
            "where nothing is sent unless HIGGS_SHOP_PERMITTED_NETWORKS lists it"
        )

        store.clock.forward(minutes=1)
        permitted = open_store(**PRODUCTION, webhook_url=url, permitted_networks="127.0.0.0/8")
        permitted.parts.sender.deliver_due()

        assert receiver.requests[0].headers["host"] == f"hook.example:{receiver.address[1]}"
        assert first_message(permitted)[:2] == ("delivered", 2)


def test_the_x_ray_says_why_an_event_waits(open_store: OpenStore, names_lead_to: LeadTo) -> None:
    names_lead_to("10.0.0.7")
    store = open_store(webhook_url="http://hook.example/hook")
    visitor = store.browser()
    visitor.get("/")

    store.parts.sender.deliver_due()

    trouble = visitor.get("/x-ray").html
    assert "10.0.0.7 is in 10.0.0.0/8 (private), where nothing is sent unless" in trouble
    assert "HIGGS_SHOP_PERMITTED_NETWORKS" in trouble


def test_the_line_in_the_document_is_what_is_said(
    open_store: OpenStore, names_lead_to: LeadTo, document: str
) -> None:
    names_lead_to("10.1.2.3")
    store = open_store(webhook_url="http://hook.example/hook")
    store.browser().get("/")

    store.parts.sender.deliver_due()

    assert f"\n    {first_message(store)[2]}\n" in document


def test_the_setting_in_the_document_permits_what_it_says(document: str) -> None:
    (line,) = re.findall(r"^    HIGGS_SHOP_PERMITTED_NETWORKS=(.+)$", document, flags=re.MULTILINE)

    reach = Settings(permitted_networks=line).reach

    assert reach.refusal(ip_address("10.1.2.3")) is None
    assert reach.refusal(ip_address("fd12:3456::3")) is None
    assert reach.refusal(ip_address("10.1.3.3"))


def test_an_identity_service_that_leads_inside_is_not_asked_and_the_shop_goes_on(
    open_store: OpenStore, names_lead_to: LeadTo
) -> None:
    names_lead_to("127.0.0.1")
    with Receiver() as service:
        url = f"https://identity.example:{service.address[1]}/v1"
        store = open_store(**PRODUCTION, idsync_url=url)

        page = store.browser().get("/")

        assert page.status == 200
        assert identity_state(page) != "known"
        assert service.connections == 0


def test_an_api_client_is_not_told_where_an_identity_service_leads(
    open_store: OpenStore, names_lead_to: LeadTo
) -> None:
    names_lead_to("10.0.0.7")
    store = open_store(**PRODUCTION, idsync_url="https://identity.example/v1")

    answer = store.app.test_client().post(
        "/s2s/v2/events",
        base_url="https://shop.example",
        auth=(PRODUCTION["idsync_key"], PRODUCTION["idsync_secret"]),
        json={"environment": "production", "user_identities": {"customer_id": "C-1"}, "events": []},
    )

    assert answer.status_code == 503
    assert "misconfigured" in answer.text
    assert "10.0.0.7" not in answer.text


def test_a_store_in_production_reaches_its_own_inbox_without_a_permission(tmp_path: Path) -> None:
    with StoreProcess(tmp_path, ENVIRONMENT="production", **KEYS) as store:
        assert httpx.get(f"{store.address}/").status_code == 200
        until(lambda: delivered(tmp_path) > 0, "the first event is in the inbox")


def delivered(instance: Path) -> int:
    """How many messages of a store have arrived."""
    engine = create_engine(f"sqlite:///{instance}/higgs-shop.db")
    with engine.connect() as connection:
        states = connection.execute(select(messages.c.state)).scalars().all()
    engine.dispose()
    return states.count("delivered")


@pytest.mark.parametrize("name", ["WEBHOOK_URL", "IDSYNC_URL"])
@pytest.mark.parametrize("subcommand", [("run", "--port", "0"), ("forward",)], ids=" ".join)
def test_an_address_that_is_not_permitted_stops_the_start_in_one_line(
    tmp_path: Path, subcommand: tuple[str, ...], name: str
) -> None:
    result = command(
        *subcommand,
        INSTANCE=str(tmp_path),
        ENVIRONMENT="production",
        **KEYS,
        **{name: "http://127.0.0.1:9000/v1"},
    )

    assert result.exit_code == 2
    (line,) = result.output.splitlines()
    assert line == (
        f"HIGGS_SHOP_{name}=http://127.0.0.1:9000/v1: 127.0.0.1 is in 127.0.0.0/8 (loopback), "
        "where nothing is sent unless HIGGS_SHOP_PERMITTED_NETWORKS lists it"
    )
    assert list(tmp_path.iterdir()) == [], "before anything was made"
