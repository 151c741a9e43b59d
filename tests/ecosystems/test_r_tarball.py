"""Source packages: the sound are read, the bad are refused."""

from __future__ import annotations

import gzip
import io
import os
import subprocess
import tarfile
from pathlib import Path

import pytest

from entrepot.core.errors import InvalidArchive
from entrepot.ecosystems.r import tarball
from tests.support.archives import (
    BAD_NAME,
    bad_source_packages,
    file_entry,
    folder_entry,
    make_description,
    make_source_package,
    pack,
)
from tests.support.r import run_r

BAD = bad_source_packages()
MESSAGES = {
    "not gzip": "not a gzip stream",
    "gzip cut in the middle": "cut short",
    "gzip with a wrong checksum": "incorrect data check",
    "tar cut in a file": "cut short",
    "tar cut behind an entry": "no end mark",
    "tar with a damaged header": "damaged",
    "a bomb": "unpacks to more than 67,108,864 bytes",
    "no DESCRIPTION": "no demo/DESCRIPTION",
    "DESCRIPTION too large": "larger than 1,048,576 bytes",
    "no Version": "no Version field",
    "bad version": "'1.0-beta' is not a version",
    "another version than the file's": "DESCRIPTION says demo 1.1, the file's name says demo 1.0",
    "a built package": "built (binary) package; source packages are wanted",
    "an absolute path": "absolute path",
    "a path that climbs": "'..' part",
    "a symbolic link": "is a symbolic link",
    "a hard link": "is a hard link",
    "a named pipe": "is a named pipe",
    "a second top folder": "outside of the folder 'demo'",
    "two DESCRIPTIONs": "two DESCRIPTION files",
    "too many entries": "more than 200,000 entries",
    "a name of a terabyte": "absurd size",
    "a long name without an entry": "belongs to nothing",
    "garbage behind the gzip stream": "something follows the end of the gzip stream",
    "a second archive behind the first": "something follows the end mark",
}
"""What is said of the more likely faults."""


def read(data: bytes, file_name: str = BAD_NAME) -> tarball.SourcePackage:
    return tarball.read_source_package(io.BytesIO(data), file_name=file_name, compressed_size=len(data))


def test_a_sound_package_is_read() -> None:
    """Name, version, DESCRIPTION as fields and as text, and whether there is something to compile."""
    text = make_description("demo", "1.0", fields={"Author": "Å. Ö."})
    found = read(make_source_package("demo", "1.0", fields={"Author": "Å. Ö."}, files={"src/a.c": b""}))
    assert (found.name, found.version, found.has_src_folder) == ("demo", "1.0", True)
    assert found.description_text == text
    assert found.description["Author"] == "Å. Ö."
    assert not read(make_source_package("demo", "1.0")).has_src_folder


@pytest.mark.parametrize("format", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_every_common_form_of_tar_is_read(format: int) -> None:
    """ustar, GNU and pax, with long names and names that are not ASCII."""
    long = "demo/inst/" + "/".join(["x" * 60] * 3)
    more = [] if format == tarfile.USTAR_FORMAT else [file_entry("demo/inst/" + "ü" * 90, b"y")]
    members = [file_entry("demo/DESCRIPTION", make_description("demo", "1.0").encode()), file_entry(long, b"x"), *more]
    assert read(pack(members, format=format)).version == "1.0"


def test_gzip_of_several_members_is_read() -> None:
    """pigz and friends may make them."""
    tar = gzip.decompress(make_source_package("demo", "1.0"))
    assert read(gzip.compress(tar[:700]) + gzip.compress(b"") + gzip.compress(tar[700:])).name == "demo"


@pytest.mark.parametrize("what", BAD)
def test_a_bad_package_is_refused(what: str) -> None:
    """Whatever is wrong with it, the message is one line that names the file, and there is a hint."""
    with pytest.raises(InvalidArchive) as raised:
        read(BAD[what])
    assert raised.value.message.startswith(f"{BAD_NAME}: ")
    assert "\n" not in raised.value.message
    assert raised.value.hint
    assert MESSAGES.get(what, "") in raised.value.message


def test_every_expected_message_has_its_archive() -> None:
    """No message is expected of an archive that isn't built."""
    assert MESSAGES.keys() <= BAD.keys()


@pytest.mark.parametrize(
    "name", ["", "demo.tar.gz", "demo_1.0.zip", "../demo_1.0.tar.gz", "demo_1.0.tar.gz\udcff", "x" * 999]
)
def test_a_bad_file_name_is_refused(name: str) -> None:
    """The name has to be what R would make of package and version; the message can be sent as UTF-8."""
    with pytest.raises(InvalidArchive, match="NAME_VERSION") as raised:
        read(make_source_package("demo", "1.0"), name)
    assert len(raised.value.message.encode()) < 300


def test_a_package_cut_anywhere_is_refused() -> None:
    """Not one beginning of a file passes for a whole one."""
    data = make_source_package("demo", "1.0", files={"src/a.c": b"int a;"})
    for end in range(len(data)):
        with pytest.raises(InvalidArchive):
            read(data[:end])


class _Counting(io.BytesIO):
    """Counts what was read of it."""

    count = 0

    def read(self, size: int | None = -1, /) -> bytes:
        data = super().read(size)
        self.count += len(data)
        return data


NOISE = {"inst/noise": os.urandom(1 << 20)}


def test_describing_reads_no_further_than_it_has_to() -> None:
    """With NeedsCompilation told, what comes after DESCRIPTION is left alone."""
    stream = _Counting(make_source_package("demo", "1.0", files=NOISE))
    description, text, has_src_folder = tarball.describe(stream)
    assert (description["Package"], has_src_folder) == ("demo", None)
    assert text == make_description("demo", "1.0")
    assert stream.count < 1 << 18


def test_describing_looks_for_src_where_nothing_is_told() -> None:
    """The listing decides; where the stream ends before it, nobody knows."""
    fields = {"NeedsCompilation": None}
    compiled = make_source_package("demo", "1.0", fields=fields, files={**NOISE, "src/a.c": b""})
    pure = make_source_package("demo", "1.0", fields=fields, files=NOISE)
    assert [tarball.describe(io.BytesIO(data))[2] for data in (compiled, pure)] == [True, False]
    assert tarball.describe(io.BytesIO(pure[: len(pure) // 2]))[2] is None


class _Ending(io.BytesIO):
    """A stream that ends when it is told to: what was not handed out by then never comes."""

    has_ended = False

    def end(self) -> None:
        self.has_ended = True

    def read(self, size: int | None = -1, /) -> bytes:
        return b"" if self.has_ended else super().read(min(size or 4096, 4096))


@pytest.mark.parametrize(
    ("early", "late", "has_src_folder"),
    [({}, {}, False), ({}, NOISE, None), ({"A/src/b.c": b""}, NOISE, None), ({"src/a.c": b""}, {}, True)],
)
def test_a_stream_may_end_behind_description(
    early: dict[str, bytes], late: dict[str, bytes], has_src_folder: bool | None
) -> None:
    """`found` is told once DESCRIPTION was read; `src/` is decided by what came by then, and by that alone."""
    data = make_source_package("demo", "1.0", fields={"NeedsCompilation": None}, files={**early, **late})
    stream = _Ending(data)
    description, _, found = tarball.describe(stream, found=stream.end)
    assert (description["Package"], found) == ("demo", has_src_folder)
    assert stream.tell() < 1 << 16


def test_describing_is_lenient() -> None:
    """What a mirror's upstream published is described as it is: links, odd folders, a name that R refuses."""
    members = [
        folder_entry("./demo"),
        file_entry("./demo/link", b"", type=tarfile.SYMTYPE, linkname="x"),
        file_entry("./demo/DESCRIPTION", b"Package: demo\nVersion: 1\nAuthor: \xc5\n"),
        file_entry("README", b""),
    ]
    assert tarball.describe(io.BytesIO(pack(members)))[0] == {
        "Package": "demo",
        "Version": "1",
        "Author": "Å",
    }


@pytest.mark.parametrize(
    "what", ["nothing at all", "not gzip", "no DESCRIPTION", "DESCRIPTION is not fields", "tar cut in a file"]
)
def test_what_has_no_description_can_not_be_described(what: str) -> None:
    """That is an error, not an empty description."""
    with pytest.raises(InvalidArchive):
        tarball.describe(io.BytesIO(BAD[what]))


@pytest.mark.r
def test_r_installs_and_builds_what_the_tests_use(rscript: Path, tmp_path: Path) -> None:
    """The tests' packages are real ones, and what R CMD build makes is read."""
    data = make_source_package("demo", "1.0", files={"src/a.c": b"int a;\n"})
    (tmp_path / "demo_1.0.tar.gz").write_bytes(data)
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        tar.extractall(tmp_path / "unpacked", filter="data")
    subprocess.run(
        [str(rscript.with_name("R")), "CMD", "build", tmp_path / "unpacked" / "demo"],
        cwd=tmp_path / "unpacked",
        check=True,
        capture_output=True,
    )
    assert read((tmp_path / "unpacked" / "demo_1.0.tar.gz").read_bytes()).has_src_folder
    (tmp_path / "pure_1.1.tar.gz").write_bytes(make_source_package("pure", "1.1"))
    done = run_r(f"""
        install.packages("{tmp_path}/pure_1.1.tar.gz", repos = NULL, quiet = TRUE)
        cat(pure::installed_version())""")
    assert done.stdout.endswith("1.1")


def test_real_packages_of_cran_are_read() -> None:
    """All of a tree of them, where TEST_CRAN_TREE names one; strict and lenient reading agree."""
    tree = os.environ.get("TEST_CRAN_TREE")
    if not tree:
        pytest.skip("TEST_CRAN_TREE names no CRAN-like tree")
    for path in Path(tree).glob("src/contrib/**/*.tar.gz"):
        with path.open("rb") as stream:
            found = tarball.read_source_package(stream, file_name=path.name, compressed_size=path.stat().st_size)
        with path.open("rb") as stream:
            assert tarball.describe(stream)[:2] == (found.description, found.description_text)
