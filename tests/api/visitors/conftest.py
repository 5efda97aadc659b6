"""A store whose identity service stands behind a line on which things go wrong."""

from pathlib import Path

import pytest

from tests.api.conftest import OpenStore, Store
from tests.api.visitors.troubled_identity import TroubledIdentity

PATIENCE_SECONDS = 60.0
"""A page's budget that no slow machine ever uses up: how many calls a page makes is not left to it."""


@pytest.fixture
def identity() -> TroubledIdentity:
    return TroubledIdentity()


@pytest.fixture
def store(
    open_store: OpenStore, identity: TroubledIdentity, database_url: str, tmp_path: Path
) -> Store:
    """On each kind of database."""
    opened = open_store(
        identity_transport=identity,
        database_url=database_url,
        instance=tmp_path,
        identity_budget_seconds=PATIENCE_SECONDS,
    )
    identity.reach(opened.parts.embedded_service)
    return opened
