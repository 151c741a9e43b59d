"""The index entries of very many files at once, whichever these are."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import Connection, select

from entrepot.db import bulk
from entrepot.db.schema import files


def of(connection: Connection, file_ids: Collection[int]) -> dict[int, str | None]:
    """File id -> `File.fields`, in one statement with one parameter."""
    query = select(files.c.id, files.c.fields).where(bulk.among_ids(connection, files.c.id, file_ids))
    return dict(bulk.rows(connection, query))
