"""The pages of the administration, as a browser without script uses them: who gets in, what forms do and refuse."""

from __future__ import annotations

import html
import re
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from entrepot.web.ui import adminorder, adminrepos, adminsources, admintokens, proposals
from tests.support.archives import make_source_package
from tests.support.browser import Browser, Page
from tests.support.server import Live

pytestmark = pytest.mark.one_shape
UI = "/__ui__"
ADMIN = f"{UI}/admin"
WISH = "two", "one", "three"


@pytest.fixture
def site(live: Live) -> Live:
    """The repository `mine` over `one` and `two`, which share `abc`; `three` is used by nobody."""
    for source, packages in (("one", ("abc", "own")), ("two", ("abc", "xyz")), ("three", ("new",))):
        live.api("POST", "/sources", {"name": source})
        files = [(f"{name}_1.0.tar.gz", make_source_package(name, "1.0")) for name in packages]
        assert live.upload(source, *files)[0] == 200
    live.api("POST", "/repos", {"name": "mine", "description": "Ours"})
    for source in ("one", "two"):
        live.api("POST", "/repos/mine/sources", {"source": source})
    return live


def signed_in(site: Live, *scopes: str, **more: Any) -> Browser:
    wish = {"scopes": list(scopes), "description": "a test", "user": "ann", **more}
    browser = Browser(site)
    assert browser.sign_in(site.api("POST", "/tokens", wish)[1]["token"]).status == 303
    return browser


@pytest.fixture
def ann(site: Live) -> Browser:
    """An administrator's browser."""
    return signed_in(site, "global:admin")


def words(page: Page) -> str:
    """What a page says, without its marks, in one line."""
    text = " ".join(html.unescape(re.sub(r"<[^>]*>", " ", page.text)).split())
    return re.sub(r" ([,.:])", r"\1", text)


def headings(page: Page) -> str:
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", each)) for each in re.findall(r"<h1>(.*?)</h1>", page.text))


def csrf(page: Page) -> tuple[str, str]:
    found = re.search(r'name="(\w+)" value="([^"]+)"><p|name="(csrf\w*)" value="([^"]+)"', page.text)
    assert found is not None
    return (found[1] or found[3]), (found[2] or found[4])


PAGES = (
    "",
    "/repositories",
    "/repositories/mine",
    "/repositories/mine/settings",
    "/repositories/mine/delete",
    "/sources",
    "/sources/one",
    "/sources/one/delete",
    "/tokens",
    "/tokens/new",
    "/audit",
)


@pytest.mark.parametrize("path", PAGES)
def test_pages_are_for_administrators(site: Live, path: str) -> None:
    """Without a session 401 with a way to sign in, with one that may less 403; neither says what there is."""
    for browser, status in ((Browser(site), 401), (signed_in(site, "repos:read", repos=["*"]), 403)):
        page = browser.get(ADMIN + path)
        assert (page.status, "for administrators" in page.text) == (status, True)
        assert "Ours" not in page.text
        assert "New source" not in page.text
    assert "/__login__" in Browser(site).get(ADMIN + path).text
    assert signed_in(site, "global:admin").get(ADMIN + path).status == 200


FORMS = [
    route.path.format(repo="mine", source="one", guid="x", id="1")
    for module in (adminrepos, adminorder, adminsources, admintokens, proposals)
    for route in module.ROUTES
    if "POST" in (route.methods or ())
]


@pytest.mark.parametrize("path", FORMS)
def test_no_form_is_forged(site: Live, ann: Browser, path: str) -> None:
    """What a page of another site makes a browser send is refused, and nothing is changed."""
    ann.get(ADMIN)
    name, secret = csrf(ann.get(f"{ADMIN}/repositories"))
    before = [site.api("GET", path)[1] for path in ("/repos", "/sources", "/tokens?kind=all", "/jobs")]
    fields = {"name": "forged", "type": "local", "description": "x", "everything": "admin", "source": "one"}
    for sent, headers in (
        (fields, {}),
        ({**fields, name: "wrong"}, {}),
        ({**fields, name: secret}, {"Origin": "http://elsewhere.example"}),
    ):
        assert ann.post(path, sent, **headers).status == 403
    assert [site.api("GET", path)[1] for path in ("/repos", "/sources", "/tokens?kind=all", "/jobs")] == before


# --- tokens --------------------------------------------------------------------------------------------------------


def test_a_token_is_made_and_shown_once(site: Live, ann: Browser) -> None:
    """Its text is on the answer to the form, which no cache keeps, and on no other page; it allows what was chosen."""
    form = ann.get(f"{ADMIN}/tokens/new")
    fields = [
        *form.hidden.items(),
        ("description", "the CI of <b>team x</b>"),
        ("user", "ci@example.org"),
        ("expires", "other"),
        ("expires_other", "36h"),
        ("repos", "some"),
        ("repos_named", "mine"),
        ("repos_named", "cran"),
        ("sources", "all"),
        ("metadata", "read"),
        ("everything", "none"),
    ]
    made = ann.post(form.action, fields)
    (text,) = re.findall(r'data-copy="(entrepot_\w+)"', made.text)
    assert (made.status, made.headers["Cache-Control"]) == (200, "no-store")
    token = site.api("GET", "/tokens")[1][0]
    assert (token["user"], token["description"]) == ("ci@example.org", "the CI of <b>team x</b>")
    assert sorted(token["scopes"]) == ["metadata:read", "repos:read:cran,mine", "sources:write:*"]
    assert token["expires"] == "2024-03-03T00:00:00Z"
    assert "<b>team" not in made.text
    assert site.api("GET", "/whoami", token=text)[1]["actor"] == "ci@example.org"
    for path in ("/tokens", f"/tokens/{token['guid']}"):
        page = ann.get(ADMIN + path)
        assert (page.status, text in page.text, token["start"] in page.text) == (200, False, True)


@pytest.mark.parametrize(
    ("sent", "told"),
    [
        ({"description": ""}, "a token needs a description"),
        ({"everything": "none"}, "has to be good for something"),
        ({"repos": "some"}, "needs to know for which"),
        ({"expires": "other", "expires_other": "soon"}, "is no time after which a token ends"),
        ({"description": "x" * 501}, "a description of 1 to 500 characters"),
        ({"repos": "some", "repos_named": "nope"}, "there is no repository named"),
    ],
)
def test_what_a_token_can_not_be(site: Live, ann: Browser, sent: dict[str, str], told: str) -> None:
    """The form comes back with what was sent and what is wrong with it; no token was made."""
    before = site.api("GET", "/tokens")[1]
    form = ann.get(f"{ADMIN}/tokens/new")
    page = ann.send(form, **{"description": "laptop", "user": "ben", "everything": "admin", **sent})
    assert page.status in (404, 422)
    assert told.lower() in words(page).lower()
    assert 'value="ben"' in page.text
    assert ('id="f-everything-admin" name="everything" value="admin" checked' in page.text) is (
        "everything" not in sent
    )
    assert site.api("GET", "/tokens")[1] == before


def test_a_token_is_revoked_after_a_question(site: Live, ann: Browser) -> None:
    """The link asks, the button does it; the list shows it among those that ended if that is wanted."""
    _, made = site.api("POST", "/tokens", {"scopes": ["metadata:read"], "description": "old laptop"})
    page = ann.get(f"{ADMIN}/tokens/{made['guid']}")
    (link,) = re.findall(r'href="([^"]*/revoke)"', page.text)
    question = ann.get(link)
    assert "Revoke this token?" in headings(question)
    assert site.api("GET", f"/tokens/{made['guid']}")[1]["state"] == "good"
    done = ann.send(question)
    assert (done.status, urlsplit(done.location).path) == (303, f"{ADMIN}/tokens/{made['guid']}")
    after = ann.get(done.location)
    assert "The token was revoked." in words(after)
    assert "/revoke" not in after.text
    assert "old laptop" not in ann.get(f"{ADMIN}/tokens").text
    assert "old laptop" in ann.get(f"{ADMIN}/tokens?revoked=true").text
    assert "old laptop" not in ann.get(f"{ADMIN}/tokens?revoked=true&kind=session").text
    assert site.api("GET", "/whoami", token=made["token"])[0] == 401


def test_an_unknown_token(ann: Browser) -> None:
    assert ann.get(f"{ADMIN}/tokens/nope").status == 404
    assert ann.get(f"{ADMIN}/tokens?kind=odd").status == 422


# --- repositories --------------------------------------------------------------------------------------------------


def test_a_repository_is_made_changed_and_deleted(site: Live, ann: Browser) -> None:
    """Closed if that is said; its deletion is asked about."""
    made = ann.send(ann.get(f"{ADMIN}/repositories"), name="study", type="python", description="For few", closed="true")
    assert (made.status, urlsplit(made.location).path) == (303, f"{ADMIN}/repositories/study")
    assert "Give it sources now." in words(ann.get(made.location))
    repo = site.api("GET", "/repos/study")[1]
    assert (repo["type"], repo["description"], repo["auth"]) == ("Python", "For few", True)
    form = ann.get(f"{ADMIN}/repositories/study/settings")
    changed = ann.send(form, name="studies", description="For <i>all</i>")
    assert urlsplit(changed.location).path == f"{ADMIN}/repositories/studies/settings"
    page = ann.get(changed.location)
    assert ("Saved." in words(page), "<i>all" in page.text) == (True, False)
    repo = site.api("GET", "/repos/studies")[1]
    assert (repo["description"], repo["auth"]) == ("For <i>all</i>", False)
    question = ann.get(f"{ADMIN}/repositories/studies/delete")
    assert "Delete studies?" in headings(question)
    done = ann.send(question)
    assert "The repository was deleted." in words(ann.get(done.location))
    assert site.api("GET", "/repos/studies")[0] == 404


def test_a_name_that_can_not_be(site: Live, ann: Browser) -> None:
    """Of a repository and of a source, new or renamed: the form comes back with what is wrong."""
    for path, name, status in (
        ("/repositories", "mine", 409),
        ("/repositories", "a b", 422),
        ("/repositories/mine/settings", "cran", 409),
        ("/sources", "one", 409),
        ("/sources/one", "two", 409),
        ("/sources/one", "../x", 422),
    ):
        type_ = "r" if path == "/repositories" else "local"
        page = ann.send(ann.get(ADMIN + path), name=name, type=type_, description="kept as it is")
        assert page.status == status, path
        assert f'value="{name}"' in page.text
        assert 'role="alert"' in page.text
    assert [repo["name"] for repo in site.api("GET", "/repos")[1]] == ["cran", "pypi", "mine"]


# --- sources -------------------------------------------------------------------------------------------------------


def test_a_source_is_made_renamed_and_deleted(site: Live, ann: Browser) -> None:
    """One that a repository uses says so, and has no button."""
    made = ann.send(ann.get(f"{ADMIN}/sources"), name="tools", type="local-python", snapshot="")
    assert "The source was made." in words(ann.get(made.location))
    renamed = ann.send(ann.get(f"{ADMIN}/sources/tools"), name="scripts")
    assert "The source has its new name." in words(ann.get(renamed.location))
    done = ann.send(ann.get(f"{ADMIN}/sources/scripts/delete"))
    assert "The source was deleted." in words(ann.get(done.location))
    assert [source["name"] for source in site.api("GET", "/sources")[1]][-3:] == ["one", "two", "three"]
    used = ann.get(f"{ADMIN}/sources/one/delete")
    assert ("It is used" in words(used), "Delete the source</button>" in used.text) == (True, False)
    refused = ann.send(used)
    assert (refused.status, "is used by mine" in words(refused)) == (409, True)
    assert "can be neither renamed nor deleted" in words(ann.get(f"{ADMIN}/sources/cran"))


def test_a_snapshot_that_can_not_be_had(ann: Browser) -> None:
    """What the API says of it stands above the form."""
    page = ann.send(ann.get(f"{ADMIN}/sources"), name="pin", type="cran-snapshot", snapshot="2024-01-01")
    assert (page.status, "was never synced" in words(page)) == (503, True)
    page = ann.send(ann.get(f"{ADMIN}/sources"), name="pin", type="local", snapshot="2024-01-01")
    assert (page.status, "not made of a snapshot" in words(page)) == (422, True)


def test_sync_now(site: Live, ann: Browser) -> None:
    """Each mirror has a button; it leads to the job."""
    page = ann.get(f"{ADMIN}/sources")
    assert re.findall(r'action="[^"]*/sources/([^"/]+)/sync"', page.text) == ["bioconductor", "cran", "pypi"]
    done = ann.post(f"{UI}/sources/cran/sync", dict([csrf(page)]))
    (job, *_) = site.api("GET", "/jobs?kind=sync")[1]
    assert (done.status, urlsplit(done.location).path) == (303, f"{UI}/jobs/{job['id']}")
    assert (job["source"], job["actor"]) == ("cran", "ann")


# --- the order of sources ------------------------------------------------------------------------------------------


def order(page: Page) -> list[str]:
    """The sources in the rows of the page."""
    return re.findall(r'<li data-name="([^"]*)"', page.text)


def wish(page: Page) -> list[str]:
    """The wish in the address to which a page leads."""
    return parse_qs(urlsplit(page.location).query).get("source", [])


@pytest.mark.parametrize(
    ("button", "after"),
    [
        ("up=two", ["two", "one"]),
        ("down=one", ["two", "one"]),
        ("up=one", ["one", "two"]),
        ("down=two", ["one", "two"]),
        ("remove=one", ["two"]),
        ("add=three", ["one", "two", "three"]),
        ("add=one", ["two", "one"]),
        ("up=nope", ["one", "two"]),
    ],
)
def test_the_buttons_make_another_wish(site: Live, ann: Browser, button: str, after: list[str]) -> None:
    """Each leads to a page with the order that comes of it; the repository stays as it is."""
    moved = ann.get(f"{ADMIN}/repositories/mine?wish=1&source=one&source=two&{button}")
    assert (moved.status, wish(moved)) == (303, after)
    assert order(ann.get(moved.location)) == after
    assert site.api("GET", "/repos/mine")[1]["sources"] == ["one", "two"]


def test_a_wish_is_previewed_and_applied(site: Live, ann: Browser) -> None:
    """The packages that change hands are shown; the button gives that order in one transaction, with who did it."""
    assert "This is the order of now." in words(ann.get(f"{ADMIN}/repositories/mine"))
    page = ann.get(f"{ADMIN}/repositories/mine?" + "&".join(f"source={name}" for name in WISH))
    assert order(page) == list(WISH)
    said = words(page)
    assert "2 packages change hands: one comes from another source, one appears." in said
    assert "abc moves one 1.0 two 1.0" in said
    assert "new appears – three 1.0" in said
    sent = re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', page.text.rpartition("<form")[2])
    done = ann.post(f"{ADMIN}/repositories/mine", sent)
    assert (done.status, "The new order is in force." in words(ann.get(done.location))) == (303, True)
    assert site.api("GET", "/repos/mine")[1]["sources"] == list(WISH)
    (newest, *_) = site.api("GET", "/repos/mine/transactions")[1]
    assert (newest["actor"], newest["message"]) == ("ann", "subscribed to three; reordered: two, one, three")


def test_a_preview_that_is_out_of_date_is_noticed(site: Live, ann: Browser) -> None:
    """What changed since is shown with the same wish, and nothing was applied; the next button goes by that."""
    page = ann.get(f"{ADMIN}/repositories/mine?source=two&source=one")
    site.upload("two", ("own_2.0.tar.gz", make_source_package("own", "2.0")))

    def apply(page: Page) -> Page:
        sent = re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', page.text.rpartition("<form")[2])
        return ann.post(f"{ADMIN}/repositories/mine", sent)

    again = apply(page)
    assert (again.status, order(again)) == (409, ["two", "one"])
    assert "changed since this was previewed" in words(again)
    assert "own moves one 1.0 two 2.0" in words(again)
    assert site.api("GET", "/repos/mine")[1]["sources"] == ["one", "two"]
    assert apply(again).status == 303
    assert site.api("GET", "/repos/mine")[1]["sources"] == ["two", "one"]


def test_a_repository_without_sources(site: Live, ann: Browser) -> None:
    """All of them can go, which is previewed as anything else."""
    moved = ann.get(f"{ADMIN}/repositories/mine?wish=1&source=one&remove=one")
    page = ann.get(moved.location)
    assert (order(page), "3 packages change hands: 3 go." in words(page)) == ([], True)
    ann.send(page)
    assert site.api("GET", "/repos/mine")[1]["sources"] == []


def test_wishes_that_can_not_be(ann: Browser) -> None:
    """A source that there isn't, or of another language: the page says so, and offers the ones that fit."""
    for query, status, told in (
        ("source=nope", 404, "there is no source named 'nope'"),
        ("source=pypi", 422, "must be compatible"),
    ):
        page = ann.get(f"{ADMIN}/repositories/mine?{query}")
        assert (page.status, told in words(page).lower()) == (status, True)
        offered = re.search(r'<select id="f-add".*?</select>', page.text, re.DOTALL)
        assert offered is not None
        assert re.findall(r'value="([^"]+)"', offered[0]) == ["bioconductor", "cran", "one", "three", "two"]
    assert ann.get(f"{ADMIN}/repositories/nope").status == 404


def test_a_version_of_bioconductor_is_asked_for(ann: Browser) -> None:
    """An R repository takes one; until it is chosen there is nothing to preview."""
    page = ann.get(f"{ADMIN}/repositories/mine?source=one&source=bioconductor")
    assert "Choose which version of bioconductor the repository takes" in words(page)
    assert 'id="apply"' not in page.text
    page = ann.get(f"{ADMIN}/repositories/mine?source=one&source=bioconductor&version=3.18")
    assert 'id="apply"' in page.text
    sent = re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', page.text.rpartition("<form")[2])
    assert ann.post(f"{ADMIN}/repositories/mine", sent).status == 303
    assert order(ann.get(f"{ADMIN}/repositories/mine")) == ["one", "bioconductor"]


# --- the audit log -------------------------------------------------------------------------------------------------


def test_the_audit_log(site: Live, ann: Browser) -> None:
    """Rows by who, what, how it ended and when; a wrong time is told beside the form; the chain is checked."""
    ann.send(ann.get(f"{ADMIN}/repositories"), name="mine", type="r")
    site.app.audit.flush()
    page = ann.get(f"{ADMIN}/audit?actor=ann&action=create+repo&outcome=failed")
    assert "One act" in words(page)
    assert "create repo name=mine type=r" in words(page)
    assert "a repository named 'mine' exists" in words(page)
    assert "There is nothing of that kind." in words(ann.get(f"{ADMIN}/audit?since=2024-03-02"))
    assert "create repo" in words(ann.get(f"{ADMIN}/audit?since=2024-03-01&until=2024-03-01"))
    wrong = ann.get(f"{ADMIN}/audit?since=soon")
    assert (wrong.status, 'role="alert"' in wrong.text) == (422, True)
    assert "rows are as they were written." in words(ann.get(f"{ADMIN}/audit?verify=true"))
