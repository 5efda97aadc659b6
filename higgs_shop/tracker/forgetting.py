"""Forgetting events that came long ago and have gone everywhere they were to go, and their batches."""

from typing import Final

from sqlalchemy import and_, exists, func, or_

from higgs_shop.old_rows import OldRows
from higgs_shop.tables import batches, events, gathered_events, message_events, messages

_ITS_BATCH: Final = and_(
    batches.c.id == events.c.batch_id, batches.c.workspace_id == events.c.workspace_id
)

OLD_EVENTS: Final = OldRows(
    events,
    source=events.outerjoin(batches, _ITS_BATCH),
    # A client may say that something happened at any time.
    came_at_ms=func.coalesce(batches.c.received_at_ms, events.c.logged_at_ms),
    is_needed=or_(
        # It waits for its person: the identity service has not answered.
        events.c.mpid.is_(None),
        *(
            exists().where(
                table.c.workspace_id == events.c.workspace_id, table.c.event_id == events.c.id
            )
            for table in (messages, message_events, gathered_events)
        ),
    ),
)
"""Events of which no message is left, and none is to come."""

OLD_BATCHES: Final = OldRows(
    batches,
    came_at_ms=batches.c.received_at_ms,
    is_needed=exists().where(
        events.c.workspace_id == batches.c.workspace_id, events.c.batch_id == batches.c.id
    ),
)
"""Batches of which no event is left."""
