"""Sessions: addresses to post to, each with its own requests, dial and secret to check with.

The store's own session, to which its webhook output posts unless told otherwise, is there even before
its row is. A caller's write transaction surrounds whatever changes something: what raises has written
nothing.
"""

import re
import secrets
from dataclasses import dataclass, field, replace
from typing import Any, Final

from sqlalchemy import Connection, Row, Select, bindparam, delete, func, select, update

from higgs_shop.inbox.dial import Answer, Dial
from higgs_shop.inbox.errors import NoSuchSession, OwnSession, TooManySessions
from higgs_shop.tables import inbox_requests, inbox_sessions
from higgs_shop.upsert import insert_or_ignore

MOST_SESSIONS: Final = 100
"""In one workspace, besides the store's own."""

MOST_NAME_CHARACTERS: Final = 80

# Whatever stands in an address is asked for; a database cannot even be asked for some of it.
_TOKEN: Final = re.compile(r"[0-9A-Za-z_-]{1,100}", re.ASCII)


@dataclass(frozen=True)
class InboxSession:
    """One address.

    Attributes:
        token: the last part of the address; who knows it may post.
        signing_secret: what signatures are checked with; None: the store's own, or nothing.
        created_at_ms: None for the store's own as long as nobody has used it.
    """

    workspace_id: str
    token: str = field(repr=False)
    name: str = ""
    signing_secret: str | None = field(default=None, repr=False)
    dial: Dial = field(default_factory=Dial)
    created_at_ms: int | None = None


def new_token() -> str:
    """A token that nobody can guess."""
    return secrets.token_hex(16)


def add_session(
    connection: Connection, session: InboxSession, *, own_token: str, now_ms: int
) -> None:
    """Make a session. Raises: TooManySessions."""
    others = connection.execute(_COUNT_OTHERS, _named(session.workspace_id, own_token))
    if others.scalar_one() >= MOST_SESSIONS:
        raise TooManySessions(
            f"There are {MOST_SESSIONS} sessions already; remove one that is not needed any more."
        )
    _insert(connection, session, now_ms)


def find_session(
    connection: Connection, workspace_id: str, token: str, *, own_token: str
) -> InboxSession | None:
    """One session, or None; the store's own is always found."""
    row = _row(connection, _ONE, workspace_id, token)
    if row is not None:
        return _session(row)
    return InboxSession(workspace_id, token) if token == own_token else None


def list_sessions(
    connection: Connection, workspace_id: str, *, own_token: str
) -> list[tuple[InboxSession, int]]:
    """All of them with how many requests each has kept, the store's own first, then oldest first."""
    rows = connection.execute(_ALL, {"of_workspace": workspace_id}).all()
    listed = [(_session(row), row.request_count) for row in rows]
    own = [each for each in listed if each[0].token == own_token]
    return [
        *(own or [(InboxSession(workspace_id, own_token), 0)]),
        *(each for each in listed if each[0].token != own_token),
    ]


def claim_session(
    connection: Connection, workspace_id: str, token: str, *, own_token: str, now_ms: int
) -> InboxSession:
    """One session, which nobody else changes or posts to before the transaction ends.

    So requests are numbered in the order in which they are committed, and none is counted twice.

    Raises: NoSuchSession.
    """
    row = _row(connection, _CLAIMED, workspace_id, token)
    if row is None and token == own_token:
        _insert(connection, InboxSession(workspace_id, token), now_ms)
        row = _row(connection, _CLAIMED, workspace_id, token)
    if row is None:
        raise NoSuchSession("There is no such inbox; perhaps somebody has removed it.")
    return _session(row)


def take_answer(connection: Connection, claimed: InboxSession) -> Answer:
    """What the request at hand gets; a dial that counts is one nearer to its end then."""
    if claimed.dial.times:
        turned = claimed.dial.model_copy(update={"times": claimed.dial.times - 1})
        turn_dial(connection, claimed, turned)
    return claimed.dial.answer


def turn_dial(connection: Connection, claimed: InboxSession, dial: Dial) -> None:
    """Answer differently from now on, in every process."""
    _change(connection, claimed, **dial.model_dump())


def change_secret(
    connection: Connection, claimed: InboxSession, signing_secret: str | None, *, own_token: str
) -> None:
    """Check signatures with this from now on, or not at all. Raises: OwnSession."""
    if claimed.token == own_token:
        raise OwnSession("The store's own inbox checks with the secret that the store signs with.")
    _change(connection, claimed, signing_secret=signing_secret)


def remove_session(connection: Connection, claimed: InboxSession, *, own_token: str) -> None:
    """Forget a session and its requests; its address then takes nothing any more. Raises: OwnSession."""
    if claimed.token == own_token:
        raise OwnSession("The store's own inbox stays for as long as the store does.")
    named = _named(claimed.workspace_id, claimed.token)
    connection.execute(_FORGET_REQUESTS, named)
    connection.execute(_FORGET, named)


def _insert(connection: Connection, session: InboxSession, now_ms: int) -> None:
    row = {
        "workspace_id": session.workspace_id,
        "token": session.token,
        "name": session.name,
        "signing_secret": session.signing_secret,
        **session.dial.model_dump(),
        "created_at_ms": now_ms,
    }
    connection.execute(insert_or_ignore(connection, inbox_sessions), row)


def _change(connection: Connection, claimed: InboxSession, **values: Any) -> None:
    connection.execute(
        update(inbox_sessions)
        .where(
            inbox_sessions.c.workspace_id == claimed.workspace_id,
            inbox_sessions.c.token == claimed.token,
        )
        .values(values)
    )


def _row(
    connection: Connection, statement: Select[*tuple[Any, ...]], workspace_id: str, token: str
) -> Row[*tuple[Any, ...]] | None:
    if not _TOKEN.fullmatch(token):
        return None
    return connection.execute(statement, _named(workspace_id, token)).one_or_none()


def _named(workspace_id: str, token: str) -> dict[str, str]:
    return {"of_workspace": workspace_id, "of_token": token}


def _session(row: Row[*tuple[Any, ...]]) -> InboxSession:
    session = InboxSession(
        workspace_id=row.workspace_id,
        token=row.token,
        name=row.name,
        signing_secret=row.signing_secret,
        created_at_ms=row.created_at_ms,
    )
    # What is stored was checked, and what was allowed then stays so.
    return replace(
        session,
        dial=Dial.model_construct(**{name: row._mapping[name] for name in Dial.model_fields}),
    )


_THIS: Final = (
    inbox_sessions.c.workspace_id == bindparam("of_workspace"),
    inbox_sessions.c.token == bindparam("of_token"),
)
_ONE: Final = select(inbox_sessions).where(*_THIS)
_CLAIMED: Final = _ONE.with_for_update()
_ALL: Final = (
    select(
        inbox_sessions,
        select(func.count())
        .where(
            inbox_requests.c.workspace_id == inbox_sessions.c.workspace_id,
            inbox_requests.c.token == inbox_sessions.c.token,
        )
        .scalar_subquery()
        .label("request_count"),
    )
    .where(inbox_sessions.c.workspace_id == bindparam("of_workspace"))
    .order_by(inbox_sessions.c.created_at_ms, inbox_sessions.c.token)
    # Two that are added at once on PostgreSQL may both be the last one.
    .limit(2 * MOST_SESSIONS)
)
_COUNT_OTHERS: Final = select(func.count()).where(
    inbox_sessions.c.workspace_id == bindparam("of_workspace"),
    inbox_sessions.c.token != bindparam("of_token"),
)
_FORGET: Final = delete(inbox_sessions).where(*_THIS)
_FORGET_REQUESTS: Final = delete(inbox_requests).where(
    inbox_requests.c.workspace_id == bindparam("of_workspace"),
    inbox_requests.c.token == bindparam("of_token"),
)
