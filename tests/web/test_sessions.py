"""Sessions of browsers that people open with a token: what they may, when they end, and what pages show."""

from __future__ import annotations

import pytest

from entrepot.app import App
from entrepot.core.access import INSIDE, Scope
from entrepot.operations import tokens
from entrepot.operations.tokens import Issued
from entrepot.settings import Settings
from entrepot.web.csrf import csrf_of
from tests.support.browser import Browser
from tests.support.server import Clock, Live, installed, running

pytestmark = pytest.mark.one_shape


def token(app: App, *scopes: Scope, user: str = "ann", lifetime: float | None = None) -> Issued:
    """A token for all repositories and sources."""
    wanted = scopes or (Scope.REPOS_READ,)
    return tokens.create_token(
        app,
        scopes=wanted,
        repos=None if Scope.REPOS_READ in wanted else frozenset(),
        sources=None if Scope.SOURCES_WRITE in wanted else frozenset(),
        description="for tests",
        by=INSIDE,
        user=user,
        lifetime=lifetime,
    )


@pytest.fixture
def closed(live: Live) -> Live:
    """A site with the closed repository `vault`."""
    assert live.api("POST", "/repos", {"name": "vault", "type": "R", "authenticated": True})[0] == 201
    return live


def test_a_token_opens_a_session(closed: Live) -> None:
    """Whoever pastes a token is sent on, is called by its user's name, and sees what the token shows."""
    browser = Browser(closed)
    assert "vault" not in browser.get("/").text
    page = browser.sign_in(token(closed.app).text, "/?x=1")
    assert (page.status, page.location) == (303, f"{closed.address}/?x=1")
    home = browser.get("/").text
    assert "<strong>ann</strong>" in home
    assert "/vault/latest" in home


def test_the_cookie_reads_a_closed_repository_of_the_api(closed: Live) -> None:
    """The session stands for its token at the JSON API too."""
    browser = Browser(closed)
    assert browser.get("/__api__/repos/vault").status == 401
    browser.sign_in(token(closed.app).text)
    assert browser.get("/__api__/repos/vault").status == 200


def test_sign_out_ends_the_session(closed: Live) -> None:
    """The button ends the session at the server, not in the browser alone; the token stays good."""
    browser, made = Browser(closed), token(closed.app)
    browser.sign_in(made.text)
    kept = dict(browser.cookies)
    page = browser.send(browser.get("/"))
    assert (page.status, page.location, browser.session) == (303, f"{closed.address}/", None)
    browser.cookies = kept
    assert "Sign in</a>" in browser.get("/").text
    assert closed.api("GET", "/repos/vault", token=made.text)[0] == 200


def test_a_revoked_token_ends_its_sessions(closed: Live) -> None:
    """A session is good as long as the token is that opened it."""
    browser, made = Browser(closed), token(closed.app)
    browser.sign_in(made.text)
    tokens.revoke_token(closed.app, made.token.guid, by="admin")
    assert "<strong>ann</strong>" not in browser.get("/").text


def test_a_session_ends_with_its_token(closed: Live, clock: Clock) -> None:
    """The session lives no longer than the token, nor than `token_lifetime`."""
    short, long = Browser(closed), Browser(closed)
    short.sign_in(token(closed.app, lifetime=600).text)
    long.sign_in(token(closed.app).text)
    clock.wait(seconds=601)
    assert "<strong>ann</strong>" not in short.get("/").text
    assert "<strong>ann</strong>" in long.get("/").text
    clock.wait(hours=8)
    assert "<strong>ann</strong>" not in long.get("/").text


@pytest.mark.parametrize("text", ["", "entrepot_", "x" * 300, "entrepot_" + "a" * 46, "é", " \0"])
def test_what_is_no_token_opens_nothing(live: Live, text: str) -> None:
    """The page says so, does not repeat what was typed, and gives no session."""
    browser = Browser(live)
    page = browser.sign_in(text)
    assert (page.status, browser.session) == (401, None)
    assert "This token is not good" in page.text
    assert not text.strip(" \0") or text not in page.text.partition("<main>")[2] or len(text) < 10


def test_the_text_of_a_session_opens_no_other(live: Live) -> None:
    """Whoever got hold of a cookie can't turn it into a session of their own that outlives it."""
    browser = Browser(live)
    browser.sign_in(token(live.app).text)
    page = Browser(live).sign_in(browser.session or "")
    assert page.status == 401
    assert "came from a sign-in in a browser" in page.text


def test_whoever_is_signed_in_goes_on_at_once(live: Live) -> None:
    """The page of the sign-in is for those who aren't yet."""
    browser = Browser(live)
    browser.sign_in(token(live.app).text)
    assert browser.get("/__login__?next=/__device__").location == f"{live.address}/__device__"


def test_signing_in_again_ends_the_session_before(live: Live) -> None:
    """One browser has one session: the one of before is over at the server, too."""
    browser = Browser(live)
    browser.sign_in(token(live.app).text)
    old = dict(browser.cookies)
    fields = {"csrf_token": csrf_of(browser.session or ""), "token": token(live.app, user="bob").text}
    assert browser.post("/__login__", fields).status == 303
    assert "<strong>bob</strong>" in browser.get("/").text
    browser.cookies = old
    assert "<strong>ann</strong>" not in browser.get("/").text


def test_sessions_are_written_to_the_audit_log(live: Live) -> None:
    """Sign-ins, refused ones and sign-outs have rows, with the name and the session's guid."""
    browser = Browser(live)
    browser.sign_in("entrepot_wrong")
    browser.sign_in(token(live.app).text)
    browser.send(browser.get("/"))
    live.app.audit.flush()
    _, rows = live.api("GET", "/audit?_limit=10")
    acts = {(row["action"], row["outcome"], row["actor"]) for row in rows}
    assert {("sign in", "refused", "anonymous"), ("sign in", "done", "ann"), ("sign out", "done", "ann")} <= acts


def test_pages_can_be_for_those_who_signed_in(settings: Settings, clock: Clock) -> None:
    """With `require_auth_for_ui` the home page leads to the sign-in; a token in the header will do as well."""
    wanted = settings.authentication.model_copy(update={"require_auth_for_ui": True})
    changed = settings.model_copy(update={"authentication": wanted})
    with installed(changed, clock) as app, running(app) as live:
        browser = Browser(live)
        assert browser.get("/").location == f"{live.address}/__login__?next=/"
        assert browser.get("/", Authorization=f"Bearer {token(app).text}").status == 200
        browser.sign_in(token(app).text)
        assert browser.get("/").status == 200


def test_the_home_page_tells_whether_a_token_is_good(live: Live) -> None:
    """Clients ask for the base URL with their token: 200 if it is good, 401 if it isn't."""
    browser, made = Browser(live), token(live.app)
    assert browser.get("/", Authorization=f"Bearer {made.text}").status == 200
    tokens.revoke_token(live.app, made.token.guid, by="admin")
    live.door.forget()
    refused = browser.get("/", Authorization=f"Bearer {made.text}")
    assert (refused.status, refused.headers["WWW-Authenticate"]) == (401, 'Basic realm="entrepot", charset="UTF-8"')


def test_a_closed_source_is_not_on_the_home_page(closed: Live) -> None:
    """Sources that only closed repositories show are for those who may read these."""
    assert closed.api("POST", "/sources", {"name": "hoard", "type": "local"})[0] == 201
    assert closed.api("POST", "/repos/vault/sources", {"source": "hoard"})[0] in (200, 201)
    browser = Browser(closed)
    assert "hoard" not in browser.get("/").text
    browser.sign_in(token(closed.app).text)
    assert "hoard" in browser.get("/").text


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/__login__/nothing", 404), ("GET", "/__logout__", 405), ("DELETE", "/__login__", 405)],
)
def test_other_paths_and_methods_are_no_pages(live: Live, method: str, path: str, status: int) -> None:
    """What is no page is answered as such, without an error of the server."""
    assert live.get(path, method).status == status


def test_head_of_a_page_has_no_body(live: Live) -> None:
    """HEAD is answered as GET, without the page."""
    answer = live.get("/", "HEAD")
    assert (answer.status, answer.data) == (200, b"")
