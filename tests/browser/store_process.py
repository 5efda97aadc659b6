"""A store in a process of its own, as people run it: started, asked, restarted, stopped by its pid."""

import os
import re
import signal
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, Self
from urllib.parse import urlsplit

import httpx

from higgs_shop.database import Database
from higgs_shop.outputs import MAIN_OUTPUT, change_output, find_output
from higgs_shop.workspaces import DEFAULT_WORKSPACE

PROJECT: Final = Path(__file__).parent.parent.parent
START_TIMEOUT_SECONDS: Final = 60.0
STOP_TIMEOUT_SECONDS: Final = 30.0

_BETWEEN_LOOKS_SECONDS: Final = 0.02
_NEVER_SET: Final = threading.Event()


def until(condition: Callable[[], bool], what: str, *, timeout_seconds: float = 20.0) -> None:
    """Look again and again until the condition holds; AssertionError with `what` when it does not."""
    give_up_at = time.monotonic() + timeout_seconds
    while not condition():
        assert time.monotonic() < give_up_at, f"not after {timeout_seconds} s: {what}"
        _NEVER_SET.wait(_BETWEEN_LOOKS_SECONDS)


class StoreProcess:
    """`python -m higgs_shop run` with an instance folder of its own.

    Args:
        instance: the folder; empty for a fresh store.
        options: of `run`, besides the port.
        settings: in capitals and without their prefix, e.g. `WEBHOOK_URL="http://…"`.

    Attributes:
        said: what it printed when it was ready.

    It stays on the port it was given first, so that a restart is one to its visitors too.
    """

    def __init__(self, instance: Path, *options: str, **settings: str) -> None:
        self.instance = instance
        self.address = ""
        self.said = ""
        self._options = options
        self._settings = settings
        self._log = instance / "stderr.txt"
        self._process: subprocess.Popen[str] | None = None

    @property
    def webhook_secret(self) -> str:
        """What the store signs with, read where its owner would look."""
        return (self.instance / "webhook_secret").read_text(encoding="ascii").strip()

    @property
    def pid(self) -> int:
        """Of the process that runs."""
        assert self._process is not None
        return self._process.pid

    @property
    def host(self) -> tuple[str, int]:
        """Where it listens, for a proxy."""
        parsed = urlsplit(self.address)
        assert parsed.hostname is not None
        assert parsed.port is not None
        return parsed.hostname, parsed.port

    def trusted(self) -> ssl.SSLContext | bool:
        """For httpx: a store with a certificate of its own is known by that file, and only by it."""
        if not self.address.startswith("https:"):
            return True
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.verify_flags |= ssl.VERIFY_X509_STRICT
        context.load_verify_locations(self.instance / "certificate.pem")
        return context

    def start(self) -> None:
        """Start it and wait until it says where it listens."""
        self.instance.mkdir(parents=True, exist_ok=True)
        port = str(self.host[1]) if self.address else "0"
        with self._log.open("a", encoding="utf-8") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "higgs_shop", "run", "--port", port, *self._options],
                cwd=self.instance,
                env=self._environment(),
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        # Reading a silent process would wait forever; killed, it ends the output.
        lid = threading.Timer(START_TIMEOUT_SECONDS, self._process.kill)
        lid.start()
        self.said = ""
        try:
            assert self._process.stdout is not None
            while "Stop it with" not in self.said and (line := self._process.stdout.readline()):
                self.said += line
        finally:
            lid.cancel()
        found = re.search(r"https?://127\.0\.0\.1:\d+", self.said)
        if found is None:
            self._process.kill()
            self._end()
            raise AssertionError(f"the store did not start: {self.said}\n{self._errors()}")
        self.address = found[0]

    def stop(self) -> None:
        """End it as an operator would; it must go cleanly and must not have broken on the way."""
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        code = self._end()
        assert code == 0, f"the store ended with {code}\n{self._errors()}"
        assert "Traceback" not in self._errors(), self._errors()

    def kill(self) -> None:
        """End it as a power cut would."""
        assert self._process is not None
        self._process.kill()
        self._end()

    def send_attribute_changes(self) -> None:
        """Have its webhook told of these too, which it is not by default: nothing is left out then."""
        self.set_webhook(send_user_attribute_changes=True)

    def set_webhook(self, **given: Any) -> None:
        """Change some settings of its webhook; the others stay."""
        database = Database(f"sqlite:///{self.instance / 'higgs-shop.db'}")
        with database.write() as connection:
            output = find_output(connection, DEFAULT_WORKSPACE, MAIN_OUTPUT)
            assert output is not None
            settings = output.settings.model_copy(update=given)
            change_output(
                connection,
                output,
                settings,
                authorization=output.authorization,
                secrets=output.secrets,
            )
        database.close()

    def is_idle(self) -> bool:
        """Whether nothing that was attributed waits to be delivered."""
        answer = httpx.get(f"{self.address}/readyz", verify=self.trusted())
        return bool(answer.json()["waiting_messages"] == 0)

    def wait_until_delivered(self) -> None:
        """Block until everything that was attributed so far is delivered."""
        until(self.is_idle, "everything delivered")

    def _environment(self) -> dict[str, str]:
        given = {f"HIGGS_SHOP_{name}": value for name, value in self._settings.items()}
        return {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(PROJECT),
            "PYTHONUNBUFFERED": "1",
            "HIGGS_SHOP_INSTANCE": str(self.instance),
            **given,
        }

    def _end(self) -> int:
        assert self._process is not None
        assert self._process.stdout is not None
        try:
            return self._process.wait(STOP_TIMEOUT_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.wait()
        finally:
            self._process.stdout.close()

    def _errors(self) -> str:
        return self._log.read_text(encoding="utf-8")

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
