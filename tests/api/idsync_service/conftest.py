"""An identity service with one workspace, and a client that calls it as the documentation says."""

import threading
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from flask import Flask
from sqlalchemy import select
from waitress.server import create_server

from higgs_shop.database import Database
from higgs_shop.identity_types import DEFAULT_PRIORITY
from higgs_shop.idsync_service import STRATEGIES, create_service, random_mpid
from higgs_shop.tables import profile_identities
from higgs_shop.workspaces import DEFAULT_WORKSPACE, Workspace, ensure_workspace

KEY = "shop-key-0001"
SECRET = "shop-secret-0001"
NOW_MS = 1_772_360_100_000


class Calls:
    """The five calls, each with the fewest members that the contract asks for."""

    def __init__(self, http: httpx.Client) -> None:
        self.http = http

    def post(self, path: str, body: dict[str, Any]) -> httpx.Response:
        return self.http.post(
            path, json={"environment": "development", **body}, headers={"x-mp-key": KEY}
        )

    def move(
        self, action: str, identities: dict[str, str], previous_mpid: str | None = None, **more: Any
    ) -> dict[str, Any]:
        response = self.post(
            f"v1/{action}",
            {"known_identities": identities, "previous_mpid": previous_mpid, **more},
        )
        assert response.status_code == 200, response.text
        answer: dict[str, Any] = response.json()
        return answer

    def identify(
        self, identities: dict[str, str], previous_mpid: str | None = None
    ) -> dict[str, Any]:
        return self.move("identify", identities, previous_mpid)

    def login(self, identities: dict[str, str], previous_mpid: str | None = None) -> dict[str, Any]:
        return self.move("login", identities, previous_mpid)

    def logout(
        self, identities: dict[str, str], previous_mpid: str | None = None
    ) -> dict[str, Any]:
        return self.move("logout", identities, previous_mpid)

    def search(self, identities: dict[str, str]) -> httpx.Response:
        return self.post("v1/search", {"known_identities": identities})

    def modify(
        self, mpid: str, identity_type: str, old_value: str | None, new_value: str | None
    ) -> httpx.Response:
        change = {
            "identity_type": identity_type,
            "old_value": old_value,
            "new_value": new_value,
        }
        return self.post(f"v1/{mpid}/modify", {"identity_changes": [change]})


StoreWorkspace = Callable[..., Workspace]


@pytest.fixture
def store_workspace(database: Database) -> StoreWorkspace:
    """Stores a workspace; what is not given is as in the shop, or as its strategy has it."""

    def store(
        *,
        workspace_id: str = DEFAULT_WORKSPACE,
        api_key: str = KEY,
        identity_strategy: str = "profile_conversion",
        identity_priority: tuple[str, ...] = DEFAULT_PRIORITY,
        login_ids: tuple[str, ...] | None = None,
        unique_ids: tuple[str, ...] | None = None,
        immutable_ids: tuple[str, ...] = (),
    ) -> Workspace:
        workspace = Workspace(
            id=workspace_id,
            api_key=api_key,
            api_secret=SECRET,
            identity_strategy=identity_strategy,
            identity_priority=identity_priority,
            login_ids=STRATEGIES[identity_strategy].login_ids if login_ids is None else login_ids,
            unique_ids=(
                STRATEGIES[identity_strategy].unique_ids if unique_ids is None else unique_ids
            ),
            immutable_ids=immutable_ids,
        )
        with database.write() as connection:
            ensure_workspace(connection, workspace, NOW_MS)
        return workspace

    return store


@pytest.fixture
def workspace(store_workspace: StoreWorkspace) -> Workspace:
    return store_workspace()


@pytest.fixture
def record(database: Database) -> Any:
    """Reads a profile's identity record: its (type, value) pairs."""

    def read(mpid: str) -> set[tuple[str, str]]:
        with database.read() as connection:
            rows = connection.execute(
                select(
                    profile_identities.c.identity_type, profile_identities.c.identity_value
                ).where(profile_identities.c.mpid == int(mpid))
            )
            return {(identity_type, value) for identity_type, value in rows}

    return read


@pytest.fixture
def clock_ms() -> list[int]:
    """The service's clock: one number, which a test may change."""
    return [NOW_MS]


@pytest.fixture
def service(database: Database, clock_ms: list[int]) -> Flask:
    return create_service(database, clock=lambda: clock_ms[0], new_mpid=random_mpid)


@pytest.fixture
def in_process_calls(service: Flask) -> Iterator[Calls]:
    """Calls within the process."""
    transport = httpx.WSGITransport(app=service.wsgi_app)
    with httpx.Client(transport=transport, base_url="http://localhost/") as http:
        yield Calls(http)


@pytest.fixture
def tcp_address(service: Flask) -> Iterator[str]:
    """The service behind a real server on a free port."""
    server = create_server(service.wsgi_app, host="127.0.0.1", port=0, threads=4)
    thread = threading.Thread(target=server.run)
    thread.start()
    yield f"http://127.0.0.1:{server.effective_port}/"
    # Closed by its own thread, since that one may be waiting on the socket right now.
    server.trigger.pull_trigger(server.close)
    thread.join()
    server.task_dispatcher.shutdown()


@pytest.fixture
def tcp_calls(tcp_address: str) -> Iterator[Calls]:
    """Calls over TCP."""
    with httpx.Client(base_url=tcp_address, trust_env=False) as http:
        yield Calls(http)


@pytest.fixture
def calls(in_process_calls: Calls) -> Calls:
    """Calls within the process, unless a module says otherwise."""
    return in_process_calls
