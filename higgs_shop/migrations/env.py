"""Alembic's way in: uses the connection that `upgrade` holds open."""

from alembic import context

from higgs_shop.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
context.run_migrations()
