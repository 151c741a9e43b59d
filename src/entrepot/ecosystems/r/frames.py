"""Meta/archive.rds frame by frame: read whole, or against the one of the day before, of which almost all is the same.

A CRAN's has 25,000 frames, and some hundred change in a day. `Frames` remembers where each is in the unpacked bytes;
a frame whose bytes stand at the next place of the new file needs no reading. One with other bytes may say the same all
the same: when a file was read last is in it too.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple

from entrepot.ecosystems.r import rds
from entrepot.ecosystems.r.archive import LARGEST, ArchivedRow, archived_rows


class Frames(NamedTuple):
    """Where the frames of an archive.rds are in its unpacked bytes: one behind the other from `first` on.

    `packages` and `lengths` (bytes) have an entry for each; the package is "" for a frame without a usable row. The
    first `settled` frames define R's table of `symbols`, those after it use it alone.
    """

    first: int
    symbols: tuple[str, ...]
    settled: int
    packages: list[str]
    lengths: list[int]


def read_archive(data: bytes) -> tuple[list[ArchivedRow], Frames | None]:
    """All rows, as `parse_archive`; and the frames, None where they can't be told apart by package and bytes.

    Raises:
        Invalid: not readable, or not a list.
    """
    elements = rds.Elements(data, limit=LARGEST)
    first, start = elements.at, elements.at
    found: list[ArchivedRow] = []
    packages: list[str] = []
    lengths = []
    settled = 0
    is_regular = True
    for number, frame in enumerate(elements, 1):
        rows = archived_rows(frame)
        found += rows
        is_regular &= _is_of_one_package(rows)
        packages.append(rows[0].package if rows else "")
        lengths.append(elements.at - start)
        start = elements.at
        if not elements.is_plain:
            settled = number
    return found, Frames(first, elements.symbols, settled, packages, lengths) if is_regular else None


class Changed(NamedTuple):
    """Packages whose frames came, went or have other rows, and where the new file has its frames."""

    packages: set[str]
    frames: Frames


class Archive:
    """An archive.rds that is not read yet.

    Raises:
        Invalid: not readable, or not a list.
    """

    def __init__(self, data: bytes) -> None:
        self._elements = rds.Elements(data, limit=LARGEST)

    def compare(self, before: Frames, old: Archive, *, most: int) -> Changed | None:
        """What is other than in `old`, whose frames are `before`; None if more than `most` packages are, or if only
        reading it whole can tell.

        Raises:
            Invalid: a new frame can't be read.
        """
        elements, raw, was = self._elements, self._elements.raw, old._elements.raw
        first = at = elements.at
        packages: list[str] = []
        lengths: list[int] = []
        settled = 0
        walk = _Walk(before, old)
        for number in range(elements.count):
            length = walk.length
            if number >= before.settled and length and raw.startswith(was[walk.at : walk.at + length], at):
                packages.append(walk.package)
                walk.step()
            else:
                elements.go_to(at)
                rows = archived_rows(elements.next())
                length = elements.at - at
                packages.append(rows[0].package if rows else "")
                walk.meet(packages[-1], rows)
                settled = settled if elements.is_plain else number + 1
                if settled > before.settled or not _is_of_one_package(rows) or len(walk.changed) > most:
                    return None
            if number + 1 == before.settled and elements.symbols != before.symbols:
                return None
            lengths.append(length)
            at += length
        walk.end()
        frames = Frames(first, before.symbols, settled, packages, lengths)
        return Changed(walk.changed, frames) if len(lengths) >= before.settled else None

    def rows(self, frames: Frames, packages: Collection[str]) -> list[ArchivedRow]:
        """The rows of these packages, by the places that `read_archive` or `compare` told."""
        found: list[ArchivedRow] = []
        at = frames.first
        for package, length in zip(frames.packages, frames.lengths, strict=True):
            if package in packages:
                found += self.rows_at(at, frames.symbols)
            at += length
        return found

    def rows_at(self, at: int, symbols: Sequence[str]) -> list[ArchivedRow]:
        """The rows of the frame at this place in the unpacked bytes."""
        self._elements.go_to(at, symbols)
        return archived_rows(self._elements.next())


class _Walk:
    """A place in the frames of before that goes on in step with the new ones."""

    def __init__(self, before: Frames, old: Archive) -> None:
        self._before = before
        self._old = old
        self._number = 0
        self._place = {package: n for n, package in enumerate(before.packages) if package}
        self.at = before.first
        self.changed: set[str] = set()

    @property
    def length(self) -> int:
        """Bytes of the frame at this place, 0 at the end."""
        return self._before.lengths[self._number] if self._number < len(self._before.lengths) else 0

    @property
    def package(self) -> str:
        return self._before.packages[self._number]

    def step(self) -> None:
        self.at += self.length
        self._number += 1

    def meet(self, package: str, rows: list[ArchivedRow]) -> None:
        """The new file has other bytes here: go behind that package's old frame, if it is ahead."""
        place = self._place.get(package, -1)
        while self._number < place:
            self._note(self.package)
            self.step()
        if self._number > place:
            self._note(package)
            return
        if self._old.rows_at(self.at, self._before.symbols) != rows:
            self._note(package)
        self.step()

    def end(self) -> None:
        for package in self._before.packages[self._number :]:
            self._note(package)

    def _note(self, package: str) -> None:
        if package:
            self.changed.add(package)


def _is_of_one_package(rows: list[ArchivedRow]) -> bool:
    return all(row.package == rows[0].package for row in rows)
