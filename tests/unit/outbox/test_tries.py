"""What is being sent at an output, and what waits for another try, by the clock of leases."""

import pytest

from higgs_shop import outbox
from higgs_shop.database import Database
from higgs_shop.outbox import Tries
from tests import webhook_outputs
from tests.unit.outbox.posting import ADA, BOB, LEASE_MS, NOW_MS, at, failed, fill, must_claim
from tests.webhook_outputs import an_output


def tries(database: Database, *, now_ms: int, name: str = "webhook") -> Tries:
    output = an_output(database, name)
    with database.read() as connection:
        return outbox.tries_at(connection, output, now_ms)


def lease_time(database: Database) -> int:
    """PostgreSQL goes by its own time."""
    with database.read() as connection:
        return outbox.mailbox_time(connection, NOW_MS)


def test_what_was_not_tried_waits_for_nothing(database: Database) -> None:
    fill(database, ADA, BOB)
    assert tries(database, now_ms=NOW_MS) == Tries(False, 0, None)


@pytest.mark.parametrize(("claimed_ms_ago", "is_sending"), [(0, True), (LEASE_MS, False)])
def test_a_leased_mailbox_is_being_sent_until_its_lease_ends(
    database: Database, claimed_ms_ago: int, is_sending: bool
) -> None:
    now_ms = lease_time(database)
    fill(database, ADA, ADA, BOB, now_ms=now_ms - LEASE_MS)
    must_claim(database, now_ms=now_ms - claimed_ms_ago)
    assert tries(database, now_ms=now_ms).is_sending is is_sending
    assert not tries(database, now_ms=now_ms, name="other").is_sending


def test_what_failed_is_counted_once_a_person_and_the_first_is_told(database: Database) -> None:
    now_ms = lease_time(database)
    fill(database, ADA, ADA, BOB, now_ms=now_ms)
    for wait_ms in (600_000, 300_000):
        claimed = must_claim(database, now_ms=now_ms)
        attempts = [failed(claimed.messages[0], wait_ms=wait_ms)]
        webhook_outputs.record(database, claimed, attempts, clock=at(now_ms))
    assert tries(database, now_ms=now_ms) == Tries(False, 2, now_ms + 300_000)
    assert tries(database, now_ms=now_ms, name="other") == Tries(False, 0, None)
