"""Which files of a project a list of Python requirements admits: a filter, not a resolution."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import lru_cache
from itertools import combinations, groupby
from math import comb
from operator import attrgetter

from packaging.specifiers import SpecifierSet
from packaging.version import InvalidVersion, Version

from entrepot.core.errors import Contradiction, TooLarge
from entrepot.core.model import Listed
from entrepot.core.requirements import Requirement
from entrepot.ecosystems.python import jsonapi
from entrepot.ecosystems.python.entry import unpack
from entrepot.ecosystems.python.narrowing import Narrowing, keeps

MOST_LINES = 1000
"""Lines about one project; each is held against all of its versions."""
_MOST_TOGETHER = 3
"""Bounds of a contradiction of which the smallest number is looked for; of more, such that none could be left out."""
_MOST_TRIED = 50_000
"""Combinations of bounds that are looked at for that."""
_Bound = tuple[Requirement, str]
"""A bound, and the line that has it."""


def admitted(rows: Sequence[Listed], lines: Sequence[Requirement]) -> list[Listed]:
    """The files that the lines about their project admit, in their order.

    Lines for the same environment hold together; of those for different environments (markers) each admits its own. A
    bare name admits every version, a pre-release too.

    Raises:
        Contradiction: no version satisfies the lines for some environment; it names the fewest that clash.
        TooLarge: there are too many lines.
    """
    if len(lines) > MOST_LINES:
        raise TooLarge(
            f"{len(lines)} lines are about {lines[0].package}; at most {MOST_LINES} are taken",
            hint="say it with fewer bounds",
        )
    found: set[int] = set()
    for _, group in groupby(sorted(lines, key=attrgetter("marker")), key=attrgetter("marker")):
        together = list(group)
        fitting = _fitting(rows, together)
        if not fitting and not any(line.hashes for line in together):
            raise _contradiction(rows, together)
        found.update(row.file.id for row in fitting)
    return [row for row in rows if row.file.id in found]


def narrowed(rows: Iterable[Listed], narrowing: Narrowing, removed: Iterable[str]) -> list[Listed]:
    """Those that fit the wanted platforms and Pythons, without versions and files that were taken out by hand."""
    out = set(removed)
    return [
        row
        for row in rows
        if not {row.file.version, row.file.name} & out
        and keeps(narrowing, row.file.name, unpack(row.file.fields).requires_python)
    ]


def _fitting(rows: Sequence[Listed], lines: Sequence[Requirement]) -> list[Listed]:
    hashes = {sha256 for line in lines for sha256 in line.hashes}
    versions = {row.file.version for row in rows}
    for part in dict.fromkeys(part for line in lines for part in _parts(line)):
        versions = _within(versions, part)
    return [row for row in rows if row.file.version in versions and (not hashes or row.file.sha256 in hashes)]


def _parts(line: Requirement) -> list[str]:
    """The bounds of a line, one by one."""
    return [part for part in line.specifier.split(",") if part]


def _within(versions: Iterable[str], bound: str) -> set[str]:
    """Those within one bound; what isn't a version (PEP 440) is within none but that which names it."""
    if bound.startswith("==="):
        return {version for version in versions if version.lower() == bound[3:].strip().lower()}
    specifier = SpecifierSet(bound)
    known = ((version, _version(version)) for version in versions)
    return {text for text, version in known if version is not None and specifier.contains(version, prereleases=True)}


@lru_cache(maxsize=16384)
def _version(text: str) -> Version | None:
    try:
        return Version(text)
    except InvalidVersion:
        return None


def _contradiction(rows: Sequence[Listed], lines: Sequence[Requirement]) -> Contradiction:
    versions = {row.file.version for row in rows}
    smallest = _smallest(_strictest(versions, [(line, part) for line in lines for part in _parts(line)]))
    said = " and ".join(dict.fromkeys(line.where for line, _ in smallest))
    package = lines[0].package
    newest = max(versions, key=jsonapi.version_key)
    return Contradiction(
        f"no version of {package} at this snapshot satisfies {said}",
        hint=f"the snapshot has {len(versions)} version{'s' if len(versions) > 1 else ''} up to {newest}",
        package=package,
        bounds=[part for _, part in smallest],
    )


def _strictest(versions: Collection[str], bounds: Iterable[_Bound]) -> dict[frozenset[str], _Bound]:
    """Bounds by the versions within them, without those that another one makes needless."""
    found: dict[frozenset[str], _Bound] = {}
    for bound in bounds:
        found.setdefault(frozenset(_within(versions, bound[1])), bound)
    return {within: bound for within, bound in found.items() if not any(other < within for other in found)}


def _smallest(bounds: Mapping[frozenset[str], _Bound]) -> list[_Bound]:
    """Of bounds that have no version in common, the fewest of which that is true."""
    for number in range(1, min(len(bounds), _MOST_TOGETHER) + 1):
        if comb(len(bounds), number) > _MOST_TRIED:
            break
        for some in combinations(bounds, number):
            if not frozenset.intersection(*some):
                return [bounds[within] for within in some]
    needed = list(bounds)
    for within in bounds:
        others = [other for other in needed if other != within]
        if not frozenset.intersection(*others):
            needed = others
    return [bounds[within] for within in needed]
