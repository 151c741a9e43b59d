"""What people don't see shows up nowhere: each route of the API, asked for everything that there is and isn't."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from entrepot.core.access import Scope
from entrepot.operations import repositories
from entrepot.settings import Settings
from entrepot.web.policy import POLICY, Need
from tests.support.closed import (
    GONE,
    GONE_SOURCE,
    MARK,
    OTHER,
    PACKAGE,
    PY_PACKAGE,
    PY_SOURCE,
    SOURCES,
    VAULT,
    VAULT_PY,
    token,
    two_sides,
)
from tests.support.fake_cran import FakeCran
from tests.support.server import Clock, Live

pytestmark = pytest.mark.one_shape

NUMBERS = [str(number) for number in range(1, 26)]
NOWHERE = "zqsickle"
"""What stands for `MARK` in names of what there isn't."""
QUERIES = {
    "/repos/{repo}/packages/{name}/binaries/logs": "?distribution=bookworm&r_version=4.2",
    "/repos/{repo}/packages/{name}/sysreqs": "?distribution=debian&release=12",
    "/repos/{repo}/sysreqs": "?distribution=debian&release=12&all=true",
    "/repos/{repo}/diff": "?from=1",
    "/repos/{repo}/near": f"?name={MARK}pk",
    "/search": "?q=zq",
    "/sources/{source}/diff": "?from=1",
}
MORE = (
    "/jobs?source={source}",
    "/binary-builds?source={source}",
    "/binary-builds?target={name}",
    "/binary-builds?name={name}",
    "/sources?type=local",
    "/sources/{source}/git-builds?name={name}",
    "/repos/{repo}/packages?name_like=zq",
    "/repos/{repo}/search?q=zq",
    "/repos?_details=true",
    "/metrics/packages?repo={repo}",
    "/metrics/packages.csv?repo={repo}",
    "/metrics/days?repo={repo}",
    "/search?q=pkg",
)


@pytest.fixture
def site(
    settings: Settings, cran: FakeCran, clock: Clock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Live]:
    with two_sides(settings, cran, clock, tmp_path, monkeypatch) as live:
        yield live


def values(site: Live) -> dict[str, list[str]]:
    """What stands for each part of a path: names and numbers of the closed side, and some of the open one."""
    repos = [str(row["id"]) for row in site.api("GET", "/repos")[1] if MARK in row["name"]]
    sources = [str(row["id"]) for row in site.api("GET", "/sources")[1] if MARK in row["name"]]
    return {
        "repo": ["public", VAULT, GONE, *repos],
        "source": ["public-src", *SOURCES, PY_SOURCE, GONE_SOURCE, *sources],
        "name": ["publicpkg", PACKAGE, PY_PACKAGE, f"{MARK}demo", f"{MARK}-target", "everything", "1"],
        "id": NUMBERS,
        "guid": ["1"],
        "kind": ["ssh"],
    }


def paths(site: Live) -> Iterator[tuple[str, str]]:
    """Each reading route with all that its parts may be, below `/__api__`; and the same of what there isn't."""
    every = values(site)
    for route in [*(path for method, path in POLICY if method == "GET"), *MORE]:
        parts = re.findall(r"\{(\w+)\}", route)
        for chosen in itertools.product(*(every[part] for part in parts)):
            path = _filled(route, chosen) + QUERIES.get(route, "")
            yield path, path.replace(MARK, NOWHERE)


def _filled(route: str, chosen: Any) -> str:
    left = iter(chosen)
    return re.sub(r"\{\w+\}", lambda _: next(left), route)


def ask(site: Live, path: str, token: str) -> tuple[int, str]:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    found = site.pool.request("GET", f"{site.address}{path}", headers=headers)
    return found.status, found.data.decode()


@pytest.mark.parametrize("has_token", [False, True], ids=["nobody", "somebody else"])
def test_the_closed_side_shows_nowhere(site: Live, has_token: bool) -> None:
    """Whatever somebody asks who may not read it: no answer has a name of it, nor tells that there is something."""
    rules = (Scope.BLOCKLIST_ADMIN, Scope.METADATA_ADMIN)
    sent = token(site.app, *rules, repos=[OTHER], sources=["other-src"]) if has_token else ""
    answers: dict[str, tuple[int, str]] = {}

    def asked(path: str) -> tuple[int, str]:
        if path not in answers:
            answers[path] = ask(site, f"/__api__{path}", sent)
        return answers[path]

    for path, nowhere in paths(site):
        status, text = asked(path)
        assert status != 500, (path, text)
        if MARK in path:
            other, told = asked(nowhere)
            assert (status, text.replace(MARK, NOWHERE)) == (other, told), path
        else:
            assert MARK not in text, (path, text)
    for path in (
        "/",
        "/metrics",
        "/__ping__",
        "/__api__/status",
        "/public/latest",
        "/public/latest/src/contrib/PACKAGES",
    ):
        assert MARK not in ask(site, path, sent)[1], path


def test_the_crawler_would_see_it(site: Live) -> None:
    """An administrator is shown the closed side by nearly every route: what is missing above was left out."""
    shown: set[str] = set()
    for route, path in _by_route(site):
        if route not in shown:
            status, text = ask(site, f"/__api__{path}", site.token)
            if status == 200 and MARK in text:
                shown.add(route)
    silent = {
        route
        for (method, route), need in POLICY.items()
        if method == "GET" and need in (Need.LIMITED, Need.READ_REPOSITORY, Need.READ_SOURCE)
    } - shown
    assert silent == {
        "/metrics/days",
        "/queue",
        "/repos/{repo}/binaries",
        "/repos/{repo}/days",
        "/repos/{repo}/diff",
        "/repos/{repo}/first-transaction",
        "/repos/{repo}/packages/{name}/binaries",
        "/repos/{repo}/packages/{name}/sysreqs",
        "/repos/{repo}/setup/choices",
        "/repos/{repo}/sysreqs",
        "/repos/{repo}/transaction-dates",
        "/sources/{source}/describe",
    }  # these have no names, or need more than is there


def _by_route(site: Live) -> Iterator[tuple[str, str]]:
    """Route and path of what an administrator asks for the closed side."""
    every = values(site)
    for method, route in POLICY:
        if method == "GET":
            parts = re.findall(r"\{(\w+)\}", route)
            for chosen in itertools.product(*(every[part] for part in parts)):
                yield route, _filled(route, chosen) + QUERIES.get(route, "")


def test_ids_of_closed_repositories_are_as_those_of_none(site: Live) -> None:
    """A number opens no more than the name, and the refusal names the number."""
    (_, rows) = site.api("GET", "/repos")
    id_ = next(row["id"] for row in rows if row["name"] == VAULT)
    for sent, status in (("", 401), (token(site.app, repos=[OTHER]), 403)):
        found, none = (site.api("GET", f"/repos/{each}", token=sent) for each in (id_, 987654))
        assert found[0] == none[0] == status
        assert str(found).replace(str(id_), "N") == str(none).replace("987654", "N")


def test_lists_have_what_each_sees(site: Live) -> None:
    """Lists and their counts are of what the one who asks sees."""

    def listed(what: str, sent: str) -> list[str]:
        return [row["name"] for row in site.api("GET", what, token=sent)[1]]

    assert listed("/repos", "") == ["cran", "pypi", "public"]
    assert listed("/sources", "") == ["cran", "pypi", "public-src"]
    one = token(site.app, repos=[OTHER])
    assert listed("/repos", one) == ["cran", "pypi", "public", OTHER]
    assert listed("/sources", one) == ["cran", "pypi", "public-src", "other-src"]
    writer = token(site.app, sources=[f"{MARK}-src"])
    assert listed("/repos", writer) == ["cran", "pypi", "public"]
    assert listed("/sources", writer) == ["cran", "pypi", "public-src", f"{MARK}-src"]
    every = token(site.app, repos=None)
    assert listed("/repos", every) == listed("/repos", site.token)
    assert listed("/sources", every) == listed("/sources", site.token)
    assert len(listed("/sources", every)) == 10
    jobs = site.pool.request("GET", f"{site.address}/__api__/jobs")
    assert (jobs.headers["X-Total-Count"], [job["source"] for job in jobs.json()]) == ("1", ["public-src"])


def test_a_source_of_a_closed_repository_is_open_where_an_open_one_shows_it(site: Live) -> None:
    """Whoever may read one of its repositories sees a source; the other repository is told of nowhere."""
    status, told = site.api("GET", "/sources/public-src", token="")
    assert (status, told["name"]) == (200, "public-src")
    assert site.api("GET", "/sources/other-src", token="")[0] == 401


def test_what_a_deleted_closed_repository_showed_stays_closed(site: Live) -> None:
    """Deleting a closed repository opens nothing of it."""
    for repo in (VAULT, VAULT_PY, OTHER):
        repositories.delete_repository(site.app, repo)
    assert site.api("GET", f"/sources/{GONE_SOURCE}", token="")[0] == 401
    (_, rows) = site.api("GET", "/sources", token="")
    assert MARK not in str(rows)


def test_a_repository_tells_of_a_source_until_it_lost_it(site: Live) -> None:
    """An open repository had a source that is closed now: its history has what it showed then, and no more."""
    public, name = "public-src", f"{MARK}-src"
    assert site.api("POST", "/repos/public/sources", {"source": name})[0] == 200
    assert site.api("DELETE", f"/repos/public/sources/{name}")[0] == 200
    assert site.api("POST", f"/sources/{name}/packages/{PACKAGE}/remove", {"scope": "current"})[0] == 200
    told = {}
    for who, sent in (("anonymous", ""), ("admin", site.token)):
        rows = site.api("GET", "/repos/public/transactions?_limit=1000", token=sent)[1]
        told[who] = [(row["source"] or row["repository"], row["message"]) for row in rows]
    assert told["admin"][1:] == told["anonymous"]
    assert told["admin"][0][0] == name
    assert {source for source, _ in told["anonymous"]} == {"public", public, name}


def test_transactions_that_one_does_not_see_are_not_there(site: Live) -> None:
    """By its number too; nor is told how many there are."""
    newest = site.api("GET", "/repos/public/transactions")[1][0]["id"]
    hidden = site.api("GET", f"/repos/{VAULT}/transactions")[1][0]["id"]
    assert hidden > newest
    seen = site.api("GET", f"/transactions/{newest}", token="")
    assert (seen[0], seen[1]["repository"]) == (200, "public")
    assert site.api("GET", f"/transactions/{hidden}", token="") == (
        404,
        {"code": "not-found", "error": f"transaction {hidden} does not exist", "hint": None, "payload": None},
    )
    assert site.api("GET", f"/transactions/{hidden}", token=token(site.app, repos=[VAULT]))[0] == 200


def test_filter_packages_admits_as_elsewhere(site: Live) -> None:
    """The repository in the body is let in, or not, with the words of those in paths, before anything is looked up."""
    wrong = token(site.app, repos=[OTHER])
    for sent, status in (("", 401), (wrong, 403)):
        path = site.api("GET", f"/repos/{VAULT}", token=sent)
        for body in ({"repo": VAULT}, {"repo": VAULT, "snapshot": "no such"}):
            assert site.api("POST", "/filter/packages", body, token=sent) == path
        assert path[0] == status
        nowhere = site.api("POST", "/filter/packages", {"repo": "zqnothing"}, token=sent)
        assert (nowhere[0], str(nowhere[1]).replace("zqnothing", VAULT)) == (status, str(path[1]))
    headers = {"Authorization": f"Bearer {token(site.app, repos=[VAULT])}"}
    url = f"{site.address}/__api__/filter/packages"
    found = site.pool.request("POST", url, json={"repo": VAULT, "names": [PACKAGE]}, headers=headers)
    assert (found.status, found.json()["name"]) == (200, PACKAGE)
    found = site.pool.request("POST", url, json={"repo": "public", "names": ["publicpkg"]})
    assert (found.status, found.json()["name"]) == (200, "publicpkg")


def test_jobs_are_cancelled_by_those_who_write_to_their_source(site: Live) -> None:
    """Who sends no token is asked for one, others are told what theirs lacks; what they don't see is not there."""
    rows = site.api("GET", "/jobs?_order=asc&kind=sync")[1]
    hidden, public, of_none = (row["id"] for row in rows)

    def cancel(id_: int, sent: str) -> int:
        return site.api("POST", f"/jobs/{id_}/cancel", token=sent)[0]

    other = token(site.app, sources=["other-src"])
    assert [cancel(id_, "") for id_ in (hidden, public, of_none, 987654)] == [401] * 4
    assert [cancel(id_, other) for id_ in (hidden, public, of_none, 987654)] == [404, 403, 404, 404]
    assert cancel(of_none, token(site.app, repos=None, sources=None)) == 403
    assert cancel(public, token(site.app, sources=["public-src"])) == 200
    assert [cancel(id_, site.token) for id_ in (hidden, of_none)] == [200, 200]


def test_programs_of_build_targets_are_for_administrators(site: Live) -> None:
    """Others see a target of an open repository, without the command, R's path, its fault and the job."""
    rows = site.api("GET", "/build-targets", token="")[1]
    assert [(row["name"], row["r"], row["command"], row["fault"]) for row in rows] == [("everything", "", "", None)]
    rows = site.api("GET", "/build-targets", token=token(site.app, repos=None))[1]
    assert [(row["name"], row["r"], row["command"]) for row in rows] == [
        ("everything", "", ""),
        (f"{MARK}-target", "", ""),
    ]
    rows = site.api("GET", "/build-targets")[1]
    assert {(row["r"], row["command"]) for row in rows} == {(f"/opt/{MARK}/bin/R", f"ssh {MARK}-host")}


def test_status_tells_whether_tokens_are_of_use(site: Live) -> None:
    """`auth_enabled` where a repository is closed, `repos_require_auth` where all are; `cran_repo` is one to read."""

    def told(sent: str = "") -> tuple[bool, bool, bool, str]:
        found = site.api("GET", "/status", token=sent)[1]
        return found["auth_enabled"], found["repos_require_auth"], found["sso_enabled"], found["cran_repo"]

    assert told() == (True, False, False, "cran")
    for repo in ("cran", "pypi", "public"):
        site.api("PATCH", f"/repos/{repo}", {"authenticated": True})
    assert told() == (True, True, False, "")
    assert told(token(site.app, repos=["cran"])) == (True, True, False, "cran")
    assert site.api("GET", "/status", token="")[1]["sources"] == {}
    for repo in (row["name"] for row in site.api("GET", "/repos")[1]):
        site.api("PATCH", f"/repos/{repo}", {"authenticated": False})
    assert told() == (False, False, False, "cran")
