"""A package as people are told of it: its releases with their files, and what its metadata says."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal, NamedTuple, Protocol

from entrepot.core.model import File, FileStatus, Listed, Sha256
from entrepot.core.urls import is_link

Kind = Literal["source", "wheel", "sdist", "other"]


class ReleaseFile(NamedTuple):
    """A file of a release, and what its index entry says of it.

    `yanked` is the reason, empty where none is given, None for a file that is not yanked. `metadata` is the SHA-256 of
    the metadata document that is offered beside it.
    """

    listed: Listed
    kind: Kind
    yanked: str | None = None
    requires_python: str | None = None
    metadata: Sha256 | None = None

    @property
    def file(self) -> File:
        return self.listed.file


@dataclass(frozen=True, slots=True)
class Release:
    """A package at one version with its files, the one that stands for it first."""

    version: str
    files: tuple[ReleaseFile, ...]

    @property
    def file(self) -> File:
        """The file that stands for it."""
        return self.files[0].file

    @property
    def published_at(self) -> int | None:
        """When its first file was published, seconds since 1970; None where nobody tells of any."""
        return min((f.file.published_at for f in self.files if f.file.published_at is not None), default=None)

    @property
    def published(self) -> datetime | None:
        return None if self.published_at is None else datetime.fromtimestamp(self.published_at, UTC)

    @property
    def is_yanked(self) -> bool:
        return all(file.yanked is not None for file in self.files)

    @property
    def yanked_reason(self) -> str | None:
        """The first reason that is given, if the whole release is yanked."""
        return next((file.yanked for file in self.files if file.yanked), None) if self.is_yanked else None


@dataclass(frozen=True, slots=True)
class Releases:
    """All releases of a package at a snapshot, newest first, and the one that stands for the package."""

    every: tuple[Release, ...]
    latest: Release


class Standing(Protocol):
    """What stands for a package among some of its files, (id, status) each; for very many such states, one by one."""

    def version(self, rows: Collection[tuple[int, FileStatus]]) -> str | None:
        """The version of the release that stands for it; None if none of them is current."""

    def yanked(self, rows: Collection[tuple[int, FileStatus]]) -> Collection[str]:
        """The versions of which all files are yanked, as the files write them."""


@dataclass(frozen=True, slots=True)
class Dependency:
    """A package (or R itself) that is needed.

    `operator` and `version` are None where every version will do, and where there is more than one bound;
    `requirement` is the whole as it is written, where that says more (Python: PEP 508).
    """

    name: str
    operator: str | None = None
    version: str | None = None
    requirement: str | None = None


class Link(NamedTuple):
    label: str
    url: str


MOST_LINKS = 20
_LONGEST_LABEL = 60
_LONGEST_PEOPLE = 2000
"""Characters of the names of authors; some packages have hundreds."""


def links_of(told: Iterable[tuple[str, str]]) -> tuple[Link, ...]:
    """The links among what metadata gives as such, (label, URL) each, every URL once."""
    found: dict[str, Link] = {}
    for label, url in told:
        if is_link(url) and url not in found and len(found) < MOST_LINKS:
            found[url] = Link(" ".join(label.split())[:_LONGEST_LABEL], url)
    return tuple(found.values())


def people(text: str | None) -> str | None:
    """The names of people in one bounded line."""
    line = " ".join((text or "").split())
    return (line if len(line) <= _LONGEST_PEOPLE else line[:_LONGEST_PEOPLE] + " …") or None


@dataclass(frozen=True, slots=True)
class Described:
    """What a release says of itself; None where it doesn't, or where nobody has read it.

    `dependencies` are by the field that names them, `fields` the whole metadata but for the long description. `links`
    lead to pages of the web (http, https) and nowhere else.
    """

    title: str | None = None
    description: str | None = None
    license: str | None = None
    needs_compilation: str | None = None
    requires_python: str | None = None
    dependencies: Mapping[str, Sequence[Dependency]] = field(default_factory=dict)
    fields: Mapping[str, str | list[str]] = field(default_factory=dict)
    maintainer: str | None = None
    authors: str | None = None
    links: Sequence[Link] = ()
