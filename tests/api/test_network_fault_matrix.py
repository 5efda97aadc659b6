"""A real forwarder against receivers and lines that misbehave: whatever they do, nothing is lost."""

import pytest

from higgs_shop.database import Database
from tests.reliability.faults.network import FAULTS, Fault, endure

EVENTS = 10
DEADLINE_SECONDS = 0.3
DRIP_SECONDS = 0.02


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_nothing_is_lost_once_the_fault_is_gone(database: Database, fault: Fault) -> None:
    """All arrive, in order, the same however often; no sender has died, no impostor was told anything."""
    outcome = endure(
        fault,
        database,
        events=EVENTS,
        deadline_seconds=DEADLINE_SECONDS,
        drip_seconds=DRIP_SECONDS,
    )
    assert outcome.is_sound, outcome
