"""One package at a snapshot: the release that is asked for, its metadata, and all releases beside it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from entrepot.app import App
from entrepot.core.errors import EntrepotError, PackageNotFound
from entrepot.core.model import File, FileStatus
from entrepot.core.releases import Release, Releases
from entrepot.db import files as db_files
from entrepot.ecosystems.python.pypi import metadata_file
from entrepot.operations.browsing import Opened
from entrepot.operations.listing import PackageSummary, documents_of
from entrepot.operations.serving import patiently

MOST_NAMED = 30
"""Versions that a hint names."""


@dataclass(frozen=True, slots=True)
class PackageRecord:
    """A release with its whole metadata as far as it can be had, and all releases visible beside it, newest first.

    `occurred` is when it was recorded that the file that stands for it is as it is at this snapshot.
    """

    summary: PackageSummary
    release: Release
    occurred: datetime | None
    releases: tuple[Release, ...]

    @property
    def is_archived(self) -> bool:
        return self.release.files[0].listed.status is FileStatus.ARCHIVED


def package_record(app: App, open_: Callable[[], Opened], name: str, *, version: str | None = None) -> PackageRecord:
    """One package: the release that stands for it, or that of `version`.

    What isn't known of a mirrored project yet is asked of its upstream, so this may take its time. Metadata that can't
    be had is left out.

    Args:
        open_: opens the snapshot, anew after something was learnt.

    Raises:
        PackageNotFound: the snapshot has no such package or version.
        UpstreamUnavailable, UpstreamInvalid: a project that isn't known yet can't be read.
    """
    opened, known = patiently(lambda: _releases(open_(), name))
    release = _release(opened, known, name, version)
    file = release.file
    described = opened.dialect.describe(file.fields, document(app, opened, release))
    with app.db.read() as connection:
        occurred = db_files.shown_since(connection, file.id, opened.cut_of(file))
    summary = PackageSummary(file.package, opened.names[file.source_id], release, described)
    return PackageRecord(summary, release, occurred, known.every)


def find_release(open_: Callable[[], Opened], name: str, version: str | None) -> tuple[Opened, Release]:
    """The release that stands for a package, or that of `version`, in a view of the snapshot. As `package_record`."""
    opened, known = patiently(lambda: _releases(open_(), name))
    return opened, _release(opened, known, name, version)


def _release(opened: Opened, known: Releases, name: str, version: str | None) -> Release:
    release = known.latest if version is None else opened.dialect.find(known, version)
    if release is None:
        have = ", ".join(each.version for each in known.every[:MOST_NAMED]) + " …" * (len(known.every) > MOST_NAMED)
        said = f"{name[:100]!r} has no version {version[:100] if version else version} at this snapshot"
        raise PackageNotFound(said, hint=f"it has {have}")
    return release


def licenses(text: str | None) -> list[str]:
    """The licenses among which a package lets one choose: `MIT + file LICENSE | GPL-2`."""
    return [part.strip() for part in text.split("|") if part.strip()] if text else []


def package_releases(open_: Callable[[], Opened], name: str) -> tuple[Release, ...]:
    """All releases of a package, newest first. Raises as `package_record`."""
    return patiently(lambda: _releases(open_(), name))[1].every


def _releases(opened: Opened, name: str) -> tuple[Opened, Releases]:
    package = opened.dialect.name(name)
    found = opened.dialect.releases(opened.view.of_package(package)) if package is not None else None
    if found is None:
        raise PackageNotFound(f"there is no package {name!r} at this snapshot", name=name)
    return opened, found


def document(app: App, opened: Opened, release: Release) -> str | None:
    """The metadata document of a release, fetched if need be; None if nobody has it, or upstream doesn't give it."""
    with app.db.read() as connection:
        kept = db_files.documents(connection, [each.file.id for each in release.files])
    offered = documents_of(opened, release.files)
    for each in release.files:
        if each.file.id in kept:
            return kept[each.file.id]
        if each.file.id in offered:
            return _offered(opened, metadata_file(each.file, offered[each.file.id]))
    return None


def _offered(opened: Opened, document: File) -> str | None:
    try:
        return patiently(lambda: opened.view.metadata(document)).decode("utf-8", "replace")
    except EntrepotError:
        return None
