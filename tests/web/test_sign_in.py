"""Sign-in of people at a provider (OpenID Connect), which is a real server on loopback."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from entrepot.db import accessschema
from entrepot.settings import OpenIdConnect, ScopeMapping, Settings
from tests.support.browser import Browser, Page
from tests.support.fake_issuer import rsa_key
from tests.support.fake_provider import CLIENT_ID, CLIENT_SECRET, FakeProvider
from tests.support.server import Clock, Live, installed, running

pytestmark = pytest.mark.one_shape
Start = Callable[..., Live]


@pytest.fixture
def provider() -> Iterator[FakeProvider]:
    with FakeProvider() as server:
        yield server


@pytest.fixture
def start(settings: Settings, provider: FakeProvider, clock: Clock) -> Iterator[Start]:
    """A site on which people sign in at the provider; the arguments are more of `[openid_connect]`."""
    with ExitStack() as stack:

        def started(**more: Any) -> Live:
            values = {"issuer": provider.issuer, "client_id": CLIENT_ID, "client_secret": CLIENT_SECRET}
            values |= {"scope": ["repos:read:*"]} | more
            changed = settings.model_copy(
                update={
                    "openid_connect": OpenIdConnect.model_validate(values),
                    "group_to_scope_mapping": {"science": ScopeMapping.model_validate({"scope": ["global:admin"]})},
                }
            )
            app = stack.enter_context(installed(changed, clock))
            return stack.enter_context(running(app))

        yield started


def sign_in(browser: Browser, provider: FakeProvider, next_: str = "/") -> Page:
    """The whole way: to the provider and back."""
    return browser.get(provider.let_in(browser.get(f"/__login__/sso?next={next_}").location))


def test_a_person_signs_in(start: Start, provider: FakeProvider) -> None:
    """By the link of the page, at the provider and back: the person is called by their name and may what is given."""
    live = start()
    browser = Browser(live)
    page = browser.get("/__login__?next=/%3Fx")
    assert 'href="/__login__/sso?next=/%3Fx"' in page.text
    back = sign_in(browser, provider, "/%3Fx")
    assert (back.status, back.location) == (303, f"{live.address}/?x")
    assert "<strong>ann</strong>" in browser.get("/").text
    assert live.api("POST", "/repos", {"name": "vault", "type": "R", "authenticated": True})[0] == 201
    assert browser.get("/__api__/repos/vault").status == 200


def test_what_the_provider_is_asked(start: Start) -> None:
    """State, nonce and PKCE are new each time; the scopes are the usual ones, groups and those of the settings."""
    live = start(custom_scope=["offline", "email"], require_login=True, max_authentication_age=900)
    asked = [parse_qs(urlsplit(Browser(live).get("/__login__/sso").location).query) for _ in range(2)]
    assert asked[0]["scope"] == ["openid profile email groups offline"]
    assert asked[0]["redirect_uri"] == [f"{live.address}/__login__/callback"]
    assert (asked[0]["prompt"], asked[0]["max_age"]) == (["login"], ["900"])
    assert asked[0]["code_challenge_method"] == ["S256"]
    for name in ("state", "nonce", "code_challenge"):
        assert asked[0][name] != asked[1][name]
        assert len(asked[0][name][0]) >= 43


def test_the_scope_groups_can_be_left_out(start: Start) -> None:
    """Some providers refuse a scope that they don't know."""
    asked = parse_qs(urlsplit(Browser(start(no_auto_groups_scope=True)).get("/__login__/sso").location).query)
    assert asked["scope"] == ["openid profile email"]


def test_a_group_gives_what_its_mapping_says(start: Start, provider: FakeProvider) -> None:
    """`[group_to_scope_mapping "science"]` counts for those whose token has the group."""
    live = start()
    others, one = Browser(live), Browser(live)
    sign_in(others, provider)
    provider.person |= {"sub": "8", "preferred_username": "eve", "groups": ["science"]}
    sign_in(one, provider)
    assert others.get("/__api__/audit").status == 403
    assert one.get("/__api__/audit").status == 200


def test_groups_that_the_user_info_tells(start: Start, provider: FakeProvider) -> None:
    """Where the ID token has no groups, those of the user info endpoint count."""
    provider.told = {"groups": ["science"]}
    browser = Browser(start())
    sign_in(browser, provider)
    assert browser.get("/__api__/audit").status == 200


def test_user_info_of_somebody_else_is_refused(start: Start, provider: FakeProvider) -> None:
    """OpenID Connect Core 5.3.2: it has to be of the same person."""
    provider.told = {"groups": ["science"], "sub": "8"}
    browser = Browser(start())
    page = sign_in(browser, provider)
    assert (page.status, browser.session) == (401, None)
    assert "somebody else" in page.text


def test_somebody_without_any_scope_is_told(start: Start, provider: FakeProvider) -> None:
    """Who gets nothing gets a page that says so, with the groups that came, and no session."""
    provider.person |= {"groups": ["kitchen"]}
    browser = Browser(start(scope=[]))
    page = sign_in(browser, provider)
    assert (page.status, browser.session) == (403, None)
    assert "nothing is given to it here" in page.text
    assert "kitchen" in page.text


@pytest.mark.parametrize("methods", [(), ("client_secret_basic",), ("client_secret_post",)])
def test_the_secret_is_sent_as_the_provider_wants_it(
    settings: Settings, clock: Clock, methods: tuple[str, ...]
) -> None:
    """As Basic authentication, or in the form where that alone is taken."""
    values = {"client_id": CLIENT_ID, "client_secret": CLIENT_SECRET, "scope": ["repos:read:*"]}
    with FakeProvider(methods=methods) as provider:
        wanted = OpenIdConnect.model_validate({**values, "issuer": provider.issuer})
        changed = settings.model_copy(update={"openid_connect": wanted})
        with installed(changed, clock) as app, running(app) as live:
            browser = Browser(live)
            assert sign_in(browser, provider).status == 303
            assert browser.session is not None


def test_the_secret_may_be_in_a_file(start: Start, provider: FakeProvider, tmp_path: Path) -> None:
    """It is read at each sign-in, so it can be changed; if it can't be read, the page names no path."""
    file = tmp_path / "secret"
    file.write_text(f"{CLIENT_SECRET}\n")
    live = start(client_secret="", client_secret_file=str(file))
    assert sign_in(Browser(live), provider).status == 303
    file.unlink()
    page = sign_in(Browser(live), provider)
    assert page.status == 422
    assert str(tmp_path) not in page.text


def test_without_pkce_where_the_provider_knows_none(start: Start, provider: FakeProvider) -> None:
    """`disable_pkce` leaves it out; state and nonce stay."""
    provider.wants_pkce = False
    live = start(disable_pkce=True)
    browser = Browser(live)
    location = browser.get("/__login__/sso").location
    assert "code_challenge" not in location
    assert browser.get(provider.let_in(location)).status == 303


def test_a_session_lasts_as_long_as_the_settings_say(start: Start, provider: FakeProvider, clock: Clock) -> None:
    """`token_lifetime`, by the server's clock and not the browser's."""
    browser = Browser(start(token_lifetime="10m"))
    sign_in(browser, provider)
    clock.wait(seconds=599)
    assert "<strong>ann</strong>" in browser.get("/").text
    clock.wait(seconds=2)
    assert "<strong>ann</strong>" not in browser.get("/").text


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"nonce": "another"}, "nonce"),
        ({"nonce": None}, "nonce"),
        ({"aud": "another"}, "audience"),
        ({"iss": "http://127.0.0.1:9"}, "issuer"),
        ({"exp": 1_000_000_000}, "expired"),
        ({"sub": None}, "subject"),
    ],
)
def test_an_id_token_that_does_not_fit_is_refused(
    start: Start, provider: FakeProvider, changes: dict[str, Any], said: str
) -> None:
    """The provider's answer is verified as every other token is, and belongs to this very sign-in."""
    provider.changes = changes
    browser = Browser(start())
    page = sign_in(browser, provider)
    assert (page.status, browser.session) == (401, None)
    assert said in page.text


def test_an_id_token_with_a_foreign_signature_is_refused(start: Start, provider: FakeProvider) -> None:
    """A key that the provider doesn't publish signs nothing."""
    provider.sign_in_key = rsa_key("first")
    browser = Browser(start())
    assert (sign_in(browser, provider).status, browser.session) == (401, None)


@pytest.mark.parametrize("age", [901, None])
def test_the_password_has_to_be_asked_for_recently(
    start: Start, provider: FakeProvider, clock: Clock, age: int | None
) -> None:
    """With `max_authentication_age` the provider has to say when, and not too long ago."""
    provider.changes = {"auth_time": None if age is None else int(clock().timestamp()) - 60 - age}
    browser = Browser(start(max_authentication_age=900))
    assert (sign_in(browser, provider).status, browser.session) == (401, None)
    provider.changes = {"auth_time": int(clock().timestamp()) - 800}
    assert sign_in(browser, provider).status == 303


def test_the_password_has_to_be_asked_for_anew(start: Start, provider: FakeProvider, clock: Clock) -> None:
    """With `require_login` a time before this sign-in gives away that somebody cut `prompt=login` out of the URL."""
    provider.changes = {"auth_time": int((clock() - timedelta(hours=1)).timestamp())}
    browser = Browser(start(require_login=True))
    page = sign_in(browser, provider)
    assert (page.status, browser.session) == (401, None)
    assert "did not ask for the password" in page.text


def test_a_person_says_no_at_the_provider(start: Start, provider: FakeProvider) -> None:
    """The page tells the provider's word for it, and nothing else that stands in the URL."""
    browser = Browser(start())
    state = parse_qs(urlsplit(browser.get("/__login__/sso").location).query)["state"][0]
    page = browser.get(f"/__login__/callback?state={state}&error=access_denied&error_description=call+555")
    assert page.status == 403
    assert "access_denied" in page.text
    assert "555" not in page.text


def test_a_wrong_secret_is_told_as_the_administrators_business(start: Start, provider: FakeProvider) -> None:
    """The person learns that it isn't their fault; the secret stands nowhere."""
    page = sign_in(Browser(start(client_secret="wrong-secret")), provider)
    assert page.status == 502
    assert "invalid_client" in page.text
    assert "wrong-secret" not in page.text


def test_a_provider_that_is_away(start: Start, provider: FakeProvider) -> None:
    """The page says so; signing in with a token works all the same."""
    live = start()
    with provider.closed():
        assert Browser(live).get("/__login__/sso").status == 503
        assert Browser(live).get("/__login__").status == 200


@pytest.mark.parametrize("fault", ["500", "html", "cut", "redirect:http://127.0.0.1:9/"])
def test_a_provider_that_answers_nonsense(start: Start, provider: FakeProvider, fault: str) -> None:
    """Whatever comes for a code, nobody is signed in by it and no error of ours is shown."""
    live = start()
    browser = Browser(live)
    back = provider.let_in(browser.get("/__login__/sso").location)
    provider.fail(provider.TOKEN, fault)
    page = browser.get(back)
    assert page.status in (502, 503)
    assert browser.session is None


def test_without_a_provider_there_is_no_such_sign_in(live: Live) -> None:
    """The page offers the token alone, and the other way says that it isn't set up."""
    browser = Browser(live)
    assert "/__login__/sso" not in browser.get("/__login__").text
    assert browser.get("/__login__/sso").status == 404
    assert browser.get("/__login__/callback?state=x&code=y").status == 404


def test_sign_ins_on_their_way_are_forgotten(start: Start, provider: FakeProvider, clock: Clock) -> None:
    """Nobody fills the database by beginning sign-ins: those that are over go with the next one."""
    live = start()
    for _ in range(3):
        Browser(live).get("/__login__/sso")
    clock.wait(minutes=11)
    Browser(live).get("/__login__/sso")
    with live.app.db.read() as connection:
        assert len(connection.execute(accessschema.sign_ins.select()).all()) == 1


def test_only_hashes_of_a_sign_in_are_kept(start: Start) -> None:
    """Neither the state nor the browser's cookie can be read out of the database."""
    live = start()
    browser = Browser(live)
    state = parse_qs(urlsplit(browser.get("/__login__/sso").location).query)["state"][0]
    with live.app.db.read() as connection:
        row = str(connection.execute(accessschema.sign_ins.select()).one())
    assert state not in row
    assert browser.cookies["entrepot_browser"] not in row
