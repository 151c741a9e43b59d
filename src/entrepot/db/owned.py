"""What a source of our own shows now, as an operation that changes it has to know it."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import Connection, select

from entrepot.core.model import FOREVER, File, Listed, PackageName, Source
from entrepot.db import bulk
from entrepot.db.listings import FILE_COLUMNS
from entrepot.db.schema import STATUSES, files, visibility


def visible_now(
    connection: Connection, source: Source, packages: Collection[PackageName], *, names: Collection[str] | None = None
) -> list[Listed]:
    """The visible files of some packages, of each in the order in which they came; those with certain `names` alone.

    Only inside `Database.write`, or they may be others by the time that they are used.
    """
    query = (
        select(*FILE_COLUMNS, visibility.c.status)
        .join(visibility, files.c.id == visibility.c.file_id)
        .where(
            files.c.source_id == source.id,
            bulk.among(connection, files.c.package, packages),
            visibility.c.until == FOREVER,
        )
    )
    if names is not None:
        query = query.where(bulk.among(connection, files.c.name, names))
    rows = sorted(bulk.rows(connection, query))
    return [Listed(File._make(row[:-1]), STATUSES[row[-1]]) for row in rows]
