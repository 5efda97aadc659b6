"""One-time form tokens: the same form sent twice does its work once.

A double click, two tabs, a reload or the back button send a form again; the second time nothing
happens but the same answer. Kept with the visit, in the transaction that does the work.
"""

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, select, update

from higgs_shop.tables import form_submissions
from higgs_shop.upsert import insert_or_ignore

# What is typed there is compared and thrown away; not even its digest is kept.
_NEVER_KEPT: Final = frozenset({"password", "card_number", "expiry", "cvc", "csrf_token"})
_TOKEN: Final = re.compile(r"[0-9a-zA-Z_-]{16,64}", re.ASCII)


class SubmissionError(ValueError):
    """A form that cannot be taken as it is."""


class FormTokenMissing(SubmissionError):
    """The form carries no one-time token, or something that cannot be one. Load the page again."""


class FormChanged(SubmissionError):
    """A form that was already sent comes again with other values. Load the page again."""


@dataclass(frozen=True)
class Submission:
    """Whether this form is new, and where its answer leads."""

    token: str
    is_new: bool
    location: str


def accept(
    connection: Connection,
    workspace_id: str,
    visit_id: int,
    *,
    fields: Iterable[tuple[str, str]],
    location: str,
    now_ms: int,
) -> Submission:
    """Take a form, in the transaction that will do its work.

    Raises: FormTokenMissing; FormChanged when the token was used with other values.
    """
    fields = list(fields)
    token = dict(fields).get("form_token", "")
    if not _TOKEN.fullmatch(token):
        raise FormTokenMissing("the form carries no one-time token")
    digest = _digest(fields)
    taken = connection.execute(
        insert_or_ignore(connection, form_submissions).values(
            workspace_id=workspace_id,
            visit_id=visit_id,
            token=token,
            body_digest=digest,
            location=location,
            submitted_at_ms=now_ms,
        )
    )
    if taken.rowcount:
        return Submission(token, is_new=True, location=location)
    before = find(connection, workspace_id, visit_id, token)
    if before is None or before[0] != digest:
        raise FormChanged("this form was sent before, with other values")
    return Submission(token, is_new=False, location=before[1])


def find(
    connection: Connection, workspace_id: str, visit_id: int, token: str
) -> tuple[str, str] | None:
    """The digest and the location of a form that was sent before."""
    row = connection.execute(
        select(form_submissions.c.body_digest, form_submissions.c.location).where(
            form_submissions.c.workspace_id == workspace_id,
            form_submissions.c.visit_id == visit_id,
            form_submissions.c.token == token,
        )
    ).one_or_none()
    return None if row is None else (row.body_digest, row.location)


def set_location(
    connection: Connection, workspace_id: str, visit_id: int, token: str, location: str
) -> None:
    """The answer leads somewhere that was not known before the work was done."""
    connection.execute(
        update(form_submissions)
        .where(
            form_submissions.c.workspace_id == workspace_id,
            form_submissions.c.visit_id == visit_id,
            form_submissions.c.token == token,
        )
        .values(location=location)
    )


def _digest(fields: list[tuple[str, str]]) -> str:
    kept = sorted((name, value) for name, value in fields if name not in _NEVER_KEPT)
    return hashlib.sha256(repr(kept).encode("utf-8", "surrogatepass")).hexdigest()
