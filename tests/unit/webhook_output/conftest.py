"""Chance, for tests that want many cases."""

import random
import secrets

import pytest


@pytest.fixture
def dice() -> random.Random:
    """Random numbers of a seed that is shown when the test fails."""
    seed = secrets.randbelow(2**32)
    print(f"seed {seed}")  # noqa: T201 (pytest keeps it for the report)
    return random.Random(seed)
