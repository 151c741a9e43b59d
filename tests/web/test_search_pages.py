"""The home page and the packages of a repository, as they are without script."""

from __future__ import annotations

import html
import re
from html.parser import HTMLParser
from urllib.parse import parse_qs, quote, urlsplit

import pytest

from entrepot.app import App
from entrepot.core.access import Scope
from entrepot.core.model import RepositoryType, SourceType
from entrepot.operations import repositories, sources
from entrepot.settings import Settings
from tests.support.archives import make_source_package
from tests.support.browser import Browser
from tests.support.closed import token
from tests.support.fake_pypi import FakePypi
from tests.support.server import Clock, Live, installed, running, sync

pytestmark = pytest.mark.one_shape

UI = "/__ui__"
PACKAGES = f"{UI}/repos/mine/packages"


@pytest.fixture
def site(live: Live) -> Live:
    """The repository `mine` over the source `internal`, with thirty packages."""
    for path, body in (("/sources", {"name": "internal"}), ("/repos", {"name": "mine", "description": "Ours & <all>"})):
        assert live.api("POST", path, body)[0] == 201
    assert live.api("POST", "/repos/mine/sources", {"source": "internal"})[0] == 200
    files = [(f"pkg{n:02}", {"Title": f"Number {n}", "License": "GPL-2" if n % 2 else "MIT"}) for n in range(28)]
    files += [("plot", {"Title": "Draws <b>bold</b> things"}), ("Data.Plots", {"Title": "Of data"})]
    packed = [(f"{name}_1.0.tar.gz", make_source_package(name, "1.0", fields=fields)) for name, fields in files]
    assert live.upload("internal", *packed)[0] == 200
    return live


class Tags(HTMLParser):
    """The start tags of a page, each as its name and attributes."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.all: list[tuple[str, dict[str, str]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.all.append((tag, {name: value or "" for name, value in attrs}))

    def links(self) -> list[str]:
        return [given["href"] for tag, given in self.all if tag == "a" and "href" in given]


def look(live: Live, path: str, status: int = 200, **headers: str) -> str:
    answer = live.get(path, **headers)
    assert answer.status == status, answer.data
    return answer.data.decode()


def hits(page: str) -> list[str]:
    """The names of the packages that were found."""
    return [html.unescape(name) for name in re.findall(r"<a data-hit [^>]*>(?:<strong>)?([^<]+)", page)]


def test_packages_are_listed_in_pages(site: Live) -> None:
    """25 on a page; links to others keep what is asked for."""
    page = look(site, PACKAGES)
    assert "<h2 data-count>30 packages</h2>" in page
    assert len(hits(page)) == 25
    (more,) = [url for url in Tags(page).links() if "page=2" in url]
    assert hits(look(site, more)) == ["pkg24", "pkg25", "pkg26", "pkg27", "plot"]
    kept = {"search": ["pkg"], "sort": ["name"], "snapshot": ["4"]}
    page = look(site, f"{PACKAGES}?search=pkg&sort=name&snapshot=4&page=1")
    assert [parse_qs(urlsplit(url).query) for url in Tags(page).links() if "page=" in url] == [kept | {"page": ["2"]}]
    page = look(site, f"{PACKAGES}?search=pkg&sort=name&snapshot=4&page=9")
    assert "There is no page 9 of them." in page
    (first,) = [
        url for url in Tags(page).links() if "sort=name" in url and url.startswith(PACKAGES) and "snapshot" in url
    ]
    assert parse_qs(urlsplit(first).query) == kept


def test_a_search_finds_and_filters(site: Live) -> None:
    """The best first, with how many there are; what is chosen stays chosen; fields of the filters go with the form."""
    page = look(site, f"{PACKAGES}?search=PLOT")
    assert hits(page) == ["plot", "Data.Plots"]
    assert "<h2 data-count>2 packages for “PLOT”</h2>" in html.unescape(page)
    assert "Draws &lt;b&gt;bold&lt;/b&gt; things" in page
    page = look(site, f"{PACKAGES}?license=MIT&sort=name")
    assert hits(page)[:3] == ["pkg00", "pkg02", "pkg04"]
    tags = Tags(page).all
    assert ("option", {"value": "MIT", "selected": ""}) in tags
    assert ("option", {"value": "name", "selected": ""}) in tags
    fields = {given["name"]: given.get("form") for tag, given in tags if tag in ("input", "select") and "name" in given}
    assert {name for name, form in fields.items() if form == "search"} == {"license", "updated_since", "sort"}
    assert any(tag == "form" and given.get("id") == "search" and given["method"] == "get" for tag, given in tags)
    assert "MIT (14)" in page


def test_links_to_packages_keep_the_snapshot(site: Live) -> None:
    """Also the forms do, and the pages behind."""
    page = look(site, f"{PACKAGES}?search=plot&snapshot=4")
    assert f"{UI}/repos/mine/packages/plot?snapshot=4" in Tags(page).links()
    assert ("input", {"type": "hidden", "name": "snapshot", "value": "4"}) in Tags(page).all


def test_what_is_not_found_leads_on(site: Live) -> None:
    """Names that are like it, other repositories, the latest snapshot; or the filters go."""
    page = look(site, f"{PACKAGES}?search=plto&snapshot=4")
    assert "No package has “plto” in its name or title." in html.unescape(page)
    links = Tags(page).links()
    assert f"{UI}/repos/mine/packages/plot?snapshot=4" in links
    assert "/?search=plto" in links
    assert f"{PACKAGES}?search=plto" in links
    page = look(site, f"{PACKAGES}?license=nothing&search=plot")
    assert "No package passes these filters." in page
    assert f"{PACKAGES}?search=plot" in Tags(page).links()


@pytest.mark.parametrize(
    ("query", "status", "told"),
    [
        ("updated_since=yesterday", 422, "not a day, which is written YYYY-MM-DD"),
        ("source=nobody", 422, "is no source of this repository"),
        ("sort=size", 422, "_sort"),
        ("page=-7", 200, "30 packages"),
        ("snapshot=1999-01-01", 404, "latest"),
        ("search=" + "x" * 5000, 200, "No package has"),
        ("search=%00%1b%5B31m%3Cscript%3E%E2%80%AE", 200, "&lt;script&gt;"),
    ],
)
def test_odd_questions_are_answered(site: Live, query: str, status: int, told: str) -> None:
    """Beside the form, or with ways to go on; never with an error of the server."""
    page = look(site, f"{PACKAGES}?{query}", status)
    assert told in page
    assert "<script>" not in page
    assert "\u202e" not in page


def test_a_script_is_given_the_part_that_changes(site: Live) -> None:
    """Without the frame around it, and the same as on the whole page."""
    for path, ids in ((f"{PACKAGES}?search=plot", ("filters", "found")), ("/?search=plot", ("found",))):
        part, page = look(site, path, x_part="found"), look(site, path)
        assert "<html" not in part
        assert part.strip() in page
        assert [given["id"] for tag, given in Tags(part).all if tag == "div" and "id" in given] == list(ids)


def test_the_home_page_searches_in_all_repositories(site: Live) -> None:
    """Each package once with the repositories that have it in each version; repositories themselves by their names."""
    assert site.api("POST", "/repos", {"name": "second"})[0] == 201
    assert site.api("POST", "/repos/second/sources", {"source": "internal"})[0] == 200
    page = look(site, "/?search=plot")
    assert hits(page) == ["plot", "Data.Plots"]
    links = Tags(page).links()
    assert {f"{UI}/repos/{repo}/packages/plot" for repo in ("mine", "second")} <= set(links)
    assert f"{UI}/repos/mine/packages?search=plot" in links
    page = look(site, "/?search=secon")
    assert hits(page) == ["second"]
    assert "No package has “nothing” in its name or title." in html.unescape(look(site, "/?search=nothing"))
    assert "data-count" not in look(site, "/?search=+")
    assert look(site, "/?search=" + quote("\0" * 300)).count("<h1>") == 1


def test_repositories_are_on_cards(site: Live) -> None:
    """Type, description, size, sources in order, and the ways into each."""
    page = look(site, "/")
    assert "Ours &amp; &lt;all&gt;" in page
    card = page.partition(">mine</a></h3>")[2].partition("</li>")[0]
    assert "30 packages" in card
    assert "internal" in card
    assert Tags(card).links() == [f"{UI}/repos/mine/{tab}" for tab in ("packages", "setup", "activity")]
    assert "nothing here yet" in page.partition(">cran</a></h3>")[2].partition("</li>")[0]


def test_closed_repositories_are_for_those_who_may_read_them(site: Live) -> None:
    """Neither their cards nor their packages are on the page of others."""
    assert site.api("POST", "/repos", {"name": "vault", "authenticated": True})[0] == 201
    assert site.api("POST", "/sources", {"name": "hoard"})[0] == 201
    assert site.api("POST", "/repos/vault/sources", {"source": "hoard"})[0] == 200
    assert site.upload("hoard", ("plothole_1.0.tar.gz", make_source_package("plothole", "1.0")))[0] == 200
    for path in ("/", "/?search=plothole", "/?search=vault", f"{UI}/repos/mine/packages?search=plothole"):
        page = look(site, path)
        assert "hoard" not in page
        assert f"{UI}/repos/vault" not in page
        assert f"{UI}/repos/mine/packages/plothole" not in page
    look(site, f"{UI}/repos/vault/packages", 401)
    browser = Browser(site)
    browser.sign_in(token(site.app, repos=["vault"]))
    assert hits(browser.get("/?search=plothole").text) == ["plothole"]
    assert "needs a token" in browser.get("/").text
    assert hits(browser.get(f"{UI}/repos/vault/packages").text) == ["plothole"]


def test_without_any_repository(settings: Settings, clock: Clock) -> None:
    """Nothing to search, but what to do about it."""
    repos = settings.repos.model_copy(update={"cran": "", "pypi": "", "bioconductor": ""})
    with installed(settings.model_copy(update={"repos": repos}), clock) as app, running(app) as live:
        for info in repositories.list_repositories(app):
            repositories.delete_repository(app, info.repository.name)
        page = look(live, "/")
        assert "There is no repository that everybody may read." in page
        assert 'role="search"' not in page
        browser = Browser(live)
        browser.sign_in(token(app, Scope.GLOBAL_ADMIN))
        assert "entrepot create repo" in browser.get("/").text


def test_with_fifty_repositories(app: App) -> None:
    """Each has its card, and what all show is told once."""
    sources.create_source(app, "shared", type_=SourceType.LOCAL)
    for number in range(50):
        repositories.create_repository(app, f"team{number:02}", type_=RepositoryType.R)
        repositories.subscribe(app, f"team{number:02}", "shared", actor="test")
    with running(app) as live:
        assert live.upload("shared", ("plot_1.0.tar.gz", make_source_package("plot", "1.0")))[0] == 200
        page = look(live, "/?search=plot")
    assert page.count('class="card repo"') == 52
    assert hits(page) == ["plot"]
    assert "and 47 more" in page


def test_a_mirror_that_was_never_synced(site: Live) -> None:
    """Says so, with the form still there."""
    page = look(site, f"{UI}/repos/cran/packages", 503)
    assert "never synced" in page
    assert 'id="f-search"' in page


def test_names_of_an_index(live_proxied: Live, pypi: FakePypi) -> None:
    """Those that nobody asked for are marked, and that there may be more is said."""
    pypi.add_empty(*(f"n{number:05}" for number in range(1200)))
    sync(live_proxied.app, "pypi")
    page = look(live_proxied, f"{UI}/repos/pypi/packages?search=n")
    assert len(hits(page)) == 25
    assert "1,000 packages" in page
    assert "further letters find others" in page
    assert "nobody asked for the project yet" in page


@pytest.mark.parametrize("path", ["/client", "/client/"])
def test_older_links_of_the_product_lead_home(site: Live, path: str) -> None:
    """From where what is behind the `#` is read by a script."""
    answer = site.get(path)
    assert (answer.status, answer.headers["Location"]) == (303, f"{site.address}/")
    assert 'data-hash-routes=""' in look(site, "/")
