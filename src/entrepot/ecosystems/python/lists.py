"""Lists of wanted Python packages, read from what people have.

pip's requirements (also what `pip freeze` prints), pyproject.toml (PEP 621, or Poetry's own tables), uv.lock and
pylock.toml (PEP 751).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from entrepot.core.errors import EntrepotError, Invalid
from entrepot.core.listformats import open_list, recognise
from entrepot.core.model import Sha256
from entrepot.core.requirements import (
    ENOUGH_FAULTS,
    ListFormat,
    Requirement,
    RequirementList,
    faults_of_entries,
    faults_of_lines,
)
from entrepot.ecosystems.python import names, poetry, requirementlines

_SHOWN = 100
_LONGEST_BOUNDS = 1000
"""Characters of all bounds of one package in a list of constraints, which come to each of its requirements."""
_DIGEST = re.compile(r"[0-9a-fA-F]{64}")
_NO_PACKAGE = {
    ListFormat.LINES: "a line is such as numpy, numpy>=1.26,<3 or uvicorn[standard]==0.34.0",
    ListFormat.PYPROJECT: "[project] or [tool.poetry] has no dependencies",
    ListFormat.UV_LOCK: "there is no [[package]] that comes from a registry",
    ListFormat.PYLOCK: "there is no [[packages]]",
}
_THE_PROJECT = ("virtual", "editable", "directory")
"""Kinds of sources in uv.lock that are the project and its workspace, not what it needs."""
_FROM_AN_INDEX = "take it out of the list; packages of an index only"

Entry = tuple[str, Requirement | EntrepotError]
"""Where an entry stands in its file, and what it asks for or what is wrong with it."""


def read(text: str, *, constraints: str | None = None) -> RequirementList:
    """What a list asks for, whichever of the formats it is in.

    Args:
        constraints: the text of a constraints file. Its bounds are joined to those of the requirements of the same
            name, if they hold always or in the same environment (marker) as the requirement; no package is added.

    Raises:
        Invalid: a list of R packages, or nothing that can be read as a list; no package in it; all faulty lines or
            entries together.
    """
    found = open_list(text)
    document = found.document or {}
    match found.format:
        case ListFormat.LINES:
            requirements = _of_lines(text)
        case ListFormat.PYPROJECT:
            requirements = _collected(_of_pyproject(document))
        case ListFormat.UV_LOCK:
            requirements = _collected(_of_uv_lock(document))
        case ListFormat.PYLOCK:
            requirements = _collected(_of_pylock(document))
        case _:
            raise _is_r(found.format)
    if not requirements:
        raise Invalid("there is no package in it", hint=_NO_PACKAGE[found.format])
    if constraints is not None:
        requirements = _constrained(requirements, read_constraints(constraints))
    return RequirementList(found.format, tuple(requirements))


def read_constraints(text: str) -> tuple[Requirement, ...]:
    """The bounds of a constraints file (pip: "Constraints Files"); none in an empty one.

    Raises:
        Invalid: not lines as pip reads them, or lines with extras or hashes; all faulty lines together.
    """
    format = recognise(text)
    if format is not ListFormat.LINES:
        raise Invalid(f"constraints are a requirement a line, not {format.value}")
    found: list[Requirement] = []
    faults: list[tuple[str, EntrepotError]] = []
    for number, wanted in requirementlines.requirements(text.removeprefix("\ufeff")):
        fault = wanted if isinstance(wanted, EntrepotError) else _no_constraint(wanted)
        if fault is not None:
            faults.append((f"constraints, line {number}", fault))
            if len(faults) == ENOUGH_FAULTS:
                break
        elif isinstance(wanted, Requirement):
            found.append(wanted)
    if faults:
        raise faults_of_entries(faults, unit="lines")
    return tuple(found)


def _no_constraint(wanted: Requirement) -> Invalid | None:
    if wanted.extras:
        return Invalid(f"{wanted.text[:_SHOWN]!r}: a constraint has no extras", hint="put them into the list")
    if wanted.hashes:
        return Invalid(f"{wanted.text[:_SHOWN]!r}: a constraint has no hashes", hint="put them into the list")
    return None


def _constrained(requirements: Sequence[Requirement], constraints: Sequence[Requirement]) -> list[Requirement]:
    """`requirements` with the bounds that hold wherever they do.

    A constraint of some environments only is left out: joined, it would take versions from the others too.
    """
    of_name: dict[tuple[str, str], list[str]] = {}
    for constraint in constraints:
        of_name.setdefault((constraint.package, constraint.marker), []).append(constraint.specifier)
    joint = {key: requirementlines.joined(*held) for key, held in of_name.items()}
    for (package, _), bounds in joint.items():
        if len(bounds) > _LONGEST_BOUNDS:
            raise Invalid(f"the constraints have too many bounds of {package!r}")
    result = []
    for wanted in requirements:
        held = {joint.get((wanted.package, marker)) for marker in ("", wanted.marker)} - {None}
        if held:
            wanted = replace(
                wanted, specifier=requirementlines.joined(wanted.specifier, *(each or "" for each in held))
            )
        result.append(wanted)
    return result


def _of_lines(text: str) -> list[Requirement]:
    requirements: list[Requirement] = []
    faults: list[tuple[int, EntrepotError]] = []
    for number, wanted in requirementlines.requirements(text.removeprefix("\ufeff")):
        if isinstance(wanted, EntrepotError):
            faults.append((number, wanted))
            if len(faults) == ENOUGH_FAULTS:
                break
        else:
            requirements.append(wanted)
    if faults:
        raise faults_of_lines(faults)
    return requirements


def _collected(entries: Iterator[Entry]) -> list[Requirement]:
    requirements: list[Requirement] = []
    faults: list[tuple[str, EntrepotError]] = []
    for where, wanted in entries:
        if isinstance(wanted, EntrepotError):
            faults.append((where, wanted))
        else:
            requirements.append(wanted)
    if faults:
        raise faults_of_entries(faults)
    return requirements


def _of_pyproject(document: Mapping[str, Any]) -> Iterator[Entry]:
    """What the project needs always; not its extras and groups."""
    project = _table(document, "project")
    if "dependencies" in project:
        yield from _of_project(project["dependencies"])
        return
    own = _table(_table(document, "tool"), "poetry").get("dependencies")
    if isinstance(own, dict):
        for name, value in own.items():
            yield from _tried(f"tool.poetry.dependencies.{name[:_SHOWN]}", _of_poetry, name, value)
        return
    dynamic = project.get("dynamic")
    if isinstance(dynamic, list) and "dependencies" in dynamic:
        raise Invalid(
            "pyproject.toml: the dependencies are dynamic, so they aren't in it",
            hint="give uv.lock, pylock.toml or what `pip freeze` prints",
        )
    if not project:
        raise Invalid(
            "pyproject.toml: there is neither [project] nor [tool.poetry.dependencies]",
            hint="give uv.lock, pylock.toml or what `pip freeze` prints",
        )


def _of_project(dependencies: object) -> Iterator[Entry]:
    if not isinstance(dependencies, list):
        raise Invalid("pyproject.toml: project.dependencies isn't a list")
    for place, text in enumerate(dependencies, 1):
        yield from _tried(f"project.dependencies, entry {place}", _of_pep508, text)


def _of_pep508(text: object) -> Iterator[Requirement]:
    if not isinstance(text, str):
        raise Invalid("isn't a string")
    yield requirementlines.requirement(text.strip())


def _of_poetry(name: str, value: object) -> Iterator[Requirement]:
    return poetry.requirements(name, value)


def _of_uv_lock(document: Mapping[str, Any]) -> Iterator[Entry]:
    if document.get("version") != 1:
        raise Invalid(f"uv.lock of version {str(document.get('version'))[:_SHOWN]} can't be read, only of version 1")
    for place, entry in enumerate(document["package"], 1):
        yield from _tried(_where(entry, place), _of_uv_package, entry)


def _of_uv_package(entry: object) -> Iterator[Requirement]:
    entry = _checked_table(entry)
    source = entry.get("source")
    if not isinstance(source, dict):
        raise Invalid("'source' is missing" if source is None else "'source' isn't a table")
    if any(kind in source for kind in _THE_PROJECT):
        return
    if "registry" not in source:
        raise Invalid(f"comes from {', '.join(source)[:_SHOWN] or 'nowhere'}, not an index", hint=_FROM_AN_INDEX)
    markers = entry.get("resolution-markers", [])
    if not isinstance(markers, list) or not all(isinstance(one, str) for one in markers):
        raise Invalid("'resolution-markers' isn't a list of strings")
    told = [file["hash"] for file in _files(entry) if "hash" in file]
    yield replace(
        _exactly(entry),
        hashes=tuple(dict.fromkeys(map(_uv_hash, told))),
        marker=requirementlines.marker(" or ".join(f"({one})" for one in markers)) if markers else "",
    )


def _uv_hash(told: object) -> Sha256:
    algorithm, _, digest = str(told).partition(":")
    return _sha256(digest if algorithm == "sha256" else None)


def _of_pylock(document: Mapping[str, Any]) -> Iterator[Entry]:
    version, entries = document.get("lock-version"), document.get("packages")
    if str(version).partition(".")[0] != "1":
        raise Invalid(f"pylock.toml of version {str(version)[:_SHOWN]} can't be read, only of version 1")
    if not isinstance(entries, list):
        raise Invalid("pylock.toml: 'packages' isn't a list")
    for place, entry in enumerate(entries, 1):
        yield from _tried(_where(entry, place), _of_pylock_package, entry)


def _of_pylock_package(entry: object) -> Iterator[Requirement]:
    entry = _checked_table(entry)
    if _table(entry, "directory").get("path") == ".":
        return  # the project itself, of which `uv export` and `pip lock` make an entry too
    for kind in ("vcs", "directory", "archive"):
        if kind in entry:
            raise Invalid(f"comes from {kind}, not an index", hint=_FROM_AN_INDEX)
    environment = entry.get("marker", "")
    if not isinstance(environment, str):
        raise Invalid("'marker' isn't a string")
    hashes = [_sha256(_table(file, "hashes").get("sha256")) for file in _files(entry)]
    yield replace(
        _exactly(entry),
        hashes=tuple(dict.fromkeys(hashes)),
        marker=requirementlines.marker(environment) if environment else "",
    )


def _exactly(entry: Mapping[str, Any]) -> Requirement:
    """An entry's name in just its version."""
    name, version = entry.get("name"), entry.get("version")
    if not isinstance(name, str) or not names.is_name(name):
        raise Invalid("'name' is missing" if name is None else f"{str(name)[:_SHOWN]!r} is not the name of a project")
    if not isinstance(version, str):
        raise Invalid("'version' is missing" if version is None else "'version' isn't a string")
    if not names.is_canonical(names.canonical_version(version)):
        raise Invalid(f"{version[:_SHOWN]!r} is not a version")
    return Requirement(names.normalize(name), f"=={version}")


def _files(entry: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The sdist and the wheels of an entry, in this order."""
    wheels = entry.get("wheels", [])
    if not isinstance(wheels, list):
        raise Invalid("'wheels' isn't a list")
    return [_checked_table(file) for file in ([entry["sdist"]] if "sdist" in entry else []) + wheels]


def _sha256(digest: object) -> Sha256:
    if not isinstance(digest, str) or not _DIGEST.fullmatch(digest):
        raise Invalid("a file has no SHA-256", hint="files are known by their SHA-256 here; lock the project anew")
    return Sha256(digest.lower())


def _table(document: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    """The table under a key; what is none is as good as empty."""
    value = document.get(key)
    return value if isinstance(value, dict) else {}


def _checked_table(value: object) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise Invalid(f"{str(value)[:_SHOWN]!r} isn't a table")
    return value


def _where(entry: object, place: int) -> str:
    name = entry.get("name") if isinstance(entry, dict) else None
    return name[:_SHOWN] if isinstance(name, str) and name else f"package {place}"


def _tried(where: str, read_entry: Callable[..., Iterator[Requirement]], *told: Any) -> Iterator[Entry]:
    """What an entry asks for, or its fault instead."""
    try:
        yield from [(where, wanted) for wanted in read_entry(*told)]
    except Invalid as error:
        yield where, error


def _is_r(format: ListFormat) -> Invalid:
    return Invalid(
        f"this is a list of R packages ({format.value}), and Python packages are wanted here",
        hint="give pip's requirements, pyproject.toml, uv.lock or pylock.toml",
    )
