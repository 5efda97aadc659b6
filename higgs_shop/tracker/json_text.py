"""JSON as it travels, and as it is kept."""

import json
from typing import Any, Final

from higgs_shop.database import JsonText

_ENCODER: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))


def compact_json(value: Any) -> JsonText:
    """JSON as it travels: no spaces, and letters as they are."""
    return JsonText(_ENCODER.encode(value))
