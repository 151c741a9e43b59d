"""The README of a source package, as R CMD build puts it there ("Writing R Extensions", 1.1.5)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from entrepot.core.errors import Invalid
from entrepot.ecosystems.archives import gzips
from entrepot.ecosystems.archives.gzips import ByteStream
from entrepot.ecosystems.archives.tar import Tar

_FORMATS: dict[str, Literal["markdown", "rst", "plain"]] = {
    "readme.md": "markdown",
    "readme.markdown": "markdown",
    "readme": "plain",
    "readme.txt": "plain",
}
"""The one that says most first."""
MOST_ENTRIES = 20_000
MOST_UNPACKED = 64 << 20
"""Bytes of a package in which its README has to be; they are sorted, so nearly all have it at their beginning."""


@dataclass(frozen=True, slots=True)
class PackageReadme:
    """`file` is its name, `is_cut` whether there is more of it."""

    file: str
    format: Literal["markdown", "rst", "plain"]
    text: str
    is_cut: bool


def read_readme(stream: ByteStream, *, most: int) -> PackageReadme | None:
    """The README of a .tar.gz, no more than `most` bytes of it; None if it has none, as far as can be seen.

    Reads no further than that, in bounded memory. A damaged archive has what stands before the damage.
    """
    found: PackageReadme | None = None
    names = list(_FORMATS)
    try:
        tar = Tar(gzips.Reader(stream, limit=MOST_UNPACKED))
        for number, entry in enumerate(tar):
            parts = entry.path.removeprefix("./").split("/")
            name = parts[-1].lower()
            if len(parts) == 2 and entry.is_file and name in _FORMATS and _is_better(names, name, found):
                text = tar.part(most).decode("utf-8", "replace")
                found = PackageReadme(parts[1], _FORMATS[name], text, entry.size > most)
            if number >= MOST_ENTRIES or (found is not None and found.file.lower() == names[0]):
                break
    except Invalid:
        return found
    return found


def _is_better(names: list[str], name: str, found: PackageReadme | None) -> bool:
    return found is None or names.index(name) < names.index(found.file.lower())
