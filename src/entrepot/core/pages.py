"""A project's page of a lazily mirrored index: what it lists, and what changed since it was read last.

Such a source has no day on which all of it was looked at: each project is read when somebody asks for it, and again
now and then. So its past is told by times instead of transactions: a file is seen at a time t if `begins` <= t <
`ends`. At the first reading a file begins when it was uploaded. What changes later can't reach back to the second in
which the last reading began, since every time up to it may have been answered already.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from entrepot.core.answers import About
from entrepot.core.model import File, Listed, Sha256


class FoundFile(NamedTuple):
    """One file that an upstream's page lists.

    `version` is canonical where it is one (PEP 440), else as it stands, and empty where the name tells none. `uploaded`
    is in seconds since 1970, UTC; None where nobody gives it. `fields` as in `model.File`.
    """

    name: str
    version: str
    url: str
    size: int | None
    md5: str | None
    sha256: Sha256 | None
    uploaded: int | None
    fields: str


@dataclass(frozen=True, slots=True)
class ProjectPage:
    """What an upstream tells of a project; `faults` are entries that could not be used."""

    about: About
    files: Sequence[FoundFile]
    serial: int | None = None
    faults: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Begin:
    """A file that is visible from now on; `begins` None: at no time, but in `latest`. `replaces` is the row of the same
    file with other facts, if it had one."""

    found: FoundFile
    begins: int | None
    replaces: File | None


@dataclass(frozen=True, slots=True)
class PageChanges:
    """Rows that end, all at `at`; rows that begin; and files that are to be had elsewhere now: (file id, URL)."""

    at: int
    ends: tuple[File, ...]
    begins: tuple[Begin, ...]

    def __bool__(self) -> bool:
        return bool(self.ends or self.begins)


def compare(known: Sequence[Listed], found: Sequence[FoundFile], *, checked: int | None, now: int) -> PageChanges:
    """What brings the rows of a project from `known` to what its page lists.

    Args:
        checked: when the reading before this one began, seconds since 1970; None at the first.
        now: when this reading began.
    """
    at = now if checked is None else checked + 1
    rows = {row.file.name: row.file for row in known}
    wanted = {file.name: file for file in found}
    ends = tuple(file for name, file in rows.items() if name not in wanted or not _is_same(file, wanted[name]))
    begins = tuple(
        Begin(file, _begins(file, rows.get(name), checked, now), rows.get(name))
        for name, file in wanted.items()
        if name not in rows or not _is_same(rows[name], file)
    )
    return PageChanges(at, ends, begins)


def _begins(file: FoundFile, replaced: File | None, checked: int | None, now: int) -> int | None:
    if file.uploaded is None:
        return None
    if checked is None:
        return min(file.uploaded, now)
    return checked + 1 if replaced is not None else max(min(file.uploaded, now), checked + 1)


def _is_same(row: File, found: FoundFile) -> bool:
    """Whether the page tells what is known; a hash that upstream doesn't give may have been learnt."""
    told = (
        None in (row.sha256, found.sha256) or row.sha256 == found.sha256,
        None in (row.md5, found.md5) or row.md5 == found.md5,
        None in (row.size, found.size) or row.size == found.size,
        row.published_at == found.uploaded,
        row.fields == found.fields,
    )
    return all(told)
