"""Python projects as people are told of them: which version stands for one, and what core metadata says."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from email.message import Message
from email.parser import HeaderParser

from packaging.requirements import InvalidRequirement, Requirement

from entrepot.core.model import Listed
from entrepot.core.releases import Dependency, Described, Release, ReleaseFile, Releases
from entrepot.ecosystems.python import jsonapi
from entrepot.ecosystems.python.entry import unpack
from entrepot.ecosystems.python.names import parse_file_name
from entrepot.ecosystems.python.simple import ProjectView, Shown

REQUIRES = "requires_dist"
_KINDS = ("wheel", "sdist", "other")
_BLANK_LINE = re.compile(r"\r?\n\r?\n")
_FOLDED = re.compile(r"\r?\n(?: {7}\|| {8}|[ \t])")
_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?")
_LONGEST_LICENSE = 100
_LICENSE_CLASSIFIER = "License :: "


def releases(rows: Sequence[Listed]) -> Releases | None:
    """The visible files of a project; None if none of them tells a version.

    The highest final version that is not yanked stands for it, else the highest pre-release that isn't, else any. Of a
    release's files a wheel stands for it, else an sdist, one that isn't yanked first.
    """
    shown = [Shown(row.file, unpack(row.file.fields), row.file.sha256, None) for row in rows]
    listed = {row.file.id: row for row in rows}
    if not shown:
        return None
    known = jsonapi.releases(ProjectView(shown[0].file.package, None, sorted(shown, key=_age)))
    latest = jsonapi.latest_version(known)
    if latest is None:
        return None
    found = {version: Release(version, _files(files, listed)) for version, files in known.items()}
    return Releases(tuple(reversed(found.values())), found[latest])


def _age(shown: Shown) -> tuple[int, str]:
    return shown.file.published_at or 0, shown.file.name


def _files(files: Iterable[Shown], listed: dict[int, Listed]) -> tuple[ReleaseFile, ...]:
    found = [
        ReleaseFile(
            listed[file.id],
            parse_file_name(file.package, file.name).kind,
            entry.yanked,
            entry.requires_python,
            entry.core_metadata,
        )
        for file, entry, _, _ in files
    ]
    return tuple(sorted(found, key=lambda each: (each.yanked is not None, _KINDS.index(each.kind))))


def find(known: Releases, version: str) -> Release | None:
    """The release of a version in any of its spellings (PEP 440)."""
    by_version = {release.version: release for release in known.every}
    found = version if version in by_version else jsonapi.find_version(dict.fromkeys(by_version, ()), version)
    return by_version[found] if found is not None else None


def ranks(versions: Iterable[str]) -> dict[str, int]:
    """Version -> its place in the order of all of these, the same for versions that are equal in order."""
    keys = {version: jsonapi.version_key(version) for version in set(versions)}
    places = {key: place for place, key in enumerate(sorted(set(keys.values())))}
    return {version: places[key] for version, key in keys.items()}


def describe(entry: str | None, document: str | None) -> Described:
    """What an index entry and the core metadata say, as far as they are known.

    Never fails: these documents come from upstreams.
    """
    requires_python = unpack(entry).requires_python
    if document is None:
        return Described(requires_python=requires_python)
    head, body = _split(document)
    return Described(
        title=_text(head, "Summary"),
        description=body or _unfolded(head.get("Description")),
        license=_license(head),
        requires_python=_text(head, "Requires-Python") or requires_python,
        dependencies={REQUIRES: [found for each in _every(head, "Requires-Dist") if (found := dependency(each))]},
        fields=_fields(head),
    )


def _split(document: str) -> tuple[Message, str | None]:
    """The headers, and the body if there is one, in which newer metadata has the long description."""
    blank = _BLANK_LINE.search(document)
    if blank is None:
        return HeaderParser().parsestr(document), None
    return HeaderParser().parsestr(document[: blank.start()] + "\n"), document[blank.end() :].strip() or None


def dependency(text: str) -> Dependency | None:
    """A line of Requires-Dist; one that can't be read (PEP 508) by its name alone, None if it has none."""
    try:
        found = Requirement(text)
    except InvalidRequirement:
        name = _NAME.match(text)
        return Dependency(name[0], requirement=text) if name is not None else None
    bounds = list(found.specifier)
    if len(bounds) != 1:
        return Dependency(found.name, requirement=text)
    return Dependency(found.name, bounds[0].operator, bounds[0].version, text)


def _license(head: Message) -> str | None:
    """The expression, or a text that looks like a name; else what the classifiers say."""
    told = _text(head, "License-Expression") or _text(head, "License")
    if told and len(told) <= _LONGEST_LICENSE and told.upper() != "UNKNOWN":
        return told
    found = [text.rpartition(" :: ")[2] for text in _every(head, "Classifier") if text.startswith(_LICENSE_CLASSIFIER)]
    return ", ".join(text for text in found if text != "OSI Approved") or None


def _fields(head: Message) -> dict[str, str | list[str]]:
    """All headers but the description; one that came several times is a list."""
    fields: dict[str, str | list[str]] = {}
    for name in dict.fromkeys(head.keys()):
        if name.lower() != "description":
            values = _every(head, name)
            fields[name] = values[0] if len(values) == 1 else values
    return fields


def _text(head: Message, name: str) -> str | None:
    return next(iter(_every(head, name)), None) or None


def _every(head: Message, name: str) -> list[str]:
    return [" ".join(str(value).split()) for value in head.get_all(name, [])]


def _unfolded(value: object) -> str | None:
    """A description among the headers, as old metadata has it, without what it was indented by."""
    return _FOLDED.sub("\n", str(value)).strip() or None if value is not None else None
