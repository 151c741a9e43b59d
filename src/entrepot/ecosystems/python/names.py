"""Names of projects and of files (PyPA: "Names and normalization", "Binary distribution format", PEP 625)."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Literal, NamedTuple

from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from entrepot.core.model import PackageName

LONGEST = 200
"""Characters of a project's name or of a version; of a file's name a few of them together."""
_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?")
_FILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+!~@=,() -]{0,399}")
_ARCHIVES = (".tar.gz", ".zip", ".tar.bz2", ".tgz", ".tar.xz", ".tar.Z", ".tar")
_OTHERS = (".egg", ".exe", ".msi", ".rpm", ".deb", ".dmg")
SUFFIXES = (".whl", *_ARCHIVES, *_OTHERS)
"""How the names of distributions end, of all that an index ever took."""
_NUMBER = r"(?:0|[1-9][0-9]*)"
_CANONICAL = re.compile(
    rf"(?:[1-9][0-9]*!)?{_NUMBER}(?:\.{_NUMBER})*(?:(?:a|b|rc){_NUMBER})?(?:\.post{_NUMBER})?(?:\.dev{_NUMBER})?"
    rf"(?:\+(?:{_NUMBER}|[0-9]*[a-z][a-z0-9]*)(?:\.(?:{_NUMBER}|[0-9]*[a-z][a-z0-9]*))*)?"
)

Kind = Literal["wheel", "sdist", "other"]


class FileName(NamedTuple):
    """What the name of a file tells; `version` is empty where it tells none."""

    kind: Kind
    version: str


def normalize(name: str) -> PackageName:
    """A project's name in its normal form (PEP 503)."""
    return PackageName(canonicalize_name(name))


def is_name(name: str) -> bool:
    """Whether `name` can be that of a project: ASCII letters, digits, `.`, `_`, `-`, a letter or digit at both ends."""
    return len(name) <= LONGEST and _NAME.fullmatch(name) is not None


def is_file_name(name: str) -> bool:
    """Whether `name` can be that of a file: safe in a path, a header and a page as it is, or percent-encoded."""
    return _FILE_NAME.fullmatch(name) is not None


def is_canonical(version: str) -> bool:
    """Whether `version` is one, in the form in which equal ones look alike but for zeros at the end (PEP 440)."""
    return len(version) <= LONGEST and _CANONICAL.fullmatch(version) is not None


@lru_cache(maxsize=4096)
def canonical_version(version: str) -> str:
    """A version in the form in which equal ones look alike; as it stands where it is none (PEP 440)."""
    if len(version) > LONGEST or _CANONICAL.fullmatch(version):
        return version
    try:
        return str(Version(version))
    except InvalidVersion:
        return version


def is_of_project(project: PackageName, name: str) -> bool:
    """Whether a file's name can be that of one of the project's files.

    What is neither an archive nor a wheel (installers, packages of distributions) is named in all kinds of ways.
    """
    return _prefix(project).match(name) is not None or not name.endswith((".whl", ".egg", *_ARCHIVES))


def parse_file_name(project: PackageName, name: str) -> FileName:
    """What the name of a project's file tells; never fails, as indexes list files older than every rule.

    The project decides where the version begins: `foo-1.0-1.tar.gz` is 1.0.post1 of foo, not version 1 of foo-1.0.
    """
    prefix = _prefix(project).match(name)
    rest = name[prefix.end() :] if prefix is not None else ""
    if name.endswith(".whl"):
        return FileName("wheel", canonical_version(rest.partition("-")[0].removesuffix(".whl")))
    suffix = next((suffix for suffix in _ARCHIVES if name.endswith(suffix)), None)
    if suffix is None:
        return FileName("other", _version_within(rest))
    return FileName("sdist", canonical_version(rest.removesuffix(suffix)))


@lru_cache(maxsize=256)
def _prefix(project: PackageName) -> re.Pattern[str]:
    """What a file's name begins with: the project's, in any spelling, and a dash."""
    return re.compile("[-_.]+".join(map(re.escape, project.split("-"))) + "-(?=.)", re.IGNORECASE | re.ASCII)


def _version_within(rest: str) -> str:
    """`1.0-py2.7.egg`, `1.0.win32-py2.7.exe`: what of the part after the name is a version."""
    rest = rest.partition("-")[0][:LONGEST]
    while rest:
        version = canonical_version(rest)
        if is_canonical(version):
            return version
        rest = rest.rpartition(".")[0]
    return ""
