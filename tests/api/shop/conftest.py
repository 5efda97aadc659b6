"""What the tests of the shop with a database share."""

import pytest

from higgs_shop.database import Database
from higgs_shop.shop import shipped_catalog
from tests.api.shop.shopper import Shopper


@pytest.fixture
def shopper(database: Database) -> Shopper:
    """A visitor nobody knows, in a workspace of their own."""
    return Shopper(database, shipped_catalog())
