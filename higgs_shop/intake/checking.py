"""From bytes to a batch: what is wrong with it, and what of it is sound. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from higgs_shop import strict_json
from higgs_shop.apis.errors import faults_of
from higgs_shop.intake.errors import BadRequest
from higgs_shop.intake.messages import Batch


@dataclass(frozen=True)
class Checked:
    """A batch that was looked at.

    Attributes:
        body: as it came.
        sound: what can be kept of it; None when nothing can.
        faults: a sentence for each thing that is wrong, which names the member.
    """

    body: bytes
    sound: Batch | None
    faults: tuple[str, ...] = ()


def read_json(body: bytes) -> Any:
    """The JSON value in a body, whatever its content type says. Raises BadRequest."""
    try:
        return strict_json.loads(body)
    except strict_json.BadJson as error:
        raise BadRequest(str(error)) from error


def check(members: Any, body: bytes) -> Checked:
    """Hold a batch against its shape. Its other events stay sound when one of them is not."""
    if not isinstance(members, dict):
        return Checked(body, None, ("a batch is a JSON object",))
    try:
        return Checked(body, Batch.model_validate(members))
    except ValidationError as error:
        return Checked(body, _sound_part(members, error), tuple(faults_of(error)))


def _sound_part(members: Mapping[str, Any], error: ValidationError) -> Batch | None:
    places = [detail["loc"] for detail in error.errors(include_url=False, include_input=False)]
    faulty = {place[1] for place in places if place[0] == "events" and len(place) > 1}
    if any(place[0] != "events" or len(place) == 1 for place in places):
        return None
    events = [event for number, event in enumerate(members["events"]) if number not in faulty]
    return Batch.model_validate({**members, "events": events}) if events else None
