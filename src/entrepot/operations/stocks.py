"""What sources have at their cuts, as a search looks at it: made once for all repositories that show the same, and
kept for those that were searched last."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter
from typing import NamedTuple, TypeVar

from entrepot.app import App
from entrepot.core.model import PackageName, Sha256, Source, SourceType, TransactionId
from entrepot.core.searching import LongNames, fold, places, text_of
from entrepot.core.snapshots import Cut
from entrepot.db import files as db_files
from entrepot.db import projects as db_projects
from entrepot.db import searchable as db_searchable
from entrepot.db.searchable import Current, Newest
from entrepot.ecosystems.python import entry as entries
from entrepot.ecosystems.r.licenses import license_of, title_of
from entrepot.ecosystems.r.relations import names_needed
from entrepot.operations import dialects, shelves
from entrepot.operations.listing import read_documents
from entrepot.operations.shelves import Shelf

ROW = 450
"""Bytes of memory that a package takes here, roughly."""
SPAN = 300
"""Seconds after which it is looked again at what was read of mirrors whose projects are read one by one."""
MOST_READ = 500
"""Metadata documents of mirrored files that are read for one stock; the others have their turn later."""
_DOCUMENTS = 2000
_NAME, _TOLD = 100, 400
"""Bytes of memory, roughly, of a name in a set, and of what a document says in short."""
T = TypeVar("T")
_OF_MIRRORS = frozenset({SourceType.PYPI, SourceType.CURATED_PYPI})
"""Python sources whose files' metadata documents come when clients ask for them."""

building = threading.RLock()
"""One is made at a time: who waits meanwhile mostly wants the same one."""


@dataclass(frozen=True, slots=True)
class Stock:
    """The current packages of a source at a cut: columns of one row a package, ordered by name.

    `ids` are those of the files that stand for the packages, `versions` theirs (empty for Python, where that takes all
    files of a project), `folded` and `texts` what queries are looked for in, `licenses` numbers of `every_license`,
    `published` seconds since 1970 or -1. `needed` counts the packages that need a package, of these here; `place` is
    that of each row by this count. `wheels` are the Python projects that have some.
    """

    names: Sequence[PackageName]
    ids: Sequence[int]
    versions: Sequence[str]
    titles: Sequence[str | None]
    folded: Sequence[str]
    texts: Sequence[str]
    licenses: Sequence[int]
    every_license: Sequence[str | None]
    published: Sequence[int]
    needed: Mapping[str, int]
    place: Sequence[int]
    wheels: frozenset[PackageName] | None = None

    @property
    def weight(self) -> int:
        return ROW * (len(self.names) + 1)


class Told(NamedTuple):
    """What a metadata document says in short."""

    title: str | None
    license: str | None


def kept_under(app: App, cut: Cut, source: Source, filled: Mapping[int, int]) -> tuple[object, ...]:
    """Names all that a stock depends on; `filled` tells of mirrors how often more was learnt of their packages."""
    moves = int(app.clock().timestamp()) // SPAN if source.type in _OF_MIRRORS else None
    return "stock", cut, filled.get(cut.files_of, 0), moves


def stock_of(app: App, cut: Cut, source: Source, filled: Mapping[int, int]) -> Stock:
    """What a source has at a cut."""
    make = _of_r if source.has_archive else _of_python
    key = kept_under(app, cut, source, filled)
    return kept(app, key, lambda: make(app, cut, source), weigh=lambda stock: stock.weight)


def long_names(app: App, source_id: int, at: TransactionId) -> LongNames:
    """The list of names of that transaction, of a source that is read by the project."""

    def make() -> LongNames:
        return LongNames(db_projects.all_names(app.db, source_id, at))

    return kept(app, ("names", source_id, at), make, weigh=lambda long: long.weight)


def with_binaries(app: App, cut: Cut, stock: Stock, some: Sequence[Shelf]) -> frozenset[PackageName]:
    """The packages of a source of R whose current version has a binary package on one of the repository's shelves."""
    mine = shelves.of_source(some, cut, [shelf.platform for shelf in some]) if some else []
    if not mine:
        return frozenset()
    key = ("binaries", cut, tuple(sorted({shelf.key for shelf in mine})))
    return kept(app, key, lambda: _binaries(app, stock, mine), weigh=lambda found: _NAME * (len(found) + 1))


def kept(app: App, key: tuple[object, ...], make: Callable[[], T], *, weigh: Callable[[T], int]) -> T:
    """What is kept of searches under a key, which names all that it depends on; made if need be."""
    found: T | None = app.searched.find(key)
    if found is None:
        with building:
            found = app.searched.find(key)
            if found is None:
                found = make()
                app.searched.put(key, found, weigh(found))
    return found


def _of_r(app: App, cut: Cut, source: Source) -> Stock:
    with app.db.read() as connection:
        rows = db_searchable.current(connection, cut)
        told = db_searchable.titles(connection, cut.files_of)
    titles: list[str | None] = [told.get((row.package, row.version)) for row in rows]
    unread = [row.id for row, title in zip(rows, titles, strict=True) if title is None]
    documents = _titles(app, unread)
    titles = [title or documents.get(row.id) for row, title in zip(rows, titles, strict=True)]
    needed: Counter[str] = Counter()
    for row in rows:
        needed.update(needs(row.entry))
    return _stock(
        source,
        [(row.package, row.id, row.published) for row in rows],
        titles,
        _licenses(rows),
        versions=[row.version for row in rows],
        needed=dict(needed),
    )


def needs(entry: str | None) -> set[str]:
    """The packages that an index entry of R names as needed, in whatever way."""
    return {name for _, some in names_needed(entry) for name in some} if entry else set()


def _licenses(rows: Iterable[Current]) -> list[str | None]:
    return [license_of(row.entry) for row in rows]


def _titles(app: App, file_ids: Sequence[int]) -> dict[int, str]:
    """File id -> the title in its metadata document, of those whose document is kept with the catalogue."""
    found: dict[int, str] = {}
    for start in range(0, len(file_ids), _DOCUMENTS):
        with app.db.read() as connection:
            some = db_files.documents(connection, file_ids[start : start + _DOCUMENTS])
        found.update((id_, title) for id_, text in some.items() if (title := title_of(text)) is not None)
    return found


def _of_python(app: App, cut: Cut, source: Source) -> Stock:
    with app.db.read() as connection:
        every = db_searchable.newest(connection, cut)
        if source.is_read_by_project and every:
            # What is on the list of names no more isn't shown, be it known.
            state = db_projects.names_state(connection, cut)
            told = {row.package for row in every}
            listed = db_projects.names_among(connection, cut.source_id, state[0], told) if state is not None else set()
            every = [row for row in every if row.package in listed]
    of = {name: list(rows) for name, rows in groupby(every, key=attrgetter("package"))}
    said = _said(app, cut, source, of)
    return _stock(
        source,
        [(name, rows[0].id, rows[0].published) for name, rows in of.items()],
        [said[name].title for name in of],
        [said[name].license for name in of],
        wheels=frozenset(name for name, rows in of.items() if rows[0].has_wheel),
    )


def _said(app: App, cut: Cut, source: Source, of: Mapping[PackageName, Sequence[Newest]]) -> dict[PackageName, Told]:
    """What is at hand of each project's newest files."""
    nothing = Told(None, None)
    offered = _offered(app, of)
    read = _read(app, cut, set(offered.values()), bounded=source.type in _OF_MIRRORS)
    said = {name: read.get(offered[name], nothing) if name in offered else nothing for name in of}
    rest = {rows[0].id: name for name, rows in of.items() if name not in offered}
    ids = list(rest)
    for start in range(0, len(ids), _DOCUMENTS):
        with app.db.read() as connection:
            some = db_files.documents(connection, ids[start : start + _DOCUMENTS])
        said.update((rest[id_], _in_short(text)) for id_, text in some.items())
    return said


def _offered(app: App, of: Mapping[PackageName, Sequence[Newest]]) -> dict[PackageName, Sha256]:
    """The metadata document that is offered beside one of a project's newest files, of those that have any."""
    found: dict[PackageName, Sha256] = {}
    for name, rows in of.items():
        documented = (row.entry for row in rows if entries.has_metadata(row.entry))
        sha256 = next((told for each in documented if (told := entries.unpack(each).core_metadata) is not None), None)
        if sha256 is not None:
            found[name] = sha256
    ids = [row.id for name, rows in of.items() if name not in found for row in rows]
    hashes: dict[int, Sha256] = {}
    for start in range(0, len(ids), _DOCUMENTS):
        with app.db.read() as connection:
            some = db_projects.metadata_hashes(connection, ids[start : start + _DOCUMENTS])
        hashes.update((id_, sha256) for id_, (sha256, _) in some.items())
    for name, rows in of.items():
        if name not in found and (read := next((hashes[row.id] for row in rows if row.id in hashes), None)):
            found[name] = read
    return found


def _read(app: App, cut: Cut, wanted: Collection[Sha256], *, bounded: bool) -> Mapping[Sha256, Told]:
    """What some metadata documents say, as far as the store has them. Each is read once; of mirrored ones, that may not
    be there, some at a time."""
    key = ("documents", cut.files_of)
    known: Mapping[Sha256, Told] = app.searched.find(key) or {}
    unread = sorted(sha256 for sha256 in wanted if sha256 not in known)
    if bounded and len(unread) > MOST_READ:
        turn = int(app.clock().timestamp()) // SPAN * MOST_READ % len(unread)
        unread = (unread[turn:] + unread[:turn])[:MOST_READ]
    texts = read_documents(app, unread)
    read = {sha256: _in_short(text) for sha256, text in texts.items()}
    found = {sha256: known[sha256] for sha256 in wanted if sha256 in known} | read
    app.searched.put(key, found, _TOLD * (len(found) + 1))
    return found


def _in_short(text: str) -> Told:
    described = dialects.PYTHON.describe(None, text)
    return Told(described.title, described.license)


def _stock(
    source: Source,
    rows: Sequence[tuple[PackageName, int, int | None]],
    titles: Sequence[str | None],
    licenses: Sequence[str | None],
    *,
    versions: Sequence[str] = (),
    needed: Mapping[str, int] | None = None,
    wheels: frozenset[PackageName] | None = None,
) -> Stock:
    """A stock of (package, file id, time of publication) and what else is known of each."""
    form = dialects.of_source(source).form
    folded = [form(fold(name)) for name, _, _ in rows]
    numbers: dict[str | None, int] = {}
    return Stock(
        names=[name for name, _, _ in rows],
        ids=[id_ for _, id_, _ in rows],
        versions=versions,
        titles=titles,
        folded=folded,
        texts=[text_of(name, title) for name, title in zip(folded, titles, strict=True)],
        licenses=[numbers.setdefault(each, len(numbers)) for each in licenses],
        every_license=list(numbers),
        published=[-1 if time is None else time for _, _, time in rows],
        needed=needed or {},
        place=places([name for name, _, _ in rows], {}, needed or {}),
        wheels=wheels,
    )


def _binaries(app: App, stock: Stock, some: Sequence[Shelf]) -> frozenset[PackageName]:
    current = dict(zip(stock.names, zip(stock.versions, stock.ids, strict=True), strict=True))
    nothing = ("", 0)
    found: set[PackageName] = set()
    for shelf in some:
        with app.db.read() as connection:
            if shelf.is_mirror:
                rows = db_searchable.ever_binary(connection, shelf.cut)
                found.update(name for name, version in rows if current.get(name, nothing)[0] == version)
            else:
                # Those of our own count if they came after the source package (`operations.shelves`).
                own = db_searchable.binary_now(connection, shelf.cut)
                found.update(
                    name
                    for name, version, id_ in own
                    if name in current and current[name][0] == version and id_ > current[name][1]
                )
    return frozenset(found)
