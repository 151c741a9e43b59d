"""Wheels and sdists as (file name, bytes), sound and bad ones: the same arguments always give the same bytes.

wheel("Demo.Pkg", "1.0", requires=["other>=1"], requires_python=">=3.8")
sdist("Demo.Pkg", "1.0")
bad_wheels()["RECORD with a wrong hash"]
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import random
import re
import stat
import struct
import tarfile
import zipfile
from collections.abc import Callable, Iterable, Mapping, Sequence

from tests.support.archives import file_entry, folder_entry, pack, pack_tar

BAD_WHEEL = "demo-1.0-py3-none-any.whl"
"""The file name that `bad_wheels` are meant to have."""
BAD_SDIST = "demo-1.0.tar.gz"
"""The file name that `bad_sdists` are meant to have."""

Fields = Mapping[str, str | Sequence[str] | None]
Members = list[tuple[str, bytes]]
_WHEN = (2023, 11, 14, 22, 13, 20)


def wheel(
    name: str,
    version: str,
    *,
    requires: Sequence[str] = (),
    requires_python: str | None = None,
    extras: Sequence[str] = (),
    tag: str = "py3-none-any",
    build: str = "",
    fields: Fields | None = None,
    description: str = "",
    extra_files: Mapping[str, bytes] | None = None,
    metadata: bytes | None = None,
    dist_info: str | None = None,
    without: Sequence[str] = (),
    edit_record: Callable[[str], str] | None = None,
    file_name: str | None = None,
    compression: int = zipfile.ZIP_DEFLATED,
) -> tuple[str, bytes]:
    """A pure wheel that really installs: the module named after the project has its `__version__`.

    Args:
        fields: more or other fields of METADATA; a list repeats one, None leaves it out.
        description: the body of METADATA.
        extra_files: more or other files by their path in the wheel.
        metadata: METADATA as it shall stand, instead of what the other arguments make.
        dist_info: the name of the .dist-info folder, if another than the right one.
        without: names of files below .dist-info that are left out, such as "RECORD".
        edit_record: gets the right RECORD and returns the one that is packed.
        file_name: the name of the file, if another than the right one.
    """
    stem = f"{escaped(name)}-{version.replace('-', '_')}"
    info = dist_info or f"{stem}.dist-info"
    if metadata is None:
        metadata = make_metadata(
            name,
            version,
            requires=requires,
            requires_python=requires_python,
            extras=extras,
            fields=fields,
            description=description,
        )
    contents = {
        f"{escaped(name)}/__init__.py": f'__version__ = "{version}"\n'.encode(),
        **(extra_files or {}),
        f"{info}/METADATA": metadata,
        f"{info}/WHEEL": _wheel_file(tag, build),
    }
    contents = {path: data for path, data in contents.items() if path.removeprefix(f"{info}/") not in without}
    if "RECORD" not in without:
        record = make_record(contents, info)
        contents[f"{info}/RECORD"] = (edit_record(record) if edit_record else record).encode()
    tags = f"{build}-{tag}" if build else tag
    return file_name or f"{stem}-{tags}.whl", pack_zip(contents.items(), compression=compression)


def sdist(
    name: str,
    version: str,
    *,
    requires: Sequence[str] = (),
    requires_python: str | None = None,
    extras: Sequence[str] = (),
    fields: Fields | None = None,
    description: str = "",
    extra_files: Mapping[str, bytes] | None = None,
    metadata: bytes | None = None,
    folder: str | None = None,
    without: Sequence[str] = (),
    file_name: str | None = None,
    is_zip: bool = False,
) -> tuple[str, bytes]:
    """An sdist that pip builds and installs without any other package: its build backend is in it.

    The arguments are those of `wheel`; `folder` is the name of the top folder if another than the right one, and
    `is_zip` makes a .zip as of old.
    """
    stem = f"{escaped(name)}-{version}"
    if metadata is None:
        metadata = make_metadata(
            name,
            version,
            requires=requires,
            requires_python=requires_python,
            extras=extras,
            fields=fields,
            description=description,
        )
    inner_name, inner = wheel(name, version, metadata=metadata)
    contents = {
        "PKG-INFO": metadata,
        "pyproject.toml": _PYPROJECT,
        "backend.py": _BACKEND.replace("FILE_NAME", inner_name).encode(),
        f"{escaped(name)}/__init__.py": f'__version__ = "{version}"\n'.encode(),
        "backend.whl": inner,
        **(extra_files or {}),
    }
    members = [(f"{folder or stem}/{path}", data) for path, data in contents.items() if path not in without]
    if is_zip:
        return file_name or f"{stem}.zip", pack_zip(members)
    packed = pack([file_entry(path, data) for path, data in members], format=tarfile.PAX_FORMAT)
    return file_name or f"{stem}.tar.gz", packed


_PYPROJECT = b'[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
_BACKEND = """import pathlib, shutil

def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    shutil.copy(pathlib.Path(__file__).with_name("backend.whl"), pathlib.Path(wheel_directory, "FILE_NAME"))
    return "FILE_NAME"

def build_sdist(sdist_directory, config_settings=None):
    raise NotImplementedError
"""


def make_metadata(
    name: str,
    version: str,
    *,
    requires: Sequence[str] = (),
    requires_python: str | None = None,
    extras: Sequence[str] = (),
    fields: Fields | None = None,
    description: str = "",
) -> bytes:
    """The core metadata of a project as METADATA and PKG-INFO hold it."""
    told: dict[str, str | Sequence[str] | None] = {
        "Metadata-Version": "2.3",
        "Name": name,
        "Version": version,
        "Summary": f"What {name} does",
        "Requires-Python": requires_python,
        "Requires-Dist": list(requires),
        "Provides-Extra": list(extras),
        **(fields or {}),
    }
    lines = []
    for key, value in told.items():
        values = [value] if isinstance(value, str) else value or []
        lines += [f"{key}: {one}\n" for one in values]
    return ("".join(lines) + (f"\n{description}" if description else "")).encode()


def make_record(contents: Mapping[str, bytes], info: str) -> str:
    """RECORD of these files of a wheel (PEP 376, 427)."""
    lines = [f"{path},sha256={record_digest(data)},{len(data)}\n" for path, data in contents.items()]
    return "".join(lines) + f"{info}/RECORD,,\n"


def record_digest(data: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()


def escaped(name: str) -> str:
    """A project's name as file names have it (PEP 625, binary distribution format)."""
    return re.sub(r"[-_.]+", "_", name).lower()


def pack_zip(
    members: Iterable[tuple[str, bytes]], *, compression: int = zipfile.ZIP_DEFLATED, mode: int = stat.S_IFREG | 0o644
) -> bytes:
    """A zip of exactly these members in this order; a name may be there twice."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", compression) as archive:
        for path, data in members:
            info = zipfile.ZipInfo(path, _WHEN)
            info.external_attr = mode << 16
            info.compress_type = compression
            if path in archive.NameToInfo:
                del archive.NameToInfo[path]  # it would warn of the second one
            archive.writestr(info, data)
    return packed.getvalue()


def _wheel_file(tag: str, build: str) -> bytes:
    pythons, abis, platforms = (part.split(".") for part in tag.split("-"))
    tags = [f"Tag: {python}-{abi}-{platform}\n" for python in pythons for abi in abis for platform in platforms]
    pure = "true" if platforms == ["any"] else "false"
    head = f"Wheel-Version: 1.0\nGenerator: tests 1\nRoot-Is-Purelib: {pure}\n"
    return (head + "".join(tags) + (f"Build: {build}\n" if build else "")).encode()


def bad_wheels() -> dict[str, bytes]:
    """What no server may take as `BAD_WHEEL`, each under what is wrong with it."""
    return {**_damaged_zips(), **_bad_members(), **_bad_records(), **_badly_described()}


def _demo(**more: object) -> bytes:
    return wheel("demo", "1.0", **more)[1]  # type: ignore[arg-type]


def _members_of(data: bytes) -> Members:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return [(info.filename, archive.read(info)) for info in archive.infolist()]


def _damaged_zips() -> dict[str, bytes]:
    good = _demo(extra_files={"demo/noise.bin": bytes(range(256)) * 8})
    noise = _demo(extra_files={"demo/noise.bin": random.Random(1).randbytes(4096)})
    wrong_crc = bytearray(noise)
    wrong_crc[noise.index(b"demo/noise.bin") + 1000] ^= 0xFF
    encrypted = bytearray(good)
    encrypted[6] |= 1
    encrypted[good.index(b"PK\1\2") + 8] |= 1
    renamed = good.replace(b"demo/__init__.py", b"demo/__evil__.py", 1)
    directory = good.index(b"PK\1\2")
    return {
        "nothing at all": b"",
        "not a zip": b"hello, world\n" * 200,
        "a web page": b"<!DOCTYPE html><html>Sign in</html>",
        "an sdist": sdist("demo", "1.0")[1],
        "zip cut in the middle": good[: len(good) // 2],
        "zip without its last byte": good[:-1],
        "zip without its beginning": good[10:],
        "something before the zip": b"#!/bin/sh\n" + good,
        "something behind the zip": good + b"garbage",
        "a second zip behind the first": good + good,
        "something between members and directory": _with_gap(good, directory),
        "zip of nothing": pack_zip([]),
        "damaged contents": bytes(wrong_crc),
        "an encrypted member": bytes(encrypted),
        "an unknown compression": _demo(compression=zipfile.ZIP_BZIP2),
        "a local name other than the directory's": renamed,
        "a bomb": _demo(extra_files={"demo/zeros": bytes(65 << 20)}),
        "members that overlap": _overlapping(good),
        "a size that lies": _lying_size(good),
        "too many members": _many_members(),
    }


def _with_gap(data: bytes, directory: int) -> bytes:
    """Sixteen bytes that belong to nothing before the central directory."""
    moved = bytearray(data[:directory] + bytes(16) + data[directory:])
    struct.pack_into("<I", moved, len(moved) - 6, directory + 16)
    return bytes(moved)


def _overlapping(data: bytes) -> bytes:
    """Two entries of the directory that name the same member."""
    directory = data.index(b"PK\1\2")
    second = data.index(b"PK\1\2", directory + 1)
    again = data[directory:second]
    (count, size) = struct.unpack_from("<HI", data, len(data) - 12)
    end = bytearray(data[-22:])
    struct.pack_into("<HHI", end, 8, count + 1, count + 1, size + len(again))
    return data[:-22] + again.replace(b"__init__", b"__also__") + bytes(end)


def _lying_size(data: bytes) -> bytes:
    """The directory says that a member is smaller than it is."""
    lying = bytearray(data)
    at = data.index(b"PK\1\2")
    (size,) = struct.unpack_from("<I", data, at + 24)
    struct.pack_into("<I", lying, at + 24, size - 1)
    struct.pack_into("<I", lying, 22, size - 1)
    return bytes(lying)


def _many_members() -> bytes:
    """A directory with more entries than a wheel has; what they point to isn't there."""
    count = 200_001
    entry = struct.pack("<4s6H3I5H2I", b"PK\1\2", 20, 20, 0, 0, 0, 33, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0) + b"x"
    directory = entry * count
    end64 = struct.pack("<4sQ2H2I4Q", b"PK\6\6", 44, 45, 45, 0, 0, count, count, len(directory), 0)
    locator = struct.pack("<4sIQI", b"PK\6\7", 0, len(directory), 1)
    end = struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, 0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0)
    return directory + end64 + locator + end


def _bad_members() -> dict[str, bytes]:
    def with_member(path: str, **more: int) -> bytes:
        if not more:
            return _demo(extra_files={path: b"x"})
        good = _members_of(_demo(extra_files={path: b"x"}))
        return pack_zip(good, **more)

    init = "demo/__init__.py"
    twice = _members_of(_demo())
    return {
        "an absolute path": with_member("/etc/cron.d/demo"),
        "a path that climbs": with_member("demo/../../etc/passwd"),
        "a drive": with_member("C:/windows/demo.dll"),
        "a backslash": with_member("demo\\..\\..\\x"),
        "a path from here": with_member("./demo/x"),
        "an empty part": with_member("demo//x"),
        "a line break": with_member("demo/a\nb"),
        "symbolic links": with_member("demo/link", mode=stat.S_IFLNK | 0o777),
        "the same member twice": pack_zip([*twice, (init, b"evil = True\n")]),
        "a file that is also a folder": _demo(extra_files={"demo/x": b"", "demo/x/y": b""}),
    }


def _bad_records() -> dict[str, bytes]:
    def edited(edit: Callable[[str], str]) -> bytes:
        return _demo(edit_record=edit)

    def swapped(old: str, new: str) -> bytes:
        return edited(lambda record: re.sub(old, new, record, count=1))

    md5 = "demo/__init__.py,md5=" + "a" * 22
    return {
        "no RECORD": _demo(without=["RECORD"]),
        "RECORD lacks a file": edited(lambda record: record.partition("\n")[2]),
        "RECORD lists a file that isn't there": edited(
            lambda record: "demo/gone.py,sha256=" + "a" * 43 + ",1\n" + record
        ),
        "RECORD lists a file twice": edited(lambda record: record.partition("\n")[0] + "\n" + record),
        "RECORD with a wrong hash": swapped(r"sha256=....", "sha256=aaaa"),
        "RECORD with a wrong size": swapped(r",\d+\n", ",999\n"),
        "RECORD without hashes": edited(lambda record: re.sub(r"sha256=[^,]*,\d+", ",", record)),
        "RECORD with md5": swapped(r"demo/__init__.py,sha256=[^,]*", md5),
        "RECORD that is no table": edited(lambda record: record.replace("demo", '"demo', 1)),
        "RECORD that is not text": _with_record(b"\xff\xfe"),
    }


def _with_record(record: bytes) -> bytes:
    return pack_zip([*_members_of(_demo(without=["RECORD"])), ("demo-1.0.dist-info/RECORD", record)])


def _badly_described() -> dict[str, bytes]:
    def fields(**more: str | Sequence[str] | None) -> bytes:
        return _demo(fields={key.replace("_", "-"): value for key, value in more.items()})

    return {
        "no METADATA": _demo(without=["METADATA"]),
        "no WHEEL": _demo(without=["WHEEL"]),
        "WHEEL of a later major version": _other_wheel_file(b"Wheel-Version: 2.0\n"),
        "WHEEL without a version": _other_wheel_file(b"Root-Is-Purelib: true\n"),
        "two .dist-info folders": _demo(extra_files={"other-1.0.dist-info/METADATA": make_metadata("other", "1.0")}),
        ".dist-info of another name": _demo(dist_info="other-1.0.dist-info"),
        ".dist-info of another version": _demo(dist_info="demo-1.1.dist-info"),
        "METADATA of another name": _demo(metadata=make_metadata("other", "1.0")),
        "METADATA of another version": _demo(metadata=make_metadata("demo", "1.1")),
        "METADATA is not UTF-8": _demo(metadata=make_metadata("demo", "1.0") + b"Author: \xff\xfe\n"),
        "METADATA too large": _demo(metadata=make_metadata("demo", "1.0", description="x" * (9 << 20))),
        "METADATA empty": _demo(metadata=b""),
        "METADATA is something else": _demo(metadata=b"\x89PNG\r\n\x1a\n" + bytes(100)),
        "no Metadata-Version": fields(Metadata_Version=None),
        "a Metadata-Version of the future": fields(Metadata_Version="3.0"),
        "no Name": fields(Name=None),
        "no Version": fields(Version=None),
        "two Versions": fields(Version=["1.0", "1.1"]),
        "a version that is none": fields(Version="one"),
        "a bad Requires-Python": fields(Requires_Python="3.8 or so"),
        "a bad Requires-Dist": fields(Requires_Dist=["other >= one"]),
        "a Requires-Dist that is no name": fields(Requires_Dist=["../other"]),
        "a bad Provides-Extra": fields(Provides_Extra=["a b"]),
    }


def _other_wheel_file(text: bytes) -> bytes:
    info = "demo-1.0.dist-info"
    contents = dict(_members_of(_demo(without=["RECORD"]))) | {f"{info}/WHEEL": text}
    return pack_zip([*contents.items(), (f"{info}/RECORD", make_record(contents, info).encode())])


def bad_sdists() -> dict[str, bytes]:
    """What no server may take as `BAD_SDIST`, each under what is wrong with it."""
    good = sdist("demo", "1.0")[1]
    tar = gzip.decompress(good)

    def packed(*more: tuple[tarfile.TarInfo, bytes]) -> bytes:
        return pack([file_entry("demo-1.0/PKG-INFO", make_metadata("demo", "1.0")), *more])

    def described(metadata: bytes) -> bytes:
        return sdist("demo", "1.0", metadata=metadata)[1]

    def linked(to: str, type: bytes = tarfile.SYMTYPE) -> bytes:
        return packed(file_entry("demo-1.0/link", b"", type=type, linkname=to))

    return {
        "nothing at all": b"",
        "not gzip": tar,
        "a web page": b"<!DOCTYPE html><html>Sign in</html>",
        "a wheel": _demo(),
        "gzip cut in the middle": good[: len(good) // 2],
        "gzip without its last byte": good[:-1],
        "garbage behind the gzip stream": good + b"garbage",
        "gzip of something else": gzip.compress(b"hello, world\n" * 200, mtime=0),
        "tar cut behind an entry": gzip.compress(tar[:1024], mtime=0),
        "a second archive behind the first": gzip.compress(tar + tar, mtime=0),
        "a bomb": gzip.compress(pack_tar([file_entry("demo-1.0/zeros", bytes(65 << 20))]), mtime=0),
        "an absolute path": packed(file_entry("/etc/cron.d/demo", b"")),
        "a path that climbs": packed(file_entry("demo-1.0/../../etc/passwd", b"")),
        "a link that climbs": linked("../../etc/passwd"),
        "a link with an absolute path": linked("/etc/passwd"),
        "a hard link out": linked("../x", tarfile.LNKTYPE),
        "a device": packed(file_entry("demo-1.0/null", b"", type=tarfile.CHRTYPE)),
        "a second top folder": packed(file_entry("other/x", b"")),
        "a file beside the folder": packed(file_entry("README", b"")),
        "another top folder than the name": sdist("demo", "1.0", folder="demo-1.1")[1],
        "two PKG-INFOs": packed(file_entry("demo-1.0/PKG-INFO", make_metadata("demo", "1.0"))),
        "PKG-INFO is a folder": pack([folder_entry("demo-1.0"), folder_entry("demo-1.0/PKG-INFO")]),
        "no PKG-INFO": sdist("demo", "1.0", without=["PKG-INFO"])[1],
        "PKG-INFO of another name": described(make_metadata("other", "1.0")),
        "PKG-INFO of another version": described(make_metadata("demo", "1.1")),
        "PKG-INFO too large": described(make_metadata("demo", "1.0", description="x" * (9 << 20))),
        "PKG-INFO is not UTF-8": described(make_metadata("demo", "1.0") + b"Author: \xff\xfe\n"),
        "a version that is none": described(make_metadata("demo", "one")),
        "a bad Requires-Dist": described(make_metadata("demo", "1.0", requires=["other >= one"])),
    }
