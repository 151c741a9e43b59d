"""Files and views for the tests of the dialects, made by hand."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from entrepot.core.answers import About, Unlearned
from entrepot.core.model import Brief, File, FileStatus, Listed, PackageName, Sha256, seconds
from entrepot.core.platforms import Platform
from entrepot.ecosystems.python.entry import Entry, pack
from entrepot.ecosystems.python.names import normalize, parse_file_name
from entrepot.ecosystems.r import paths

PUBLISHED = datetime(2024, 1, 31, 12, 0, 2, tzinfo=UTC)


def listed(
    package: str,
    version: str,
    *,
    status: FileStatus = FileStatus.CURRENT,
    fields: str | None = "License: GPL-3\nNeedsCompilation: no\n",
    size: int | None = 1000,
    md5: str | None = "0" * 32,
    sha256: str | None = "1" * 64,
    published: datetime | None = PUBLISHED,
) -> Listed:
    """One file as a snapshot shows it."""
    file = File(
        id=1,
        source_id=1,
        package=PackageName(package),
        version=version,
        name=paths.file_name(package, version),
        size=size,
        md5=md5,
        sha256=Sha256(sha256) if sha256 else None,
        sha256_since=None,
        published_at=seconds(published),
        fields=fields,
    )
    return Listed(file, status)


def archived(package: str, version: str, *, size: int | None = 1000, published: datetime | None = PUBLISHED) -> Listed:
    """One archived file, of which nobody has read the DESCRIPTION."""
    return listed(
        package, version, status=FileStatus.ARCHIVED, fields=None, size=size, md5=None, sha256=None, published=published
    )


def python_listed(
    name: str,
    entry: Entry | None = None,
    *,
    project: str = "demo",
    id: int = 1,
    size: int | None = 1000,
    md5: str | None = None,
    sha256: str | None = "1" * 64,
    published: datetime | None = PUBLISHED,
) -> Listed:
    """One file of a Python project; its name tells the version."""
    normal = normalize(project)
    file = File(
        id=id,
        source_id=1,
        package=normal,
        version=parse_file_name(normal, name).version,
        name=name,
        size=size,
        md5=md5,
        sha256=Sha256(sha256) if sha256 else None,
        sha256_since=None,
        published_at=seconds(published),
        fields=pack(entry or Entry()),
    )
    return Listed(file, FileStatus.CURRENT)


@dataclass(frozen=True, slots=True)
class FixedView:
    """A view of just these files, in this order.

    `learnt`: file id -> hash of a metadata document that was read out of it; `documents` are those that are at hand.
    """

    files: tuple[Listed, ...]
    abouts: Mapping[str, About] = field(default_factory=dict)
    learnt: Mapping[int, Sha256] = field(default_factory=dict)
    documents: Mapping[Sha256, bytes] = field(default_factory=dict)
    shelves: Mapping[Platform, tuple[Listed, ...]] = field(default_factory=dict)

    def current(self) -> list[Listed]:
        return [each for each in self.files if each.status is FileStatus.CURRENT]

    def in_brief(self, status: FileStatus) -> list[Brief]:
        return [each.file.brief for each in self.files if each.status is status]

    def of_package(self, package: PackageName) -> list[Listed]:
        return [each for each in self.files if each.file.package == package]

    def names(self) -> Iterator[PackageName]:
        return iter(sorted({each.file.package for each in self.files}))

    def names_serial(self) -> int:
        return 7

    def serial(self) -> int:
        return 8

    def about(self, package: PackageName) -> About | None:
        return self.abouts.get(package)

    def metadata_hashes(self, files: Sequence[File]) -> dict[int, Sha256]:
        return {file.id: self.learnt[file.id] for file in files if file.id in self.learnt}

    def metadata(self, file: File) -> bytes:
        if file.sha256 not in self.documents:
            raise Unlearned(lambda: None)
        return self.documents[file.sha256]

    def binary(self, file: File, platforms: Sequence[Platform]) -> tuple[Listed, Platform] | None:
        for platform in platforms:
            for each in self.shelves.get(platform, ()):
                if (each.file.package, each.file.version) == (file.package, file.version):
                    return each, platform
        return None

    def binaries(self, platforms: Sequence[Platform]) -> list[Listed]:
        return [each for platform in platforms for each in self.shelves.get(platform, ())]

    def binaries_key(self, platforms: Sequence[Platform]) -> str:
        return ",".join(platform.path for platform in platforms if platform in self.shelves)

    def binaries_of(self, package: PackageName, platforms: Sequence[Platform]) -> list[Listed]:
        return [each for each in self.binaries(platforms) if each.file.package == package]

    def platforms(self) -> list[Platform]:
        return sorted(self.shelves)
