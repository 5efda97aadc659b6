"""A store that official clients send to, and requests as the contract has them."""

import base64
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest
from werkzeug.test import Client, TestResponse

from tests.api.conftest import OpenStore, Store

KEY: Final = "shop-key-0001"
SECRET: Final = "shop-secret-0001"
UPLOADS: Final = f"/webevents/v3/JS/{KEY}/events"


def basic(key: str = KEY, secret: str = SECRET) -> dict[str, str]:
    """The header of HTTP Basic credentials."""
    return {"Authorization": "Basic " + base64.b64encode(f"{key}:{secret}".encode()).decode()}


@dataclass(frozen=True)
class Sender:
    """Whoever sends batches to a store."""

    client: Client

    def upload(self, body: bytes | dict[str, Any], path: str = UPLOADS) -> TestResponse:
        """As the Web SDK does."""
        return self.client.post(
            path,
            data=body if isinstance(body, bytes) else json.dumps(body),
            content_type="text/plain;charset=UTF-8",
            headers={"User-Agent": "", "Origin": "https://an.app"},
        )

    def post(
        self, body: Any, path: str = "/s2s/v2/events", headers: dict[str, str] | None = None
    ) -> TestResponse:
        """As a server does."""
        return self.client.post(
            path,
            data=body if isinstance(body, bytes) else json.dumps(body),
            content_type="application/json",
            headers=basic() if headers is None else headers,
        )

    def post_bulk(self, batches: Any, suffix: str = "") -> TestResponse:
        """Many at once."""
        return self.post(batches, f"/s2s/v2/bulkevents{suffix}")


@pytest.fixture
def store(open_store: OpenStore, database_url: str, tmp_path: Path) -> Store:
    """On each kind of database."""
    return open_store(
        database_url=database_url, instance=tmp_path, idsync_key=KEY, idsync_secret=SECRET
    )


@pytest.fixture
def sender(store: Store) -> Sender:
    return Sender(store.app.test_client(use_cookies=False))


def event(event_type: str = "custom_event", **data: Any) -> dict[str, Any]:
    """An event; a custom one has a name and a type, unless told otherwise."""
    if event_type == "custom_event":
        data = {"event_name": "Store visit", "custom_event_type": "location", **data}
    return {"event_type": event_type, "data": data}


def batch(*events: dict[str, Any], **members: Any) -> dict[str, Any]:
    """A batch about profile 4711."""
    return {"environment": "production", "mpid": 4711, "events": list(events), **members}


def errors(response: TestResponse, status: int = 400) -> list[str]:
    """What an answer says is wrong, in the documented shape and readable from any origin."""
    assert response.status_code == status, response.text
    assert response.headers["Access-Control-Allow-Origin"] == "*"
    assert response.content_type == "application/json"
    found: list[dict[str, str]] = json.loads(response.data)["errors"]
    assert all(set(error) == {"code", "message"} for error in found)
    return [error["message"] for error in found]


def is_accepted(response: TestResponse) -> bool:
    """202, empty, readable from any origin."""
    assert response.headers["Access-Control-Allow-Origin"] == "*"
    return response.status_code == 202 and response.data == b""
