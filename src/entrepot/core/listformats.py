"""Which kind of file a list of wanted packages is, told by its content alone: names of files don't travel with it."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from entrepot.core.errors import Invalid
from entrepot.core.requirements import ListFormat

_BLANK = " \t\r\n\f\v"
_LONGEST_LINE = 4096
_BINARY = re.compile(r"[\x00-\x08\x0e-\x1f\x7f]")
_BEGINNING = 1 << 16
_FIELD = re.compile(r"[A-Za-z][A-Za-z0-9@/._-]*:(?:[ \t]|$)")
_TOML_TABLE = re.compile(r"\[\[?[ \t]*[A-Za-z0-9_-]")
_TOML_PAIR = re.compile(r"[A-Za-z0-9_.\"'-]+[ \t]*=[ \t]*(?!=)\S")
_TOML_TABLE_BELOW = re.compile(r"^[ \t]*\[\[?[A-Za-z0-9_.\"' \t-]+\]\]?[ \t\r]*(?:#.*)?$", re.MULTILINE)
_R_SCRIPT = re.compile(
    r"(?:(?:library|require|requireNamespace|install\.packages|suppressPackageStartupMessages|source|options"
    r"|[A-Za-z.]+::[A-Za-z._]+)\([\s\"'A-Za-z)]|[A-Za-z.][\w.]*[ \t]*<-)"
)
_PYTHON_SCRIPT = re.compile(r"(?:import|from)[ \t]+[A-Za-z_.]")
_CONDA = re.compile(r"^dependencies:[ \t\r]*(?:#.*)?$", re.MULTILINE)
_PACKAGE_FIELD = re.compile(r"^Package:[ \t]*\S", re.MULTILINE)
_DEPENDENCY_FIELD = re.compile(r"^(?:Depends|Imports|LinkingTo):", re.MULTILINE)
_OTHER_FIELD = re.compile(r"^(?!Package:)[A-Z][A-Za-z0-9@/._-]*:(?:[ \t]|\r?$)", re.MULTILINE)
_PYPROJECT_TABLES = frozenset({"project", "tool", "build-system", "dependency-groups"})

_LISTS = "a list has a package a line, or is renv.lock, DESCRIPTION, pyproject.toml, uv.lock or pylock.toml"
_PYTHON_LISTS = "give pyproject.toml, uv.lock, pylock.toml or what `pip freeze` prints"


@dataclass(frozen=True, slots=True)
class Recognised:
    """A list's format, and what it holds where finding that out meant reading all of it (JSON, TOML)."""

    format: ListFormat
    document: Mapping[str, Any] | None = None


def recognise(text: str) -> ListFormat:
    """The kind of file that `text` is; what looks like nothing else is a requirement a line.

    Raises:
        Invalid: it is clearly something that can't be read as a list, such as a web page, a script or poetry.lock.
    """
    return open_list(text).format


def open_list(text: str) -> Recognised:
    """As `recognise`, with what was read of it, so that a lock file is parsed once.

    Raises:
        Invalid: as `recognise`, or JSON or TOML that can't be read.
    """
    _check_is_text(text)
    text = text.removeprefix("\ufeff")
    first = _first_line(text)
    if first.startswith("{"):
        return _of_json(text)
    if _TOML_TABLE.match(first) or (_TOML_PAIR.match(first) and _has_tables(first, text)):
        return _of_toml(text)
    if _FIELD.match(first) or first == "---":
        return _of_fields(text, first)
    _check_is_list(first)
    return Recognised(ListFormat.LINES)


def _check_is_text(text: str) -> None:
    if "\0" in text or _BINARY.search(text, 0, _BEGINNING):
        raise Invalid("this is not text", hint=f"save it as UTF-8; {_LISTS}")


def _first_line(text: str) -> str:
    """The first line that is neither empty nor a comment, without blanks at its ends."""
    at = 0
    while at < len(text):
        end = text.find("\n", at)
        end = len(text) if end < 0 else end
        line = text[at : min(end, at + _LONGEST_LINE)].strip(_BLANK)
        if line and not line.startswith("#"):
            return line
        at = end + 1
    return ""


def _check_is_list(first: str) -> None:
    """Refuse what begins as other kinds of files do that people have at hand."""
    if first.startswith("<"):
        raise Invalid("this is an HTML or XML page, not a list of packages", hint=_LISTS)
    if first.startswith("@EXPLICIT"):
        raise Invalid("this is a list of conda's packages", hint=_PYTHON_LISTS)
    if _R_SCRIPT.match(first):
        raise Invalid("this is an R script, not a list of packages", hint="give renv.lock, or a package a line")
    if _PYTHON_SCRIPT.match(first):
        raise Invalid("this is a Python script, not a list of packages", hint=_PYTHON_LISTS)
    if first.startswith("["):
        raise Invalid("this is JSON of another kind, not a list of packages", hint=_LISTS)


def _of_json(text: str) -> Recognised:
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Invalid(f"this begins as JSON and can't be read as JSON: {_reason(error)}", hint=_LISTS) from error
    if "Packages" in document or "R" in document:
        return Recognised(ListFormat.RENV_LOCK, document)
    if "_meta" in document and "default" in document:
        raise Invalid("Pipfile.lock can't be read as a list", hint="give what `pipenv requirements` prints")
    raise Invalid("this is JSON, but not renv.lock: there is neither 'Packages' nor 'R' in it", hint=_LISTS)


def _has_tables(first: str, text: str) -> bool:
    """Whether a file that begins with `key = value` is TOML; a requirement with a single `=` looks alike."""
    return first.startswith("lock-version") or _TOML_TABLE_BELOW.search(text) is not None


def _of_toml(text: str) -> Recognised:
    try:
        document = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise Invalid(f"this begins as TOML and can't be read as TOML: {_reason(error)}", hint=_LISTS) from error
    if "lock-version" in document and "packages" in document:
        return Recognised(ListFormat.PYLOCK, document)
    if isinstance(document.get("package"), list):
        if "version" in document:
            return Recognised(ListFormat.UV_LOCK, document)
        raise Invalid("poetry.lock can't be read as a list", hint="give what `poetry export` writes, or pyproject.toml")
    if _PYPROJECT_TABLES & document.keys():
        return Recognised(ListFormat.PYPROJECT, document)
    if "packages" in document or "dev-packages" in document:
        raise Invalid("Pipfile can't be read as a list", hint="give what `pipenv requirements` prints")
    raise Invalid("this is TOML, but neither pyproject.toml, uv.lock nor pylock.toml", hint=_LISTS)


def _of_fields(text: str, first: str) -> Recognised:
    """Of a file that begins with `name: value`."""
    if first.startswith("PackratFormat:"):
        raise Invalid("packrat.lock can't be read as a list", hint="give renv.lock, which renv::migrate() makes of it")
    if _CONDA.search(text):
        raise Invalid("environment.yml of conda can't be read as a list", hint=_PYTHON_LISTS)
    if _DEPENDENCY_FIELD.search(text) or (_PACKAGE_FIELD.search(text) and _OTHER_FIELD.search(text)):
        return Recognised(ListFormat.DESCRIPTION)
    if first == "---":
        raise Invalid("this is YAML, which can't be read as a list", hint=_LISTS)
    return Recognised(ListFormat.LINES)


def _reason(error: Exception) -> str:
    return "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
