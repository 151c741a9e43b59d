"""The forms that URLs of R repositories have on a package manager server, taken apart and put together again."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from urllib.parse import SplitResult, urlsplit

LINUX = "__linux__"
LONGEST = 8000
"""Characters; no URL of a repository is longer."""
_SNAPSHOT = re.compile(r"latest|[0-9]{4}-[0-9]{2}-[0-9]{2}(?:\+[A-Za-z0-9=_-]+)?|[0-9]{1,18}")
_EXPLICIT = re.compile(r"bin/linux/(?P<distribution>[A-Za-z0-9_.]+)-(?P<arch>[A-Za-z0-9_]+)/(?P<r>[0-9]+\.[0-9]+)/?")
_BIOCONDUCTOR = re.compile(r"packages/[^/]+/(?:bioc|data/annotation|data/experiment|workflows|books)/?")


@dataclass(frozen=True, slots=True)
class Repository:
    """The URL of an R repository, as far as its form tells.

    Attributes:
        url: the whole, as it was given.
        server: the path of the server that it would be on, without a slash at its end.
        name: the repository's name on it.
        distribution: whose binary packages it gives; None: source packages.
        rest: what follows, with its snapshot, as it was written; begins with a slash.
        explicit: what follows the distribution in `/bin/linux/{distribution}-{arch}/{R}` at the end of the URL; empty
            where the distribution follows `/__linux__/`.
    """

    url: SplitResult
    server: str
    name: str
    distribution: str | None
    rest: str
    explicit: str = ""

    @property
    def path(self) -> str:
        if self.distribution is not None and self.explicit:
            return f"{self.server}/{self.name}{self.rest}/bin/linux/{self.distribution}{self.explicit}"
        binary = f"/{LINUX}/{self.distribution}" if self.distribution is not None else ""
        return f"{self.server}/{self.name}{binary}{self.rest}"

    @property
    def text(self) -> str:
        """The URL; login, query and slashes are as they were."""
        return self.url._replace(path=self.path).geturl()

    def of_source(self) -> Repository:
        """The same with source packages."""
        # A slash at the very end stays.
        slash = "/" if self.explicit.endswith("/") else ""
        return replace(self, distribution=None, explicit="", rest=self.rest + slash)

    def of_binaries(self, distribution: str) -> Repository:
        """The same with binary packages of a distribution."""
        return replace(self, distribution=distribution)


def parse(url: str) -> Iterator[Repository]:
    """The ways in which a URL could be that of an R repository, the longest path of the server first; mostly one.

    None where it has no such form: other schemes, indexes of Python packages, mirrors of CRAN.
    """
    if len(url) > LONGEST or any(character.isspace() or not character.isprintable() for character in url):
        return
    try:
        split = urlsplit(url)
        _ = split.port
    except ValueError:
        return
    # What can't be put together as it was is not touched.
    if split.scheme.lower() not in ("http", "https") or not split.hostname or split.geturl() != url:
        return
    segments = split.path.split("/")[1:]
    for number in range(len(segments) - 1, -1, -1):
        server = "".join(f"/{segment}" for segment in segments[:number])
        found = _read(split, server, segments[number:])
        if found is not None:
            yield found


def _read(split: SplitResult, server: str, segments: list[str]) -> Repository | None:
    name, *more = segments
    if not name or name.startswith("__") or "/__" in server or _SNAPSHOT.fullmatch(name):
        return None
    distribution = None
    if more[:1] == [LINUX]:
        if len(more) < 3 or not more[1]:
            return None
        distribution, more = more[1], more[2:]
    rest = "/".join(more)
    tail = rest
    if more and _SNAPSHOT.fullmatch(more[0]):
        tail = "/".join(more[1:])
        if tail in ("", "/"):
            return Repository(split, server, name, distribution, f"/{rest}")
    if _BIOCONDUCTOR.fullmatch(tail):
        return Repository(split, server, name, distribution, f"/{rest}")
    explicit = _EXPLICIT.fullmatch(tail)
    if explicit is not None and distribution is None and tail is not rest:
        end = tail.removeprefix(f"bin/linux/{explicit['distribution']}")
        return Repository(split, server, name, explicit["distribution"], f"/{more[0]}", end)
    return None
