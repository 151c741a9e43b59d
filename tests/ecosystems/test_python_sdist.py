"""Source distributions: the sound are read, the bad are refused."""

from __future__ import annotations

import io
import tarfile

import pytest

from entrepot.core.errors import InvalidArchive
from entrepot.ecosystems.python.distribution import read_distribution
from entrepot.ecosystems.python.metadata import Distribution
from tests.support.archives import file_entry, folder_entry, pack
from tests.support.distributions import BAD_SDIST, bad_sdists, make_metadata, sdist

BAD = bad_sdists()
MESSAGES = {
    "not gzip": "not a gzip stream",
    "gzip cut in the middle": "cut short",
    "a bomb": "unpacks to more than 67,108,864 bytes",
    "an absolute path": "absolute path",
    "a path that climbs": "'..' part",
    "a link that climbs": "leads out",
    "a hard link out": "leads out",
    "a second top folder": "outside of the folder 'demo-1.0'",
    "another top folder than the name": "'demo-1.1', which is not that of demo 1.0",
    "no PKG-INFO": "no demo-1.0/PKG-INFO",
    "PKG-INFO of another version": "says demo 1.1, the file's name says demo 1.0",
    "a bad Requires-Dist": "bad Requires-Dist",
}
"""What is said of the more likely faults."""


def read(file_name: str, data: bytes) -> Distribution:
    return read_distribution(io.BytesIO(data), file_name=file_name, size=len(data))


@pytest.mark.parametrize("is_zip", [False, True])
def test_a_sound_sdist_is_read(is_zip: bool) -> None:
    """As .tar.gz, and as .zip as of old."""
    metadata = make_metadata("Demo.Pkg", "1.0.0", requires_python=">=3.8")
    name, data = sdist("Demo.Pkg", "1.0.0", requires_python=">=3.8", is_zip=is_zip)
    assert read(name, data) == Distribution("demo-pkg", "Demo.Pkg", "1.0.0", "sdist", ">=3.8", metadata, True)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("fields", "is_static"),
    [
        ({}, True),
        ({"Metadata-Version": "2.2"}, True),
        ({"Metadata-Version": "2.1"}, False),
        ({"Metadata-Version": "2.4", "Dynamic": "License"}, False),
    ],
)
def test_only_static_metadata_may_be_offered(fields: dict[str, str], is_static: bool) -> None:
    """What is Dynamic, or may have been before there was that field, a wheel built of it could contradict (PEP 643)."""
    assert read(*sdist("demo", "1.0", fields=fields)).is_static is is_static


def test_links_within_the_folder_are_taken() -> None:
    """Symbolic links go from their own place, hard ones from the top."""
    members = [
        folder_entry("demo-1.0"),
        file_entry("demo-1.0/PKG-INFO", make_metadata("demo", "1.0")),
        file_entry("demo-1.0/docs/README", b"", type=tarfile.SYMTYPE, linkname="../PKG-INFO"),
        file_entry("demo-1.0/" + "d" * 120, b"", type=tarfile.LNKTYPE, linkname="demo-1.0/PKG-INFO"),
        file_entry("demo-1.0/long", b"", type=tarfile.SYMTYPE, linkname="l" * 150),
    ]
    for format in (tarfile.GNU_FORMAT, tarfile.PAX_FORMAT):
        assert read("demo-1.0.tar.gz", pack(members, format=format)).name == "demo"


@pytest.mark.parametrize("format", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_a_long_link_that_climbs_is_refused(format: int) -> None:
    """Long targets stand in a header of their own."""
    to = "x/" * 100 + "../" * 110 + "etc/passwd"
    members = [
        file_entry("demo-1.0/PKG-INFO", make_metadata("demo", "1.0")),
        file_entry("demo-1.0/link", b"", type=tarfile.SYMTYPE, linkname=to),
    ]
    with pytest.raises(InvalidArchive, match="leads out"):
        read("demo-1.0.tar.gz", pack(members, format=format))


@pytest.mark.parametrize("what", BAD)
def test_a_bad_sdist_is_refused(what: str) -> None:
    """Whatever is wrong with it, the message is one line that names the file, and there is a hint."""
    with pytest.raises(InvalidArchive) as raised:
        read(BAD_SDIST, BAD[what])
    assert raised.value.message.startswith(f"{BAD_SDIST}: ")
    assert "\n" not in raised.value.message
    assert raised.value.hint
    assert MESSAGES.get(what, "") in raised.value.message


@pytest.mark.parametrize("name", ["demo.tar.gz", "demo-one.tar.gz", "demo-1.0.tar.bz2", "-1.0.tar.gz", "demo-.tar.gz"])
def test_a_bad_file_name_is_refused(name: str) -> None:
    """The name has to be NAME-VERSION.tar.gz or .zip."""
    with pytest.raises(InvalidArchive):
        read(name, sdist("demo", "1.0")[1])


@pytest.mark.parametrize("is_zip", [False, True])
def test_an_sdist_cut_anywhere_is_refused(is_zip: bool) -> None:
    """Not one beginning of a file passes for a whole one."""
    name, data = sdist("demo", "1.0", is_zip=is_zip)
    for end in range(0, len(data), 3):
        with pytest.raises(InvalidArchive):
            read(name, data[:end])
