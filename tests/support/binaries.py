"""Binary packages as bytes, as R CMD INSTALL --build makes them: the same arguments always give the same bytes.

    make_binary("demo", "1.0")                       # for Linux, R 4.2.2, nothing compiled
    make_binary("demo", "1.0", platform=X86_64, r="4.4.1")
    make_binary("demo", "1.0", suffix=".zip")        # for Windows

R would not attach them: what they show is in DESCRIPTION alone.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import zipfile
from collections.abc import Mapping

from tests.support.archives import file_entry, folder_entry, make_description, pack
from tests.support.fake_server import FakeServer

X86_64, ARM64 = "x86_64-pc-linux-gnu", "aarch64-unknown-linux-gnu"
WINDOWS, BIG_SUR = "x86_64-w64-mingw32", "aarch64-apple-darwin20"
_TIME = (2023, 11, 14, 22, 13, 20)


def built(r: str = "4.2.2", platform: str = "", os_type: str = "unix") -> str:
    """The field Built."""
    return f"R {r}; {platform}; 2023-11-14 22:13:20 UTC; {os_type}"


def make_binary(
    name: str,
    version: str,
    *,
    r: str = "4.2.2",
    platform: str = "",
    suffix: str = ".tar.gz",
    fields: Mapping[str, str | None] | None = None,
    files: Mapping[str, bytes] | None = None,
) -> bytes:
    """A binary package; `platform` is what Built says, empty if nothing is compiled."""
    stamp = built(r, platform, "windows" if suffix == ".zip" else "unix")
    text = make_description(name, version, fields={"Built": stamp, **(fields or {})})
    contents = {"DESCRIPTION": text.encode(), "Meta/package.rds": b"rds", "R/x.rdb": b"rdb", **(files or {})}
    if platform:
        contents[f"libs/{name}.so"] = b"\x7fELF" + platform.encode()
    named = {f"{name}/{path}": data for path, data in contents.items()}
    return pack_zip(named) if suffix == ".zip" else _tar(named)


def _tar(contents: Mapping[str, bytes]) -> bytes:
    folders = {path[: at + 1] for path in contents for at, letter in enumerate(path) if letter == "/"}
    return pack(
        folder_entry(path.rstrip("/")) if path in folders else file_entry(path, contents[path])
        for path in sorted({*contents, *folders})
    )


def pack_zip(contents: Mapping[str, bytes]) -> bytes:
    """A .zip of these files."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, data in contents.items():
            archive.writestr(zipfile.ZipInfo(path, _TIME), data, zipfile.ZIP_DEFLATED)
    return packed.getvalue()


def publish_binaries(upstream: FakeServer, folder: str, files: Mapping[str, bytes], *, tells_md5: bool = True) -> None:
    """Serve these files below a folder such as `bin/windows/contrib/4.4`, with an index of what their names say."""
    stanzas = []
    for name, data in files.items():
        package, _, rest = name.partition("_")
        version = rest.removesuffix(".zip").removesuffix(".tgz")
        md5 = f"MD5sum: {hashlib.md5(data, usedforsecurity=False).hexdigest()}\n" if tells_md5 else ""
        stanzas.append(f"Package: {package}\nVersion: {version}\nLicense: GPL-3\n{md5}")
        upstream.put(f"{folder}/{name}", data)
    upstream.put(f"{folder}/PACKAGES.gz", gzip.compress("\n".join(stanzas).encode(), mtime=0))
