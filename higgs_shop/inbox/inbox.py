"""What was posted to the inbox, request by request, newest first.

A receiver like any other: it knows the output only by its requests. Nothing is refused and nothing
de-duplicated, since attempts are what people want to see here.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final, Protocol

from sqlalchemy import Connection, RowMapping, Select, bindparam, delete, func, insert, select

from higgs_shop.strict_json import BadJson, loads
from higgs_shop.tables import inbox_requests

MOST_KEPT: Final = 2_000
"""Older requests of the same token are dropped."""

_SECRET_HEADERS: Final = frozenset({"authorization", "proxy-authorization", "cookie"})


class Verdict(Protocol):
    """What a check of a signature found: valid, invalid or missing, and why in one sentence."""

    @property
    def state(self) -> str:
        """One of valid, invalid, missing."""

    @property
    def reason(self) -> str:
        """One plain sentence."""


Verify = Callable[[Mapping[str, str], bytes, int], Verdict]
"""Checks a signature, given headers, body and the receiver's time in milliseconds."""


@dataclass(frozen=True, slots=True)
class EventSummary:
    """What a body in the format of our batches tells at a glance; None where it does not tell.

    `mpid` is a decimal string; `sequence` is the person's count of events (`context.mpid_sequence`).
    """

    event_type: str
    name: str | None
    mpid: str | None
    sequence: int | None


@dataclass(frozen=True)
class InboxRequest:
    """One request as it came, secrets in its headers masked.

    `headers` are (name, value) in the order of arrival; `signature` is valid, invalid or missing.
    """

    id: int
    workspace_id: str
    token: str
    method: str
    path: str
    headers: tuple[tuple[str, str], ...]
    body: bytes = field(repr=False)
    signature: str
    signature_reason: str
    received_at_ms: int

    @cached_property
    def json(self) -> Any | None:
        """The body as JSON, or None when it is not JSON."""
        try:
            return loads(self.body)
        except BadJson:
            return None

    @property
    def body_text(self) -> str:
        """The body for people to read; what is not UTF-8 shows as U+FFFD."""
        return self.body.decode("utf-8", "replace")

    @property
    def webhook_id(self) -> str | None:
        """The header that stays the same on every attempt at one message."""
        return next((value for name, value in self.headers if name.lower() == "webhook-id"), None)

    @property
    def summary(self) -> EventSummary | None:
        """Type, name, person and number of the event in it; None when the body is not our batch."""
        return _summary(self.json)


def keep(
    connection: Connection,
    *,
    workspace_id: str,
    token: str,
    method: str,
    path: str,
    headers: Sequence[tuple[str, str]],
    body: bytes,
    verify: Verify,
    now_ms: int,
) -> InboxRequest:
    """Store one request inside the caller's write transaction, and drop the oldest beyond MOST_KEPT.

    Answer the sender when that transaction is committed, not before.

    Args:
        connection: of the caller's write transaction.
        workspace_id: whose inbox it is.
        token: the last part of the inbox's address.
        method: as it was sent.
        path: as it was asked for, with the query.
        headers: in the order of arrival. Values of Authorization and Cookie are not stored.
        body: every byte of it.
        verify: e.g. `functools.partial(webhook_output.verify, secrets)`.
        now_ms: when it came.
    """
    verdict = verify(dict(headers), body, now_ms)
    row = {
        "workspace_id": workspace_id,
        "token": _storable(token),
        "method": _storable(method),
        "path": _storable(path),
        "headers": [[_storable(name), _shown(name, value)] for name, value in headers],
        "body": body,
        "signature": verdict.state,
        "signature_reason": verdict.reason,
        "received_at_ms": now_ms,
    }
    kept = connection.execute(_insert, row).mappings().one()
    connection.execute(_prune, {"of_workspace": workspace_id, "of_token": row["token"]})
    return _request(kept)


def list_requests(
    connection: Connection,
    workspace_id: str,
    token: str,
    *,
    before_id: int | None = None,
    most: int = 50,
) -> list[InboxRequest]:
    """The newest requests of a token, newest first; older than `before_id` if that is given."""
    statement = _of_token(workspace_id, token)
    if before_id is not None:
        statement = statement.where(inbox_requests.c.id < before_id)
    rows = connection.execute(statement.order_by(inbox_requests.c.id.desc()).limit(most))
    return [_request(row) for row in rows.mappings()]


def get_request(
    connection: Connection, workspace_id: str, token: str, request_id: int
) -> InboxRequest | None:
    """One request of a token, or None when it is another's, was dropped or never was."""
    statement = _of_token(workspace_id, token).where(inbox_requests.c.id == request_id)
    row = connection.execute(statement).mappings().one_or_none()
    return _request(row) if row else None


def count_requests(connection: Connection, workspace_id: str, token: str) -> int:
    """How many requests of a token are kept."""
    return connection.execute(
        select(func.count()).where(
            inbox_requests.c.workspace_id == workspace_id,
            inbox_requests.c.token == _storable(token),
        )
    ).scalar_one()


def _of_token(workspace_id: str, token: str) -> Select[*tuple[Any, ...]]:
    return select(inbox_requests).where(
        inbox_requests.c.workspace_id == workspace_id,
        inbox_requests.c.token == _storable(token),
    )


def _request(row: RowMapping) -> InboxRequest:
    headers = tuple((name, value) for name, value in row["headers"])
    return InboxRequest(**{**row, "headers": headers})


def _shown(name: str, value: str) -> str:
    if name.lower() not in _SECRET_HEADERS:
        return _storable(value)
    scheme, space, _ = value.partition(" ")
    return f"{_storable(scheme)} •••" if space and name.lower() != "cookie" else "•••"


def _storable(text: str) -> str:
    """PostgreSQL keeps neither NUL nor half a surrogate pair, and a path may hold both."""
    return text.replace("\x00", "\ufffd").encode("utf-8", "replace").decode()


def _summary(body: Any) -> EventSummary | None:
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


_insert: Final = insert(inbox_requests).returning(inbox_requests)

_oldest_kept: Final = (
    select(inbox_requests.c.id)
    .where(
        inbox_requests.c.workspace_id == bindparam("of_workspace"),
        inbox_requests.c.token == bindparam("of_token"),
    )
    .order_by(inbox_requests.c.id.desc())
    .offset(MOST_KEPT)
    .limit(1)
    .scalar_subquery()
)

_prune: Final = delete(inbox_requests).where(
    inbox_requests.c.workspace_id == bindparam("of_workspace"),
    inbox_requests.c.token == bindparam("of_token"),
    inbox_requests.c.id <= _oldest_kept,
)
