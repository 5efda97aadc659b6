"""What a body in the format of our batches tells at a glance, whoever posted it."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class EventSummary:
    """The first event of a batch; None where the body does not tell.

    `mpid` is a decimal string; `sequence` is the person's count of events (`context.mpid_sequence`).
    """

    event_type: str
    name: str | None
    mpid: str | None
    sequence: int | None


def summary_of(body: Any) -> EventSummary | None:
    """The summary of a body that was read as JSON; None when it is not our batch."""
    match body:
        case {"events": [{"event_type": str(event_type)} as event, *_]}:
            mpid, context = body.get("mpid"), body.get("context")
            sequence = context.get("mpid_sequence") if isinstance(context, dict) else None
            is_number = isinstance(mpid, int) and not isinstance(mpid, bool)
            return EventSummary(
                event_type=event_type,
                name=_name(event.get("data")),
                mpid=str(mpid) if is_number or isinstance(mpid, str) else None,
                sequence=sequence if type(sequence) is int else None,
            )
        case _:
            return None


def _name(event_data: Any) -> str | None:
    match event_data:
        case {"event_name": str(name)} | {"screen_name": str(name)}:
            return name
        case {"product_action": {"action": str(name)}} | {
            "promotion_action": {"action": str(name)}
        }:
            return name
        case {"product_impressions": [{"product_impression_list": str(name)}, *_]}:
            return name
        case {"user_attribute_name": str(name)} | {"new": {"identity_type": str(name)}}:
            return name
        case _:
            return None
