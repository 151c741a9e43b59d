"""Answers a client of a CRAN-like repository from a view of it."""

from __future__ import annotations

from bisect import bisect
from collections.abc import Callable

from entrepot.core.answers import Answer, Ask, Document, SendFile, View
from entrepot.core.errors import FileNotListed
from entrepot.core.model import File, Listed
from entrepot.ecosystems.r import packages, paths
from entrepot.ecosystems.r.archive import render_archive, render_current
from entrepot.ecosystems.r.versions import version_key

_TEXT = "text/plain; charset=utf-8"
# A gzip file as itself: with Content-Encoding instead, clients would unpack it and then fail to.
_GZIP = "application/gzip"
_RDS = "application/octet-stream"


def answer(ask: Ask, view: View, *, told: Callable[[File], bool]) -> Answer:
    """What is at `ask.tail` of the repository that `view` shows; `told` says of which files the SHA-256 is told.

    A version answers at its current and its archive path alike, whatever its status.

    Raises:
        FileNotListed: the repository has no such path, or no such version of the package.
    """
    match paths.parse(ask.tail):
        case paths.Index(format="plain"):
            return Document("PACKAGES", _TEXT, lambda: packages.render(view.current(), told), compress=True)
        case paths.Index(format="gz"):
            return Document("PACKAGES.gz", _GZIP, lambda: packages.gz(packages.render(view.current(), told)))
        case paths.Index():
            return Document("PACKAGES.rds", _RDS, lambda: packages.render_rds(view.current(), told))
        case paths.ArchiveIndex():
            return Document("Meta/archive.rds", _RDS, lambda: render_archive(view.archived()))
        case paths.CurrentIndex():
            return Document("Meta/current.rds", _RDS, lambda: render_current(view.current()))
        case paths.SourceFile() as asked:
            return SendFile(_find(asked, view.of_package(asked.package)), _GZIP)
        case None:
            raise FileNotListed(
                f"an R repository has nothing at {ask.tail[:200]!r}",
                hint="package lists are at src/contrib/PACKAGES, packages at src/contrib/NAME_VERSION.tar.gz",
            )


def _find(asked: paths.SourceFile, files: list[Listed]) -> Listed:
    for listed in files:
        if listed.file.name == asked.name:
            return listed
    raise _not_listed(asked, files)


def _not_listed(asked: paths.SourceFile, files: list[Listed]) -> FileNotListed:
    if not files:
        return FileNotListed(
            f"this repository has no package {asked.package!r} at this snapshot",
            hint="names are case-sensitive",
            package=asked.package,
            version=asked.version,
        )
    versions = sorted((listed.file.version for listed in files), key=version_key)
    place = bisect(versions, version_key(asked.version), key=version_key)
    near = versions[max(0, place - 2) : place + 2]
    return FileNotListed(
        f"this repository has no version {asked.version} of {asked.package} at this snapshot",
        hint=f"it has {len(versions)}: near that one {', '.join(near)}",
        package=asked.package,
        version=asked.version,
        near=near,
    )


def incomplete(view: View) -> int:
    """How many current files are listed without their dependencies, because nobody has read their DESCRIPTION yet."""
    return sum(listed.file.fields is None for listed in view.current())
