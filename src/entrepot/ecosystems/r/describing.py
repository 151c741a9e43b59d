"""R packages as people are told of them: which version stands for a package, and what DESCRIPTION says."""

from __future__ import annotations

from collections.abc import Sequence

from entrepot.core.model import FileStatus, Listed
from entrepot.core.releases import Described, Release, ReleaseFile, Releases
from entrepot.ecosystems.r import dcf, dependencies
from entrepot.ecosystems.r.versions import version_key


def releases(rows: Sequence[Listed]) -> Releases | None:
    """The visible files of a package; the current one stands for it, else the newest archived one."""
    if not rows:
        return None
    newest_first = sorted(rows, key=lambda row: version_key(row.file.version), reverse=True)
    every = tuple(Release(row.file.version, (ReleaseFile(row, "source"),)) for row in newest_first)
    current = (release for release in every if release.files[0].listed.status is FileStatus.CURRENT)
    return Releases(every, next(current, every[0]))


def find(known: Releases, version: str) -> Release | None:
    """The release of a version, which has to be written as the package writes it."""
    return next((release for release in known.every if release.version == version), None)


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
    )
