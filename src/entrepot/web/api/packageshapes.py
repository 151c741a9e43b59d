"""How the API tells of packages: in lists, with their releases and files, in a whole record."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import BaseModel

from entrepot.core.model import FileStatus
from entrepot.core.releases import Dependency, Release, ReleaseFile
from entrepot.operations.listing import PackageSummary
from entrepot.operations.records import PackageRecord

_LONGEST = 100_000
"""Characters of a description in a record; the README tells more of it."""


def _bounded(text: str | None) -> str | None:
    return text if text is None or len(text) <= _LONGEST else text[:_LONGEST] + " …"


class Package(BaseModel):
    """A package by the release that stands for it; of one of which only the name is known all else is null."""

    name: str
    version: str | None
    title: str | None
    license: str | None
    source: str
    package_date: datetime | None
    package_size: int | None
    checksum: str | None
    needs_compilation: str | None
    requires_python: str | None

    @classmethod
    def of(cls, summary: PackageSummary) -> Package:
        return cls(**cls.values(summary))

    @staticmethod
    def values(summary: PackageSummary) -> dict[str, Any]:
        release, described = summary.release, summary.described
        return {
            "name": summary.name,
            "version": release.version if release else None,
            "title": described.title,
            "license": described.license,
            "source": summary.source,
            "package_date": release.published if release else None,
            "package_size": release.file.size if release else None,
            "checksum": release.file.sha256 if release else None,
            "needs_compilation": described.needs_compilation,
            "requires_python": described.requires_python,
        }


class FileShape(BaseModel):
    name: str
    kind: str
    size: int | None
    md5: str | None
    checksum: str | None
    uploaded: datetime | None
    requires_python: str | None
    yanked: bool
    yanked_reason: str | None

    @classmethod
    def of(cls, told: ReleaseFile) -> FileShape:
        file = told.file
        return cls(
            name=file.name,
            kind=told.kind,
            size=file.size,
            md5=file.md5,
            checksum=file.sha256,
            uploaded=file.published,
            requires_python=told.requires_python,
            yanked=told.yanked is not None,
            yanked_reason=told.yanked or None,
        )


class ReleaseShape(BaseModel):
    """A version with its files; `file`, `size`, `md5` and `checksum` are those of the first, which stands for it."""

    version: str
    date_publication: datetime | None
    is_current: bool
    file: str
    size: int | None
    md5: str | None
    checksum: str | None
    yanked: bool
    yanked_reason: str | None
    files: list[FileShape]

    @classmethod
    def of(cls, release: Release) -> ReleaseShape:
        file = release.file
        return cls(
            version=release.version,
            date_publication=release.published,
            is_current=release.files[0].listed.status is FileStatus.CURRENT,
            file=file.name,
            size=file.size,
            md5=file.md5,
            checksum=file.sha256,
            yanked=release.is_yanked,
            yanked_reason=release.yanked_reason,
            files=[FileShape.of(each) for each in release.files],
        )


class DependencyShape(BaseModel):
    name: str
    operator: str | None
    version: str | None
    requirement: str | None

    @classmethod
    def of(cls, needed: Dependency) -> DependencyShape:
        return cls(name=needed.name, operator=needed.operator, version=needed.version, requirement=needed.requirement)


class LinkShape(BaseModel):
    """A page of the web that the package names."""

    label: str
    url: str


class PackageDetail(Package):
    """A package version; `summary` is its title, and `tran_archive` is there for clients of the product."""

    summary: str | None
    description: str | None
    date_publication: datetime | None
    occurred: datetime | None
    is_archived: bool
    tran_archive: None = None
    file: str
    md5: str | None
    dependencies: dict[str, list[DependencyShape]]
    fields: dict[str, str | list[str]]
    maintainer: str | None
    authors: str | None
    links: list[LinkShape]
    versions: list[ReleaseShape]
    archived: list[ReleaseShape]

    @classmethod
    def of(cls, record: PackageRecord) -> PackageDetail:  # type: ignore[override]
        described, release = record.summary.described, record.release
        versions = [ReleaseShape.of(each) for each in record.releases]
        return cls(
            **cls.values(record.summary),
            summary=described.title,
            description=_bounded(described.description),
            date_publication=release.published,
            occurred=record.occurred,
            is_archived=record.is_archived,
            file=release.file.name,
            md5=release.file.md5,
            dependencies={
                field: [DependencyShape.of(each) for each in needed] for field, needed in described.dependencies.items()
            },
            fields=dict(described.fields),
            maintainer=described.maintainer,
            authors=described.authors,
            links=[LinkShape(label=link.label, url=link.url) for link in described.links],
            versions=versions,
            archived=[version for version in versions if not version.is_current],
        )
