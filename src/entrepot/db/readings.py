"""What is known of many projects of a source that is read by the project: readings and names. One statement each."""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

from sqlalchemy import Connection, select

from entrepot.core.model import PackageName, TransactionId
from entrepot.db import bulk
from entrepot.db.schema import names, projects


class Reading(NamedTuple):
    """The newest reading of a project: `checked`, `is_dated` and `is_there` as in `db.projects.ProjectState`."""

    is_dated: bool
    is_there: bool
    checked: int


def of(connection: Connection, source_id: int, packages: Collection[PackageName]) -> dict[PackageName, Reading]:
    """Of some projects those that were read."""
    query = select(projects.c.package, projects.c.is_dated, projects.c.is_there, projects.c.checked)
    query = query.where(projects.c.source_id == source_id, bulk.among(connection, projects.c.package, packages))
    return {PackageName(row[0]): Reading(bool(row[1]), bool(row[2]), row[3]) for row in connection.execute(query)}


def names_beginning(connection: Connection, source_id: int, at: TransactionId, start: str) -> list[PackageName]:
    """The names of the list of transaction `at` that begin with `start`, which isn't empty."""
    after = start[:-1] + chr(ord(start[-1]) + 1)
    query = select(names.c.package).where(names.c.source_id == source_id, names.c.since <= at, names.c.until > at)
    query = query.where(names.c.package >= start, names.c.package < after)
    return [PackageName(name) for (name,) in bulk.rows(connection, query)]
