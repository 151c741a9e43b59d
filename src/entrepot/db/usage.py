"""Rows of usage statistics: counts of downloads are added to what is there, whichever node brings them."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from pydantic_core import to_json
from sqlalchemy import BigInteger, ColumnElement, Connection, Table, cast, delete, func, select, tuple_

from entrepot.core.model import PackageName
from entrepot.core.usage import Counted
from entrepot.db import bulk
from entrepot.db.usageschema import KEY, downloads, package_downloads

_AT_ONCE = 2000
_KEY = tuple(downloads.c[name] for name in KEY)
_PACKAGE_KEY = ("repository_id", "day", "package")
_SUM = cast(func.sum(downloads.c.number), BigInteger)


class PackageUse(NamedTuple):
    """Downloads of one package by day (`day_number`), by version, and by client with its language version."""

    days: list[tuple[int, int]]
    versions: list[tuple[str, int]]
    clients: list[tuple[str, str, int]]


def add(connection: Connection, counts: Mapping[Counted, int]) -> None:
    """Add to what was counted before. Only inside `Database.write`: else two nodes could wait for each other."""
    by_package: dict[tuple[int, int, str], int] = {}
    for key, number in counts.items():
        package = key.repository_id, key.day, key.package
        by_package[package] = by_package.get(package, 0) + number
    _add(connection, downloads, KEY, [(*key, number) for key, number in counts.items()])
    _add(connection, package_downloads, _PACKAGE_KEY, [(*key, number) for key, number in by_package.items()])


def _add(connection: Connection, table: Table, key: Sequence[str], rows: Sequence[tuple[Any, ...]]) -> None:
    """Insert rows of a key and a number, or add the number to the row that has the same key."""
    names = *key, "number"
    if connection.dialect.name == "sqlite":
        # The WHERE is SQLite's own advice: without it, ON CONFLICT would read as the ON of a join.
        facts = ", ".join(f"value ->> {at}" for at in range(len(names)))
        chosen = f"SELECT {facts} FROM json_each(?) WHERE true"
    else:
        types = [table.c[name].type.compile(connection.dialect) for name in names]
        facts = ", ".join(f"CAST(value ->> {at} AS {type_})" for at, type_ in enumerate(types))
        chosen = f"SELECT {facts} FROM json_array_elements(CAST(%s AS json))"
    statement = (
        f"INSERT INTO {table.name} ({', '.join(names)}) {chosen} "
        f"ON CONFLICT ({', '.join(key)}) DO UPDATE SET number = {table.name}.number + excluded.number"
    )
    for start in range(0, len(rows), _AT_ONCE):
        connection.exec_driver_sql(statement, (to_json(rows[start : start + _AT_ONCE]).decode(),))


def rows_of_day(connection: Connection, day: int) -> int:
    """How many rows a day has."""
    counted = select(func.count()).select_from(downloads).where(downloads.c.day == day)
    return int(connection.execute(counted).scalar_one())


def ranking(
    connection: Connection, repository_ids: Collection[int], *, since: int, limit: int
) -> list[tuple[PackageName, int]]:
    """The packages that were downloaded from that day on, with how often, the most downloaded first."""
    table = package_downloads
    number = func.sum(table.c.number)
    sums = (
        select(table.c.package, cast(number, BigInteger).label("number"))
        .where(table.c.repository_id.in_(list(repository_ids)), table.c.day >= since)
        .group_by(table.c.package)
        .order_by(number.desc())
        .limit(limit)
        .subquery()
    )
    found = bulk.rows(connection, select(sums.c.package, sums.c.number))
    # The names here: databases have orders of their own.
    return sorted(((PackageName(name), times) for name, times in found), key=lambda each: (-each[1], each[0]))


def by_day(connection: Connection, repository_ids: Collection[int], *, since: int) -> dict[int, int]:
    """How much was downloaded on each day from that one on; days without downloads are left out."""
    table = package_downloads
    query = select(table.c.day, cast(func.sum(table.c.number), BigInteger))
    query = query.where(table.c.repository_id.in_(list(repository_ids)), table.c.day >= since).group_by(table.c.day)
    return {day: number for day, number in connection.execute(query)}  # noqa: C416 - rows are no pairs to mypy


def of_packages(
    connection: Connection, repository_id: int, names: Collection[str], *, since: int
) -> dict[PackageName, int]:
    """How often some packages of a repository were downloaded from that day on; those that weren't are left out."""
    query = (
        select(downloads.c.package, _SUM)
        .where(downloads.c.repository_id == repository_id, downloads.c.day >= since)
        .where(bulk.among(connection, downloads.c.package, names))
        .group_by(downloads.c.package)
    )
    return {PackageName(name): number for name, number in connection.execute(query)}


def of_package(connection: Connection, repository_id: int, name: str, *, since: int) -> PackageUse:
    """The downloads of one package from that day on."""
    table = downloads
    is_wanted = (table.c.repository_id == repository_id, table.c.package == name, table.c.day >= since)

    def sums(*columns: ColumnElement[Any]) -> list[tuple[Any, ...]]:
        query = select(*columns, _SUM).where(*is_wanted).group_by(*columns)
        return [tuple(row) for row in connection.execute(query)]

    return PackageUse(
        days=[(day, number) for day, number in sorted(sums(table.c.day))],
        versions=[(version, number) for version, number in sums(table.c.version)],
        clients=[(client, language, number) for client, language, number in sums(table.c.client, table.c.language)],
    )


def pages(
    connection: Connection, repository_ids: Collection[int], *, since: int, after: Counted | None, limit: int
) -> list[tuple[Counted, int]]:
    """Rows from that day on, in the order of their keys and behind `after`."""
    # Not by the repository's column itself: a database might take the index of that, and sort all for each piece.
    query = select(*_KEY, downloads.c.number).where((downloads.c.repository_id + 0).in_(list(repository_ids)))
    # One condition or the other: with both, SQLite would begin at the day each time.
    query = query.where(downloads.c.day >= since if after is None else tuple_(*_KEY) > tuple_(*after))
    found = connection.execute(query.order_by(*_KEY).limit(limit))
    return [(Counted(*row[:-1]), row[-1]) for row in found]


def days_before(connection: Connection, day: int, *, limit: int) -> list[int]:
    """The oldest days before that one of which there are rows."""
    found: list[int] = []
    while len(found) < limit:
        # One step in an index for each day, where distinct days would read all rows.
        query = select(func.min(downloads.c.day)).where(downloads.c.day < day)
        if found:
            query = query.where(downloads.c.day > found[-1])
        first = connection.execute(query).scalar()
        if first is None:
            break
        found.append(first)
    return found


def remove_day(connection: Connection, day: int) -> None:
    """Forget a day. Only inside `Database.write`."""
    among = select(downloads.c.repository_id).where(downloads.c.day == day).distinct()
    ids = list(connection.execute(among).scalars())
    connection.execute(
        delete(package_downloads).where(package_downloads.c.repository_id.in_(ids), package_downloads.c.day == day)
    )
    connection.execute(delete(downloads).where(downloads.c.day == day))


def in_pieces(counts: Mapping[Counted, int], size: int) -> Iterator[dict[Counted, int]]:
    """Counts in pieces of some rows, each for one transaction."""
    items = list(counts.items())
    for start in range(0, len(items), size):
        yield dict(items[start : start + size])
