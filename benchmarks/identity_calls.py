"""Identity calls as the service sees them, and the least that a Flask route could do instead.

Both are called as WSGI, with nothing around them that they do not need.
"""

import hashlib
import hmac
import io
import json
import uuid
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from flask import Flask, Response, jsonify, request
from sqlalchemy import insert

from benchmarks.stores import Store
from higgs_shop.database import Database
from higgs_shop.tables import devices

WsgiApplication = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


class SignedCall:
    """One call of the store's own service, signed beforehand as the shop's client does.

    Args:
        action: identify, login, logout or search.
        identities: who is meant.
        previous_mpid: the profile moved from.
    """

    def __init__(
        self,
        of: Store,
        action: str,
        identities: Mapping[str, str],
        previous_mpid: str | None = None,
    ) -> None:
        self._service: WsgiApplication = of.parts.identity_service
        self._path = f"/v1/{action}"
        self._body = json.dumps(
            {
                "client_sdk": {"platform": "web", "sdk_vendor": "higgs", "sdk_version": "1.0"},
                "environment": "development",
                "request_id": str(uuid.uuid4()),
                "request_timestamp_ms": 1,
                "previous_mpid": previous_mpid,
                "known_identities": identities,
            }
        ).encode()
        date = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        signature = hmac.new(
            of.parts.settings.idsync_secret.get_secret_value().encode(),
            f"POST\n{date}\n{self._path}".encode() + self._body,
            hashlib.sha256,
        )
        self._headers = {
            "HTTP_X_MP_KEY": of.parts.settings.idsync_key,
            "HTTP_X_MP_SIGNATURE": signature.hexdigest(),
            "HTTP_DATE": date,
        }

    def __call__(self) -> bytes:
        """Make the call. Returns the answer."""
        return call(self._service, self._path, self._body, self._headers)

    def mpid(self) -> str:
        """Make the call. Returns the MPID that it is answered with."""
        answer: str = json.loads(self())["mpid"]
        return answer


class BaseRoutes:
    """What the figures are compared with: JSON in, JSON out, and one durable write at most."""

    def __init__(self, database: Database) -> None:
        app = Flask("base")
        write = insert(devices)

        @app.post("/echo")
        def echo() -> Response:
            return jsonify(request.get_json())

        @app.post("/durable")
        def durable() -> Response:
            asked = request.get_json()
            row = {"workspace_id": "base", "stamp": asked["stamp"], "first_seen_ms": 1}
            with database.write() as connection:
                connection.execute(write, row)
            return jsonify(asked)

        self._app = app

    def echo(self) -> None:
        """Reads JSON and says it back."""
        self._post("/echo")

    def durable(self) -> None:
        """The same, with one row written in between."""
        self._post("/durable")

    def _post(self, path: str) -> None:
        call(self._app, path, json.dumps({"stamp": str(uuid.uuid4())}).encode(), {})


def call(app: WsgiApplication, path: str, body: bytes, headers: dict[str, str]) -> bytes:
    """One POST, with nothing around it that the application does not need. Returns the answer."""
    environ = {
        "REQUEST_METHOD": "POST",
        "SCRIPT_NAME": "",
        "PATH_INFO": path,
        "QUERY_STRING": "",
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "80",
        "HTTP_HOST": "localhost",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "CONTENT_TYPE": "application/json",
        "CONTENT_LENGTH": str(len(body)),
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(body),
        "wsgi.errors": io.StringIO(),
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
        **headers,
    }
    statuses: list[str] = []
    answer = b"".join(app(environ, lambda status, *_: statuses.append(status)))
    if statuses != ["200 OK"]:
        raise RuntimeError(f"{path} answered {statuses}: {answer[:200]!r}")
    return answer
