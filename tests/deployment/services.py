"""The services of docs/deployment/, read from its files and kept running as systemd would."""

import os
import re
import shlex
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Final, Self

FILES: Final = Path(__file__).parents[2] / "docs" / "deployment"
_PROGRAM: Final = "/opt/higgs-shop/bin/higgs-shop"
_STOP_SECONDS: Final = 60.0


def environment_file(**replaced: str) -> dict[str, str]:
    """The settings of higgs-shop.env, with these values for what stands in capitals there."""
    lines = (FILES / "higgs-shop.env").read_text("utf-8").splitlines()
    given = dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))
    values = {f"HIGGS_SHOP_{name}": value for name, value in replaced.items()}
    assert values.keys() <= given.keys()
    return {**given, **values}


def started_by(unit: str) -> list[str]:
    """The command of a unit, with this environment's program in place of the installed one."""
    (line,) = re.findall(r"^ExecStart=(.+)$", (FILES / unit).read_text("utf-8"), re.MULTILINE)
    program, *arguments = shlex.split(line)
    assert program == _PROGRAM
    return [sys.executable, "-m", "higgs_shop", *arguments]


class Service:
    """A process that is started again whenever it ends, until it is stopped.

    Attributes:
        starts: how often it was started.
    """

    def __init__(
        self, command: Sequence[str | Path], environment: Mapping[str, str], log: Path
    ) -> None:
        self.starts = 0
        self._command = command
        self._environment = {**_of_this_process(), **environment}
        self._log = log
        self._stopping = threading.Event()
        self._process = self._start()
        self._keeper = threading.Thread(target=self._keep, daemon=True)
        self._keeper.start()

    @property
    def pid(self) -> int:
        """Of the process that runs now."""
        return self._process.pid

    @property
    def children(self) -> list[int]:
        """Of the process that runs now: its own processes."""
        tasks = Path(f"/proc/{self.pid}/task").glob("*/children")
        return [int(pid) for task in tasks for pid in task.read_text("ascii").split()]

    @property
    def said(self) -> str:
        """Everything that was printed so far."""
        return self._log.read_text("utf-8")

    def stop(self) -> int:
        """Ask it to end, and wait. Returns: its exit code."""
        self._stopping.set()
        self._process.send_signal(signal.SIGTERM)
        self._keeper.join(_STOP_SECONDS)
        assert not self._keeper.is_alive(), f"does not stop:\n{self.said}"
        return self._process.returncode

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stopping.set()
        self._process.kill()
        self._keeper.join(_STOP_SECONDS)

    def _start(self) -> "subprocess.Popen[bytes]":
        self.starts += 1
        with self._log.open("ab") as log:
            return subprocess.Popen(
                self._command, env=self._environment, stdout=log, stderr=subprocess.STDOUT
            )

    def _keep(self) -> None:
        while True:
            self._process.wait()
            if self._stopping.is_set():
                return
            self._process = self._start()


def _of_this_process() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("HIGGS_SHOP_")}
