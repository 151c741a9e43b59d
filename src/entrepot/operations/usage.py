"""Usage statistics: how often packages were downloaded, by whom they may be seen.

Sums over many packages are kept (`App.rankings`). Those that take a moment to make are at most ten seconds old. Of a
year with a million counts they take a second: whoever asks is then given what there is, and once that is some minutes
old, it is made anew behind them. What was counted is written down within `db.usagelog.WRITE_EVERY`.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from heapq import merge
from itertools import islice
from typing import NamedTuple, TypeVar

from entrepot.app import App
from entrepot.core.access import Access
from entrepot.core.errors import EntrepotError, PackageNotFound, UsageOff
from entrepot.core.model import PackageName, Repository, RepositoryType
from entrepot.core.usage import Counted, date_of, day_number
from entrepot.db import repositories as db_repositories
from entrepot.db import sources as db_sources
from entrepot.db import usage as db_usage
from entrepot.ecosystems.useragents import LANGUAGES
from entrepot.operations import dialects
from entrepot.operations.access import admit, sight
from entrepot.operations.browsing import Page

K = TypeVar("K", str, tuple[str, str])
_log = logging.getLogger(__name__)
RECENT = 30
"""Days that count where nothing else is said, today included."""
MOST_RANKED = 50_000
"""Packages of a ranking; those behind are not in it."""
QUICK = 0.02
"""Seconds: a ranking that takes no longer is made while somebody waits for it."""
FRESH = timedelta(seconds=10)
SLOW_FRESH = timedelta(minutes=1)
STALE = timedelta(days=1)
"""How old a ranking is at most that somebody is given while a new one is made."""
AT_ONCE = 2000
"""Rows of an export that are read at once: what is in memory, however long it is."""
DAYS_AT_ONCE = 31
"""Days that are removed at once: they come again in an hour."""


@dataclass(frozen=True, slots=True)
class Ranking:
    """Packages with how often they were downloaded, the most downloaded first, as they stood at a time; and how much
    was downloaded on each day (`day_number`) that had any.

    `took` are the seconds that it took to make. `is_whole` says that all are in it that were downloaded at all.
    `renewing` is held by who makes the next one.
    """

    at: datetime
    took: float
    downloads: Mapping[PackageName, int]
    by_day: Mapping[int, int]
    is_whole: bool
    renewing: threading.Lock = field(default_factory=threading.Lock)

    @property
    def is_quick(self) -> bool:
        return self.took <= QUICK

    @property
    def fresh_for(self) -> timedelta:
        """As long as a hundred of it take to make."""
        return FRESH if self.is_quick else max(SLOW_FRESH, timedelta(seconds=100 * self.took))


class Top(NamedTuple):
    """A package of some type of repository, and how often it was downloaded."""

    name: PackageName
    type: RepositoryType
    downloads: int


class Line(NamedTuple):
    """A count as it is exported."""

    day: date
    repository: Repository
    source: str
    counted: Counted
    downloads: int


@dataclass(frozen=True, slots=True)
class PackageDownloads:
    """The downloads of a package: one entry for each day, oldest first; all else the most downloaded first.

    `languages` are R or Python with a minor version, both empty for those that nobody told.
    """

    name: PackageName
    total: int
    days: list[tuple[date, int]]
    versions: list[tuple[str, int]]
    clients: list[tuple[str, int]]
    languages: list[tuple[tuple[str, str], int]]


def recent_downloads(app: App, repository_ids: Collection[int]) -> Mapping[PackageName, int]:
    """How often packages of these repositories were downloaded in the last 30 days; quick, as it is kept.

    Of very many names (`MOST_RANKED`) it has those that were downloaded most; without usage statistics it is empty.
    """
    return _ranking(app, frozenset(repository_ids), RECENT).downloads if is_on(app) and repository_ids else {}


def downloads_of(app: App, repo: str, names: Collection[PackageName]) -> dict[PackageName, int]:
    """As `recent_downloads`, of exactly these packages of a repository; 0 for those that nobody downloaded, and for all
    without usage statistics.

    Raises:
        RepositoryNotFound
    """
    if not is_on(app):
        return dict.fromkeys(names, 0)
    with app.db.read() as connection:
        id_ = db_repositories.get(connection, repo).id
    ranking = _ranking(app, frozenset({id_}), RECENT)
    found = {name: ranking.downloads.get(name, 0) for name in names}
    missing = [name for name, number in found.items() if not number]
    if missing and not ranking.is_whole:
        with app.db.read() as connection:
            found |= db_usage.of_packages(connection, id_, missing, since=_since(app, RECENT))
    return found


def top(
    app: App, *, access: Access, days: int, page: Page, type_: RepositoryType | None = None, repo: str | None = None
) -> tuple[list[Top], int]:
    """The packages that were downloaded most in the last `days` days, and how many were at all.

    Args:
        type_: of repositories of this type alone.
        repo: of this repository alone.

    Raises:
        UsageOff
        RepositoryNotFound, Unauthenticated, Forbidden: of `repo`.
    """
    ranked = {of: found.downloads for of, found in _rankings(app, access, days, type_, repo).items()}
    merged = merge(*(_tops(of, found) for of, found in ranked.items()), key=lambda each: (-each.downloads, each.name))
    return list(islice(merged, page.offset, page.offset + page.limit)), sum(map(len, ranked.values()))


def _tops(type_: RepositoryType, downloads: Mapping[PackageName, int]) -> Iterator[Top]:
    return (Top(name, type_, number) for name, number in downloads.items())


def by_day(
    app: App, *, access: Access, days: int, type_: RepositoryType | None = None, repo: str | None = None
) -> list[tuple[date, int]]:
    """How much was downloaded on each of the last `days` days, oldest first. Raises as `top`."""
    sums: Counter[int] = Counter()
    for ranking in _rankings(app, access, days, type_, repo).values():
        sums.update(ranking.by_day)
    return _every_day(app, days, sums)


def _rankings(
    app: App, access: Access, days: int, type_: RepositoryType | None, repo: str | None
) -> dict[RepositoryType, Ranking]:
    """Those of what is asked for and seen, by the type of repository."""
    _check_is_on(app)
    by_type: dict[RepositoryType, set[int]] = {}
    for repository in _seen(app, access, type_, repo):
        by_type.setdefault(repository.type, set()).add(repository.id)
    return {of: _ranking(app, frozenset(ids), days) for of, ids in by_type.items()}


def _every_day(app: App, days: int, numbers: Mapping[int, int]) -> list[tuple[date, int]]:
    today = day_number(app.clock())
    return [(date_of(day), numbers.get(day, 0)) for day in range(today - days + 1, today + 1)]


def lines(
    app: App, *, access: Access, days: int, type_: RepositoryType | None = None, repo: str | None = None
) -> Iterator[list[Line]]:
    """All counts of the last `days` days in pieces, by day, repository and package. Raises as `top`, before the first
    piece is asked for."""
    _check_is_on(app)
    return _pieces(app, {each.id: each for each in _seen(app, access, type_, repo)}, _since(app, days))


def _pieces(app: App, repositories: Mapping[int, Repository], since: int) -> Iterator[list[Line]]:
    after: Counted | None = None
    while repositories:
        # A connection for each piece: whoever reads slowly would keep one from others.
        with app.db.read() as connection:
            rows = db_usage.pages(connection, repositories.keys(), since=since, after=after, limit=AT_ONCE)
            names = db_sources.names(connection, {counted.source_id for counted, _ in rows})
        if not rows:
            return
        yield [
            Line(date_of(row.day), repositories[row.repository_id], names.get(row.source_id, ""), row, number)
            for row, number in rows
        ]
        after = rows[-1][0]


def of_package(app: App, repo: str, name: str, *, days: int) -> PackageDownloads:
    """The downloads of a package from a repository in the last `days` days. One that nobody downloaded has none,
    whether the repository has it now, had it once or never.

    Raises:
        UsageOff
        RepositoryNotFound
        PackageNotFound: this can't be a package's name.
    """
    _check_is_on(app)
    with app.db.read() as connection:
        repository = db_repositories.get(connection, repo)
        known = dialects.of_repository(repository.type).name(name)
        if known is None or "\0" in known:
            raise PackageNotFound(f"{name[:100]!r} can't be a package of repository {repository.name!r}")
        found = db_usage.of_package(connection, repository.id, known, since=_since(app, days))
    by_day = _every_day(app, days, dict(found.days))
    languages = ((LANGUAGES.get(client, "") if version else "", version, n) for client, version, n in found.clients)
    return PackageDownloads(
        name=known,
        total=sum(number for _, number in by_day),
        days=by_day,
        versions=_by_number(found.versions),
        clients=_by_number((client, number) for client, _, number in found.clients),
        languages=_by_number(((language, version), number) for language, version, number in languages),
    )


def _by_number(rows: Iterable[tuple[K, int]]) -> list[tuple[K, int]]:
    """Each key once with the sum of its numbers, the largest first."""
    sums: Counter[K] = Counter()
    for key, number in rows:
        sums[key] += number
    return sorted(sums.items(), key=lambda each: (-each[1], each[0]))


def remove_old(app: App) -> int:
    """Forget what is older than `[usage] keep_days`; how many days that were, at most `DAYS_AT_ONCE`."""
    first = day_number(app.clock()) - app.settings.usage.keep_days + 1
    with app.db.read() as connection:
        old = db_usage.days_before(connection, first, limit=DAYS_AT_ONCE)
    for day in old:
        with app.db.write(shows=False) as connection:
            db_usage.remove_day(connection, day)
    return len(old)


def is_on(app: App) -> bool:
    return app.settings.usage.enabled


def _check_is_on(app: App) -> None:
    if not is_on(app):
        raise UsageOff(
            "usage statistics are turned off on this server", hint="the administrator turns them on: [usage] enabled"
        )


def _since(app: App, days: int) -> int:
    """The first of the last `days` days, today included."""
    return day_number(app.clock()) - days + 1


def _seen(app: App, access: Access, type_: RepositoryType | None, repo: str | None) -> list[Repository]:
    """The live repositories that are asked for, of those that somebody may read. Raises as `top`, for `repo`."""
    with app.db.read() as connection:
        if repo is not None:
            admit(connection, app, access, db_repositories.find(connection, repo), repo)
            asked = [db_repositories.get(connection, repo)]
        else:
            seen = sight(connection, access)
            asked = [each for each in db_repositories.live(connection) if seen.sees_repository(each.id)]
    return [each for each in asked if type_ is None or each.type is type_]


def _ranking(app: App, repository_ids: frozenset[int], days: int) -> Ranking:
    """The ranking of some repositories. One that is kept and isn't fresh any more is made anew: now if that is quick,
    or it is very old, else behind whoever asks."""
    key, now = (repository_ids, days), app.clock()
    kept: Ranking | None = app.rankings.find(key)
    age = now - kept.at if kept is not None else None
    if kept is None or age is None or not timedelta(0) <= age < STALE:
        return _make(app, repository_ids, days)
    if age < kept.fresh_for:
        return kept
    if kept.is_quick:
        return _make(app, repository_ids, days)
    if kept.renewing.acquire(blocking=False):
        threading.Thread(target=_renew, args=(app, repository_ids, days, kept), name="ranking", daemon=True).start()
    return kept


def _make(app: App, repository_ids: frozenset[int], days: int) -> Ranking:
    now, began = app.clock(), time.monotonic()
    with app.db.read() as connection:
        found = db_usage.ranking(connection, repository_ids, since=_since(app, days), limit=MOST_RANKED + 1)
        by_day = db_usage.by_day(connection, repository_ids, since=_since(app, days))
    took = time.monotonic() - began
    made = Ranking(now, took, dict(found[:MOST_RANKED]), by_day, len(found) <= MOST_RANKED)
    app.rankings.put((repository_ids, days), made)
    return made


def _renew(app: App, repository_ids: frozenset[int], days: int, old: Ranking) -> None:
    """As `_make`, beside requests: if it fails, the old one lasts and the next who asks has it tried again."""
    try:
        _make(app, repository_ids, days)
    except EntrepotError as error:
        _log.warning("downloads could not be summed up: %s", error)
    finally:
        old.renewing.release()
