"""Wheels: the sound are read, the bad are refused; METADATA of mirrored ones by a few ranges."""

from __future__ import annotations

import contextlib
import io
import os
import zipfile
from pathlib import Path

import pytest

from entrepot.core.errors import InvalidArchive, UpstreamInvalid
from entrepot.ecosystems.python.distribution import read_distribution
from entrepot.ecosystems.python.metadata import Distribution
from entrepot.ecosystems.python.wheel import metadata_from_wheel
from tests.support.distributions import BAD_WHEEL, bad_wheels, make_metadata, pack_zip, wheel

BAD = bad_wheels()
MESSAGES = {
    "not a zip": "not a zip archive, or cut short",
    "zip cut in the middle": "not a zip archive, or cut short",
    "something before the zip": "something is before or behind",
    "a second zip behind the first": "something is before or behind",
    "something between members and directory": "between its members and its directory",
    "damaged contents": "'demo/noise.bin' in it is damaged",
    "an encrypted member": "is encrypted",
    "a local name other than the directory's": "there under another name",
    "a bomb": "unpacks to more than 67,108,864 bytes",
    "members that overlap": "overlap",
    "too many members": "more than 200,000 members",
    "an absolute path": "absolute path",
    "a drive": "absolute path",
    "a path that climbs": "'..' part",
    "symbolic links": "is a symbolic link",
    "the same member twice": "is in it twice",
    "a file that is also a folder": "a file and a folder",
    "no RECORD": "there is no demo-1.0.dist-info/RECORD in it",
    "RECORD lacks a file": "does not list 'demo/__init__.py'",
    "RECORD lists a file that isn't there": "lists 'demo/gone.py', which is not in it",
    "RECORD with a wrong hash": "another hash of 'demo/__init__.py'",
    "RECORD with a wrong size": "gives 'demo/__init__.py' 999 bytes, it has 20",
    "RECORD without hashes": "no hash of 'demo/__init__.py'",
    "RECORD with md5": "'md5' hash, which is not secure",
    "no METADATA": "there is no demo-1.0.dist-info/METADATA",
    "METADATA of another name": "says other 1.0, the file's name says demo 1.0",
    "METADATA of another version": "says demo 1.1, the file's name says demo 1.0",
    "METADATA too large": "larger than 8,388,608 bytes",
    "METADATA is not UTF-8": "not UTF-8",
    "no Metadata-Version": "no Metadata-Version",
    "a version that is none": "the version 'one', which is none (PEP 440)",
    "a bad Requires-Python": "bad Requires-Python: '3.8 or so'",
    "a bad Requires-Dist": "bad Requires-Dist: 'other >= one'",
}
"""What is said of the more likely faults."""


def read(file_name: str, data: bytes) -> Distribution:
    return read_distribution(io.BytesIO(data), file_name=file_name, size=len(data))


class Ranges:
    """Gives ranges of a file and notes which."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.asked: list[tuple[int, int]] = []

    def __call__(self, start: int, end: int) -> bytes:
        assert 0 <= start < end <= len(self.data)
        self.asked.append((start, end))
        return self.data[start:end]


def test_a_sound_wheel_is_read() -> None:
    """Name and version in both forms, and METADATA as it stands."""
    name, data = wheel("Demo.Pkg", "1.0.0RC1", requires=["other>=1; extra == 'x'"], requires_python=">=3.8", build="1")
    metadata = make_metadata("Demo.Pkg", "1.0.0RC1", requires=["other>=1; extra == 'x'"], requires_python=">=3.8")
    assert name == "demo_pkg-1.0.0RC1-1-py3-none-any.whl"
    assert read(name, data) == Distribution("demo-pkg", "Demo.Pkg", "1.0.0rc1", "wheel", ">=3.8", metadata, True)  # type: ignore[arg-type]


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_contents_may_be_stored_or_packed(compression: int) -> None:
    """Both compressions of wheels, with members larger than what is read at once."""
    files = {"demo/data.bin": os.urandom(600_000), "demo/zeros.bin": bytes(2_000_000), "demo/sub/é.txt": b"x"}
    assert read(*wheel("demo", "1.0", extra_files=files, compression=compression)).name == "demo"


def test_sizes_may_follow_the_contents() -> None:
    """Tools that write to a stream put sizes behind each member, some of them as 64 bits."""
    packed = io.BytesIO()

    class Stream(io.RawIOBase):
        def writable(self) -> bool:
            return True

        def write(self, data: bytes) -> int:  # type: ignore[override]
            return packed.write(data)

    with zipfile.ZipFile(io.BytesIO(wheel("demo", "1.0")[1])) as source, zipfile.ZipFile(Stream(), "w") as target:  # type: ignore[type-var]
        for info in source.infolist():
            with target.open(zipfile.ZipInfo(info.filename), "w", force_zip64=True) as member:
                member.write(source.read(info))
    assert read("demo-1.0-py3-none-any.whl", packed.getvalue()).version == "1.0"


def test_forms_of_names_may_differ() -> None:
    """Old tools escape names in other ways than new ones; it is the name that counts."""
    name, data = wheel("Demo.Pkg", "1.0", dist_info="Demo.Pkg-1.0.dist-info", file_name="Demo.Pkg-1.0-py3-none-any.whl")
    assert read(name, data).project == "demo-pkg"


@pytest.mark.parametrize("what", BAD)
def test_a_bad_wheel_is_refused(what: str) -> None:
    """Whatever is wrong with it, the message is one line that names the file, and there is a hint."""
    with pytest.raises(InvalidArchive) as raised:
        read(BAD_WHEEL, BAD[what])
    assert raised.value.message.startswith(f"{BAD_WHEEL}: ")
    assert "\n" not in raised.value.message
    assert raised.value.hint
    assert MESSAGES.get(what, "") in raised.value.message


def test_every_expected_message_has_its_wheel() -> None:
    """No message is expected of a wheel that isn't built."""
    assert MESSAGES.keys() <= BAD.keys()


@pytest.mark.parametrize(
    "name",
    [
        "",
        "demo.whl",
        "demo-1.0.whl",
        "demo-1.0-py3-none-any.zip.exe",
        "../demo-1.0-py3-none-any.whl",
        "a/demo-1.0-py3-none-any.whl",
        "demo-one-py3-none-any.whl",
        "demo-1.0..1-py3-none-any.whl",
        "dеmo-1.0-py3-none-any.whl",  # with a Cyrillic letter
        "demo-1.0-py3-none-any.whl\n",
        "demo-1.0-py3-none-any.whl\udcff",
        "x" * 300 + "-1.0-py3-none-any.whl",
    ],
)
def test_a_bad_file_name_is_refused(name: str) -> None:
    """The name has to be one that installers take; the message can be sent as UTF-8."""
    with pytest.raises(InvalidArchive) as raised:
        read(name, wheel("demo", "1.0")[1])
    assert len(raised.value.message.encode()) < 500
    assert raised.value.hint


def test_a_wheel_cut_anywhere_is_refused() -> None:
    """Not one beginning of a file passes for a whole one."""
    name, data = wheel("demo", "1.0")
    for end in range(len(data)):
        with pytest.raises(InvalidArchive):
            read(name, data[:end])


def test_any_changed_byte_of_the_contents_is_noticed() -> None:
    """Checksums and RECORD cover all that is installed."""
    name, data = wheel("demo", "1.0", compression=zipfile.ZIP_STORED)
    place = data.index(b"__version__")
    for at in range(place, place + 20):
        with pytest.raises(InvalidArchive):
            read(name, data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])


def test_metadata_is_read_by_few_ranges() -> None:
    """Of a small wheel the end is enough; of a large one the end, the directory and the member."""
    name, small = wheel("demo", "1.0")
    ranges = Ranges(small)
    assert metadata_from_wheel(ranges, len(small), file_name=name) == make_metadata("demo", "1.0")
    assert len(ranges.asked) == 1
    many = {f"demo/{number}.py": os.urandom(100) for number in range(2000)}
    name, large = wheel("demo", "1.0", extra_files={**many, "demo/data.bin": os.urandom(1 << 20)})
    ranges = Ranges(large)
    assert metadata_from_wheel(ranges, len(large), file_name=name) == make_metadata("demo", "1.0")
    assert len(ranges.asked) <= 3
    assert sum(end - start for start, end in ranges.asked) < 400_000
    name, data = "demo-1.0-py3-none-any.whl", _metadata_first(os.urandom(1 << 20))
    ranges = Ranges(data)
    assert metadata_from_wheel(ranges, len(data), file_name=name) == make_metadata("demo", "1.0")
    assert len(ranges.asked) == 2


def _metadata_first(noise: bytes) -> bytes:
    return pack_zip([("demo-1.0.dist-info/METADATA", make_metadata("demo", "1.0")), ("demo/noise", noise)])


def test_metadata_of_the_wanted_project_is_taken() -> None:
    """Some old wheels carry another .dist-info with them."""
    name, data = wheel("demo", "1.0", extra_files={"other-1.0.dist-info/METADATA": make_metadata("other", "1.0")})
    assert metadata_from_wheel(Ranges(data), len(data), file_name=name) == make_metadata("demo", "1.0")


@pytest.mark.parametrize(
    "what", ["nothing at all", "not a zip", "zip cut in the middle", "no METADATA", "METADATA too large", "a bomb"]
)
def test_what_has_no_metadata_is_upstreams_fault(what: str) -> None:
    """Whatever hinders, it is one error; a bomb elsewhere in the wheel doesn't matter."""
    data = BAD[what]
    ranges = Ranges(data)
    if what == "a bomb":
        assert metadata_from_wheel(ranges, len(data), file_name=BAD_WHEEL) == make_metadata("demo", "1.0")
        return
    with pytest.raises(UpstreamInvalid, match=r"demo-1\.0-py3-none-any\.whl: "):
        metadata_from_wheel(lambda start, end: data[start:end], len(data), file_name=BAD_WHEEL)


def test_errors_of_reading_are_passed_on() -> None:
    """An upstream that is away is not a wheel that is bad."""

    def away(start: int, end: int) -> bytes:
        raise TimeoutError

    with pytest.raises(TimeoutError):
        metadata_from_wheel(away, 1000, file_name=BAD_WHEEL)


def test_lenient_reading_never_fails_otherwise() -> None:
    """Damage at any byte of a wheel gives METADATA or the one error, and asks for nothing outside of the file."""
    name, data = wheel("demo", "1.0")
    for at in range(len(data)):
        damaged = data[:at] + bytes([data[at] ^ 0xFF]) + data[at + 1 :]
        with contextlib.suppress(UpstreamInvalid):
            metadata_from_wheel(Ranges(damaged), len(damaged), file_name=name)


def test_real_wheels_are_read() -> None:
    """All of a folder of them, where TEST_WHEELS names one; strict and lenient reading agree."""
    folder = os.environ.get("TEST_WHEELS")
    if not folder:
        pytest.skip("TEST_WHEELS names no folder of wheels")
    for path in Path(folder).glob("*.whl"):
        data = path.read_bytes()
        assert metadata_from_wheel(Ranges(data), len(data), file_name=path.name) == read(path.name, data).metadata
