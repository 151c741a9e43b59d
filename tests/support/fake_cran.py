"""A CRAN on loopback that keeps its history like the real one and misbehaves on demand.

    with FakeCran() as cran:
        cran.add("abc", "1.0", data)
        cran.add("abc", "1.1", newer)      # 1.0 goes to Archive/abc/
        cran.publish()
        cran.fail("src/contrib/PACKAGES.gz", "cut", times=1)
        ... cran.url ...
        assert cran.count("src/contrib/PACKAGES.gz") == 2

Paths have no slash at the beginning. `add`, `remove` and `replace` show when `publish` is called.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import re
import tarfile
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from entrepot.core.model import File, FileStatus, Listed, PackageName, Sha256, seconds
from tests.support.fake_server import EPOCH, FakeServer, Served

CONTRIB = "src/contrib"
IN = f"{CONTRIB}/PACKAGES.in"


@dataclass(frozen=True, slots=True)
class Package:
    """One version that was ever published."""

    name: str
    version: str
    data: bytes
    published: datetime

    @property
    def file_name(self) -> str:
        return f"{self.name}_{self.version}.tar.gz"

    def path(self, status: FileStatus) -> str:
        folder = CONTRIB if status is FileStatus.CURRENT else f"{CONTRIB}/Archive/{self.name}"
        return f"{folder}/{self.file_name}"


class FakeCran(FakeServer):
    """The tree of a CRAN: the newest version of each package, and all before it in the archive.

    The first package is published at `EPOCH` unless the test says otherwise; each next one a day later.
    """

    def __init__(self, folder: Path | None = None) -> None:
        super().__init__(folder)
        self._packages: dict[tuple[str, str], Package] = {}
        self._removed: set[str] = set()
        self._comments: dict[str, list[str]] = {}
        self._published: set[str] = set()

    def add(self, name: str, version: str, data: bytes, published: datetime | None = None) -> Package:
        """A new version comes; what was taken off CRAN comes back with it."""
        package = Package(name, version, data, published or EPOCH + timedelta(days=len(self._packages)))
        self._packages[name, version] = package
        self.put_back(name, package.published)
        return package

    def remove(self, name: str, on: datetime | None = None) -> None:
        """Take a package off CRAN: all of its versions are in the archive; PACKAGES.in says so if the day is given."""
        self._removed.add(name)
        if on is not None:
            self._comments.setdefault(name, []).append(f"Archived on {on.date()} as nobody cared.")

    def put_back(self, name: str, on: datetime) -> None:
        """Let a package that was taken off be current again, with the version that it had or a new one."""
        if name in self._removed and len(self._comments.get(name, ())) % 2:
            self._comments[name].append(f"Unarchived on {on.date()}.")
        self._removed.discard(name)

    def replace(self, name: str, version: str, data: bytes, published: datetime | None = None) -> None:
        """Other bytes under the same version, as CRAN does now and then."""
        old = self._packages[name, version]
        self._packages[name, version] = Package(name, version, data, published or old.published)

    def publish(self) -> None:
        """Show what was added, removed and replaced, all at once; an index that did not change keeps its validators."""
        listed = self.listed()
        tree = {
            package.path(self._status(package)): Served(package.data, package.published)
            for package in self._packages.values()
        }
        with self._lock:
            tree |= {path: self._dated(path, data) for path, data in _indexes(listed).items()}
            tree[IN] = self._dated(IN, self._packages_in())
            self._files = {path: file for path, file in self._files.items() if path not in self._published} | tree
            self._published = set(tree)

    def _packages_in(self) -> bytes:
        """PACKAGES.in: what was said last of a package that is off is its comment, the rest is history."""
        stanzas = []
        for name, told in sorted(self._comments.items()):
            history, comment = (told[:-1], told[-1:]) if len(told) % 2 else (told, [])
            lines = [f"X-CRAN-Comment: {line}\n" for line in comment]
            lines += ["X-CRAN-History: " + "\n  ".join(history) + "\n"] if history else []
            stanzas.append(f"Package: {name}\n" + "".join(lines))
        return "\n".join(stanzas).encode()

    def listed(self) -> list[Listed]:
        """All versions in the order of R's own indexes: by package, the archived ones oldest first."""
        return [
            Listed(_file(number, package), self._status(package))
            for number, package in enumerate(sorted(self._packages.values(), key=_order), 1)
        ]

    def _status(self, package: Package) -> FileStatus:
        newest = max((other for other in self._packages.values() if other.name == package.name), key=_order)
        is_current = package is newest and package.name not in self._removed
        return FileStatus.CURRENT if is_current else FileStatus.ARCHIVED

    def _dated(self, path: str, data: bytes) -> Served:
        old = self._files.get(path)
        if old and old.data == data:
            return old
        newest = max([EPOCH, *(package.published for package in self._packages.values())])
        return Served(data, max(newest, old.modified + timedelta(seconds=1)) if old else newest)


def _indexes(listed: list[Listed]) -> dict[str, bytes]:
    # Here, not at the top: the server is of use to tests of the rings below the dialects.
    from entrepot.ecosystems.r import archivewrite, packages

    current = [each for each in listed if each.status is FileStatus.CURRENT]
    archived = [each.file.brief for each in listed if each.status is FileStatus.ARCHIVED]
    # CRAN's own PACKAGES tells neither sizes nor SHA-256.
    index = packages.render((_without_size(each) for each in current), lambda _: False)
    return {
        f"{CONTRIB}/PACKAGES": index,
        f"{CONTRIB}/PACKAGES.gz": gzip.compress(index, mtime=0),
        f"{CONTRIB}/Meta/archive.rds": archivewrite.render_archive(archived),
        f"{CONTRIB}/Meta/current.rds": archivewrite.render_current([each.file.brief for each in current]),
    }


def _without_size(listed: Listed) -> Listed:
    return listed._replace(file=listed.file._replace(size=None))


def _file(number: int, package: Package) -> File:
    return File(
        id=number,
        source_id=1,
        package=PackageName(package.name),
        version=package.version,
        name=package.file_name,
        size=len(package.data),
        md5=hashlib.md5(package.data, usedforsecurity=False).hexdigest(),
        sha256=Sha256(hashlib.sha256(package.data).hexdigest()),
        sha256_since=None,
        published_at=seconds(package.published),
        fields=_fields(package),
    )


def _fields(package: Package) -> str:
    """What the index says besides name, version and hash; nothing for bytes that are no R package."""
    from entrepot.ecosystems.r import dcf, packages

    try:
        with tarfile.open(fileobj=io.BytesIO(package.data)) as tar:
            description = tar.extractfile(f"{package.name}/DESCRIPTION")
            has_src = any(name.startswith(f"{package.name}/src/") for name in tar.getnames())
            read = dcf.parse_one(description.read()) if description else {}
            return packages.fields_of_description(read, has_src_folder=has_src)
    except (tarfile.TarError, KeyError):
        return ""


def _order(package: Package) -> tuple[str, list[int]]:
    return package.name, [int(number) for number in re.split(r"[.-]", package.version)]
