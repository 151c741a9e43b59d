"""The device flow: a program signs in while a person allows it on a page."""

from __future__ import annotations

import re

import pytest

from entrepot.core.access import INSIDE, Scope, TokenKind
from entrepot.db import accessschema
from entrepot.operations import devices, tokens
from entrepot.operations.tokens import Issued
from tests.support.browser import Browser
from tests.support.device import Program, challenge
from tests.support.server import Clock, Live


@pytest.fixture
def made(live: Live) -> Issued:
    """Ann's token, with which she signs in."""
    return tokens.create_token(
        live.app, scopes=[Scope.REPOS_READ], repos=None, description="hers", by=INSIDE, user="ann"
    )


@pytest.fixture
def browser(live: Live, made: Issued) -> Browser:
    """Ann's, signed in."""
    found = Browser(live)
    found.sign_in(made.text)
    return found


@pytest.fixture
def program(live: Live) -> Program:
    """One that waits."""
    found = Program(live)
    found.begin()
    return found


def test_a_program_signs_in(live: Live, browser: Browser, program: Program) -> None:
    """From the first request to a token that is good for what its person may do."""
    assert (program.status, program.begun["interval"], program.begun["expires_in"]) == (200, 5, 300)
    assert program.begun["verification_uri"] == f"{live.address}/__device__"
    assert re.fullmatch(f"[{devices.LETTERS}]{{4}}-[{devices.LETTERS}]{{4}}", program.begun["user_code"])
    assert program.poll()["error"] == "authorization_pending"
    page = browser.get(program.page)
    assert program.begun["user_code"] in page.text
    assert "<code>repos:read:*</code>" in page.text
    assert "127.0.0.1" in page.text
    assert "Allowed" in browser.send(page, decision="allow").text
    identity = program.poll()["id_token"]
    assert identity.startswith("entrepot-identity_")
    given = program.exchange(identity)
    assert (program.status, given["token_type"], given["scope"]) == (200, "Bearer", "repos:read:*")
    assert live.api("POST", "/repos", {"name": "vault", "type": "R", "authenticated": True})[0] == 201
    assert live.api("GET", "/repos/vault", token=given["access_token"])[0] == 200
    assert live.api("POST", "/repos", {"name": "x", "type": "R"}, token=given["access_token"])[0] == 403


def test_the_token_is_of_the_person(live: Live, browser: Browser, program: Program) -> None:
    """It is called by their name, hangs on the token that they signed in with, and ends no later than their session."""
    browser.send(browser.get(program.page), decision="allow")
    given = program.exchange(program.poll()["id_token"])
    (found,), _ = tokens.list_tokens(live.app, kinds=[TokenKind.SSO])
    (session,), _ = tokens.list_tokens(live.app, kinds=[TokenKind.SESSION])
    assert (found.token.actor, found.token.expires) == ("ann", session.token.expires)
    assert found.token.parent_id == session.token.parent_id
    assert given["expires_in"] == 8 * 3600


def test_a_person_who_must_sign_in_first_comes_back(live: Live, made: Issued, program: Program) -> None:
    """The link of the program leads to the sign-in, and from there to the page with the code."""
    fresh = Browser(live)
    page = fresh.get(program.page)
    assert page.location.startswith(f"{live.address}/__login__?next=")
    page = fresh.send(fresh.get(page.location), token=made.text)
    assert page.location == live.address + program.page
    assert program.begun["user_code"] in fresh.get(page.location).text


@pytest.mark.parametrize("write", [str.lower, lambda c: c.replace("-", ""), lambda c: f" {c[:4]} {c[5:]} "])
def test_the_code_may_be_typed_in_any_way(browser: Browser, program: Program, write: object) -> None:
    """Case, dash and blanks don't count."""
    assert callable(write)
    typed = write(program.begun["user_code"])
    fields = browser.get("/__device__")
    assert 'name="user_code"' in fields.text
    assert program.begun["user_code"] in browser.get(f"/__device__?user_code={typed.replace(' ', '%20')}").text


def test_a_person_denies_it(browser: Browser, program: Program) -> None:
    """The program is told so, each time that it asks."""
    assert "Denied" in browser.send(browser.get(program.page), decision="deny").text
    assert [program.poll()["error"] for _ in range(2)] == ["access_denied"] * 2
    assert program.status == 400


def test_a_program_that_asks_too_often(browser: Browser, program: Program, clock: Clock) -> None:
    """It is told to slow down, by five seconds more each time; what is there it is given all the same."""
    assert program.poll()["error"] == "authorization_pending"
    clock.wait(seconds=4)
    assert program.poll()["error"] == "slow_down"
    clock.wait(seconds=9)
    assert program.poll()["error"] == "slow_down"
    clock.wait(seconds=15)
    assert program.poll()["error"] == "authorization_pending"
    browser.send(browser.get(program.page), decision="allow")
    assert "id_token" in program.poll()


def test_nobody_allows_it_in_time(browser: Browser, program: Program, clock: Clock) -> None:
    """After five minutes the code is good for nothing, on either side."""
    clock.wait(seconds=301)
    assert program.poll()["error"] == "expired_token"
    assert browser.get(program.page).status == 404


def test_an_identity_is_good_for_a_minute(browser: Browser, program: Program, clock: Clock) -> None:
    """Programs exchange it at once."""
    browser.send(browser.get(program.page), decision="allow")
    identity = program.poll()["id_token"]
    clock.wait(seconds=61)
    assert program.exchange(identity)["error"] == "invalid_grant"


def test_signing_out_leaves_programs_signed_in(live: Live, browser: Browser, program: Program) -> None:
    """The command line goes on when the browser's session is over."""
    browser.send(browser.get(program.page), decision="allow")
    text = program.exchange(program.poll()["id_token"])["access_token"]
    browser.send(browser.get("/"))
    assert browser.session is None
    live.door.forget()
    assert live.api("GET", "/repos", token=text)[0] == 200


def test_revoking_the_persons_token_ends_their_programs(
    live: Live, browser: Browser, made: Issued, program: Program
) -> None:
    """Whose token is revoked has no program left that was signed in by it."""
    browser.send(browser.get(program.page), decision="allow")
    text = program.exchange(program.poll()["id_token"])["access_token"]
    tokens.revoke_token(live.app, made.token.guid, by="admin")
    live.door.forget()
    assert live.api("GET", "/repos", token=text)[0] == 401


@pytest.mark.parametrize("ends", ["session", "token"])
def test_an_approval_ends_with_the_session(
    live: Live, browser: Browser, made: Issued, program: Program, ends: str
) -> None:
    """Between the approval and the exchange the person has to stay signed in."""
    browser.send(browser.get(program.page), decision="allow")
    identity = program.poll()["id_token"]
    if ends == "session":
        browser.send(browser.get("/"))
    else:
        tokens.revoke_token(live.app, made.token.guid, by="admin")
    assert program.exchange(identity)["error"] == "invalid_grant"


@pytest.mark.parametrize(
    "changes",
    [
        {"code_challenge_method": "plain"},
        {"code_challenge_method": ""},
        {"code_challenge": ""},
        {"code_challenge": "x" * 42},
        {"code_challenge": "x" * 44},
        {"code_challenge": "é" * 43},
        {"code_challenge": "=" * 43},
    ],
)
def test_a_program_without_a_challenge_is_refused(live: Live, changes: dict[str, str]) -> None:
    """PKCE with S256 is not an option."""
    program = Program(live)
    assert program.begin(**changes)["error"] == "invalid_request"
    assert program.status == 400


@pytest.mark.parametrize("changes", [{"device_code": ""}, {"code_verifier": ""}])
def test_fields_that_are_missing(program: Program, changes: dict[str, str]) -> None:
    """They are named."""
    assert next(iter(changes)) in program.poll(**changes)["error_description"]


def test_only_so_many_wait(live: Live, clock: Clock) -> None:
    """Dozens from one address, and when they are over others have room, and nothing is left of them."""
    program = Program(live)
    for _ in range(devices.MOST_OF_ADDRESS):
        program.begin()
        assert program.status == 200
    assert (program.begin()["error"], program.status) == ("slow_down", 429)
    clock.wait(minutes=16)
    assert "device_code" in program.begin()
    with live.app.db.read() as connection:
        assert len(connection.execute(accessschema.device_logins.select()).all()) == 1


def test_only_hashes_of_secrets_are_kept(live: Live, browser: Browser, program: Program) -> None:
    """Neither the device code nor the identity can be read out of the database."""
    browser.send(browser.get(program.page), decision="allow")
    identity = program.poll()["id_token"]
    with live.app.db.read() as connection:
        row = str(connection.execute(accessschema.device_logins.select()).one())
    assert program.begun["device_code"] not in row
    assert identity not in row


def test_the_page_warns_of_a_program_elsewhere(live: Live, browser: Browser) -> None:
    """Where the program is at another address than the browser, the page says so: somebody may have sent the link."""
    begun = devices.begin(live.app, method="S256", challenge=challenge(), address="203.0.113.9")
    page = browser.get(f"/__device__?user_code={begun.user_code}")
    assert "203.0.113.9" in page.text
    assert "not where this browser is" in page.text


def test_approvals_are_written_to_the_audit_log(live: Live, browser: Browser, program: Program) -> None:
    """Who allowed a program, by which session, and where the program is."""
    browser.send(browser.get(program.page), decision="allow")
    _, rows = live.api("GET", "/audit?action=allow%20device")
    (session,), _ = tokens.list_tokens(live.app, kinds=[TokenKind.SESSION])
    assert [(row["actor"], row["subject"], row["outcome"]) for row in rows] == [("ann", "at 127.0.0.1", "done")]
    assert rows[0]["token"] == session.token.guid
