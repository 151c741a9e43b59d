"""The schema's version: Alembic migrations that ship inside the package, `m<revision>_<what>.py`.

Alembic is loaded only where there is something to migrate: it would be a third of the server's start.
"""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection, inspect, text

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
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_FOLDER).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    with db.write() as connection:
        before = _current(connection)
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
    return before, _head()


def versions(db: Database) -> tuple[str | None, str]:
    """The database's version (None if it has no tables) and the newest that this program knows."""
    with db.read() as connection:
        return _current(connection), _head()


def _current(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    version: str | None = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    return version


def _head() -> str:
    return max(_known())


def _known() -> set[str]:
    return {script.stem[1:].partition("_")[0] for script in (_FOLDER / "versions").glob("m[0-9]*.py")}
