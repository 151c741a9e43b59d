"""Poetry's way to write dependencies, read as bounds and markers of PEP 440 and 508 ("Dependency specification").

What pyproject.toml has under `[tool.poetry.dependencies]`; newer projects write `[project]` instead (PEP 621).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from packaging.version import Version

from entrepot.core.errors import Invalid
from entrepot.core.requirements import Requirement
from entrepot.ecosystems.python import names
from entrepot.ecosystems.python.requirementlines import marker, specifier

_SHOWN = 100
_AFTER_OPERATOR = re.compile(r"([<>=!~^])[ \t]+")
_BETWEEN = re.compile(r"[ \t]*,[ \t]*|[ \t]+")
_PART = re.compile(r"(\^|~|===?|=|!=|~=|<=|>=|<|>)?([^<>=~^]+)")
_BOUND = re.compile(r"(===?|!=|~=|<=|>=|<|>)(.+)")
_NOT_OF_AN_INDEX = ("git", "path", "url", "file")


def requirements(name: str, value: object) -> Iterator[Requirement]:
    """What one entry asks for: nothing for Python itself and for what only an extra of the project needs.

    Args:
        value: bounds, a table with `version`, or several of them for different environments.

    Raises:
        Invalid: an entry that can't be read, that has alternatives, or is not drawn from an index.
    """
    if name.lower() == "python":
        return
    if not names.is_name(name):
        raise Invalid(f"{name[:_SHOWN]!r} is not the name of a project")
    for one in value if isinstance(value, list) else [value]:
        table = {"version": one} if isinstance(one, str) else one
        if not isinstance(table, dict):
            raise Invalid("is neither bounds nor a table")
        if table.get("optional") is not True:
            yield _requirement(name, table)


def bounds(text: str) -> str:
    """Poetry's bounds as those of PEP 440: `^1.2` is `<2,>=1.2`, `~1.2.3` is `<1.3,>=1.2.3`, `1.2` is `==1.2`.

    Raises:
        Invalid: bounds that can't be read, or alternatives (`||`), which PEP 440 can't write.
    """
    if "|" in text:
        raise Invalid(f"{text[:_SHOWN]!r}: alternatives can't be read", hint="give one range, such as >=1.2,<3")
    parts = _BETWEEN.split(_AFTER_OPERATOR.sub(r"\1", text.strip()).strip(","))
    return specifier(",".join(bound for part in parts for bound in _bounds(part)))


def _requirement(name: str, table: Mapping[str, Any]) -> Requirement:
    if any(key in table for key in _NOT_OF_AN_INDEX):
        raise Invalid("isn't drawn from an index", hint="take it out of the list that is given")
    version, extras = table.get("version"), table.get("extras", [])
    if not isinstance(version, str):
        raise Invalid("'version' is missing" if version is None else "'version' isn't a string")
    if not isinstance(extras, list) or not all(isinstance(extra, str) and names.is_name(extra) for extra in extras):
        raise Invalid("'extras' isn't a list of names")
    return Requirement(
        names.normalize(name), bounds(version), tuple(sorted(set(map(names.normalize, extras)))), marker=_marker(table)
    )


def _marker(table: Mapping[str, Any]) -> str:
    """All that limits the environments, joined by "and"."""
    told: list[str] = []
    for key, write in (("markers", str), ("python", _python), ("platform", _platform)):
        value = table.get(key, "")
        if not isinstance(value, str):
            raise Invalid(f"{key!r} isn't a string")
        if value and write(value):
            told.append(write(value))
    return marker(" and ".join(f"({one})" if " or " in one else one for one in told)) if told else ""


def _platform(text: str) -> str:
    return f'sys_platform == "{text}"'


def _python(text: str) -> str:
    """Bounds of Python's version as a marker; `python_version` has no third number to compare with."""
    return " and ".join(_python_bound(bound) for bound in bounds(text).split(",") if bound)


def _python_bound(bound: str) -> str:
    match = _BOUND.fullmatch(bound)
    assert match is not None, bound
    is_short = match[2].count(".") < 2 and match[1] in (">=", "<", "==", "!=")
    return f'{"python_version" if is_short else "python_full_version"} {match[1]} "{match[2]}"'


def _bounds(part: str) -> Sequence[str]:
    """One part of the bounds, which all have to hold."""
    if part == "*":
        return ()
    match = _PART.fullmatch(part)
    if match is None:
        raise Invalid(f"{part[:_SHOWN]!r} is no bound of a version", hint="such as ^1.2 or >=1.2,<3")
    compare, version = match[1], match[2]
    if compare in ("^", "~"):
        return (f">={version}", f"<{_end(compare, version)}")
    return ((f"=={version}" if compare in (None, "=") else f"{compare}{version}"),)


def _end(compare: str, version: str) -> str:
    """The first version that is no longer meant: of `^` where the first number but 0 grows, of `~` the second one."""
    try:
        read = Version(version)
    except ValueError as error:  # InvalidVersion, or digits that Python doesn't convert
        raise Invalid(f"{version[:_SHOWN]!r} is not a version", hint="such as ^1.2 or ~1.2.3") from error
    release = read.release
    if compare == "^":
        place = next((i for i, number in enumerate(release) if number), len(release) - 1)
    else:
        place = min(1, len(release) - 1)
    end = ".".join(map(str, (*release[:place], release[place] + 1)))
    return f"{read.epoch}!{end}" if read.epoch else end
