"""identify over loopback TCP, beside a bare route of the same server: connections are kept alive.

The store runs in a process of its own, under the server that it always runs under. Throughput is what
that gets done when it is kept busy: by a connection for each of its threads. By a single connection, one
request after the other, the disk is waited for at each identify and at no bare read.
"""

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import Any, Final

from benchmarks.measuring import Row, Size, at_least, medians, wall_seconds
from benchmarks.stores import PROJECT, Running, address_in

_GOAL: Final = 0.5
_IN_A_ROW: Final = 10
_IN_MEMORY: Final = Path("/dev/shm")  # noqa: S108 - Linux keeps it in memory
_CONNECTIONS: Final = 8  # as many as the server has threads
_IDENTIFY: Final = {
    "environment": "development",
    "known_identities": {"device_application_stamp": "58dfe642-3a5a-4d3c-9d6b-0c5d6f3a1b2c"},
}
_READ: Final = {"environment": "development"}
_HEADERS: Final = {"x-mp-key": "demo-web-key", "Content-Type": "application/json"}


def rows(size: Size) -> list[Row]:
    """A known device's identify, in requests a second; and the same where no disk is waited for."""
    busy, busy_note = _ratio(size, _CONNECTIONS, folder=None)
    alone, alone_note = _ratio(size, 1, folder=None)
    found = [
        at_least(
            "identify over TCP ÷ a bare route with one indexed read, requests a second",
            busy,
            _GOAL,
            note=busy_note,
        ),
        Row("… by one connection, one after the other", f"{alone:.2f} ({alone_note})"),
    ]
    if _IN_MEMORY.is_dir():
        alone, alone_note = _ratio(size, 1, folder=_IN_MEMORY)
        found.append(Row("… and with the database in memory", f"{alone:.2f} ({alone_note})"))
    return found


def _ratio(size: Size, connections: int, *, folder: Path | None) -> tuple[float, str]:
    rounds = Size(max(1, size.requests // (_IN_A_ROW * connections)))
    with _serving(folder) as server, ExitStack() as stack:
        several = [stack.enter_context(server.connected()) for _ in range(connections)]
        pool = stack.enter_context(ThreadPoolExecutor(connections))
        acts = [
            lambda: _all_in_a_row(pool, several, "/identity/v1/identify", _IDENTIFY),
            lambda: _all_in_a_row(pool, several, "/bare/read", _READ),
        ]
        requests = _IN_A_ROW * connections
        identified, bare = (requests / taken for taken in medians(acts, rounds, wall_seconds))
    return identified / bare, f"{identified:.0f}/s ÷ {bare:.0f}/s"


def _all_in_a_row(
    pool: ThreadPoolExecutor,
    connections: Sequence[HTTPConnection],
    path: str,
    body: Mapping[str, Any],
) -> None:
    sending = [pool.submit(_in_a_row, connection, path, body) for connection in connections]
    for each in sending:
        each.result()


def _in_a_row(connection: HTTPConnection, path: str, body: Mapping[str, Any]) -> None:
    for _ in range(_IN_A_ROW):
        _post(connection, path, body)


def _post(connection: HTTPConnection, path: str, body: Mapping[str, Any]) -> Any:
    connection.request("POST", path, json.dumps(body), _HEADERS)
    answer = connection.getresponse()
    said = answer.read()
    if answer.status != 200:
        raise RuntimeError(f"{path} answered {answer.status}: {said[:200]!r}")
    return json.loads(said)


@contextmanager
def _serving(parent: Path | None) -> Iterator[Running]:
    with tempfile.TemporaryDirectory(dir=parent, ignore_cleanup_errors=True) as folder:
        process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.identity_server", folder],
            cwd=PROJECT,
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            if process.stdout is None:
                raise RuntimeError("the process says nothing")
            yield Running(process, address_in(process.stdout.readline()))
        finally:
            process.kill()
            process.communicate()
