"""The packages of a CRAN mirror at a cut, as a closure and a proposal look at them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

from entrepot.app import App
from entrepot.core import closure
from entrepot.core.model import File, FileStatus, Listed, PackageName
from entrepot.core.proposals import Item, ItemChange
from entrepot.core.releases import Dependency
from entrepot.core.snapshots import Cut
from entrepot.db import files as db_files
from entrepot.db import listings as db_listings
from entrepot.ecosystems.r import dependencies, lists, packages
from entrepot.ecosystems.r.base import BASE
from entrepot.ecosystems.r.versions import version_key


class CranShelf:
    """`core.closure.Shelf` of a CRAN mirror at a cut."""

    def __init__(self, app: App, cut: Cut) -> None:
        self._app, self._cut = app, cut
        with app.db.read() as connection:
            rows = db_listings.visible(connection, cut, status=FileStatus.CURRENT)
        self._current = {row.file.package: row for row in rows}
        self._every: dict[str, list[Listed]] = {}
        self._needs: dict[int, Mapping[str, Sequence[Dependency]]] = {}

    @property
    def names(self) -> Collection[str]:
        return self._current.keys()

    def current(self, package: str) -> Listed | None:
        return self._current.get(PackageName(package))

    def every(self, package: str) -> Sequence[Listed]:
        if package not in self._every:
            self.load([package])
        return self._every[package]

    def load(self, some: Iterable[str]) -> None:
        """Have all versions of some packages at hand, with one look."""
        wanted = {PackageName(name) for name in some} - self._every.keys()
        self._every |= {name: [] for name in wanted}
        with self._app.db.read() as connection:
            for row in db_listings.visible_of(connection, self._cut, wanted) if wanted else ():
                self._every[row.file.package].append(row)

    def needs(self, file: File) -> Mapping[str, Sequence[Dependency]] | None:
        if file.fields is None:
            return self._needs.get(file.id)
        if file.id not in self._needs:
            self._needs[file.id] = _Needs(packages.read_fields(file.fields))
        return self._needs[file.id]

    def give_up(self, some: Iterable[File]) -> None:
        """Take it that these versions, which nobody can read, need nothing."""
        self._needs |= {file.id: {} for file in some}

    def read_again(self, file_ids: Collection[int]) -> None:
        """Learn of what was read of some versions meanwhile."""
        with self._app.db.read() as connection:
            files = db_files.by_ids(connection, file_ids)

        def anew(row: Listed) -> Listed:
            read = files.get(row.file.id)
            return row if read is None else row._replace(file=row.file._replace(fields=read.fields))

        self._current = {name: anew(row) for name, row in self._current.items()}
        self._every = {name: [anew(row) for row in rows] for name, rows in self._every.items()}

    def comes_with_r(self, name: str) -> bool:
        # What was a package of CRAN once and came to R later is drawn from CRAN as long as it was there.
        return name in BASE and PackageName(name) not in self._current

    def satisfies(self, version: str, specifier: str) -> bool:
        return lists.satisfies(version, specifier)

    def newest(self, rows: Iterable[Listed]) -> Listed:
        return max(rows, key=lambda row: version_key(row.file.version))


_FIELDS = {
    kind: field for field in dependencies.FIELDS for kind in closure.KINDS if kind.replace("-", "") == field.lower()
}


class _Needs(Mapping[str, Sequence[Dependency]]):
    """The dependencies in an index entry by their kinds; a field is read when it is looked at, which most are not."""

    def __init__(self, fields: Mapping[str, str]) -> None:
        self._fields = fields
        self._read: dict[str, Sequence[Dependency]] = {}

    def __getitem__(self, kind: str) -> Sequence[Dependency]:
        if kind not in self._read:
            self._read[kind] = dependencies.parse(self._fields.get(_FIELDS[kind], ""))
        return self._read[kind]

    def __iter__(self) -> Iterator[str]:
        return iter(_FIELDS)

    def __len__(self) -> int:
        return len(_FIELDS)


def item_of(file: File, listed: File | None, *, why: tuple[str, ...] = (), asked: str = "") -> Item:
    """A package as a proposal tells it: the version that would be current, and the one that is."""
    fields = packages.read_fields(file.fields or "")
    is_same = listed is None or listed.id == file.id
    before = fields if is_same or listed is None else packages.read_fields(listed.fields or "")
    return Item(
        package=file.package,
        version=file.version,
        previous=listed.version if listed is not None else None,
        change=_change(file, listed),
        license=fields.get("License"),
        needs_compilation=fields.get("NeedsCompilation"),
        why=why,
        asked=asked,
        size=file.size,
        license_before=before.get("License") if listed is not None else None,
    )


def _change(file: File, listed: File | None) -> ItemChange:
    if listed is None:
        return ItemChange.ADDED
    if listed.id == file.id:
        return ItemChange.UNCHANGED
    is_newer = version_key(file.version) >= version_key(listed.version)
    return ItemChange.UPDATED if is_newer else ItemChange.DOWNGRADED
