"""Which entries of a list a repository can serve."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from entrepot.app import App
from entrepot.core.checking import Lack, Verdict
from entrepot.core.errors import Invalid, NeverSynced, RepositoryNotFound, SnapshotNotFound, TooLarge
from entrepot.core.model import RepositoryType, SourceType
from entrepot.core.requirements import ListFormat
from entrepot.operations import packages, repositories, sources
from entrepot.operations.checking import OF_ANYBODY, OF_KNOWN, Bounds, Checking, check
from tests.operations.test_browsing import statements
from tests.support.archives import make_source_package
from tests.support.distributions import sdist, wheel
from tests.support.fake_cran import FakeCran
from tests.support.fake_pypi import FakePypi, Form, Upload
from tests.support.server import Clock, eventually, sync

MAY = datetime(2023, 5, 1, 12, tzinfo=UTC)
SERVED, PARTIAL, WITH_R, MISSING, UNKNOWN = Verdict


def found(checking: Checking) -> list[tuple[Any, ...]]:
    """(requirement, verdict, and of what is served version and source, else what is missing and what is next to it)."""
    rows: list[tuple[Any, ...]] = []
    for entry in checking.entries:
        row: tuple[Any, ...] = (entry.requirement.text, entry.verdict)
        if entry.lack is not None:
            row += (entry.lack, entry.near if entry.lack is Lack.PACKAGE else (entry.lower, entry.higher))
        elif entry.offer is not None:
            row += (entry.offer.version, entry.offer.source)
        rows.append(row)
    return rows


def add(app: App, folder: Path, source: str, *files: tuple[str, bytes]) -> None:
    uploads = []
    for name, data in files:
        (folder / name).write_bytes(data)
        uploads.append(packages.Upload(name, folder / name))
    packages.add_files(app, source, uploads, actor="test")


@pytest.fixture
def team(mirrored: App, cran: FakeCran, tmp_path: Path) -> App:
    """The repository `team`: a source of our own before a mirror with archived versions."""
    day = datetime(2024, 2, 1, 9, tzinfo=UTC)
    for number, text in enumerate(
        ("abc 1.0", "abc 1.1", "abc 2.0", "ours 9.0", "ggplot2 3.5.0", "off 1.0", "MASS 7.3-1")
    ):
        name, version = text.split()
        cran.add(name, version, make_source_package(name, version), day + timedelta(days=number))
    cran.remove("off", on=day + timedelta(days=20))
    cran.publish()
    sync(mirrored)
    sources.create_source(mirrored, "internal", type_=SourceType.LOCAL)
    add(mirrored, tmp_path, "internal", ("ours_0.1.tar.gz", make_source_package("ours", "0.1")))
    repositories.create_repository(mirrored, "team", type_=RepositoryType.R)
    for source in ("internal", "cran"):
        repositories.subscribe(mirrored, "team", source, actor="test")
    return mirrored


def test_a_list_of_lines(team: App) -> None:
    """Current and archived versions are served; of what is missing the nearest is told."""
    lines = "abc\nabc==1.0\nabc>=1.0,<2\nabc==1.5\nabc>=3\nabc<1.0\noff\nours\nours>=1\nGGplot2\nnothing.like.it\n"
    checking = check(team, "team", lines)
    assert found(checking) == [
        ("abc", SERVED, "2.0", "cran"),
        ("abc==1.0", SERVED, "1.0", "cran"),
        ("abc>=1.0,<2", SERVED, "1.1", "cran"),
        ("abc==1.5", MISSING, Lack.VERSION, ("1.1", "2.0")),
        ("abc>=3", MISSING, Lack.VERSION, ("2.0", None)),
        ("abc<1.0", MISSING, Lack.VERSION, (None, "1.0")),
        ("off", SERVED, "1.0", "cran"),
        ("ours", SERVED, "0.1", "internal"),
        # What is before it in the repository hides the mirror's 9.0.
        ("ours>=1", MISSING, Lack.VERSION, ("0.1", None)),
        ("GGplot2", MISSING, Lack.PACKAGE, ("ggplot2",)),
        ("nothing.like.it", MISSING, Lack.PACKAGE, ()),
    ]
    assert [entry.offer.is_archived for entry in checking.entries if entry.offer] == [False, True, True, True, False]
    assert checking.counts == {SERVED: 5, PARTIAL: 0, WITH_R: 0, MISSING: 6, UNKNOWN: 0}
    assert (checking.format, checking.snapshot, checking.is_servable) == (ListFormat.LINES, "latest", False)
    assert [entry.requirement.line for entry in checking.entries] == list(range(1, 12))


def test_an_renv_lock(team: App) -> None:
    """Packages that come with R itself are no fault; recommended ones are looked up as others are."""
    lock = {
        "R": {"Version": "4.3.2"},
        "Packages": {
            name: {"Package": name, "Version": version, "Source": "Repository"}
            for name, version in (("abc", "1.1"), ("stats", "4.3.2"), ("MASS", "7.3.1"), ("splines", "4.3.2"))
        },
    }
    checking = check(team, "team", json.dumps(lock))
    assert found(checking) == [
        ("abc==1.1", SERVED, "1.1", "cran"),
        ("stats==4.3.2", WITH_R),
        ("MASS==7.3.1", SERVED, "7.3-1", "cran"),
        ("splines==4.3.2", WITH_R),
    ]
    assert (checking.format, checking.is_servable) == (ListFormat.RENV_LOCK, True)


def test_a_past_day(team: App) -> None:
    """A list is checked against what the snapshot has, not against what there is now."""
    checking = check(team, "cran", "abc>=1.0\nabc==2.0\nggplot2", snapshot="2024-02-02")
    assert found(checking) == [
        ("abc>=1.0", SERVED, "1.1", "cran"),
        ("abc==2.0", MISSING, Lack.VERSION, ("1.1", None)),
        ("ggplot2", MISSING, Lack.PACKAGE, ()),
    ]


def test_the_index_comes_before_its_archive(team: App, tmp_path: Path) -> None:
    """Where a newer version is in the archive, the current one is what a client gets."""
    add(team, tmp_path, "internal", ("ours_0.2.tar.gz", make_source_package("ours", "0.2")))
    packages.archive_package(team, "internal", "ours", actor="test")
    assert found(check(team, "team", "ours")) == [("ours", SERVED, "0.2", "internal")]


def test_long_lists_take_few_statements(team: App) -> None:
    """What is known of all names is asked at once."""
    check(team, "team", "abc")  # what the snapshot is resolved to is known from then on
    with statements(team) as few:
        check(team, "team", "abc\nggplot2\nnone")
    with statements(team) as many:
        check(team, "team", "\n".join(["abc", "ggplot2", *(f"name{number}" for number in range(900))]))
    assert len(many) == len(few)


def test_only_some_unknown_names_get_suggestions(team: App) -> None:
    """Twenty, each wherever it stands in the list; the others are told as missing."""
    lines = "\n".join([f"abc{number}x" for number in range(30)] + ["abc1x"])
    entries = check(team, "team", lines).entries
    told = [entry.near for entry in entries]
    assert [bool(near) for near in told[:10]] == [True] * 10
    assert told[20:30] == [()] * 10
    assert told[30] == told[1]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "empty"),
        ("  \n\n", "empty"),
        ("# nothing\n", "no package"),
        ("abc ~~ 1\n", "line 1"),
        ('version = 1\nrequires-python = ">=3.11"\n[[package]]\nname = "x"\n', "Python"),
        ("x" * (OF_KNOWN.text + 1), "20 MB"),
    ],
)
def test_lists_that_can_not_be_read(team: App, text: str, words: str) -> None:
    """An empty list, a wrong one, one of Python packages and one that is too large are errors that say so."""
    with pytest.raises(Invalid, match=words):
        check(team, "team", text)


def test_a_mirror_without_packages(app: App) -> None:
    """A mirror that was never synced has no answer, rather than none of the packages."""
    with pytest.raises(NeverSynced):
        check(app, "cran", "abc")


def test_other_faults(team: App) -> None:
    """What is not there, and what lists of R packages don't have."""
    with pytest.raises(RepositoryNotFound):
        check(team, "no", "abc")
    with pytest.raises(SnapshotNotFound):
        check(team, "team", "abc", snapshot="2031-01-01")
    with pytest.raises(Invalid, match="constraints"):
        check(team, "team", "abc", constraints="abc==1.0")


# --- Python ---


@pytest.fixture
def python(proxied: App, pypi: FakePypi, tmp_path: Path) -> App:
    """The repository `py`: packages of our own before those of an index of which nothing was read yet."""
    for number, version in enumerate(("1.0", "1.1", "2.0rc1")):
        pypi.add(*wheel("Demo.Pkg", version), uploaded=MAY + timedelta(days=number))
        pypi.add(*sdist("Demo.Pkg", version), uploaded=MAY + timedelta(days=number))
    pypi.add(*wheel("other", "3.0"), uploaded=MAY)
    sources.create_source(proxied, "internal", type_=SourceType.LOCAL_PYTHON)
    add(proxied, tmp_path, "internal", wheel("ours", "1.0"), wheel("ours", "1.1"), wheel("pre", "1.0a1"))
    repositories.create_repository(proxied, "py", type_=RepositoryType.PYTHON)
    for source in ("internal", "pypi"):
        repositories.subscribe(proxied, "py", source, actor="test")
    return proxied


def hashed(*uploads: Upload | str) -> str:
    return " ".join(f"--hash=sha256:{each if isinstance(each, str) else each.sha256}" for each in uploads)


def test_projects_are_read_to_be_checked(python: App, pypi: FakePypi) -> None:
    """What nobody asked for yet is asked of upstream; names of our own are not; bounds are as pip has them."""
    lines = "demo-pkg\nDemo_Pkg==1.0.0\ndemo.pkg>=2.0rc1\ndemo-pkg~=1.0\nother<3\nours\npre\nours==1.0.*\n"
    assert found(check(python, "py", lines)) == [
        ("demo-pkg", SERVED, "1.1", "pypi"),
        ("demo-pkg==1.0.0", SERVED, "1.0", "pypi"),
        ("demo-pkg>=2.0rc1", SERVED, "2.0rc1", "pypi"),
        ("demo-pkg~=1.0", SERVED, "1.1", "pypi"),
        ("other<3", MISSING, Lack.VERSION, (None, "3.0")),
        ("ours", SERVED, "1.1", "internal"),
        ("pre", SERVED, "1.0a1", "internal"),
        ("ours==1.0.*", SERVED, "1.0", "internal"),
    ]
    assert [pypi.count(pypi.page(name)) for name in ("demo-pkg", "other", "ours")] == [1, 1, 0]


def test_unknown_projects(python: App, pypi: FakePypi) -> None:
    """Names that begin alike are told, of the index as far as its list was read, and of our own."""
    pypi.add_empty("numpy", "numba", "requests")
    assert found(check(python, "py", "reqests\nourz")) == [
        ("reqests", MISSING, Lack.PACKAGE, ()),
        ("ourz", MISSING, Lack.PACKAGE, ("ours",)),
    ]
    sync(python, "pypi")
    assert found(check(python, "py", "reqests\nnumpi")) == [
        ("reqests", MISSING, Lack.PACKAGE, ("requests",)),
        ("numpi", MISSING, Lack.PACKAGE, ("numpy",)),
    ]


def test_hashes_are_of_the_very_files(python: App, pypi: FakePypi) -> None:
    """A file with the hash has to be there: all of them, some of them or none are three things."""
    files = [pypi.upload("demo_pkg-1.0-py3-none-any.whl"), pypi.upload("demo_pkg-1.0.tar.gz")]
    other = "0" * 64
    lines = (
        f"demo-pkg==1.0 {hashed(*files)}\n"
        f"demo-pkg==1.0 {hashed(files[0], other)}\n"
        f"demo-pkg==1.0 {hashed(other)}\n"
        f"demo-pkg==1.1 {hashed(*files)}\n"
        f"demo-pkg==9.9 {hashed(*files)}\n"
    )
    checking = check(python, "py", lines)
    assert [(entry.verdict, entry.lack, entry.listed) for entry in checking.entries] == [
        (SERVED, None, 2),
        (PARTIAL, None, 1),
        (MISSING, Lack.FILES, 0),
        (MISSING, Lack.FILES, 0),
        (MISSING, Lack.VERSION, 0),
    ]
    assert check(python, "py", lines.splitlines()[1]).is_servable


def test_yanked_releases(python: App, pypi: FakePypi) -> None:
    """A yanked release is served to who asks for it alone, as installers do it, and is nobody's nearest version."""
    for name in ("demo_pkg-1.1-py3-none-any.whl", "demo_pkg-1.1.tar.gz"):
        pypi.change(name, yanked="bad")
    checking = check(python, "py", "demo-pkg<2\ndemo-pkg==1.1\ndemo-pkg>=1.1,<1.5")
    assert found(checking) == [
        ("demo-pkg<2", SERVED, "1.0", "pypi"),
        ("demo-pkg==1.1", SERVED, "1.1", "pypi"),
        ("demo-pkg<1.5,>=1.1", MISSING, Lack.VERSION, ("1.0", "2.0rc1")),
    ]
    assert [entry.offer.is_yanked for entry in checking.entries if entry.offer] == [False, True]


def test_constraints(python: App) -> None:
    """The bounds of a constraints file hold for the list's packages."""
    checking = check(python, "py", "demo-pkg", constraints="demo-pkg<1.1\nunused==1")
    assert found(checking) == [("demo-pkg<1.1", SERVED, "1.0", "pypi")]


def test_a_past_day_of_an_index(python: App) -> None:
    """As of a past day there is what was uploaded by then."""
    checking = check(python, "py", "demo-pkg\ndemo-pkg==1.1", snapshot="2023-05-01")
    assert found(checking) == [
        ("demo-pkg", SERVED, "1.0", "pypi"),
        ("demo-pkg==1.1", MISSING, Lack.VERSION, ("1.0", None)),
    ]


def test_an_upstream_that_does_not_answer(python: App, pypi: FakePypi) -> None:
    """What can't be read is told as unknown with the reason, and the rest is checked; after some failures no more are
    tried."""
    pypi.fail(pypi.page("other"), 404)
    pypi.fail(pypi.page("demo-pkg"), "html")
    checking = check(python, "py", "demo-pkg\nours")
    assert [entry.verdict for entry in checking.entries] == [UNKNOWN, SERVED]
    assert checking.entries[0].reason
    assert not checking.is_servable
    pypi.fail("*", "html")
    many = check(python, "py", "\n".join(f"p{number}" for number in range(60)))
    assert many.counts[UNKNOWN] == 60
    assert sum(pypi.count(pypi.page(f"p{number}")) > 0 for number in range(60)) < 30
    assert "no more projects were tried" in str(many.entries[-1].reason)


def test_an_index_that_tells_no_times(python: App, pypi: FakePypi) -> None:
    """What was there on a past day can't be told of such an index."""
    pypi.form = Form.HTML
    pypi.add(*wheel("timeless", "1.0"), uploaded=None)
    (entry,) = check(python, "py", "timeless", snapshot="2023-05-01").entries
    assert (entry.verdict, str(entry.reason)[:23]) == (UNKNOWN, "dates are not available")


def test_too_many_projects(python: App, pypi: FakePypi) -> None:
    """One list does not have an upstream asked for tens of thousands of projects."""
    asked = len(pypi.requests)
    with pytest.raises(TooLarge):
        check(python, "py", "\n".join(f"p{number}" for number in range(OF_KNOWN.projects + 1)))
    assert len(pypi.requests) == asked


def test_a_list_of_the_other_ecosystem(python: App) -> None:
    """A lock file of R is not a list of Python packages."""
    with pytest.raises(Invalid, match=r"renv\.lock"):
        check(python, "py", json.dumps({"R": {"Version": "4.3.2"}, "Packages": {}}))


# --- without a token ---


def test_anybody_has_few_projects_read(python: App, pypi: FakePypi) -> None:
    """Upstream is asked for so many projects that nobody asked for yet; known ones count, of others that is said."""
    check(python, "py", "demo-pkg")
    asked = len(pypi.requests)
    bounds = replace(OF_ANYBODY, readings=1)
    checking = check(python, "py", "demo-pkg==1.0\nother\nfurther\nours\nother>=9", bounds=bounds)
    assert found(checking) == [
        ("demo-pkg==1.0", SERVED, "1.0", "pypi"),
        ("other", SERVED, "3.0", "pypi"),
        ("further", UNKNOWN),
        ("ours", SERVED, "1.1", "internal"),
        ("other>=9", MISSING, Lack.VERSION, ("3.0", None)),
    ]
    assert "without a token 1 such" in str(checking.entries[2].reason)
    assert [pypi.count(pypi.page(name)) for name in ("other", "further", "ours")] == [1, 0, 0]
    assert len(pypi.requests) == asked + 1


def test_anybody_has_nothing_read_again(python: App, pypi: FakePypi, clock: Clock) -> None:
    """What was read long ago is told as it is known; for those who have a token it is read again."""
    check(python, "py", "demo-pkg\nother")
    clock.wait(days=2)
    asked = len(pypi.requests)
    checking = check(python, "py", "demo-pkg\nother\nours", bounds=OF_ANYBODY)
    assert [entry.verdict for entry in checking.entries] == [SERVED] * 3
    assert len(pypi.requests) == asked
    check(python, "py", "demo-pkg\nother")
    assert eventually(lambda: len(pypi.requests), lambda number: number == asked + 2)


def test_what_anybody_is_told_is_what_a_token_is_told(python: App, pypi: FakePypi) -> None:
    """At present and in the past: unknown names, pages without files, files without times, bounds out of reach."""
    pypi.form = Form.HTML
    pypi.add(*wheel("timeless", "1.0"), uploaded=None)
    pypi.form = Form.JSON
    pypi.add_empty("emptied")
    lines = "demo-pkg\nother>=9\ntimeless\nnothing\nours\nemptied\npre"
    for snapshot in ("latest", "2023-05-01", "latest"):
        known = check(python, "py", lines, snapshot=snapshot)
        assert check(python, "py", lines, snapshot=snapshot, bounds=OF_ANYBODY) == known


def test_a_day_after_the_last_reading_is_read(python: App, pypi: FakePypi, clock: Clock) -> None:
    """What was read before a day was over doesn't tell what that day had: upstream is asked."""
    check(python, "py", "demo-pkg")
    day = clock.now.date()
    clock.wait(days=2)
    asked = len(pypi.requests)
    (entry,) = check(python, "py", "demo-pkg", snapshot=str(day), bounds=OF_ANYBODY).entries
    assert (entry.verdict, len(pypi.requests)) == (SERVED, asked + 1)


@pytest.mark.parametrize(
    ("bounds", "words"),
    [
        (replace(OF_ANYBODY, text=10), "0 MB"),
        (replace(OF_ANYBODY, entries=2), "more than 2 packages"),
        (replace(OF_ANYBODY, projects=1), "has 2 projects"),
        (replace(OF_ANYBODY, comparisons=5), "too many versions with too many bounds"),
    ],
)
def test_what_a_check_may_cost(python: App, bounds: Bounds, words: str) -> None:
    """Each bound is told."""
    check(python, "py", "ours\nours>=1,<2\nours!=3\npre", bounds=OF_ANYBODY)
    with pytest.raises(TooLarge, match=words):
        check(python, "py", "ours\nours>=1,<2\nours!=3\npre", bounds=bounds)


def test_constraints_without_end(python: App) -> None:
    """Thousands of bounds of one package, which come to each of its requirements, are refused."""
    constraints = "\n".join(f"ours!={number}" for number in range(500))
    with pytest.raises(Invalid, match="too many bounds of 'ours'"):
        check(python, "py", "ours\n" * 3, constraints=constraints)
