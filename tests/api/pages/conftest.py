"""Every page on each kind of database."""

from pathlib import Path

import pytest

from tests.api.conftest import OpenStore, Store


@pytest.fixture
def store(open_store: OpenStore, database_url: str, tmp_path: Path) -> Store:
    return open_store(database_url=database_url, instance=tmp_path)
