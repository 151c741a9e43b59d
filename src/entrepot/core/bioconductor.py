"""Bioconductor's versions: what its configuration tells of them, which CRAN goes with each, and how one is named."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from entrepot.core.errors import BioconductorVersionNotFound

PARTS = ("bioc", "data/annotation", "data/experiment", "workflows", "books")
"""The repositories that a version consists of, in the order in which they are looked through."""
OLDEST = (3, 1)
RELEASE, DEVEL = "release", "devel"
LATEST = "latest"
_VERSION = re.compile(r"[0-9]{1,2}\.[0-9]{1,3}")


def is_version(text: str) -> bool:
    return _VERSION.fullmatch(text) is not None


def version_key(version: str) -> tuple[int, ...]:
    """What versions are ordered by: 3.9 comes before 3.10."""
    return tuple(map(int, version.split(".")))


def part_path(version: str, part: str) -> str:
    """What names one repository of a version among all: `3.18/data/annotation`."""
    return f"{version}/{part}"


@dataclass(frozen=True, slots=True)
class Config:
    """What upstream's config.yaml tells.

    Attributes:
        release, devel: the versions that these words name; `devel` is None between two releases.
        r_versions: version -> the minor version of R that it is for, from version 3.1 on.
        released: version -> the day of its release, of those that were released.
    """

    release: str
    devel: str | None
    r_versions: Mapping[str, str]
    released: Mapping[str, date]

    @property
    def versions(self) -> list[str]:
        """All of them, the newest first."""
        return sorted(self.r_versions, key=version_key, reverse=True)

    def find(self, name: str) -> str:
        """The version that `release`, `devel` or its own number names.

        Raises:
            BioconductorVersionNotFound
        """
        version = {RELEASE: self.release, DEVEL: self.devel}.get(name, name)
        if version is None or version not in self.r_versions:
            raise BioconductorVersionNotFound(
                f"there is no Bioconductor {name[:30]!r}",
                hint=f"versions are {', '.join(self.versions)}; {RELEASE} is {self.release}"
                + (f", {DEVEL} is {self.devel}" if self.devel else ""),
                version=name[:30],
            )
        return version

    def cran_snapshot(self, version: str) -> str:
        """The day on which the next version was released, as CRAN was until then is what a version was made with;
        `latest` for the release and what follows it, empty if nobody tells that day."""
        if version_key(version) >= version_key(self.release):
            return LATEST
        later = [each for each in self.r_versions if version_key(each) > version_key(version)]
        following = min(later, key=version_key)
        day = self.released.get(following)
        return day.isoformat() if day is not None else ""
