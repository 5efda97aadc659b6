"""A webhook receiver in one page, with nothing but Python: prints each event, checks its signature.

    python3 docs/examples/receiver.py 9999 instance/webhook_secret

A receiver that is not on a desk should also refuse timestamps more than five minutes off, so that
nobody can send an old request again.
"""

import base64
import hashlib
import hmac
import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

if len(sys.argv) != 3:
    sys.exit("usage: receiver.py PORT FILE_WITH_THE_SECRET")
PORT = int(sys.argv[1])
KEY = base64.b64decode(Path(sys.argv[2]).read_text().strip().removeprefix("whsec_"))


class Receiver(BaseHTTPRequestHandler):
    """Answers 200 to whatever is signed with our secret, and 401 to all else."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        is_ours = self.signature(body) in self.headers.get("webhook-signature", "").split()
        if is_ours:
            show(json.loads(body))
        self.send_response(200 if is_ours else 401)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def signature(self, body: bytes) -> str:
        """What the sender must have computed: Standard Webhooks, version 1."""
        head = f"{self.headers['webhook-id']}.{self.headers['webhook-timestamp']}."
        digest = hmac.new(KEY, head.encode() + body, hashlib.sha256).digest()
        return f"v1,{base64.b64encode(digest).decode()}"

    def log_message(self, *arguments: object) -> None:
        """Say nothing but the events."""


def show(batch: dict) -> None:
    """One line an event: whose, in which of their batches, and what it is. An alias request has none."""
    for event in batch.get("events", []):
        data = event["data"]
        name = data.get("screen_name") or data.get("event_name")
        if "product_action" in data:
            name = data["product_action"]["action"]
        if "product_impressions" in data:
            name = data["product_impressions"][0]["product_impression_list"]
        whose = f"{batch['mpid']} {batch['context']['mpid_sequence']}"
        print(f"{whose} {event['event_type']} {name or ''}".rstrip(), flush=True)


print(f"Listening on http://127.0.0.1:{PORT}/hook", flush=True)
ThreadingHTTPServer(("127.0.0.1", PORT), Receiver).serve_forever()
