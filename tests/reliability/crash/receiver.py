"""A webhook receiver that is a program: it writes down what arrives, on disk, before it answers.

What it wrote is the ledger, a JSON line for each arrival and one for each answer that was given. It
outlives its writer: a receiver that is started again goes on in the same file.
"""

import hashlib
import json
import os
import sys
import threading
import time
from collections.abc import Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final

READY: Final = "The receiver listens."


def main(words: Sequence[str]) -> None:
    """Receive until killed.

    Args:
        words: the ledger's path, and the port.
    """
    file, port = words
    server = _Server(int(port), _Ledger(Path(file)))
    sys.stdout.write(f"{READY}\n")
    sys.stdout.flush()
    server.serve_forever(poll_interval=1)


def facts_of(webhook_id: str, content: bytes) -> dict[str, Any]:
    """What the ledger keeps of a request."""
    body = json.loads(content)
    data = body["events"][0]["data"]
    action = data.get("product_action", {}).get("action", "")
    return {
        "webhook_id": webhook_id,
        "sha256": hashlib.sha256(content).hexdigest(),
        "mpid": int(body["mpid"]),
        "sequence": body["context"]["mpid_sequence"],
        "source_message_id": data["source_message_id"],
        "name": action or data.get("event_name", ""),
        "at_seconds": time.monotonic(),
    }


class _Ledger:
    def __init__(self, file: Path) -> None:
        self._lock = threading.Lock()
        self._file = os.open(file, os.O_CREAT | os.O_APPEND | os.O_WRONLY)
        # The last line of a receiver that was killed may be torn.
        os.write(self._file, b"\n")

    def note(self, line: dict[str, Any], *, durably: bool) -> None:
        """Append a line; the order of lines is that of arrivals."""
        text = json.dumps(line).encode() + b"\n"
        with self._lock:
            os.write(self._file, text)
            if durably:
                os.fsync(self._file)


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, port: int, ledger: _Ledger) -> None:
        self.ledger = ledger
        super().__init__(("127.0.0.1", port), _Handler)

    def handle_error(self, *_: object) -> None:
        """Say nothing: senders that are killed are what these tests are about."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_POST(self) -> None:
        content = self.rfile.read(int(self.headers["Content-Length"]))
        webhook_id = self.headers["webhook-id"]
        self.server.ledger.note({"arrived": facts_of(webhook_id, content)}, durably=True)
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()
        self.server.ledger.note({"answered": webhook_id}, durably=False)

    def log_message(self, *_: object) -> None:
        """Say nothing."""
