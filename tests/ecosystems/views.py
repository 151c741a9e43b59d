"""Files and views for the tests of the dialects, made by hand."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from entrepot.core.model import Brief, File, FileStatus, Listed, PackageName, Sha256, seconds
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


@dataclass(frozen=True, slots=True)
class FixedView:
    """A view of just these files, in this order."""

    files: tuple[Listed, ...]

    def current(self) -> list[Listed]:
        return [each for each in self.files if each.status is FileStatus.CURRENT]

    def in_brief(self, status: FileStatus) -> list[Brief]:
        return [each.file.brief for each in self.files if each.status is status]

    def of_package(self, package: PackageName) -> list[Listed]:
        return [each for each in self.files if each.file.package == package]
