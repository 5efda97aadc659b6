"""How far an event has come, in all and at each output."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection

from higgs_shop import outbox
from higgs_shop.outbox import MessageState
from higgs_shop.outputs import Output, list_outputs
from higgs_shop.showing.next_try import next_try_of
from higgs_shop.tracker import Gathered, LoggedEvent, gathered_events_of

_MOST_LEFT: Final = ("dead", "waiting", "gathered", "delivered")
_NOWHERE: Final[Mapping[str, Any]] = {
    "sequence": None,
    "attempts": 0,
    "last_status": None,
    "last_error": None,
    "next_try": None,
    "output": None,
    "gathered": None,
    "kept_because": None,
    "at_each": [],
}


@dataclass(frozen=True, slots=True)
class _Times:
    now_ms: int
    batch_ms: int


def deliveries_of(
    connection: Connection,
    workspace_id: str,
    events: Sequence[LoggedEvent],
    *,
    batch_ms: int,
    now_ms: int,
) -> dict[int, Mapping[str, Any]]:
    """How far events have come at the output where most is left to do, by event id, for the templates.

    Where the workspace has several outputs, `at_each` tells of each one. Whose MPID is known and whose
    messages are not there, or to come, is kept and not sent on; `kept_because` says why, where that can
    be told.

    Args:
        batch_ms: how long a batch waits for more.
    """
    event_ids = [event.id for event in events]
    messages = outbox.messages_of_events(connection, workspace_id, event_ids)
    gathered = gathered_events_of(connection, workspace_id, event_ids)
    outputs = list_outputs(connection, workspace_id)
    times = _Times(now_ms, batch_ms)
    return {
        event.id: _delivery_of(
            event, messages.get(event.id, []), gathered.get(event.id, []), outputs, times
        )
        for event in events
    }


def _delivery_of(
    event: LoggedEvent,
    messages: Sequence[MessageState],
    gathered: Sequence[Gathered],
    outputs: Sequence[Output],
    times: _Times,
) -> Mapping[str, Any]:
    if event.mpid is None:
        return {**_NOWHERE, "state": "unattributed"}
    if not messages and not gathered:
        return {**_NOWHERE, "state": "kept", "kept_because": _why_kept(event, outputs)}
    left: Sequence[MessageState | Gathered] = (*messages, *gathered)
    most_left = min(left, key=lambda each: _MOST_LEFT.index(_stage(each)))
    found = {output.id: output for output in outputs}
    output = found.get(most_left.output_id)
    return {
        **_NOWHERE,
        "sequence": messages[0].sequence if messages else None,
        "state": _state(most_left),
        "output": output and output.name,
        "at_each": _at_each(event, left, outputs, times) if len(outputs) > 1 else [],
        **_told(most_left, output, times),
    }


def _told(at: MessageState | Gathered, output: Output | None, times: _Times) -> dict[str, Any]:
    """What there is to tell of where an event has come to."""
    if isinstance(at, Gathered):
        return {"gathered": _gathered(at, times)}
    return {
        "attempts": at.attempts,
        "last_status": at.last_status,
        "last_error": at.last_error,
        "next_try": next_try_of(at, output, times.now_ms),
    }


def _gathered(at: Gathered, times: _Times) -> dict[str, Any]:
    """What a gathered event waits for, and until when, where that is known."""
    until_ms = at.since_ms + times.batch_ms if at.waits_for == "time" else None
    is_due = until_ms is not None and until_ms <= times.now_ms
    return {"waits_for": "nothing" if is_due else at.waits_for, "until_ms": until_ms}


def _at_each(
    event: LoggedEvent,
    left: Sequence[MessageState | Gathered],
    outputs: Sequence[Output],
    times: _Times,
) -> list[dict[str, Any]]:
    """The outputs in the order of their making; one that was not given the event has no state."""
    at = {each.output_id: each for each in left}
    return [
        {
            "output": output.name,
            "state": _state(at[output.id]) if output.id in at else None,
            "gathered": _gathered_at(at.get(output.id), times),
            "came_later": output.created_at_ms > event.logged_at_ms,
        }
        for output in outputs
    ]


def _gathered_at(at: MessageState | Gathered | None, times: _Times) -> dict[str, Any] | None:
    return _gathered(at, times) if isinstance(at, Gathered) else None


def _stage(at: MessageState | Gathered) -> str:
    return "gathered" if isinstance(at, Gathered) else at.state


def _state(at: MessageState | Gathered) -> str:
    if isinstance(at, MessageState) and at.state == "waiting" and at.attempts:
        return "retrying"
    return _stage(at)


def _why_kept(event: LoggedEvent, outputs: Sequence[Output]) -> str | None:
    if event.is_historical:
        return "historical"
    # An output that gathers has no message before it hands over what it has gathered.
    gathers = any(of.settings.send_as_batch or of.settings.wait_for_session for of in outputs)
    # Or withdrawn, which leaves nothing behind to tell it from.
    return None if gathers else "unwanted"
