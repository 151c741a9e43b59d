"""Attacks on browsers and on the device flow: each is tried, and what it was after has not happened."""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import parse_qs, quote, urlsplit

import pytest

from entrepot.core.access import INSIDE, Scope, TokenKind
from entrepot.operations import devices, tokens
from entrepot.settings import OpenIdConnect, Settings
from entrepot.web.csrf import csrf_of
from entrepot.web.ui.device import MOST_TRIES, Tries
from tests.support.browser import Browser
from tests.support.device import VERIFIER, Program
from tests.support.fake_provider import CLIENT_ID, CLIENT_SECRET, FakeProvider
from tests.support.server import Clock, Live, installed, running

pytestmark = pytest.mark.one_shape
EVIL = "http://evil.example"


def token(live: Live, scope: Scope = Scope.GLOBAL_ADMIN, user: str = "ann") -> str:
    repos = None if scope is Scope.REPOS_READ else frozenset[str]()
    return tokens.create_token(live.app, scopes=[scope], repos=repos, description="x", by=INSIDE, user=user).text


@pytest.fixture
def victim(live: Live) -> Browser:
    """The browser of an administrator who is signed in."""
    browser = Browser(live)
    browser.sign_in(token(live))
    return browser


@pytest.fixture
def program(live: Live) -> Program:
    """A program that waits for somebody to allow it."""
    found = Program(live)
    found.begin()
    return found


@pytest.fixture
def provider() -> Iterator[FakeProvider]:
    with FakeProvider() as server:
        yield server


@pytest.fixture
def joined(settings: Settings, provider: FakeProvider, clock: Clock) -> Iterator[Live]:
    """A site on which people sign in at the provider."""
    values = {"issuer": provider.issuer, "client_id": CLIENT_ID, "client_secret": CLIENT_SECRET}
    wanted = OpenIdConnect.model_validate({**values, "scope": ["repos:read:*"]})
    changed = settings.model_copy(update={"openid_connect": wanted})
    with installed(changed, clock) as app, running(app) as live:
        yield live


# --- forged requests -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"X-CSRF-Token": ""},
        {"X-CSRF-Token": "0" * 64},
        {"X-CSRF-Token": "é" * 32},
        {"X-CSRF-Token": "right", "Origin": EVIL},
        {"X-CSRF-Token": "right", "Origin": "null"},
        {"X-CSRF-Token": "right", "Origin": ""},
    ],
)
def test_the_api_takes_no_forged_write(live: Live, victim: Browser, headers: dict[str, str]) -> None:
    """A cookie alone changes nothing: it takes the session's own token against forgery, and our Origin."""
    right = csrf_of(victim.session or "")
    sent = {name: value.replace("right", right) for name, value in headers.items()}
    body = '{"name": "forged", "type": "R"}'
    headers = {"Cookie": f"entrepot_session={victim.session}", "Content-Type": "application/json", **sent}
    raw = {name: value.encode("utf-8").decode("latin-1") for name, value in headers.items()}
    answer = live.pool.request("POST", f"{live.address}/__api__/repos", body=body, headers=raw)
    assert answer.status == 403
    assert live.api("GET", "/repos/forged")[0] == 404


def test_the_api_takes_a_write_of_our_own_page(live: Live, victim: Browser) -> None:
    """With both it is taken: what the test before sends is refused for the right reason."""
    headers = {"Cookie": f"entrepot_session={victim.session}", "Origin": live.address}
    headers["X-CSRF-Token"] = csrf_of(victim.session or "")
    url = f"{live.address}/__api__/repos"
    assert live.pool.request("POST", url, json={"name": "wanted", "type": "R"}, headers=headers).status == 201


@pytest.mark.parametrize("path", ["/__logout__", "/__device__"])
@pytest.mark.parametrize(
    ("given", "origin"), [("", None), ("0" * 64, None), ("other", None), ("right", EVIL), ("right", "null")]
)
def test_pages_take_no_forged_form(
    live: Live, victim: Browser, program: Program, path: str, given: str, origin: str | None
) -> None:
    """Without the session's own token, or from another site, nobody is signed out and no program is let in."""
    other = Browser(live)
    other.sign_in(token(live, user="eve"))
    known = {"right": csrf_of(victim.session or ""), "other": csrf_of(other.session or "")}
    fields = {"csrf_token": known.get(given, given), "user_code": program.begun["user_code"], "decision": "allow"}
    page = victim.post(path, fields, **({"Origin": origin} if origin else {}))
    assert page.status == 403
    assert "<strong>ann</strong>" in victim.get("/").text
    assert program.poll()["error"] == "authorization_pending"


@pytest.mark.parametrize("path", ["/__logout__", "/__device__", "/__login__"])
def test_a_form_is_no_json_and_no_upload(victim: Browser, path: str) -> None:
    """What another site can send without asking the browser first is a form; anything else isn't even read."""
    page = victim.post(path, {"csrf_token": csrf_of(victim.session or "")}, **{"Content-Type": "text/plain"})
    assert page.status == 422


def test_nobody_is_signed_in_by_somebody_else(live: Live) -> None:
    """Login CSRF: another site can't make a browser sign in with the attacker's token."""
    browser, attacker = Browser(live), Browser(live)
    form = attacker.get("/__login__").hidden
    browser.get("/__login__")
    for fields in ({"token": token(live)}, {**form, "token": token(live)}):
        assert browser.post("/__login__", fields).status == 403
    assert browser.session is None


def test_a_page_is_not_changed_by_a_get(live: Live, victim: Browser, program: Program) -> None:
    """A link, or an image, decides nothing and signs nobody out."""
    victim.get(f"{program.page}&decision=allow&csrf_token={csrf_of(victim.session or '')}")
    assert program.poll()["error"] == "authorization_pending"
    assert victim.get("/__logout__").status == 405


# --- sessions --------------------------------------------------------------------------------------------------------


def test_a_session_is_new_at_each_sign_in(live: Live) -> None:
    """Fixation: the cookie that an attacker planted before is not the one that is signed in."""
    browser, planted = Browser(live), "entrepot_" + "A" * 46
    browser.cookies["entrepot_session"] = planted
    browser.sign_in(token(live))
    assert browser.session not in (None, planted)
    thief = Browser(live)
    thief.cookies["entrepot_session"] = planted
    assert "<strong>ann</strong>" not in thief.get("/").text


def test_a_planted_browser_cookie_is_worth_nothing_after(live: Live) -> None:
    """What a browser was known by before the sign-in forges no form after it."""
    browser, attacker = Browser(live), Browser(live)
    form = attacker.get("/__login__").hidden
    browser.cookies |= attacker.cookies
    browser.send(browser.get("/__login__"), token=token(live))
    assert "entrepot_browser" not in browser.cookies
    assert browser.post("/__logout__", {"csrf_token": form["csrf_token"]}).status == 403


def test_the_flags_of_cookies(live: Live) -> None:
    """No script reads them, no other site's form sends them, and they are of this host alone."""
    page = Browser(live).sign_in(token(live))
    session = next(each for each in page.cookies if each.startswith("entrepot_session="))
    assert {"HttpOnly", "Path=/", "SameSite=lax", "Max-Age=28800"} <= set(session.split("; "))
    assert "Domain" not in session


def test_the_flags_of_cookies_over_https(settings: Settings, clock: Clock) -> None:
    """Where clients use https the cookies never travel otherwise, and no other host of the domain can set them."""
    server = settings.server.model_copy(update={"address": "https://packages.example.org"})
    with installed(settings.model_copy(update={"server": server}), clock) as app, running(app) as live:
        browser = Browser(live, "https://packages.example.org")
        page = browser.sign_in(token(live))
        names = {each.partition("=")[0] for each in page.cookies}
        assert names == {"__Host-entrepot_session", "__Host-entrepot_browser"}
        assert all("; Secure" in each and "; Path=/" in each for each in page.cookies)
        assert "<strong>ann</strong>" in browser.get("/").text
        tossed = Browser(live, "https://packages.example.org")
        tossed.cookies["entrepot_session"] = browser.session or ""
        assert "<strong>ann</strong>" not in tossed.get("/").text


def test_a_session_is_no_token(live: Live, victim: Browser) -> None:
    """A cookie that somebody stole is not good in an Authorization header, where no forgery check is made."""
    assert live.api("GET", "/audit", token=victim.session)[0] == 401


# --- redirects -------------------------------------------------------------------------------------------------------

ELSEWHERE = [
    "//evil.example",
    "///evil.example",
    "/\\evil.example",
    "\\\\evil.example",
    "/\\/evil.example",
    "http://evil.example",
    "https:evil.example",
    "javascript:alert(1)",
    "data:text/html,x",
    "evil.example",
    "@evil.example",
    ".evil.example",
    ":80@evil.example",
    "/\t/evil.example",
    "/\n/evil.example",
    "/\r\nSet-Cookie: x=y",
    "\t//evil.example",
    " //evil.example",
    "/ /evil.example",
    "/\0/evil.example",
    "/\u2044/evil.example",
    "／／evil.example",
    "/x" * 2000,
    "",
]


@pytest.mark.parametrize("where", ELSEWHERE)
def test_nobody_is_sent_elsewhere_by_the_sign_in(live: Live, where: str) -> None:
    """Wherever a link wants to lead after the sign-in: to a path of ours alone."""
    browser = Browser(live)
    page = browser.send(browser.get(f"/__login__?next={quote(where, safe='')}"), token=token(live))
    assert (page.status, page.headers["Location"]) == (303, "/")
    assert browser.get(f"/__login__?next={quote(where, safe='')}").headers["Location"] == "/"
    assert "x=y" not in "".join(page.cookies)


@pytest.mark.parametrize("where", ["//evil.example", "/\\evil.example", "http://evil.example"])
def test_nobody_is_sent_elsewhere_by_the_provider(joined: Live, provider: FakeProvider, where: str) -> None:
    """The same for the way over the provider."""
    browser = Browser(joined)
    page = browser.get(provider.let_in(browser.get(f"/__login__/sso?next={quote(where, safe='')}").location))
    assert (page.status, page.headers["Location"]) == (303, "/")


def test_a_form_that_was_changed_leads_nowhere_else(live: Live) -> None:
    """The page to go on to is looked at where it is used, not where it came in."""
    browser = Browser(live)
    page = browser.send(browser.get("/__login__"), token=token(live), next="//evil.example")
    assert page.headers["Location"] == "/"


def only_our_script(text: str) -> bool:
    """Whether a page has no script but the one that is a file of the server."""
    tags = re.findall(r"<script[^>]*>?", text, re.IGNORECASE)
    return len(tags) == 1 and bool(
        re.fullmatch(r'<script type="module" src="/__static__/[0-9a-f]+/main\.js">', tags[0])
    )


# --- frames and keeping ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/", "/__login__", "/__login__?next=/x", "/__device__", "/__logout__"])
def test_no_page_can_be_framed_or_kept(live: Live, victim: Browser, path: str) -> None:
    """Clickjacking: no site shows our pages within its own; nothing of them is kept, or runs
    scripts but our own files, or tells others."""
    for browser in (victim, Browser(live)):
        headers = browser.get(path).headers
        parts = headers["Content-Security-Policy"].split("; ")
        assert dict(part.split(" ", 1) for part in parts) == {
            "default-src": "'none'",
            "style-src": "'self'",
            "script-src": "'self'",
            "connect-src": "'self'",
            "img-src": "'self'",
            "form-action": "'self'",
            "frame-ancestors": "'none'",
            "base-uri": "'none'",
            "object-src": "'none'",
        }
        assert headers["X-Frame-Options"] == "DENY"
        assert headers["Cache-Control"] == "no-store"
        assert headers["Referrer-Policy"] == "same-origin"


def test_nothing_that_is_typed_becomes_a_page(live: Live, victim: Browser) -> None:
    """What comes from a URL, a form or a token's user is text in our pages, never markup."""
    markup = '"><script>alert(1)</script>'
    browser = Browser(live)
    for path in (
        f"/__login__?next=/{quote(markup)}",
        f"/__login__/callback?state={quote(markup)}&error={quote(markup)}",
    ):
        assert only_our_script(browser.get(path).text)
    assert only_our_script(victim.get(f"/__device__?user_code={quote(markup)}").text)
    browser.sign_in(token(live, user=markup))
    assert only_our_script(browser.get("/").text)


# --- the way over the provider ---------------------------------------------------------------------------------------


def test_an_answer_of_the_provider_is_good_once(joined: Live, provider: FakeProvider) -> None:
    """State reuse: the same URL a second time signs nobody in, and no code is sent to the provider."""
    browser = Browser(joined)
    back = provider.let_in(browser.get("/__login__/sso").location)
    cookies = dict(browser.cookies)
    assert browser.get(back).status == 303
    again = Browser(joined)
    again.cookies = cookies
    assert (again.get(back).status, again.session) == (403, None)
    assert provider.count(provider.TOKEN) == 1


def test_an_answer_is_for_the_browser_that_asked(joined: Live, provider: FakeProvider) -> None:
    """State swap: nobody is signed in as the attacker by a link, and the attacker's own sign-in isn't spoilt."""
    attacker, other = Browser(joined), Browser(joined)
    back = provider.let_in(attacker.get("/__login__/sso").location)
    assert (Browser(joined).get(back).status, provider.count(provider.TOKEN)) == (403, 0)
    other.get("/__login__/sso")
    assert (other.get(back).status, other.session) == (403, None)
    assert attacker.get(back).status == 303


def test_the_nonce_of_another_sign_in_is_refused(joined: Live, provider: FakeProvider) -> None:
    """An ID token that was given for one sign-in is none for another of the same browser."""
    browser = Browser(joined)
    first, second = (browser.get("/__login__/sso").location for _ in range(2))
    provider.let_in(first)
    provider.changes = {"nonce": parse_qs(urlsplit(first).query)["nonce"][0]}
    assert (browser.get(provider.let_in(second)).status, browser.session) == (401, None)


def test_a_code_of_another_sign_in_is_refused(joined: Live, provider: FakeProvider) -> None:
    """Code injection: a stolen code doesn't fit the verifier of the attacker's sign-in."""
    attacker, person = Browser(joined), Browser(joined)
    stolen = parse_qs(urlsplit(provider.let_in(person.get("/__login__/sso").location)).query)["code"][0]
    state = parse_qs(urlsplit(attacker.get("/__login__/sso").location).query)["state"][0]
    page = attacker.get(f"/__login__/callback?state={state}&code={stolen}")
    assert (page.status, attacker.session) == (401, None)


def test_an_answer_of_another_provider_is_refused(joined: Live, provider: FakeProvider) -> None:
    """Mix-up (RFC 9207): where the answer names its issuer, it is the one that was asked."""
    browser = Browser(joined)
    back = provider.let_in(browser.get("/__login__/sso").location)
    assert (browser.get(f"{back}&iss={quote(EVIL, safe='')}").status, provider.count(provider.TOKEN)) == (401, 0)


# --- the device flow -------------------------------------------------------------------------------------------------


def test_a_device_code_is_good_once(victim: Browser, program: Program) -> None:
    """Replay: neither the device code nor the identity is given or taken a second time."""
    victim.send(victim.get(program.page), decision="allow")
    identity = program.poll()["id_token"]
    assert program.poll()["error"] == "invalid_grant"
    assert "access_token" in program.exchange(identity)
    assert program.exchange(identity)["error"] == "invalid_grant"
    assert program.poll()["error"] == "invalid_grant"


@pytest.mark.parametrize("verifier", ["x" * 43, VERIFIER[:-1] + "x", VERIFIER.upper(), "short", "é" * 43, "x" * 129])
def test_a_stolen_device_code_is_worth_nothing(victim: Browser, program: Program, verifier: str) -> None:
    """Without its verifier it gives nothing, before and after the approval, and the rightful program goes on."""
    assert program.poll(code_verifier=verifier)["error"] == "invalid_grant"
    assert program.poll()["error"] == "authorization_pending"
    victim.send(victim.get(program.page), decision="allow")
    assert program.poll(code_verifier=verifier)["error"] == "invalid_grant"
    assert "id_token" in program.poll()


def test_an_approval_counts_once(live: Live, victim: Browser, program: Program) -> None:
    """A form that is sent again, or by another person, changes nothing about what was decided."""
    page = victim.get(program.page)
    victim.send(page, decision="deny")
    assert victim.send(page, decision="allow").status == 404
    other = Browser(live)
    other.sign_in(token(live, user="eve"))
    assert other.get(program.page).status == 404
    assert program.poll()["error"] == "access_denied"


def test_user_codes_cannot_be_guessed(live: Live, victim: Browser, program: Program) -> None:
    """After ten wrong codes a person is refused, also with the right one and in a new session; others aren't."""
    for number in range(MOST_TRIES):
        assert victim.get(f"/__device__?user_code=BBBB-BBB{devices.LETTERS[number]}").status == 404
    refused = victim.get(program.page)
    assert (refused.status, int(refused.headers["Retry-After"]) > 0) == (429, True)
    fresh = Browser(live)
    fresh.sign_in(token(live))
    assert fresh.get(program.page).status == 429
    fields = {"csrf_token": csrf_of(fresh.session or ""), "user_code": program.begun["user_code"], "decision": "allow"}
    assert fresh.post("/__device__", fields).status == 429
    other = Browser(live)
    other.sign_in(token(live, user="bob"))
    assert other.get(program.page).status == 200


def test_wrong_codes_fade() -> None:
    """Who mistyped ten times goes on after five minutes; how many persons are remembered is bounded."""
    now = 0.0
    tries = Tries(clock=lambda: now)
    for _ in range(MOST_TRIES):
        tries.check("ann")
        tries.failed("ann")
    with pytest.raises(Exception, match="too many wrong codes"):
        tries.check("ann")
    now = float(devices.EXPIRES_IN)
    tries.check("ann")


def test_guessing_tokens_at_the_sign_in_is_slowed_down(live: Live) -> None:
    """The form is no way around the limit of wrong tokens; a right one is taken all the same."""
    browser = Browser(live)
    found = {browser.sign_in(f"entrepot_{number}").status for number in range(14)}
    assert found == {401, 429}
    assert browser.sign_in(token(live)).status == 303


def test_an_anonymous_visitor_learns_nothing_of_codes(live: Live, program: Program) -> None:
    """Right and wrong codes are answered alike until somebody has signed in."""
    right = Browser(live).get(program.page)
    wrong = Browser(live).get("/__device__?user_code=BBBB-BBBB")
    assert (right.status, wrong.status) == (303, 303)
    assert right.location.replace(program.begun["user_code"], "BBBB-BBBB") == wrong.location


def test_a_device_login_gives_no_more_than_its_person_has(live: Live, program: Program) -> None:
    """Escalation: what a program gets is what the person has who allowed it, and its scope can't be widened."""
    person = Browser(live)
    person.sign_in(token(live, Scope.REPOS_READ))
    person.send(person.get(program.page), decision="allow")
    given = program.exchange(program.poll()["id_token"])
    assert given["scope"] == "repos:read:*"
    (made,), _ = tokens.list_tokens(live.app, kinds=[TokenKind.SSO])
    assert set(made.token.grants) == {Scope.REPOS_READ}
