"""Search over HTTP: shapes, pages, what is refused, and what only some may find."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from entrepot.core.access import Scope
from entrepot.operations import repositories
from tests.support.archives import make_source_package
from tests.support.closed import token
from tests.support.distributions import wheel
from tests.support.fake_pypi import FakePypi
from tests.support.server import Live, sync


@pytest.fixture
def site(live: Live) -> Live:
    """The repository `mine` over `internal`, with some packages; `vault` is closed and has one of its own besides."""
    for name in ("internal", "hidden"):
        assert live.api("POST", "/sources", {"name": name})[0] == 201
    assert live.api("POST", "/repos", {"name": "mine", "description": "Ours"})[0] == 201
    assert live.api("POST", "/repos", {"name": "vault", "authenticated": True})[0] == 201
    for repo, source in (("mine", "internal"), ("vault", "hidden"), ("vault", "internal")):
        assert live.api("POST", f"/repos/{repo}/sources", {"source": source})[0] == 200
    add(live, "internal", "plot", Title="Draws", License="MIT + file LICENSE")
    add(live, "internal", "ggplot", Title="Élégant graphics", Imports="plot")
    add(live, "internal", "other", Title="Nothing alike")
    add(live, "hidden", "plotsecret", Title="Not for all")
    return live


def add(live: Live, source: str, name: str, **fields: str) -> None:
    status, told = live.upload(source, (f"{name}_1.0.tar.gz", make_source_package(name, "1.0", fields=fields)))
    assert status == 200, told


def found(live: Live, path: str, token: str | None = "") -> list[str]:
    status, rows = live.api("GET", path, token=token)
    assert status == 200, rows
    return [row["name"] for row in rows]


def test_a_hit_is_a_summary_and_more(site: Live) -> None:
    """What the list of packages tells, with downloads, how many need it, and whether there are binaries."""
    (summary,) = site.api("GET", "/repos/mine/packages?name=plot")[1]
    answer = site.get("/__api__/repos/mine/search?q=PLOT&_limit=1")
    assert (answer.headers["X-Total-Count"], "X-Search-Limited" in answer.headers) == ("2", False)
    assert answer.json() == [{**summary, "downloads": 0, "dependents": 1, "has_binaries": False}]
    assert found(site, "/repos/mine/search?q=plot&_limit=1&_page=2") == ["ggplot"]
    assert found(site, "/repos/mine/search?q=elegant") == ["ggplot"]
    assert found(site, "/repos/mine/search?_sort=name") == ["ggplot", "other", "plot"]
    assert found(site, "/repos/mine/search?license=MIT&source=internal&updated_since=2024-03-01") == ["plot"]
    assert found(site, "/repos/mine/search?has_binaries=true") == []
    assert found(site, "/repos/mine/search?_page=9") == []


def test_choices(site: Live) -> None:
    """Licences and sources with how many packages they leave."""
    assert site.api("GET", "/repos/mine/search/facets?q=plot")[1] == {
        "licenses": [{"name": "GPL-3", "packages": 1}, {"name": "MIT", "packages": 1}],
        "sources": [{"name": "internal", "packages": 2}],
        "with_binaries": 0,
    }


def test_names_that_were_meant(site: Live) -> None:
    assert site.api("GET", "/repos/mine/near?name=ggplto")[1] == ["ggplot"]
    assert site.api("GET", "/repos/mine/near?name=nothing")[1] == []
    assert site.api("GET", "/repos/mine/near")[0] == 422


def test_in_all_repositories(site: Live) -> None:
    """The best first; the repositories that show it, as far as somebody sees them."""
    status, rows = site.api("GET", "/search?q=plot", token="")
    plot: dict[str, Any] = {"type": "R", "name": "plot", "version": "1.0", "title": "Draws", "source": "internal"}
    assert (status, rows[0]) == (200, {"repository": "mine", "repositories": ["mine"], **plot})
    assert [row["name"] for row in rows] == ["plot", "ggplot"]
    assert found(site, "/search?q=plot&_limit=1") == ["plot"]
    assert found(site, "/search") == []


def test_closed_repositories_are_found_by_those_who_may_read_them(site: Live) -> None:
    """Nobody else learns of their packages, nor of the repositories that show what others do too."""
    reader = token(site.app, repos=["vault"])
    nobody = token(site.app, Scope.METADATA_ADMIN)
    for sent in ("", nobody):
        assert found(site, "/search?q=plotsecret", sent) == []
        assert site.api("GET", "/search?q=other", token=sent)[1][0]["repositories"] == ["mine"]
        assert found(site, "/repos?_details=true", sent) == ["cran", "pypi", "mine"]
        for path in ("/repos/vault/search?q=plot", "/repos/vault/search/facets", "/repos/vault/near?name=plotsecre"):
            assert site.api("GET", path, token=sent)[0] == (403 if sent else 401)
    assert found(site, "/search?q=plotsecret", reader) == ["plotsecret"]
    assert site.api("GET", "/search?q=other", token=reader)[1][0]["repositories"] == ["mine", "vault"]
    assert found(site, "/repos/vault/search?q=plot", reader) == ["plot", "plotsecret", "ggplot"]
    assert found(site, "/repos?_details=true", reader) == ["cran", "pypi", "mine", "vault"]
    repositories.edit_repository(site.app, "mine", is_closed=True)
    assert found(site, "/search?q=plot") == []


def test_repositories_in_full(site: Live) -> None:
    """Packages and the last change beside what the list always tells."""
    plain = site.api("GET", "/repos")[1]
    full = site.api("GET", "/repos?_details=true")[1]
    assert [{k: v for k, v in row.items() if k not in ("packages", "changed")} for row in full] == plain
    assert {row["name"]: row["packages"] for row in full} == {"cran": None, "pypi": None, "mine": 3, "vault": 4}
    assert {row["name"]: row["changed"] for row in full}["mine"] == "2024-03-01T12:00:00Z"
    assert found(site, "/repos?_details=true&_sort=name&_order=desc&_limit=1", None) == ["vault"]


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ("q=" + "x" * 201, "a search of 201 characters is too long"),
        ("source=nobody", "'nobody' is no source of this repository at this snapshot"),
        ("updated_since=1", "updated_since: not a day, which is written YYYY-MM-DD"),
        ("_sort=version", "_sort: Input should be 'use', 'name' or 'date'"),
        ("_limit=0", "_limit: Input should be greater than or equal to 1"),
        ("has_binaries=perhaps", "has_binaries: Input should be a valid boolean, unable to interpret input"),
    ],
)
def test_what_is_refused(site: Live, query: str, told: str) -> None:
    """In one line that says what is wrong."""
    status, error = site.api("GET", f"/repos/mine/search?{query}", token="")
    assert (status, error["error"]) == (422, told)
    assert error["hint"]


def test_snapshots_that_are_not_there(site: Live) -> None:
    assert site.api("GET", "/repos/mine/search?snapshot=1999-01-01")[0] == 404
    assert site.api("GET", "/repos/nobody/search")[0] in (401, 404)
    assert site.api("GET", "/repos/cran/search?q=x")[1]["code"] == "never-synced"
    assert site.api("GET", "/search?q=" + "x" * 300)[0] == 422


@pytest.mark.parametrize(
    "text",
    [
        "\0",
        "plot\0",
        "(a+)+$" * 20,
        "%",
        "_",
        "'; DROP TABLE files; --",
        "<script>",
        "\u202eplot",
        "\ud7ff\uffff",
        "a " * 100,
        "[" * 200,
        "\\",
        "plot\n\n\r",
        "É" * 200,
    ],
)
def test_hostile_words_find_what_has_them(site: Live, text: str) -> None:
    """Each is a text as any other, answered at once."""
    began = time.monotonic()
    for path in ("/repos/mine/search?q=", "/repos/mine/search/facets?q=", "/search?q=", "/repos/mine/near?name="):
        status, rows = site.api("GET", path + quote(text), token="")
        assert (status, type(rows)) in ((200, list), (200, dict)), rows
    assert time.monotonic() - began < 5


def test_an_index_of_python_packages(live_proxied: Live, pypi: FakePypi, tmp_path: Path) -> None:
    """Names that nobody asked for have null for what isn't known; before the first list there is no answer."""
    pypi.add(*wheel("Demo.Pkg", "1.0"))
    pypi.add_empty("demo-other", *(f"n{number:05}" for number in range(1200)))
    assert live_proxied.api("GET", "/repos/pypi/search?q=demo")[1]["code"] == "never-synced"
    assert live_proxied.api("GET", "/search?q=demo") == (200, [])
    sync(live_proxied.app, "pypi")
    status, rows = live_proxied.api("GET", "/repos/pypi/search?q=demo_other")
    unknown = ["version", "title", "license", "package_date", "package_size", "checksum"]
    unknown += ["needs_compilation", "requires_python", "has_binaries"]
    assert (status, rows) == (
        200,
        [{"name": "demo-other", "source": "pypi", "downloads": 0, "dependents": 0, **dict.fromkeys(unknown)}],
    )
    many = live_proxied.get("/__api__/repos/pypi/search?q=n&_limit=2&_page=500")
    assert (many.headers["X-Total-Count"], many.headers["X-Search-Limited"]) == ("1000", "true")
    assert [row["name"] for row in many.json()] == ["n00998", "n00999"]
    assert live_proxied.api("GET", "/repos?_details=true&_limit=1&_page=2")[1][0]["packages"] == 1202
    live_proxied.api("GET", "/repos/pypi/packages/demo-pkg")
    (hit,) = live_proxied.api("GET", "/search?q=demo.pkg")[1]
    assert (hit["version"], hit["source"]) == ("1.0", "pypi")
