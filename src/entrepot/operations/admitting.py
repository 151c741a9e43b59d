"""Which files of a project a list of Python requirements admits: a filter, not a resolution."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import combinations, groupby
from operator import attrgetter

from packaging.specifiers import SpecifierSet
from packaging.version import InvalidVersion, Version

from entrepot.core.errors import Contradiction
from entrepot.core.model import Listed
from entrepot.core.requirements import Requirement
from entrepot.ecosystems.python import jsonapi
from entrepot.ecosystems.python.entry import unpack
from entrepot.ecosystems.python.narrowing import Narrowing, keeps


def admitted(rows: Sequence[Listed], lines: Sequence[Requirement]) -> list[Listed]:
    """The files that the lines about their project admit, in their order.

    Lines for the same environment hold together; of those for different environments (markers) each admits its own. A
    bare name admits every version, a pre-release too.

    Raises:
        Contradiction: no version satisfies the lines for some environment; it names the fewest that clash.
    """
    found: set[int] = set()
    for _, group in groupby(sorted(lines, key=attrgetter("marker")), key=attrgetter("marker")):
        together = list(group)
        fitting = [row for row in rows if _fits(row, together)]
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


def _fits(row: Listed, lines: Iterable[Requirement]) -> bool:
    hashes = {sha256 for line in lines for sha256 in line.hashes}
    if hashes and row.file.sha256 not in hashes:
        return False
    return all(_satisfies(row.file.version, line.specifier) for line in lines)


def _satisfies(version: str, specifier: str) -> bool:
    """Whether a version is within the bounds; one that isn't a version (PEP 440) is within none."""
    if not specifier:
        return True
    if specifier.startswith("==="):
        return version == specifier[3:].strip()
    try:
        return SpecifierSet(specifier).contains(Version(version), prereleases=True)
    except InvalidVersion:
        return False


def _contradiction(rows: Sequence[Listed], lines: Sequence[Requirement]) -> Contradiction:
    bounds = [(line, part) for line in lines for part in line.specifier.split(",") if part]
    versions = {row.file.version for row in rows}
    smallest = next(
        (
            some
            for number in (1, 2, 3)
            for some in combinations(bounds, number)
            if not any(all(_satisfies(version, part) for _, part in some) for version in versions)
        ),
        bounds,
    )
    said = " and ".join(dict.fromkeys(line.where for line, _ in smallest))
    package = lines[0].package
    newest = max(versions, key=jsonapi.version_key)
    return Contradiction(
        f"no version of {package} at this snapshot satisfies {said}",
        hint=f"the snapshot has {len(versions)} version{'s' if len(versions) > 1 else ''} up to {newest}",
        package=package,
        bounds=[part for _, part in smallest],
    )
