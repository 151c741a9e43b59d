"""The schema and its migrations."""

from __future__ import annotations

from pathlib import Path

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

import entrepot.db.migrate
from entrepot.app import App
from entrepot.db.accessschema import tokens
from entrepot.db.migrate import versions


def test_migrations_are_known_by_their_names(app: App) -> None:
    """What the start reads from file names is what Alembic reads from the files."""
    folder = Path(entrepot.db.migrate.__file__).parent / "migrations"
    assert versions(app.db) == (ScriptDirectory(str(folder)).get_current_head(),) * 2


def test_migrations_make_the_schema(app: App) -> None:
    """The migrations, one after the other, make the tables that the program works with."""
    with app.db.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"include_name": _is_ours})
        assert compare_metadata(context, tokens.metadata) == []


def _is_ours(name: str | None, kind: str, _: object) -> bool:
    return kind != "table" or name in tokens.metadata.tables
