"""What a list of wanted R packages brings along: each package at one version, with the dependencies that it needs.

The rule is that of `install.packages`: a package that is asked for brings the kinds of dependencies that are wanted of
it, Suggests among them; what came along brings those without which it can't be installed.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce
from itertools import combinations
from operator import and_
from typing import NamedTuple, Protocol

from entrepot.core.errors import Contradiction, EntrepotError
from entrepot.core.model import File, Listed, PackageName
from entrepot.core.releases import Dependency
from entrepot.core.requirements import Requirement

KINDS = ("imports", "depends", "linking-to", "suggests", "enhances")
"""The kinds of dependencies, as administrators name them."""
WEAK = frozenset({"suggests", "enhances"})
"""Those without which a package can be installed."""
DEFAULT = ("imports", "depends", "linking-to")
ALL = (*DEFAULT, "suggests")
"""What `all` means."""
_MOST_ROUNDS = 20
"""How often a version is chosen anew because something that came along needs another one."""
_MOST_TOGETHER = 3
"""How many contradicting bounds are looked for in all combinations."""


class Shelf(Protocol):
    """The packages of a snapshot."""

    def current(self, package: str) -> Listed | None: ...

    def every(self, package: str) -> Sequence[Listed]:
        """All versions, archived ones too."""

    def needs(self, file: File) -> Mapping[str, Sequence[Dependency]] | None:
        """The dependencies of a version by their kinds; None while nobody has read them."""

    def comes_with_r(self, name: str) -> bool: ...

    def satisfies(self, version: str, specifier: str) -> bool: ...

    def newest(self, rows: Iterable[Listed]) -> Listed: ...


class Chosen(NamedTuple):
    """A package at the version that was chosen; `why` is the chain of packages that need it, from one that was asked
    for: empty for one that was asked for itself."""

    listed: Listed
    why: tuple[PackageName, ...]

    @property
    def file(self) -> File:
        return self.listed.file


class Lacking(NamedTuple):
    """A package that the snapshot doesn't have; `why` as of `Chosen`, `reason` in words."""

    name: str
    why: tuple[PackageName, ...]
    reason: str


@dataclass(frozen=True, slots=True)
class Closure:
    """What a list brings.

    Attributes:
        chosen: by package.
        missing: dependencies that are not to be had; they don't keep anybody from going on.
        unknown: what was asked for and is not to be had.
        unread: chosen versions whose dependencies nobody has read yet: the closure isn't whole until they are.
        unmet: where the snapshot itself doesn't fit together, in words.
        needs_r: the highest version of R that something needs, and what needs it.
    """

    chosen: dict[PackageName, Chosen]
    missing: tuple[Lacking, ...]
    unknown: tuple[Lacking, ...]
    unread: tuple[File, ...]
    unmet: tuple[str, ...]
    needs_r: tuple[str, PackageName] | None


def close(
    asked: Sequence[Requirement], shelf: Shelf, *, include: Iterable[str], barred: Sequence[Requirement] = ()
) -> Closure:
    """The closure of a list at a snapshot, in one pass over what it reaches.

    Args:
        asked: a package may be named more than once: the bounds of all hold.
        include: the kinds of dependencies that every line brings; its extras come on top.
        barred: bounds for packages that are not asked for by that; no fault of anybody if nothing is left of one.

    Raises:
        Contradiction: no version satisfies what is asked of a package, or what is asked for and needed.
    """
    wanted: dict[PackageName, list[Requirement]] = {}
    for requirement in asked:
        wanted.setdefault(requirement.package, []).append(requirement)
    bounds: dict[PackageName, list[_Bound]] = {}
    for requirement in (*asked, *barred):
        parts = [_Bound(requirement.where, part, ()) for part in requirement.specifier.split(",") if part]
        bounds.setdefault(requirement.package, []).extend(parts)
    for _ in range(_MOST_ROUNDS):
        walk = _Walk(shelf, wanted, bounds, frozenset(include))
        walk.run()
        if not walk.rechosen:
            return walk.closure()
    raise Contradiction("the versions that are asked for and those that are needed don't settle")


class _Bound(NamedTuple):
    """What is asked of the version of a package: by whom in words, the bound, and the chain to who needs it."""

    by: str
    specifier: str
    why: tuple[PackageName, ...]


@dataclass(slots=True)
class _Walk:
    shelf: Shelf
    wanted: Mapping[PackageName, Sequence[Requirement]]
    bounds: dict[PackageName, list[_Bound]]
    include: frozenset[str]
    chosen: dict[PackageName, Listed] = field(default_factory=dict)
    parents: dict[PackageName, PackageName | None] = field(default_factory=dict)
    missing: dict[str, PackageName] = field(default_factory=dict)
    unknown: dict[PackageName, str] = field(default_factory=dict)
    unread: dict[int, File] = field(default_factory=dict)
    unmet: dict[str, None] = field(default_factory=dict)
    needs_r: tuple[str, PackageName] | None = None
    rechosen: bool = False

    def run(self) -> None:
        faults: list[EntrepotError] = []
        for package in self.wanted:
            try:
                self._choose_asked(package)
            except Contradiction as error:
                faults.append(error)
        if faults:
            raise Contradiction.of_all(faults)
        queue: deque[tuple[PackageName, frozenset[str]]] = deque()
        seen: set[tuple[PackageName, frozenset[str]]] = set()
        for package, lines in self.wanted.items():
            if package in self.chosen:
                kinds = self.include.union(*(line.extras for line in lines))
                self._bring(package, kinds, kinds - WEAK, queue)
                seen.add((package, kinds - WEAK))
        while queue and not self.rechosen:
            package, kinds = queue.popleft()
            if (package, kinds) not in seen:
                seen.add((package, kinds))
                self._bring(package, kinds, kinds, queue)

    def _choose_asked(self, package: PackageName) -> None:
        current = self.shelf.current(package)
        bounds = self.bounds[package]
        if current is not None and self._fits(current, bounds):
            self._take(package, current, None)
            return
        every = self.shelf.every(package)
        fitting = [row for row in every if self._fits(row, bounds)]
        if not every:
            comes_with_r = self.shelf.comes_with_r(package)
            self.unknown[package] = "it comes with R itself" if comes_with_r else "the snapshot has no such package"
        elif fitting and (current is not None or bounds):
            self._take(package, self.shelf.newest(fitting), None)
        elif fitting:
            newest = self.shelf.newest(fitting).file.version
            self.unknown[package] = f"it is archived at this snapshot; ask for a version, such as {package}=={newest}"
        else:
            raise self._contradiction(package, every)

    def _fits(self, row: Listed, bounds: Iterable[_Bound]) -> bool:
        return all(self.shelf.satisfies(row.file.version, bound.specifier) for bound in bounds)

    def _take(self, package: PackageName, row: Listed, parent: PackageName | None) -> None:
        self.chosen[package] = row
        self.parents.setdefault(package, parent)

    def _bring(
        self,
        package: PackageName,
        kinds: frozenset[str],
        further: frozenset[str],
        queue: deque[tuple[PackageName, frozenset[str]]],
    ) -> None:
        """Take the dependencies of some kinds of a package, of which those of the `further` kinds are to follow."""
        file = self.chosen[package].file
        needs = self.shelf.needs(file)
        if needs is None:
            self.unread[file.id] = file
            return
        for kind in KINDS:
            for dependency in needs.get(kind, ()) if kind in kinds or kind == "depends" else ():
                if dependency.name == "R":
                    self._note_r(dependency, package)
                elif kind in kinds and not self.shelf.comes_with_r(dependency.name):
                    self._bring_one(package, dependency, further, queue)

    def _bring_one(
        self,
        package: PackageName,
        dependency: Dependency,
        further: frozenset[str],
        queue: deque[tuple[PackageName, frozenset[str]]],
    ) -> None:
        name = PackageName(dependency.name)
        if name not in self.chosen:
            row = self._row_along(name)
            if row is None:
                self.missing.setdefault(name, package)
                return
            self._take(name, row, package)
        self._check(package, name, dependency)
        queue.append((name, further))

    def _row_along(self, name: PackageName) -> Listed | None:
        """The version of a package that comes along: the current one, or the newest that isn't barred."""
        current = self.shelf.current(name) if name not in self.unknown else None
        bounds = self.bounds.get(name, ())
        if current is None or self._fits(current, bounds):
            return current
        fitting = [row for row in self.shelf.every(name) if self._fits(row, bounds)]
        return self.shelf.newest(fitting) if fitting else None

    def _check(self, package: PackageName, name: PackageName, dependency: Dependency) -> None:
        """See that the version that was chosen satisfies who needs it, or choose another one."""
        specifier = f"{dependency.operator}{dependency.version}" if dependency.version else ""
        row = self.chosen[name]
        if not specifier or self.shelf.satisfies(row.file.version, specifier):
            return
        needs = (
            f"{package} {self.chosen[package].file.version} needs {name} ({dependency.operator} {dependency.version})"
        )
        if not self.bounds.get(name):
            self.unmet[f"{needs}, the snapshot has {row.file.version}"] = None
            return
        self.bounds[name].append(_Bound(needs, specifier, self._chain(package)))
        every = self.shelf.every(name)
        if not any(self._fits(each, self.bounds[name]) for each in every):
            raise self._contradiction(name, every)
        self.rechosen = True

    def _note_r(self, dependency: Dependency, package: PackageName) -> None:
        if dependency.operator != ">=" or dependency.version is None:
            return
        if self.needs_r is None or not self.shelf.satisfies(self.needs_r[0], f">={dependency.version}"):
            self.needs_r = dependency.version, package

    def _contradiction(self, package: PackageName, every: Sequence[Listed]) -> Contradiction:
        """The smallest number of bounds that no version satisfies together; of more than three, such that none of them
        could be left out."""
        return self._told(package, _smallest(self._admitting(self.bounds[package], every)), every)

    def _admitting(self, bounds: Iterable[_Bound], every: Sequence[Listed]) -> dict[int, _Bound]:
        """The strictest bounds by the versions that they admit, a bit for each: thousands of lines may be about one
        package, and of those that admit the same, or more than another one, none is needed."""
        found: dict[int, _Bound] = {}
        for bound in bounds:
            found.setdefault(sum(1 << n for n, row in enumerate(every) if self._fits(row, [bound])), bound)
        return {
            admits: bound
            for admits, bound in found.items()
            if not any(other & admits == other != admits for other in found)
        }

    def _told(self, package: PackageName, bounds: Sequence[_Bound], every: Sequence[Listed]) -> Contradiction:
        said = " and ".join(
            dict.fromkeys(b.by + (f" (by way of {' > '.join(b.why)})" if len(b.why) > 1 else "") for b in bounds)
        )
        current = self.shelf.current(package)
        has = f"{current.file.version} is current" if current is not None else "none is current"
        newest, number = self.shelf.newest(every).file.version, len(every)
        return Contradiction(
            f"no version of {package} at this snapshot satisfies {said}",
            hint=f"the snapshot has {number} version{'s' if number > 1 else ''} up to {newest}, {has}",
            package=package,
            bounds=[bound.specifier for bound in bounds],
        )

    def closure(self) -> Closure:
        missing = (
            Lacking(name, self._chain(parent), "the snapshot has no such package")
            for name, parent in self.missing.items()
        )
        return Closure(
            {package: Chosen(row, self._chain(self.parents[package])) for package, row in self.chosen.items()},
            tuple(missing),
            tuple(Lacking(name, (), reason) for name, reason in self.unknown.items()),
            tuple(self.unread.values()),
            tuple(self.unmet),
            self.needs_r,
        )

    def _chain(self, package: PackageName | None) -> tuple[PackageName, ...]:
        chain: list[PackageName] = []
        while package is not None:
            chain.append(package)
            package = self.parents[package]
        return tuple(reversed(chain))


def _smallest(bounds: Mapping[int, _Bound]) -> list[_Bound]:
    """Of bounds by what they admit, which together is nothing, the fewest of which that is true."""
    for number in range(1, min(len(bounds), _MOST_TOGETHER) + 1):
        for some in combinations(bounds, number):
            if not reduce(and_, some):
                return [bounds[admits] for admits in some]
    needed = list(bounds)
    for admits in list(bounds):
        others = [each for each in needed if each != admits]
        if not reduce(and_, others):
            needed = others
    return [bounds[admits] for admits in needed]
