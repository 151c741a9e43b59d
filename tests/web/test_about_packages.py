"""The API about one package besides its record: history, README, what it needs and what needs it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from entrepot.app import App
from entrepot.core.model import RepositoryType, SourceType
from entrepot.operations import packages, readmes, repositories, sources
from tests.operations.test_browsing import statements
from tests.support.archives import make_source_package
from tests.support.distributions import wheel
from tests.support.fake_cran import FakeCran
from tests.support.fake_pypi import FakePypi
from tests.support.server import NOON, Clock, Live, sync

README = b"# Demo\n\nIt has [a page](https://demo.example).\n"
RENDERED = (
    '<h3 id="readme-demo">Demo</h3>\n<p>It has '
    '<a href="https://demo.example" rel="nofollow noopener noreferrer">a page</a>.</p>\n'
)


@dataclass(frozen=True, slots=True)
class Team:
    app: App
    live: Live
    path: Path

    def add(
        self, source: str, name: str, version: str = "1.0", files: dict[str, bytes] | None = None, **fields: str
    ) -> None:
        self.path.write_bytes(make_source_package(name, version, fields=fields, files=files))
        upload = packages.Upload(f"{name}_{version}.tar.gz", self.path)
        packages.add_files(self.app, source, [upload], actor="bert", comment="why not")

    def get(self, path: str) -> Any:
        return self.live.api("GET", f"/repos/team/packages/{path}")


@pytest.fixture
def team(app: App, live: Live, tmp_path: Path) -> Team:
    """A repository `team` over the sources `first` and `second`."""
    repositories.create_repository(app, "team", type_=RepositoryType.R)
    for source in ("first", "second"):
        sources.create_source(app, source, type_=SourceType.LOCAL)
        repositories.subscribe(app, "team", source, actor="anna")
    return Team(app, live, tmp_path / "upload")


def test_history(team: Team, clock: Clock) -> None:
    """Newest first, with all that a page shows of an entry; page by page."""
    team.add("second", "demo")
    clock.wait(days=1)
    team.add("first", "demo", "0.9")
    code, entries = team.get("demo/history")
    assert code == 200
    assert entries[0] == {
        "transaction": entries[1]["transaction"] + 1,
        "day": "2024-03-02",
        "time": "2024-03-02T12:00:00Z",
        "snapshot": str(entries[0]["transaction"]),
        "changes": [{"change": "added", "name": "demo", "version": "0.9", "previous": None, "source": "first"}],
        "source": "first",
        "version": "0.9",
        "sources": [
            {"source": "first", "version": "0.9", "is_winning": True},
            {"source": "second", "version": "1.0", "is_winning": False},
        ],
        "message": "why not",
        "actor": "bert",
    }
    assert entries[1]["snapshot"] == "2024-03-01"
    answer = team.live.get("/__api__/repos/team/packages/demo/history?_limit=1&_page=2")
    assert answer.headers["X-Total-Count"] == "2"
    assert answer.json() == entries[1:]
    assert team.get("demo/history?_limit=1&_page=9") == (200, [])
    code, error = team.get("other/history")
    assert (code, error["code"], error["error"]) == (
        404,
        "package-not-found",
        "repository 'team' never had a package 'other'",
    )


def test_a_readme_of_an_added_package(team: Team) -> None:
    """README.md of the source package, of the version that is asked for; at a snapshot where there is one."""
    team.add("first", "demo", "1.0", {"README.md": b"# Old\n"})
    team.add("first", "demo", "1.1", {"README": b"plain", "README.md": README, "inst/README.md": b"# No\n"})
    assert team.get("demo/readme") == (
        200,
        {"format": "markdown", "html": RENDERED, "file": "README.md", "truncated": False},
    )
    assert team.get("demo/readme?version=1.0")[1]["html"] == '<h3 id="readme-old">Old</h3>\n'
    assert team.get("demo/readme?version=7")[1]["error"] == "'demo' has no version 7 at this snapshot"
    team.add("first", "plain", "1.0", {"README": b"a <b> & c"})
    assert team.get("plain/readme")[1] == {
        "format": "plain",
        "html": '<pre tabindex="0">a &lt;b&gt; &amp; c</pre>',
        "file": "README",
        "truncated": False,
    }


def test_packages_without_a_readme(team: Team) -> None:
    """404 that says why; nothing is read twice."""
    team.add("first", "bare")
    code, error = team.get("bare/readme")
    assert (code, error["code"]) == (404, "readme-not-found")
    assert error["error"] == "there is no README of bare 1.0: its source package has none"
    assert error["payload"] == {"size": None, "can_fetch": False}
    assert team.get("bare/readme")[1] == error
    assert team.get("nobody/readme")[1]["code"] == "package-not-found"


def test_a_large_readme_is_cut(team: Team) -> None:
    """Ten megabytes don't come."""
    team.add("first", "demo", "1.0", {"README.md": b"word " * 2_000_000})
    found = team.get("demo/readme")[1]
    assert (found["truncated"], len(found["html"]) < 1_000_000) == (True, True)


def test_a_mirrored_package_is_fetched_if_it_is_asked_for(mirrored: App, live_mirrored: Live, cran: FakeCran) -> None:
    """Without that upstream hears nothing; afterwards the package is in the store, as after a download."""
    cran.add("demo", "1.0", make_source_package("demo", "1.0", files={"README.md": README}), NOON)
    cran.publish()
    sync(mirrored)
    path = "/repos/cran/packages/demo/readme"
    code, error = live_mirrored.api("GET", path)
    assert (code, error["payload"]["can_fetch"], error["hint"]) == (404, True, "ask with fetch=true to have it fetched")
    assert error["payload"]["size"] > 0
    assert cran.count("src/contrib/demo_1.0.tar.gz") == 0
    assert live_mirrored.api("GET", f"{path}?fetch=true")[1]["html"] == RENDERED
    assert live_mirrored.api("GET", path)[1]["html"] == RENDERED
    assert cran.count("src/contrib/demo_1.0.tar.gz") == 1
    record = live_mirrored.api("GET", "/repos/cran/packages/demo")[1]
    assert record["maintainer"] == "A. Tester <tester@example.org>"


def test_what_is_too_large_is_not_fetched(
    mirrored: App, live_mirrored: Live, cran: FakeCran, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody makes the server fetch gigabytes by looking at a page."""
    monkeypatch.setattr(readmes, "MOST_FETCHED", 100)
    cran.add("demo", "1.0", make_source_package("demo", "1.0", files={"README.md": README}), NOON)
    cran.publish()
    sync(mirrored)
    code, error = live_mirrored.api("GET", "/repos/cran/packages/demo/readme?fetch=true")
    assert (code, error["payload"]["can_fetch"]) == (404, False)
    assert cran.count("src/contrib/demo_1.0.tar.gz") == 0


@pytest.mark.parametrize(
    ("type_", "text", "format_", "html"),
    [
        ("text/markdown; charset=UTF-8; variant=GFM", README.decode(), "markdown", RENDERED),
        ("text/x-rst", "Title\n=====\n\ntext", "rst", '<div id="readme-title">\n<h3>Title</h3>\n<p>text</p>\n</div>\n'),
        (None, "*a* text", "rst", "<p><em>a</em> text</p>\n"),
        ("text/plain", "# no heading", "plain", '<pre tabindex="0"># no heading</pre>'),
    ],
)
def test_python_has_it_in_its_metadata(
    live_proxied: Live, pypi: FakePypi, type_: str | None, text: str, format_: str, html: str
) -> None:
    """The description, by what it says that it is."""
    pypi.add(*wheel("demo", "1.0", description=text, fields={"Description-Content-Type": type_}), uploaded=NOON)
    assert live_proxied.api("GET", "/repos/pypi/packages/Demo/readme") == (
        200,
        {"format": format_, "html": html, "file": None, "truncated": False},
    )


def test_python_without_a_description(live_proxied: Live, pypi: FakePypi) -> None:
    """404, with the reason."""
    pypi.add(*wheel("demo", "1.0"), uploaded=NOON)
    code, error = live_proxied.api("GET", "/repos/pypi/packages/demo/readme")
    assert (code, error["error"]) == (404, "there is no README of demo 1.0: its metadata has no description")


def test_dependencies(team: Team) -> None:
    """As the package has them, with what this snapshot has: the version, whether it will do, where it is from."""
    team.add("second", "helper", "1.5")
    team.add("first", "user", Imports="helper (>= 2.0), methods, nowhere", Depends="R (>= 4.0)", Suggests="helper")
    rows = team.get("user/dependencies")[1]
    keys = ("name", "kind", "operator", "bound", "version", "source", "is_here", "comes_along", "is_met")
    assert [tuple(row[key] for key in keys) for row in rows] == [
        ("R", "depends", ">=", "4.0", None, None, False, True, None),
        ("helper", "imports", ">=", "2.0", "1.5", "second", True, False, False),
        ("methods", "imports", None, None, None, None, False, True, None),
        ("nowhere", "imports", None, None, None, None, False, False, None),
        ("helper", "suggests", None, None, "1.5", "second", True, False, True),
    ]
    assert rows[1]["title"] == "What helper Does"
    assert team.get("user/dependencies?version=3")[0] == 404
    assert team.get("helper/dependencies")[1] == []


def test_dependencies_of_python(live_proxied: Live, pypi: FakePypi) -> None:
    """With extras; of what nobody asked for yet the name alone is known, and nobody asks now."""
    requires = ["Known>=2", "unread", "gone", "plus ; extra == 'fast'"]
    pypi.add(*wheel("demo", "1.0", requires=requires), uploaded=NOON)
    pypi.add(*wheel("known", "1.0"), uploaded=NOON)
    pypi.add(*wheel("unread", "1.0"), uploaded=NOON)
    sync(live_proxied.app, "pypi")
    live_proxied.api("GET", "/repos/pypi/packages/known")
    asked = pypi.count(FakePypi.page("unread"))
    rows = live_proxied.api("GET", "/repos/pypi/packages/demo/dependencies")[1]
    keys = ("name", "kind", "extra", "requirement", "version", "is_here", "is_met")
    assert [tuple(row[key] for key in keys) for row in rows] == [
        ("known", "requires_dist", None, "Known>=2", "1.0", True, False),
        ("unread", "requires_dist", None, "unread", None, True, None),
        ("gone", "requires_dist", None, "gone", None, False, None),
        ("plus", "requires_dist", "fast", "plus ; extra == 'fast'", None, False, None),
    ]
    assert pypi.count(FakePypi.page("unread")) == asked


def test_dependents(team: Team) -> None:
    """Each package once with all its ways, by name, page by page; of one kind if that is asked for."""
    team.add("first", "base")
    for name in ("dd", "bb", "cc"):
        team.add("second", name, Imports="base", LinkingTo="base" if name == "cc" else "")
    team.add("second", "aa", Suggests="base")
    code, rows = team.get("base/dependents")
    assert code == 200
    assert [(row["name"], row["kinds"]) for row in rows] == [
        ("aa", ["suggests"]),
        ("bb", ["imports"]),
        ("cc", ["imports", "linkingto"]),
        ("dd", ["imports"]),
    ]
    assert rows[0] == {
        "name": "aa",
        "kinds": ["suggests"],
        "version": "1.0",
        "title": "What aa Does",
        "source": "second",
    }
    answer = team.live.get("/__api__/repos/team/packages/base/dependents?kind=imports&_limit=2&_page=2")
    assert answer.headers["X-Total-Count"] == "3"
    assert [row["name"] for row in answer.json()] == ["dd"]
    assert team.get("base/dependents?kind=needs")[1]["error"] == "'needs' is not a kind of dependency"
    assert team.get("nobody/dependents") == (200, [])


def test_a_page_of_dependents_takes_few_statements(team: Team) -> None:
    """As many as a page of packages, however many there are."""
    team.add("first", "base")
    numbers = []
    for start in (0, 5):
        for number in range(start, start + 5):
            team.add("second", f"p{number}", Imports="base")
        team.get("base/dependents")
        with statements(team.app) as seen:
            team.get("base/dependents?_limit=100")
        numbers.append(len(seen))
    assert numbers[0] == numbers[1] <= 12


def test_links_and_people(team: Team) -> None:
    """Links of the web alone, each once; texts of people in one bounded line."""
    team.add(
        "first",
        "demo",
        URL="https://demo.example, javascript:alert(1), ftp://a.example\nhttps://demo.example http://u:p@evil.example",
        BugReports="https://demo.example/issues",
        Author=" ,\n".join(["Somebody"] * 1000),
    )
    record = team.get("demo")[1]
    assert record["links"] == [
        {"label": "Home page", "url": "https://demo.example"},
        {"label": "Bug reports", "url": "https://demo.example/issues"},
    ]
    assert record["maintainer"] == "A. Tester <tester@example.org>"
    assert len(record["authors"]) < 2100
    assert "\n" not in record["authors"]


def test_links_of_python(live_proxied: Live, pypi: FakePypi) -> None:
    """Project-URL with its labels, and the home page of older metadata."""
    urls = ["Documentation, https://docs.example", "Bad, javascript:alert(1)", "Source Code,https://code.example/x?y=1"]
    fields = {"Project-URL": urls, "Home-page": "https://demo.example", "Author-email": '"A. B." <a@b.example>'}
    pypi.add(*wheel("demo", "1.0", fields=fields), uploaded=NOON)
    record = live_proxied.api("GET", "/repos/pypi/packages/demo")[1]
    assert [(link["label"], link["url"]) for link in record["links"]] == [
        ("Documentation", "https://docs.example"),
        ("Source Code", "https://code.example/x?y=1"),
        ("Home page", "https://demo.example"),
    ]
    assert (record["authors"], record["maintainer"]) == ('"A. B." <a@b.example>', None)
