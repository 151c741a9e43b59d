"""Reads binary packages of R: what `R CMD INSTALL --build` makes on Linux, macOS and Windows ("R Installation and
Administration", 6.4)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import BinaryIO

from entrepot.core.errors import Invalid, InvalidArchive
from entrepot.core.platforms import ANY, System, architecture
from entrepot.ecosystems.archives import gzips
from entrepot.ecosystems.archives.members import check_path
from entrepot.ecosystems.archives.tar import Tar
from entrepot.ecosystems.archives.zips import Zip, check_paths
from entrepot.ecosystems.r.contents import LARGEST_DESCRIPTION, Contents, fields_of, text_of
from entrepot.ecosystems.r.dcf import write_fields
from entrepot.ecosystems.r.packages import fields_of_description
from entrepot.ecosystems.r.paths import BINARY_SUFFIXES
from entrepot.ecosystems.r.tarball import check_description, describe, limit_of
from entrepot.ecosystems.r.versions import LONGEST, NAME, VERSION

_WANTED = "give a file that R CMD INSTALL --build makes"
_SUFFIXES = {suffix: system for system, suffix in BINARY_SUFFIXES.items()}
_FILE = re.compile(rf"({NAME})_({VERSION})(?:_R_[A-Za-z0-9_.-]+)?(\.tar\.gz|\.tgz|\.zip)")
_LONGEST_FILE = 3 * LONGEST
_R = re.compile(r"R ([0-9]{1,2}\.[0-9]{1,2}\.[0-9]{1,3})")
_DARWIN = re.compile(r"darwin([0-9]+)")
_OLDEST_MACOS = {20: "big-sur", 23: "sonoma"}
"""Major version of Darwin that binaries are built for -> as the folders of CRAN call it."""


@dataclass(frozen=True, slots=True)
class BinaryPackage:
    """What a binary package says of itself; `description_text` is DESCRIPTION as it stands, decoded.

    Attributes:
        r: the version of R that built it, such as 4.2.2.
        arch: x86_64 or arm64, `any` if nothing is compiled in it.
        flavour: macOS: the folder between `bin/macosx/` and `contrib/` that it belongs to, empty for none; None if the
            file doesn't tell. Else empty.
    """

    name: str
    version: str
    description: dict[str, str]
    description_text: str
    r: str
    system: System
    arch: str
    flavour: str | None


@dataclass(frozen=True, slots=True)
class _Built:
    """The field `Built` of DESCRIPTION: `R 4.2.2; x86_64-pc-linux-gnu; 2023-01-01 10:00:00 UTC; unix`."""

    r: str
    platform: str
    os_type: str


def read_binary_package(stream: BinaryIO, *, file_name: str, size: int) -> BinaryPackage:
    """Read a binary package to its last byte, in bounded memory, and check all of it.

    Args:
        stream: the file, at its beginning; it is sought in.
        file_name: NAME_VERSION_R_PLATFORM.tar.gz or NAME_VERSION.tar.gz (Linux), NAME_VERSION.tgz (macOS) or
            NAME_VERSION.zip (Windows).
        size: its bytes; what it may unpack to depends on them.

    Raises:
        InvalidArchive: anything that is not exactly a binary package of that name and version; the message is one line
            and names the file.
    """
    shown = file_name[:200].encode("utf-8", "backslashreplace").decode()
    try:
        return _read_checked(stream, file_name, size)
    except InvalidArchive as error:
        error = InvalidArchive(f"{shown}: {error}", hint=error.hint or _WANTED, file=shown)
        raise error from None
    except Invalid as error:
        raise InvalidArchive(f"{shown}: {error}", hint=_WANTED, file=shown) from error


def check_mirrored(stream: BinaryIO, *, file_name: str, size: int, limit: int) -> None:
    """See that a mirrored file is a whole archive with the package and version that its name says; leniently: what else
    is odd in it is upstream's.

    Args:
        limit: bytes that it may unpack to.

    Raises:
        Invalid: it isn't.
    """
    parts = split_file_name(file_name)
    if parts is None:
        raise InvalidArchive("the file's name is not that of a binary package")
    name, version, system = parts
    if system is System.WINDOWS:
        _, text, _ = _walk_zip(stream, name, size, limit, is_strict=False)
    else:
        whole = gzips.Reader(stream, limit=limit)
        while whole.read(gzips.CHUNK):
            pass
        stream.seek(0)
        text = describe(stream)[1]
    if text is None:
        raise InvalidArchive(f"there is no {name}/DESCRIPTION in it")
    description = fields_of(text)
    if (description.get("Package"), description.get("Version")) != (name, version) or "Built" not in description:
        says = f"{description.get('Package', '')[:60]} {description.get('Version', '')[:60]}"
        raise InvalidArchive(f"DESCRIPTION says {says}, {'built' if 'Built' in description else 'not built'}")


def split_file_name(name: str) -> tuple[str, str, System] | None:
    """(package, version, system) of a binary package's file name, None if it isn't one."""
    found = _FILE.fullmatch(name) if len(name) <= _LONGEST_FILE else None
    if found is None or len(found[1]) > LONGEST or len(found[2]) > LONGEST:
        return None
    return found[1], found[2], _SUFFIXES[found[3]]


def index_fields(package: BinaryPackage) -> str:
    """The text for `File.fields`: as of a source package, and how it was built."""
    built = {key: package.description[key] for key in ("Built",) if key in package.description}
    return fields_of_description(package.description, has_src_folder=None) + write_fields(built)


def _read_checked(stream: BinaryIO, file_name: str, size: int) -> BinaryPackage:
    parts = split_file_name(file_name)
    if parts is None:
        raise InvalidArchive(
            "the file's name is not that of a binary package",
            hint="it is NAME_VERSION_R_PLATFORM.tar.gz (Linux), NAME_VERSION.tgz (macOS) or NAME_VERSION.zip (Windows)",
        )
    name, version, system = parts
    top, text, is_installed = _of_zip(stream, name, size) if system is System.WINDOWS else _of_tar(stream, size)
    if text is None:
        raise InvalidArchive(f"there is no {name}/DESCRIPTION in it")
    description = fields_of(text)
    check_description(description)
    if "Built" not in description:
        raise InvalidArchive(
            "this is a source package; binary ones are wanted",
            hint=f"`entrepot add` takes source packages; {_WANTED} here",
        )
    if (description["Package"], description["Version"]) != (name, version):
        says = f"{description['Package']} {description['Version']}"
        raise InvalidArchive(f"DESCRIPTION says {says}, the file's name says {name} {version}")
    if top != name:
        raise InvalidArchive(f"the folder in it is {top!r}, not {name!r}")
    if not is_installed:
        raise InvalidArchive(f"there is no {name}/Meta/package.rds in it, which installed packages have")
    built = _built(description["Built"])
    _check_system(built, system)
    arch = _arch(built)
    flavour = _flavour(built, arch) if system is System.MACOS else ""
    return BinaryPackage(name, version, description, text, built.r, system, arch, flavour)


def _of_tar(stream: BinaryIO, size: int) -> tuple[str | None, str | None, bool]:
    """(the one folder, the text of DESCRIPTION, whether it is an installed package)."""
    # Shared libraries may have links to their versions beside them.
    contents = Contents(Tar(gzips.Reader(stream, limit=limit_of(size))), takes_links=True)
    return contents.top, contents.text, contents.has_meta


def _of_zip(stream: BinaryIO, name: str, size: int) -> tuple[str | None, str | None, bool]:
    """As `_of_tar`."""
    return _walk_zip(stream, name, size, limit_of(size), is_strict=True)


def _walk_zip(
    stream: BinaryIO, name: str, size: int, limit: int, *, is_strict: bool
) -> tuple[str | None, str | None, bool]:
    """As `_of_tar`: all members are unpacked once, to at most `limit` bytes."""

    def read(start: int, end: int) -> bytes:
        stream.seek(start)
        return stream.read(end - start)

    archive = Zip(read, size, is_strict=is_strict)
    check_paths(archive.members)
    if sum(member.size for member in archive.members) > limit:
        raise InvalidArchive(f"unpacks to more than {limit:,} bytes")
    tops = {check_path(member.name.removesuffix("/"))[0] for member in archive.members}
    if len(tops) > 1:
        raise InvalidArchive(f"there is more in it than the folder {name!r}")
    files = {member.name: member for member in archive.members if not member.is_folder}
    text = None
    for path, member in files.items():
        if path == f"{name}/DESCRIPTION":
            text = text_of(archive.content(member, largest=LARGEST_DESCRIPTION))
        else:
            for _ in archive.pieces(member):
                pass
    return next(iter(tops), None), text, f"{name}/Meta/package.rds" in files


def _built(text: str) -> _Built:
    """Raises InvalidArchive."""
    parts = [part.strip() for part in text.split(";")]
    found = _R.fullmatch(parts[0])
    if len(parts) != 4 or found is None or parts[3] not in ("unix", "windows"):
        raise InvalidArchive(
            f"its DESCRIPTION has a Built field that R doesn't write: {text[:100]!r}",
            hint="such as R 4.2.2; x86_64-pc-linux-gnu; 2023-01-01 10:00:00 UTC; unix",
        )
    return _Built(found[1], parts[1], parts[3])


def _check_system(built: _Built, system: System) -> None:
    """See that the file's suffix and the system that built it are of one kind; pure R tells no more than its type."""
    told = System.WINDOWS if built.os_type == "windows" else None
    if told is None and built.platform:
        kinds = {"linux": System.LINUX, "darwin": System.MACOS}
        told = next((kind for word, kind in kinds.items() if word in built.platform), None)
        if told is None:
            raise InvalidArchive(f"it was built on {built.platform[:60]!r}, which is neither Linux nor macOS")
    if (told is not None and told is not system) or (told is None and system is System.WINDOWS):
        suffix = next(suffix for suffix, kind in _SUFFIXES.items() if kind is system)
        on = f"built for {built.platform[:60]!r} ({built.os_type})"
        raise InvalidArchive(f"the file's name ends with {suffix}, and it was {on}")


def _arch(built: _Built) -> str:
    """Raises InvalidArchive: no architecture that binaries are made for."""
    if not built.platform:
        return ANY
    arch = architecture(built.platform.partition("-")[0])
    if arch is None or (built.os_type == "windows" and arch != "x86_64"):
        raise InvalidArchive(
            f"it was built on {built.platform[:60]!r}, an architecture that is not served",
            hint="binaries for x86_64 and arm64 (aarch64) are; for Windows those for x86_64",
        )
    return arch


def _flavour(built: _Built, arch: str) -> str | None:
    """The folder on macOS, as R itself chooses it by how it was built."""
    r = tuple(int(number) for number in built.r.split(".")[:2])
    if r < (4, 0):
        return "el-capitan" if r >= (3, 4) else None
    if r == (4, 0) or (r < (4, 3) and arch == "x86_64"):
        return ""
    darwin = _DARWIN.search(built.platform)
    system = _OLDEST_MACOS.get(int(darwin[1])) if darwin is not None and len(darwin[1]) < 4 else None
    return f"{system}-{arch}" if system is not None and arch != ANY else None
