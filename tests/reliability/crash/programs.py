"""The store's programs as handles: started, killed, paused, and started again."""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final, Protocol, Self

from tests.browser.store_process import PROJECT, until
from tests.postgres import Postgres
from tests.reliability.crash import receiver

START_TIMEOUT_SECONDS: Final = 60.0


class Part(Protocol):
    """What can be killed, and be started again."""

    def start(self) -> None:
        """Returns when it is ready."""

    def kill(self) -> None:
        """Without a warning. Returns when it is gone."""


class Nursery:
    """The process that forks programs; see `nursery.py`. Whatever lives when it ends is killed."""

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.reliability.crash.nursery"],
            cwd=PROJECT,
            env={"PATH": os.environ["PATH"], "PYTHONPATH": str(PROJECT), "PYTHONUNBUFFERED": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            # What ends the test, Ctrl-C or a time limit, must not end it before it has cleared up.
            start_new_session=True,
        )
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()

    def fork(self, program: str, *words: str, settings: dict[str, str], log: Path) -> int:
        """Start a program. Returns its pid, which is also its group's."""
        return self._ask(
            {"program": program, "words": words, "settings": settings, "log": str(log)}
        )

    def reap(self, pid: int) -> int:
        """Wait until it has ended. Returns its exit code; negative is the signal that ended it."""
        return self._ask({"reap": pid})

    def _ask(self, order: dict[str, object]) -> int:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{json.dumps(order)}\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())


class Program:
    """One program, in one process after another.

    Args:
        name: what people call it; its log is called so, too.
        words: the program and its arguments.
        settings: in capitals and without their prefix.
        is_ready: given what it said since it was started.
    """

    def __init__(
        self,
        nursery: Nursery,
        name: str,
        *words: str,
        folder: Path,
        settings: dict[str, str],
        is_ready: Callable[[str], bool],
    ) -> None:
        self.name = name
        self._nursery = nursery
        self._words = words
        self._settings = {f"HIGGS_SHOP_{name}": value for name, value in settings.items()}
        self._is_ready = is_ready
        self._log = folder / f"{name}.txt"
        self._said_before = 0
        self._pid = 0

    def start(self) -> None:
        """Start it. Returns when it is ready."""
        self._log.touch()
        self._said_before = self._log.stat().st_size
        self._pid = self._nursery.fork(*self._words, settings=self._settings, log=self._log)
        until(
            lambda: self._is_ready(self.said()),
            f"{self.name} is ready",
            timeout_seconds=START_TIMEOUT_SECONDS,
        )

    def kill(self) -> None:
        """End it and all its workers as a power cut would. AssertionError if it had ended by itself."""
        assert self._pid, f"{self.name} does not run"
        os.killpg(self._pid, signal.SIGKILL)
        code, self._pid = self._nursery.reap(self._pid), 0
        assert code == -signal.SIGKILL, f"{self.name} had ended with {code}:\n{self.said()}"

    def pause(self) -> None:
        """Let it stand still, in the middle of whatever it does."""
        os.killpg(self._pid, signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on where it stood."""
        os.killpg(self._pid, signal.SIGCONT)

    def said(self) -> str:
        """What it printed and logged since it was started."""
        with self._log.open("rb") as log:
            log.seek(self._said_before)
            return log.read().decode("utf-8", "replace")


class Store(Program):
    """`higgs-shop run`, on a port that stays.

    Args:
        options: besides the port.
    """

    def __init__(
        self, nursery: Nursery, *options: str, folder: Path, settings: dict[str, str]
    ) -> None:
        self.port = free_port()
        super().__init__(
            nursery,
            "store",
            "higgs-shop",
            "run",
            f"--port={self.port}",
            *options,
            folder=folder,
            settings=settings,
            is_ready=lambda _: self._get("/healthz") is not None,
        )

    def start(self) -> None:
        # Workers of a store that was killed let go of the port a moment after its first process.
        until(lambda: is_free(self.port), f"port {self.port} is free")
        super().start()

    def waiting_messages(self) -> int | None:
        """How much is not delivered yet; None while it cannot say."""
        told = self._get("/readyz")
        return None if told is None else int(json.loads(told)["waiting_messages"])

    def _get(self, path: str) -> bytes | None:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            body = answer.read()
        except (OSError, http.client.HTTPException):
            return None
        finally:
            connection.close()
        return body if answer.status == 200 else None


class Server:
    """A PostgreSQL server, for which a kill is `pg_ctl stop -m immediate`."""

    def __init__(self, postgres: Postgres) -> None:
        self._postgres = postgres

    def start(self) -> None:
        self._postgres.start()

    def kill(self) -> None:
        self._postgres.stop_at_once()


def ledger_keeper(nursery: Nursery, *, folder: Path, ledger: Path, port: int) -> Program:
    """The receiver that writes the ledger."""
    return Program(
        nursery,
        "receiver",
        "receiver",
        str(ledger),
        str(port),
        folder=folder,
        settings={},
        is_ready=lambda said: receiver.READY in said,
    )


def free_port() -> int:
    """A port on which nobody listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def is_free(port: int) -> bool:
    """Whether a server could listen there now."""
    with socket.socket() as asked:
        asked.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            asked.bind(("127.0.0.1", port))
            asked.listen()
        except OSError:
            return False
        return True
