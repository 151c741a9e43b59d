"""What transactions did to packages: told one by one, or counted by the database. Both always agree."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, Select, Subquery, case, func, literal, or_, select, union_all

from entrepot.core.changes import Change, ChangeKind, Seen, Version, describe
from entrepot.core.model import (
    FOREVER,
    PINNED,
    WITHOUT_ARCHIVE,
    FileStatus,
    PackageName,
    Source,
    SourceType,
    TransactionId,
)
from entrepot.core.proposals import Report
from entrepot.db import bulk
from entrepot.db import curations as db_curations
from entrepot.db.schema import STATUS_CODES, STATUSES, files, transactions, visibility


def of_transaction(
    connection: Connection, source: Source, at: TransactionId, *, package: PackageName | None = None
) -> list[Change]:
    """What a transaction of a source did (to one package)."""
    if source.is_pinned:
        return _of_pins(connection, [at], package).get(at, [])
    # Two look-ups: SQLite would read all that the source ever showed for both in one. What began has its status looked
    # up by the whole key, since the index by `since` is taken only if it has all that is asked for.
    key = visibility.alias()
    same_row = (key.c.file_id == visibility.c.file_id) & (key.c.since == visibility.c.since)
    whose = [visibility.c.source_id == source.id]
    if package is not None:
        whose.append(files.c.package == package)
    ended = visibility.c.status.in_(list(STATUSES)) & (visibility.c.until == at)
    both = union_all(
        select(files.c.package, files.c.version, key.c.status, literal(1).label("begun"))
        .select_from(visibility)
        .join(key, same_row)
        .join(files, files.c.id == visibility.c.file_id)
        .where(*whose, visibility.c.since == at),
        select(files.c.package, files.c.version, visibility.c.status, literal(0).label("begun"))
        .select_from(visibility)
        .join(files, files.c.id == visibility.c.file_id)
        .where(*whose, ended),
    ).subquery()
    begun: list[Seen] = []
    ended_: list[Seen] = []
    for name, version, status, is_begun in bulk.rows(connection, select(both)):
        (begun if is_begun else ended_).append(Seen(PackageName(name), version, STATUSES[status]))
    if source.has_archive:
        return describe(begun, ended_)
    touched = {(seen.package, seen.version) for seen in (*begun, *ended_)}
    return describe(begun, ended_, beside=_beside(connection, source, at, touched))


def of_package(
    connection: Connection, among: Collection[Source], package: PackageName
) -> dict[TransactionId, list[Change]]:
    """What transactions of some sources ever did to one package; those that did nothing to it are left out."""
    pinned = [source.id for source in among if source.is_pinned]
    every = select(transactions.c.id).where(transactions.c.source_id.in_(pinned))
    found = _of_pins(connection, list(connection.execute(every).scalars()), package) if pinned else {}
    for source, rows in _rows_of_package(connection, among, package):
        for at in sorted({row.since for row in rows} | {row.until for row in rows if row.until != FOREVER}):
            begun, ended = [row.seen for row in rows if row.since == at], [row.seen for row in rows if row.until == at]
            stays = {(package, row.seen.version) for row in rows if row.since < at < row.until}
            found[TransactionId(at)] = describe(begun, ended, beside=None if source.has_archive else stays)
    return {at: changes for at, changes in found.items() if changes}


class _Shown(NamedTuple):
    """A row of visibility."""

    seen: Seen
    since: int
    until: int


def _rows_of_package(
    connection: Connection, among: Collection[Source], package: PackageName
) -> Iterator[tuple[Source, list[_Shown]]]:
    """How sources with rows of their own showed the files of a package."""
    plain = {source.id: source for source in among if not source.is_pinned}
    of = visibility.c
    query = (
        select(of.source_id, files.c.version, of.status, of.since, of.until)
        .join(files, files.c.id == of.file_id)
        .where(files.c.source_id.in_({source.files_of for source in plain.values()}), files.c.package == package)
        .where((of.source_id + 0).in_(list(plain)))
    )
    rows: dict[int, list[_Shown]] = {}
    for source_id, version, status, since, until in connection.execute(query):
        rows.setdefault(source_id, []).append(_Shown(Seen(package, version, STATUSES[status]), since, until))
    yield from ((plain[id_], of_one) for id_, of_one in rows.items())


def _of_pins(
    connection: Connection, ids: Collection[TransactionId], package: PackageName | None = None
) -> dict[TransactionId, list[Change]]:
    """What moving sources from one snapshot to another did (to one package): they have no rows of their own, but
    proposals that tell."""
    return {
        at: [change for change in _pin_changes(Report.of_json(told)) if package in (None, change.package)]
        for at, told in db_curations.reports(connection, ids, naming=package)
    }


def _pin_changes(report: Report) -> list[Change]:
    """The changes that a proposal tells, as a transaction tells them: an update names the version that it replaced."""
    changes = [
        Change(
            ChangeKind.ADDED if item.previous is None else ChangeKind.UPDATED,
            PackageName(item.package),
            item.version,
            item.previous,
        )
        for item in report.items
    ]
    updated = {(change.package, change.previous) for change in changes}
    changes += [
        Change(ChangeKind(gone.change), PackageName(gone.package), gone.version)
        for gone in report.leaving
        if (gone.package, gone.version) not in updated
    ]
    return sorted(changes, key=lambda change: (change.package, change.kind.value, change.version))


def _beside(connection: Connection, source: Source, at: TransactionId, touched: Collection[Version]) -> set[Version]:
    """Those of these versions that have files which a transaction left as they were; not to be asked of all versions
    that their packages have, or each upload to a project would take longer than the one before."""
    packages, versions = ({version[part] for version in touched} for part in (0, 1))
    query = (
        select(files.c.package, files.c.version)
        .join(visibility, visibility.c.file_id == files.c.id)
        .where(files.c.source_id == source.files_of, bulk.among(connection, files.c.package, packages))
        .where(bulk.among(connection, files.c.version, versions))
        .where(visibility.c.source_id + 0 == source.id)
        .where(visibility.c.since < at, visibility.c.until > at)
        .distinct()
    )
    return {(PackageName(package), version) for package, version in connection.execute(query)}


def count(connection: Connection, types: Mapping[TransactionId, SourceType]) -> dict[int, dict[ChangeKind, int]]:
    """How many changes of each kind `of_transaction` would tell of each of these transactions of sources.

    The first sync of a mirror has transactions of many thousand changes. A transaction without any is left out.

    Args:
        types: id of a transaction -> type of its source.
    """
    pinned = [id_ for id_, type_ in types.items() if type_ in PINNED]
    plain = [id_ for id_, type_ in types.items() if type_ in WITHOUT_ARCHIVE]
    others = list(types.keys() - {*pinned, *plain})
    counts: dict[int, dict[ChangeKind, int]] = {
        at: {kind: sum(change.kind is kind for change in changes) for kind in _KINDS}
        for at, changes in _of_pins(connection, pinned).items()
        if changes
    }
    for wanted, changes in ((others, _one_current), (plain, _side_by_side)):
        if wanted:
            for at, *numbers in connection.execute(changes(_moves(wanted))):
                counts[at] = dict(zip(_KINDS, map(int, numbers), strict=True))
    return counts


_KINDS = (ChangeKind.ADDED, ChangeKind.UPDATED, ChangeKind.ARCHIVED, ChangeKind.REMOVED)


def _one_current(version: Subquery) -> Select[Any]:
    """(transaction, number of each kind) as `core.changes.describe` tells them where one version is current."""
    package = (version.c.at, version.c.package)
    row = select(
        *version.c,
        func.max(version.c.to_current).over(partition_by=package).label("package_to_current"),
        func.max(version.c.from_current).over(partition_by=package).label("package_from_current"),
    ).subquery()
    came, left = row.c.to_current + row.c.to_archive, row.c.from_current + row.c.from_archive
    had_current = row.c.package_from_current > 0
    was_replaced = (row.c.package_to_current > 0) & (row.c.from_current > 0)
    return select(
        row.c.at,
        _total(row.c.to_current, ~had_current) + _total(row.c.to_archive, left == 0),
        _total(row.c.to_current, had_current),
        _total(row.c.to_archive, (left > 0) & ~was_replaced),
        _total(left, came == 0),
    ).group_by(row.c.at)


def _side_by_side(version: Subquery) -> Select[Any]:
    """The same as it tells them where all versions are current."""
    package = select(version.c.at, version.c.source_id, version.c.owner, version.c.package).distinct().subquery()
    beside = (
        select(package.c.at, package.c.package, files.c.version)
        .join(files, (files.c.source_id == package.c.source_id) & (files.c.package == package.c.package))
        .join(visibility, visibility.c.file_id == files.c.id)
        .where(visibility.c.since < package.c.at, visibility.c.until > package.c.at)
        .where(visibility.c.source_id + 0 == package.c.owner)
        .distinct()
        .subquery()
    )
    same = [version.c[name] == beside.c[name] for name in ("at", "package", "version")]
    row = select(*version.c, beside.c.at.is_not(None).label("stays")).outerjoin(beside, same[0] & same[1] & same[2])
    each = row.subquery()
    came, left = each.c.to_current + each.c.to_archive, each.c.from_current + each.c.from_archive
    was_there, is_there = or_(each.c.stays, left > 0), or_(each.c.stays, came > 0)
    one = literal(1)
    return select(
        each.c.at,
        _total(one, ~was_there),
        _total(one, was_there & is_there),
        _total(one, one == 0),
        _total(one, ~is_there),
    ).group_by(each.c.at)


def _moves(ids: Collection[int]) -> Subquery:
    """(transaction `at`, its source `owner`, the source of the files, package, version) with how many rows of each
    status began and ended there."""
    # By way of the transactions, each is a step in an index that begins with its source; SQLite takes the one by
    # `since` only if that index has all that is asked for, so the status is looked up by the whole key.
    at, same_source = transactions.c.id, visibility.c.source_id == transactions.c.source_id
    key = visibility.alias()
    same_row = (key.c.file_id == visibility.c.file_id) & (key.c.since == visibility.c.since)
    ended = same_source & (visibility.c.until == at) & visibility.c.status.in_(list(STATUSES))
    begun = literal(1).label("begun")
    rows = union_all(
        select(at.label("at"), visibility.c.source_id.label("owner"), visibility.c.file_id, key.c.status, begun)
        .join_from(transactions, visibility, same_source & (visibility.c.since == at))
        .join(key, same_row)
        .where(at.in_(ids)),
        select(at.label("at"), visibility.c.source_id, visibility.c.file_id, visibility.c.status, literal(0))
        .join_from(transactions, visibility, ended)
        .where(at.in_(ids)),
    ).subquery()
    current, archived = (rows.c.status == STATUS_CODES[s] for s in (FileStatus.CURRENT, FileStatus.ARCHIVED))
    key_columns = (rows.c.at, rows.c.owner, files.c.source_id, files.c.package, files.c.version)
    return (
        select(
            *key_columns,
            _total(rows.c.begun, current).label("to_current"),
            _total(rows.c.begun, archived).label("to_archive"),
            _total(1 - rows.c.begun, current).label("from_current"),
            _total(1 - rows.c.begun, archived).label("from_archive"),
        )
        .join(files, files.c.id == rows.c.file_id)
        .group_by(*key_columns)
        .subquery()
    )


def _total(number: ColumnElement[Any], where: ColumnElement[bool]) -> ColumnElement[Any]:
    return func.sum(case((where, number), else_=0))
