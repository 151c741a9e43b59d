"""Very many packages of a snapshot at once, for clients that look over a whole project or a whole repository."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, islice
from operator import attrgetter

from entrepot.app import App
from entrepot.core.model import FileStatus, Listed, PackageName
from entrepot.core.releases import Described, Release, Releases
from entrepot.operations import browsing, listing
from entrepot.operations.browsing import Opened

AT_ONCE = 500
"""Packages that are read at once: what is in memory, whatever was asked for."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which packages: `names` with a version each, None for the current one; without names all current packages."""

    names: tuple[tuple[str, str | None], ...] = ()


@dataclass(frozen=True, slots=True)
class Found:
    """A package at the version that was asked for; `versions` are all that the snapshot has, newest first.

    `described` is what is at hand about it, None if nobody asked for that.
    """

    name: PackageName
    release: Release
    versions: tuple[str, ...]
    described: Described | None


def parse_name(text: str) -> tuple[str, str | None]:
    """`name` or `name==version`."""
    name, equals, version = text.partition("==")
    return name.strip(), (version.strip() or None) if equals else None


def open_snapshot(app: App, repo: str, snapshot: str, *, bioc_version: str | None = None) -> Opened:
    """What `find` reads: the same for all of its pieces. Raises RepositoryNotFound, SnapshotNotFound."""
    return browsing.open_repository(app, repo, snapshot, bioc_version=bioc_version)


def find(app: App, opened: Opened, wanted: Wanted, *, describe: bool = True) -> Iterator[list[Found]]:
    """The packages in the order in which they were asked for, or of their names, in pieces; unknown ones are left out.

    Upstream is never asked: of a repository that is read by the project, what is known is found.

    Raises:
        NeverSynced: all packages are wanted, and a mirror's list of names was never read.
    """
    for asked in _pieces(app, opened, wanted):
        known = _known(opened, [name for name, _ in asked])
        some = [(name, known[name], version) for name, version in asked if name in known]
        chosen = [
            (name, releases, release)
            for name, releases, version in some
            if (release := _release(opened, releases, version)) is not None
        ]
        told: Sequence[Described | None] = [None] * len(chosen)
        if describe:
            told = listing.described(app, opened, [release for _, _, release in chosen])
        yield [
            Found(name, release, tuple(each.version for each in releases.every), described)
            for (name, releases, release), described in zip(chosen, told, strict=True)
        ]


def _pieces(app: App, opened: Opened, wanted: Wanted) -> Iterator[list[tuple[PackageName, str | None]]]:
    if not wanted.names:
        names = listing.every_name(app, opened)
        for offset in range(0, names.total, AT_ONCE):
            yield [(name, None) for name in names.piece(offset, AT_ONCE)]
        return
    given = ((opened.dialect.name(name), version) for name, version in wanted.names)
    unique = iter(dict.fromkeys((name, version) for name, version in given if name))
    while piece := list(islice(unique, AT_ONCE)):
        yield piece


def _known(opened: Opened, names: Sequence[PackageName]) -> dict[PackageName, Releases]:
    name_of = attrgetter("file.package")
    rows: list[Listed] = opened.view.known_of(set(names))
    found = {PackageName(name): opened.dialect.releases(list(of_one)) for name, of_one in groupby(rows, key=name_of)}
    return {name: releases for name, releases in found.items() if releases is not None}


def _release(opened: Opened, releases: Releases, version: str | None) -> Release | None:
    if version is not None:
        return opened.dialect.find(releases, version)
    is_current = releases.latest.files[0].listed.status is FileStatus.CURRENT
    return releases.latest if is_current else None
