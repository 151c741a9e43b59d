"""What an upstream tells of its packages elsewhere than in its index: titles and system requirements.

Facts are of one version of a package. No index tells them, so what is learnt late changes no dated answer.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Any

from sqlalchemy import Connection, and_, bindparam, select, update

from entrepot.core.facts import Fact, Version
from entrepot.db import bulk
from entrepot.db.schema import package_facts

_COLUMNS = ("source_id", "package", "version", "title", "system_requirements")


def of_source(connection: Connection, source_id: int) -> dict[Version, Fact]:
    """All that is known of a mirror's packages."""
    return _found(connection, [source_id], None)


def of_packages(
    connection: Connection, source_ids: Iterable[int], packages: Collection[str] | None
) -> dict[Version, Fact]:
    """What is known of some packages, or of all; of sources that both tell of a version, one."""
    return _found(connection, list(source_ids), packages)


def _found(connection: Connection, source_ids: Sequence[int], packages: Collection[str] | None) -> dict[Version, Fact]:
    query = select(*(package_facts.c[name] for name in _COLUMNS[1:])).where(package_facts.c.source_id.in_(source_ids))
    if packages is not None:
        query = query.where(bulk.among(connection, package_facts.c.package, packages))
    return {row[:2]: Fact._make(row) for row in bulk.rows(connection, query)}


def add(connection: Connection, source_id: int, facts: Iterable[Fact]) -> None:
    """Facts of versions of which nothing is known yet."""
    bulk.insert(connection, package_facts, _COLUMNS, [(source_id, *fact) for fact in facts])


def change(connection: Connection, source_id: int, facts: Sequence[Fact]) -> None:
    """Facts of versions of which others are known."""
    if not facts:
        return
    one = and_(
        package_facts.c.source_id == source_id,
        package_facts.c.package == bindparam("of"),
        package_facts.c.version == bindparam("at"),
    )
    values: dict[str, Any] = {"title": bindparam("title_now"), "system_requirements": bindparam("needs_now")}
    rows = [{"of": f.package, "at": f.version, "title_now": f.title, "needs_now": f.system_requirements} for f in facts]
    connection.execute(update(package_facts).where(one).values(**values), rows)
