"""Closed repositories as package clients meet them: what is answered, to whom, and what caches may keep."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from pathlib import Path

import pytest
import urllib3

from entrepot.core.model import SourceType
from entrepot.operations import repositories, sources
from tests.support.archives import make_source_package
from tests.support.browser import Browser
from tests.support.closed import add, repository, token
from tests.support.distributions import wheel
from tests.support.server import Live

pytestmark = pytest.mark.one_shape

R_FILE, R_BYTES = "top_1.0.tar.gz", make_source_package("top", "1.0")
WHEEL, WHEEL_BYTES = wheel("top", "1.0")
R_INDEX = "latest/src/contrib/PACKAGES"
R_PATHS = {
    "index": R_INDEX,
    "compressed": "latest/src/contrib/PACKAGES.gz",
    "rds": "latest/src/contrib/PACKAGES.rds",
    "file": f"latest/src/contrib/{R_FILE}",
    "archive": "latest/src/contrib/Meta/archive.rds",
    "linux index": f"__linux__/bookworm/{R_INDEX}",
    "linux file": f"__linux__/bookworm/latest/src/contrib/{R_FILE}",
    "missing": "latest/src/contrib/none_1.0.tar.gz",
    "about": "latest",
    "about it": "",
    "no snapshot": "1999-01-01/src/contrib/PACKAGES",
    "no such snapshot": "never/src/contrib/PACKAGES",
}
PY_PATHS = {
    "projects": "latest/simple/",
    "page": "latest/simple/top/",
    "moved": "latest/simple/top",
    "page in JSON": "latest/pypi/top/json",
    "file": f"latest/packages/top/{WHEEL}",
    "metadata": f"latest/packages/top/{WHEEL}.metadata",
}
OTHERS = {
    "config of Bioconductor": "config.yaml",
    "part of Bioconductor": "packages/3.18/bioc/src/contrib/PACKAGES",
    "windows": "latest/bin/windows/contrib/4.2/PACKAGES.rds",
}
PATHS = [f"/{{}}/{path}".removesuffix("/") for path in (*R_PATHS.values(), *PY_PATHS.values(), *OTHERS.values())]
PATHS += [f"/packages/{{}}/latest/top/{WHEEL}", "/{}/"]
CHALLENGES = ['Basic realm="entrepot", charset="UTF-8"', 'Bearer realm="entrepot"']


@pytest.fixture
def site(live: Live, tmp_path: Path) -> Live:
    """The same packages in closed and in open repositories, and a closed one of others."""
    app = live.app
    sources.create_source(app, "src", type_=SourceType.LOCAL)
    sources.create_source(app, "pysrc", type_=SourceType.LOCAL_PYTHON)
    add(app, "src", tmp_path, R_FILE, R_BYTES)
    add(app, "pysrc", tmp_path, WHEEL, WHEEL_BYTES)
    for name, is_closed in (("vault", True), ("free", False), ("other", True)):
        repository(app, name, "src", is_closed=is_closed)
        repository(app, f"{name}py", "pysrc", is_closed=is_closed, is_python=True)
    return live


def bearer(text: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {text}"}


def basic(text: str, user: str = "__token__") -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{text}".encode()).decode()}


def ask(site: Live, path: str, headers: Mapping[str, str], method: str = "GET") -> urllib3.BaseHTTPResponse:
    return site.get(path, method, **{name.replace("-", "_"): value for name, value in headers.items()})


def whole(answer: urllib3.BaseHTTPResponse, name: str = "") -> tuple[int, str | None, list[tuple[str, str]], bytes]:
    """Status, reason, headers and body, without the date and with `name` blotted out."""
    headers = [(key.lower(), value) for key, value in answer.headers.items() if key.lower() != "date"]
    told = [(key, value) for key, value in headers if key != "content-length" or not name]
    blot = name.encode() or b"\0"
    reason = (answer.reason or "").replace(name or "\0", "NAME")
    return answer.status, reason, sorted(told), answer.data.replace(blot, b"NAME")


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_without_a_token_a_closed_repository_is_as_one_that_is_not_there(site: Live, method: str) -> None:
    """401 with both ways to prove who one is at every path, with the same bytes but for the name, kept by nobody."""
    more: list[dict[str, str]] = [{}, {"Range": "bytes=0-9"}, {"If-None-Match": "*"}, {"Cookie": "entrepot_session=x"}]
    for path in PATHS:
        for headers in more:
            found, none = (ask(site, path.format(name), headers, method) for name in ("vault", "never"))
            assert found.status == 401, path
            assert whole(found, "vault") == whole(none, "never"), path
            assert found.headers.getlist("WWW-Authenticate") == CHALLENGES
            assert found.headers["Cache-Control"] == "no-store"
            assert method == "GET" or found.data == b""


def test_who_may_not_read_it_is_told_the_same_of_what_is_not_there(site: Live) -> None:
    """403 at every path, with the same bytes but for the name; a token of no use gets 401 everywhere."""
    other = token(site.app, repos=["other", "otherpy"])
    for path in PATHS:
        found, none = (ask(site, path.format(name), bearer(other)) for name in ("vault", "never"))
        assert found.status == 403, path
        assert whole(found, "vault") == whole(none, "never"), path
        wrong, none = (ask(site, path.format(name), bearer(f"{other}x")) for name in ("vault", "never"))
        assert wrong.status == 401, path
        assert whole(wrong, "vault") == whole(none, "never"), path
        site.door.throttle._counts.clear()  # or it would soon be "too many"


def test_the_refusals_say_what_to_do(site: Live) -> None:
    """Both are one readable line of text: R, pip and curl print little more."""
    told = site.get(f"/vault/{R_INDEX}").data.decode()
    assert "a token is needed" in told
    assert "__token__" in told
    told = ask(site, f"/vault/{R_INDEX}", bearer(token(site.app, repos=["other"]))).data.decode()
    assert "this token may not read repository 'vault', or there is none of that name" in told
    assert "repos:read" in told


@pytest.mark.parametrize(("repo", "paths"), [("vault", R_PATHS), ("vaultpy", PY_PATHS)])
def test_a_token_reads_what_an_open_repository_would_answer(site: Live, repo: str, paths: dict[str, str]) -> None:
    """With Basic, Bearer and a session's cookie: the answer of the same open repository, but for what caches are told;
    the second time as the first."""
    text = token(site.app, repos=[repo])
    browser = Browser(site)
    browser.sign_in(text)
    cookie = {"Cookie": "; ".join(f"{name}={value}" for name, value in browser.cookies.items())}
    open_ = repo.replace("vault", "free")
    for path in paths.values():
        plain = whole(site.get(f"/{open_}/{path}".removesuffix("/")), open_)
        for headers in (basic(text), bearer(text), cookie) * 2:
            found = whole(ask(site, f"/{repo}/{path}".removesuffix("/"), headers), repo)
            assert (found[0], found[1], found[3]) == (plain[0], plain[1], plain[3]), path
            told, expected = dict(found[2]), dict(plain[2])
            assert told.pop("cache-control") == expected.pop("cache-control").replace("public", "private")
            varies = [expected.pop("vary", ""), "authorization, cookie"]
            assert told.pop("vary") == ", ".join(filter(None, varies))
            if found[0] != 308:
                told.pop("etag", None), expected.pop("etag", None)
            told.pop("location", None), expected.pop("location", None)
            assert told == expected, path


def test_finished_answers_are_for_those_who_may(site: Live) -> None:
    """What was answered to one is kept, and given out to nobody who may not have it."""
    good, other = token(site.app, repos=["vault"]), token(site.app, repos=["other"])
    for path in (f"/vault/{R_INDEX}", f"/vault/latest/src/contrib/{R_FILE}", "/vault/latest/src/contrib/none_1.tar.gz"):
        first = ask(site, path, basic(good))
        assert path.encode() in site.hot
        assert [ask(site, path, headers).status for headers in ({}, bearer(other), basic(good, user="me"))] == [
            401,
            403,
            401,
        ]
        assert site.get(path, "HEAD").status == 401
        again = ask(site, path, basic(good))
        assert whole(again) == whole(first)
        tag = again.headers.get("ETag")
        if tag:
            same = ask(site, path, {**basic(good), "If-None-Match": tag})
            assert (same.status, same.headers["Cache-Control"][:7]) == (304, "private")
            assert "authorization" in same.headers["Vary"]
            assert ask(site, path, {"If-None-Match": tag}).status == 401
        assert path.encode() in site.hot


def test_part_of_a_file_is_private_as_the_whole(site: Live) -> None:
    """A range, and what a HEAD tells."""
    path, good = f"/vault/latest/src/contrib/{R_FILE}", bearer(token(site.app, repos=["vault"]))
    part = ask(site, path, {**good, "Range": "bytes=0-9"})
    assert (part.status, part.data) == (206, R_BYTES[:10])
    head = ask(site, path, good, "HEAD")
    for answer in (part, head):
        assert answer.headers["Cache-Control"].startswith("private")
        assert answer.headers["Vary"] == "authorization, cookie"


def test_an_open_repository_asks_nobody_who_they_are(site: Live) -> None:
    """With a token, without, or with one that is of no use: one answer, which caches share.

    A client sends a token that ended with everything that it asks of a host, and what is open needs none.
    """
    for path in (
        f"/free/{R_INDEX}",
        f"/free/latest/src/contrib/{R_FILE}",
        "/freepy/latest/simple/top/",
        "/free/latest",
    ):
        plain = whole(site.get(path))
        assert "public" in dict(plain[2])["cache-control"]
        for headers in (bearer(token(site.app, repos=["other"])), bearer("wrong"), basic("wrong"), {"Cookie": "a=b"}):
            assert whole(ask(site, path, headers)) == plain
    assert site.door.throttle.wait("127.0.0.1") == 0


def test_nothing_is_hidden_where_nothing_is_closed(live: Live) -> None:
    """Where all is open, a name that nobody has is not there: 404, as ever."""
    assert live.get("/never/latest/src/contrib/PACKAGES").status == 404
    repositories.create_repository(live.app, "vault", type_=repositories.RepositoryType.R, is_closed=True)
    assert live.get("/never/latest/src/contrib/PACKAGES").status == 401
    every = bearer(token(live.app, repos=None))
    assert ask(live, "/never/latest/src/contrib/PACKAGES", every).status == 404


def test_closing_and_opening_counts_at_once(site: Live) -> None:
    """Also for answers that are kept."""
    path = f"/free/{R_INDEX}"
    good = bearer(token(site.app, repos=["free"]))
    assert [site.get(path).status for _ in range(2)] == [200, 200]
    assert path.encode() in site.hot
    for is_closed in (True, False, True):
        assert site.api("PATCH", "/repos/free", {"authenticated": is_closed})[1]["auth"] is is_closed
        for _ in range(2):
            assert site.get(path).status == (401 if is_closed else 200)
            found = ask(site, path, good)
            assert (found.status, found.headers["Cache-Control"].split(",")[0]) == (
                200,
                "private" if is_closed else "public",
            )
    assert site.api("GET", "/repos/free", token="")[0] == 401


def test_uploads_are_refused_alike_whether_the_source_is_there(site: Live) -> None:
    """To those without a token, and to those whose token is for something else."""
    for headers, status in (({}, 401), (basic(token(site.app, repos=None)), 403)):
        found, none = (
            site.pool.request("POST", f"{site.address}/upload/pypi/{name}", headers=headers, fields={"a": "b"})
            for name in ("pysrc", "never")
        )
        assert found.status == none.status == status
        assert whole(found, "pysrc") == whole(none, "never")


def test_the_login_of_a_url_is_taken(site: Live) -> None:
    """Clients make Basic authentication of `http://__token__:TOKEN@host/`; no address that we tell has it."""
    text = token(site.app, repos=["vaultpy"])
    headers = urllib3.make_headers(basic_auth=f"__token__:{text}")
    page = ask(site, "/vaultpy/latest/simple/top/", {"Authorization": headers["authorization"]})
    assert page.status == 200
    assert text.encode() not in page.data
    moved = ask(site, "/vaultpy/latest/simple/top", basic(text))
    assert (moved.status, text in str(moved.headers)) == (308, False)


def test_answers_of_the_api_are_kept_by_nobody(site: Live) -> None:
    """A session's cookie is no sign for a cache that an answer is for one person."""
    browser = Browser(site)
    browser.sign_in(token(site.app, repos=["vault"]))
    page = browser.get("/__api__/repos/vault")
    assert (page.status, page.headers["Cache-Control"]) == (200, "no-store")
