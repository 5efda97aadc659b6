"""The shapes of the inbox's JSON API. Times are ISO 8601, MPIDs decimal strings."""

import base64
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, Final, Literal, cast

from pydantic import BaseModel, ConfigDict, ValidationError, field_validator
from pydantic_core import ErrorDetails

from higgs_shop.asking.asked_inbox import OWN, address_of, name_of
from higgs_shop.inbox import MOST_NAME_CHARACTERS, Dial, InboxRequest, InboxSession, Wanted
from higgs_shop.mistakes import explained
from higgs_shop.setting_values import nearest, one_line
from higgs_shop.showing import iso, secret_complaint

MOST_LISTED: Final = 100
MOST_ID: Final = 2**53 - 1
"""JavaScript reads no larger number right."""

_MOST_TEXT: Final = 1_000
_MOST_FAULTS: Final = 50
_BODY: Final = "the body"


class WantedSession(BaseModel):
    """An inbox that is to be made."""

    model_config = ConfigDict(extra="forbid")

    name: str = explained(
        "for people to tell it from others",
        allowed=f"a text of at most {MOST_NAME_CHARACTERS} characters",
        default="",
        max_length=MOST_NAME_CHARACTERS,
    )
    signing_secret: str | None = explained(
        "what signatures are checked with",
        allowed="whsec_ and then base64, or null for none",
        default=None,
    )
    dial: Dial = explained(
        "how it answers",
        allowed="an object with members of the dial",
        default_factory=Dial,
    )

    @field_validator("signing_secret")
    @classmethod
    def _is_usable(cls, secret: str | None) -> str | None:
        complaint = None if secret is None else secret_complaint(secret)
        if complaint:
            raise ValueError(complaint)
        return secret


def _text(meaning: str) -> Any:
    return explained(
        meaning,
        allowed=f"one text of at most {_MOST_TEXT:,} characters",
        default=None,
        max_length=_MOST_TEXT,
    )


def _number(meaning: str) -> Any:
    return explained(
        meaning, allowed="the number of one request, 0 or more", default=None, ge=0, le=MOST_ID
    )


class Filters(BaseModel):
    """Which requests, as an address says it."""

    model_config = ConfigDict(extra="forbid")

    q: str | None = _text("a text that stands in it")
    webhook_id: str | None = _text("its webhook-id")
    event_type: str | None = _text("the type of its event")
    name: str | None = _text("the name of its event")
    mpid: str | None = _text("whose event it is")
    signature: Literal["valid", "invalid", "missing", "unchecked"] | None = explained(
        "what the check of its signature found",
        allowed="valid, invalid, missing or unchecked",
        default=None,
    )
    before: int | None = _number("older than this one")
    since: int | None = _number("newer than this one")

    @property
    def wanted(self) -> Wanted:
        """The same, as the inbox is asked."""
        return Wanted(
            text=self.q,
            webhook_id=self.webhook_id,
            event_type=self.event_type,
            name=self.name,
            mpid=self.mpid,
            signature=self.signature,
            before_id=self.before,
            since_id=self.since,
        )


class Page(Filters):
    """The same, and how many at once."""

    most: int = explained(
        "how many at once",
        allowed=f"a whole number from 1 to {MOST_LISTED}",
        default=50,
        ge=1,
        le=MOST_LISTED,
    )


def faults(model: type[BaseModel], error: ValidationError) -> list[str]:
    """Everything that is wrong, a sentence each: the member, and what to use instead."""
    details = error.errors(include_url=False, include_input=False)
    told = [_fault(model, each) for each in details[:_MOST_FAULTS]]
    left = len(details) - len(told)
    return [*told, *([f"{_BODY}: {left} more members are wrong"] if left else [])]


def _fault(model: type[BaseModel], details: ErrorDetails) -> str:
    path = ".".join(one_line(str(part)) for part in details["loc"]) or _BODY
    own_words = details.get("ctx", {}).get("error")
    if own_words is not None:
        return f"{path}: {own_words}"
    within, field = _field(model, details["loc"])
    if field is None:
        return f"{path}: use an object"
    if field not in within.model_fields:
        meant = nearest(field, within.model_fields)
        return f"{path}: there is no such member{meant or f'; use {_listed(within)}'}"
    extra = cast("dict[str, str]", within.model_fields[field].json_schema_extra)
    return f"{path}: use {extra['allowed']}"


def _field(
    model: type[BaseModel], location: Sequence[int | str]
) -> tuple[type[BaseModel], str | None]:
    """The model that a fault is in, and the name of the member; None: the whole is wrong."""
    match location:
        case ["dial", member, *_] if model is WantedSession:
            return Dial, str(member)
        case [member, *_]:
            return model, str(member)
        case _:
            return model, None


def _listed(model: type[BaseModel]) -> str:
    *names, last = model.model_fields
    return f"{', '.join(names)} or {last}"


def session_json(session: InboxSession, count: int) -> dict[str, Any]:
    """One inbox; its secret stays here."""
    is_own = name_of(session.token) == OWN
    created_at_ms = session.created_at_ms
    return {
        "token": session.token,
        "name": session.name,
        "address": address_of(session.token),
        "is_own": is_own,
        "checks_signatures": is_own or session.signing_secret is not None,
        "dial": session.dial.in_force.model_dump(),
        "requests": count,
        "created_at": None if created_at_ms is None else iso(created_at_ms),
    }


def request_json(kept: InboxRequest) -> dict[str, Any]:
    """One request. A body that is not UTF-8 is there as base64 instead."""
    summary, text = kept.summary, _utf_8(kept.body)
    return {
        "id": kept.id,
        "received_at": iso(kept.received_at_ms),
        "method": kept.method,
        "path": kept.path,
        "headers": [list(pair) for pair in kept.headers],
        "webhook_id": kept.header("webhook-id"),
        "attempt": kept.attempt,
        "same_body": kept.same_body,
        "signature": {"state": kept.signature, "reason": kept.signature_reason},
        "sender": kept.sender,
        "answer": asdict(kept.answer),
        "event": None if summary is None else asdict(summary),
        "body": text,
        "body_base64": base64.b64encode(kept.body).decode() if text is None else None,
        "body_json": kept.json,
    }


def _utf_8(body: bytes) -> str | None:
    try:
        return body.decode()
    except UnicodeDecodeError:
        return None
