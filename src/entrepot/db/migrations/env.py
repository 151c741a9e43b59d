"""Alembic's entry: runs the migrations on the connection that `entrepot.db.migrate` hands over."""

from alembic import context

from entrepot.db.accessschema import tokens
from entrepot.db.usageschema import downloads  # noqa: F401 - joins the metadata

context.configure(
    connection=context.config.attributes["connection"], target_metadata=tokens.metadata, transactional_ddl=False
)
context.run_migrations()
