"""Carries alias requests out, whose time has come: the work between profiles, events and the outbox."""

import json
from collections.abc import Callable
from functools import partial
from typing import Any

from sqlalchemy import Connection

from higgs_shop import outbox
from higgs_shop.clock import Clock
from higgs_shop.database import Database
from higgs_shop.idsync_service import aliases
from higgs_shop.idsync_service.aliases import Alias
from higgs_shop.outputs import outputs_of
from higgs_shop.tracker import copy_events
from higgs_shop.workspaces import hold_workspace


class Aliasing:
    """Copies events, moves the first-seen date, and tells the outputs that want to know.

    Args:
        on_messages: called after a transaction that may have put one into the outbox.
    """

    def __init__(
        self,
        database: Database,
        *,
        clock: Clock,
        on_messages: Callable[[], None],
    ) -> None:
        self._database = database
        self._clock = clock
        self._on_messages = on_messages

    def carry_out_due(self) -> int:
        """The background worker's round: each request in a transaction of its own. Returns how many."""
        done = 0
        while self._carry_out_next():
            done += 1
        return done

    def _carry_out_next(self) -> bool:
        with self._database.read() as connection:
            due = aliases.next_due(connection, self._clock())
        if due is None:
            return False
        with self._database.write() as connection:
            hold_workspace(connection, due.workspace_id)
            now_ms = self._clock()
            alias = aliases.next_due(connection, now_ms)
            if alias is None:
                return False
            # Somebody else may have taken it meanwhile.
            if alias.workspace_id == due.workspace_id:
                self._carry_out(connection, alias, now_ms)
        self._on_messages()
        return True

    def _carry_out(self, connection: Connection, alias: Alias, now_ms: int) -> None:
        copied_events = copy_events(
            connection,
            alias.workspace_id,
            source_mpid=alias.source_mpid,
            destination_mpid=alias.destination_mpid,
            start_ms=alias.start_ms,
            end_ms=alias.end_ms,
            device_stamp=alias.device_stamp,
        )
        aliases.close(connection, alias, copied_events=copied_events, now_ms=now_ms)
        for output in outputs_of(connection, alias.workspace_id):
            if output.settings.is_active and output.settings.send_alias_requests:
                outbox.enqueue(
                    connection,
                    workspace_id=alias.workspace_id,
                    output_id=output.id,
                    mpid=alias.destination_mpid,
                    drafts=[outbox.Draft(None, partial(_body, alias.request))],
                    now_ms=now_ms,
                    dead_because=outbox.BACKLOG_IS_FULL if output.is_full else None,
                )


def _body(request: Any, sequence: int, _webhook_id: str) -> bytes:
    """The request as a client sends it, mParticle documents no other shape; and its place in the order."""
    numbered = {**request, "context": {"mpid_sequence": sequence}}
    return json.dumps(numbered, ensure_ascii=False, separators=(",", ":")).encode()
