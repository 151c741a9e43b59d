"""Which entries of a list of wanted packages a repository can serve at a snapshot."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

from sqlalchemy import Connection

from entrepot.app import App
from entrepot.core.checking import Checked, Lack, Offer, Verdict, Versions, judge
from entrepot.core.errors import EntrepotError, Invalid, NotFound, TooLarge, UpstreamInvalid, UpstreamUnavailable
from entrepot.core.model import FileStatus, Listed, PackageName
from entrepot.core.nearnames import near
from entrepot.core.requirements import ListFormat, Requirement, RequirementList
from entrepot.core.snapshots import Cut
from entrepot.db import listings as db_listings
from entrepot.db import projects as db_projects
from entrepot.db import readings
from entrepot.ecosystems.python import bounds as python_bounds
from entrepot.ecosystems.python import jsonapi
from entrepot.ecosystems.python import lists as python_lists
from entrepot.ecosystems.r import bounds as r_bounds
from entrepot.ecosystems.r import lists as r_lists
from entrepot.ecosystems.r.base import BASE
from entrepot.ecosystems.r.versions import version_key
from entrepot.operations import browsing, checkprojects, dialects
from entrepot.operations.browsing import Opened
from entrepot.operations.serving import patiently

_IN_PARTS = "check it in parts; with a token, or signed in, a list may be larger"
_AT_ONCE = 8
"""Projects that are read at once."""
_NAMES = 1000
"""Packages whose files are in memory at once."""
_SUGGESTED = 20
"""Unknown names that are told what may have been meant."""
_FAILURES = 8
"""Projects that can't be read until no others are tried."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """What one check may cost.

    Attributes:
        text: characters of the list with its constraints.
        entries: how many packages it asks for.
        projects: how many of an index.
        readings: how many of these upstream is asked for, None: all. Then what is known is also read again where it is
            old, else never.
        comparisons: of a version with a bound.
    """

    text: int
    entries: int
    projects: int
    readings: int | None
    comparisons: int


OF_ANYBODY = Bounds(text=1_000_000, entries=10_000, projects=5000, readings=100, comparisons=1_000_000)
"""Some seconds of this process, and no more requests to an upstream than an installer makes."""
OF_KNOWN = Bounds(text=20_000_000, entries=1_000_000, projects=5000, readings=None, comparisons=200_000_000)
"""Of those who have a token."""


@dataclass(frozen=True, slots=True)
class Checking:
    """What was found of each entry, in the order of the list."""

    snapshot: str
    format: ListFormat
    entries: tuple[Checked, ...]

    @property
    def counts(self) -> dict[Verdict, int]:
        """How many entries came out how; every verdict is there."""
        found = Counter(entry.verdict for entry in self.entries)
        return {verdict: found[verdict] for verdict in Verdict}

    @property
    def is_servable(self) -> bool:
        """Whether each entry can be served, be it in part."""
        return not self.counts[Verdict.MISSING] and not self.counts[Verdict.UNKNOWN]


Rows = Mapping[PackageName, Sequence[Listed]]


def check(
    app: App,
    repo: str,
    text: str,
    *,
    constraints: str | None = None,
    snapshot: str = "latest",
    bioc_version: str | None = None,
    bounds: Bounds = OF_KNOWN,
) -> Checking:
    """What a repository can serve of a list, which is in any of the formats that its ecosystem reads.

    Archived versions count. Projects of an index that nobody asked for yet are read, so this may take its time.

    Raises:
        NotFound: there is no such repository or snapshot.
        Invalid: the list can't be read, is one of another ecosystem, is empty, or is more than `bounds` allow.
        NeverSynced: the mirror has nothing yet.
    """
    opened = browsing.open_repository(app, repo, snapshot, bioc_version=bioc_version)
    manner = _PYTHON if opened.dialect is dialects.PYTHON else _R
    wanted = _read(manner, text, constraints, bounds)
    entries: list[Checked | None] = [_with_r(manner, each) for each in wanted.requirements]
    numbers: defaultdict[PackageName, list[int]] = defaultdict(list)
    for number, each in enumerate(wanted.requirements):
        if entries[number] is None:
            numbers[each.package].append(number)
    names = list(numbers)
    work = _Work(bounds.comparisons)

    def judged(name: PackageName, rows: Sequence[Listed], sources: Mapping[int, str]) -> None:
        offers = manner.offers(rows, sources)
        for number in numbers[name]:
            each = wanted.requirements[number]
            work.take(len(offers) * (1 + each.specifier.count(",")))
            entries[number] = judge(each, offers, manner.versions)

    if opened.read_by_project:
        _check_few(names, bounds)
        for name, failure in _projects(app, opened, (repo, snapshot), names, judged, bounds):
            for number in numbers[name]:
                entries[number] = Checked(wanted.requirements[number], Verdict.UNKNOWN, reason=failure)
    else:
        for rows in _pieces(app, opened, names):
            for name, some in rows.items():
                judged(name, some, opened.names)
    found = [entry for entry in entries if entry is not None]
    return Checking(snapshot, wanted.format, tuple(_with_near_names(app, opened, found)))


class _Work:
    """What is left of the comparisons that one check may make. Several threads take of it, and may take a little more
    together."""

    def __init__(self, left: int) -> None:
        self._left = left

    def take(self, comparisons: int) -> None:
        """Raises TooLarge: there are no more."""
        self._left -= comparisons
        if self._left < 0:
            raise TooLarge("the list compares too many versions with too many bounds", hint=_IN_PARTS)


@dataclass(frozen=True, slots=True)
class _Manner:
    """What differs between ecosystems: how a list is read, what comes with the language, what files offer."""

    read: Callable[[str, str | None], RequirementList]
    base: frozenset[str]
    offers: Callable[[Sequence[Listed], Mapping[int, str]], list[Offer]]
    versions: Versions


def _read(manner: _Manner, text: str, constraints: str | None, bounds: Bounds) -> RequirementList:
    if len(text) + len(constraints or "") > bounds.text:
        raise TooLarge(f"the list has more than {bounds.text // 10**6} MB", hint=_IN_PARTS)
    if not text.strip():
        raise Invalid("the list is empty", hint="it names a package a line, or is a lock file")
    wanted = manner.read(text, constraints)
    if len(wanted.requirements) > bounds.entries:
        raise TooLarge(f"the list asks for more than {bounds.entries} packages", hint=_IN_PARTS)
    return wanted


def _read_r(text: str, constraints: str | None) -> RequirementList:
    if constraints is not None:
        raise Invalid("lists of R packages have no constraints", hint="write the bounds into the list")
    return r_lists.read(text)


def _read_python(text: str, constraints: str | None) -> RequirementList:
    return python_lists.read(text, constraints=constraints)


def _offers_of_r(rows: Sequence[Listed], sources: Mapping[int, str]) -> list[Offer]:
    offers = [
        Offer(
            file.version,
            version_key(file.version),
            sources.get(file.source_id, ""),
            is_archived=status is FileStatus.ARCHIVED,
        )
        for file, status in rows
    ]
    return sorted(offers, key=lambda offer: offer.key, reverse=True)


def _offers_of_python(rows: Sequence[Listed], sources: Mapping[int, str]) -> list[Offer]:
    known = dialects.PYTHON.releases(rows)
    return [
        Offer(
            release.version,
            jsonapi.version_key(release.version),
            sources.get(release.file.source_id, ""),
            is_yanked=release.is_yanked,
            hashes=frozenset(each.file.sha256 for each in release.files if each.file.sha256 is not None),
            is_hashed=all(each.file.sha256 is not None for each in release.files),
        )
        for release in (known.every if known is not None else ())
    ]


_R = _Manner(_read_r, BASE, _offers_of_r, r_bounds)
_PYTHON = _Manner(_read_python, frozenset(), _offers_of_python, python_bounds)


def _with_r(manner: _Manner, wanted: Requirement) -> Checked | None:
    return Checked(wanted, Verdict.WITH_R) if wanted.package in manner.base else None


def _pieces(app: App, opened: Opened, names: Sequence[PackageName]) -> Iterator[Rows]:
    """All versions that the repository has of some packages at a time: of each, those of the first source with it."""
    for start in range(0, len(names), _NAMES):
        found: dict[PackageName, list[Listed]] = {name: [] for name in names[start : start + _NAMES]}
        with app.db.read() as connection:
            for cut in opened.cuts:
                left = [name for name, rows in found.items() if not rows]
                for row in db_listings.visible_of(connection, cut, left) if left else ():
                    found[row.file.package].append(row)
        yield found


def _check_few(names: Sequence[PackageName], bounds: Bounds) -> None:
    if len(names) > bounds.projects:
        raise TooLarge(
            f"the list has {len(names)} projects; of an index at most {bounds.projects} are looked up at once",
            hint="check it in parts",
        )


def _projects(
    app: App,
    opened: Opened,
    asked: tuple[str, str],
    names: Sequence[PackageName],
    judged: Callable[[PackageName, Sequence[Listed], Mapping[int, str]], None],
    bounds: Bounds,
) -> Iterator[tuple[PackageName, str]]:
    """Judge each project, and ask upstream for as many as may be; those that can't be told, and why.

    Args:
        asked: the repository and the snapshot as they were named.
    """
    unread = list(names)
    if bounds.readings is not None:
        found = checkprojects.known(app, opened, names)
        for name, rows in found.rows.items():
            judged(name, rows, opened.names)
        yield from found.undated.items()
        waiting = [name for name in names if name in found.unread]
        unread, left = waiting[: bounds.readings], waiting[bounds.readings :]
        for name in left:
            yield name, f"nobody asked for it yet, and without a token {bounds.readings} such projects are asked for"
    yield from _each_project(app, *asked, unread, judged)


def _each_project(
    app: App,
    repo: str,
    snapshot: str,
    names: Sequence[PackageName],
    judged: Callable[[PackageName, Sequence[Listed], Mapping[int, str]], None],
) -> Iterator[tuple[PackageName, str]]:
    """Judge each project, reading those first that nobody asked for yet; those that can't be told, and why."""
    failures: list[EntrepotError] = []

    def rows(name: PackageName) -> tuple[list[Listed], Mapping[int, str]]:
        opened = browsing.open_repository(app, repo, snapshot)
        return opened.view.of_package(name), opened.names

    def look(name: PackageName) -> str | None:
        if len(failures) >= _FAILURES:
            return f"no more projects were tried: {failures[0].message}"
        try:
            found = patiently(lambda: rows(name))
        except (UpstreamUnavailable, UpstreamInvalid) as error:
            failures.append(error)
            return error.message
        except NotFound as error:
            return error.message
        judged(name, *found)
        return None

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        for name, failure in zip(names, pool.map(look, names), strict=True):
            if failure is not None:
                yield name, failure


def _with_near_names(app: App, opened: Opened, entries: Sequence[Checked]) -> list[Checked]:
    """The entries, those of unknown names with the names that may have been meant."""
    unknown = list(dict.fromkeys(entry.requirement.package for entry in entries if entry.lack is Lack.PACKAGE))
    if not unknown:
        return list(entries)
    pools = _Names(app, opened)
    meant = {name: tuple(near(name, pools.like(name))) for name in unknown[:_SUGGESTED]}
    return [
        replace(entry, near=meant.get(entry.requirement.package, ())) if entry.lack is Lack.PACKAGE else entry
        for entry in entries
    ]


class _Names:
    """The names that a repository has: all of them, or of an index with very many those that begin alike."""

    def __init__(self, app: App, opened: Opened) -> None:
        self._app = app
        self._indexes = opened.read_by_project
        with app.db.read() as connection:
            self._names = {name for cut in opened.cuts if cut not in self._indexes for name in _all(connection, cut)}
        self._beginning: dict[str, set[PackageName]] = {}

    def like(self, name: PackageName) -> set[PackageName]:
        if not self._indexes:
            return self._names
        start = name[:2]
        if start not in self._beginning:
            self._beginning[start] = self._names.union(*(self._listed(cut, start) for cut in self._indexes))
        return self._beginning[start]

    def _listed(self, cut: Cut, start: str) -> list[PackageName]:
        with self._app.db.read() as connection:
            state = db_projects.names_state(connection, cut)
            return readings.names_beginning(connection, cut.source_id, state[0], start) if state is not None else []


def _all(connection: Connection, cut: Cut) -> Iterator[PackageName]:
    return (key[1] for key in db_listings.current_keys(connection, cut, "package"))
