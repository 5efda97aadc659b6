"""What becomes of an event that meets a dial, in words, with how long that takes.

The store's own output is meant, which has one schedule and one deadline. Waits are moved a little by
chance, so all of them are about.
"""

from collections.abc import Sequence

from higgs_shop.inbox import PRESETS, Dial, InboxSession
from higgs_shop.showing.short import span
from higgs_shop.webhook_output import GONE, schedule_after


def presets_of(
    shown: InboxSession, *, is_own: bool, schedule_seconds: Sequence[float], timeout_seconds: float
) -> list[dict[str, object]]:
    """The buttons of an inbox. Of others than the store's own nobody knows who posts there, and when."""
    return [
        {
            "name": name,
            "label": preset.label,
            "meaning": outcome(
                preset.dial,
                schedule_seconds=schedule_seconds,
                timeout_seconds=timeout_seconds,
            )
            if is_own
            else preset.meaning,
            "is_set": preset.dial == shown.dial,
        }
        for name, preset in PRESETS.items()
    ]


def outcome(dial: Dial, *, schedule_seconds: Sequence[float], timeout_seconds: float) -> str:
    """What becomes of the next event.

    Args:
        schedule_seconds: the wait before each attempt; the first is 0.
        timeout_seconds: how long the sender waits for an answer.
    """
    answer = dial.answer
    is_late = answer.delay_ms >= timeout_seconds * 1_000
    if answer.status is not None and answer.status < 300 and not is_late:
        return f"delivered {_after(answer.delay_ms / 1_000)}"
    if answer.status == GONE and not is_late:
        return "waits, and the connection is paused"
    waits = schedule_after(None if is_late else answer.status, schedule_seconds)
    if dial.times is not None and dial.times < len(waits):
        return f"delivered {_after(sum(waits[: dial.times + 1]))}"
    attempts = "1 attempt" if len(waits) == 1 else f"{len(waits)} attempts"
    if len(waits) == 1 or answer.retry_after_seconds is not None:
        return f"given up after {attempts}"
    return f"given up after {attempts}, {span(sum(waits))}"


def _after(seconds: float) -> str:
    return f"after {span(seconds)}" if seconds >= 1 else "at once"
