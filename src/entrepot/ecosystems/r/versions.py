"""R's rules for the names and versions of packages ("Writing R Extensions", 1.1.1) and the order of versions."""

from __future__ import annotations

import re
from collections.abc import Iterable

from entrepot.core.errors import Invalid, InvalidName
from entrepot.core.model import PackageName

LONGEST = 100
"""Longest name, and longest version, that is taken; R gives no limit, file systems do."""

# `[0-9]` and not `\d`, which takes digits of any script.
NAME = r"[A-Za-z][A-Za-z0-9.]*[A-Za-z0-9]"
VERSION = r"(?:[0-9]+[.-])+[0-9]+"
_NAME = re.compile(NAME)
_VERSION = re.compile(VERSION)
_NUMBERS = re.compile(r"[0-9]+(?:[.-][0-9]+)*")
_DIGITS = re.compile(r"[0-9]+")
# Python converts no more than 4,300 digits; nothing that long is a number to compare by.
_LONGEST_NUMBER = 1000

VersionKey = tuple[int, tuple[int, ...], str]
"""Sorts as R sorts; what R can't read as numbers comes before all that it can."""


def check_name(name: str) -> PackageName:
    """`name` if R takes it as a package's name.

    Raises:
        InvalidName: not ASCII letters, digits and dots, begun by a letter, not ended by a dot, 2 to 100 of them.
    """
    if len(name) > LONGEST or not _NAME.fullmatch(name):
        raise InvalidName(
            f"{name[:LONGEST]!r} is not a name for an R package",
            hint="letters, digits and dots only, at least two of them, begun by a letter and not ended by a dot",
            name=name[:LONGEST],
        )
    return PackageName(name)


def check_version(version: str) -> str:
    """`version` if R takes it as a package's version.

    Raises:
        Invalid: not two or more runs of digits with `.` or `-` between them, or longer than 100 characters.
    """
    if len(version) > LONGEST or not _VERSION.fullmatch(version):
        raise Invalid(
            f"{version[:LONGEST]!r} is not a version of an R package",
            hint="at least two numbers with '.' or '-' between them, such as 1.0 or 1.0-2",
            version=version[:LONGEST],
        )
    return version


def version_key(version: str) -> VersionKey:
    """What to sort versions by: R's `compareVersion`, in which 1.0-1 and 1.0.1 are equal and 1.0 is before 1.0.0.

    R before 4.4 holds the last two for equal where it compares `package_version` objects.

    Never raises: a version that R can't compare comes before all others, by the numbers in it and then as text.
    """
    if len(version) <= _LONGEST_NUMBER and _NUMBERS.fullmatch(version):
        return 1, tuple(map(int, version.replace("-", ".").split("."))), ""
    return 0, tuple(int(digits) for digits in _DIGITS.findall(version[:_LONGEST_NUMBER])), version


def ranks(versions: Iterable[str]) -> dict[str, int]:
    """Version -> its place in the order of all of these, the same for versions that are equal in order."""
    keys = {version: version_key(version) for version in set(versions)}
    places = {key: place for place, key in enumerate(sorted(set(keys.values())))}
    return {version: places[key] for version, key in keys.items()}
