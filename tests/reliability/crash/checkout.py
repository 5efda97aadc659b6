"""X3: the store dies while an order is placed; the browser sends the form again."""

import random
import re
import socket
import threading
from collections import Counter
from typing import Final
from urllib.parse import urlencode

import httpx
from sqlalchemy import create_engine, text

from tests.api.browsing import Form, form_in
from tests.api.journeys import BALL
from tests.reliability.crash.results import faults_in, line_of
from tests.reliability.crash.worlds import on_sqlite
from tests.reliability.result import Result, more_than
from tests.reliability.scene import Scene

_LONGEST_ANSWER_SECONDS: Final = 0.06
_NEVER_SET: Final = threading.Event()


def order(scene: Scene) -> list[Result]:
    """One order and one purchase a round, whenever the store was killed."""
    chance = random.Random(scene.seed)
    placed: Counter[str] = Counter()
    tracked: Counter[str] = Counter()
    with on_sqlite(scene) as world, httpx.Client(trust_env=False, timeout=60) as client:
        address = f"http://127.0.0.1:{world.store.port}"
        for number in range(1, scene.size.rounds + 1):
            form, mpid = _reviewed(client, address)
            connection = _post_and_leave(world.store.port, form, dict(client.cookies))
            # The wait is the experiment: before the commit, after it, or after the answer.
            _NEVER_SET.wait(chance.uniform(0, _LONGEST_ANSWER_SECONDS))
            world.store.kill()
            connection.close()
            world.store.start()
            answer = client.post(address + form.action, data=dict(form.fields))
            assert answer.status_code == 303, answer.text
            placed[answer.headers["Location"].removeprefix("/orders/")] += 1
            tracked.update((f"view_detail of {mpid}", f"purchase of {mpid}"))
            scene.on_progress(number / scene.size.rounds)
        judgement = world.judge(tracked)
        kept = _order_numbers(world.database_url)
    faults = faults_in(judgement, refusals=[])
    faults += more_than(placed.total() - len(placed), 0, "confirmations of another order")
    faults += more_than(judgement.strays, 0, "looks and purchases too many")
    faults += more_than(
        ((kept - placed) + (placed - kept)).total(), 0, "orders too many, or too few"
    )
    return line_of(f"{scene.size.rounds} kills of the store", judgement, faults)


def _order_numbers(database_url: str) -> Counter[str]:
    engine = create_engine(database_url)
    with engine.connect() as connection:
        numbers = Counter(connection.scalars(text("SELECT number FROM orders")))
    engine.dispose()
    return numbers


def _reviewed(client: httpx.Client, address: str) -> tuple[Form, str]:
    """The form that places an order, reached as a visitor does, and who it shows them to be."""
    for path, testid in (
        (f"/products/{BALL}", "add-to-cart"),
        ("/cart", "checkout"),
        ("/checkout", "continue-to-payment"),
        ("/checkout", "continue-to-review"),
    ):
        form = form_in(_page(client, address + path), testid, path)
        assert client.post(address + form.action, data=dict(form.fields)).status_code == 303
    page = _page(client, f"{address}/checkout")
    found = re.search(r'data-mpid="(\d+)"', page)
    assert found is not None, "nobody is known yet"
    return form_in(page, "place-order", "/checkout"), found[1]


def _page(client: httpx.Client, url: str) -> str:
    answer = client.get(url)
    assert answer.status_code == 200, answer.text
    return answer.text


def _post_and_leave(port: int, form: Form, cookies: dict[str, str]) -> socket.socket:
    """Send the form; nobody will read the answer."""
    body = urlencode(form.fields)
    crumbs = "; ".join(f"{name}={value}" for name, value in cookies.items())
    connection = socket.create_connection(("127.0.0.1", port))
    connection.sendall(
        f"POST {form.action} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nCookie: {crumbs}\r\n"
        "Content-Type: application/x-www-form-urlencoded\r\n"
        f"Content-Length: {len(body)}\r\n\r\n{body}".encode()
    )
    return connection
