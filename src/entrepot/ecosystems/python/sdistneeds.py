"""What an sdist needs, as far as it says so without being built (PEP 643, PEP 621)."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from email.parser import BytesHeaderParser
from typing import Any, BinaryIO, NamedTuple

from packaging.markers import Marker
from packaging.requirements import Requirement

from entrepot.core.errors import Invalid, InvalidArchive
from entrepot.ecosystems.archives import gzips
from entrepot.ecosystems.archives.tar import Tar
from entrepot.ecosystems.archives.zips import Zip
from entrepot.ecosystems.python import metadata

LARGEST = 4 << 30
"""Bytes that an sdist may unpack to."""
_MOST_ENTRIES = 200_000
_STATIC_SINCE = (2, 2)
_VERSION = re.compile(r"([0-9]{1,3})\.([0-9]{1,3})")
_NEEDS = {"requires-dist", "provides-extra", "requires-python"}
_PROJECT_NEEDS = {"dependencies", "optional-dependencies", "requires-python"}


class Needs(NamedTuple):
    """`metadata` is a document whose needs hold for all that is built of the sdist; None where only building would
    tell, and then `why`, in a few words."""

    metadata: bytes | None
    why: str = ""


def read_needs(stream: BinaryIO, size: int, *, file_name: str, name: str, version: str) -> Needs:
    """What an sdist says of its needs; nothing of it is run.

    PKG-INFO counts from Metadata 2.2 on, unless it calls them dynamic; before that, they are those of pyproject.toml
    if that has them in its [project] table and doesn't call them dynamic.

    Args:
        stream: the file, which can be sought in.
        size: its bytes.
        name, version: what the file's name says.
    """
    try:
        documents = _documents(stream, size, file_name)
        return _needs(documents.get("PKG-INFO"), documents.get("pyproject.toml"), name, version)
    except Invalid as error:
        return Needs(None, f"it can't be read: {error.message}")


def _documents(stream: BinaryIO, size: int, file_name: str) -> Mapping[str, bytes]:
    if file_name.endswith(".zip"):
        return _of_zip(stream, size)
    documents: dict[str, bytes] = {}
    tar = Tar(gzips.Reader(stream, limit=LARGEST))
    for count, entry in enumerate(tar, 1):
        if count > _MOST_ENTRIES:
            raise InvalidArchive(f"there are more than {_MOST_ENTRIES:,} entries in it")
        wanted = _wanted(entry.path)
        if wanted and entry.is_file and entry.size <= metadata.LARGEST:
            documents[wanted] = tar.content()
        if len(documents) == 2:
            break
    return documents


def _of_zip(stream: BinaryIO, size: int) -> Mapping[str, bytes]:
    def read(start: int, end: int) -> bytes:
        stream.seek(start)
        return stream.read(end - start)

    archive = Zip(read, size, is_strict=False)
    return {
        wanted: archive.content(member, largest=metadata.LARGEST)
        for member in archive.members
        if not member.is_folder and (wanted := _wanted(member.name))
    }


def _wanted(path: str) -> str:
    """Which of the two documents lies at a path: directly in the top folder."""
    parts = path.removeprefix("./").split("/")
    return parts[1] if len(parts) == 2 and parts[1] in ("PKG-INFO", "pyproject.toml") else ""


def _needs(pkg_info: bytes | None, pyproject: bytes | None, name: str, version: str) -> Needs:
    if pkg_info is not None:
        told = BytesHeaderParser().parsebytes(pkg_info)
        if _number(str(told.get("Metadata-Version", ""))) >= _STATIC_SINCE:
            dynamic = {str(field).strip().lower() for field in told.get_all("Dynamic", [])} & _NEEDS
            if not dynamic:
                return Needs(pkg_info)
            return Needs(None, f"its PKG-INFO calls {_listed(dynamic)} dynamic")
    if pyproject is not None:
        return _of_project(pyproject, name, version)
    return Needs(None, "its metadata is of before version 2.2, when it did not bind")


def _number(text: str) -> tuple[int, ...]:
    found = _VERSION.fullmatch(text.strip())
    return (int(found[1]), int(found[2])) if found is not None else ()


def _of_project(pyproject: bytes, name: str, version: str) -> Needs:
    try:
        project = tomllib.loads(pyproject.decode()).get("project")
    except (ValueError, RecursionError):
        return Needs(None, "its pyproject.toml can't be read")
    if not isinstance(project, dict) or "name" not in project:
        return Needs(None, "neither PKG-INFO nor pyproject.toml binds what is built of it")
    try:
        dynamic = _PROJECT_NEEDS.intersection(project.get("dynamic", ()))
        lines = [] if dynamic else list(_lines(project))
    except (ValueError, TypeError, AttributeError, RecursionError):
        return Needs(None, "its pyproject.toml has requirements that can't be read")
    if dynamic:
        return Needs(None, f"its pyproject.toml calls {_listed(dynamic)} dynamic")
    head = [f"Metadata-Version: 2.2\nName: {name}\nVersion: {version}\n"]
    return Needs("".join(head + [f"{line}\n" for line in lines]).encode())


def _lines(project: Mapping[str, Any]) -> Iterable[str]:
    if python := project.get("requires-python"):
        yield f"Requires-Python: {' '.join(str(python).split())}"
    for text in project.get("dependencies", ()):
        yield f"Requires-Dist: {Requirement(text)}"
    for extra, texts in project.get("optional-dependencies", {}).items():
        yield f"Provides-Extra: {' '.join(str(extra).split())}"
        for text in texts:
            yield f"Requires-Dist: {_within(Requirement(text), extra)}"


def _within(requirement: Requirement, extra: str) -> Requirement:
    """A requirement that an extra brings."""
    own = f"({requirement.marker}) and " if requirement.marker is not None else ""
    requirement.marker = Marker(f'{own}extra == "{extra}"')
    return requirement


def _listed(fields: Iterable[str]) -> str:
    return " and ".join(sorted(fields))
