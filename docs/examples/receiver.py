"""A webhook receiver in one page, with nothing but Python: prints each event, checks its signature.

    python3 docs/examples/receiver.py 9999 instance/webhook_secret
"""

import base64
import hashlib
import hmac
import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

PORT, SECRET_FILE = int(sys.argv[1]), Path(sys.argv[2])


class Receiver(BaseHTTPRequestHandler):
    """Answers 204 to whatever is signed with our secret, and 401 to all else."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        is_ours = self.signature(body) in self.headers.get("webhook-signature", "").split()
        if is_ours:
            show(json.loads(body))
        self.send_response(204 if is_ours else 401)
        self.end_headers()

    def signature(self, body: bytes) -> str:
        """What the sender must have computed: Standard Webhooks, version 1."""
        key = base64.b64decode(SECRET_FILE.read_text().strip().removeprefix("whsec_"))
        head = f"{self.headers['webhook-id']}.{self.headers['webhook-timestamp']}."
        digest = hmac.new(key, head.encode() + body, hashlib.sha256).digest()
        return f"v1,{base64.b64encode(digest).decode()}"

    def log_message(self, *arguments: object) -> None:
        """Say nothing but the events."""


def show(batch: dict) -> None:
    """One line an event: whose, which of theirs, and what it is."""
    event, count = batch["events"][0], batch["context"]["mpid_sequence"]
    action = event["data"].get("product_action", {}).get("action", "")
    name = event["data"].get("screen_name") or event["data"].get("event_name") or action
    print(f"{batch['mpid']} {count} {event['event_type']} {name}".rstrip(), flush=True)


print(f"Listening on http://127.0.0.1:{PORT}/hook", flush=True)
ThreadingHTTPServer(("127.0.0.1", PORT), Receiver).serve_forever()
