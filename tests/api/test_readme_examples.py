"""What README.md lets people try, tried."""

import re
import shlex
import socket
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from urllib.parse import urlsplit

from werkzeug.test import TestResponse

from higgs_shop.webhook_output import Sender
from tests.api.conftest import OpenStore, Store

PROJECT = Path(__file__).parents[2]
README = (PROJECT / "README.md").read_text("utf-8")


def as_curl(store: Store, place: str) -> TestResponse:
    """Send what the README's line for this place sends."""
    (line,) = re.findall(rf"^curl .*{place}.*$", README, flags=re.MULTILINE)
    words = shlex.split(line)
    options = dict(pairwise(words))
    url = next(word for word in words if word.startswith("http"))
    headers = dict([options["-H"].split(": ", 1)]) if "-H" in options else {}
    credentials = tuple(options["-u"].split(":")) if "-u" in options else None
    return store.app.test_client().post(
        urlsplit(url).path, headers=headers, data=options["-d"], auth=credentials
    )


def test_the_identity_service_answers_the_example_with_the_same_profile_twice(
    store: Store,
) -> None:
    answers = [as_curl(store, "/identity/") for _ in range(2)]

    assert [answer.status_code for answer in answers] == [200, 200]
    assert len({answer.json["mpid"] for answer in answers if answer.json}) == 1


def test_the_example_event_is_taken_in(store: Store) -> None:
    assert as_curl(store, "/s2s/").status_code == 202

    assert store.labels() == ["screen_view Landing"]
    (body,) = store.bodies()
    assert [each["identity"] for each in body["user_identities"]] == ["C-1001"]


def test_the_example_receiver_prints_each_event_and_checks_signatures(
    open_store: OpenStore, tmp_path: Path
) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    store = open_store(webhook_url=f"http://127.0.0.1:{port}/hook")
    secret_file = tmp_path / "webhook_secret"
    (command,) = re.findall(r"^python3 (docs/examples/receiver.py) \d+ ", README, re.MULTILINE)
    receiver = subprocess.Popen(
        [sys.executable, str(PROJECT / command), str(port), str(secret_file)],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert receiver.stdout is not None
        assert receiver.stdout.readline() == f"Listening on http://127.0.0.1:{port}/hook\n"
        store.browser().get("/about")

        delivered = deliver_all(store.parts.sender)
        printed = [receiver.stdout.readline().split(maxsplit=2) for _ in range(delivered)]
    finally:
        receiver.kill()
        receiver.communicate()

    mpid = str(store.events()[0].mpid)
    assert printed == [[mpid, "1", "session_start\n"], [mpid, "2", "screen_view About\n"]]


def deliver_all(sender: Sender) -> int:
    """Send everything that is due. Returns how many the receiver took."""
    deliveries = sender.deliver_due()
    assert all(delivery.succeeded for delivery in deliveries)
    return len(deliveries)
