"""Binary packages are read whole and strictly, in the three forms that R makes."""

from __future__ import annotations

import io
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest

from entrepot.core.errors import InvalidArchive
from entrepot.core.platforms import ANY, System
from entrepot.ecosystems.r.binarypackage import BinaryPackage, index_fields, read_binary_package
from tests.support.archives import file_entry, make_description, make_source_package, pack
from tests.support.binaries import ARM64, BIG_SUR, WINDOWS, X86_64, built, make_binary, pack_zip

LINUX = f"demo_1.0_R_{X86_64}.tar.gz"


def read(data: bytes, name: str = LINUX) -> BinaryPackage:
    return read_binary_package(io.BytesIO(data), file_name=name, size=len(data))


@pytest.mark.parametrize(
    ("name", "more", "told"),
    [
        (LINUX, {"platform": X86_64}, ("4.2.2", System.LINUX, "x86_64", "")),
        ("demo_1.0.tar.gz", {"platform": ARM64, "r": "4.4.1"}, ("4.4.1", System.LINUX, "arm64", "")),
        (LINUX, {}, ("4.2.2", System.LINUX, ANY, "")),
        ("demo_1.0.zip", {"platform": WINDOWS}, ("4.2.2", System.WINDOWS, "x86_64", "")),
        ("demo_1.0.zip", {}, ("4.2.2", System.WINDOWS, ANY, "")),
        ("demo_1.0.tgz", {"platform": BIG_SUR, "r": "4.4.1"}, ("4.4.1", System.MACOS, "arm64", "big-sur-arm64")),
        ("demo_1.0.tgz", {"platform": "x86_64-apple-darwin17.0"}, ("4.2.2", System.MACOS, "x86_64", "")),
        (
            "demo_1.0.tgz",
            {"platform": "x86_64-apple-darwin20", "r": "4.3.0"},
            ("4.3.0", System.MACOS, "x86_64", "big-sur-x86_64"),
        ),
        ("demo_1.0.tgz", {"r": "4.3.0"}, ("4.3.0", System.MACOS, ANY, None)),
        ("demo_1.0.tgz", {"r": "3.6.3"}, ("3.6.3", System.MACOS, ANY, "el-capitan")),
    ],
)
def test_what_a_file_tells(name: str, more: dict[str, str], told: tuple[str, System, str, str | None]) -> None:
    """R, system and processor are those of Built; the folder on macOS is the one that this R looks into."""
    suffix = ".tar.gz" if name.endswith(".tar.gz") else name[-4:]
    found = read(make_binary("demo", "1.0", suffix=suffix, **more), name)  # type: ignore[arg-type]
    assert (found.name, found.version) == ("demo", "1.0")
    assert (found.r, found.system, found.arch, found.flavour) == told
    assert index_fields(found).endswith(f"Built: {found.description['Built']}\n")


def described(text: str | None) -> bytes:
    fields = {"Built": text}
    return make_binary("demo", "1.0", fields=fields)


def with_link(path: str, target: str, *more: tuple[tarfile.TarInfo, bytes]) -> bytes:
    link = file_entry(f"demo/{path}", b"", type=tarfile.SYMTYPE, linkname=target)
    text = make_description("demo", "1.0", fields={"Built": built()}).encode()
    return pack([file_entry("demo/DESCRIPTION", text), file_entry("demo/Meta/package.rds", b"x"), link, *more])


WHOLE = make_binary("demo", "1.0")
ZIP = make_binary("demo", "1.0", suffix=".zip")
BAD: dict[str, tuple[str, bytes, str]] = {
    "a source package": (LINUX, make_source_package("demo", "1.0"), "this is a source package"),
    "another version": (
        LINUX,
        make_binary("demo", "1.1"),
        r"says demo 1\.1, the file's name says demo 1\.0",
    ),
    "another name": ("demos_1.0.tgz", make_binary("demo", "1.0"), "DESCRIPTION says demo"),
    "an odd name": ("demo-1.0.whl", WHOLE, "the file's name is not that of a binary package"),
    "cut": (LINUX, WHOLE[:-20], "cut short"),
    "a cut zip": ("demo_1.0.zip", ZIP[:-20], "not a zip archive, or cut short"),
    "a damaged zip": ("demo_1.0.zip", ZIP.replace(b"PK\3\4", b"PK\3\5", 1), "damaged"),
    "two folders in a zip": (
        "demo_1.0.zip",
        pack_zip({"demo/DESCRIPTION": b"x", "other/DESCRIPTION": b"x"}),
        "there is more in it than the folder 'demo'",
    ),
    "out of a zip": ("demo_1.0.zip", pack_zip({"demo/../../x": b"x"}), "an empty, '.' or '..' part"),
    "not installed": (
        LINUX,
        pack([file_entry("demo/DESCRIPTION", make_description("demo", "1.0", fields={"Built": built()}).encode())]),
        r"there is no demo/Meta/package\.rds in it",
    ),
    "an R of nonsense": (LINUX, described("R four; ; now; unix"), "a Built field that R doesn't write"),
    "an empty Built": (LINUX, described("R 4.2.2"), "a Built field that R doesn't write"),
    "an odd system": (
        LINUX,
        described(built(platform="sparc-sun-solaris2.10")),
        "neither Linux nor macOS",
    ),
    "an odd processor": (LINUX, described(built(platform="s390x-ibm-linux-gnu")), "is not served"),
    "macOS as .tar.gz": (LINUX, described(built(platform=BIG_SUR)), r"ends with \.tar\.gz, and it was built for"),
    "Windows as .tar.gz": (LINUX, described(built(os_type="windows")), r"ends with \.tar\.gz"),
    "a link out of it": (LINUX, with_link("libs/x.so", "/etc/passwd"), "may lead out of the package"),
    "a link above it": (LINUX, with_link("libs/x.so", "../../x"), "may lead out of the package"),
    "a link that turns back": (LINUX, with_link("libs/x.so", "a/../../../x"), "may lead out of the package"),
    "a file behind a link": (
        LINUX,
        with_link("libs", "R", file_entry("demo/libs/x.so", b"x")),
        "is behind a symbolic link",
    ),
    "a hard link": (
        LINUX,
        pack([file_entry("demo/x", b"", type=tarfile.LNKTYPE, linkname="demo/y")]),
        "is a hard link",
    ),
}


@pytest.mark.parametrize("why", BAD)
def test_what_is_none_is_refused(why: str) -> None:
    """One line that names the file, and a hint."""
    name, data, words = BAD[why]
    with pytest.raises(InvalidArchive, match=words) as caught:
        read(data, name)
    assert str(caught.value).startswith(f"{name}: ")
    assert caught.value.hint


def test_links_within_are_taken() -> None:
    """Shared libraries have them beside their versions."""
    more = [file_entry("demo/libs/libx.so.1", b"x")]
    assert read(with_link("libs/libx.so", "libx.so.1", *more)).name == "demo"
    assert read(with_link("libs/up", "../R")).name == "demo"


def test_what_unpacks_to_too_much_is_refused() -> None:
    """A zip of zeros is not unpacked to its end."""
    bomb = pack_zip({"demo/DESCRIPTION": b"x", "demo/zeros": bytes(80 << 20)})
    with pytest.raises(InvalidArchive, match="unpacks to more than"):
        read(bomb, "demo_1.0.zip")


def test_what_r_makes(rscript: Path, tmp_path: Path) -> None:
    """`R CMD INSTALL --build` of a package in which nothing is compiled."""
    r = shutil.which("R")
    if r is None:
        pytest.skip("there is no R")
    source = tmp_path / "demo_1.0.tar.gz"
    source.write_bytes(make_source_package("demo", "1.0"))
    (tmp_path / "library").mkdir()
    command = [r, "CMD", "INSTALL", "--build", "--no-docs", "--no-test-load", "-l", "library", source.name]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, timeout=60)
    (made,) = tmp_path.glob("demo_1.0_R_*.tar.gz")
    found = read(made.read_bytes(), made.name)
    version = subprocess.run([rscript, "-e", "cat(format(getRversion()))"], check=True, capture_output=True, text=True)
    assert (found.name, found.r, found.arch) == ("demo", version.stdout, ANY)
