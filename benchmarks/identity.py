"""What an identity call costs the service, beside the least that a Flask route could do.

The service is called as WSGI, with requests that were signed before; the embedded total is the whole
way of a page's call: the client, its signature, httpx, the service, and the answer read back.
"""

import hashlib
import hmac
import io
import json
import uuid
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any, Final

from flask import Flask, Response, jsonify, request
from sqlalchemy import insert

from benchmarks.measuring import (
    Row,
    Size,
    at_most,
    counted_sql,
    cpu_seconds,
    exactly,
    medians,
    python_calls,
)
from benchmarks.stores import Store, store
from higgs_shop.database import Database
from higgs_shop.identity_client import Device
from higgs_shop.tables import devices

_GOAL_NEW: Final = 2.0
_GOAL_KNOWN: Final = 2.5
_KNOWN_WARM_UP: Final = 5
_PATH: Final = "/v1/identify"

WsgiApplication = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


def rows(size: Size) -> list[Row]:
    """A new visitor's identify and a known one's, in CPU, Python calls and write transactions."""
    with store() as quiet:
        identify = _Identify(quiet)
        base = _BaseRoutes(quiet.parts.database)
        new, durable, embedded, echo = medians(
            [
                identify.new(size),
                base.durable,
                lambda: quiet.parts.identity_client.identify(Device(stamp=str(uuid.uuid4()))),
                base.echo,
            ],
            size,
            cpu_seconds,
        )
        known = identify.known()
        known_calls, echo_calls = python_calls(known), python_calls(base.echo)
        return [
            at_most(
                "new identify, service side, CPU ÷ a route with one durable Core write",
                new / durable,
                _GOAL_NEW,
                note=f"{new * 1e3:.2f} ms ÷ {durable * 1e3:.2f} ms; bare route {echo * 1e3:.2f} ms",
            ),
            Row("… embedded, through the client", f"{embedded / durable:.2f}"),
            at_most(
                "known identify, service side, Python calls ÷ a bare echo route",
                known_calls / echo_calls,
                _GOAL_KNOWN,
                note=f"{known_calls} ÷ {echo_calls}",
            ),
            _writes("write transactions of a known identify", quiet, known),
            _writes("write transactions of a new identify", quiet, identify.new(size)),
        ]


def _writes(name: str, of: Store, act: Callable[[], object]) -> Row:
    with counted_sql(of.parts.database) as statements:
        act()
    return exactly(name, statements.writes, 1, note=f"{statements.queries} statements")


class _Identify:
    """Signed identify calls, answered by the store's own service."""

    def __init__(self, of: Store) -> None:
        self._service: WsgiApplication = of.parts.identity_service
        self._key = of.parts.settings.idsync_key
        self._secret = of.parts.settings.idsync_secret.get_secret_value()

    def known(self) -> Callable[[], None]:
        """One device, already seen, each time with a request id of its own. Signed beforehand."""
        stamp = str(uuid.uuid4())
        signed = iter([self._signed(stamp) for _ in range(_KNOWN_WARM_UP + 2)])

        def known() -> None:
            _call(self._service, *next(signed))

        for _ in range(_KNOWN_WARM_UP):
            known()
        return known

    def new(self, size: Size) -> Callable[[], None]:
        """A device never seen before, each time. Signed beforehand."""
        wanted = size.warm_up + size.requests
        signed = iter([self._signed(str(uuid.uuid4())) for _ in range(wanted)])
        return lambda: _call(self._service, *next(signed))

    def _signed(self, stamp: str) -> tuple[str, bytes, dict[str, str]]:
        body = json.dumps(
            {
                "client_sdk": {"platform": "web", "sdk_vendor": "higgs", "sdk_version": "1.0"},
                "environment": "development",
                "request_id": str(uuid.uuid4()),
                "request_timestamp_ms": 1,
                "known_identities": {"device_application_stamp": stamp},
            }
        ).encode()
        date = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        signature = hmac.new(
            self._secret.encode(), f"POST\n{date}\n{_PATH}".encode() + body, hashlib.sha256
        )
        headers = {
            "HTTP_X_MP_KEY": self._key,
            "HTTP_X_MP_SIGNATURE": signature.hexdigest(),
            "HTTP_DATE": date,
        }
        return _PATH, body, headers


class _BaseRoutes:
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
        _call(self._app, path, json.dumps({"stamp": str(uuid.uuid4())}).encode(), {})


def _call(app: WsgiApplication, path: str, body: bytes, headers: dict[str, str]) -> None:
    """One POST, with nothing around it that the application does not need."""
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
