"""Answers a client of a CRAN-like repository from a view of it."""

from __future__ import annotations

from bisect import bisect
from collections.abc import Callable, Sequence
from dataclasses import replace

from entrepot.core.answers import Answer, Ask, Document, Index, SendFile, View
from entrepot.core.errors import FileNotListed
from entrepot.core.model import Brief, File, FileStatus, Listed
from entrepot.core.platforms import BinaryAsk, Fallback
from entrepot.ecosystems.r import binaries, packages, paths
from entrepot.ecosystems.r.archivewrite import render_archive, render_current
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
    if ask.tail.startswith(binaries.FOLDER):
        return binaries.answer(ask, view, told=told, sources=_of_sources)
    return _of_sources(ask, view, told=told)


def _of_sources(ask: Ask, view: View, *, told: Callable[[File], bool]) -> Answer:
    """What is below `src/contrib/`; with `ask.binary`, binary packages in the place of source packages."""
    match paths.parse(ask.tail):
        case paths.Index(format="plain"):
            return Document("PACKAGES", _TEXT, lambda: _packages(view, told, packages.render), compress=True)
        case paths.Index(format="gz"):
            return Document("PACKAGES.gz", _GZIP, lambda: _packages(view, told, packages.render_gz))
        case paths.Index():
            return Document("PACKAGES.rds", _RDS, lambda: _packages(view, told, packages.render_rds))
        case paths.ArchiveIndex():
            return Document("Meta/archive.rds", _RDS, lambda: _file_list(view, FileStatus.ARCHIVED, render_archive))
        case paths.CurrentIndex():
            return Document("Meta/current.rds", _RDS, lambda: _file_list(view, FileStatus.CURRENT, render_current))
        case paths.SourceFile() as asked:
            listed = _find(asked, view.of_package(asked.package))
            # pak asks at both paths at once: at the one where CRAN would not have it, it is there for nobody to count.
            is_aside = asked.in_archive == (listed.status is FileStatus.CURRENT)
            return replace(_file(listed, ask.binary, view), is_aside=is_aside)
        case None:
            raise FileNotListed(
                f"an R repository has nothing at {ask.tail[:200]!r}",
                hint="package lists are at src/contrib/PACKAGES, packages at src/contrib/NAME_VERSION.tar.gz",
            )


def _file(listed: Listed, asked: BinaryAsk | None, view: View) -> SendFile:
    """The source package, or what was asked for instead of it."""
    if asked is None:
        return SendFile(listed, _GZIP, package_type="source")
    found = view.binary(listed.file, asked.platforms)
    if found is None:
        reason = asked.fallback or Fallback.NO_BINARY
        return SendFile(listed, _GZIP, package_type="source", fallback=reason, varies=asked.varies)
    binary, platform = found
    return SendFile(binary, _GZIP, package_type="binary", platform=platform, varies=asked.varies)


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


def _packages(
    view: View, told: Callable[[File], bool], render: Callable[[Sequence[Listed], Callable[[File], bool]], bytes]
) -> Index:
    """A list of packages; incomplete are those without dependencies, because nobody has read their DESCRIPTION yet."""
    rows = view.current()
    return Index(render(rows, told), sum(file.fields is None for file, _ in rows))


def _file_list(view: View, status: FileStatus, render: Callable[[Sequence[Brief]], bytes]) -> Index:
    """A list of files; incomplete are those of which nobody told the size."""
    rows = view.in_brief(status)
    return Index(render(rows), sum(row.size is None for row in rows))
