"""Which server costs the least for a page: CPU a landing page, over keep-alive HTTP, in a process each.

Not part of the table: it needs servers that the store does not. Install any of cheroot, gunicorn and
granian, then run `python -m benchmarks.wsgi_servers`. What is missing is left out.
"""

import importlib.util
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import Final

import click

from benchmarks.stores import PROJECT
from higgs_shop import create_app

_THREADS: Final = "4"
_APP: Final = "higgs_shop:create_app()"
_READY_SECONDS: Final = 60.0
_COMMANDS: Final = {
    "waitress": ["waitress", "--listen=127.0.0.1:{port}", f"--threads={_THREADS}", "--call", "higgs_shop:create_app"],
    "gunicorn": ["gunicorn", "-b", "127.0.0.1:{port}", "-k", "gthread", "--threads", _THREADS, _APP],
    "cheroot": ["cheroot", "--bind", "127.0.0.1:{port}", "--threads", _THREADS, "benchmarks.wsgi_servers:app"],
    "granian": [
        "granian", "--interface", "wsgi", "--host", "127.0.0.1", "--port", "{port}",
        "--blocking-threads", _THREADS, "--factory", "--no-log", "higgs_shop:create_app",
    ],
}  # fmt: skip


@click.command()
@click.option("--path", default="/", show_default=True, help="The page that is asked for.")
@click.option("--pages", default=200, show_default=True, help="Pages a round.")
@click.option("--rounds", default=5, show_default=True, help="Rounds, the servers in turns.")
def main(path: str, pages: int, rounds: int) -> None:
    """Print the CPU milliseconds a page of each server that is installed."""
    with ExitStack() as stack:
        servers = {
            name: stack.enter_context(_serving(name))
            for name in _COMMANDS
            if importlib.util.find_spec(name) is not None
        }
        taken: dict[str, list[float]] = {name: [] for name in servers}
        for number in range(rounds + 1):
            for name, (process, connection) in servers.items():
                milliseconds = _cpu_ms_a_page(process, connection, path, pages)
                if number > 0:
                    taken[name].append(milliseconds)
    for name, each in taken.items():
        click.echo(f"{name:10} {statistics.median(each):6.2f} ms CPU a page")


@contextmanager
def _serving(name: str) -> Iterator[tuple["subprocess.Popen[bytes]", HTTPConnection]]:
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        port = _free_port()
        command = [part.format(port=port) for part in _COMMANDS[name]]
        process = subprocess.Popen(
            [sys.executable, "-m", *command],
            cwd=PROJECT,
            env={**os.environ, "HIGGS_SHOP_INSTANCE": str(Path(folder))},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            yield process, _connected(port)
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _connected(port: int) -> HTTPConnection:
    until_seconds = time.monotonic() + _READY_SECONDS
    while time.monotonic() < until_seconds:
        connection = HTTPConnection("127.0.0.1", port, timeout=30)
        try:
            connection.request("GET", "/healthz")
            connection.getresponse().read()
        except ConnectionError:
            time.sleep(0.1)
            continue
        return connection
    raise RuntimeError(f"nobody listens on port {port}")


def _cpu_ms_a_page(
    process: "subprocess.Popen[bytes]", connection: HTTPConnection, path: str, pages: int
) -> float:
    connection.close()  # opened anew by the first request: idle ones are dropped by most servers
    before = _cpu_seconds(process.pid)
    cookie = ""
    for _ in range(pages):
        connection.request("GET", path, headers={"Cookie": cookie} if cookie else {})
        answer = connection.getresponse()
        answer.read()
        given = answer.headers.get_all("Set-Cookie") or []
        cookie = "; ".join(each.partition(";")[0] for each in given) or cookie
    return (_cpu_seconds(process.pid) - before) / pages * 1_000


def _cpu_seconds(group: int) -> float:
    """User and system time of every process in the group. (Linux.)"""
    ticks = 0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[2]) == group:
            ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def __getattr__(name: str) -> object:
    """The application, for a server that takes a module's attribute and calls no factory."""
    if name != "app":
        raise AttributeError(name)
    return create_app()


if __name__ == "__main__":
    main()
