"""What could not be taken in, kept for people to look at: why, and every byte of it."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from sqlalchemy import Connection, bindparam, delete, select

from higgs_shop.intake.checking import Checked
from higgs_shop.old_rows import OldRows
from higgs_shop.tables import quarantined_batches
from higgs_shop.tracker import Channel
from higgs_shop.upsert import upserting

MOST_KEPT: Final = 500
"""Older ones of the same workspace are dropped."""


@dataclass(frozen=True)
class Quarantined:
    """A body that was not taken in, or not all of it.

    Attributes:
        faults: a sentence for each thing that is wrong.
        kept_events: how many of its events were sound, and are stored.
        channel, received_at_ms: how and when it came first.
        times, last_channel, last_received_at_ms: how often it came, and how and when last.
    """

    id: int
    channel: str
    faults: Sequence[str]
    kept_events: int
    body: bytes = field(repr=False)
    received_at_ms: int
    times: int
    last_channel: str
    last_received_at_ms: int

    @property
    def body_text(self) -> str:
        """The body for people to read; what is not UTF-8 shows as U+FFFD."""
        return self.body.decode("utf-8", "replace")


def keep(
    connection: Connection, workspace_id: str, checked: Checked, channel: Channel, now_ms: int
) -> None:
    """Keep what is wrong. The same body again, which clients do send, is kept once, and counted."""
    row = {
        "workspace_id": workspace_id,
        "body_digest": hashlib.sha256(checked.body).hexdigest(),
        "channel": channel,
        "faults": list(checked.faults),
        "kept_events": 0 if checked.sound is None else len(checked.sound.events),
        "body": checked.body,
        "received_at_ms": now_ms,
        "times": 1,
        "last_channel": channel,
        "last_received_at_ms": now_ms,
    }
    keeping = upserting(connection, quarantined_batches)
    again = keeping.on_conflict_do_update(
        index_elements=[quarantined_batches.c.workspace_id, quarantined_batches.c.body_digest],
        set_={
            "times": quarantined_batches.c.times + 1,
            "last_channel": keeping.excluded.last_channel,
            "last_received_at_ms": keeping.excluded.last_received_at_ms,
        },
    )
    connection.execute(again, row)
    connection.execute(_PRUNE, {"of_workspace": workspace_id})


def newest(
    connection: Connection, workspace_id: str, *, before_id: int | None = None, most: int
) -> list[Quarantined]:
    """Newest first; with `before_id`, those before that one."""
    values = {
        "of_workspace": workspace_id,
        "before_id": 2**63 - 1 if before_id is None else before_id,
        "most": most,
    }
    return [Quarantined(**row._mapping) for row in connection.execute(_NEWEST, values)]


OLD_QUARANTINED: Final = OldRows(
    quarantined_batches, came_at_ms=quarantined_batches.c.last_received_at_ms
)
"""What did not come again either."""

_NEWEST: Final = (
    select(
        quarantined_batches.c.id,
        quarantined_batches.c.channel,
        quarantined_batches.c.faults,
        quarantined_batches.c.kept_events,
        quarantined_batches.c.body,
        quarantined_batches.c.received_at_ms,
        quarantined_batches.c.times,
        quarantined_batches.c.last_channel,
        quarantined_batches.c.last_received_at_ms,
    )
    .where(
        quarantined_batches.c.workspace_id == bindparam("of_workspace"),
        quarantined_batches.c.id < bindparam("before_id"),
    )
    .order_by(quarantined_batches.c.id.desc())
    .limit(bindparam("most"))
)
_OLDEST_KEPT: Final = (
    select(quarantined_batches.c.id)
    .where(quarantined_batches.c.workspace_id == bindparam("of_workspace"))
    .order_by(quarantined_batches.c.id.desc())
    .offset(MOST_KEPT)
    .limit(1)
    .scalar_subquery()
)
_PRUNE: Final = delete(quarantined_batches).where(
    quarantined_batches.c.workspace_id == bindparam("of_workspace"),
    quarantined_batches.c.id <= _OLDEST_KEPT,
)
