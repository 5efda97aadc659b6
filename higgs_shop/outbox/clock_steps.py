"""What becomes of dates that lie ahead when the clock is set back: nothing waits longer than it may."""

import logging
from collections.abc import Sequence
from typing import Final

from sqlalchemy import BigInteger, ColumnElement, bindparam, case, select, update

from higgs_shop.database import Database
from higgs_shop.outbox.mailboxes import IS_WAITING, LeaseClock, MailboxKey, hold_mailbox, set_due
from higgs_shop.tables import mailboxes, messages

_AT_ONCE: Final = 500
_SMALLEST_STEP_MS: Final = 5_000

_logger = logging.getLogger(__name__)


class ClockSteps:
    """Notices that the clock was set back, and brings dates nearer that were made before.

    It looks through the mailboxes once when it starts, since the clock may have been set back before,
    and then whenever it sees an earlier time than the last. A step forward needs nothing: what waits
    comes due sooner. Nor does a step back of five seconds: others write dates while this one looks, by a
    clock that has gone on meanwhile.

    Args:
        clock: the time of leases, and of what is due.
        lease_ms: how long a lease lasts.
        longest_waits_ms: the longest wait behind a message's first failed attempt, its second, and so on.
    """

    def __init__(
        self,
        database: Database,
        *,
        clock: LeaseClock,
        lease_ms: int,
        longest_waits_ms: Sequence[int],
    ) -> None:
        self._database = database
        self._clock = clock
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
        self._seen_ms: int | None = None

    def look(self) -> int:
        """Bring dates back, if there may be a reason. Returns: how many. Raises: DatabaseBusy."""
        with self._database.read() as connection:
            now_ms = self._clock(connection)
        may_lie_ahead = self._seen_ms is None or now_ms < self._seen_ms
        brought_back = self._bring_back(now_ms) if may_lie_ahead else 0
        self._seen_ms = now_ms
        return brought_back

    def _bring_back(self, now_ms: int) -> int:
        with self._database.write() as connection:
            until_ms = now_ms + self._lease_ms
            leases = connection.execute(
                _SHORTEN_LEASES, {"until_ms": until_ms, "ahead_ms": until_ms + _SMALLEST_STEP_MS}
            ).rowcount
        mailboxes_found = 0
        with self._database.read() as connection:
            streaming = connection.execution_options(yield_per=_AT_ONCE)
            ahead_ms = now_ms + _SMALLEST_STEP_MS
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
