"""What tokens are not good for: other repositories, more than they were given, after their end, in other places."""

from __future__ import annotations

import base64
import http.client
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event, insert, select, text

from entrepot.app import App
from entrepot.core import tokens as texts
from entrepot.core.access import INSIDE, Access, Grants, Scope, TokenKind, merge
from entrepot.core.errors import Forbidden
from entrepot.db.accessschema import tokens as table
from entrepot.db.schema import metadata
from entrepot.operations import sessions
from entrepot.operations.access import access_of_token
from entrepot.operations.tokens import Issued, create_token, issue, revoke_token
from entrepot.web.auth import TOKEN_FILE
from tests.support.archives import make_source_package
from tests.support.distributions import wheel
from tests.support.server import Clock, Live, eventually, opened, running

INDEX = "/red/latest/src/contrib/PACKAGES"
OTHER = "/blue/latest/src/contrib/PACKAGES"
ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


@pytest.fixture
def site(live: Live) -> Live:
    """Closed repositories `red` and `blue` over sources `redsrc` and `bluesrc`; `redpy` and `bluepy` to upload to."""
    for name in ("red", "blue"):
        assert live.api("POST", "/sources", {"name": f"{name}src"})[0] == 201
        assert live.api("POST", "/sources", {"name": f"{name}py", "type": "local-python"})[0] == 201
        assert live.api("POST", "/repos", {"name": name, "authenticated": True})[0] == 201
        assert live.api("POST", f"/repos/{name}/sources", {"source": f"{name}src"})[0] == 200
        assert live.upload(f"{name}src", (f"{name}_1.0.tar.gz", make_source_package(name, "1.0")))[0] == 200
    return live


def reader(site: Live, *repos: str, lifetime: float | None = None) -> Issued:
    return create_token(
        site.app, scopes=[Scope.REPOS_READ], repos=frozenset(repos), description="x", by=INSIDE, lifetime=lifetime
    )


def asked(site: Live, path: str, token: str) -> int:
    return site.get(path, Authorization=f"Bearer {token}").status


def sent(site: Live, header: str | bytes, path: str = INDEX) -> int:
    """The status for this Authorization header."""
    value = header if isinstance(header, str) else header.decode("latin-1")
    return site.pool.request("GET", site.address + path, headers={"Authorization": value}).status


def basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


@contextmanager
def statements(app: App) -> Iterator[list[str]]:
    """What is asked of the database meanwhile."""
    noted: list[str] = []

    def note(_: Any, __: Any, statement: str, *___: Any) -> None:
        noted.append(statement)

    event.listen(app.db.engine, "before_cursor_execute", note)
    try:
        yield noted
    finally:
        event.remove(app.db.engine, "before_cursor_execute", note)


# --- more than was given -------------------------------------------------------------------------------------------


def test_a_token_for_one_repository_opens_no_other(site: Live) -> None:
    """Nor its files, its API, or what is kept of it; before and after others were let in."""
    token = reader(site, "red").text
    for _ in range(2):
        for path in (OTHER, "/blue/latest/src/contrib/blue_1.0.tar.gz", "/blue", "/__api__/repos/blue/packages"):
            assert asked(site, path, token) == 403
            assert asked(site, path, site.token) == 200
        assert asked(site, INDEX, token) == 200
    assert asked(site, "/__api__/sources/bluesrc/packages", token) == 403
    assert {each["name"] for each in site.api("GET", "/repos", token=token)[1]}.isdisjoint({"blue"})


def test_the_refusal_tells_not_whether_a_repository_exists(site: Live) -> None:
    """Somebody with a token for another repository gets the same answer for one that is there and for none."""
    token = reader(site, "red").text
    for path in (OTHER, "/blue", "/__api__/repos/blue", "/__api__/repos/blue/packages", "/__api__/sources/bluesrc"):
        there = site.get(path, Authorization=f"Bearer {token}")
        none = site.get(path.replace("blue", "bluf"), Authorization=f"Bearer {token}")
        assert (there.status, there.data.replace(b"blue", b"bluf")) == (none.status, none.data)
        assert there.status == 403


@pytest.mark.parametrize("scope", [scope for scope in Scope if scope is not Scope.GLOBAL_ADMIN])
def test_no_token_makes_another(site: Live, scope: Scope) -> None:
    """Only `global:admin` makes tokens over the API, not even one that may do less."""
    names = {"repos": None if scope is Scope.REPOS_READ else frozenset()}
    names["sources"] = None if scope is Scope.SOURCES_WRITE else frozenset()
    token = create_token(site.app, scopes=[scope], description="x", by=INSIDE, **names).text
    for wanted in ({"scopes": ["global:admin"]}, {"scopes": ["repos:read"], "repos": ["red"]}):
        assert site.api("POST", "/tokens", {**wanted, "description": "y"}, token=token)[0] == 403


def _grants(site: Live) -> list[Grants]:
    red, blue = (site.api("GET", f"/repos/{name}")[1]["id"] for name in ("red", "blue"))
    source = site.api("GET", "/sources/redsrc")[1]["id"]
    return [
        {Scope.REPOS_READ: frozenset({red})},
        {Scope.REPOS_READ: frozenset({red, blue})},
        {Scope.REPOS_READ: None},
        {Scope.SOURCES_WRITE: frozenset({source})},
        {Scope.SOURCES_WRITE: None},
        {Scope.BLOCKLIST_READ: None},
        {Scope.BLOCKLIST_ADMIN: None},
        {Scope.METADATA_READ: None},
        {Scope.METADATA_ADMIN: None},
        {Scope.GLOBAL_ADMIN: None},
    ]


def test_nobody_makes_a_token_that_may_more_than_they(site: Live) -> None:
    """Of all pairs of what a maker has and what is wanted, those that widen it are refused."""
    names = {each["id"]: each["name"] for each in [*site.api("GET", "/repos")[1]]}
    sources = {each["id"]: each["name"] for each in site.api("GET", "/sources")[1]}
    for has in _grants(site):
        for wanted in _grants(site):
            ((scope, ids),) = wanted.items()
            of = names if scope is Scope.REPOS_READ else sources
            given = None if ids is None else frozenset(of[id_] for id_ in ids)
            asked_for: dict[str, Any] = {}
            if scope in (Scope.REPOS_READ, Scope.SOURCES_WRITE):
                asked_for["repos" if scope is Scope.REPOS_READ else "sources"] = given
            may = merge([has, wanted]) == has or Scope.GLOBAL_ADMIN in has
            may |= scope is Scope.BLOCKLIST_READ and Scope.BLOCKLIST_ADMIN in has
            may |= scope is Scope.METADATA_READ and Scope.METADATA_ADMIN in has
            by = Access("somebody", has)
            if may:
                made = create_token(site.app, scopes=[scope], description="x", by=by, **asked_for)
                assert made.token.grants == wanted
            else:
                with pytest.raises(Forbidden):
                    create_token(site.app, scopes=[scope], description="x", by=by, **asked_for)


def test_a_publishing_token_is_for_its_source_alone(site: Live) -> None:
    """It uploads to no other source, by neither door, and makes, changes and ends nothing else."""
    token = create_token(
        site.app, scopes=[Scope.SOURCES_WRITE], sources=frozenset({"redpy", "redsrc"}), description="x", by=INSIDE
    ).text
    package = make_source_package("more", "1.0")
    for source, status in (("redsrc", 200), ("bluesrc", 403), ("nobodys", 403)):
        answer = site.pool.request(
            "POST",
            f"{site.address}/__api__/sources/{source}/packages",
            headers={"Authorization": f"Bearer {token}"},
            fields=[("files", ("more_1.0.tar.gz", package, "application/gzip"))],
        )
        assert answer.status == status
    name, data = wheel("demo", "1.0")
    fields = {":action": "file_upload", "protocol_version": "1", "metadata_version": "2.1", "name": "demo"}
    for source, status in (("bluepy", 403), ("nobodys", 403), ("redpy", 200)):
        answer = site.pool.request(
            "POST",
            f"{site.address}/upload/pypi/{source}",
            headers={"Authorization": basic("__token__", token)},
            fields=[*fields.items(), ("version", "1.0"), ("content", (name, data, "application/octet-stream"))],
        )
        assert answer.status == status, answer.data
    for method, path, body in (
        ("POST", "/sources", {"name": "new"}),
        ("DELETE", "/sources/redsrc", None),
        ("POST", "/repos", {"name": "new"}),
        ("PATCH", "/repos/red", {"authenticated": False}),
        ("DELETE", "/repos/red", None),
        ("POST", "/repos/red/sources", {"source": "bluesrc"}),
        ("PATCH", "/sources/bluesrc", {"name": "taken"}),
        ("POST", "/sources/bluesrc/packages/blue/remove", {}),
        ("POST", "/encrypt", {"text": "x"}),
        ("POST", "/rotate-key", None),
        ("GET", "/tokens", None),
        ("GET", "/audit", None),
    ):
        assert site.api(method, path, body, token=token)[0] == 403, path


# --- after its end -------------------------------------------------------------------------------------------------


def test_a_revoked_token_is_refused_at_once(site: Live) -> None:
    """On the node that revoked it with the next request, also where an answer is kept."""
    issued = reader(site, "red")
    for _ in range(3):
        assert asked(site, INDEX, issued.text) == 200
    assert INDEX.encode() in site.hot
    assert site.api("POST", "/tokens/revoke", {"guid": issued.token.guid})[0] in (200, 204)
    assert asked(site, INDEX, issued.text) == 401
    assert site.api("GET", "/whoami", token=issued.text)[0] == 401


def test_a_revoked_token_is_refused_on_other_nodes_within_seconds(site: Live, tmp_path: Path, clock: Clock) -> None:
    """A second node over the same database believes what it knows no longer than five seconds."""
    server = site.app.settings.server.model_copy(update={"data_dir": tmp_path / "second"})
    issued = reader(site, "red")
    with opened(site.app.settings.model_copy(update={"server": server}), clock) as app, running(app) as second:
        for _ in range(3):
            assert asked(second, INDEX, issued.text) == 200
        assert site.api("POST", "/tokens/revoke", {"guid": issued.token.guid})[0] in (200, 204)
        eventually(lambda: asked(second, INDEX, issued.text), lambda status: status == 401, seconds=5)


def test_a_look_up_that_is_overtaken_by_a_revocation_is_not_remembered(site: Live, monkeypatch: Any) -> None:
    """A token that was found good just before it was revoked is not believed for the next request."""
    issued = reader(site, "red")
    found = site.door._found

    def overtaken(given: str) -> Access | None:
        access = found(given)
        revoke_token(site.app, issued.token.guid, by="admin")
        site.door.forget()
        return access

    header = f"Bearer {issued.text}".encode()
    monkeypatch.setattr(site.door, "_found", overtaken)
    assert site.door.access_of(header, "127.0.0.1").guid == issued.token.guid
    assert site.door.remembered(header) is None
    monkeypatch.undo()
    assert asked(site, INDEX, issued.text) == 401


def test_a_token_ends_on_the_second(site: Live, clock: Clock) -> None:
    """It is refused from its end on, though it was used just before and the answer is kept."""
    issued = reader(site, "red", lifetime=60)
    clock.wait(seconds=59)
    for _ in range(3):
        assert asked(site, INDEX, issued.text) == 200
    clock.wait(seconds=1)
    for _ in range(2):
        assert asked(site, INDEX, issued.text) == 401


def test_a_token_follows_its_repository_not_its_name(site: Live) -> None:
    """After a rename it reads the same repository by the new name, and not another one that took the old name."""
    token = reader(site, "red").text
    for _ in range(2):
        assert asked(site, INDEX, token) == 200
    assert site.api("PATCH", "/repos/red", {"name": "crimson"})[0] == 200
    assert asked(site, INDEX.replace("red", "crimson"), token) == 200
    assert site.api("POST", "/repos", {"name": "red", "authenticated": True})[0] == 201
    assert site.api("POST", "/repos/red/sources", {"source": "bluesrc"})[0] == 200
    for _ in range(2):
        assert asked(site, INDEX, site.token) == 200
        assert asked(site, INDEX, token) == 403
        assert asked(site, "/__api__/repos/red/packages", token) == 403


def test_a_token_of_a_deleted_repository_opens_no_later_one(site: Live) -> None:
    """Numbers of repositories and sources are not given twice."""
    reading = reader(site, "blue").text
    writing = create_token(
        site.app, scopes=[Scope.SOURCES_WRITE], sources=frozenset({"bluesrc"}), description="x", by=INSIDE
    ).text
    assert site.api("DELETE", "/repos/blue")[0] == 204
    assert site.api("DELETE", "/sources/bluesrc")[0] == 204
    assert site.api("POST", "/sources", {"name": "bluesrc"})[0] == 201
    assert site.api("POST", "/repos", {"name": "blue", "authenticated": True})[0] == 201
    assert site.api("POST", "/repos/blue/sources", {"source": "bluesrc"})[0] == 200
    assert asked(site, "/blue/latest", reading) == 403
    assert site.api("PATCH", "/sources/bluesrc", {"name": "x"}, token=writing)[0] == 403


def test_what_hangs_on_a_token_ends_with_it(site: Live) -> None:
    """A session and a token that came of another one are refused when that one was revoked."""
    parent = reader(site, "red")
    child = issue(
        site.app,
        kind=TokenKind.SSO,
        actor="somebody",
        grants=parent.token.grants,
        created_by="somebody",
        lifetime=3600,
        parent_id=parent.token.id,
    )
    session = sessions.open_with_token(site.app, parent.text).text
    assert asked(site, INDEX, child.text) == 200
    assert site.get(INDEX, Cookie=f"entrepot_session={session}").status == 200
    assert site.api("POST", "/tokens/revoke", {"guid": parent.token.guid})[0] in (200, 204)
    assert asked(site, INDEX, child.text) == 401
    assert site.get(INDEX, Cookie=f"entrepot_session={session}").status == 401


# --- other texts, other places -------------------------------------------------------------------------------------


def test_no_neighbour_of_a_token_is_good(site: Live) -> None:
    """With any character changed, left out or doubled, shortened or lengthened; the checksum spares the database it."""
    token = reader(site, "red").text
    wrong = {token[:-1], token[1:], token + "A", token + token, token.upper(), token.lower(), token[::-1], ""}
    for place in range(len(token)):
        other = ALPHABET[(ALPHABET.find(token[place]) + 1) % len(ALPHABET)]
        wrong |= {token[:place] + other + token[place + 1 :], token[:place] + token[place + 1 :]}
        wrong |= {token[:place] + token[place] + token[place:], token[:place]}
    wrong |= {texts.digest(token), texts.start_of(token), token.removeprefix("entrepot_")}
    wrong.discard(token)
    assert len(wrong) > 200
    with statements(site.app) as noted:
        assert not [text for text in wrong if access_of_token(site.app, text) is not None]
    assert noted == []
    assert access_of_token(site.app, token) is not None


def test_a_text_of_the_right_form_is_not_enough(site: Live) -> None:
    """Somebody who can compute the checksum has one guess among 62^40."""
    made = texts.make_token()
    assert texts.is_token(made)
    assert asked(site, INDEX, made) == 401


def test_headers_that_are_not_quite_right_are_refused(site: Live) -> None:
    """Other users, other schemes, two headers, blanks within, bytes that are no text, ten kilobytes."""
    token = reader(site, "red").text
    assert sent(site, f"Bearer {token}") == sent(site, basic("__token__", token)) == 200
    bare = base64.b64encode(token.encode()).decode()
    wrong: list[str | bytes] = [
        basic("", token),
        basic("admin", token),
        basic("__TOKEN__", token),
        basic("__token__ ", token),
        basic(token, ""),
        basic(token, "__token__"),
        basic("__token__", f"{token}:{token}"),
        basic("__token__", f"{token}\0"),
        basic("__token__", f"x{token}"),
        f"Basic {bare}",
        f"Basic {token}",
        "Basic",
        "Basic ",
        "Basic ====",
        f"Bearer {token} {token}",
        f"Bearer {token},",
        f"Bearer {token}, Bearer {token}",
        f"Bearer={token}",
        f"Bearer{token}",
        f"Bearer \x00{token}".replace("\x00", "\x01"),
        f"Token {token}",
        f"token {token}",
        f"Key {token}",
        f'Digest username="__token__", response="{token}"',
        token,
        f"Bearer {token}\xa0".encode("latin-1") + b"\xe9",
        f"Bearer \xe9{token}".encode("latin-1"),
        f"Bearer {token}\u00df".encode(),
        f"Bearer {token}{' ' * 10_000}x",
        f"Bearer {'x' * 10_000}",
        f"Bearer {token}{'x' * 10_000}",
        basic("__token__", token + "x" * 10_000),
    ]
    let_in = [header for header in wrong if sent(site, header) not in (400, 401, 429)]
    assert let_in == []
    for path in ("/__api__/whoami", "/__api__/repos/red/packages"):
        assert [header for header in wrong if sent(site, header, path) not in (400, 401, 429)] == []
    twice = [("Authorization", f"Bearer {token}"), ("Authorization", f"Bearer {token}")]
    host, _, port = site.address.removeprefix("http://").partition(":")
    for headers in (twice, [("authorization", "Bearer x"), *twice[:1]], [*twice[:1], ("Authorization", "")]):
        connection = http.client.HTTPConnection(host, int(port), timeout=10)
        connection.putrequest("GET", INDEX)
        for name, value in headers:
            connection.putheader(name, value)
        connection.endheaders()
        assert connection.getresponse().status in (401, 429)
        connection.close()


def test_a_token_anywhere_but_in_its_header_is_nothing(site: Live) -> None:
    """In the query, the path, a cookie, another header, a form or a URL's login it opens nothing, on any door."""
    token = reader(site, "red").text
    for name in ("token", "access_token", "api_key", "key", "password", "auth", "authorization", "session", "jwt"):
        for path in (INDEX, "/__api__/repos/red/packages", "/__api__/whoami"):
            assert site.get(f"{path}?{name}={token}").status == 401
            assert site.get(f"{path}?{name}=Bearer%20{token}").status == 401
    for name in (
        "entrepot_session",
        "__Host-entrepot_session",
        "token",
        "session",
        "Authorization",
        "entrepot_browser",
    ):
        assert site.get(INDEX, Cookie=f"{name}={token}").status == 401
    for name in ("X_Token", "X_Api_Key", "Api_Key", "Proxy_Authorization", "X_Authorization", "Key", "X_Auth_Token"):
        assert site.get(INDEX, **{name: f"Bearer {token}"}).status == 401
        assert site.get(INDEX, **{name: token}).status == 401
    for path in (f"/{token}{INDEX}", f"/__token__:{token}@red/latest", f"{INDEX}/{token}", f"{INDEX};{token}"):
        assert site.get(path).status in (401, 404)
    form = site.pool.request_encode_body(
        "POST", f"{site.address}/__api__/repos/red/check", fields={"access_token": token}, encode_multipart=False
    )
    assert form.status == 401


def test_a_session_out_of_its_cookie_is_nothing(site: Live) -> None:
    """Its text is no bearer token, no password, nothing to upload with, and no token to sign in with."""
    issued = create_token(site.app, scopes=[Scope.GLOBAL_ADMIN], description="x", by=INSIDE)
    session = sessions.open_with_token(site.app, issued.text).text
    cookie = f"entrepot_session={session}"
    assert site.get(INDEX, Cookie=cookie).status == 200
    assert sent(site, f"Bearer {session}") == 401
    assert sent(site, basic("__token__", session)) == 401
    assert site.api("GET", "/whoami", token=session)[0] == 401
    assert site.get("/upload/pypi/redpy", method="POST", Cookie=cookie).status in (401, 403)
    assert site.get("/__api__/repos/blue", method="DELETE", Cookie=cookie).status == 403
    assert site.api("GET", "/repos/blue")[0] == 200


def test_the_administrators_token_has_no_neighbours(site: Live) -> None:
    """Its file is for owner and group alone, nothing half written lies beside it, and what is nearly its text fails."""
    folder = site.app.settings.server.data_dir
    assert stat.S_IMODE((folder / TOKEN_FILE).stat().st_mode) == 0o640
    assert [each.name for each in folder.iterdir() if TOKEN_FILE in each.name] == [TOKEN_FILE]
    wrong = [site.token[:-1], site.token + "x", site.token.swapcase(), site.token[:9], f"{site.token}\u00e9"]
    wrong += [site.token[:-1] + ("a" if site.token[-1] != "a" else "b"), TOKEN_FILE, "admin", "", "None", "null"]
    assert [sent(site, f"Bearer {each}".encode()) for each in wrong if each] == [401] * (len(wrong) - 1)
    assert sent(site, f"Bearer {site.token}") == 200


def test_no_answer_repeats_a_token(site: Live) -> None:
    """Neither a body nor a header, a redirect's least of all, whatever is wrong about the request."""
    token = reader(site, "red").text
    header = {"Authorization": f"Bearer {token}"}
    paths = [INDEX, OTHER, "/red", "/red/latest/", "/red/2020-01-01/src/contrib/PACKAGES", "/", "/x", "/__login__"]
    paths += ["/__api__/whoami", "/__api__/repos", "/__api__/repos/", "/__api__/tokens", "/__api__", "/__api__/x"]
    paths += [
        "/red/latest/src/contrib/red_0.9.tar.gz",
        "/red/latest/src/contrib",
        "/red/latest/src/contrib/",
        "/__device__",
    ]
    for path in paths:
        for method in ("GET", "HEAD", "POST"):
            answer = site.pool.request(method, site.address + path, headers=header, redirect=False)
            assert token not in str(answer.headers), path
            assert token.encode() not in answer.data, path
            answer = site.pool.request(
                method, site.address + path, headers={"Authorization": f"Bearer {token}x"}, redirect=False
            )
            assert token not in str(answer.headers) + answer.data.decode("latin-1"), path


def test_no_redirect_leads_a_token_away(site: Live) -> None:
    """The API redirects nobody: behind a front server that would be to plain HTTP, or to whatever Host was sent."""
    for path in ("/__api__/repos/", "/__api__/whoami/", "/__api__/repos/red/", "/__api__//repos"):
        answer = site.get(path, Authorization=f"Bearer {site.token}", Host="elsewhere.example")
        assert answer.status == 404
        assert "location" not in answer.headers


# --- where they are kept -------------------------------------------------------------------------------------------


def test_the_text_of_a_token_is_kept_nowhere(site: Live) -> None:
    """The database has its hash and its first characters; no file of the data folder has the text."""
    status, made = site.api("POST", "/tokens", {"scopes": ["repos:read"], "repos": ["red"], "description": "x"})
    assert status == 201
    token, secret = made["token"], made["token"].removeprefix("entrepot_")
    session = sessions.open_with_token(site.app, token).text
    assert asked(site, INDEX, token) == 200
    site.door.flush()
    kept = []
    with site.app.db.read() as connection:
        for each in metadata.tables.values():
            kept += [repr(row) for row in connection.execute(select(each))]
    whole = "\n".join(kept)
    assert texts.digest(token) in whole
    assert secret[5:] not in whole
    assert session.removeprefix("entrepot_")[5:] not in whole
    for file in site.app.settings.server.data_dir.parent.rglob("*"):
        if file.is_file():
            content = file.read_bytes()
            assert secret[5:].encode() not in content, file
            assert session.removeprefix("entrepot_")[5:].encode() not in content, file


def test_ten_thousand_tokens_make_no_difference(site: Live) -> None:
    """A token is found by one statement, by the index of hashes, however many there are; a kept one by none."""
    now = site.app.clock()
    row = {"kind": "api", "actor": "x", "grants": {}, "created": now, "created_by": "x", "start": "entrepot_0000"}
    rows = [{**row, "guid": f"{number:036}", "digest": f"{number:064}"} for number in range(10_000)]
    with site.app.db.write(shows=False) as connection:
        connection.execute(insert(table), rows)
    token = reader(site, "red").text
    with statements(site.app) as noted:
        assert access_of_token(site.app, token) is not None
    found = [statement for statement in noted if "FROM tokens" in statement]
    assert len(found) == 1
    with site.app.db.read() as connection:
        if not site.app.db.is_sqlite:
            connection.execute(text("SET LOCAL enable_seqscan = off"))
        explain = "EXPLAIN QUERY PLAN" if site.app.db.is_sqlite else "EXPLAIN"
        plan = connection.execute(text(f"{explain} SELECT id FROM tokens WHERE digest = 'x'")).all()
    assert "index" in repr(plan).lower()
    assert "scan tokens" not in repr(plan).lower()
    for _ in range(2):
        assert asked(site, INDEX, token) == 200
    with statements(site.app) as noted:
        assert asked(site, INDEX, token) == 200
    assert noted == []
