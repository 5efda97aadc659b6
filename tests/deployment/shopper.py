"""Somebody who shops through kills and outages, and remembers what was acknowledged."""

import re
from collections.abc import Mapping
from typing import Any, Final

import httpx

from tests.api.browsing import form_in
from tests.browser.store_process import until

PATIENCE_SECONDS: Final = 90.0
# Of the proxy: nobody behind it has answered. Of the store: it cannot write anything down right now.
_ASK_AGAIN: Final = frozenset({502, 503})


class Shopper:
    """A browser, and who uses it. A request is sent again, as it was, until it is answered.

    No two steps after one another are called the same, so that what was kept without an answer, and
    asked for again, can be told from what was asked for twice.

    Attributes:
        acknowledged: what was answered, in this order, as `asked_for` calls it.
        orders: the numbers of those that were placed.
        refusals: statuses of answers after which the same was asked again.
        mpids: who pages said this is.
    """

    def __init__(self, name: str, client: httpx.Client) -> None:
        self.acknowledged: list[str] = []
        self.orders: list[str] = []
        self.refusals: list[int] = []
        self.mpids: set[int] = set()
        self._name = name
        self._client = client
        self._path = self._html = self._led_to = ""

    def sign_up(self) -> None:
        """From the first page to an account of one's own."""
        self._look("/", "Landing")
        self._look("/account/sign-up", "Sign Up")
        email = f"{self._name}@example.com"
        self._send("sign-up", name=self._name, email=email)
        self._look(self._led_to, "Welcome")

    def buy(self) -> None:
        """From a product to an order, and back to the first page."""
        self._look("/products/128743", "view_detail")
        self._send("add-to-cart")
        self.acknowledged.append("add_to_cart")
        self._look("/cart", "View My Cart")
        self._send("checkout")
        self.acknowledged.append("checkout")
        for testid in ("continue-to-payment", "continue-to-review"):
            self._look("/checkout", "Checkout")
            self._send(testid)
            self.acknowledged.append("checkout_option")
        self._look("/checkout", "Checkout")
        self._send("place-order")
        number = self._led_to.removeprefix("/orders/")
        self.orders.append(number)
        self.acknowledged.append(f"purchase {number}")
        self._look(self._led_to, "Order Confirmation")
        self._look("/", "Landing")

    def _look(self, path: str, tracked: str) -> None:
        answer = self._answer_to("GET", path)
        assert answer.status_code == 200, f"{path}: {answer.status_code}"
        self._path, self._html = path, answer.text
        # Shown to nobody while an identity call is out; the visitor stays who they were.
        self.mpids |= {int(found) for found in re.findall(r'data-mpid="(\d+)"', answer.text)}
        self.acknowledged.append(tracked)

    def _send(self, testid: str, **values: str) -> None:
        """The form around a button of the page that was looked at last."""
        form = form_in(self._html, testid, self._path).with_values(values)
        answer = self._answer_to(form.method, form.action, dict(form.fields))
        assert answer.status_code == 303, f"{testid}: {answer.status_code} {answer.text[:500]}"
        self._led_to = answer.headers["Location"]

    def _answer_to(
        self, method: str, path: str, data: Mapping[str, str] | None = None
    ) -> httpx.Response:
        answers: list[httpx.Response] = []

        def is_answered() -> bool:
            try:
                answer = self._client.request(method, path, data=data, follow_redirects=False)
            except httpx.TransportError:
                return False
            answers.append(answer)
            if answer.status_code in _ASK_AGAIN:
                self.refusals.append(answer.status_code)
            return answer.status_code not in _ASK_AGAIN

        until(is_answered, f"{method} {path} is answered", timeout_seconds=PATIENCE_SECONDS)
        return answers[-1]


def asked_for(event: Mapping[str, Any]) -> str | None:
    """What a shopper calls an event of a body; None for one that comes along with others."""
    data = event["data"]
    if event["event_type"] == "screen_view":
        return str(data["screen_name"])
    if "product_action" in data:
        action = data["product_action"]
        return f"{action['action']} {action.get('transaction_id', '')}".strip()
    return None
