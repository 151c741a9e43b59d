"""What a checkout's DESCRIPTION says, and the versions of commits."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from entrepot.core.errors import BuildFailed
from entrepot.ecosystems.r import dcf
from entrepot.ecosystems.r.build import (
    LARGEST_NUMBER,
    Said,
    check_tag,
    commit_version,
    is_of,
    read_description,
    replace_version,
)
from entrepot.ecosystems.r.versions import VERSION, version_key

NUMBER = st.one_of(st.integers(0, 20), st.integers(0, LARGEST_NUMBER)).map(str)
OWN = st.tuples(NUMBER, st.lists(st.tuples(st.sampled_from(".-"), NUMBER), min_size=1, max_size=3)).map(
    lambda parts: parts[0] + "".join(sign + number for sign, number in parts[1])
)
STAMP = st.one_of(st.integers(1_000_000_000, 1_900_000_000), st.integers(LARGEST_NUMBER - 2, LARGEST_NUMBER + 9))
NEWEST = st.one_of(st.none(), OWN, st.tuples(OWN, STAMP).map(lambda parts: f"{parts[0]}.0.0.0.{parts[1]}"))


def numbers(version: str) -> list[int]:
    return list(map(int, re.split("[.-]", version)))


@pytest.mark.parametrize(
    ("own", "stamp", "newest", "version"),
    [
        ("1.1-3", 1537204599, None, "1.1-3.0.0.0.1537204599"),
        ("1.1-3", 1537204599, "1.1-3.0.0.0.1537204598", "1.1-3.0.0.0.1537204599"),
        ("1.1-3", 1537204599, "1.1-3", "1.1-3.0.0.0.1537204599"),
        ("1.2", 5, "1.1.0.0.0.900", "1.2.0.0.0.5"),
        # Pushed by force to an older commit; the same second.
        ("1.1-3", 1537204599, "1.1-3.0.0.0.1600000000", "1.1-3.0.0.0.1600000001"),
        ("1.1-3", 1537204599, "1.1-3.0.0.0.1537204599", "1.1-3.0.0.0.1537204600"),
        ("1.1-3", 900, "1.1.3.0.0.0.900", "1.1-3.0.0.0.901"),
        # The package's own version went down.
        ("1.0", 1600000000, "1.1.0.0.0.1500000000", "1.1.0.0.0.1600000000"),
        ("1.0", 1500000000, "1.1.0.0.0.1600000000", "1.1.0.0.0.1600000001"),
        ("1.1", 7, "1.1.5.0.0.0.900", "1.1.5.0.0.0.901"),
        ("1-1", 7, "1.1.5.0.0.0.900", "1-1.5.0.0.0.901"),
        # The source had versions that no commit made.
        ("1.1", 1600000000, "2.0", "2.0.0.0.0.1600000000"),
        ("1.1", 1600000000, "1.1.1", "1.1.1.0.0.0.1600000000"),
        ("1.1", 1600000000, "1.1.1-0.0.0.900", "1.1.1-0.0.0.900.0.0.0.1600000000"),
        # What R can't read as numbers.
        ("1.0", 0, "1.0", "1.0.0.0.0.1"),
        ("1.0", LARGEST_NUMBER + 1, None, f"1.0.0.0.0.{LARGEST_NUMBER}"),
        ("1.0", 900, f"1.0.0.0.0.{LARGEST_NUMBER}", f"1.0.0.0.0.{LARGEST_NUMBER}.0.0.0.900"),
        ("1.0", LARGEST_NUMBER + 5, "1.0.0.0.0.2147483645", "1.0.0.0.0.2147483647"),
        ("1.0", LARGEST_NUMBER + 5, f"1.0.0.0.0.{LARGEST_NUMBER}", f"1.0.0.0.0.{LARGEST_NUMBER}.0.0.0.1"),
        ("1.0", LARGEST_NUMBER + 5, f"1.0.0.0.0.{LARGEST_NUMBER}.0.0.0.1", f"1.0.0.0.0.{LARGEST_NUMBER}.0.0.0.2"),
        ("1.0", 800, f"1.0.0.0.0.{LARGEST_NUMBER}.0.0.0.900", f"1.0.0.0.0.{LARGEST_NUMBER}.0.0.0.901"),
    ],
)
def test_the_version_of_a_commit(own: str, stamp: int, newest: str | None, version: str) -> None:
    """The package's own with the commit's time; above all that there was, by the rules in their order."""
    assert commit_version(own, stamp, newest) == version


@given(OWN, st.integers(-5, 2**40), NEWEST)
@example("1.1", 900, f"1.1.0.0.0.{LARGEST_NUMBER}")
def test_a_commits_version_is_one_and_above_all_others(own: str, stamp: int, newest: str | None) -> None:
    """R takes it, it is strictly above, each number is one for R, and it begins as the own version wherever it can."""
    version = commit_version(own, stamp, newest)
    assert re.fullmatch(VERSION, version)
    assert newest is None or version_key(version) > version_key(newest)
    fits_r = newest is None or max(numbers(newest)) <= LARGEST_NUMBER
    assert not fits_r or max(numbers(version)) <= LARGEST_NUMBER
    # R before 4.4 doesn't count zeros at the end.
    assert numbers(version)[-1] > 0
    length = len(numbers(own))
    if newest is None or numbers(own) >= numbers(newest)[:length]:
        assert version.startswith((f"{own}.", f"{own}-"))
    assert is_of(version, own) or newest is not None


@given(OWN, st.lists(st.tuples(STAMP, st.booleans()), max_size=5))
def test_versions_of_commits_only_rise(own: str, pushes: list[tuple[int, bool]]) -> None:
    """Whatever is pushed, in whatever order, each version is above the one before."""
    newest: str | None = None
    for stamp, goes_back in pushes:
        version = commit_version("0.0" if goes_back else own, stamp, newest)
        assert newest is None or version_key(version) > version_key(newest)
        newest = version


def test_a_version_that_grew_too_long_is_refused() -> None:
    """Ends in a message, not in a file that nobody can take."""
    with pytest.raises(BuildFailed, match="too long"):
        commit_version("1." + "2" * 90, 1537204599, None)


@pytest.mark.parametrize("tag", ["1.0-2", "v1.0-2"])
def test_a_tag_that_is_the_version(tag: str) -> None:
    """x and vx."""
    check_tag(tag, "1.0-2")


@pytest.mark.parametrize("tag", ["1.0.2", "v1.0", "V1.0-2", "vv1.0-2", "release-1.0-2", "1.0-2 ", "v", ""])
def test_a_tag_that_is_another_version(tag: str) -> None:
    """Exactly the version, however near another one is; the message says both."""
    with pytest.raises(BuildFailed) as caught:
        check_tag(tag, "1.0-2")
    assert repr(tag) in caught.value.message
    assert "1.0-2" in caught.value.message.replace(repr(tag), "")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"Package: demo\nVersion: 1.0\nTitle: T\n", b"Package: demo\nVersion: 2.0\nTitle: T\n"),
        (b"Version: 1.0\nPackage: demo", b"Version: 2.0\nPackage: demo"),
        (b"Package: demo\r\nVersion:\t1.0 \r\nTitle: T\r\n", b"Package: demo\r\nVersion:\t2.0 \r\nTitle: T\r\n"),
        (b"Package: demo\nVersion:1.0", b"Package: demo\nVersion:2.0"),
        (b"Package: demo\nVersion:\n   1.0\nTitle: T\n", b"Package: demo\nVersion:\n   2.0\nTitle: T\n"),
        (b"Package: demo\r\nVersion: \r\n\t1.0\r\nA: B", b"Package: demo\r\nVersion: \r\n\t2.0\r\nA: B"),
        (b"Package: demo\rVersion: 1.0\rTitle: T\r", b"Package: demo\rVersion: 2.0\rTitle: T\r"),
        (b"\xef\xbb\xbfVersion: 1.0\nPackage: demo\n", b"\xef\xbb\xbfVersion: 2.0\nPackage: demo\n"),
        (
            b"Package: demo\nAuthor: J\xfcrg\n  Version: 9\nRoxygenVersion: 7.0\nVersion: 1.0\n",
            b"Package: demo\nAuthor: J\xfcrg\n  Version: 9\nRoxygenVersion: 7.0\nVersion: 2.0\n",
        ),
        (b"Package: demo\nVersion: 0.9\nVersion: 1.0\n", b"Package: demo\nVersion: 2.0\nVersion: 2.0\n"),
    ],
)
def test_the_version_is_replaced_and_nothing_else(before: bytes, after: bytes) -> None:
    """Byte for byte, in any encoding, with any line ends, on the line or behind it."""
    assert replace_version(before, "2.0") == after


SAFE = st.binary(max_size=40).filter(lambda value: not re.search(rb"[\r\n\0]", value))


@given(st.lists(SAFE, max_size=5), st.sampled_from([b"\n", b"\r\n"]), st.sampled_from([b" ", b"", b"\t", b"\n  "]))
def test_whatever_stands_around_the_version(values: list[bytes], end: bytes, blank: bytes) -> None:
    """Only the version's own bytes differ, whatever the other fields hold."""
    lines = [b"Package: demo", *(b"F%d: %s" % (n, value) for n, value in enumerate(values))]
    head, tail = end.join(lines) + end, end + b"Title: T" + end
    changed = replace_version(head + b"Version:" + blank + b"1.0" + tail, "3.1-4.0.0.0.5")
    assert changed == head + b"Version:" + blank + b"3.1-4.0.0.0.5" + tail
    assert dcf.parse_one(changed)["Version"] == "3.1-4.0.0.0.5"


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"", "no fields"),
        (b"<html>", "HTML"),
        (b"This is a package.\n", "line 1"),
        (b"Package: demo\n", "no Version field"),
        (b"Version: 1.0\n", "no Package field"),
        (b"Package: demo\nVersion:\nTitle: T\n", "no Version field"),
        (b"Package: ../demo\nVersion: 1.0\n", "not a name"),
        (b"Package: demo\nVersion: 1.0-beta\n", "not a version"),
        (b"Package: demo\nVersion: 1\n", "not a version"),
        (b"Package: demo\nVersion: 1.0\0\n", "not text"),
    ],
)
def test_a_bad_description_is_told_in_one_line(data: bytes, told: str) -> None:
    """Nothing is built of it."""
    with pytest.raises(BuildFailed, match=told) as caught:
        read_description(data)
    assert caught.value.message.startswith("DESCRIPTION: ")


@pytest.mark.parametrize(
    ("lines", "fault", "lacks_package"),
    [
        (["* preparing 'demo':", "* cleaning src"], "", False),
        (
            ["-----", "ERROR: dependency 'bytes' is not available for package 'demo'", "ERROR: installation failed"],
            "ERROR: dependency 'bytes' is not available for package 'demo'",
            True,
        ),
        (
            ["Error in loadNamespace(x) : ", "  there is no package called 'bytes'", "Execution halted"],
            "Error in loadNamespace(x) : there is no package called 'bytes'",
            True,
        ),
        (
            ["* checking DESCRIPTION meta-information ... ERROR", "", "Malformed maintainer field.", "more"],
            "* checking DESCRIPTION meta-information ... ERROR Malformed maintainer field.",
            False,
        ),
        (["x.c:1:1: error: expected ';'", "ERROR: compilation failed"], "x.c:1:1: error: expected ';'", False),
        (["conftest.c:1: error: no such file", "* DONE (curl)", "Error: mine"], "Error: mine", False),
        (["Errors are human", "no ERROR here"], "", False),
        (["Error: " + "x" * 9000], "Error: " + "x" * 293, False),
    ],
)
def test_what_r_said_is_told_by_its_first_fault(lines: list[str], fault: str, lacks_package: bool) -> None:
    """One line of bounded length, with what is wrong and not that something is."""
    said = Said()
    for line in lines:
        said.hear(line)
    assert (said.fault, said.lacks_package) == (fault, lacks_package)
