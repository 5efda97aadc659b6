"""How far ahead the dates of messages and leases may lie, whatever became of the clock."""

import logging
from collections.abc import Sequence
from typing import Final

from sqlalchemy import BigInteger, ColumnElement, bindparam, case, select, update

from higgs_shop.clock_steps import SMALLEST_STEP_MS
from higgs_shop.database import Database
from higgs_shop.outbox.mailboxes import IS_WAITING, MailboxKey, hold_mailbox, set_due
from higgs_shop.tables import mailboxes, messages

_AT_ONCE: Final = 500

_logger = logging.getLogger(__name__)


class Waits:
    """Brings dates nearer that lie further ahead than any wait, since the clock was set back.

    Args:
        lease_ms: how long a lease lasts.
        longest_waits_ms: the longest wait behind a message's first failed attempt, its second, and so on.
    """

    def __init__(
        self, database: Database, *, lease_ms: int, longest_waits_ms: Sequence[int]
    ) -> None:
        self._database = database
        self._lease_ms = lease_ms
        longest_wait = _longest_wait(longest_waits_ms)
        of_its_first = (
            select(longest_wait)
            .where(
                messages.c.workspace_id == mailboxes.c.workspace_id,
                messages.c.output_id == mailboxes.c.output_id,
                messages.c.mpid == mailboxes.c.mpid,
                IS_WAITING,
            )
            .order_by(messages.c.sequence)
            .limit(1)
            .correlate(mailboxes)
            .scalar_subquery()
        )
        self._too_far_ahead = select(
            mailboxes.c.workspace_id, mailboxes.c.output_id, mailboxes.c.mpid
        ).where(_ahead_ms < mailboxes.c.due_at_ms, _ahead_ms + of_its_first < mailboxes.c.due_at_ms)
        self._shorten_waits = (
            update(messages)
            .where(
                messages.c.workspace_id == bindparam("of_workspace"),
                messages.c.output_id == bindparam("of_output"),
                messages.c.mpid == bindparam("of_mpid"),
                IS_WAITING,
                _now_ms + longest_wait < messages.c.next_attempt_ms,
            )
            .values(next_attempt_ms=_now_ms + longest_wait)
        )

    def bring_back(self, now_ms: int) -> int:
        """Look through all mailboxes.

        Args:
            now_ms: the time of leases, and of what is due.
        Returns: how many dates were brought back. Raises: DatabaseBusy.
        """
        with self._database.write() as connection:
            until_ms = now_ms + self._lease_ms
            leases = connection.execute(
                _SHORTEN_LEASES, {"until_ms": until_ms, "ahead_ms": until_ms + SMALLEST_STEP_MS}
            ).rowcount
        mailboxes_found = 0
        with self._database.read() as connection:
            streaming = connection.execution_options(yield_per=_AT_ONCE)
            ahead_ms = now_ms + SMALLEST_STEP_MS
            for key in streaming.execute(self._too_far_ahead, {"ahead_ms": ahead_ms}):
                self._correct(MailboxKey(*key), now_ms)
                mailboxes_found += 1
        if leases or mailboxes_found:
            _logger.warning(
                "the clock was set back, or waits are shorter now than they were: %d mailboxes are "
                "due sooner, and %d leases end sooner",
                mailboxes_found,
                leases,
            )
        return leases + mailboxes_found

    def _correct(self, key: MailboxKey, now_ms: int) -> None:
        with self._database.write() as connection:
            if hold_mailbox(connection, key):
                connection.execute(self._shorten_waits, {**key.bound(), "now_ms": now_ms})
                set_due(connection, [key], now_ms)


def _longest_wait(longest_waits_ms: Sequence[int]) -> ColumnElement[int]:
    """How long a message may wait at most, by the attempts since it was made or last replayed."""
    made = messages.c.attempts - messages.c.attempts_before
    return case(dict(enumerate([0, *longest_waits_ms])), value=made, else_=max(longest_waits_ms))


_now_ms: Final = bindparam("now_ms", type_=BigInteger())
_ahead_ms: Final = bindparam("ahead_ms", type_=BigInteger())

_SHORTEN_LEASES: Final = (
    update(mailboxes)
    .where(_ahead_ms < mailboxes.c.lease_until_ms)
    .values(lease_until_ms=bindparam("until_ms", type_=BigInteger()))
)
