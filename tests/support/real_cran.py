"""CRAN as it stood at a moment, from its own log of actions and a table of all versions: metadata, no tarballs.

    with RealCran() as cran:
        cran.publish(datetime(2023, 1, 1, 23, tzinfo=UTC))
        ... cran.url ...

The data are shared data beside the checkout; `MISSING` says why a test without them is skipped. Dates, versions, names
in dependency fields (without their bounds, which the table doesn't have) and licences are real; sizes and hashes are
made up.
"""

from __future__ import annotations

import csv
import gzip
import hashlib
import lzma
import zlib
from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

from entrepot.core.model import Brief, PackageName, seconds
from entrepot.ecosystems.r import dcf
from entrepot.ecosystems.r.archivewrite import render_archive, render_current
from tests.support.fake_cran import CONTRIB
from tests.support.fake_server import FakeServer

DATA = Path(__file__).parents[3] / "shared" / "data"
LOG, VERSIONS = "cran-actions-1997_2025-01-15.csv.xz", "cran-versions-deps-2000_2023-04-27.csv.xz"
LICENCES = "cran-PACKAGES-2024-12-19-macos-arm64-R4.4.xz"
MISSING = "" if (DATA / LOG).exists() else "no shared data beside the checkout"
FIELDS = ("Depends", "Imports", "LinkingTo", "Suggests")


def _table(name: str) -> Iterator[dict[str, str]]:
    with lzma.open(DATA / name, "rt", encoding="utf-8", newline="") as text:
        yield from csv.DictReader(text)


@cache
def actions() -> list[tuple[datetime, str, str, str]]:
    """(when, what, package, version) in the order in which it happened."""
    found = []
    for row in _table(LOG):
        time = row["Time"] if row["Time"] not in ("", "NA") else "00:00:00"
        when = datetime.fromisoformat(f"{row['Date']}T{time}").replace(tzinfo=UTC)
        found.append((when, row["Action"], row["Package"], row["Version"]))
    return sorted(found)


@cache
def needs() -> dict[tuple[str, str], dict[str, str]]:
    """(package, version) -> its dependency fields."""
    return {
        (row["Package"], row["Version"]): {
            field: ", ".join(name for name in row[field].split(",") if name) for field in FIELDS if row[field]
        }
        for row in _table(VERSIONS)
    }


@cache
def licences() -> dict[str, str]:
    """Package -> licence of its last version."""
    with lzma.open(DATA / LICENCES) as text:
        return {each["Package"]: each.get("License", "") for each in dcf.parse(text.read())}


def around(names: Iterable[str]) -> frozenset[str]:
    """These packages, all that any version of them ever needed, what these suggest, and what that needs."""
    by_name: dict[str, list[dict[str, str]]] = {}
    for (package, _), fields in needs().items():
        by_name.setdefault(package, []).append(fields)

    def named(package: str, fields: Iterable[str]) -> set[str]:
        lists = (told[field] for told in by_name.get(package, ()) for field in fields if field in told)
        return {name for some in lists for name in some.split(", ")}

    def closed(todo: set[str]) -> set[str]:
        found: set[str] = set()
        while todo:
            found |= todo
            todo = set().union(*(named(package, FIELDS[:3]) for package in todo)) - found
        return found

    needed = closed(set(names))
    return frozenset(closed(needed.union(*(named(package, FIELDS[3:]) for package in needed))))


def versions(
    until: datetime, only: Collection[str] | None = None
) -> tuple[dict[str, str], dict[tuple[str, str], datetime]]:
    """At that moment: package -> its current version; and when each version ever was published."""
    current: dict[str, str] = {}
    published: dict[tuple[str, str], datetime] = {}
    for when, what, package, version in actions():
        if when > until:
            break
        if only is not None and package not in only:
            continue
        if what != "publish":
            if version in ("", "NA", current.get(package)):
                current.pop(package, None)
        elif version not in ("", "NA"):
            current[package] = version
            published[package, version] = when
    return current, published


class RealCran(FakeServer):
    """An upstream with the metadata of CRAN at the moment that was published last: of all packages, or of some."""

    def __init__(self, only: Collection[str] | None = None) -> None:
        super().__init__()
        self._only = only

    def publish(self, until: datetime) -> None:
        current, published = versions(until, self._only)
        index = render(current)
        files = [
            Brief(n, PackageName(name), version, f"{name}_{version}.tar.gz", _size(name, version), seconds(when))
            for n, ((name, version), when) in enumerate(sorted(published.items(), key=lambda row: (row[0][0], row[1])))
        ]
        for path, data in {
            "PACKAGES": index,
            "PACKAGES.gz": gzip.compress(index, 1, mtime=0),
            "Meta/archive.rds": render_archive([f for f in files if current.get(f.package) != f.version]),
            "Meta/current.rds": render_current([f for f in files if current.get(f.package) == f.version]),
        }.items():
            old = self._files.get(f"{CONTRIB}/{path}")
            if old is None or old.data != data:
                self.put(f"{CONTRIB}/{path}", data, until)


def render(current: Mapping[str, str]) -> bytes:
    """PACKAGES of these versions."""
    return "\n".join(_stanza(package, current[package]) for package in sorted(current)).encode()


def _size(package: str, version: str) -> int:
    return 1000 + zlib.crc32(f"{package}_{version}".encode()) % 1_000_000


def _stanza(package: str, version: str) -> str:
    fields = needs().get((package, version), {})
    lines = [f"Package: {package}", f"Version: {version}", *(f"{name}: {value}" for name, value in fields.items())]
    lines += [
        f"License: {licences().get(package) or 'GPL-3'}",
        f"MD5sum: {hashlib.md5(f'{package}_{version}'.encode(), usedforsecurity=False).hexdigest()}",
        f"NeedsCompilation: {'yes' if 'LinkingTo' in fields else 'no'}",
    ]
    return "".join(line + "\n" for line in lines)
