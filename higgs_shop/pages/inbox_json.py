"""Not a page: the shapes of the inbox's JSON API. Times are ISO 8601, MPIDs decimal strings."""

import base64
from dataclasses import asdict
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from higgs_shop.inbox import MOST_NAME_CHARACTERS, Dial, InboxRequest, InboxSession, Wanted
from higgs_shop.pages.inbox import OWN, address_of, name_of
from higgs_shop.pages.inbox_signing import secret_complaint
from higgs_shop.pages.short import iso

MOST_LISTED: Final = 100
MOST_ID: Final = 2**53 - 1
"""JavaScript reads no larger number right."""

_Text = Annotated[str, Field(max_length=1_000)]
_Id = Annotated[int, Field(ge=0, le=MOST_ID)]


class WantedSession(BaseModel):
    """An inbox that is to be made."""

    model_config = ConfigDict(extra="forbid")

    name: Annotated[str, Field(max_length=MOST_NAME_CHARACTERS)] = ""
    signing_secret: str | None = None
    dial: Dial = Field(default_factory=Dial)

    @field_validator("signing_secret")
    @classmethod
    def _is_usable(cls, secret: str | None) -> str | None:
        complaint = None if secret is None else secret_complaint(secret)
        if complaint:
            raise ValueError(complaint)
        return secret


class Filters(BaseModel):
    """Which requests, as an address says it."""

    model_config = ConfigDict(extra="forbid")

    q: _Text | None = None
    webhook_id: _Text | None = None
    event_type: _Text | None = None
    name: _Text | None = None
    mpid: _Text | None = None
    signature: Literal["valid", "invalid", "missing", "unchecked"] | None = None
    before: _Id | None = None
    since: _Id | None = None

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

    most: Annotated[int, Field(ge=1, le=MOST_LISTED)] = 50


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
        "dial": session.dial.model_dump(),
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
