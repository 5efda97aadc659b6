"""What leaves the store, signed with an old and a new secret: others verify it, byte for byte."""

import random

import pytest

from higgs_shop.database import Database
from tests.reliability.faults.signatures import verify

BODIES = 50


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_random_bodies_hold_with_either_secret_and_not_with_a_byte_changed(
    database: Database, dice: random.Random
) -> None:
    outcome = verify(database, bodies=BODIES, chance=dice)
    assert outcome.is_sound, outcome
