"""The pages of proposals, as a browser without script uses them: for those who review, and those who commit."""

from __future__ import annotations

import html
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.support.archives import make_source_package
from tests.support.browser import Browser, Page
from tests.support.distributions import wheel
from tests.support.fake_cran import FakeCran
from tests.support.fake_pypi import FakePypi
from tests.support.server import Live, sync

pytestmark = pytest.mark.one_shape
MAY = datetime(2023, 5, 1, 12, tzinfo=UTC)
TODAY = "2024-03-01"
LIST = "/__ui__/sources/set/proposals"


@pytest.fixture
def site(live_proxied: Live, pypi: FakePypi) -> Live:
    """A curated source `set` with `demo` 1.0 and `old`; a newer `demo` has another licence, and `lib` needs it."""
    pypi.add(*wheel("demo", "1.0", fields={"License-Expression": "MIT"}), uploaded=MAY)
    pypi.add(*wheel("demo", "2.0", fields={"License-Expression": "GPL-3.0-only"}), uploaded=MAY + timedelta(days=9))
    pypi.add(*wheel("lib", "1.0", requires=["demo"]), uploaded=MAY)
    pypi.add(*wheel("old", "1.0"), uploaded=MAY)
    sync(live_proxied.app, "pypi")
    live_proxied.api("POST", "/sources", {"name": "set", "type": "curated-pypi"})
    propose(live_proxied, list="demo<2\nold", snapshot=TODAY, commit=True)
    live_proxied.api("POST", "/repos", {"name": "py", "type": "python"})
    live_proxied.api("POST", "/repos/py/sources", {"source": "set"})
    return live_proxied


def propose(site: Live, **wish: Any) -> int:
    status, made = site.api("POST", "/sources/set/proposals", wish)
    assert status == 201, made
    return int(made["id"])


def reader(site: Live, **more: Any) -> Browser:
    """A browser that is signed in with a token for what is said, for little if nothing is."""
    wish = {"scopes": ["metadata:read"], "description": "a test", "user": "ben", **more}
    browser = Browser(site)
    assert browser.sign_in(site.api("POST", "/tokens", wish)[1]["token"]).status == 303
    return browser


def words(page: Page) -> str:
    """What a page says, without its marks, in one line."""
    text = " ".join(html.unescape(re.sub(r"<[^>]*>", " ", page.text)).split())
    return re.sub(r" ([,.:])", r"\1", text)


def test_the_list(site: Live) -> None:
    """Each with its state, what it would bring, and who made it; the command that makes one."""
    id_ = propose(site, list="demo\nlib")
    page = Browser(site).get(LIST)
    assert page.status == 200
    said = words(page)
    assert f"Proposal {id_} update open {TODAY} 1 added, 1 updated, 1 removed" in said
    assert f"Proposal {id_ - 1} update committed {TODAY} 2 added" in said
    assert "entrepot update --source=set --file-in=packages.txt" in said


def test_what_a_reviewer_sees(site: Live) -> None:
    """Versions before and after, licences that change, why each is in; what leaves, and what isn't there."""
    id_ = propose(site, list="demo\nlib\ndemos", skip_missing=True, only_binary=True)
    page = Browser(site).get(f"{LIST}/{id_}")
    said = words(page)
    assert "demo 1.0 → to 2.0 updated 2 versions MIT GPL-3.0-only licence changes asked for" in said
    assert "<del>MIT</del> <ins>GPL-3.0-only</ins>" in page.text
    assert "lib 1.0 added not known asked for" in said
    assert "What is asked for 2 lines demo lib Wheels alone" in said
    assert f"entrepot update --source=set --snapshot={TODAY} --proposal={id_} --commit" in html.unescape(page.text)
    assert "Versions that leave 1" in said
    assert "old 1.0 removed Neither asked for nor needed" in words(Browser(site).get(f"{LIST}/{id_}?show=leaving"))
    missing = words(Browser(site).get(f"{LIST}/{id_}?show=missing"))
    assert "demos The snapshot has no such project asked for demo" in missing
    only = words(Browser(site).get(f"{LIST}/{id_}?licence=other"))
    assert ("demo 1.0" in only, "lib 1.0" in only) == (True, False)


def test_who_may_commit(site: Live) -> None:
    """The form is for those who may write to the source; others see the command, and are refused if they send it."""
    id_ = propose(site, list="demo")
    path = f"{LIST}/{id_}"
    assert "Commit this proposal" not in Browser(site).get(path).text
    ben = reader(site)
    page = ben.get(path)
    assert ("Commit this proposal" in page.text, "that needs sources:write" in words(page)) == (False, True)
    assert ben.post(path, page.hidden).status == 403
    assert site.api("GET", f"/sources/set/proposals/{id_}")[1]["state"] == "open"
    writer = reader(site, scopes=["sources:write"], sources=["set"])
    done = writer.send(writer.get(path), comment="looked at by Ada")
    assert (done.status, done.location.endswith(f"{path}?done=committed")) == (303, True)
    after = words(writer.get(done.location))
    made = site.api("GET", f"/sources/set/proposals/{id_}")[1]
    assert "The proposal was committed" in after
    assert f"Committed as transaction {made['committed']}" in after
    told = site.api("GET", f"/transactions/{made['committed']}")[1]
    assert (told["message"], told["actor"]) == ("looked at by Ada", "ben")


def test_a_stale_proposal(site: Live) -> None:
    """It says so and has no button; a button that was there before it became stale is refused with the reason."""
    id_ = propose(site, list="demo")
    writer = reader(site, scopes=["sources:write"], sources=["set"])
    page = writer.get(f"{LIST}/{id_}")
    propose(site, list="lib", snapshot=TODAY, commit=True)
    refused = writer.send(page, comment="my reason")
    assert (refused.status, "is stale" in words(refused)) == (409, True)
    assert "This proposal is stale" in words(refused)
    assert "Commit this proposal" not in refused.text
    assert site.api("GET", f"/sources/set/proposals/{id_}")[1]["committed"] is None


def test_what_is_not_there(site: Live) -> None:
    """A proposal, a source, a source without proposals: a page that says it."""
    browser = Browser(site)
    assert browser.get(f"{LIST}/999").status == 404
    assert browser.get("/__ui__/sources/nope/proposals").status == 404
    page = browser.get("/__ui__/sources/pypi/proposals")
    assert (page.status, "to which nothing is proposed" in words(page)) == (422, True)


def test_thousands_of_packages_come_by_pages(live_mirrored: Live, cran: FakeCran) -> None:
    """A page has a hundred of them, and the next ones are a link away."""
    for number in range(250):
        name = f"p{number:03}"
        cran.add(name, "1.0", make_source_package(name, "1.0"), datetime(2024, 2, 1, 9, tzinfo=UTC))
    cran.publish()
    sync(live_mirrored.app)
    live_mirrored.api("POST", "/sources", {"name": "all", "type": "cran-snapshot", "snapshot": TODAY})
    browser = Browser(live_mirrored)
    (listed,) = re.findall(
        r'href="([^"]*/sources/all/proposals/\d+)"', browser.get("/__ui__/sources/all/proposals").text
    )
    page = browser.get(listed)
    rows = r'<th scope="row">(p\d+)</th>'
    assert (re.findall(rows, page.text)[-1], "250 packages" in words(page)) == ("p099", True)
    (link,) = re.findall(r'rel="next" href="([^"]*)"', page.text)
    assert re.findall(rows, browser.get(html.unescape(link)).text)[0] == "p100"
    assert "All of CRAN as it stood at the snapshot." in words(page)
