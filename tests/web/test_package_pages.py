"""The pages about a package as they come: what is on them, where they lead, what they say where there is nothing."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import quote

import pytest

from entrepot.app import App
from entrepot.core.model import RepositoryType, SourceType
from entrepot.operations import packages, repositories, sources
from tests.support.archives import make_source_package
from tests.support.distributions import sdist, wheel
from tests.support.fake_cran import FakeCran
from tests.support.fake_pypi import FakePypi
from tests.support.server import NOON, Clock, Live, sync

pytestmark = pytest.mark.one_shape
UI = "/__ui__/repos"


@dataclass(frozen=True, slots=True)
class Seen:
    """A page: its status, its HTML, and its text as people read it."""

    status: int
    html: str

    @property
    def text(self) -> str:
        bare = re.sub(r"<(?:script|style)\b.*?</(?:script|style)>", " ", self.html, flags=re.DOTALL)
        return " ".join(unescape(re.sub(r"<[^>]+>", " ", bare)).split())

    @property
    def links(self) -> list[str]:
        return [unescape(href) for href in re.findall(r'href="([^"]+)"', self.html)]


def see(live: Live, path: str, **headers: str) -> Seen:
    answer = live.get(f"{UI}/{path}", **headers)
    return Seen(answer.status, answer.data.decode())


@pytest.fixture
def team(app: App, live: Live, tmp_path: Path) -> Live:
    """A repository `team` over the sources `first` and `second`, with `demo` 1.0 and 1.1 and what it needs."""
    repositories.create_repository(app, "team", type_=RepositoryType.R)
    for source in ("first", "second"):
        sources.create_source(app, source, type_=SourceType.LOCAL)
        repositories.subscribe(app, "team", source, actor="anna")

    def add(source: str, name: str, version: str = "1.0", **fields: str) -> None:
        path = tmp_path / "upload"
        path.write_bytes(make_source_package(name, version, fields=fields, files={"README.md": b"# Read *me*\n"}))
        packages.add_files(app, source, [packages.Upload(f"{name}_{version}.tar.gz", path)], actor="bert")

    add("second", "helper", "0.5", Imports="demo")
    add("first", "demo", "1.0")
    add("first", "demo", "1.1", Imports="helper (>= 1.0), methods, nowhere", Suggests="helper", URL="https://d.example")
    return live


def test_the_page_of_a_package(team: Live) -> None:
    """What it is, how to install it, its README, its files, what it needs and what needs it."""
    page = see(team, "team/packages/demo")
    assert page.status == 200
    for part in (
        f'install.packages("demo", repos = "{team.address}/team/latest")',
        "What demo Does",
        "The package demo is there to be served.",
        "A. Tester <tester@example.org>",
        "demo_1.1.tar.gz",
        "helper >= 1.0 here 0.5 from second too old or too new here",
        "methods comes with R",
        "nowhere not in this repository",
        "Needed by 1 helper",
    ):
        assert part in page.text, part
    assert '<h3 id="readme-read-me">Read <em>me</em></h3>' in page.html
    assert page.html.count("<h1") == 1
    assert "https://d.example" in page.links
    assert f"{team.address}/team/latest/src/contrib/demo_1.1.tar.gz" in page.links
    assert team.get("/team/latest/src/contrib/demo_1.1.tar.gz").status == 200


def test_an_archived_version(team: Live) -> None:
    """It says so, is installed by its number, and its file is where clients find it; links keep the version."""
    page = see(team, "team/packages/demo?version=1.0&client=renv")
    assert "Version 1.0 is archived" in page.text
    assert 'renv::install("demo@1.0")' in page.text
    assert f"{team.address}/team/latest/src/contrib/Archive/demo/demo_1.0.tar.gz" in page.links
    assert team.get("/team/latest/src/contrib/Archive/demo/demo_1.0.tar.gz").status == 200
    assert "/__ui__/repos/team/packages/demo/dependencies?version=1.0" in page.links


def test_a_snapshot_stays_in_all_links(team: Live, app: App) -> None:
    """Whoever looks at the past goes on looking at it."""
    page = see(team, "team/packages/demo?snapshot=6")
    assert page.status == 200
    own = [link for link in page.links if link.startswith(f"{UI}/team/packages/")]
    assert own
    assert [link for link in own if "snapshot=6" not in link] == [f"{UI}/team/packages/demo"], "the way to latest"


def test_versions_side_by_side(team: Live) -> None:
    """All versions with their dates; of two of them what differs, in what they need too."""
    page = see(team, "team/packages/demo/versions?from=1.0&to=1.1")
    assert "2 versions" in page.text
    assert "What differs between 1.0 and 1.1" in page.text
    assert "Imports helper none >= 1.0" in page.text
    assert "Imports methods none any version" in page.text
    same = see(team, "team/packages/demo/versions?from=1.1&to=7")
    assert (same.status, "What differs" in same.text) == (200, False)


def test_the_history(team: Live, app: App, clock: Clock) -> None:
    """Each change with what is given since, and a way there."""
    clock.wait(days=1)
    repositories.reorder(app, "team", ["second", "first"], actor="anna")
    packages.remove_package(app, "first", "demo", scope="all", actor="bert", comment="too <b>old</b>")
    page = see(team, "team/packages/demo/history")
    assert page.status == 200
    assert "demo is not in this repository at this snapshot." in page.text
    assert "1.1 replaces 1.0 in first" in page.text
    assert "bert: too <b>old</b>" in page.text
    assert "not in the repository" in page.text
    assert f"{UI}/team/packages/demo?snapshot=2024-03-01" in page.links
    assert see(team, "team/packages/demo?snapshot=2024-03-01").status == 200
    assert see(team, "team/packages/nobody/history").status == 404


def test_a_tree_unfolds(team: Live) -> None:
    """A branch is a link to a page; as a part of it, it names what stands above and doesn't go round in a circle."""
    page = see(team, "team/packages/demo")
    branch = next(link for link in page.links if "helper/dependencies" in link)
    assert see(team, branch.removeprefix(f"{UI}/")).text.startswith("Dependencies")
    part = see(team, branch.removeprefix(f"{UI}/"), X_Part="needs")
    assert part.html.lstrip().startswith('<div id="needs">')
    assert "demo here 1.1 from first see above" in part.text
    assert not [link for link in part.links if "/dependencies" in link]


def test_dependents_in_pages(team: Live) -> None:
    """By kind, with what is known of each."""
    page = see(team, "team/packages/demo/dependents?kind=imports")
    assert "1 package needs demo" in page.text
    assert "helper What helper Does 0.5 Imports second" in page.text


def test_what_is_not_there_helps_on(team: Live) -> None:
    """Names that are close, versions that there are, days that can be used; 404 all the same."""
    near = see(team, "team/packages/demos")
    assert (near.status, "team has no package demos at this snapshot" in near.text) == (404, True)
    assert f"{UI}/team/packages/demo" in near.links
    version = see(team, "team/packages/demo?version=9")
    assert (version.status, "demo has no version 9 at this snapshot" in version.text) == (404, True)
    assert f"{UI}/team/packages/demo?version=1.1" in version.links
    early = see(team, "team/packages/demo?snapshot=1999-01-01")
    assert early.status == 404
    assert see(team, "nobody/packages/demo").status == 404


def test_what_was_there_is_told(team: Live, app: App) -> None:
    """Of a package that was removed: until when, and the way to it."""
    packages.remove_package(app, "first", "demo", scope="all", actor="bert")
    page = see(team, "team/packages/demo")
    assert (page.status, "It was there before" in page.text) == (404, True)
    assert any(re.search(r"packages/demo\?snapshot=\d+$", link) for link in page.links)


HOSTILE = '"><script>alert(1)</script><img src=x onerror=alert(1)>\u202e'


def test_hostile_texts_are_text(app: App, live: Live, tmp_path: Path) -> None:
    """In every field of a package, in its README, and in the address."""
    repositories.create_repository(app, "team", type_=RepositoryType.R)
    sources.create_source(app, "first", type_=SourceType.LOCAL)
    repositories.subscribe(app, "team", "first", actor="anna")
    fields = ("Title", "Description", "Author", "Maintainer", "License", "URL", "SystemRequirements")
    path = tmp_path / "upload"
    files = {"README.md": HOSTILE.encode()}
    path.write_bytes(make_source_package("demo", "1.0", fields=dict.fromkeys(fields, HOSTILE), files=files))
    packages.add_files(app, "first", [packages.Upload("demo_1.0.tar.gz", path)], actor="x", comment=HOSTILE)
    asked = quote(HOSTILE)
    places = (
        "",
        "/history",
        "/versions",
        "/dependencies",
        "/dependents",
        f"?version={asked}",
        f"/versions?from={asked}",
    )
    for place in places:
        page = see(live, f"team/packages/demo{place}")
        assert page.status == (404 if place.startswith("?") else 200), place
        Elements().feed(page.html)
        assert "\u202e" not in page.html
    Elements().feed(see(live, f"team/packages/{quote(HOSTILE.replace('/', ''))}").html)


class Elements(HTMLParser):
    """Raises AssertionError at what no page of ours has."""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        told = dict(attrs)
        assert tag not in ("img", "iframe", "object", "style")
        assert tag != "script" or str(told.get("src", "")).startswith("/__static__/")
        assert not [name for name in told if name.startswith("on") or name == "style"]
        assert not str(told.get("href", "")).lower().strip().startswith(("javascript:", "data:"))


def test_a_mirrored_package_nobody_asked_for(mirrored: App, live_mirrored: Live, cran: FakeCran) -> None:
    """It says that its README has to be fetched, and a link does."""
    cran.add("demo", "1.0", make_source_package("demo", "1.0", files={"README.md": b"# Hello"}), NOON)
    cran.publish()
    sync(mirrored)
    page = see(live_mirrored, "cran/packages/demo")
    link = next(link for link in page.links if "fetch=true" in link)
    assert "# Hello" not in page.text
    assert cran.count("src/contrib/demo_1.0.tar.gz") == 0
    fetched = see(live_mirrored, link.removeprefix(f"{UI}/").partition("#")[0])
    assert '<h3 id="readme-hello">Hello</h3>' in fetched.html


def test_a_python_project(live_proxied: Live, pypi: FakePypi) -> None:
    """Wheels and sdists with their hashes, extras, the version that is asked for, yanks with their reasons."""
    requires = ["helper>=2", "plus; extra == 'fast'"]
    for version, yanked in (("1.0", None), ("1.1", "it breaks")):
        for file in (wheel("demo", version, requires=requires, requires_python=">=3.9"), sdist("demo", version)):
            made = pypi.add(*file, uploaded=NOON - timedelta(days=30))
            if yanked:
                pypi.change(made.name, yanked=yanked)
    page = see(live_proxied, "pypi/packages/demo")
    url = f"{live_proxied.address}/pypi/latest/simple"
    for part in (
        f"pip install --index-url {url} demo",
        "demo-1.0-py3-none-any.whl wheel",
        "demo-1.0.tar.gz source distribution",
        "Requires 1 helper helper>=2 not in this repository",
        "Extra “fast” 1",
    ):
        assert part in page.text, part
    file = next(link for link in page.links if link.endswith(".whl"))
    assert live_proxied.get(file.removeprefix(live_proxied.address)).status == 200
    yanked_page = see(live_proxied, "pypi/packages/demo?version=1.1&client=uv")
    assert "This version was yanked" in yanked_page.text
    assert "it breaks" in yanked_page.text
    assert f"uv add --default-index {url} demo==1.1" in yanked_page.text
    assert see(live_proxied, "pypi/packages/demo/dependents").status == 200
