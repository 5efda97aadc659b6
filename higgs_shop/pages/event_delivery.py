"""Not a page: how far an event has come, in all and at each output, for the pages that show events."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from higgs_shop.outbox import MessageState
from higgs_shop.outputs import Output
from higgs_shop.tracker import LoggedEvent

_MOST_LEFT: Final = ("dead", "waiting", "delivered")
_NOWHERE: Final[Mapping[str, Any]] = {
    "attempts": 0,
    "last_status": None,
    "last_error": None,
    "next_attempt_ms": None,
    "output": None,
    "kept_because": None,
    "at_each": [],
}


def delivery_of(
    event: LoggedEvent, messages: Sequence[MessageState], outputs: Sequence[Output]
) -> Mapping[str, Any]:
    """How far an event has come at the output where most is left to do, for the templates.

    Where the workspace has several outputs, `at_each` tells of each one. Whose MPID is known and whose
    messages are not there is kept and not sent on; `kept_because` says why, where that can be told.
    """
    if event.mpid is None:
        return {**_NOWHERE, "state": "unattributed"}
    if not messages:
        return {**_NOWHERE, "state": "kept", "kept_because": _why_kept(event, outputs)}
    message = min(messages, key=lambda each: _MOST_LEFT.index(each.state))
    names = {output.id: output.name for output in outputs}
    return {
        "state": _state(message),
        "attempts": message.attempts,
        "last_status": message.last_status,
        "last_error": message.last_error,
        "next_attempt_ms": message.next_attempt_ms,
        "output": names.get(message.output_id),
        "kept_because": None,
        "at_each": _at_each(event, messages, outputs) if len(outputs) > 1 else [],
    }


def _at_each(
    event: LoggedEvent, messages: Sequence[MessageState], outputs: Sequence[Output]
) -> list[dict[str, Any]]:
    """The outputs in the order of their making; one that was not given the event has no state."""
    states = {message.output_id: _state(message) for message in messages}
    return [
        {
            "output": output.name,
            "state": states.get(output.id),
            "came_later": output.created_at_ms > event.logged_at_ms,
        }
        for output in outputs
    ]


def _state(message: MessageState) -> str:
    if message.state == "waiting" and message.attempts:
        return "retrying"
    return message.state


def _why_kept(event: LoggedEvent, outputs: Sequence[Output]) -> str | None:
    if event.is_historical:
        return "historical"
    # An output that gathers has no message before it hands over what it has gathered.
    gathers = any(of.settings.send_as_batch or of.settings.wait_for_session for of in outputs)
    return None if gathers else "unwanted"
