"""A store in a process of its own, a receiver for its webhooks, and shoppers in real Chromium."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect
from pytest_playwright.pytest_playwright import CreateContextCallback

from tests.browser.received_events import ReceivedEvents
from tests.browser.shopper import OPERATOR_TOKEN, Shopper, Watch
from tests.browser.store_process import StoreProcess
from tests.install_browser import NoBrowser, find_browser
from tests.network_faults import Receiver

PATIENCE_MS = 20_000
AUTHORIZATION = "Bearer what-the-receiver-wants"
NewStore = Callable[..., StoreProcess]
NewShopper = Callable[..., Shopper]


@pytest.fixture(scope="session", autouse=True)
def patience() -> None:
    """A busy machine takes its time; what is expected is still noticed at once."""
    expect.set_options(timeout=PATIENCE_MS)


@pytest.fixture(scope="session")
def browser_type_launch_args(browser_type_launch_args: dict[str, Any]) -> dict[str, Any]:
    """Chromium as it is on this machine, kept from calling home."""
    browser = find_browser()
    if browser is None:
        raise NoBrowser("no Chromium here: run python -m tests.install_browser")
    arguments = [
        # Nothing but loopback has an address, whatever the browser would like to look up.
        "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE stranger.localhost",
        "--no-proxy-server",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-domain-reliability",
        "--disable-sync",
        "--no-first-run",
        "--no-pings",
    ]
    if os.geteuid() == 0:
        arguments.append("--no-sandbox")
    return {**browser_type_launch_args, "executable_path": str(browser), "args": arguments}


@pytest.fixture(scope="session")
def base_url() -> None:
    """There is none: shoppers know the address of their store. (The plugin's own fixture warns.)"""


@pytest.fixture(scope="session")
def receiver() -> Iterator[Receiver]:
    """Where the shared store posts what happens."""
    with Receiver() as receiver:
        yield receiver


@pytest.fixture(scope="session")
def store(receiver: Receiver, tmp_path_factory: pytest.TempPathFactory) -> Iterator[StoreProcess]:
    """The store that most tests share. Visitors know nothing of each other."""
    with StoreProcess(
        tmp_path_factory.mktemp("store"),
        WEBHOOK_URL=f"{receiver.url}/events",
        WEBHOOK_AUTHORIZATION=AUTHORIZATION,
        WEBHOOK_RETRY_SECONDS=",".join(["0"] + ["1"] * 29),
    ) as store:
        store.send_attribute_changes()
        yield store


@pytest.fixture(scope="session")
def observed_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StoreProcess]:
    """A store that posts to its own inbox and shows it to whoever has the operator token."""
    with StoreProcess(
        tmp_path_factory.mktemp("observed-store"), OPERATOR_TOKEN=OPERATOR_TOKEN
    ) as store:
        yield store


@pytest.fixture
def received(receiver: Receiver, store: StoreProcess) -> Iterator[ReceivedEvents]:
    """What the receiver got; in the end, everything that is promised of every event is checked."""
    received = ReceivedEvents(receiver, store, authorization=AUTHORIZATION)
    yield received
    received.assert_sound()


@pytest.fixture
def new_store(tmp_path: Path) -> Iterator[NewStore]:
    """Starts a store of the test's own: `new_store("name", "--tls", WEBHOOK_URL=…)`."""
    started: list[StoreProcess] = []

    def start(name: str, *options: str, **settings: str) -> StoreProcess:
        store = StoreProcess(tmp_path / name, *options, **settings)
        store.start()
        store.send_attribute_changes()
        started.append(store)
        return store

    yield start
    for store in started:
        store.stop()


@pytest.fixture
def new_shopper(
    new_context: CreateContextCallback, request: pytest.FixtureRequest
) -> Iterator[NewShopper]:
    """Somebody with a browser of their own: `new_shopper()`, or at another store by its address."""
    watches: list[Watch] = []

    def come(address: str | None = None, **browser: Any) -> Shopper:
        at = address or request.getfixturevalue("store").address
        context = new_context(**browser)
        watches.append(Watch(context))
        return Shopper(context.new_page(), at, watches[-1])

    yield come
    assert [fault for watch in watches for fault in watch.faults] == []


@pytest.fixture
def shopper(new_shopper: NewShopper) -> Shopper:
    """Somebody who comes to the shared store for the first time."""
    return new_shopper()
