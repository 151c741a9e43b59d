"""Who may use which route, and for how long: scopes, what they are given for, and their end."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Any

import pytest

from entrepot.app import App
from entrepot.core.access import Scope
from entrepot.core.model import SourceType
from entrepot.operations import sources, tokens
from entrepot.web.csrf import HEADER, csrf_of
from entrepot.web.policy import POLICY, Need
from tests.support.archives import make_source_package
from tests.support.browser import Browser
from tests.support.closed import add, repository, token
from tests.support.server import Clock, Live, eventually, opened, running

MINE, OTHER = "vault", "other"
SOURCE, OTHER_SOURCE = "src", "other-src"
OPEN, REFUSED, UNKNOWN = "let in", 403, 401
KNOWN = frozenset(
    {
        *("other repository", "this repository", "all repositories", "page of a session"),
        *("other source", "this source", "all sources", "rules", "administrator"),
    }
)
READERS = frozenset({"this repository", "all repositories", "administrator", "page of a session"})
WRITERS = frozenset({"this source", "all sources", "administrator"})
LEAST = {
    Need.OPEN: KNOWN | {"anonymous"},
    Need.LIMITED: KNOWN | {"anonymous"},
    Need.KNOWN: KNOWN,
    Need.READ_ALL: frozenset({"all repositories", "administrator"}),
    Need.READ_REPOSITORY: READERS,
    Need.READ_SOURCE: READERS | WRITERS,
    Need.WRITE_SOURCE: WRITERS,
    Need.ADMIN: frozenset({"administrator"}),
}
"""What a route needs -> the callers that are let in."""
OF_THEIR_OWN = {
    *(("POST", "/jobs/{id}/cancel"), ("POST", "/filter/packages"), ("POST", "/tokens/revoke"), ("POST", "/bootstrap")),
    *(("POST", "/token"), ("POST", "/device"), ("POST", "/device_access")),
}
"""Routes that look at the body, or at what is asked for, before they let somebody in."""


@pytest.fixture
def site(live: Live, tmp_path: Path) -> Live:
    stock(live.app, tmp_path)
    return live


def stock(app: App, folder: Path) -> None:
    """Two closed repositories, each with a source of its own."""
    for source, repo in ((SOURCE, MINE), (OTHER_SOURCE, OTHER)):
        sources.create_source(app, source, type_=SourceType.LOCAL)
        add(app, source, folder, "top_1.0.tar.gz", make_source_package("top", "1.0"))
        repository(app, repo, source, is_closed=True)


def callers(site: Live) -> dict[str, dict[str, str]]:
    """What each kind of caller sends."""

    def bearer(text: str) -> dict[str, str]:
        return {"Authorization": f"Bearer {text}"}

    app, browser = site.app, Browser(site)
    browser.sign_in(token(app, repos=[MINE]))
    cookie = {"Cookie": "; ".join(f"{name}={value}" for name, value in browser.cookies.items())}
    page = {**cookie, "Origin": site.address, HEADER: csrf_of(browser.session or "")}
    return {
        "anonymous": {},
        "wrong token": bearer("entrepot_x"),
        "other repository": bearer(token(app, repos=[OTHER])),
        "this repository": bearer(token(app, repos=[MINE])),
        "all repositories": bearer(token(app, repos=None)),
        "other source": bearer(token(app, sources=[OTHER_SOURCE])),
        "this source": bearer(token(app, sources=[SOURCE])),
        "all sources": bearer(token(app, sources=None)),
        "rules": bearer(token(app, Scope.BLOCKLIST_ADMIN, Scope.METADATA_ADMIN)),
        "page of a session": page,
        "session without its page": cookie,
        "administrator": bearer(token(app, Scope.GLOBAL_ADMIN)),
    }


def ask(site: Live, method: str, route: str, headers: dict[str, str]) -> int:
    """The status of a request that names the closed repository and its source, with a body that nobody can take."""
    names = {"repo": MINE, "source": SOURCE, "name": "none", "id": "987654", "guid": "none", "kind": "ssh"}
    path = re.sub(r"\{(\w+)\}", lambda part: names[part[1]], route)
    body = {} if method == "GET" else {"body": b"[", "headers": {"Content-Type": "application/json"}}
    sent = {**headers, **body.pop("headers", {})}  # type: ignore[dict-item]
    return site.pool.request(method, f"{site.address}/__api__{path}", headers=sent, **body).status  # type: ignore[arg-type]


def expected(method: str, route: str, caller: str) -> int | str:
    need = POLICY[method, route]
    if caller == "wrong token":
        return OPEN if need is Need.OPEN else UNKNOWN
    if caller == "session without its page":
        if method != "GET":
            return REFUSED
        caller = "page of a session"
    if caller in LEAST[need]:
        return OPEN
    return UNKNOWN if caller == "anonymous" else REFUSED


def test_each_route_lets_in_those_who_may(site: Live) -> None:
    """Every route and every kind of caller: 401 for those who didn't say who they are, 403 for those who may not."""
    wrong = []
    senders = callers(site)
    for method, route in sorted(POLICY, key=lambda each: each[0] == "DELETE"):
        if (method, route) in OF_THEIR_OWN:
            continue
        for caller, headers in senders.items():
            if method == "DELETE" and caller == "administrator":
                continue  # it would be gone
            status = ask(site, method, route, headers)
            found = status if status in (401, 403) else OPEN
            if found != expected(method, route, caller) or status == 500:
                wrong.append(f"{method} {route}, {caller}: {status}, not {expected(method, route, caller)}")
            site.door.throttle._counts.clear()
    assert not wrong, "\n".join(wrong)


def test_what_writing_to_a_source_is(site: Live) -> None:
    """Its packages, builders, proposals and syncs; not its name, nor other sources, subscriptions or tokens."""
    assert {f"{method} {route}" for (method, route), need in POLICY.items() if need is Need.WRITE_SOURCE} == {
        "DELETE /sources/{source}/git-builders/{name}",
        "PATCH /sources/{source}/git-builders/{name}",
        "POST /sources/{source}/binaries",
        "POST /sources/{source}/binaries/remove",
        "POST /sources/{source}/describe",
        "POST /sources/{source}/git-builders",
        "POST /sources/{source}/git-builders/{name}/rerun",
        "POST /sources/{source}/git-builders/{name}/run",
        "POST /sources/{source}/packages",
        "POST /sources/{source}/packages/{name}/archive",
        "POST /sources/{source}/packages/{name}/remove",
        "POST /sources/{source}/packages/{name}/unyank",
        "POST /sources/{source}/packages/{name}/yank",
        "POST /sources/{source}/proposals",
        "POST /sources/{source}/proposals/{id}/commit",
        "POST /sources/{source}/sync",
    }
    mine = token(site.app, sources=[SOURCE])
    removal = "/sources/{}/packages/top/remove", {"scope": "current"}
    assert site.api("POST", removal[0].format(OTHER_SOURCE), removal[1], token=mine)[0] == 403
    assert site.api("POST", removal[0].format(SOURCE), removal[1], token=mine)[0] == 200
    refused: list[tuple[str, str, Any]] = [
        ("POST", "/sources", {"name": "new"}),
        ("DELETE", f"/sources/{SOURCE}", None),
        ("PATCH", f"/sources/{SOURCE}", {"name": "new"}),
        ("POST", "/repos", {"name": "new"}),
        ("POST", f"/repos/{OTHER}/sources", {"source": SOURCE}),
        ("DELETE", f"/repos/{MINE}/sources/{SOURCE}", None),
        ("PATCH", f"/repos/{MINE}", {"authenticated": False}),
        ("POST", "/tokens", {"scopes": ["sources:write"], "sources": [SOURCE], "description": "more"}),
    ]
    for method, path, body in refused:
        assert site.api(method, path, body, token=mine)[0] == 403, path
    assert site.api("GET", f"/repos/{MINE}", token=mine)[0] == 403
    rows = site.api("GET", f"/sources/{SOURCE}/transactions")[1]
    assert (rows[0]["actor"], rows[1]["actor"]) == ("ann", "admin")


def test_a_token_is_of_the_repository_and_not_of_its_name(site: Live) -> None:
    """It goes on after a rename, and opens neither a later repository with the old name nor one that was deleted."""
    text = token(site.app, repos=[MINE], sources=[SOURCE])

    def read(repo: str) -> int:
        index = site.get(f"/{repo}/latest/src/contrib/PACKAGES", Authorization=f"Bearer {text}").status
        assert site.api("GET", f"/repos/{repo}", token=text)[0] == index
        return index

    assert [read(MINE), read(MINE)] == [200, 200]
    assert site.api("PATCH", f"/repos/{MINE}", {"name": "renamed"})[0] == 200
    assert [read(MINE), read("renamed"), read("renamed")] == [403, 200, 200]
    assert site.api("POST", "/repos", {"name": MINE, "authenticated": True})[0] == 201
    site.api("POST", f"/repos/{MINE}/sources", {"source": OTHER_SOURCE})
    assert [read(MINE), read("renamed")] == [403, 200]
    assert site.api("DELETE", "/repos/renamed")[0] == 204
    assert read("renamed") == 403
    assert site.api("PATCH", f"/sources/{SOURCE}", {"name": "called-so"})[0] == 200
    assert site.api("POST", "/sources", {"name": SOURCE})[0] == 201
    removal = {"scope": "current"}
    assert site.api("POST", f"/sources/{SOURCE}/packages/top/remove", removal, token=text)[0] == 403
    assert site.api("POST", "/sources/called-so/packages/top/remove", removal, token=text)[0] == 200


def test_all_includes_what_comes_later(site: Live) -> None:
    """Of a scope for all repositories or all sources."""
    text = token(site.app, repos=None, sources=None)
    site.api("POST", "/repos", {"name": "later", "authenticated": True})
    site.api("POST", "/sources", {"name": "later-src"})
    assert site.api("GET", "/repos/later", token=text)[0] == 200
    removal = "/sources/later-src/packages/none/remove", {"scope": "current"}
    assert site.api("POST", *removal, token=text)[0] == 404
    assert site.api("POST", *removal, token=token(site.app, repos=None, sources=[SOURCE]))[0] == 403


def test_a_revoked_token_is_refused_at_once(site: Live) -> None:
    """Where it was revoked nobody believes it for another request, at the API, at indexes and at finished answers."""
    text = token(site.app, repos=[MINE])
    path = f"/{MINE}/latest/src/contrib/PACKAGES"
    for _ in range(2):
        assert site.get(path, Authorization=f"Bearer {text}").status == 200
    assert site.api("GET", f"/repos/{MINE}", token=text)[0] == 200
    (guid,) = (row["guid"] for row in site.api("GET", "/tokens")[1])
    assert site.api("DELETE", f"/tokens/{guid}")[0] in (200, 204)
    assert site.get(path, Authorization=f"Bearer {text}").status == 401
    assert site.api("GET", f"/repos/{MINE}", token=text)[0] == 401


def test_a_revoked_token_is_refused_on_other_nodes_within_five_seconds(site: Live, clock: Clock) -> None:
    """A node that believed it just now asks the database again in time; its finished answers are no way around."""
    text = token(site.app, repos=[MINE])
    path = f"/{MINE}/latest/src/contrib/PACKAGES"
    with opened(site.app.settings, clock) as app, running(app) as node:
        for _ in range(2):
            assert node.get(path, Authorization=f"Bearer {text}").status == 200
        assert path.encode() in node.hot
        ((info,), _) = tokens.list_tokens(site.app)
        began = time.monotonic()
        tokens.revoke_token(site.app, info.token.guid, by="admin")
        eventually(lambda: node.get(path, Authorization=f"Bearer {text}").status, lambda status: status == 401)
        assert time.monotonic() - began < 5
        assert path.encode() in node.hot


def test_a_token_ends(site: Live, clock: Clock) -> None:
    """To the second, also where it was believed just now."""
    text = token(site.app, repos=[MINE], lifetime=600)
    path = f"/{MINE}/latest/src/contrib/PACKAGES"
    clock.wait(seconds=599)
    assert [site.get(path, Authorization=f"Bearer {text}").status for _ in range(2)] == [200, 200]
    clock.wait(seconds=1)
    assert site.get(path, Authorization=f"Bearer {text}").status == 401
    assert site.api("GET", f"/repos/{MINE}", token=text)[0] == 401


def test_the_last_use_is_recorded(site: Live, clock: Clock) -> None:
    """When, and from where; a wrong token leaves nothing."""
    text = token(site.app, repos=[MINE])
    clock.wait(hours=3)
    assert site.get(f"/{MINE}/latest/src/contrib/PACKAGES", Authorization=f"Bearer {text}").status == 200
    assert site.get(f"/{MINE}/latest/src/contrib/PACKAGES", Authorization="Bearer wrong").status == 401
    site.door.flush()
    ((info,), _) = tokens.list_tokens(site.app)
    assert (info.token.last_used, info.token.last_address) == (clock.now, "127.0.0.1")
