"""Paths of a CRAN-like repository below its root ("R Installation and Administration", 6.6)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from entrepot.core.model import FileStatus, PackageName
from entrepot.core.platforms import Platform, System
from entrepot.ecosystems.r.versions import LONGEST, NAME, VERSION

CONTRIB = "src/contrib/"
_SUFFIX = ".tar.gz"
_FILE = re.compile(f"({NAME})_({VERSION}){re.escape(_SUFFIX)}")
_LONGEST = 512
BINARY_SUFFIXES = {System.LINUX: _SUFFIX, System.WINDOWS: ".zip", System.MACOS: ".tgz"}
"""What names of binary packages end with: those for Linux have the names of source packages."""
# The folder may be lower case: some clients and proxies write it so.
_IN_ARCHIVE = re.compile(r"[Aa]rchive/([^/]+)/([^/]+)")

_BINARY_FOLDER = re.compile(
    r"bin/(?P<system>windows|macosx(?:/(?P<flavour>[a-z0-9][a-z0-9_-]{0,39}))?)/contrib/(?P<r>[0-9]{1,2}\.[0-9]{1,2})"
)


@dataclass(frozen=True, slots=True)
class Index:
    """The list of current packages: PACKAGES, PACKAGES.gz or PACKAGES.rds."""

    format: Literal["plain", "gz", "rds"]


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A source package; asked at its current or its archive path (`in_archive`), which answer alike."""

    package: PackageName
    version: str
    name: str
    in_archive: bool = False


@dataclass(frozen=True, slots=True)
class ArchiveIndex:
    """Meta/archive.rds."""


@dataclass(frozen=True, slots=True)
class CurrentIndex:
    """Meta/current.rds."""


RPath = Index | SourceFile | ArchiveIndex | CurrentIndex

_FIXED: dict[str, RPath] = {
    "PACKAGES": Index("plain"),
    "PACKAGES.gz": Index("gz"),
    "PACKAGES.rds": Index("rds"),
    "Meta/archive.rds": ArchiveIndex(),
    "Meta/current.rds": CurrentIndex(),
}


def parse(tail: str) -> RPath | None:
    """What the path `tail` names, None if nothing that such a repository has."""
    if not tail.startswith(CONTRIB) or len(tail) > _LONGEST:
        return None
    rest = tail[len(CONTRIB) :]
    if fixed := _FIXED.get(rest):
        return fixed
    if "/" not in rest:
        return _source_file(rest)
    in_archive = _IN_ARCHIVE.fullmatch(rest)
    if in_archive is None:
        return None
    found = _source_file(in_archive[2], in_archive=True)
    return found if found is not None and found.package == in_archive[1] else None


def _source_file(name: str, *, in_archive: bool = False) -> SourceFile | None:
    parts = split_file_name(name)
    return SourceFile(PackageName(parts[0]), parts[1], name, in_archive) if parts else None


def split_file_name(name: str) -> tuple[str, str] | None:
    """(package, version) of `NAME_VERSION.tar.gz`, None if it isn't one."""
    found = _FILE.fullmatch(name)
    if found is None or len(found[1]) > LONGEST or len(found[2]) > LONGEST:
        return None
    return found[1], found[2]


def file_name(package: str, version: str) -> str:
    """`NAME_VERSION.tar.gz`."""
    return f"{package}_{version}{_SUFFIX}"


def binary_file_name(package: str, version: str, system: System) -> str:
    """The name under which a binary package is listed: `NAME_VERSION.zip` for Windows."""
    return f"{package}_{version}{BINARY_SUFFIXES[system]}"


def split_binary_name(name: str, system: System) -> tuple[str, str] | None:
    """(package, version) of the name under which a binary package is listed, None if it isn't one."""
    stem = name.removesuffix(BINARY_SUFFIXES[system])
    return split_file_name(stem + _SUFFIX) if stem != name else None


def archive_path(package: str, version: str) -> str:
    """`NAME/NAME_VERSION.tar.gz`, as Meta/archive.rds names its rows."""
    return f"{package}/{file_name(package, version)}"


def binary_folder(platform: Platform) -> str:
    """Where a CRAN-like repository has binary packages for Windows or macOS: `bin/macosx/big-sur-arm64/contrib/4.4`."""
    return "/".join(filter(None, ("bin", platform.system.value, platform.distribution, "contrib", platform.r)))


def parse_binary_folder(folder: str) -> Platform | None:
    """The platform of a folder such as `bin/windows/contrib/4.4` or `bin/macosx/big-sur-arm64/contrib/4.4`; None if it
    is none."""
    found = _BINARY_FOLDER.fullmatch(folder) if len(folder) <= _LONGEST else None
    if found is None:
        return None
    return Platform(System(found["system"].partition("/")[0]), found["flavour"] or "", found["r"])


def upstream_paths(package: str, version: str, status: FileStatus) -> tuple[str, ...]:
    """Where an upstream may have the file, relative to its root, the likeliest first.

    Both, because a file moves to the archive between our reading of the index and our asking for it.
    """
    current = CONTRIB + file_name(package, version)
    archived = f"{CONTRIB}Archive/{archive_path(package, version)}"
    return (current, archived) if status is FileStatus.CURRENT else (archived, current)
