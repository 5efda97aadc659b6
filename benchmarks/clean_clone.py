"""How long somebody waits from `git clone` to the first page, with nothing in any package cache."""

import os
import signal
import subprocess
import tempfile
import time
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path
from typing import Final

from benchmarks.measuring import Row, Size, at_most
from benchmarks.stores import PROJECT, address_in, tool

_GOAL_SECONDS: Final = 30


def rows(_size: Size) -> list[Row]:
    """`git clone`, then `make run`, then the landing page. Downloads all that the store runs on."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        started = time.perf_counter()
        clone = Path(folder) / "higgs-shop"
        subprocess.run([tool("git"), "clone", "--quiet", str(PROJECT), str(clone)], check=True)
        seconds = _seconds_to_page(clone, started)
    return [at_most("clean clone to first page, empty cache", seconds, _GOAL_SECONDS, unit=" s")]


def _seconds_to_page(clone: Path, started: float) -> float:
    with subprocess.Popen(
        [tool("make"), "run", "PORT=0"],
        cwd=clone,
        env={**os.environ, "PIP_NO_CACHE_DIR": "1"},
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            lines = process.stdout or ()
            announced = next(line for line in lines if "http://" in line)
            with closing(HTTPConnection(address_in(announced), timeout=30)) as connection:
                connection.request("GET", "/")
                if connection.getresponse().status != 200:
                    raise RuntimeError("the first page did not come")
            return time.perf_counter() - started
        finally:
            os.killpg(process.pid, signal.SIGTERM)
