"""Lists of wanted R packages, read from what people have: a package a line, renv.lock, a package's DESCRIPTION.

A line is `package [constraints] [[extras]]`: `dplyr>=1.0,<2.0`, `dplyr (>= 1.0)`, `shiny==1.7.4 [suggests]`.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from typing import Any

from entrepot.core.closure import ALL, KINDS
from entrepot.core.errors import EntrepotError, Invalid
from entrepot.core.listformats import open_list
from entrepot.core.model import PackageName
from entrepot.core.requirements import (
    ENOUGH_FAULTS,
    ListFormat,
    Requirement,
    RequirementList,
    faults_of_entries,
    faults_of_lines,
)
from entrepot.ecosystems.r import dcf
from entrepot.ecosystems.r.base import R
from entrepot.ecosystems.r.versions import LONGEST, VersionKey, check_name, check_version, version_key

Bound = tuple[str, str]
"""An operator and a version."""

_IN_DESCRIPTION = ("Depends", "Imports", "LinkingTo")
HOLDS: Mapping[str, Callable[[VersionKey, VersionKey], bool]] = {
    "==": operator.eq,
    "!=": operator.ne,
    ">=": operator.ge,
    "<=": operator.le,
    ">": operator.gt,
    "<": operator.lt,
}
"""Operator -> whether a version's key stands so to a bound's."""
_EXTRA_OF_KEY = {extra.replace("-", ""): (extra,) for extra in KINDS} | {"all": ALL}
_COMMENT = re.compile(r"(?:^|\s)#.*")
_NAME = re.compile(r"[A-Za-z0-9._]+")
_EXTRAS = re.compile(r"\[([^\[\]]*)\]")
_BOUND = re.compile(r"(==|!=|>=|<=|>|<)\s*([0-9]+(?:[.-][0-9]+)*)")
_LOOSE_BOUND = re.compile(r"([=<>!~]+)\s*(\S*)")
_OF_PIP = re.compile(
    r"-[A-Za-z-]|.*(?:\s--[a-z]|;[(\s]*(?:python_|sys_|platform_|os_name|implementation_|extra\b)|\s@\s)|[a-z+]+://"
)
_AN_EXAMPLE = "a line is such as dplyr, dplyr>=1.0,<2.0 or shiny==1.7.4 [suggests]"


def read(text: str) -> RequirementList:
    """What a list asks for, whichever of the formats it is in; packages that come with R are left in.

    Raises:
        Invalid: a list of Python packages, or nothing that can be read as a list; no package in it; all faulty lines
            or entries together.
    """
    found = open_list(text)
    match found.format:
        case ListFormat.LINES:
            requirements = _of_lines(text.removeprefix("\ufeff"))
        case ListFormat.RENV_LOCK:
            requirements = _of_renv_lock(found.document or {})
        case ListFormat.DESCRIPTION:
            requirements = _of_description(text)
        case _:
            raise _is_python(found.format)
    if not requirements:
        raise Invalid("there is no package in it", hint=_no_package_hint(found.format))
    return RequirementList(found.format, tuple(requirements))


def satisfies(version: str, specifier: str) -> bool:
    """Whether a version is within all bounds, in R's order of versions: `==1.0-1` holds for 1.0.1, not for 1.0.1.0.

    Raises:
        Invalid: the specifier is none.
    """
    key = version_key(version)
    return all(compare(key, other) for compare, other in _comparisons(specifier))


def bounds(specifier: str) -> tuple[Bound, ...]:
    """The bounds of a specifier, (operator, version), in their order; none for the empty one.

    Raises:
        Invalid: one that can't be read.
    """
    return tuple(map(_bound, specifier.split(","))) if specifier.strip() else ()


@lru_cache(maxsize=4096)
def _comparisons(specifier: str) -> tuple[tuple[Callable[[VersionKey, VersionKey], bool], VersionKey], ...]:
    return tuple((HOLDS[compare], version_key(version)) for compare, version in bounds(specifier))


def _of_lines(text: str) -> list[Requirement]:
    requirements: list[Requirement] = []
    faults: list[tuple[int, EntrepotError]] = []
    for number, line in enumerate(text.splitlines(), 1):
        wanted = (_COMMENT.sub("", line) if "#" in line else line).strip()
        if not wanted:
            continue
        try:
            requirements.append(_requirement(wanted, line=number))
        except Invalid as error:
            if _OF_PIP.match(wanted):
                raise _is_python(ListFormat.LINES, where=f"line {number}: {wanted[:LONGEST]!r}") from error
            faults.append((number, error))
            if len(faults) == ENOUGH_FAULTS:
                break
    if faults:
        raise faults_of_lines(faults)
    return requirements


def _of_renv_lock(document: Mapping[str, Any]) -> list[Requirement]:
    """One requirement of exactly its version for each entry, wherever renv installed it from (renv's "lockfile")."""
    entries = document.get("Packages")
    if not isinstance(entries, dict):
        raise Invalid(
            "renv.lock: 'Packages' is missing" if entries is None else "renv.lock: 'Packages' isn't an object",
            hint="renv::snapshot() writes the file anew",
        )
    requirements: list[Requirement] = []
    faults: list[tuple[str, EntrepotError]] = []
    for name, entry in entries.items():
        try:
            version = check_version(_version_of(entry))
            requirements.append(Requirement(check_name(name), f"=={version}"))
        except Invalid as error:
            faults.append((f"Packages.{name[:LONGEST]}", error))
    if faults:
        raise faults_of_entries(faults)
    return requirements


def _version_of(entry: object) -> str:
    if not isinstance(entry, dict):
        raise Invalid("isn't an object")
    version = entry.get("Version")
    if not isinstance(version, str):
        raise Invalid("'Version' is missing" if version is None else "'Version' isn't a string")
    return version


def _of_description(text: str) -> list[Requirement]:
    """What a package needs to be installed, each package once; not what it suggests."""
    stanzas = list(dcf.parse(text.encode("utf-8", "surrogateescape")))
    if len(stanzas) > 1 and any("Package" in stanza for stanza in stanzas[1:]):
        raise Invalid("this describes several packages (PACKAGES), not one", hint=_AN_EXAMPLE)
    found: dict[PackageName, list[Bound]] = {}
    faults: list[tuple[str, EntrepotError]] = []
    for field, item in _items(stanzas[0] if stanzas else {}):
        try:
            wanted = _requirement(item)
            if wanted.extras:
                raise Invalid("there are no extras in DESCRIPTION")
            found.setdefault(wanted.package, []).extend(bounds(wanted.specifier))
        except Invalid as error:
            faults.append((f"{field}: {item[:LONGEST]}", error))
    if faults:
        raise faults_of_entries(faults)
    return [Requirement(package, _joined(all_bounds)) for package, all_bounds in found.items()]


def _items(fields: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for field in _IN_DESCRIPTION:
        for item in fields.get(field, "").split(","):
            match = _NAME.match(item.strip())
            if item.strip() and not (match and match[0] == R):
                yield field, item.strip()


def _requirement(wanted: str, *, line: int | None = None) -> Requirement:
    """One requirement of a line's text, which has neither comment nor blanks at its ends."""
    match = _NAME.match(wanted)
    name, rest = (match[0], wanted[match.end() :].strip()) if match else ("", wanted)
    if not match or rest[:1] not in ("", "[", "(", "=", "<", ">", "!", "~"):
        raise Invalid(f"{wanted[:LONGEST]!r} is not a requirement", hint=_hint_of(name, rest))
    if name == R:
        raise Invalid("R itself is not a package", hint="leave the line out")
    package = check_name(name)
    if not rest:
        return Requirement(package, line=line)
    extras, rest = _split_extras(rest)
    if rest[:1] == "(" and rest[-1:] == ")":
        rest = rest[1:-1].strip() or "()"
    return Requirement(package, _joined(list(bounds(rest))), extras, line=line)


def _hint_of(name: str, rest: str) -> str:
    """What to write instead of the spellings of other tools."""
    if rest.startswith(("/", ":")) or "/" in rest:
        return "packages of repositories only, by their names: neither paths, addresses nor those of GitHub"
    if name and re.fullmatch(r"[@ ]*[0-9]+(?:[.-][0-9]+)*", rest):
        return f"for this version alone: {name[:LONGEST]}=={rest.lstrip('@ ')[:LONGEST]}"
    return f"one package a line; {_AN_EXAMPLE}" if rest[:1] in (",", ";") or name else _AN_EXAMPLE


def _split_extras(rest: str) -> tuple[tuple[str, ...], str]:
    """The extras, and what stands after or before them."""
    match = _EXTRAS.search(rest)
    if match is None:
        return (), rest
    before, after = rest[: match.start()].strip(), rest[match.end() :].strip()
    if before and after:
        raise Invalid(
            f"{rest[:LONGEST]!r}: the extras in brackets stand before or after all bounds, once", hint=_AN_EXAMPLE
        )
    wanted = {extra for word in match[1].split(",") for extra in _extra(word.strip())}
    return tuple(extra for extra in KINDS if extra in wanted), before or after


def _extra(word: str) -> tuple[str, ...]:
    known = _EXTRA_OF_KEY.get(word.lower().replace("-", ""))
    if known is None:
        raise Invalid(f"{word[:LONGEST]!r} is not a kind of dependencies", hint=f"known are {', '.join(KINDS)} and all")
    return known


def _bound(text: str) -> Bound:
    text = text.strip()
    if not text:
        raise Invalid("a bound is missing", hint=_AN_EXAMPLE)
    match = _BOUND.fullmatch(text)
    if match is not None and len(match[2]) <= LONGEST:
        return match[1], match[2]
    loose = _LOOSE_BOUND.fullmatch(text)
    if loose is None:
        raise Invalid(f"{text[:LONGEST]!r} is not a bound such as >=1.0", hint=_AN_EXAMPLE)
    compare, version = loose[1], loose[2]
    if compare == "=":
        raise Invalid("'=' is not an operator", hint=f"for this version alone: =={version[:LONGEST]}")
    if compare not in HOLDS:
        raise Invalid(
            f"{compare[:LONGEST]!r} is not an operator",
            hint="give both bounds, such as >=1.4,<2" if compare == "~=" else f"known are {' '.join(HOLDS)}",
        )
    raise Invalid(
        f"{version[:LONGEST]!r} is not a version of an R package",
        hint="numbers with '.' or '-' between them, such as 1.0 or 1.0-2",
    )


def _joined(found: list[Bound]) -> str:
    return ",".join(dict.fromkeys(compare + version for compare, version in found))


def _is_python(format: ListFormat, *, where: str | None = None) -> Invalid:
    kind = "pip's requirements" if format is ListFormat.LINES else format.value
    message = f"this is a list of Python packages ({kind}), and R packages are wanted here"
    return Invalid(f"{message}; {where}" if where else message, hint="give a package a line, renv.lock or DESCRIPTION")


def _no_package_hint(format: ListFormat) -> str:
    if format is ListFormat.DESCRIPTION:
        return f"{', '.join(_IN_DESCRIPTION)} name none but R"
    return _AN_EXAMPLE if format is ListFormat.LINES else "'Packages' is empty"
