"""The whole store, as visitors see it: pages, embedded identity service, tracker, outbox, inbox."""

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from flask import Flask
from jinja2 import FileSystemBytecodeCache
from sqlalchemy import RowMapping, select

from higgs_shop.app import create_app
from higgs_shop.outgoing_http import OutgoingHttp
from higgs_shop.settings import Settings
from higgs_shop.tables import events as events_table
from higgs_shop.tables import messages, metadata
from higgs_shop.wiring import Parts, wire
from tests.api.browsing import Browser
from tests.api.sending import TIMEOUT_SECONDS
from tests.network_faults import THIS_MACHINE, Receiver

NOW_MS = 1_772_360_100_000
"""1 March 2026, 10:15 UTC."""

PRODUCTION: dict[str, Any] = {
    "environment": "production",
    "idsync_key": "shop-key",
    "idsync_secret": "a secret of our own",
    "secret_key": "k" * 48,
    "trusted_hosts": ("shop.example",),
}

# What a visitor's looking around changes: who they are, and what they have seen.
LOOKING = frozenset(
    {
        "devices",
        "device_users",
        "visits",
        "sessions",
        "identity_intents",
        "identity_decisions",
        "profiles",
        "profile_identities",
        "events",
        "user_attributes",
        "mailboxes",
        "messages",
    }
)
ARRIVING = frozenset({"devices", "visits", "sessions"})


@dataclass
class FakeClock:
    """A clock that stands still until it is told otherwise."""

    now_ms: int = NOW_MS

    def __call__(self) -> int:
        return self.now_ms

    def forward(self, *, minutes: float = 0, seconds: float = 0) -> None:
        self.now_ms += round(minutes * 60_000 + seconds * 1_000)


@dataclass(frozen=True)
class Logged:
    """One event, as it is stored."""

    event_type: str
    name: str
    data: dict[str, Any]
    mpid: int | None

    @property
    def label(self) -> str:
        """Kind and name: `screen_view Landing`."""
        return f"{self.event_type} {self.name}"

    @property
    def attributes(self) -> dict[str, Any]:
        """The event's custom attributes."""
        found: dict[str, Any] = self.data.get("custom_attributes", {})
        return found

    @property
    def action(self) -> dict[str, Any]:
        """The product action of a commerce event."""
        found: dict[str, Any] = self.data["product_action"]
        return found


@dataclass(frozen=True)
class Store:
    """A store that answers requests in this process; nothing is delivered by itself."""

    parts: Parts
    app: Flask
    clock: FakeClock

    def browser(self, **headers: str) -> Browser:
        """A new browser, where the store's visitors are."""
        secure = self.parts.settings.production
        base_url = "https://shop.example" if secure else "http://localhost"
        return Browser(self.app, base_url=base_url, headers=headers)

    def events(self, *, since: int = 0) -> list[Logged]:
        """Every event in the order in which they were logged, without the first so many."""
        with self.parts.database.read() as connection:
            rows = connection.execute(select(events_table).order_by(events_table.c.id)).all()
        return [Logged(row.event_type, row.name, row.data, row.mpid) for row in rows][since:]

    def labels(self, *, since: int = 0) -> list[str]:
        """The events by kind and name."""
        return [event.label for event in self.events(since=since)]

    def bodies(self) -> list[dict[str, Any]]:
        """What the outbox holds for the webhook, in the order in which it came."""
        with self.parts.database.read() as connection:
            rows = connection.execute(select(messages.c.body).order_by(messages.c.id)).all()
        return [json.loads(row.body) for row in rows]

    def rows(self, table: str) -> list[RowMapping]:
        """A table's rows."""
        columns = metadata.tables[table]
        order = list(columns.primary_key.columns)
        with self.parts.database.read() as connection:
            return list(connection.execute(select(columns).order_by(*order)).mappings())

    def dump(self, *, without: frozenset[str] = frozenset()) -> dict[str, list[dict[str, Any]]]:
        """All rows of all tables but some."""
        return {
            name: [dict(row) for row in self.rows(name)]
            for name in metadata.tables
            if name not in without
        }


OpenStore = Callable[..., Store]


@pytest.fixture(scope="session")
def compiled_templates(tmp_path_factory: pytest.TempPathFactory) -> FileSystemBytecodeCache:
    """Templates are compiled once a run, not once a store."""
    return FileSystemBytecodeCache(str(tmp_path_factory.mktemp("templates")))


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """A real one on this machine, that answers 200 until it is told otherwise."""
    with Receiver() as receiver:
        yield receiver


@pytest.fixture
def http() -> Iterator[OutgoingHttp]:
    """Reaches receivers on this machine."""
    with OutgoingHttp(
        deadline_seconds=TIMEOUT_SECONDS, max_answer_bytes=65_536, reach=THIS_MACHINE
    ) as http:
        yield http


@pytest.fixture
def open_store(
    sqlite_file: Path,
    tmp_path: Path,
    clock: FakeClock,
    compiled_templates: FileSystemBytecodeCache,
) -> Iterator[OpenStore]:
    """Opens a store: on SQLite in development, unless its settings say otherwise."""
    with ExitStack() as stack:

        def open_with(
            *,
            before_serving: Callable[[Parts], Parts] | None = None,
            identity_transport: httpx.BaseTransport | None = None,
            **settings: Any,
        ) -> Store:
            settings.setdefault("instance", tmp_path)
            if "database_url" not in settings and not (tmp_path / "higgs-shop.db").exists():
                shutil.copyfile(sqlite_file, tmp_path / "higgs-shop.db")
            parts = wire(Settings(**settings), clock=clock, identity_transport=identity_transport)
            stack.callback(parts.close)
            app = create_app(wired=before_serving(parts) if before_serving else parts)
            app.jinja_env.bytecode_cache = compiled_templates
            return Store(parts, app, clock)

        yield open_with


@pytest.fixture
def store(open_store: OpenStore) -> Store:
    return open_store()


@pytest.fixture
def production(open_store: OpenStore) -> Store:
    """A store that strangers reach as https://shop.example."""
    return open_store(**PRODUCTION)


@pytest.fixture
def parts(store: Store) -> Parts:
    return store.parts


@pytest.fixture
def visitor(store: Store) -> Browser:
    """A browser that was never here before."""
    return store.browser()
