"""R packages as people are told of them: which version stands for a package, and what DESCRIPTION says."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from entrepot.core.model import File, FileStatus, Listed
from entrepot.core.releases import Dependency, Described, Release, ReleaseFile, Releases, links_of, people
from entrepot.ecosystems.r import dcf, dependencies
from entrepot.ecosystems.r.base import BASE, R
from entrepot.ecosystems.r.lists import HOLDS
from entrepot.ecosystems.r.versions import version_key

_SEPARATOR = re.compile(r"[\s,]+")


def releases(rows: Sequence[Listed]) -> Releases | None:
    """The visible files of a package; the current one stands for it, else the newest archived one."""
    if not rows:
        return None
    newest_first = sorted(rows, key=lambda row: version_key(row.file.version), reverse=True)
    every = tuple(Release(row.file.version, (ReleaseFile(row, "source"),)) for row in newest_first)
    current = (release for release in every if release.files[0].listed.status is FileStatus.CURRENT)
    return Releases(every, next(current, every[0]))


@dataclass(frozen=True, slots=True)
class Standing:
    """`core.releases.Standing`: one version is current at most."""

    files: Mapping[int, File]

    def version(self, rows: Collection[tuple[int, FileStatus]]) -> str | None:
        return next((self.files[id_].version for id_, status in rows if status is FileStatus.CURRENT), None)

    def yanked(self, _: Collection[tuple[int, FileStatus]]) -> Collection[str]:
        return ()


def find(known: Releases, version: str) -> Release | None:
    """The release of a version, which has to be written as the package writes it."""
    return next((release for release in known.every if release.version == version), None)


def comes_along(name: str) -> bool:
    """Whether it is R itself, or what comes with every R."""
    return name == R or name in BASE


def admits(dependency: Dependency, version: str) -> bool | None:
    """Whether a version is within the bound of a dependency."""
    if dependency.operator is None or dependency.version is None:
        return True
    holds = HOLDS.get(dependency.operator)
    return holds(version_key(version), version_key(dependency.version)) if holds is not None else None


def extra(_: Dependency) -> str | None:
    """R packages have none."""
    return None


def describe(entry: str | None, document: str | None) -> Described:
    """What an index entry (DCF lines) and the whole DESCRIPTION say, as far as they are known."""
    index = dcf.parse_one(entry) if entry else {}
    whole = dcf.parse_one(document) if document else {}
    fields = whole or index
    return Described(
        title=whole.get("Title"),
        description=fields.get("Description"),
        license=index.get("License"),
        needs_compilation=index.get("NeedsCompilation"),
        dependencies=dependencies.of_description(fields),
        fields=fields,
        maintainer=people(whole.get("Maintainer")),
        authors=people(whole.get("Author")),
        links=links_of(_links(whole)),
    )


def _links(fields: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for field, label in (("URL", "Home page"), ("BugReports", "Bug reports")):
        for url in _SEPARATOR.split(fields.get(field, "")):
            yield label, url
