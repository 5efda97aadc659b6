"""What is wrong with given settings: for each which, what was given, and what is allowed instead."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, cast

from pydantic import BaseModel, Field, SecretStr, ValidationError
from pydantic_core import ErrorDetails

from higgs_shop.setting_values import Refused, one_line

MASK: Final = "***"


@dataclass(frozen=True, slots=True)
class Mistake:
    """One setting that is wrong.

    Attributes:
        field: its name in the model.
        shown: what was given, on one line, shortened, with everything secret in it masked.
        reason: what to do instead, as the end of a sentence.
    """

    field: str
    shown: str
    reason: str


def explained(meaning: str, *, allowed: str, **more: Any) -> Any:
    """A model's field: what it means, and what to use if it is wrong. `more` is pydantic's own."""
    return Field(description=meaning, json_schema_extra={"allowed": allowed}, **more)


def mistakes_in(
    model: type[BaseModel], given: Mapping[str, Any], error: ValidationError
) -> list[Mistake]:
    """One for each wrong setting, in the order of the model's, then those that it does not know."""
    mistakes: dict[str, Mistake] = {}
    for details in error.errors(include_url=False):
        # A value computed from another setting is not wrong when that other one is.
        if details["type"] != "default_factory_not_called":
            field = str(details["loc"][0])
            shown = _shown(model, field, given.get(field, details["input"]))
            mistakes.setdefault(field, Mistake(field, shown, _reason(model, field, details)))
    return list(mistakes.values())


def _reason(model: type[BaseModel], field: str, details: ErrorDetails) -> str:
    if field not in model.model_fields:
        return "no such setting"
    reason = details.get("ctx", {}).get("error")
    if isinstance(reason, Refused):
        return str(reason)
    extra = cast("dict[str, str]", model.model_fields[field].json_schema_extra)
    return f"use {extra['allowed']}"


def _shown(model: type[BaseModel], field: str, value: Any) -> str:
    if field in model.model_fields and model.model_fields[field].annotation is SecretStr:
        return MASK
    parts = value if isinstance(value, list | tuple) else [value]
    text = ",".join(map(str, parts))
    text = re.sub(r"//.*@", f"//{MASK}@", text)
    text = re.sub(r"(password=)[^&]*", rf"\1{MASK}", text, flags=re.IGNORECASE)
    return one_line(text)
