"""The record of every decision: what was asked, what was answered, and by which rules, step by step.

It answers "why this MPID?", and a repeated request: who lost a reply asks for the same under the same
request id again, at a later time, and gets the same answer without anything happening twice.
"""

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, bindparam, insert, select
from sqlalchemy.dialects import postgresql, sqlite

from higgs_shop.idsync_service.profiles import Profile
from higgs_shop.prepared import Prepared
from higgs_shop.tables import decision_profiles, identity_decisions

_DIGEST_BYTES: Final = 16
MAX_LISTED: Final = 20
"""Bounds a record: a device in a shop window may have thousands of anonymous profiles."""


@dataclass(frozen=True, slots=True)
class Step:
    """One rule that was applied, in plain words.

    Attributes:
        rule: a stable snake_case id.
        text: a sentence about this very case.
        identity_type: the type that it is about, if it is about one.
        profiles: those it is about.
    """

    rule: str
    text: str
    identity_type: str | None = None
    profiles: Collection[Profile] = ()

    def as_json(self) -> dict[str, Any]:
        """The stored shape; MPIDs are strings, since scripts lose the last digits of numbers."""
        members: dict[str, Any] = {"rule": self.rule, "text": self.text}
        if self.identity_type is not None:
            members["identity_type"] = self.identity_type
        if self.profiles:
            members["mpids"] = [str(profile.mpid) for profile in self.profiles][:MAX_LISTED]
        return members


def listed(profiles: Collection[Profile]) -> str:
    """Profiles as words: `profile 12`, `profiles 12, 13 and 7 more`."""
    mpids = [str(profile.mpid) for profile in profiles]
    noun = "profile" if len(mpids) == 1 else "profiles"
    more = f" and {len(mpids) - MAX_LISTED} more" if len(mpids) > MAX_LISTED else ""
    return f"{noun} {', '.join(mpids[:MAX_LISTED])}{more}"


@dataclass(frozen=True, slots=True)
class Call:
    """One identity call as it is remembered.

    Attributes:
        action: identify, login, logout or modify.
        digest: of everything that makes two calls the same, see `digest_of`.
        request: what of the body is kept.
    """

    action: str
    request_id: str | None
    digest: str
    request: Mapping[str, Any]
    previous_mpid: int | None


def digest_of(action: str, mpid: str, asked: bytes) -> str:
    """Equal for two calls exactly when they ask for the same (modify names an MPID in its path)."""
    content = f"{action}\n{mpid}\n".encode("utf-8", "replace") + asked
    return hashlib.blake2b(content, digest_size=_DIGEST_BYTES).hexdigest()


_RECORD_OF_REPEATED: Final = (
    select(identity_decisions.c.record)
    .where(
        identity_decisions.c.workspace_id == bindparam("workspace_id"),
        identity_decisions.c.request_id == bindparam("request_id"),
        identity_decisions.c.request_digest == bindparam("request_digest"),
    )
    .limit(1)
)
_STATEMENTS: Final = {
    dialect.__name__.rpartition(".")[2]: dialect.insert(identity_decisions)
    .inline()
    .on_conflict_do_nothing()
    for dialect in (sqlite, postgresql)
}
_STORE: Final = {dialect: Prepared(statement) for dialect, statement in _STATEMENTS.items()}
_STORE_AND_NAME: Final = {
    dialect: statement.returning(identity_decisions.c.id)
    for dialect, statement in _STATEMENTS.items()
}
_STORE_LOSERS: Final = insert(decision_profiles)


class Repeated(Exception):
    """The same call, with the same request id, was answered before."""


def answer_of_repeated(
    connection: Connection, workspace_id: str, call: Call
) -> dict[str, Any] | None:
    """What the same call was answered before, or None when it is new."""
    record = connection.execute(
        _RECORD_OF_REPEATED,
        {
            "workspace_id": workspace_id,
            "request_id": call.request_id,
            "request_digest": call.digest,
        },
    ).scalar()
    if record is None:
        return None
    answer: dict[str, Any] = record["answer"]
    return answer


def store(
    connection: Connection,
    workspace_id: str,
    call: Call,
    *,
    strategy: str | None,
    mpid: int,
    answer: Mapping[str, Any],
    steps: Sequence[Step],
    losers: Collection[Profile],
    decided_at_ms: int,
) -> None:
    """Write a decision down, with the answer that is about to be given.

    Args:
        strategy: by which it was decided; None where none had a say.
        losers: other profiles from which identities were taken away. It is part of how they came to
            be, too.
    Raises: Repeated; nothing of this transaction may then be kept.
    """
    values = {
        "workspace_id": workspace_id,
        "action": call.action,
        "request_id": call.request_id,
        "request_digest": call.digest,
        "previous_mpid": call.previous_mpid,
        "mpid": mpid,
        "record": {
            "strategy": strategy,
            "request": call.request,
            "answer": answer,
            "steps": [step.as_json() for step in steps],
        },
        "decided_at_ms": decided_at_ms,
    }
    if losers:
        decision_id = connection.execute(_STORE_AND_NAME[connection.dialect.name], values).scalar()
        if decision_id is None:
            raise Repeated
        connection.execute(
            _STORE_LOSERS,
            [
                {"workspace_id": workspace_id, "mpid": loser.mpid, "decision_id": decision_id}
                for loser in losers
            ],
        )
    elif _STORE[connection.dialect.name].write(connection, values) == 0:
        raise Repeated
