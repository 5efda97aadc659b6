"""Whether what is acknowledged is on the disk: the calls by which a process asks for it, counted from outside.

Needs strace, which Linux alone has; without it, the row says so.
"""

import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

from sqlalchemy import insert

from benchmarks.measuring import Row, Size, at_least
from benchmarks.stores import PROJECT
from higgs_shop.database import Database
from higgs_shop.migrations import upgrade
from higgs_shop.tables import heartbeats

_SYNCS: Final = re.compile(r"^ *[\d.]+ +[\d.]+ +\d+ +(\d+) .*\b(?:fsync|fdatasync)$", re.MULTILINE)


def rows(size: Size) -> list[Row]:
    """As many commits as there are timed requests a side elsewhere."""
    name = f"fsync and fdatasync calls of {size.requests} commits"
    strace = shutil.which("strace")
    if strace is None:
        return [Row(name, "not counted: strace is not installed")]
    with tempfile.TemporaryDirectory() as folder:
        upgrade(Database(_url(folder)))
        said = subprocess.run(
            [
                strace,
                *("-f", "-c", "-e", "trace=fsync,fdatasync"),
                *(sys.executable, "-m", "benchmarks.durability", folder, str(size.requests)),
            ],
            cwd=PROJECT,
            check=True,
            stderr=subprocess.PIPE,
            text=True,
        )
    syncs = sum(int(calls) for calls in _SYNCS.findall(said.stderr))
    return [at_least(name, syncs, size.requests)]


def commit(folder: str, times: int) -> None:
    """Write a row so many times, each in a transaction of its own."""
    database = Database(_url(folder))
    for number in range(times):
        with database.write() as connection:
            connection.execute(insert(heartbeats).values(worker=str(number), beat_at_ms=number))


def _url(folder: str) -> str:
    return f"sqlite:///{Path(folder) / 'higgs-shop.db'}"


if __name__ == "__main__":
    commit(sys.argv[1], int(sys.argv[2]))
