"""A small mirror of Bioconductor on loopback, described in the test.

with FakeBioc() as bioc:
    bioc.config()                                           # release 3.18, devel 3.19
    bioc.part("3.18", "bioc", {"Biobase": "2.62.0"})        # its four other repositories aren't there
    bioc.part("3.18", "bioc", {"Biobase": "2.62.1"})        # 2.62.0 goes to Archive/Biobase/
    ... bioc.url, bioc.requests ...
"""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Mapping
from pathlib import Path

from tests.support.archives import make_source_package
from tests.support.fake_server import EPOCH, FakeServer

R_VERSIONS = {"3.0": "3.1", "3.17": "4.3", "3.18": "4.3", "3.19": "4.4"}
RELEASED = {"3.0": "10/14/2014", "3.17": "04/26/2023", "3.18": "10/25/2023"}
PARTS = ("bioc", "data/annotation", "data/experiment", "workflows", "books")


def config_text(
    *,
    release: str = "3.18",
    devel: str = "3.19",
    r_versions: Mapping[str, str] = R_VERSIONS,
    released: Mapping[str, str] = RELEASED,
) -> str:
    """A config.yaml as upstream writes it, with what clients read of it."""
    lines = ["---", "## CHANGE THIS", f'release_version: "{release}"', f'devel_version: "{devel}"']
    lines += ["r_ver_for_bioc_ver:", *(f'  "{version}": "{r}"' for version, r in r_versions.items())]
    lines += ["release_dates: # month, day, year", *(f'  "{v}": "{day}"' for v, day in released.items())]
    return "\n".join(lines) + "\n"


class FakeBioc(FakeServer):
    """The tree of a mirror: config.yaml, and the repositories that the test gives it."""

    def __init__(self, folder: Path | None = None) -> None:
        super().__init__(folder)
        self._packages: dict[tuple[str, str], dict[str, str]] = {}

    def config(self, text: str | None = None) -> None:
        self.put("config.yaml", (config_text() if text is None else text).encode())

    def part(self, version: str, part: str, packages: Mapping[str, str]) -> None:
        """Let a repository have these packages (name -> version) and no others; what was replaced is archived."""
        contrib = f"packages/{version}/{part}/src/contrib"
        stanzas = []
        for name, number in packages.items():
            old = self._packages.get((version, part), {}).get(name)
            if old is not None and old != number:
                self.put(f"{contrib}/Archive/{name}/{name}_{old}.tar.gz", make_source_package(name, old))
                self.remove_file(f"{contrib}/{name}_{old}.tar.gz")
            body = make_source_package(name, number)
            self.put(f"{contrib}/{name}_{number}.tar.gz", body)
            md5 = hashlib.md5(body, usedforsecurity=False).hexdigest()
            stanzas.append(f"Package: {name}\nVersion: {number}\nLicense: GPL-3\nMD5sum: {md5}\nNeedsCompilation: no\n")
        self._packages[version, part] = dict(packages)
        self.index(version, part, "\n".join(stanzas))

    def index(self, version: str, part: str, text: str) -> None:
        """Serve this as a repository's list of packages, plain and compressed."""
        contrib = f"packages/{version}/{part}/src/contrib"
        self.put(f"{contrib}/PACKAGES", text.encode(), EPOCH)
        self.put(f"{contrib}/PACKAGES.gz", gzip.compress(text.encode(), mtime=0), EPOCH)

    def remove_file(self, path: str) -> None:
        with self._lock:
            self._files.pop(path, None)

    def drop(self, version: str, part: str) -> None:
        """The repository is not there any more."""
        prefix = f"packages/{version}/{part}/"
        with self._lock:
            self._files = {path: file for path, file in self._files.items() if not path.startswith(prefix)}
