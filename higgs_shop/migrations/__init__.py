"""Brings a database to the shape that this release wants. Run at every start; nothing to do is quick."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import text

from higgs_shop.database import Database

# Any number will do, as long as it is always the same: several processes may start at once.
_UPGRADE_LOCK = 4_711_125


def upgrade(database: Database) -> None:
    """Create the tables, or carry an older store's data over. One transaction, or none."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    with database.write() as connection:
        if not database.is_sqlite:
            connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _UPGRADE_LOCK})
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
