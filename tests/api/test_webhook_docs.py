"""What docs/webhooks.md promises receivers, held against a request of the store."""

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import pytest

from higgs_shop.webhook_output import SCHEDULE_SECONDS
from higgs_shop.webhook_output.retry import REFUSALS, REFUSED_SCHEDULE_SECONDS
from tests.api.conftest import OpenStore
from tests.network_faults import Receiver

DOCS: Final = (Path(__file__).parents[2] / "docs/webhooks.md").read_text("utf-8")

IsOurs = Callable[[Mapping[str, str], bytes, str], bool]


@pytest.fixture
def is_ours() -> IsOurs:
    """The check as the page has it."""
    (example,) = re.findall(r"^```python\n(.*?)^```$", DOCS, re.MULTILINE | re.DOTALL)
    names: dict[str, Any] = {}
    exec(example, names)  # noqa: S102 (our own page)
    found: IsOurs = names["is_ours"]
    return found


def test_the_check_takes_what_the_store_signs_and_nothing_else(
    open_store: OpenStore, is_ours: IsOurs, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Receiver() as receiver:
        store = open_store(webhook_url=receiver.url)
        store.browser().get("/about")
        store.parts.sender.deliver_due()
        request = receiver.requests[0]
    secret = store.parts.secrets.webhook_secret
    sent_at_seconds = store.clock() // 1_000
    monkeypatch.setattr("time.time", lambda: sent_at_seconds)
    assert is_ours(request.headers, request.body, secret)
    assert not is_ours(request.headers, request.body + b" ", secret)
    assert not is_ours(request.headers, request.body, "whsec_" + "QUJD" * 10)
    monkeypatch.setattr("time.time", lambda: sent_at_seconds + 301)
    assert not is_ours(request.headers, request.body, secret)


def test_the_schedule_and_the_refusals_are_those_that_hold() -> None:
    assert ", ".join(str(status) for status in sorted(REFUSALS)) in DOCS
    assert _waits(SCHEDULE_SECONDS) in " ".join(DOCS.split())
    assert _waits(REFUSED_SCHEDULE_SECONDS) in " ".join(DOCS.split())


def _waits(schedule_seconds: tuple[int, ...]) -> str:
    """The waits after the first attempt, as people write them."""
    *words, last = map(_span, schedule_seconds[1:])
    return f"{', '.join(words)} and {last}"


def _span(seconds: int) -> str:
    units = ((3_600, "h"), (60, "min"), (1, "s"))
    return next(f"{seconds // size} {unit}" for size, unit in units if seconds >= size)
