"""Forgetting what was delivered or given up long ago, with its attempts. What waits is never forgotten."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from sqlalchemy import and_, bindparam, exists, select

from higgs_shop.database import Database
from higgs_shop.old_rows import OldRows, removing
from higgs_shop.tables import messages, outputs, replays

# What one write transaction is about: a page that wants to write waits for no more than this.
_AT_ONCE: Final = 25


@dataclass(frozen=True, slots=True)
class Forgotten:
    """What one step has forgotten.

    Attributes:
        messages: how many.
        dead: of how many of them a receiver never had: workspace and output by name, one for each.
    """

    messages: int
    dead: tuple[tuple[str, str], ...]


def forget_closed(database: Database, before_ms: int) -> Iterator[Forgotten]:
    """Forget messages that were delivered or given up before that moment, first those that were first.

    Mailboxes stay: sequence numbers go on where they were. Nothing is held between two steps.
    Raises: DatabaseError.
    """
    while True:
        with database.read() as connection:
            found = connection.execute(_CLOSED, {"before_ms": before_ms}).all()
        if not found:
            return
        with database.write() as connection:
            # Some may wait again meanwhile, or are being made to.
            ids = [row.id for row in found]
            gone = set(connection.scalars(_FORGET, {"ids": ids, "before_ms": before_ms}))
        if not gone:
            return
        dead = [row for row in found if row.state == "dead" and row.id in gone]
        yield Forgotten(len(gone), tuple((row.workspace_id, row.name) for row in dead))


OLD_REPLAYS: Final = OldRows(
    replays,
    came_at_ms=replays.c.started_at_ms,
    is_needed=exists().where(
        messages.c.workspace_id == replays.c.workspace_id, messages.c.replay_id == replays.c.id
    ),
)
"""Replays of which no message is left."""

_is_old: Final = messages.c.closed_at_ms < bindparam("before_ms")
_CLOSED: Final = (
    select(messages.c.id, messages.c.state, messages.c.workspace_id, outputs.c.name)
    .join_from(
        messages,
        outputs,
        and_(
            outputs.c.workspace_id == messages.c.workspace_id, outputs.c.id == messages.c.output_id
        ),
    )
    .where(_is_old)
    .order_by(messages.c.closed_at_ms)
    .limit(_AT_ONCE)
)
_FORGET: Final = removing(messages, _is_old).returning(messages.c.id)
