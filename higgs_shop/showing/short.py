"""How pages write what is long: MPIDs, moments, JSON."""

import json
from datetime import UTC, datetime
from typing import Any

from higgs_shop.clock import Clock
from higgs_shop.tracker import TEST_MPID


def short_mpid(mpid: int | str | None) -> str | None:
    """An MPID by its last six digits; the whole number stands beside it in the page. Nobody's is in words."""
    if mpid is None:
        return None
    if str(mpid) == str(TEST_MPID):
        return "the test person"
    return f"…{str(mpid)[-6:]}"


def iso(ms: int) -> str:
    """UTC milliseconds as ISO 8601."""
    moment = datetime.fromtimestamp(ms / 1_000, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def utc(ms: int) -> str:
    """UTC milliseconds to the second, for people."""
    return f"{datetime.fromtimestamp(ms / 1_000, UTC):%Y-%m-%d %H:%M:%S}"


def ago(ms: int, clock: Clock) -> str:
    """How long ago, or how long until, in the largest unit that fits."""
    seconds = (clock() - ms) / 1_000
    words = span(abs(seconds))
    if words == "now":
        return "just now" if seconds >= 0 else "now"
    return f"{words} ago" if seconds >= 0 else f"in {words}"


def sentence(text: str) -> str:
    """What a check says against a value, as a sentence of its own."""
    end = "" if text.endswith("?") else "."
    return f"{text[:1].upper()}{text[1:]}{end}"


def pretty_json(value: Any) -> str:
    """JSON for people."""
    return json.dumps(value, indent=2, ensure_ascii=False)


def span(seconds: float) -> str:
    """How long, in the largest unit that fits."""
    for unit, length in (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1)):
        if seconds >= length:
            return f"{int(seconds // length)} {unit}"
    return "now"
