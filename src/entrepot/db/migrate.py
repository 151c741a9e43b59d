"""The schema's version: Alembic migrations that ship inside the package."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect

from entrepot.core.errors import SchemaMismatch
from entrepot.db.engine import Database

_FOLDER = Path(__file__).parent / "migrations"


def prepare(db: Database) -> None:
    """Tables for an empty database; newer ones for an older embedded one.

    Raises:
        SchemaMismatch: a PostgreSQL database of an older version (other nodes may use it), or any of a newer one.
    """
    before, head = versions(db)
    if before == head:
        return
    if before is not None and before not in _known():
        raise SchemaMismatch(
            f"the database has schema {before}, which this version of Entrepot does not know",
            hint="run the version of Entrepot that made it, or a newer one",
        )
    if before is not None and not db.is_sqlite:
        raise SchemaMismatch(f"the database has schema {before} instead of {head}", hint="run `entrepot migrate`")
    upgrade(db)


def upgrade(db: Database) -> tuple[str | None, str]:
    """Run all missing migrations in one transaction; (version before, version after)."""
    with db.write() as connection:
        before = _current(connection)
        command.upgrade(_config(connection), "head")
    return before, _head()


def versions(db: Database) -> tuple[str | None, str]:
    """The database's version (None if it has no tables) and the newest that this program knows."""
    with db.read() as connection:
        return _current(connection), _head()


def _current(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    return MigrationContext.configure(connection).get_current_revision()


def _head() -> str:
    return ScriptDirectory(str(_FOLDER)).get_current_head() or ""


def _known() -> set[str]:
    return {script.revision for script in ScriptDirectory(str(_FOLDER)).walk_revisions()}


def _config(connection: Connection) -> Config:
    config = Config()
    config.set_main_option("script_location", str(_FOLDER).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    return config
