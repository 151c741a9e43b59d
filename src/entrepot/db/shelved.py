"""Binary packages of one version in several parts, as fast as that can be looked up: it is part of many requests."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from sqlalchemy import Connection, bindparam, select

from entrepot.core.model import File, PackageName, TransactionId
from entrepot.db.listings import FILE_COLUMNS
from entrepot.db.schema import files, visibility

# Made once: that takes longer than what the database does with it.
_QUERY = (
    select(*FILE_COLUMNS, visibility.c.since, visibility.c.until)
    .join(visibility, files.c.id == visibility.c.file_id)
    .where(
        files.c.source_id.in_(bindparam("parts", expanding=True)),
        files.c.package == bindparam("package"),
        files.c.version == bindparam("version"),
        visibility.c.source_id + 0 == files.c.source_id,
    )
)


class Shelved(NamedTuple):
    """A file and one interval of transactions [since, until) in which its part shows it."""

    file: File
    since: TransactionId
    until: TransactionId


def of_version(connection: Connection, part_ids: Iterable[int], package: PackageName, version: str) -> list[Shelved]:
    """All files that these parts ever showed of a version, by id."""
    values = {"parts": list(part_ids), "package": package, "version": version}
    rows = [tuple(row) for row in connection.execute(_QUERY, values)]
    return sorted(Shelved(File._make(row[:-2]), row[-2], row[-1]) for row in rows)
