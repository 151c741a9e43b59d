"""What changed between two states of an upstream, found without reading what is the same."""

from __future__ import annotations

import zlib
from dataclasses import replace
from datetime import timedelta
from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

from entrepot.core.model import Listed, PackageName
from entrepot.ecosystems.r import news, rds
from entrepot.ecosystems.r.archivewrite import render_archive, render_current
from entrepot.ecosystems.r.frames import read_archive
from entrepot.ecosystems.r.rdsvalues import Kind, RVector, strings
from entrepot.ecosystems.r.upstream import Inventory, Texts, inventory
from tests.ecosystems.views import PUBLISHED, archived, listed

NAMES = ["aa", "b.b", "cc", "dd", "ee"]
State = dict[str, tuple[int, int, int]]
"""Package -> how many versions are archived, how the last of them is dated, which entry is current (0: none)"""


@cache
def archive_of(files: tuple[Listed, ...]) -> bytes:
    return render_archive([each.file.brief for each in files])


def texts(state: State, *, remarks: str = "", reverse: bool = False) -> Texts:
    """What an upstream in this state publishes."""
    stanzas, past, present = [], [], []
    for name, (count, dated, entry) in sorted(state.items(), reverse=reverse):
        for n in range(count):
            at = PUBLISHED + timedelta(days=dated if n == count - 1 else n)
            past.append(archived(name, f"1.{n}", published=at))
        if entry:
            stanzas.append(f"Package: {name}\nVersion: 2.{count}\nImports: x{entry}\nMD5sum: {str(entry) * 32}\n")
            present.append(listed(name, f"2.{count}", size=1000 + entry))
    index = "\n".join(stanzas).encode()
    current = render_current([each.file.brief for each in present])
    return Texts(index, archive_of(tuple(past)), current, remarks.encode())


def of(whole: Inventory, packages: list[PackageName]) -> tuple[object, object]:
    found = sorted(row for row in whole.found if row.package in packages)
    return found, {package: told for package, told in whole.events.items() if package in packages}


def check(before: Texts, now: Texts) -> news.News | None:
    """The news are exactly the whole's, and what they leave out is as it was; None if there is no telling."""
    old, new = inventory(before), inventory(now)
    assert old.outline is not None
    told = news.compare(before, old.outline, now)
    if told is None:
        return None
    assert of(told.inventory, told.packages) == of(new, told.packages)
    rest = sorted({row.package for row in (*old.found, *new.found)} - set(told.packages))
    assert of(old, rest) == of(new, rest)
    assert told.inventory.faults == new.faults == []
    assert told.inventory.outline is not None
    assert new.outline is not None
    assert told.inventory.outline.frames == new.outline.frames
    assert told.inventory.outline.fields >= new.outline.fields
    return told


STATES = st.dictionaries(
    st.sampled_from(NAMES), st.tuples(st.integers(0, 3), st.integers(0, 2), st.integers(0, 2)), min_size=1
)
REMARKS = st.sampled_from(
    ["", *(f"Package: {name}\nX-CRAN-Comment: Archived on 2024-02-0{n}.\n" for name in NAMES[:2] for n in (1, 2))]
)


@given(STATES, STATES, REMARKS, REMARKS, st.booleans())
def test_news_are_what_reading_the_whole_tells(
    before: State, now: State, remarks: str, remarks_now: str, reverse: bool
) -> None:
    """Of whatever two states: the packages that are told, as they are; those that are not, as they were."""
    told = check(texts(before, remarks=remarks), texts(now, remarks=remarks_now, reverse=reverse))
    has_archives = all(any(count for count, _, _ in state.values()) for state in (before, now))
    assert told is not None or not has_archives


def test_only_what_changed_is_told() -> None:
    """A new version, a package that came, one that went, a date, a remark: these and no others."""
    state: State = dict.fromkeys(("a0", *NAMES), (2, 0, 1))
    told = check(texts(state), texts({**state, "b.b": (3, 0, 1)}))
    assert told is not None
    assert told.packages == ["b.b"]
    came = check(texts(state), texts({**state, "bb": (1, 0, 0)}))
    went = check(texts(state), texts({name: state[name] for name in ("a0", *NAMES[:3], "ee")}))
    remark = check(texts(state), texts(state, remarks="Package: ee\nX-CRAN-Comment: Archived on 2024-02-01.\n"))
    entry = check(texts(state), texts({**state, "cc": (2, 0, 2)}))
    for found, name in ((came, "bb"), (went, "dd"), (remark, "ee"), (entry, "cc")):
        assert found is not None
        assert name in found.packages
        assert len(found.packages) <= 2
    nothing = check(texts(state), texts(state))
    assert nothing is not None
    assert nothing.packages == []


def test_when_a_file_was_read_last_is_no_news() -> None:
    """Frames whose bytes differ in columns that nobody uses; how many there are is no matter."""
    assert BASE.archive is not None
    outline = inventory(BASE).outline
    assert outline is not None
    frames = rds.read(BASE.archive)
    assert isinstance(frames, RVector)
    read_later = []
    for frame in frames.values:
        assert isinstance(frame, RVector)
        times = RVector(Kind.REAL, [1.0] * len(frame.attributes["row.names"].values))
        columns = [times if name == "atime" else v for name, v in zip(frame.names, frame.values, strict=True)]
        read_later.append(RVector(Kind.LIST, columns, frame.attributes))
    now = replace(BASE, archive=rds.write(RVector(Kind.LIST, read_later, frames.attributes)))
    assert now.archive != BASE.archive
    told = news.compare(BASE, outline, now)
    assert told is not None
    assert told.packages == []
    assert told.inventory.outline == inventory(now).outline


def test_what_is_asked_for_is_told_in_any_case() -> None:
    """Packages that the last sync left unsettled."""
    now = texts({"a0": (1, 0, 1), "aa": (1, 0, 1)})
    outline = inventory(now).outline
    assert outline is not None
    told = news.compare(now, outline, now, also=[PackageName("aa"), PackageName("zz")])
    assert told is not None
    assert told.packages == ["aa", "zz"]
    assert {row.package for row in told.inventory.found} == {"aa"}


BASE = texts({"a0": (1, 0, 1), "aa": (1, 0, 1)})
ODD = [
    BASE.index.replace(b"\n", b"\r\n"),
    b"\xef\xbb\xbf" + BASE.index,
    BASE.index + b"\nVersion: 1.0\n",
    BASE.index + b"\nnonsense\n",
    BASE.index + b"\nPackage: ../aa\nVersion: 1.0\n",
    BASE.index + b"\nVersion: 1.0\nPackage: cc\n",
    BASE.index.replace(b"\n\n", b"\n \n"),
    b"<html>",
]


@pytest.mark.parametrize("index", ODD)
def test_an_odd_index_is_read_whole(index: bytes) -> None:
    """Whatever is not written as R writes it, or has a fault, is left to the whole reading, which may refuse it."""
    outline = inventory(BASE).outline
    assert outline is not None
    assert news.compare(BASE, outline, replace(BASE, index=index)) is None


def test_an_odd_archive_is_read_whole() -> None:
    """A damaged one, one whose frames define symbols, one that is gone, and frames of several packages."""
    outline = inventory(BASE).outline
    assert outline is not None
    assert BASE.archive is not None
    raw = zlib.decompress(BASE.archive, zlib.MAX_WBITS | 16)
    symbol = RVector(Kind.LIST, [rds.data_frame({"size": RVector(Kind.REAL, [1.0], {"odd": strings(["x"])})}, ["x"])])
    for odd in (raw[:-200], b"X\n" + raw, None, rds.write(symbol), rds.write(RVector(Kind.LIST, []))):
        assert news.compare(BASE, outline, replace(BASE, archive=odd)) is None
    both = rds.data_frame({"size": RVector(Kind.REAL, [1.0, 1.0])}, ["aa/aa_1.0.tar.gz", "bb_1.0.tar.gz"])
    rows, frames = read_archive(rds.write(RVector(Kind.LIST, [both])))
    assert [row.package for row in rows] == ["aa", "bb"]
    assert frames is None


def test_a_great_change_is_read_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """Above a number of packages it takes no longer to read everything."""
    monkeypatch.setattr(news, "MOST", 2)
    state: State = dict.fromkeys(("a0", *NAMES), (1, 0, 1))
    few, many = {**state, "ee": (1, 0, 2)}, dict.fromkeys(state, (1, 0, 2))
    assert check(texts(state), texts(few)) is not None
    assert check(texts(state), texts(many)) is None
    assert check(texts(state), texts(dict.fromkeys(state, (2, 1, 1)))) is None


def test_unpacked_and_packed_archives_compare() -> None:
    """What counts are the frames, not how they were packed."""
    outline = inventory(BASE).outline
    assert outline is not None
    assert BASE.archive is not None
    unpacked = replace(BASE, archive=zlib.decompress(BASE.archive, zlib.MAX_WBITS | 16))
    told = news.compare(BASE, outline, unpacked)
    assert told is not None
    assert told.packages == []
