"""PACKAGES.in: when packages were taken off and came back, as people wrote it down."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from entrepot.core.timelines import Event, Move
from entrepot.ecosystems.r.comments import blocks, parse_events


def events(text: str) -> dict[str, list[str]]:
    """Package -> `-` (taken off) or `+` (back) with the day."""
    return {
        package: [("-" if event.move is Move.ARCHIVED else "+") + event.day.isoformat() for event in told]
        for package, told in parse_events(blocks(text.encode())).items()
    }


REAL = """\
Package: ABCExtremes
X-CRAN-Comment: Archived on 2015-06-19 as check problems were not
  corrected in time.

Package: ACMEeqtl
X-CRAN-Comment: Archived on 2020-03-13 as check problems were not
  corrected in time.
X-CRAN-History: Archived on 2018-02-21 as check problems were not corrected in time.
  Unarchived on 2018-03-07.

Package: abn
X-CRAN-History: Archived on 2021-05-01 as requires archived package 'x'.
  Unarchived on 2021-05-01.
  Archived on 2022-08-01.
"""


def test_comments_and_histories() -> None:
    """The history is of before, the comment of now; what happened on one day stays in the order told."""
    assert events(REAL) == {
        "ABCExtremes": ["-2015-06-19"],
        "ACMEeqtl": ["-2018-02-21", "+2018-03-07", "-2020-03-13"],
        "abn": ["-2021-05-01", "+2021-05-01", "-2022-08-01"],
    }
    same_day = "Package: aa\nX-CRAN-Comment: Archived on 2019-08-02.\nX-CRAN-History: Unarchived on 2019-08-02.\n"
    assert events(same_day) == {"aa": ["+2019-08-02", "-2019-08-02"]}


@pytest.mark.parametrize(
    ("comment", "expected"),
    [
        ("Removed from CRAN on 2013-07-01 for policy violation.", ["-2013-07-01"]),
        ("Archived at the request of the maintainer on 2012-03-10.", ["-2012-03-10"]),
        ("archived 2012-01-01, un-archived (2012-02-03)", ["-2012-01-01", "+2012-02-03"]),
        ("Archived on 2012-01-01; back on 2012-02-01. archived on 2014-01-01.", "-2012-01-01 +2012-02-01 -2014-01-01"),
        ("Archived on 2012-01-01 and 2013-01-01. Returned on 2014-01-01", "-2012-01-01 -2013-01-01 +2014-01-01"),
        ("Withdrawn on 2012-01-01 and reinstated on 2012-01-09.", ["-2012-01-01", "+2012-01-09"]),
        ("Archived on 2019-12-01 as issues were not corrected despite reminders on 2019-11-01.", ["-2019-12-01"]),
        ("Archived as problems were not corrected by 2019-11-01.", []),
        ("Will be archived on 2025-02-01.", []),
        ("Orphaned on 2012-01-01.", []),
        ("Version 1.2 was removed on 2013-01-01.", []),
        ("Versions before 1.2 were removed. Archived on 2013-01-02.", ["-2013-01-02"]),
        ("Archived on 2013-02-30, on 2013-1-1 and on 20130101.", []),
        ("", []),
    ],
)  # fmt: skip
def test_wordings(comment: str, expected: list[str] | str) -> None:
    """What CRAN's team writes by hand; what speaks of something else, or of no day that there is, tells nothing."""
    days = expected.split() if isinstance(expected, str) else expected
    assert events(f"Package: aa\nX-CRAN-Comment: {comment}\n").get("aa", []) == days


def test_a_bad_stanza_is_passed_over() -> None:
    """Lines that are no fields, names that are none, no name at all: the others count all the same."""
    good = "Package: aa\nX-CRAN-Comment: Archived on 2013-01-02.\n"
    bad = ["what is this?", "Package: ../x\nX-CRAN-Comment: Archived on 2013-01-02.", "X-CRAN-Comment: Archived"]
    assert events("\n\n".join([*bad, good, *bad])) == {"aa": ["-2013-01-02"]}
    assert events(good.replace("\n", "\r\n")) == {"aa": ["-2013-01-02"]}
    assert parse_events(blocks(b"<html><body>Not Found</body></html>")) == {}


@given(st.binary(max_size=200), st.text(alphabet="Archivedun-o 0123456789.\n:", max_size=200))
def test_nothing_in_it_stops_a_sync(junk: bytes, text: str) -> None:
    """Whatever the file holds, it is read, and days come in their order."""
    for data in (junk, b"Package: aa\nX-CRAN-History: " + text.encode()):
        for told in parse_events(blocks(data)).values():
            assert list(told) == sorted(told, key=lambda event: event.day)


def test_many_reasons_take_no_time() -> None:
    """A long comment without any date is read in one go."""
    assert parse_events([b"Package: aa\nX-CRAN-Comment: " + (b"version archived on 1 " * 200_000)]) == {}
    assert parse_events([b"Package: aa\nX-CRAN-Comment: Archived on 2013-01-02."]) == {
        "aa": (Event(date(2013, 1, 2), Move.ARCHIVED),)
    }
