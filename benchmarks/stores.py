"""The stores that are measured: in this process, to count and compare, or running, to use from outside."""

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from flask import Flask

from higgs_shop.app import create_app
from higgs_shop.settings import Settings
from higgs_shop.wiring import Parts, wire
from tests.api.browsing import Browser

PROJECT: Final = Path(__file__).parent.parent
_FROM_ELSEWHERE: Final = "198.51.100.7"


@dataclass(frozen=True)
class Store:
    """A store in this process."""

    parts: Parts
    app: Flask

    def visitor(self, *, sees_x_ray: bool = False) -> "Visitor":
        """Somebody whose visit and session have begun. At this machine, people see the x-ray."""
        visitor = Visitor(Browser(self.app), "127.0.0.1" if sees_x_ray else _FROM_ELSEWHERE)
        visitor.look()
        return visitor


@dataclass(frozen=True)
class Visitor:
    """Somebody who looks at the landing page."""

    browser: Browser
    address: str

    def look(self) -> str:
        """The landing page, as HTML."""
        page = self.browser.open("/", environ_base={"REMOTE_ADDR": self.address})
        if page.status != 200:
            raise RuntimeError(f"the landing page answered {page.status}")
        return page.html

    def opted_out(self) -> "Visitor":
        """The same, not tracked from here on."""
        self.browser.submit(self.browser.get("/privacy"), "opt-out")
        self.browser.get("/privacy")
        return self


@contextmanager
def store(*, working: bool = False, **settings: str) -> Iterator[Store]:
    """A store of its own on SQLite.

    Args:
        working: whether it delivers its events and does its other background work meanwhile.
        settings: those that are not the default.
    """
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        parts = wire(Settings(instance=Path(folder), port=8000, **settings))
        if working:
            parts.start_background_work()
        try:
            yield Store(parts, create_app(wired=parts))
        finally:
            parts.close()


@contextmanager
def receiver(mode: str = "healthy", *, port: int = 0) -> Iterator[str]:
    """A receiver in another process. Returns its address."""
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.receiver", mode, str(port)],
        cwd=PROJECT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield _first_line(process)
    finally:
        process.kill()
        process.communicate()


@dataclass(frozen=True)
class Running:
    """A store in a process of its own."""

    process: "subprocess.Popen[str]"
    address: str

    @contextmanager
    def connected(self) -> Iterator[HTTPConnection]:
        """A connection to it, kept alive from request to request."""
        with closing(HTTPConnection(self.address, timeout=30)) as connection:
            yield connection

    @contextmanager
    def visited(self) -> Iterator["Shopper"]:
        """Somebody who opens its pages."""
        with self.connected() as connection:
            yield Shopper(connection)

    def resident_mb(self) -> float:
        """Its resident memory, in units of 10^6 bytes."""
        said = subprocess.run(
            [tool("ps"), "-o", "rss=", "-p", str(self.process.pid)],
            capture_output=True,
            text=True,
            check=True,
        )
        return int(said.stdout) * 1_024 / 1e6


@dataclass
class Shopper:
    """Somebody whose cookies are kept."""

    connection: HTTPConnection
    cookie: str = ""

    def get(self, path: str) -> None:
        """Open a page, and read all of it."""
        self.connection.request("GET", path, headers={"Cookie": self.cookie} if self.cookie else {})
        answer = self.connection.getresponse()
        answer.read()
        # A page may be 503: on a machine whose disk keeps every writer waiting for a second.
        if answer.status not in ((200, 503) if path == "/" else (200,)):
            raise RuntimeError(f"{path} answered {answer.status}")
        cookies = answer.headers.get_all("Set-Cookie") or []
        self.cookie = "; ".join(each.partition(";")[0] for each in cookies) or self.cookie


@contextmanager
def running(instance: Path, **settings: str) -> Iterator[Running]:
    """`higgs-shop run`: embedded identity service, forwarder, inbox.

    Args:
        settings: those that are not the default, named as the variables are, without HIGGS_SHOP_.
    """
    process = subprocess.Popen(
        [sys.executable, "-m", "higgs_shop", "run", "--port", "0"],
        cwd=PROJECT,
        env={
            **os.environ,
            "HIGGS_SHOP_INSTANCE": str(instance),
            **{f"HIGGS_SHOP_{name}": value for name, value in settings.items()},
        },
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield Running(process, address_in(_first_line(process)))
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGTERM)
        process.communicate()


def tool(name: str) -> str:
    """The path of a program that must be there."""
    found = shutil.which(name)
    if found is None:
        raise RuntimeError(f"{name} is not installed")
    return found


def address_in(line: str) -> str:
    """Host and port in what a store says at its start."""
    found = re.search(r"https?://\S+", line)
    if found is None:
        raise RuntimeError(f"no address in {line!r}")
    return urlsplit(found[0]).netloc


def _first_line(process: "subprocess.Popen[str]") -> str:
    if process.stdout is None:
        raise RuntimeError("the process says nothing")
    return process.stdout.readline().strip()
