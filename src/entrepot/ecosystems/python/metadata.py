"""Core metadata (PyPA: "Core metadata specifications") as an upload has to have it."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeVar

from packaging.metadata import RawMetadata, parse_email
from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from entrepot.core.errors import InvalidArchive
from entrepot.core.model import PackageName
from entrepot.ecosystems.python import names

LARGEST = 8 << 20
"""Bytes of a metadata document."""
_METADATA_VERSION = re.compile(r"[12]\.(0|[1-9][0-9]?)")
_EXTRA = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?")
_SINGLE = ("metadata-version", "name", "version", "requires-python")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Distribution:
    """What a wheel or sdist says of itself.

    `name` is as METADATA or PKG-INFO writes it, `project` its normal form; `version` is canonical. `metadata` is that
    document as it stands; `is_static` whether it holds for all that is built of the file, so that it may be offered
    beside it (PEP 658; PEP 643 for sdists).
    """

    project: PackageName
    name: str
    version: str
    kind: Literal["wheel", "sdist"]
    requires_python: str | None
    metadata: bytes
    is_static: bool


def distribution(
    data: bytes, *, kind: Literal["wheel", "sdist"], name: str, version: Version, folder: str
) -> Distribution:
    """What the metadata of a file tells, checked as far as installers and indexes depend on it.

    Other fields are let pass as they are: build tools have long written some of later versions of the format.

    Args:
        data: METADATA or PKG-INFO as it stands.
        name: what the file's name says, in any form; `version` likewise.
        folder: the folder that the document lies in, whose name says both again.

    Raises:
        InvalidArchive: not readable, something else than the names say, or fields that aren't PEP 440 or 508.
    """
    what = "METADATA" if kind == "wheel" else "PKG-INFO"
    raw = _fields(data, what)
    if not _METADATA_VERSION.fullmatch(raw.get("metadata_version", "")):
        told = raw.get("metadata_version")
        raise InvalidArchive(
            f"its {what} has Metadata-Version {told!r}" if told else f"its {what} has no Metadata-Version"
        )
    own_name, own_version = raw.get("name", ""), _version(raw, what)
    if not names.is_name(own_name):
        raise InvalidArchive(f"its {what} has the name {own_name[:100]!r}, which none can have")
    if (canonicalize_name(own_name), own_version) != (canonicalize_name(name), version):
        raise InvalidArchive(f"its {what} says {own_name} {own_version}, the file's name says {name} {version}")
    _check_folder(folder, own_name, own_version)
    _check_fields(raw, what)
    is_static = kind == "wheel" or (_metadata_version(raw) >= (2, 2) and not raw.get("dynamic"))
    return Distribution(
        names.normalize(own_name),
        own_name,
        str(own_version),
        kind,
        raw.get("requires_python") or None,
        data,
        is_static,
    )


def _fields(data: bytes, what: str) -> RawMetadata:
    try:
        text = data.decode()
    except UnicodeDecodeError:
        raise InvalidArchive(f"its {what} is not UTF-8") from None
    if "\0" in text:
        raise InvalidArchive(f"its {what} is not text")
    raw, unread = parse_email(text)
    for field in _SINGLE:
        if field in unread:
            raise InvalidArchive(f"its {what} has several fields {field.title()}")
    return raw


def _metadata_version(raw: RawMetadata) -> tuple[int, ...]:
    return tuple(int(part) for part in raw["metadata_version"].split("."))


def _version(raw: RawMetadata, what: str) -> Version:
    told = raw.get("version", "")
    if not told:
        raise InvalidArchive(f"its {what} has no Version")
    try:
        if len(told) > names.LONGEST:
            raise InvalidVersion
        return Version(told)
    except InvalidVersion:
        raise InvalidArchive(f"its {what} has the version {told[:100]!r}, which is none (PEP 440)") from None


def _check_folder(folder: str, name: str, version: Version) -> None:
    """Its form may be another: tools have escaped names in several ways."""
    told_name, _, told_version = folder.rpartition("-")
    try:
        agrees = (canonicalize_name(told_name), Version(told_version)) == (canonicalize_name(name), version)
    except InvalidVersion:
        agrees = False
    if not agrees:
        raise InvalidArchive(f"the folder in it is {folder[:200]!r}, which is not that of {name} {version}")


def _check_fields(raw: RawMetadata, what: str) -> None:
    python = raw.get("requires_python")
    if python:
        _checked(SpecifierSet, python, InvalidSpecifier, f"its {what} has a bad Requires-Python")
    for requirement in raw.get("requires_dist", ()):
        _checked(Requirement, requirement, InvalidRequirement, f"its {what} has a bad Requires-Dist")
    for extra in raw.get("provides_extra", ()):
        if not _EXTRA.fullmatch(extra):
            raise InvalidArchive(f"its {what} has a bad Provides-Extra: {extra[:100]!r}")


def _checked(parse: Callable[[str], T], text: str, error: type[ValueError], message: str) -> T:
    try:
        return parse(text)
    except error:
        raise InvalidArchive(f"{message}: {text[:100]!r}") from None
