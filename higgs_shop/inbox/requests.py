"""What was posted to a session, request by request, newest first.

A receiver like any other: it knows the output only by its requests. Nothing is refused and nothing
de-duplicated, since attempts are what people want to see here.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any, Final, Protocol

from sqlalchemy import (
    ColumnElement,
    Connection,
    RowMapping,
    bindparam,
    delete,
    func,
    insert,
    select,
)

from higgs_shop.inbox.dial import Answer
from higgs_shop.inbox.event_summary import EventSummary, summary_of
from higgs_shop.inbox.sessions import InboxSession
from higgs_shop.old_rows import OldRows
from higgs_shop.strict_json import BadJson, loads
from higgs_shop.tables import inbox_requests

MOST_KEPT: Final = 2_000
"""Older requests of the same session are dropped."""

MOST_SEARCHED_BYTES: Final = 16 * 1024
"""A search reads so much of each body, so that a full session is read in a moment."""

MASK: Final = "•••"
"""Stands for what is not stored of a header."""

_MOST_TYPES: Final = 50
_SECRET_HEADERS: Final = frozenset({"authorization", "proxy-authorization", "cookie"})
# Longer ones fit into no index; they are told apart by their digest.
_LONGEST_WEBHOOK_ID: Final = 200


class Verdict(Protocol):
    """What a check of a signature found, and why in one sentence."""

    @property
    def state(self) -> str:
        """One of valid, invalid, missing, unchecked."""

    @property
    def reason(self) -> str:
        """One plain sentence."""


@dataclass(frozen=True, slots=True)
class Unchecked:
    """The verdict where there is no secret to check with."""

    state: str = "unchecked"
    reason: str = "This inbox has no signing secret to check with."


def unchecked(_headers: Mapping[str, str], _body: bytes, _now_ms: int) -> Verdict:
    """Check nothing."""
    return Unchecked()


Verify = Callable[[Mapping[str, str], bytes, int], Verdict]
"""Checks a signature, given headers, body and the receiver's time in milliseconds."""


@dataclass(frozen=True)
class InboxRequest:
    """One request as it came, secrets in its headers masked; and what it was answered.

    Attributes:
        headers: (name, value) in the order of arrival.
        webhook_id: the header that stays the same on every attempt at one message.
        attempt: which one at this webhook-id it is, from 1; also when earlier ones were dropped.
        same_body: whether it has the same bytes as every earlier attempt; None when it is the first.
        signature: valid, invalid, missing or unchecked.
        sender: the output that has signed it, by its name; None: another, or nobody knows.
        answer: decided when the request was kept, before it was sent.
    """

    id: int
    workspace_id: str
    token: str
    method: str
    path: str
    headers: tuple[tuple[str, str], ...]
    body: bytes = field(repr=False)
    webhook_id: str | None
    attempt: int
    same_body: bool | None
    signature: str
    signature_reason: str
    answer: Answer
    received_at_ms: int
    sender: str | None = None

    @cached_property
    def json(self) -> Any | None:
        """The body as JSON, or None when it is not JSON."""
        return _json(self.body)

    @property
    def body_text(self) -> str:
        """The body for people to read; what is not UTF-8 shows as U+FFFD."""
        return self.body.decode("utf-8", "replace")

    @property
    def summary(self) -> EventSummary | None:
        """Type, name, person and number of the event in it; None when the body is not our batch."""
        return summary_of(self.json)

    def header(self, name: str) -> str | None:
        """The value of a header, by its name in small letters."""
        return next((value for each, value in self.headers if each.lower() == name), None)


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which requests; None leaves a question out.

    Attributes:
        text: stands in webhook-id, path, headers or the beginning of the body, in any case.
        before_id: only older ones.
        since_id: only newer ones.
    """

    text: str | None = None
    webhook_id: str | None = None
    event_type: str | None = None
    name: str | None = None
    mpid: str | None = None
    signature: str | None = None
    before_id: int | None = None
    since_id: int | None = None

    def conditions(self) -> list[ColumnElement[bool]]:
        """What the rows have to fulfil, within one session."""
        columns = inbox_requests.c
        asked: list[tuple[Any, Callable[[Any], ColumnElement[bool]]]] = [
            (self.text, lambda text: columns.searched.contains(_folded(text), autoescape=True)),
            (_webhook_key(self.webhook_id), columns.webhook_id.__eq__),
            (_storable(self.event_type), columns.event_type.__eq__),
            (_storable(self.name), columns.event_name.__eq__),
            (_storable(self.mpid), columns.mpid.__eq__),
            (_storable(self.signature), columns.signature.__eq__),
            (self.before_id, columns.id.__lt__),
            (self.since_id, columns.id.__gt__),
        ]
        return [condition(value) for value, condition in asked if value is not None]


def keep(
    connection: Connection,
    session: InboxSession,
    *,
    method: str,
    path: str,
    headers: Sequence[tuple[str, str]],
    body: bytes,
    answer: Answer,
    verify: Verify,
    sender: str | None = None,
    now_ms: int,
) -> InboxRequest:
    """Store one request inside the caller's write transaction, and drop the oldest beyond MOST_KEPT.

    Answer the sender when that transaction is committed, not before.

    Args:
        connection: of the caller's write transaction.
        session: which was claimed in it.
        method: as it was sent.
        path: as it was asked for, with the query.
        headers: in the order of arrival. Values of Authorization and Cookie are not stored.
        body: every byte of it.
        answer: what it will get.
        verify: e.g. `functools.partial(webhook_output.verify, secrets)`.
        sender: the output that has signed it, by its name.
        now_ms: when it came.
    """
    verdict = verify(dict(headers), body, now_ms)
    summary = summary_of(_json(body))
    shown = [(_text(name), _shown(name, value)) for name, value in headers]
    webhook_id = next((value for name, value in headers if name.lower() == "webhook-id"), None)
    named = {"of_workspace": session.workspace_id, "of_token": session.token}
    digest = hashlib.sha256(body).hexdigest()
    row = {
        "workspace_id": session.workspace_id,
        "token": session.token,
        "method": _text(method),
        "path": _text(path),
        "headers": [list(pair) for pair in shown],
        "body": body,
        "body_digest": digest,
        "searched": _searched(_text(path), shown, body),
        "webhook_id": _webhook_key(webhook_id),
        **_attempt(connection, named, _webhook_key(webhook_id), digest),
        "event_type": _storable(summary.event_type) if summary else None,
        "event_name": _storable(summary.name) if summary else None,
        "mpid": _storable(summary.mpid) if summary else None,
        "signature": verdict.state,
        "signature_reason": verdict.reason,
        "sender": sender,
        "answer": asdict(answer),
        "received_at_ms": now_ms,
    }
    kept = connection.execute(_INSERT, row).mappings().one()
    connection.execute(_PRUNE, named)
    return _request(kept)


def list_requests(
    connection: Connection,
    workspace_id: str,
    token: str,
    wanted: Wanted = Wanted(),
    *,
    most: int = 50,
) -> list[InboxRequest]:
    """The newest requests of a session that are wanted, newest first."""
    statement = select(*_COLUMNS).where(*_of_session(workspace_id, token), *wanted.conditions())
    rows = connection.execute(statement.order_by(inbox_requests.c.id.desc()).limit(most))
    return [_request(row) for row in rows.mappings()]


def get_request(
    connection: Connection, workspace_id: str, token: str, request_id: int
) -> InboxRequest | None:
    """One request of a session, or None when it is another's, was dropped or never was."""
    statement = select(*_COLUMNS).where(
        *_of_session(workspace_id, token), inbox_requests.c.id == request_id
    )
    row = connection.execute(statement).mappings().one_or_none()
    return _request(row) if row else None


def count_requests(
    connection: Connection,
    workspace_id: str,
    token: str,
    wanted: Wanted = Wanted(),
) -> int:
    """How many requests of a session are kept and wanted."""
    statement = select(func.count()).where(*_of_session(workspace_id, token), *wanted.conditions())
    return connection.execute(statement).scalar_one()


def event_types(connection: Connection, workspace_id: str, token: str) -> list[str]:
    """The kinds of events that a session has kept, by name; the first of them, if there are many."""
    column = inbox_requests.c.event_type
    statement = select(column).where(*_of_session(workspace_id, token), column.is_not(None))
    return list(connection.scalars(statement.distinct().order_by(column).limit(_MOST_TYPES)))


def remove_requests(connection: Connection, session: InboxSession) -> int:
    """Forget all requests of a session. Returns how many there were."""
    statement = delete(inbox_requests).where(*_of_session(session.workspace_id, session.token))
    return connection.execute(statement).rowcount


def remove_request(connection: Connection, session: InboxSession, request_id: int) -> bool:
    """Forget one request of a session. Returns whether it was there."""
    statement = delete(inbox_requests).where(
        *_of_session(session.workspace_id, session.token), inbox_requests.c.id == request_id
    )
    return connection.execute(statement).rowcount > 0


def _attempt(
    connection: Connection, named: Mapping[str, str], webhook_id: str | None, digest: str
) -> dict[str, Any]:
    """Which attempt it is, and whether the body is what it always was."""
    if webhook_id is None:
        return {"attempt": 1, "same_body": None}
    earlier = connection.execute(_EARLIER, {**named, "of_webhook_id": webhook_id}).one()
    if earlier.last is None:
        return {"attempt": 1, "same_body": None}
    return {
        "attempt": earlier.last + 1,
        "same_body": earlier.least_digest == earlier.greatest_digest == digest,
    }


def _of_session(workspace_id: str, token: str) -> tuple[ColumnElement[bool], ...]:
    return (inbox_requests.c.workspace_id == workspace_id, inbox_requests.c.token == token)


def _request(row: RowMapping) -> InboxRequest:
    headers = tuple((name, value) for name, value in row["headers"])
    return InboxRequest(**{**row, "headers": headers, "answer": Answer(**row["answer"])})


def _json(body: bytes) -> Any | None:
    try:
        return loads(body)
    except BadJson:
        return None


def _searched(path: str, headers: Sequence[tuple[str, str]], body: bytes) -> str:
    beginning = body[:MOST_SEARCHED_BYTES].decode("utf-8", "replace")
    lines = [path, *(f"{name}: {value}" for name, value in headers), beginning]
    return _folded("\n".join(lines))


def _folded(text: str) -> str:
    return _text(text).casefold()


def _webhook_key(webhook_id: str | None) -> str | None:
    if webhook_id is None or len(webhook_id) <= _LONGEST_WEBHOOK_ID:
        return _storable(webhook_id)
    digest = hashlib.sha256(webhook_id.encode("utf-8", "surrogatepass")).hexdigest()
    return f"sha256:{digest}"


def _shown(name: str, value: str) -> str:
    if name.lower() not in _SECRET_HEADERS:
        return _text(value)
    scheme, space, _ = value.partition(" ")
    return f"{_text(scheme)} {MASK}" if space and name.lower() != "cookie" else MASK


def _text(text: str) -> str:
    """PostgreSQL keeps neither NUL nor half a surrogate pair, and a path may hold both."""
    return text.replace("\x00", "\ufffd").encode("utf-8", "replace").decode()


def _storable(text: str | None) -> str | None:
    return None if text is None else _text(text)


OLD_REQUESTS: Final = OldRows(inbox_requests, came_at_ms=inbox_requests.c.received_at_ms)
"""Requests of all sessions."""

_COLUMNS: Final = tuple(
    column
    for column in inbox_requests.c
    if column.name not in {"body_digest", "searched", "event_type", "event_name", "mpid"}
)
_INSERT: Final = insert(inbox_requests).returning(*_COLUMNS)

_THIS_SESSION: Final = (
    inbox_requests.c.workspace_id == bindparam("of_workspace"),
    inbox_requests.c.token == bindparam("of_token"),
)
_EARLIER: Final = select(
    func.max(inbox_requests.c.attempt).label("last"),
    func.min(inbox_requests.c.body_digest).label("least_digest"),
    func.max(inbox_requests.c.body_digest).label("greatest_digest"),
).where(*_THIS_SESSION, inbox_requests.c.webhook_id == bindparam("of_webhook_id"))

_OLDEST_KEPT: Final = (
    select(inbox_requests.c.id)
    .where(*_THIS_SESSION)
    .order_by(inbox_requests.c.id.desc())
    .offset(MOST_KEPT)
    .limit(1)
    .scalar_subquery()
)
_PRUNE: Final = delete(inbox_requests).where(*_THIS_SESSION, inbox_requests.c.id <= _OLDEST_KEPT)
