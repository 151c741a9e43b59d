"""Files that are given to sources of our own: each read and checked as its ecosystem wants it, all faults together."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from packaging.version import InvalidVersion, Version

from entrepot.app import App
from entrepot.core.errors import EntrepotError, Invalid, InvalidArchive, InvalidBatch
from entrepot.core.model import PackageName, Sha256, SourceType
from entrepot.ecosystems.python import names
from entrepot.ecosystems.python.distribution import read_distribution
from entrepot.ecosystems.python.entry import Entry, pack
from entrepot.ecosystems.r import binarypackage, paths, tarball, versions
from entrepot.ecosystems.r import packages as r_packages
from entrepot.ecosystems.r.binarypackage import BinaryPackage
from entrepot.storage import Key


@dataclass(frozen=True, slots=True)
class Digests:
    md5: str
    sha256: Sha256


@dataclass(frozen=True, slots=True)
class Upload:
    """A file that was received: the name it was sent under and where it lies; its digests, if they are known yet."""

    name: str
    path: Path
    digests: Digests | None = None


@dataclass(frozen=True, slots=True)
class Checked:
    """An upload whose contents were read.

    `name` is the file's as it will be listed, `fields` as in `File`, `description` the metadata that is kept for
    people, `document` the one that clients may ask for beside the file.
    """

    upload: Upload
    name: str
    package: PackageName
    version: str
    size: int
    digests: Digests
    fields: str
    description: str | None = None
    document: bytes | None = None


@dataclass(frozen=True, slots=True)
class Rules:
    """What differs between ecosystems where packages of one's own change.

    `read` checks an upload to its last byte. `package` is the normal form of a name that somebody gave; `order` what
    versions compare by, which is equal for those that count as the same. With an archive one version of a package is
    current, without one all are; `newest` then says by what the newest is chosen.
    """

    files: str
    read: Callable[[Upload], Checked]
    package: Callable[[str], PackageName]
    order: Callable[[str], Any]
    newest: Callable[[str], Any]
    has_archive: bool

    @property
    def rank(self) -> Callable[[str], Any]:
        """The plain order of versions, pre-releases in their places."""
        return self.newest if self.has_archive else self.order


def check(uploads: Sequence[Upload], rules: Rules) -> list[Checked]:
    """Read every upload.

    Raises:
        InvalidArchive, Invalid: one of them is bad; of several an InvalidBatch with all faults.
    """
    checked: list[Checked] = []
    faults: list[tuple[str, EntrepotError]] = []
    seen: set[Hashable] = set()
    if not uploads:
        raise Invalid("there is no file to add", hint=f"send one or more {rules.files}")
    for upload in uploads:
        try:
            if upload.name in seen:
                raise Invalid(f"{upload.name} is given twice")
            seen.add(upload.name)
            if Path(upload.name).name != upload.name or "\\" in upload.name:
                raise InvalidArchive(f"{upload.name!r} is not a file name", hint=f"these are {rules.files}")
            checked.append(rules.read(upload))
        except EntrepotError as error:
            faults.append((upload.name, error))
    if faults:
        raise InvalidBatch.of(faults)
    return checked


def store(app: App, checked: Sequence[Checked]) -> None:
    """Put the files into the store. Before the rows that name them: a crash in between leaves what nothing shows."""
    for item in checked:
        app.storage.put_file(Key.blob(item.digests.sha256), item.upload.path)
        if item.document is not None:
            app.storage.put_bytes(Key.blob(Sha256(hashlib.sha256(item.document).hexdigest())), item.document)


def _read_r(upload: Upload) -> Checked:
    size = upload.path.stat().st_size
    with upload.path.open("rb") as stream:
        package = tarball.read_source_package(stream, file_name=upload.name, compressed_size=size)
        digests = upload.digests or _digests(stream)
    return Checked(
        upload,
        paths.file_name(package.name, package.version),
        PackageName(package.name),
        package.version,
        size,
        digests,
        r_packages.fields_of_description(package.description, has_src_folder=package.has_src_folder),
        description=package.description_text,
    )


def checked_binary(upload: Upload) -> tuple[Checked, BinaryPackage]:
    """A binary package of R, read to its last byte, and what it says of itself.

    Raises:
        InvalidArchive: it is none.
    """
    size = upload.path.stat().st_size
    with upload.path.open("rb") as stream:
        package = binarypackage.read_binary_package(stream, file_name=upload.name, size=size)
        digests = upload.digests or _digests(stream)
    checked = Checked(
        upload,
        paths.binary_file_name(package.name, package.version, package.system),
        PackageName(package.name),
        package.version,
        size,
        digests,
        binarypackage.index_fields(package),
        description=package.description_text,
    )
    return checked, package


def _read_python(upload: Upload) -> Checked:
    size = upload.path.stat().st_size
    with upload.path.open("rb") as stream:
        found = read_distribution(stream, file_name=upload.name, size=size)
        digests = upload.digests or _digests(stream)
    document = Sha256(hashlib.sha256(found.metadata).hexdigest()) if found.is_static else None
    fields = pack(Entry(requires_python=found.requires_python, core_metadata=document))
    return Checked(
        upload,
        upload.name,
        found.project,
        found.version,
        size,
        digests,
        fields,
        description=None if found.is_static else found.metadata.decode(),
        document=found.metadata if found.is_static else None,
    )


def _digests(stream: BinaryIO) -> Digests:
    md5, sha256 = hashlib.md5(usedforsecurity=False), hashlib.sha256()
    stream.seek(0)
    while chunk := stream.read(1024 * 1024):
        md5.update(chunk)
        sha256.update(chunk)
    return Digests(md5.hexdigest(), Sha256(sha256.hexdigest()))


def _python_order(version: str) -> tuple[bool, Any]:
    """Equal versions of PEP 440 are equal; what is none comes before them."""
    try:
        return True, Version(version)
    except InvalidVersion:
        return False, version


def _python_newest(version: str) -> tuple[bool, tuple[bool, Any]]:
    """Final releases count before pre-releases, as installers choose."""
    is_version, key = order = _python_order(version)
    return is_version and not key.is_prerelease, order


_R = Rules(
    files="source packages NAME_VERSION.tar.gz",
    read=_read_r,
    package=PackageName,
    order=str,
    newest=versions.version_key,
    has_archive=True,
)
_PYTHON = Rules(
    files="wheels (.whl) or sdists (.tar.gz)",
    read=_read_python,
    package=names.normalize,
    order=_python_order,
    newest=_python_newest,
    has_archive=False,
)
_BINARIES = Rules(
    files="binary packages",
    read=lambda upload: checked_binary(upload)[0],
    package=PackageName,
    order=str,
    newest=versions.version_key,
    has_archive=False,
)
RULES: Mapping[SourceType, Rules] = {
    SourceType.LOCAL: _R,
    SourceType.GIT: _R,
    SourceType.LOCAL_PYTHON: _PYTHON,
    SourceType.GIT_PYTHON: _PYTHON,
    SourceType.BINARIES: _BINARIES,
}
