"""What is counted of downloads: which package file, and which kind of client took it. No address, no user."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from functools import lru_cache
from typing import NamedTuple

from entrepot.core.model import PackageName

OTHER = "other"
"""The client of whoever is none of those that are known by name."""
_EPOCH = date(1970, 1, 1).toordinal()


class Client(NamedTuple):
    """A kind of client: one of a short list of names, and the minor version of its R or Python, such as 4.4 or 3.12;
    empty where it doesn't tell."""

    name: str = OTHER
    language: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Download:
    """A package file as a repository gives it: what a download of it is counted as. Made by `download`.

    `source_id` is the source that lists the file; `kind` source, binary, wheel, sdist or other. Two of them are alike
    only if they are the same object: counting takes less than a microsecond, and comparing texts would double that.
    """

    repository_id: int
    source_id: int
    package: PackageName
    version: str
    kind: str


@lru_cache(maxsize=8192)
def download(repository_id: int, source_id: int, package: PackageName, version: str, kind: str) -> Download:
    """The same object for the same file, as far as it was asked for not long ago."""
    return Download(repository_id, source_id, package, version, kind)


class Counted(NamedTuple):
    """What has one number of downloads: a file's facts and a kind of client on a UTC day (`day_number`)."""

    day: int
    repository_id: int
    package: PackageName
    version: str
    source_id: int
    kind: str
    client: str
    language: str

    @classmethod
    def of(cls, day: int, file: Download, client: Client) -> Counted:
        return cls(day, file.repository_id, file.package, file.version, file.source_id, file.kind, *client)

    @property
    def coarse(self) -> Counted:
        """The same without what may have very many values in a day: version, kind of file, client."""
        return self._replace(version="", kind="", client=OTHER, language="")


def day_number(day: date | datetime) -> int:
    """A day as a number: days since 1970-01-01. Of a time, that of its own zone."""
    return day.toordinal() - _EPOCH


def date_of(number: int) -> date:
    """The day of a `day_number`."""
    return date.fromordinal(number + _EPOCH)
