"""Lists of Python requirements as filters of files, measured by `packaging`."""

from __future__ import annotations

from itertools import combinations, count
from operator import attrgetter

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from packaging.specifiers import SpecifierSet
from packaging.version import InvalidVersion, Version

from entrepot.core.errors import Contradiction, TooLarge
from entrepot.core.model import File, FileStatus, Listed, PackageName, Sha256
from entrepot.core.requirements import Requirement
from entrepot.ecosystems.python.entry import Entry, pack
from entrepot.ecosystems.python.narrowing import Narrowing
from entrepot.operations.admitting import MOST_LINES, admitted, narrowed

DEMO = PackageName("demo")
_ids = count(1)


def row(
    version: str, tag: str = "py3-none-any", *, sha256: str = "", name: str = "", python: str | None = None
) -> Listed:
    """A file of `demo` as a mirror lists it."""
    file = File(
        id=next(_ids),
        source_id=1,
        package=DEMO,
        version=version,
        name=name or f"demo-{version}-{tag}.whl",
        size=1,
        md5=None,
        sha256=Sha256(sha256 * 64) if sha256 else None,
        sha256_since=None,
        published_at=0,
        fields=pack(Entry(requires_python=python)),
    )
    return Listed(file, FileStatus.CURRENT)


def line(specifier: str = "", *hashes: str, marker: str = "", number: int | None = None) -> Requirement:
    return Requirement(DEMO, specifier, (), tuple(Sha256(each * 64) for each in hashes), marker, number)


def versions(rows: list[Listed]) -> list[str]:
    return [each.file.version for each in rows]


VERSIONS = ("0.9", "1.0", "1.0.post1", "1.1a1", "1.1", "1.2.dev3", "1!0.5", "2.0rc1", "2.0", "2.0+local.1", "2004d.old")
ROWS = [row(version) for version in VERSIONS]


def is_within(version: str, specifier: str) -> bool:
    """What `packaging` says; a name that is no version is within what names it and nothing else."""
    try:
        return SpecifierSet(specifier).contains(Version(version), prereleases=True)
    except InvalidVersion:
        parts = [part for part in specifier.split(",") if part]
        return all(part == f"==={version}" for part in parts)


bounds = st.builds(
    str.__add__,
    st.sampled_from([">=", "<=", ">", "<", "==", "!=", "~="]),
    st.sampled_from(["0.9", "1.0", "1.1", "1.1a1", "1.2", "2.0", "2.0rc1", "1!0.5"]),
) | st.sampled_from(["==1.*", "!=2.*", "===1.0", "===2.0+local.1", "===2004d.old", ">=0", "<1!0"])
specifiers = st.lists(bounds, max_size=3, unique=True).map(",".join)
lines = st.builds(line, specifiers, marker=st.sampled_from(["", "os_name == 'nt'", "python_version < '3.9'"]))


@given(st.lists(lines, min_size=1, max_size=5))
@example([line("===1.0,>=0.9")])
@example([line("===2004d.old")])
def test_bounds_mean_what_they_mean_to_installers(asked: list[Requirement]) -> None:
    """Of each environment those versions are in that satisfy all its lines; if there is none, the fewest bounds are
    named of which that is true."""
    groups = {
        one.marker: ",".join(o.specifier for o in asked if o.marker == one.marker and o.specifier) for one in asked
    }
    expected = {marker: [v for v in VERSIONS if is_within(v, joined)] for marker, joined in groups.items()}
    if all(expected.values()):
        found = versions(admitted(ROWS, asked))
        assert found == [v for v in VERSIONS if any(v in left for left in expected.values())]
        return
    with pytest.raises(Contradiction) as caught:
        admitted(ROWS, asked)
    told = list(caught.value.payload["bounds"])  # type: ignore[call-overload]
    assert not any(is_within(version, ",".join(told)) for version in VERSIONS)
    fewest = [fewest_of(groups[marker]) for marker, left in expected.items() if not left]
    assert len(told) in fewest or min(fewest) > 3


def fewest_of(joined: str) -> int:
    """The number of bounds of the smallest contradiction, by trying all."""
    parts = sorted(set(joined.split(",")))
    return next(
        number
        for number in range(1, len(parts) + 1)
        for some in combinations(parts, number)
        if not any(is_within(version, ",".join(some)) for version in VERSIONS)
    )


def test_a_bare_name_admits_all() -> None:
    """Every file in its order, also pre-releases and what isn't a version."""
    assert admitted(ROWS, [line()]) == ROWS


def test_no_version_at_all() -> None:
    """Without any row a bound is a contradiction of its own."""
    assert admitted([ROWS[0]], [line("<1")]) == [ROWS[0]]
    with pytest.raises(Contradiction, match=r"satisfies demo>9") as caught:
        admitted([ROWS[0]], [line(">9")])
    assert caught.value.hint == "the snapshot has 1 version up to 0.9"


def test_hashes() -> None:
    """Lines of one environment share their hashes; with another environment beside them each pins its own. Without a
    file that has one, nothing is in."""
    rows = [row("1.0", sha256="a"), row("1.0", "py2-none-any", sha256="b"), row("1.1", sha256="c"), row("1.2")]
    assert admitted(rows, [line("", "a", "d")]) == [rows[0]]
    assert admitted(rows, [line("==1.0", "a"), line("==1.0", "b", "c")]) == rows[:2]
    assert admitted(rows, [line("==1.0", "a"), line("==1.1", "c", marker="os_name == 'nt'")]) == [rows[0], rows[2]]
    assert admitted(rows, [line("==1.1", "a")]) == []
    assert admitted(rows, [line("==1.1", "a"), line("==1.2", marker="os_name == 'nt'")]) == [rows[3]]


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ([line(">9", number=1), line("", number=2)], "line 1 (demo>9)"),
        ([line(">=1,<1", number=3)], "line 3 (demo>=1,<1)"),
        (
            [line(">=2", number=1), line("!=1.0", number=2), line("<1", number=3)],
            "line 1 (demo>=2) and line 3 (demo<1)",
        ),
        ([line("<1.1", number=1), line("!=0.9", number=2), line("!=1.0", number=3)], None),
        ([line(">9", marker="os_name == 'nt'"), line()], "demo>9"),
        # What admits least is named: the other bounds are implied.
        ([line(">=1", number=1), line(">=1.0.post1", number=2), line("<1", number=3)], None),
    ],
)
def test_the_smallest_contradiction(asked: list[Requirement], said: str | None) -> None:
    """It names lines as people wrote them, and no line that could be left out."""
    rows = [row(version) for version in ("0.9", "1.0", "2.0")]
    with pytest.raises(Contradiction) as caught:
        admitted(rows, asked)
    named = [one for one in asked if one.specifier and one.where in caught.value.message]
    if said is not None:
        assert caught.value.message == f"no version of demo at this snapshot satisfies {said}"
    for left_out in named if len(named) > 1 else []:
        admitted(rows, [one for one in named if one is not left_out])


def test_a_contradiction_of_very_many_lines() -> None:
    """It is found among very many lines too, each of which is needed for it."""
    rows = [row(f"1.{number}") for number in range(150)]
    asked = [line(f"!=1.{number}", number=number) for number in range(150)]
    with pytest.raises(Contradiction) as caught:
        admitted(rows, asked)
    assert len(caught.value.payload["bounds"]) == 150  # type: ignore[arg-type]
    assert versions(admitted(rows, asked[1:])) == ["1.0"]


def test_too_many_lines() -> None:
    """Thousands of lines about one project are refused; the same bound in all of them is no way around."""
    assert admitted(ROWS, [line(">=1")] * MOST_LINES)
    with pytest.raises(TooLarge, match="1001 lines are about demo; at most 1000 are taken"):
        admitted(ROWS, [line()] * (MOST_LINES + 1))


def test_narrowed() -> None:
    """Files for the wanted platforms and Pythons are left, without versions and files that were taken out."""
    rows = [
        row("1.0"),
        row("1.0", "cp311-cp311-win_amd64"),
        row("1.0", name="demo-1.0.tar.gz", python=">=3.12"),
        row("1.1", python="<3.10"),
        row("1.2", "cp39-abi3-manylinux_2_17_x86_64"),
    ]

    def left(*removed: str, **narrow: object) -> list[int]:
        found = narrowed(rows, Narrowing(**narrow), removed)  # type: ignore[arg-type]
        assert found == sorted(found, key=attrgetter("file.id"))
        return [rows.index(each) for each in found]

    assert left() == [0, 1, 2, 3, 4]
    assert left("1.0") == [3, 4]
    assert left("demo-1.0.tar.gz", "1.2", "nothing") == [0, 1, 3]
    assert left(only_binary=True) == [0, 1, 3, 4]
    assert left(python_versions=("3.11",)) == [0, 1, 4]
    assert left(python_versions=("3.9", "3.12")) == [0, 2, 3, 4]
    assert left("1.2", platforms=("linux",)) == [0, 2, 3]
    assert left("1.0", "1.1", "1.2") == []
