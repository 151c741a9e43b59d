"""What is known of many projects of a source that is read by the project. One statement each."""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

from sqlalchemy import Connection, select

from entrepot.core.model import PackageName
from entrepot.db import bulk
from entrepot.db.schema import projects


class Reading(NamedTuple):
    """The newest reading of a project: `is_dated` and `is_there` as in `db.projects.ProjectState`."""

    is_dated: bool
    is_there: bool


def of(connection: Connection, source_id: int, packages: Collection[PackageName]) -> dict[PackageName, Reading]:
    """Of some projects those that were read."""
    query = select(projects.c.package, projects.c.is_dated, projects.c.is_there)
    query = query.where(projects.c.source_id == source_id, bulk.among(connection, projects.c.package, packages))
    return {PackageName(row[0]): Reading(bool(row[1]), bool(row[2])) for row in connection.execute(query)}
