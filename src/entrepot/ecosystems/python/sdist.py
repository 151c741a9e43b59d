"""Reads source distributions (PyPA: "Source distribution format", PEP 625; .zip as of old): whole and strictly."""

from __future__ import annotations

import posixpath

from packaging.utils import InvalidSdistFilename, parse_sdist_filename
from packaging.version import InvalidVersion, Version

from entrepot.core.errors import InvalidArchive
from entrepot.ecosystems.archives import gzips
from entrepot.ecosystems.archives.gzips import ByteStream
from entrepot.ecosystems.archives.members import check_path, shown
from entrepot.ecosystems.archives.tar import Entry, Tar
from entrepot.ecosystems.archives.zips import Read, Zip, check_paths
from entrepot.ecosystems.python import metadata
from entrepot.ecosystems.python.metadata import Distribution

_MOST_ENTRIES = 200_000


def read_tarball(stream: ByteStream, *, file_name: str, limit: int) -> Distribution:
    """Read a .tar.gz to its last byte, in bounded memory, and check all of it.

    Raises:
        InvalidArchive, Invalid: anything that is not exactly an sdist of that name, or unpacks to more than `limit`.
    """
    name, version = _parts(file_name)
    contents = _Contents(Tar(gzips.Reader(stream, limit=limit)))
    return _distribution(contents.document, contents.top, name, version)


def read_zip(read: Read, size: int, *, file_name: str, limit: int) -> Distribution:
    """As `read_tarball`, of a .zip."""
    name, version = _parts(file_name)
    archive = Zip(read, size, is_strict=True)
    if sum(member.size for member in archive.members) > limit:
        raise InvalidArchive(f"unpacks to more than {limit:,} bytes")
    check_paths(archive.members)
    top, document = None, None
    for member in archive.members:
        top = _same_top(top, member.name, is_folder=member.is_folder)
        if member.name == f"{top}/PKG-INFO":
            document = archive.content(member, largest=metadata.LARGEST)
        else:
            for _ in archive.pieces(member):
                pass
    return _distribution(document, top, name, version)


def _parts(file_name: str) -> tuple[str, Version]:
    try:
        return parse_sdist_filename(file_name)
    except (InvalidSdistFilename, InvalidVersion):
        raise InvalidArchive(
            "the file's name is not that of an sdist with a version of PEP 440", hint="name it NAME-VERSION.tar.gz"
        ) from None


def _distribution(document: bytes | None, top: str | None, name: str, version: Version) -> Distribution:
    if document is None or top is None:
        raise InvalidArchive(f"there is no {top or f'{name}-{version}'}/PKG-INFO in it")
    return metadata.distribution(document, kind="sdist", name=name, version=version, folder=top)


def _same_top(top: str | None, path: str, *, is_folder: bool) -> str:
    first, slash, _ = path.partition("/")
    if (top is not None and first != top) or not (slash or is_folder):
        raise InvalidArchive(f"{shown(path)} in it is outside of the folder {top or 'that an sdist has'!r}")
    return first


class _Contents:
    """One strict walk over the archive: its `top` folder and PKG-INFO, the `document`."""

    def __init__(self, tar: Tar) -> None:
        self.top: str | None = None
        self.document: bytes | None = None
        for count, entry in enumerate(tar, 1):
            if count > _MOST_ENTRIES:
                raise InvalidArchive(f"there are more than {_MOST_ENTRIES:,} entries in it")
            self._take(tar, entry)

    def _take(self, tar: Tar, entry: Entry) -> None:
        if entry.is_folder and entry.size:
            raise InvalidArchive(f"{entry.shown} in it is a folder that claims to have content")
        path = entry.path.removesuffix("/") if entry.is_folder else entry.path
        check_path(path)
        self.top = _same_top(self.top, path, is_folder=entry.is_folder)
        if entry.is_link:
            _check_link(entry, self.top)
        elif not entry.is_file and not entry.is_folder:
            raise InvalidArchive(f"{entry.shown} in it is {entry.what}")
        if path == f"{self.top}/PKG-INFO":
            self._take_document(tar, entry)

    def _take_document(self, tar: Tar, entry: Entry) -> None:
        if self.document is not None:
            raise InvalidArchive("there are two PKG-INFO files in it")
        if not entry.is_file:
            raise InvalidArchive("its PKG-INFO is not a file")
        if entry.size > metadata.LARGEST:
            raise InvalidArchive(f"its PKG-INFO is larger than {metadata.LARGEST:,} bytes")
        self.document = tar.content()


def _check_link(entry: Entry, top: str) -> None:
    """A link stays within the folder: symbolic ones go from their own place, hard ones from that of unpacking."""
    target = entry.link if entry.is_hard_link else posixpath.join(posixpath.dirname(entry.path), entry.link)
    way = posixpath.normpath(target)
    if entry.link.startswith("/") or "\\" in entry.link or not (way == top or way.startswith(top + "/")):
        raise InvalidArchive(f"{entry.shown} in it is a link that leads out of it")
