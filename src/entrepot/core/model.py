"""The nouns of the system as frozen values, and the rules for their names."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime
from enum import StrEnum
from typing import NamedTuple, NewType

from entrepot.core.errors import InvalidName

PackageName = NewType("PackageName", str)
"""A package's name in the normal form of its ecosystem (R: as it is; Python: PEP 503)."""
Sha256 = NewType("Sha256", str)
"""64 lower-case hexadecimal digits."""
TransactionId = NewType("TransactionId", int)
"""Position in the one sequence of transactions of the installation; the first is 1."""

FOREVER = TransactionId(2**62)
"""End of an interval that has not ended."""


class RepositoryType(StrEnum):
    R = "r"
    BIOCONDUCTOR = "bioconductor"
    PYTHON = "python"


class SourceType(StrEnum):
    CRAN = "cran"
    CRAN_SNAPSHOT = "cran-snapshot"
    CURATED_CRAN = "curated-cran"
    BIOCONDUCTOR = "bioconductor"
    PYPI = "pypi"
    CURATED_PYPI = "curated-pypi"
    LOCAL = "local"
    LOCAL_PYTHON = "local-python"
    GIT = "git"
    GIT_PYTHON = "git-python"
    BIOCONDUCTOR_PART = "bioconductor-part"
    BINARIES = "binaries"
    MIRRORED_BINARIES = "mirrored-binaries"


PARTS = frozenset({SourceType.BIOCONDUCTOR_PART, SourceType.BINARIES, SourceType.MIRRORED_BINARIES})
"""Types of sources that are part of another one: nobody makes, names or subscribes to them by themselves."""


SOURCE_TYPES_OF: dict[RepositoryType, frozenset[SourceType]] = {
    RepositoryType.R: frozenset(
        {
            SourceType.CRAN,
            SourceType.CRAN_SNAPSHOT,
            SourceType.CURATED_CRAN,
            SourceType.BIOCONDUCTOR,
            SourceType.LOCAL,
            SourceType.GIT,
        }
    ),
    RepositoryType.BIOCONDUCTOR: frozenset({SourceType.BIOCONDUCTOR}),
    RepositoryType.PYTHON: frozenset(
        {SourceType.PYPI, SourceType.CURATED_PYPI, SourceType.LOCAL_PYTHON, SourceType.GIT_PYTHON}
    ),
}
"""Which sources a repository of a type may subscribe to."""
BINARIES = frozenset({SourceType.BINARIES, SourceType.MIRRORED_BINARIES})
"""Parts with the binary packages of one platform, ours or a mirror's."""
WITHOUT_ARCHIVE = SOURCE_TYPES_OF[RepositoryType.PYTHON] | {SourceType.BINARIES}
"""Sources whose versions are all current, side by side, each with any number of files."""


READ_BY_PROJECT = frozenset({SourceType.PYPI})
"""Mirrors that read of their upstream what is asked for, and know each file's own time: their past is told by times."""
PINNED = frozenset({SourceType.CRAN_SNAPSHOT})
"""Sources that show a mirror as it stood, whole."""


class FileStatus(StrEnum):
    CURRENT = "current"
    ARCHIVED = "archived"


@dataclass(frozen=True, slots=True)
class Source:
    """Files from one place. `synced_from` is when the newest successful sync of a mirror began (UTC).

    A curated source shows files of a mirror, `base_id`; `shows_archive` says whether it shows what the mirror had
    archived by then. A source of one Bioconductor version has a `version`. A part belongs to the source `owner_id`, in
    which `part` names it: `3.18/bioc` of Bioconductor, `core.platforms.Platform.path` of binary packages.
    """

    id: int
    name: str
    type: SourceType
    created: datetime
    is_mirror: bool
    synced_from: datetime | None = None
    base_id: int | None = None
    shows_archive: bool = True
    version: str | None = None
    owner_id: int | None = None
    part: str | None = None

    @property
    def is_read_by_project(self) -> bool:
        return self.type in READ_BY_PROJECT

    @property
    def is_pinned(self) -> bool:
        return self.type in PINNED

    @property
    def files_of(self) -> int:
        """The source whose files it shows."""
        return self.id if self.base_id is None else self.base_id

    @property
    def has_archive(self) -> bool:
        return self.type not in WITHOUT_ARCHIVE


@dataclass(frozen=True, slots=True)
class Repository:
    """What a client points at. One that `is_closed` is read with a token alone."""

    id: int
    name: str
    type: RepositoryType
    description: str
    created: datetime
    is_closed: bool = False


@dataclass(frozen=True, slots=True)
class Subscription:
    """Repository -> source at a position, in the half-open interval of transactions [since, until).

    `version` is which one of Bioconductor, where the source has several and the repository wants one.
    """

    repository_id: int
    source_id: int
    position: int
    since: TransactionId
    until: TransactionId
    version: str | None = None


class Brief(NamedTuple):
    """A file in brief, for what is told of very many at once; each field as in `File`."""

    id: int
    package: PackageName
    version: str
    name: str
    size: int | None
    published_at: int | None


class File(NamedTuple):
    """One downloadable archive; a tuple, as an index is made of 25,000 of them at once.

    `fields` is what its index entry says besides name, version and hashes, in the ecosystem's own text form
    (R: DCF lines); None as long as nobody read its metadata. `md5` and `sha256` are None where unknown.
    `sha256_since` is the first transaction whose indexes tell the SHA-256. `source_id` is, of a listed file, the source
    that lists it; by itself, the one that it came with.
    `published_at` is in seconds since 1970, UTC.
    """

    id: int
    source_id: int
    package: PackageName
    version: str
    name: str
    size: int | None
    md5: str | None
    sha256: Sha256 | None
    sha256_since: TransactionId | None
    published_at: int | None
    fields: str | None

    @property
    def published(self) -> datetime | None:
        """`published_at` as a time in UTC."""
        return None if self.published_at is None else datetime.fromtimestamp(self.published_at, UTC)

    @property
    def brief(self) -> Brief:
        return Brief(self.id, self.package, self.version, self.name, self.size, self.published_at)


class Listed(NamedTuple):
    """A file as one snapshot shows it: the file and whether it is current or archived there."""

    file: File
    status: FileStatus


def seconds(time: datetime | None) -> int | None:
    """An aware time as `File.published_at` holds it."""
    return None if time is None else int(time.timestamp())


@dataclass(frozen=True, slots=True)
class Transaction:
    """One recorded change to a source or to a repository's subscriptions.

    `day` is the UTC day that the change belongs to: for a mirror the day that its upstream gives it.
    """

    id: TransactionId
    time: datetime
    day: date
    source_id: int | None
    repository_id: int | None
    actor: str
    message: str


_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,98}[A-Za-z0-9])?")
RESERVED_REPOSITORY_NAMES = frozenset(
    {"upload", "metrics", "static", "client", "api", "repos", "sources", "packages", "docs", "ui", "favicon.ico"}
)


def check_name(name: str, *, what: str) -> str:
    """`name` if it may name a repository or a source; `what` is the word for it in the message.

    Raises:
        InvalidName: not 1-100 letters, digits, `.`, `_`, `-` with a letter or digit at both ends, or reserved.
    """
    if not _NAME.fullmatch(name) or name.startswith("__") or ".." in name:
        raise InvalidName(
            f"{name!r} can't name a {what}",
            hint="use 1 to 100 letters, digits, '.', '_' or '-', beginning and ending with a letter or digit",
            name=name,
        )
    if what == "repository" and name.lower() in RESERVED_REPOSITORY_NAMES:
        raise InvalidName(f"{name!r} is a reserved name", hint="choose another name", name=name)
    return name
