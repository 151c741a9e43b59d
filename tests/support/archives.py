"""Source packages as bytes, sound and bad ones: the same arguments always give the same bytes.

make_source_package("demo", "1.0", fields={"Imports": "utils"}, files={"src/demo.c": b"..."})
bad_source_packages()["a symbolic link"]
"""

from __future__ import annotations

import gzip
import io
import random
import tarfile
from collections.abc import Iterable, Mapping

BAD_NAME = "demo_1.0.tar.gz"
"""The file name that `bad_source_packages` are meant to have."""

_MTIME = 1_700_000_000
Members = Iterable[tuple[tarfile.TarInfo, bytes]]


def make_source_package(
    name: str,
    version: str,
    *,
    fields: Mapping[str, str | None] | None = None,
    files: Mapping[str, bytes] | None = None,
    published: str | None = None,
) -> bytes:
    """A tiny source package that R really installs; its function `installed_version()` returns `version`.

    Args:
        fields: more or other fields of DESCRIPTION; None leaves a field out.
        files: more or other files by their path below the package's folder.
        published: the field Date/Publication, such as "2024-01-31 12:00:02 UTC".
    """
    contents = {
        "DESCRIPTION": make_description(name, version, fields=fields, published=published).encode(),
        "NAMESPACE": b"export(installed_version)\n",
        "R/x.R": f'installed_version <- function() "{version}"\n'.encode(),
        **(files or {}),
    }
    return pack(_members(name, contents))


def make_description(
    name: str, version: str, *, fields: Mapping[str, str | None] | None = None, published: str | None = None
) -> str:
    """The text of a DESCRIPTION; a line break in a value makes a continuation line."""
    described: dict[str, str | None] = {
        "Package": name,
        "Version": version,
        "Title": f"What {name} Does",
        "Author": "A. Tester [aut, cre]",
        "Maintainer": "A. Tester <tester@example.org>",
        "Description": f"The package {name} is there to be served.",
        "License": "GPL-3",
        "NeedsCompilation": "no",
        "Packaged": "2023-11-14 22:13:20 UTC; tester",
        "Date/Publication": published,
        **(fields or {}),
    }
    lines = (f"{key}: {value}".replace("\n", "\n    ") for key, value in described.items() if value is not None)
    return "".join(line + "\n" for line in lines)


def pack(members: Members, *, format: int = tarfile.GNU_FORMAT) -> bytes:
    """A .tar.gz of exactly these members in this order."""
    return gzip.compress(pack_tar(members, format=format), compresslevel=6, mtime=0)


def pack_tar(members: Members, *, format: int = tarfile.GNU_FORMAT) -> bytes:
    """The same, not compressed."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=format) as tar:
        for info, data in members:
            tar.addfile(info, io.BytesIO(data))
    return packed.getvalue()


def file_entry(path: str, data: bytes, **more: object) -> tuple[tarfile.TarInfo, bytes]:
    """A file of an archive; `more` sets attributes of its header."""
    return _entry(path, data, {"mode": 0o644, **more})


def folder_entry(path: str, **more: object) -> tuple[tarfile.TarInfo, bytes]:
    """A folder of an archive."""
    return _entry(path, b"", {"type": tarfile.DIRTYPE, "mode": 0o755, **more})


def _entry(path: str, data: bytes, more: Mapping[str, object]) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(path)
    info.size, info.mtime = len(data), _MTIME
    for key, value in more.items():
        setattr(info, key, value)
    return info, data


def _members(name: str, contents: Mapping[str, bytes]) -> list[tuple[tarfile.TarInfo, bytes]]:
    """Files and the folders above them in the C locale's order, as R CMD build packs them."""
    paths = {f"{name}/{path}" for path in contents}
    folders = {path[: at + 1] for path in paths for at, letter in enumerate(path) if letter == "/"}
    return [
        folder_entry(path.rstrip("/")) if path in folders else file_entry(path, contents[path[len(name) + 1 :]])
        for path in sorted(paths | folders)
    ]


def _demo(*more: tuple[tarfile.TarInfo, bytes], description: str | bytes | None = None) -> Members:
    text = make_description("demo", "1.0") if description is None else description
    data = text.encode() if isinstance(text, str) else text
    return [folder_entry("demo"), file_entry("demo/DESCRIPTION", data), *more]


def bad_source_packages() -> dict[str, bytes]:
    """Archives that no server may take as demo_1.0.tar.gz, each under what is wrong with it."""
    return {**_damaged(), **_badly_described(), **_bad_entries(), **_tricks()}


def _damaged() -> dict[str, bytes]:
    good = make_source_package("demo", "1.0", files={"data/noise.bin": bytes(range(256)) * 8})
    tar = gzip.decompress(good)
    wrong_crc = bytearray(good)
    wrong_crc[-5] ^= 0xFF
    broken_header = bytearray(tar)
    broken_header[512 * 3 + 10] ^= 0xFF
    return {
        "nothing at all": b"",
        "not gzip": tar,
        "a web page": b"<!DOCTYPE html><html>Sign in</html>",
        "one byte": good[:1],
        "gzip cut in the middle": good[: len(good) // 2],
        "gzip without its last byte": good[:-1],
        "gzip with a wrong checksum": bytes(wrong_crc),
        "garbage behind the gzip stream": good + b"garbage",
        "zeros behind the gzip stream": good + bytes(16),
        "gzip of nothing": gzip.compress(b"", mtime=0),
        "gzip of something else": gzip.compress(b"hello, world\n" * 200, mtime=0),
        "tar cut in a file": gzip.compress(tar[: 512 * 2 + 100], mtime=0),
        "tar cut behind an entry": gzip.compress(tar[: 512 * 3], mtime=0),
        "tar with a damaged header": gzip.compress(bytes(broken_header), mtime=0),
        "a second archive behind the first": gzip.compress(tar + tar, mtime=0),
        "a bomb": gzip.compress(pack_tar(_demo(file_entry("demo/zeros", bytes(65 << 20)))), mtime=0),
    }


def _badly_described() -> dict[str, bytes]:
    def described(text: str | bytes) -> bytes:
        return pack(_demo(description=text))

    def fields(**more: str | None) -> bytes:
        return described(make_description("demo", "1.0", fields=more))

    return {
        "no DESCRIPTION": pack([folder_entry("demo"), file_entry("demo/NAMESPACE", b"")]),
        "DESCRIPTION too deep": pack([file_entry("demo/inst/DESCRIPTION", make_description("demo", "1.0").encode())]),
        "DESCRIPTION is a folder": pack([folder_entry("demo"), folder_entry("demo/DESCRIPTION")]),
        "DESCRIPTION too large": fields(Description="x" * (1 << 20)),
        "DESCRIPTION empty": described(""),
        "DESCRIPTION is not fields": described("This is a package.\n"),
        "DESCRIPTION begins with a continuation": described("  Package: demo\n"),
        "DESCRIPTION with NUL": described(b"Package: demo\0\nVersion: 1.0\n"),
        "no Package": fields(Package=None),
        "no Version": fields(Version=None),
        "empty Version": fields(Version=""),
        "bad name": described(make_description("../demo", "1.0")),
        "bad version": described(make_description("demo", "1.0-beta")),
        "version without a dot": described(make_description("demo", "1")),
        "another name than the file's": pack(_members("other", {"DESCRIPTION": b"Package: other\nVersion: 1.0\n"})),
        "another version than the file's": described(make_description("demo", "1.1")),
        "another folder than the name": pack(_members("other", {"DESCRIPTION": b"Package: demo\nVersion: 1.0\n"})),
        "a built package": fields(Built="R 4.2.2; ; 2023-11-14 22:13:20 UTC; unix"),
    }


def _bad_entries() -> dict[str, bytes]:
    def with_entry(path: str, **more: object) -> bytes:
        return pack(_demo(file_entry(path, b"", **more)))

    return {
        "an absolute path": with_entry("/etc/cron.d/demo"),
        "a path that climbs": with_entry("demo/../../etc/passwd"),
        "a folder that climbs": pack(_demo(folder_entry("demo/.."))),
        "a path from here": with_entry("./demo/x"),
        "an empty part": with_entry("demo//x"),
        "a backslash": with_entry("demo\\..\\x"),
        "a line break": with_entry("demo/a\nb"),
        "a symbolic link": with_entry("demo/link", type=tarfile.SYMTYPE, linkname="/etc/passwd"),
        "a hard link": with_entry("demo/link", type=tarfile.LNKTYPE, linkname="demo/DESCRIPTION"),
        "a device": with_entry("demo/null", type=tarfile.CHRTYPE, devmajor=1, devminor=3),
        "a block device": with_entry("demo/disk", type=tarfile.BLKTYPE, devmajor=8),
        "a named pipe": with_entry("demo/pipe", type=tarfile.FIFOTYPE),
        "an unknown type": with_entry("demo/x", type=b"Z"),
        "a second top folder": with_entry("other/x"),
        "a file beside the folder": with_entry("README"),
        "the top folder is a file": pack([file_entry("demo", b"")]),
        "two DESCRIPTIONs": pack(_demo(file_entry("demo/DESCRIPTION", b"Package: demo\nVersion: 1.0\n"))),
        "too many entries": _many_entries(),
    }


def _many_entries() -> bytes:
    """More entries than a package has, with so much noise that it isn't a bomb before."""
    noise = random.Random(1).randbytes(2 << 20)
    heading = pack_tar(_demo(file_entry("demo/noise", noise)))[: 512 * 4 + len(noise)]
    return gzip.compress(heading + file_entry("demo/x", b"")[0].tobuf() * 200_000 + bytes(1024), 1, mtime=0)


def _tricks() -> dict[str, bytes]:
    def pax(**headers: str) -> bytes:
        return pack(_demo(file_entry("demo/x", b"", pax_headers=headers)), format=tarfile.PAX_FORMAT)

    huge_name = tarfile.TarInfo("demo/x")
    huge_name.type, huge_name.size = b"L", 1 << 40
    heading = pack_tar(_demo())[: 512 * 3]
    renaming = pack_tar(_demo(), format=tarfile.PAX_FORMAT)
    renamed = tarfile.TarInfo.create_pax_global_header({"path": "demo/../x"})
    return {
        "a pax path that climbs": pax(path="demo/../../x"),
        "a pax path with NUL": pax(path="demo/x\0/../../y"),
        "a pax size that lies": pax(size="512000"),
        "a pax size that is none": pax(size="-1"),
        "a global header that renames": gzip.compress(renamed + renaming, mtime=0),
        "a long name that climbs": pack(_demo(file_entry("demo/" + "x" * 200 + "/../../../y", b""))),
        "a name of a terabyte": gzip.compress(heading + huge_name.tobuf(tarfile.GNU_FORMAT) + bytes(4096), mtime=0),
        "a long name without an entry": gzip.compress(_lonely_name(heading), mtime=0),
        "a folder with content": pack(_demo(file_entry("demo/data", bytes(512), type=tarfile.DIRTYPE))),
    }


def _lonely_name(heading: bytes) -> bytes:
    name = tarfile.TarInfo("././@LongLink")
    name.type, name.size = b"L", 7
    return heading + name.tobuf() + b"demo/x\0".ljust(512, b"\0") + bytes(1024)
