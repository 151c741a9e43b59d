"""Rows of build targets, and of each attempt to build a binary package."""

from __future__ import annotations

import zlib
from collections.abc import Collection, Iterable
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, RowMapping, Select, and_, false, func, insert, or_, select, update

from entrepot.core.errors import TargetNotFound
from entrepot.core.model import PackageName, TransactionId
from entrepot.core.targets import FAILED, BinaryBuild, Target
from entrepot.db.schema import binary_builds, build_targets, files, package_facts, transactions

_TARGET_COLUMNS = [column for column in build_targets.c if column.name != "deleted"]
_BUILD_COLUMNS = [column for column in binary_builds.c if column.name != "log"]
_LIVE = build_targets.c.deleted.is_(None)


# --- targets -------------------------------------------------------------------------------------------------------


def add(connection: Connection, **values: Any) -> int:
    (id_,) = connection.execute(insert(build_targets).values(**values)).inserted_primary_key or (0,)
    return int(id_)


def change(connection: Connection, id_: int, **values: Any) -> None:
    connection.execute(update(build_targets).where(build_targets.c.id == id_).values(**values))


def live(connection: Connection) -> list[Target]:
    """All live targets, in the order in which they were made."""
    query = select(*_TARGET_COLUMNS).where(_LIVE).order_by(build_targets.c.id)
    return [_target(row) for row in connection.execute(query).mappings()]


def by_id(connection: Connection, id_: int) -> Target | None:
    """A live target; None if it was deleted."""
    row = connection.execute(select(*_TARGET_COLUMNS).where(_LIVE, build_targets.c.id == id_)).mappings().one_or_none()
    return _target(row) if row else None


def find(connection: Connection, name: str) -> Target | None:
    """A live target by its name."""
    if "\0" in name:
        return None
    query = select(*_TARGET_COLUMNS).where(_LIVE, build_targets.c.name == name)
    row = connection.execute(query).mappings().one_or_none()
    return _target(row) if row else None


def get(connection: Connection, name: str) -> Target:
    """As `find`. Raises TargetNotFound."""
    target = find(connection, name)
    if target is None:
        raise not_found(name)
    return target


def not_found(name: str) -> TargetNotFound:
    return TargetNotFound(f"there is no build target named {name!r}", hint="`entrepot list build-targets` shows them")


def names(connection: Connection, ids: Iterable[int]) -> dict[int, str]:
    """Target id -> name, of deleted ones too."""
    query = select(build_targets.c.id, build_targets.c.name).where(build_targets.c.id.in_(list(ids)))
    return {row.id: row.name for row in connection.execute(query)}


def newest_concerning(
    connection: Connection, after: TransactionId, *, source_ids: Iterable[int], repository_id: int | None
) -> tuple[TransactionId, datetime] | None:
    """The newest transaction above `after` that changed one of these sources, or that repository, and its time."""
    whose: list[ColumnElement[bool]] = [transactions.c.source_id.in_(list(source_ids))]
    if repository_id is not None:
        whose.append(transactions.c.repository_id == repository_id)
    query = select(transactions.c.id, transactions.c.time).where(transactions.c.id > after, or_(*whose))
    row = connection.execute(query.order_by(transactions.c.id.desc()).limit(1)).one_or_none()
    return None if row is None else (TransactionId(row.id), row.time)


def _target(row: RowMapping) -> Target:
    values: dict[str, Any] = {**row}
    values["sources"] = None if row["sources"] is None else tuple(row["sources"])
    return Target(**values)


# --- builds --------------------------------------------------------------------------------------------------------


def add_build(connection: Connection, log: str, **values: Any) -> None:
    """Only inside `Database.write`; `values` as in `BinaryBuild`, but for its id."""
    connection.execute(insert(binary_builds).values(log=zlib.compress(log.encode(), 6), **values))


def last_builds(
    connection: Connection, target_id: int, source_ids: Iterable[int]
) -> dict[tuple[int, PackageName, str], BinaryBuild]:
    """(source, package, version) -> the last attempt of a target at it."""
    of = binary_builds.c
    whose = (of.target_id == target_id, of.source_id.in_(list(source_ids)))
    last = select(func.max(of.id)).where(*whose).group_by(of.source_id, of.package, of.version)
    query = select(*_BUILD_COLUMNS).where(of.id.in_(last))
    found = [BinaryBuild(**row) for row in connection.execute(query).mappings()]
    return {(build.source_id, build.package, build.version): build for build in found}


def forget_failures(connection: Connection, target_id: int, *, package: str | None = None) -> int:
    """Let what failed (of one package) be tried again, whatever it depends on; how many attempts these are."""
    of = binary_builds.c
    query = update(binary_builds).where(of.target_id == target_id, of.status == FAILED, of.inputs != "")
    if package is not None:
        query = query.where(of.package == package)
    return connection.execute(query.values(inputs="")).rowcount


def page(
    connection: Connection,
    *,
    target_id: int | None = None,
    source_id: int | None = None,
    package: str | None = None,
    status: str | None = None,
    among: Collection[tuple[int, int]] | None = None,
    limit: int,
    offset: int,
) -> tuple[list[BinaryBuild], int]:
    """Attempts, the newest first, and how many there are in all.

    Args:
        among: (target, source) of those that count; None: all.
    """
    of = binary_builds.c
    wanted = ((of.target_id, target_id), (of.source_id, source_id), (of.package, package), (of.status, status))
    query: Select[Any] = select(*_BUILD_COLUMNS)
    query = query.where(*(column == value for column, value in wanted if value is not None))
    if among is not None:
        query = query.where(_of_any(among))
    total: int = connection.execute(select(func.count()).select_from(query.subquery())).scalar_one()
    rows = connection.execute(query.order_by(of.id.desc()).limit(limit).offset(offset)).mappings()
    return [BinaryBuild(**row) for row in rows], total


def builds_of(connection: Connection, ids: Collection[TransactionId]) -> dict[TransactionId, BinaryBuild]:
    """The attempts whose binary packages these transactions show."""
    query = select(*_BUILD_COLUMNS).where(binary_builds.c.transaction_id.in_(ids))
    builds = [BinaryBuild(**row) for row in connection.execute(query).mappings()]
    return {build.transaction_id: build for build in builds if build.transaction_id is not None}


def tried(connection: Connection) -> list[tuple[int, str, int]]:
    """(target, the name of its repository, source) of all attempts, each once."""
    of, targets = binary_builds.c, build_targets.c
    query = select(of.target_id, targets.repository, of.source_id).join(build_targets, targets.id == of.target_id)
    return [(row.target_id, row.repository, row.source_id) for row in connection.execute(query.distinct())]


def _of_any(pairs: Collection[tuple[int, int]]) -> ColumnElement[bool]:
    of = binary_builds.c
    return or_(false(), *(and_(of.target_id == target, of.source_id == source) for target, source in pairs))


def last_of(
    connection: Connection,
    *,
    source_ids: Iterable[int],
    package: str,
    version: str | None,
    platforms: Iterable[str],
    among: Collection[tuple[int, int]] | None = None,
) -> BinaryBuild | None:
    """The last attempt at a package of one of these sources for one of these platforms; `among` as in `page`."""
    of = binary_builds.c
    query = select(*_BUILD_COLUMNS).where(of.source_id.in_(list(source_ids)), of.package == package)
    query = query.where(of.platform.in_(list(platforms)))
    if version is not None:
        query = query.where(of.version == version)
    if among is not None:
        query = query.where(_of_any(among))
    row = connection.execute(query.order_by(of.id.desc()).limit(1)).mappings().one_or_none()
    return BinaryBuild(**row) if row else None


def build_of(connection: Connection, id_: int) -> tuple[BinaryBuild, str] | None:
    """An attempt and its log."""
    row = connection.execute(select(binary_builds).where(binary_builds.c.id == id_)).mappings().one_or_none()
    if row is None:
        return None
    values: dict[str, Any] = {**row}
    log = zlib.decompress(values.pop("log")).decode()
    return BinaryBuild(**values), log


def requirements_of(connection: Connection, build: BinaryBuild, source_ids: Iterable[int]) -> list[str]:
    """What the source package of an attempt says that it needs of the system; it is a file of one of these sources."""
    wanted = list(source_ids)
    facts = select(package_facts.c.system_requirements).where(
        package_facts.c.source_id.in_(wanted),
        package_facts.c.package == build.package,
        package_facts.c.version == build.version,
    )
    rows = select(files.c.fields).where(
        files.c.source_id.in_(wanted), files.c.package == build.package, files.c.version == build.version
    )
    lines = [line for text in connection.execute(rows).scalars() for line in (text or "").splitlines()]
    told = [line.partition(": ")[2] for line in lines if line.startswith("SystemRequirements: ")]
    return list(dict.fromkeys([*told, *(text for text in connection.execute(facts).scalars() if text)]))
