"""identify over loopback TCP, beside a bare route of the same server: a connection each, kept alive.

The store runs in a process of its own, under the server that it always runs under. Both sides take
turns, so many requests in a row.
"""

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import Any, Final

from benchmarks.measuring import Row, Size, at_least, medians, wall_seconds
from benchmarks.stores import PROJECT, Running, address_in

_GOAL: Final = 0.5
_IN_A_ROW: Final = 10
_IN_MEMORY: Final = Path("/dev/shm")  # noqa: S108 - Linux keeps it in memory
_HEADERS: Final = {"x-mp-key": "demo-web-key", "Content-Type": "application/json"}


def rows(size: Size) -> list[Row]:
    """A known device's identify, in requests a second; and the same where no disk is waited for."""
    rounds = Size(max(1, size.requests // _IN_A_ROW))
    identified, bare = _per_second(rounds, folder=None)
    found = [
        at_least(
            "identify over TCP ÷ a bare route with one indexed read, requests a second",
            identified / bare,
            _GOAL,
            note=f"{identified:.0f}/s ÷ {bare:.0f}/s",
        )
    ]
    if _IN_MEMORY.is_dir():
        identified, bare = _per_second(rounds, folder=_IN_MEMORY)
        note = f"{identified:.0f}/s ÷ {bare:.0f}/s"
        found.append(Row("… with the database in memory", f"{identified / bare:.2f} ({note})"))
    return found


def _per_second(rounds: Size, *, folder: Path | None) -> tuple[float, float]:
    with _serving(folder) as server, server.connected() as one, server.connected() as other:
        acts = [_identify(one), _bare_read(other)]
        identified, bare = medians(acts, rounds, wall_seconds)
    return _IN_A_ROW / identified, _IN_A_ROW / bare


def _identify(connection: HTTPConnection) -> Callable[[], None]:
    body = {
        "environment": "development",
        "known_identities": {"device_application_stamp": "58dfe642-3a5a-4d3c-9d6b-0c5d6f3a1b2c"},
    }
    return lambda: _in_a_row(connection, "/identity/v1/identify", body)


def _bare_read(connection: HTTPConnection) -> Callable[[], None]:
    return lambda: _in_a_row(connection, "/bare/read", {"environment": "development"})


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
