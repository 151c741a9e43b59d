"""Reads wheels (PyPA: "Binary distribution format"): an upload whole and strictly, a mirrored one for its METADATA."""

from __future__ import annotations

import base64
import binascii
import csv
import hashlib
from collections.abc import Iterable, Sequence
from email.parser import HeaderParser

from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename
from packaging.version import InvalidVersion, Version

from entrepot.core.errors import InvalidArchive, UpstreamInvalid
from entrepot.ecosystems.archives.members import shown
from entrepot.ecosystems.archives.zips import Member, Read, Zip, check_paths
from entrepot.ecosystems.python import metadata
from entrepot.ecosystems.python.metadata import Distribution

_LARGEST_RECORD = 64 << 20
_LARGEST_WHEEL_FILE = 1 << 16
_SIGNATURES = ("RECORD.jws", "RECORD.p7s")
_HASHES = ("sha256", "sha384", "sha512")


def read_wheel(read: Read, size: int, *, file_name: str, limit: int) -> Distribution:
    """Read a wheel to its last byte, in bounded memory, and check all of it against RECORD.

    Args:
        read: ranges of the file.
        size: its bytes.
        limit: how many bytes it may unpack to.

    Raises:
        InvalidArchive: anything that is not exactly a wheel of that name.
    """
    name, version = _parts(file_name)
    archive = Zip(read, size, is_strict=True)
    if sum(member.size for member in archive.members) > limit:
        raise InvalidArchive(f"unpacks to more than {limit:,} bytes")
    check_paths(archive.members)
    files = {member.name: member for member in archive.members if not member.is_folder}
    folder = _dist_info(archive.members)
    for wanted in ("METADATA", "WHEEL", "RECORD"):
        if f"{folder}/{wanted}" not in files:
            raise InvalidArchive(f"there is no {folder}/{wanted} in it")
    _check_wheel_file(archive.content(files[f"{folder}/WHEEL"], largest=_LARGEST_WHEEL_FILE))
    found = metadata.distribution(
        archive.content(files[f"{folder}/METADATA"], largest=metadata.LARGEST),
        kind="wheel",
        name=name,
        version=version,
        folder=folder.removesuffix(".dist-info"),
    )
    _check_record(archive, files, folder)
    return found


def metadata_from_wheel(read: Read, size: int, *, file_name: str) -> bytes:
    """METADATA of a mirrored wheel, by a few ranges of it: end of the directory, directory, the member itself.

    Args:
        read: gives the bytes [start, end); what it raises is passed on.
        size: the wheel's bytes.
        file_name: its name, which says whose METADATA is wanted where a wheel has several.

    Raises:
        UpstreamInvalid: no wheel, or none whose METADATA can be read so.
    """
    try:
        archive = Zip(read, size, is_strict=False)
        member = _metadata_member(archive.members, file_name)
        return archive.content(member, largest=metadata.LARGEST)
    except InvalidArchive as error:
        raise UpstreamInvalid(f"{file_name[:200]}: {error}") from error


def _parts(file_name: str) -> tuple[str, Version]:
    try:
        name, version, _, _ = parse_wheel_filename(file_name)
    except (InvalidWheelFilename, InvalidVersion):
        raise InvalidArchive(
            "the file's name is not that of a wheel", hint="name it NAME-VERSION-PYTHON-ABI-PLATFORM.whl"
        ) from None
    return name, version


def _dist_info(members: Iterable[Member]) -> str:
    tops = {member.name.partition("/")[0] for member in members if "/" in member.name}
    found = sorted(top for top in tops if top.endswith(".dist-info"))
    if not found:
        raise InvalidArchive("there is no .dist-info folder in it")
    if len(found) > 1:
        raise InvalidArchive(f"there are several .dist-info folders in it: {shown(found[0])}, {shown(found[1])}")
    return found[0]


def _metadata_member(members: Sequence[Member], file_name: str) -> Member:
    found = {}
    for member in members:
        folder, _, rest = member.name.partition("/")
        if rest == "METADATA" and folder.endswith(".dist-info"):
            found[folder] = member
    if len(found) > 1:
        wanted = canonicalize_name(file_name.partition("-")[0])
        found = {key: member for key, member in found.items() if canonicalize_name(key.partition("-")[0]) == wanted}
    if len(found) != 1:
        raise InvalidArchive("there is no METADATA in it" if not found else "there are several METADATA in it")
    return next(iter(found.values()))


def _check_wheel_file(data: bytes) -> None:
    told = HeaderParser().parsestr(data.decode("utf-8", "replace")).get("Wheel-Version", "")
    major = str(told).strip().partition(".")[0]
    if major != "1":
        what = f"says Wheel-Version {shown(str(told))}" if told else "has no Wheel-Version"
        raise InvalidArchive(f"its WHEEL {what}, where 1.0 is known here")


def _check_record(archive: Zip, files: dict[str, Member], folder: str) -> None:
    """RECORD lists each file of the wheel once, with its hash, and nothing else; the files have these hashes."""
    own = f"{folder}/RECORD"
    without_hash = {own, *(f"{folder}/{name}" for name in _SIGNATURES)}
    rows = _rows(archive.content(files[own], largest=_LARGEST_RECORD))
    for path in rows:
        if path not in files:
            raise InvalidArchive(f"its RECORD lists {shown(path)}, which is not in it")
    for path, member in files.items():
        if path in without_hash:
            if path not in rows and path == own:
                raise InvalidArchive("its RECORD does not list RECORD")
            continue
        if path not in rows:
            raise InvalidArchive(f"its RECORD does not list {shown(path)}")
        told, size = rows[path]
        if size and size != str(member.size):
            raise InvalidArchive(f"its RECORD gives {shown(path)} {size[:20]} bytes, it has {member.size}")
        _check_hash(archive, member, told)


def _rows(data: bytes) -> dict[str, tuple[str, str]]:
    """Path -> (hash, size) of a RECORD (PEP 376)."""
    rows: dict[str, tuple[str, str]] = {}
    try:
        for row in csv.reader(data.decode().splitlines(), strict=True):
            if not row:
                continue
            path, told, size = row
            if path in rows:
                raise InvalidArchive(f"its RECORD lists {shown(path)} twice")
            rows[path] = (told, size)
    except (csv.Error, ValueError):  # a UnicodeDecodeError is one too
        raise InvalidArchive("its RECORD is not a table of path, hash and size in UTF-8") from None
    return rows


def _check_hash(archive: Zip, member: Member, told: str) -> None:
    algorithm, _, digest = told.partition("=")
    if algorithm not in _HASHES:
        what = f"a {shown(algorithm)} hash, which is not secure," if algorithm else "no hash"
        raise InvalidArchive(f"its RECORD has {what} of {shown(member.name)}", hint="RECORD holds hashes of SHA-256")
    found = hashlib.new(algorithm)
    for piece in archive.pieces(member):
        found.update(piece)
    try:
        wanted = base64.urlsafe_b64decode(digest + "=" * (-len(digest) % 4))
    except (binascii.Error, ValueError):
        wanted = b""
    if wanted != found.digest():
        raise InvalidArchive(f"its RECORD has another hash of {shown(member.name)} than the file in it")
