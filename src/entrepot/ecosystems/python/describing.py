"""Python projects as people are told of them: which version stands for one, and what core metadata says."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from email.message import Message
from email.parser import HeaderParser
from typing import Literal

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_version
from packaging.version import InvalidVersion

from entrepot.core.model import File, FileStatus, Listed
from entrepot.core.releases import Dependency, Described, Release, ReleaseFile, Releases, links_of, people
from entrepot.ecosystems.python import jsonapi
from entrepot.ecosystems.python.entry import unpack
from entrepot.ecosystems.python.names import parse_file_name
from entrepot.ecosystems.python.simple import ProjectView, Shown

REQUIRES = "requires_dist"
_KINDS = ("wheel", "sdist", "other")
_BLANK_LINE = re.compile(r"\r?\n\r?\n")
_FOLDED = re.compile(r"\r?\n(?: {7}\|| {8}|[ \t])")
_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?")
_EXTRA = re.compile(r"""\bextra\s*==\s*['"]([A-Za-z0-9._-]{1,100})['"]""")
_LONGEST_LICENSE = 100
_README_FORMATS: Mapping[str, Literal["markdown", "rst", "plain"]] = {"text/markdown": "markdown", "text/x-rst": "rst"}
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


@dataclass(frozen=True, slots=True)
class Standing:
    """`core.releases.Standing`: what `releases` finds, with each file's entry and version read once."""

    files: Mapping[int, File]
    _told: dict[int, tuple[str, str, bool]] = field(default_factory=dict)
    _ranks: dict[str, tuple[bool, bool, int]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for file in sorted(self.files.values(), key=lambda file: (file.published_at or 0, file.name)):
            is_yanked = unpack(file.fields).yanked is not None
            self._told[file.id] = canonicalize_version(file.version), file.version, is_yanked
        for version, place in ranks(file.version for file in self.files.values()).items():
            is_version, parsed = jsonapi.version_key(version)
            self._ranks[version] = is_version, not parsed.is_prerelease, place

    def version(self, rows: Collection[tuple[int, FileStatus]]) -> str | None:
        spelled, good = self._versions(rows)

        def rank(same: str) -> tuple[bool, bool, bool, int]:  # as `jsonapi.latest_version`
            is_version, is_final, place = self._ranks[spelled[same]]
            return is_version, same in good, is_final, place

        return spelled[max(spelled, key=rank)] if spelled else None

    def yanked(self, rows: Collection[tuple[int, FileStatus]]) -> Collection[str]:
        spelled, good = self._versions(rows)
        return {version for same, version in spelled.items() if same not in good}

    def _versions(self, rows: Collection[tuple[int, FileStatus]]) -> tuple[dict[str, str], set[str]]:
        """Normal form of each version -> as it is spelled first; and those that have a file which isn't yanked."""
        there = {id_ for id_, _ in rows}
        spelled: dict[str, str] = {}
        good = set()
        for id_, (same, version, is_yanked) in self._told.items():
            if id_ in there and version:
                spelled.setdefault(same, version)
                if not is_yanked:
                    good.add(same)
        return spelled, good


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
        maintainer=_people(head, "Maintainer"),
        authors=_people(head, "Author"),
        links=links_of(_links(head)),
    )


def _people(head: Message, field: str) -> str | None:
    """Names, and addresses: newer metadata has both in the field of the addresses."""
    return people(", ".join(text for each in (field, f"{field}-email") if (text := _text(head, each))))


def _links(head: Message) -> Iterator[tuple[str, str]]:
    for told in _every(head, "Project-URL"):
        label, _, url = told.partition(",")
        yield label, url.strip()
    for header, label in (("Home-page", "Home page"), ("Download-URL", "Download")):
        if found := _text(head, header):
            yield label, found


def readme_format(described: Described) -> Literal["markdown", "rst", "plain"]:
    """As what the description is to be read; without a type it is reStructuredText (core metadata)."""
    told = described.fields.get("Description-Content-Type", "")
    type_ = (told if isinstance(told, str) else told[0]).partition(";")[0].strip().lower()
    return _README_FORMATS.get(type_, "rst" if not type_ else "plain")


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


def comes_along(_: str) -> bool:
    """What comes with Python is never named as needed."""
    return False


def admits(needed: Dependency, version: str) -> bool | None:
    """Whether a version is within the bounds of a dependency."""
    try:
        return Requirement(needed.requirement or needed.name).specifier.contains(version, prereleases=True)
    except (InvalidRequirement, InvalidVersion):
        return None


def extra(needed: Dependency) -> str | None:
    """The extra that a dependency is for: the first that its marker names."""
    found = _EXTRA.search((needed.requirement or "").partition(";")[2])
    return found[1] if found is not None else None


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
