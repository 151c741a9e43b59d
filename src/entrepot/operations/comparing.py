"""What differs between two snapshots of a repository or of a source."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from operator import itemgetter
from typing import TypeVar

from packaging.utils import canonicalize_version
from sqlalchemy import Connection

from entrepot.app import App
from entrepot.core import comparing
from entrepot.core.comparing import Difference, Standing
from entrepot.core.compose import compose
from entrepot.core.errors import Invalid
from entrepot.core.model import Listed, PackageName, Sha256
from entrepot.core.releases import Release, ReleaseFile
from entrepot.core.snapshots import PRESENT, Cut
from entrepot.db import entries, readings
from entrepot.db import files as db_files
from entrepot.db import listings as db_listings
from entrepot.db import projects as db_projects
from entrepot.ecosystems.python import jsonapi
from entrepot.ecosystems.r.licenses import license_of
from entrepot.ecosystems.r.versions import version_key
from entrepot.operations import browsing
from entrepot.operations.browsing import Opened
from entrepot.operations.listing import documents_of
from entrepot.storage import Key

CurrentKey = tuple[int, PackageName, str, int]
"""(file id, package, version, source id) of a current file."""
T = TypeVar("T")

_PROJECTS = 500
"""Python projects whose files are in memory at once."""
_AT_ONCE = 16
"""Documents that are read from the store at once."""


@dataclass(frozen=True, slots=True)
class End:
    """One of the two snapshots: as it was asked for, and how many packages are in its index."""

    snapshot: str
    packages: int


@dataclass(frozen=True, slots=True)
class Comparison:
    """What differs from `start` to `end`.

    `is_partial`: projects of an index that is read by the project are compared as far as they were read; of others
    nothing is said, and upstream isn't asked.
    """

    start: End
    end: End
    difference: Difference
    is_partial: bool


def compare(
    app: App,
    *,
    repo: str | None = None,
    source: str | None = None,
    start: str,
    end: str = "latest",
    bioc_version: str | None = None,
) -> Comparison:
    """The difference between two snapshots of a repository, or of a source; `start` may be the later one.

    Raises:
        NotFound: there is no such repository, source or snapshot.
        NeverSynced: the mirror has nothing yet.
    """
    ends = [_open(app, repo, source, snapshot, bioc_version) for snapshot in (start, end)]
    # The version of the catalogue stands for all that may be learnt of what the cuts show.
    seen = tuple((opened.version, opened.cuts) for opened in ends)
    found: Comparison = app.compared.get((seen, start, end), lambda: _compare(app, ends, start, end))
    return found


def _compare(app: App, ends: Sequence[Opened], start: str, end: str) -> Comparison:
    keys = [_keys(app, opened) for opened in ends]
    differing = [set(keys[0]) - set(keys[1]), set(keys[1]) - set(keys[0])]
    names = {key[1] for some in differing for key in some}
    names -= _unknown(app, ends, keys, names)
    states = [_states(app, opened, some, names) for opened, some in zip(ends, differing, strict=True)]
    versions = {standing.version for state in states for standing in state.values()}
    difference = comparing.compare(
        *states,
        archived=_archived(app, ends[1], states[0].keys() - states[1].keys()),
        ranks=ends[1].dialect.ranks(versions),
        major=_major_of_r if _is_r(ends) else _major_of_python,
    )
    counts = [len({key[1] for key in some}) for some in keys]
    return Comparison(
        End(start, counts[0]), End(end, counts[1]), difference, any(opened.read_by_project for opened in ends)
    )


def _open(app: App, repo: str | None, source: str | None, snapshot: str, bioc_version: str | None) -> Opened:
    if (repo is None) == (source is None):
        raise Invalid("name either a repository or a source")
    if repo is not None:
        return browsing.open_repository(app, repo, snapshot, bioc_version=bioc_version)
    return browsing.open_source(app, source or "", snapshot, bioc_version=bioc_version)


def _is_r(ends: Sequence[Opened]) -> bool:
    return all(opened.has_archive for opened in ends)


def _major_of_r(version: str) -> object | None:
    return version_key(version)[1][:1] or None


def _major_of_python(version: str) -> object | None:
    is_version, parsed = jsonapi.version_key(version)
    return (parsed.epoch, parsed.major) if is_version else None


class _Keys:
    """`core.compose.Layer`: the current files of one source at its cut, by their keys."""

    def __init__(self, connection: Connection, cut: Cut) -> None:
        self._connection = connection
        self._cut = cut
        rows = db_listings.current_keys(connection, cut, "version")
        self._rows = [(id_, package, version, cut.source_id) for id_, package, version in rows]

    def listed(self) -> list[CurrentKey]:
        return self._rows

    def names_among(self, names: Collection[PackageName]) -> set[PackageName]:
        found = {key[1] for key in self._rows}.intersection(names)
        missing = set(names) - found
        return found | (db_listings.names_among(self._connection, self._cut, missing) if missing else set())


def _keys(app: App, opened: Opened) -> list[CurrentKey]:
    """All current files of a snapshot, ordered by package; a curated source may have the file of its mirror."""
    with app.db.read() as connection:
        return compose([_Keys(connection, cut) for cut in opened.cuts], itemgetter(1))


def _states(
    app: App, opened: Opened, differing: Iterable[CurrentKey], names: Collection[PackageName]
) -> dict[PackageName, Standing]:
    """How the packages stand of which something differs."""
    if opened.has_archive:
        return _states_of_r(app, opened, [key for key in differing if key[1] in names])
    return dict(_states_of_python(app, opened, names))


def _states_of_r(app: App, opened: Opened, differing: Sequence[CurrentKey]) -> dict[PackageName, Standing]:
    with app.db.read() as connection:
        licenses = {
            id_: license_of(text) for id_, text in entries.of(connection, [key[0] for key in differing]).items()
        }
    sources = opened.names
    return {
        package: Standing(version, sources[source_id], frozenset((id_,)), licenses.get(id_))
        for id_, package, version, source_id in differing
    }


def _states_of_python(
    app: App, opened: Opened, names: Collection[PackageName]
) -> Iterator[tuple[PackageName, Standing]]:
    """Projects are loaded with all their files: which of these stands for one is told by all of them."""
    sources = opened.names
    for some in _pieces(sorted(names), _PROJECTS):
        rows: defaultdict[PackageName, list[Listed]] = defaultdict(list)
        for row in opened.view.current_of(some):
            rows[row.file.package].append(row)
        found = {name: known for name, files in rows.items() if (known := opened.dialect.releases(files)) is not None}
        licenses = _licenses(app, opened, {name: known.latest for name, known in found.items()})
        for name, known in found.items():
            yield (
                name,
                Standing(
                    known.latest.version,
                    sources[known.latest.file.source_id],
                    frozenset(row.file.id for row in rows[name]),
                    licenses.get(name),
                    frozenset(canonicalize_version(release.version) for release in known.every),
                ),
            )


def _licenses(app: App, opened: Opened, latest: Mapping[PackageName, Release]) -> dict[PackageName, str | None]:
    """What the metadata documents say that the database or the store has; of each release the first that is there."""
    files = {name: _one_of_each_kind(release) for name, release in latest.items()}
    name_of = {each.file.id: name for name, some in files.items() for each in some}
    with app.db.read() as connection:
        kept = db_files.documents(connection, name_of)
    texts = {name: kept[id_] for id_, name in reversed(name_of.items()) if id_ in kept}
    offered = documents_of(opened, [each for name, some in files.items() if name not in texts for each in some])
    texts |= _stored(app, {name: offered[id_] for id_, name in reversed(name_of.items()) if id_ in offered})
    return {name: opened.dialect.describe(None, text).license for name, text in texts.items()}


def _one_of_each_kind(release: Release) -> list[ReleaseFile]:
    """Of a release with hundreds of wheels the first one, and the first sdist."""
    return list({each.kind: each for each in reversed(release.files)}.values())[::-1]


def _stored(app: App, wanted: Mapping[PackageName, Sha256]) -> dict[PackageName, str]:
    """The documents that the store has, which may be far away."""
    if not wanted:
        return {}
    with ThreadPoolExecutor(min(_AT_ONCE, len(wanted))) as pool:
        found = list(pool.map(lambda sha256: app.storage.get_bytes(Key.blob(sha256)), wanted.values()))
    return {name: text.decode("utf-8", "replace") for name, text in zip(wanted, found, strict=True) if text is not None}


def _archived(app: App, opened: Opened, gone: Collection[PackageName]) -> set[PackageName]:
    """Those of the packages without a current version that have archived ones."""
    if not gone or not opened.has_archive:
        return set()
    with app.db.read() as connection:
        return {name for cut in opened.cuts for name in db_listings.names_among(connection, cut, gone)}


def _unknown(
    app: App, ends: Sequence[Opened], keys: Sequence[Sequence[CurrentKey]], names: Collection[PackageName]
) -> set[PackageName]:
    """The projects of which nothing can be said: at one of the ends it isn't known what their index has."""
    unknown: set[PackageName] = set()
    for opened, some in zip(ends, keys, strict=True):
        for number, cut in enumerate(opened.cuts):
            if opened.sources[cut.source_id].is_read_by_project:
                later = {other.source_id for other in opened.cuts[number + 1 :]}
                hidden = {key[1] for key in some if key[3] in later and key[1] in names}
                unknown |= _undated(app, ends, cut, names) | _unread(app, cut, hidden)
    return unknown


def _undated(app: App, ends: Sequence[Opened], cut: Cut, names: Collection[PackageName]) -> set[PackageName]:
    """Those of which upstream gives no times, if one of the ends is a past one, which shows nothing of them then."""
    if all(other.at is None for opened in ends for other in opened.cuts):
        return set()
    with app.db.read() as connection:
        found = readings.of(connection, cut.source_id, names)
    return {name for name, reading in found.items() if not reading.is_dated}


def _unread(app: App, cut: Cut, names: Collection[PackageName]) -> set[PackageName]:
    """Those of names that a later source lists which this one may hide: its list has them, and nobody asked for them.

    At present a page without files hides them too.
    """
    if not names:
        return set()
    with app.db.read() as connection:
        state = db_projects.names_state(connection, cut)
        listed = db_projects.names_among(connection, cut.source_id, state[0], names) if state is not None else set()
        read = readings.of(connection, cut.source_id, names)
    empty = {name for name, reading in read.items() if cut.upto == PRESENT and reading.is_there}
    return empty | (listed - read.keys())


def _pieces(rows: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    return (rows[at : at + size] for at in range(0, len(rows), size))
