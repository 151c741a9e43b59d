"""The JSON API: who may write, shapes, paging, errors."""

from __future__ import annotations

import hashlib
import html
import random
import shutil
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import pytest
import urllib3

from entrepot.core.errors import UpstreamUnavailable
from entrepot.sandbox.box import detect
from entrepot.web.policy import POLICY, Need
from tests.support.archives import make_source_package
from tests.support.distributions import sdist, wheel
from tests.support.fake_cran import FakeCran
from tests.support.fake_pypi import FakePypi
from tests.support.server import Clock, Live, eventually, sync


@pytest.fixture
def site(live: Live) -> Live:
    live.api("POST", "/sources", {"name": "internal"})
    live.api("POST", "/repos", {"name": "mine", "description": "Our own"})
    live.api("POST", "/repos/mine/sources", {"source": "internal"})
    return live


WRITES: list[tuple[str, str, Any]] = [
    ("POST", "/repos", {"name": "x"}),
    ("PATCH", "/repos/mine", {"description": "x"}),
    ("DELETE", "/repos/mine", None),
    ("POST", "/repos/mine/sources", {"source": "cran"}),
    ("PUT", "/repos/mine/sources", {"sources": []}),
    ("POST", "/repos/mine/sources/preview", {"sources": ["cran"]}),
    ("DELETE", "/repos/mine/sources/internal", None),
    ("POST", "/sources", {"name": "x"}),
    ("PATCH", "/sources/internal", {"name": "x"}),
    ("DELETE", "/sources/internal", None),
    ("POST", "/sources/internal/packages", None),
    ("POST", "/sources/internal/packages/p/archive", {}),
    ("POST", "/sources/internal/packages/p/remove", {"scope": "all"}),
    ("POST", "/sources/internal/packages/p/yank", {"scope": "all"}),
    ("POST", "/sources/internal/packages/p/unyank", {"scope": "all"}),
    ("POST", "/sources/cran/sync", {}),
    ("POST", "/sysreqs/rules/sync", {}),
    ("POST", "/sources/cran/describe", {}),
    ("POST", "/sources/internal/proposals", {"list": "abc"}),
    ("POST", "/sources/internal/proposals/1/commit", {}),
    ("POST", "/jobs/1/cancel", {}),
    ("POST", "/git-credentials", {}),
    ("PUT", "/git-credentials/ssh/x", {}),
    ("DELETE", "/git-credentials/ssh/x", None),
    ("POST", "/encrypt", {"text": "x"}),
    ("POST", "/rotate-key", {}),
    ("POST", "/sources/internal/git-builders", {"url": "https://git.example.org/x.git"}),
    ("PATCH", "/sources/internal/git-builders/x", {}),
    ("DELETE", "/sources/internal/git-builders/x", None),
    ("POST", "/sources/internal/git-builders/x/run", {}),
    ("POST", "/sources/internal/git-builders/x/rerun", {}),
    ("POST", "/sources/internal/binaries", None),
    ("POST", "/sources/internal/binaries/remove", {"name": "p", "version": "1.0", "distribution": "bookworm"}),
    ("POST", "/build-targets", {"distribution": "bookworm"}),
    ("DELETE", "/build-targets/x", None),
    ("POST", "/build-targets/x/run", {}),
    ("POST", "/build-targets/x/rerun", {}),
    ("POST", "/tokens", {"scopes": ["global:admin"], "description": "x"}),
    ("DELETE", "/tokens/x", None),
    ("POST", "/tokens/revoke", {"guid": "x"}),
]


@pytest.mark.parametrize(("method", "path", "body"), WRITES)
def test_writing_needs_the_administrators_token(site: Live, method: str, path: str, body: Any) -> None:
    """Without a token 401, with a wrong one too, and nothing changed."""
    before = site.api("GET", "/repos"), site.api("GET", "/sources")
    status, error = site.api(method, path, body, token="")
    assert (status, error["code"]) == (401, "unauthenticated")
    assert site.api(method, path, body, token="wrong")[0] == 401
    assert (site.api("GET", "/repos"), site.api("GET", "/sources")) == before


def test_the_status_says_what_can_be_built(site: Live) -> None:
    can_be_shut_off = detect() is None
    (_, status) = site.api("GET", "/status")
    assert status["r_configured"] == (can_be_shut_off and shutil.which("R") is not None)
    assert status["python_configured"] in (True, False)


def test_every_writing_route_is_in_that_list(site: Live) -> None:
    """A new route that writes can't be forgotten above."""
    paths = site.api("GET", "/openapi.json")[1]["paths"]
    open_to_all = {("POST", "/filter/packages")} | {
        route for route, need in POLICY.items() if need in (Need.OPEN, Need.READ_REPOSITORY)
    }
    routes = {(method.upper(), path.removeprefix("/__api__")) for path, item in paths.items() for method in item}
    writing = {route for route in routes if route[0] != "GET"} - open_to_all
    assert len(writing) == len(WRITES)


def test_basic_authentication_with_the_token(site: Live) -> None:
    """HTTP Basic with the user __token__ is the same as a bearer token."""
    for user, expected in (("__token__", 201), ("admin", 401)):
        headers = urllib3.make_headers(basic_auth=f"{user}:{site.token}")
        answer = site.pool.request("POST", f"{site.address}/__api__/repos", json={"name": "basic"}, headers=headers)
        assert answer.status == expected


def test_repository_shapes(site: Live) -> None:
    """What clients of the product read of repositories and sources."""
    (_, repo) = site.api("GET", "/repos/mine")
    assert {k: v for k, v in repo.items() if k not in ("id", "created")} == {
        "name": "mine",
        "type": "R",
        "description": "Our own",
        "auth": False,
        "sources": ["internal"],
        "transaction": 3,
    }
    assert site.api("GET", f"/repos/{repo['id']}")[1] == repo
    (_, sources) = site.api("GET", "/sources?type=cran")
    assert [(s["name"], s["mirror"], s["sync"]["state"]) for s in sources] == [("cran", True, "never")]
    assert [s["name"] for s in site.api("GET", "/repos/mine/sources")[1]] == ["internal"]


def test_creating_twice(site: Live) -> None:
    """201, then 409 with a stable code, then 200 with succeed_on_existing."""
    assert site.api("POST", "/repos", {"name": "two"})[0] == 201
    status, error = site.api("POST", "/repos", {"name": "two"})
    assert (status, error["code"], sorted(error)) == (409, "name-taken", ["code", "error", "hint", "payload"])
    assert site.api("POST", "/repos", {"name": "two", "succeed_on_existing": True})[0] == 200


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"name": "../x"}, 422, "invalid-name"),
        ({"name": "x", "type": "perl"}, 422, "invalid"),
        ({"name": "x", "colour": "red"}, 422, "invalid"),
        ({}, 422, "invalid"),
        ([], 422, "invalid"),
    ],
)
def test_bad_requests(site: Live, body: Any, status: int, code: str) -> None:
    """A bad body gets 422 in the shape of all errors."""
    answer = site.api("POST", "/repos", body)
    assert (answer[0], answer[1]["code"]) == (status, code)
    assert "\n" not in answer[1]["error"]


def test_unknown_things_are_404(site: Live) -> None:
    """Unknown ids and paths have the shape of all errors."""
    for path in (
        "/repos/nope",
        "/sources/nope",
        "/jobs/99",
        "/transactions/99",
        "/repos/mine/packages/nope",
        "/nothing",
    ):
        status, error = site.api("GET", path)
        assert (status, sorted(error)) == (404, ["code", "error", "hint", "payload"])


def test_packages_with_paging(site: Live) -> None:
    """Paging, order, search, and the number of all rows."""
    files = [(f"p{n:02}_1.0.tar.gz", make_source_package(f"p{n:02}", "1.0")) for n in range(12)]
    assert site.upload("internal", *files)[0] == 200
    response = site.get("/__api__/repos/mine/packages?_limit=5&_page=3")
    assert response.headers["X-Total-Count"] == "12"
    assert [row["name"] for row in response.json()] == ["p10", "p11"]
    (_, rows) = site.api("GET", "/repos/mine/packages?_order=desc&_limit=2")
    assert [row["name"] for row in rows] == ["p11", "p10"]
    (_, rows) = site.api("GET", "/sources/internal/packages?name_like=P0")
    assert len(rows) == 10
    assert (rows[0]["version"], rows[0]["source"], rows[0]["license"]) == ("1.0", "internal", rows[0]["license"])
    assert site.api("GET", "/repos/mine/packages?_limit=1001")[0] == 422
    assert site.api("GET", "/repos/mine/packages?snapshot=2024-03-01")[0] == 404


def names(site: Live, path: str) -> list[str]:
    """The names in a list that has to be answered, after the number of all rows was found in its header."""
    answer = site.get(f"/__api__{path}")
    assert (answer.status, answer.headers["X-Total-Count"].isdecimal()) == (200, True)
    return [row["name"] for row in answer.json()]


@pytest.mark.parametrize("place", ["/repos/mine", "/sources/internal"])
def test_packages_are_sorted(site: Live, place: str) -> None:
    """By name, version as R orders them, date or size, both ways; equals stay in the order of names."""
    noise = random.Random(1).randbytes(5000)
    for name, version, files in (("c", "1.10", {}), ("a", "1.9", {"inst/x": noise}), ("b", "1.9", {})):
        package = make_source_package(name * 2, version, files=files)
        assert site.upload("internal", (f"{name * 2}_{version}.tar.gz", package))[0] == 200
        site.app.clock.wait(hours=1)  # type: ignore[attr-defined]
    wanted = {
        "": "aa bb cc",
        "_order=desc": "cc bb aa",
        "_sort=name": "aa bb cc",
        "_sort=version": "aa bb cc",
        "_sort=version&_order=desc": "cc aa bb",
        "_sort=package_date": "cc aa bb",
        "_sort=package_date&_order=desc": "bb aa cc",
        "_sort=package_size&_order=desc&_limit=1": "aa",
        "_sort=package_date&_limit=2&_page=2": "bb",
    }
    assert {query: " ".join(names(site, f"{place}/packages?{query}")) for query in wanted} == wanted


def test_short_lists_are_whole_or_paged(site: Live) -> None:
    """Repositories and sources all come at once, or by the page; by id or by name."""
    for name in ("zeta", "alpha", "m"):
        site.api("POST", "/repos", {"name": name})
        site.api("POST", "/sources", {"name": name})
    assert names(site, "/repos") == ["cran", "pypi", "mine", "zeta", "alpha", "m"]
    assert names(site, "/repos?_sort=name&_limit=2&_page=2") == ["m", "mine"]
    assert names(site, "/repos?_order=desc&_limit=1") == ["m"]
    assert names(site, "/repos?_page=2") == []
    ordered = ["zeta", "pypi", "m", "internal", "cran", "bioconductor", "alpha"]
    assert names(site, "/sources?_sort=name&_order=desc") == ordered
    assert names(site, "/sources?type=local&_limit=3&_page=2") == ["m"]
    site.api("POST", "/repos/mine/sources", {"source": "alpha"})
    assert names(site, "/repos/mine/sources") == ["internal", "alpha"]
    assert names(site, "/repos/mine/sources?_limit=1&_page=2") == ["alpha"]
    assert site.get("/__api__/repos/mine/sources?_limit=1").headers["X-Total-Count"] == "2"


LISTS = {
    "/repos": "id name",
    "/sources": "id name",
    "/repos/mine/packages": "name version package_date package_size",
    "/sources/internal/packages": "name version package_date package_size",
    "/repos/mine/transactions": "id time",
    "/sources/internal/transactions": "id time",
    "/repos/mine/transaction-dates": "date",
}


@pytest.mark.parametrize("path", LISTS)
def test_wrong_paging_is_refused(site: Live, path: str) -> None:
    """What isn't a page, an order or a field to sort by: 422 that names what may be said."""
    for sort in LISTS[path].split():
        for order in ("asc", "desc"):
            answer = site.get(f"/__api__{path}?_sort={sort}&_order={order}")
            assert (answer.status, "X-Total-Count" in answer.headers) == (200, True)
    status, error = site.api("GET", f"{path}?_sort=colour")
    assert (status, error["code"]) == (422, "invalid")
    assert all(f"'{sort}'" in error["error"] for sort in LISTS[path].split())
    status, error = site.api("GET", f"{path}?_order=up")
    assert (status, error["error"]) == (422, "_order: Input should be 'asc' or 'desc'")
    for query in ("_limit=0", "_limit=1001", "_limit=x", "_page=0", "_page=-1", f"_page={BIG}", f"_limit={BIG}"):
        assert site.api("GET", f"{path}?{query}")[0] == 422, query
    answer = site.get(f"/__api__{path}?_limit=1000&_page=1000000000")
    assert (answer.status, answer.json()) == (200, [])


BIG = "99999999999999999999"


@pytest.mark.parametrize(
    "path",
    [
        *(f"/transactions/{id_}" for id_ in (BIG, "9" * 5000, "0", "-1", "²", "x", str(2**62), str(2**63))),
        *(f"/jobs/{id_}" for id_ in (BIG, "9" * 5000, "0", "-1", "²", "x", str(2**62), str(2**63))),
        *(
            f"/{noun}/{id_}"
            for noun in ("repos", "sources")
            for id_ in (BIG, "²", "%C2%B2", "9" * 18, "%00", "-1", "٣")
        ),
        "/repos/²/packages",
        "/repos/mine/packages/²",
        "/repos/mine/packages/%00",
        "/repos/mine/packages?snapshot=²",
        f"/repos/mine/packages?snapshot={BIG}",
        f"/repos/mine/packages?snapshot={'9' * 18}",
        f"/sources/internal/packages?snapshot={'9' * 18}",
        "/sources/internal/packages/x?version=%00",
    ],
)
def test_odd_numbers_are_no_bugs(site: Live, path: str) -> None:
    """Numbers that no database takes, digits of other kinds and NUL: 404 or 422, never 500."""
    status, error = site.api("GET", quote(path, safe="/?=%"))
    assert status in (404, 422), error
    assert sorted(error) == ["code", "error", "hint", "payload"]


def test_a_nul_in_a_text_is_refused(site: Live) -> None:
    """PostgreSQL can't keep it, so neither database does."""
    assert site.api("POST", "/repos", {"name": "x", "description": "a\0b"})[0] == 422
    assert site.api("PATCH", "/repos/mine", {"description": "a\0b"})[0] == 422
    assert site.api("POST", "/sources/internal/packages/p/archive", {"comment": "a\0b"})[0] == 422
    assert site.api("POST", "/repos/mine/sources", {"source": "a\0b"})[0] == 404
    assert site.api("PATCH", "/repos/mine", {"description": "two\nlines"})[0] == 200
    file = ("demo_1.0.tar.gz", make_source_package("demo", "1.0"))
    assert site.upload("internal", file, comment="a\0b")[0] == 422
    assert names(site, "/sources/internal/packages?name=%00") == []


def test_package_record(site: Live) -> None:
    """A record has the DESCRIPTION, the hashes and all versions."""
    site.upload("internal", ("demo_1.0.tar.gz", make_source_package("demo", "1.0")))
    site.upload("internal", ("demo_1.1.tar.gz", make_source_package("demo", "1.1")))
    (_, record) = site.api("GET", "/repos/mine/packages/demo")
    assert (record["version"], record["is_archived"], record["fields"]["Package"]) == ("1.1", False, "demo")
    assert [(v["version"], v["is_current"]) for v in record["versions"]] == [("1.1", True), ("1.0", False)]
    (_, old) = site.api("GET", "/repos/mine/packages/demo?version=1.0")
    assert (old["version"], old["is_archived"]) == ("1.0", True)
    assert len(old["checksum"]) == 64
    assert sorted(old) == sorted(record)
    assert site.api("GET", "/repos/mine/packages/demo?version=7")[0] == 404


def test_titles_and_dependencies(site: Live) -> None:
    """A summary has the title; a record also what the package needs, read from its DESCRIPTION."""
    fields = {"Depends": "R (>= 3.5.0)", "Imports": "utils,\nrlang (>= 1.0-2)", "LinkingTo": "cpp11", "Enhances": ""}
    site.upload("internal", ("demo_1.0.tar.gz", make_source_package("demo", "1.0", fields=fields)))
    for path in ("/repos/mine", "/sources/internal"):
        (_, rows) = site.api("GET", f"{path}/packages")
        assert [(row["name"], row["title"]) for row in rows] == [("demo", "What demo Does")]
        (_, record) = site.api("GET", f"{path}/packages/demo")
        assert (record["title"], record["summary"], record["tran_archive"]) == (
            "What demo Does",
            "What demo Does",
            None,
        )
        assert record["dependencies"] == {
            "depends": [{"name": "R", "operator": ">=", "version": "3.5.0", "requirement": None}],
            "imports": [
                {"name": "utils", "operator": None, "version": None, "requirement": None},
                {"name": "rlang", "operator": ">=", "version": "1.0-2", "requirement": None},
            ],
            "linkingto": [{"name": "cpp11", "operator": None, "version": None, "requirement": None}],
            "suggests": [],
            "enhances": [],
        }


def test_when_it_occurred(site: Live) -> None:
    """A record tells when its version became what it is there: current at the old snapshot, archived by now."""
    clock: Clock = site.app.clock  # type: ignore[assignment]
    occurred = {}
    for version in ("1.0", "1.1"):
        site.upload("internal", (f"demo_{version}.tar.gz", make_source_package("demo", version)))
        clock.wait(hours=1)
    for snapshot in ("4", "latest"):
        (_, record) = site.api("GET", f"/repos/mine/packages/demo?version=1.0&snapshot={snapshot}")
        occurred[snapshot] = (record["is_archived"], record["occurred"])
    assert occurred == {"4": (False, "2024-03-01T12:00:00Z"), "latest": (True, "2024-03-01T13:00:00Z")}


def test_a_mirrored_package_without_its_description(live_mirrored: Live, cran: FakeCran) -> None:
    """Of a package that nobody has downloaded the title is null; its dependencies are those of the index."""
    package = make_source_package("alpha", "1.0", fields={"Imports": "utils"})
    cran.add("alpha", "1.0", package)
    cran.publish()
    sync(live_mirrored.app)
    (_, record) = live_mirrored.api("GET", "/repos/cran/packages/alpha")
    assert (record["title"], record["summary"], record["description"]) == (None, None, None)
    assert record["dependencies"]["imports"] == [
        {"name": "utils", "operator": None, "version": None, "requirement": None}
    ]
    assert live_mirrored.get("/cran/latest/src/contrib/alpha_1.0.tar.gz").data == package
    found = eventually(lambda: live_mirrored.api("GET", "/sources/cran/packages")[1], lambda rows: rows[0]["title"])
    assert [row["title"] for row in found] == ["What alpha Does"]


def test_transactions(site: Live) -> None:
    """Newest first, with counts; each with its changes; days once they are over."""
    site.upload("internal", ("demo_1.0.tar.gz", make_source_package("demo", "1.0")), comment="first of its kind")
    (_, rows) = site.api("GET", "/repos/mine/transactions")
    assert [(row["id"], row["source"], row["repository"], row["message"]) for row in rows] == [
        (4, "internal", None, "first of its kind"),
        (3, None, "mine", "subscribed to internal"),
    ]
    assert rows[0]["counts"] == {"added": 1, "updated": 0, "archived": 0, "removed": 0}
    assert rows[0]["published_to"] == "2024-03-01T00:00:00Z"
    (_, detail) = site.api("GET", "/transactions/4")
    assert detail["changes"] == [{"change": "added", "name": "demo", "version": "1.0", "previous": None}]
    assert site.api("GET", "/repos/mine/transaction-dates")[1] == []
    site.app.clock.wait(days=1)  # type: ignore[attr-defined]
    assert site.api("GET", "/repos/mine/transaction-dates")[1] == [
        {"alias": "2024-03-01", "date": "2024-03-01T00:00:00Z", "id": 4}
    ]
    assert site.api("GET", "/repos/mine/first-transaction")[1] == {
        "alias": "2024-03-01",
        "date": "2024-03-01T00:00:00Z",
    }
    assert [row["id"] for row in site.api("GET", "/repos/mine/transactions?_sort=time&_order=asc&_limit=1")[1]] == [3]


def test_transactions_of_sources_that_are_gone(site: Live) -> None:
    """A repository's transactions include those of every source that it ever had."""
    site.upload("internal", ("demo_1.0.tar.gz", make_source_package("demo", "1.0")))
    site.api("DELETE", "/repos/mine/sources/internal")
    (_, rows) = site.api("GET", "/repos/mine/transactions")
    assert [(row["id"], row["source"]) for row in rows] == [(5, None), (4, "internal"), (3, None)]


def test_too_many_files_at_once(site: Live) -> None:
    """An upload has at most 1000 files; more are refused before any is looked at."""
    status, error = site.upload("internal", *[(f"p{n}_1.0.tar.gz", b"x") for n in range(1001)])
    assert (status, sorted(error)) == (400, ["code", "error", "hint", "payload"])
    assert "1000" in error["error"]


def test_a_method_that_a_path_does_not_take(site: Live) -> None:
    """405 in the shape of all errors, with the methods that it does take."""
    headers = {"Authorization": f"Bearer {site.token}"}
    answer = site.pool.request("PUT", f"{site.address}/__api__/status", headers=headers, json={})
    assert (answer.status, answer.json()["code"], answer.headers["Allow"]) == (405, "method-not-allowed", "GET")


def test_ping(site: Live) -> None:
    """A health check that looks at nothing but the process."""
    answer = site.get("/__ping__")
    assert (answer.status, answer.data, answer.headers["cache-control"]) == (200, b"pong\n", "no-store")


def test_upload_answers_and_faults(site: Live) -> None:
    """An upload tells its changes; faults of several files come together and nothing is kept of them."""
    good = make_source_package("good", "1.0")
    status, outcome = site.upload("internal", ("good_1.0.tar.gz", good))
    assert (status, outcome) == (
        200,
        {"transaction": 4, "changes": [{"change": "added", "name": "good", "version": "1.0", "previous": None}]},
    )
    status, error = site.upload(
        "internal", ("a_1.0.tar.gz", b"x"), ("b_1.0.tar.gz", good), ("ok_1.0.tar.gz", make_source_package("ok", "1.0"))
    )
    assert (status, error["code"]) == (422, "invalid-batch")
    assert [fault["subject"] for fault in error["payload"]["faults"]] == ["a_1.0.tar.gz", "b_1.0.tar.gz"]
    assert site.api("GET", "/repos/mine/packages/ok")[0] == 404


def test_too_large_a_request_is_refused(site: Live) -> None:
    """A JSON body has a small bound, whatever it says of its length."""
    status, error = site.api("POST", "/repos", {"name": "x", "description": "x" * 2_000_000})
    assert (status, error["code"]) == (413, "too-large")


def test_sync_over_the_api(live_mirrored: Live, cran: FakeCran) -> None:
    """A sync is a job; a second request while it waits or runs is the same job; its result is kept."""
    cran.add("alpha", "1.0", make_source_package("alpha", "1.0"))
    cran.publish()
    status, job = live_mirrored.api("POST", "/sources/cran/sync", {})
    assert (status, job["kind"], job["source"]) == (202, "sync", "cran")
    done = eventually(lambda: live_mirrored.api("GET", f"/jobs/{job['id']}")[1], lambda j: j["state"] == "done")
    assert done["result"]["added"] == 1
    assert live_mirrored.api("POST", "/sources/cran/sync", {"force": "x"})[0] == 422
    cran.fail("*", "500")
    (_, job) = live_mirrored.api("POST", "/sources/cran/sync", {})
    failed = eventually(lambda: live_mirrored.api("GET", f"/jobs/{job['id']}")[1], lambda j: j["state"] == "failed")
    assert failed["error"]["code"] == "upstream-unavailable"
    (_, source) = live_mirrored.api("GET", "/sources/cran")
    assert source["sync"]["state"] == "failed"
    assert "500" in source["sync"]["error"]


def test_history_is_for_the_first_sync(live_mirrored: Live, cran: FakeCran) -> None:
    """A first sync may leave the past out; later it was decided (409); other words are wrong."""
    cran.add("alpha", "1.0", make_source_package("alpha", "1.0"))
    cran.add("alpha", "1.1", make_source_package("alpha", "1.1"))
    cran.publish()
    assert live_mirrored.api("POST", "/sources/cran/sync", {"history": "some"})[0] == 422
    (_, job) = live_mirrored.api("POST", "/sources/cran/sync", {"history": "none"})
    done = eventually(lambda: live_mirrored.api("GET", f"/jobs/{job['id']}")[1], lambda j: j["state"] == "done")
    assert (done["payload"], done["result"]["transactions"]) == ({"force": False, "history": "none"}, 1)
    status, error = live_mirrored.api("POST", "/sources/cran/sync", {"history": "full"})
    assert (status, error["code"]) == (409, "already-synced")


def test_jobs_over_the_api(live_mirrored: Live, cran: FakeCran) -> None:
    """Jobs are listed with paging and filters, logs read from a line on, what is over can't be cancelled."""
    ids = []
    for _ in range(3):
        (_, job) = live_mirrored.api("POST", "/sources/cran/sync", {})
        eventually(lambda id_=job["id"]: live_mirrored.api("GET", f"/jobs/{id_}")[1], lambda j: j["state"] == "failed")
        ids.append(job["id"])
    (_, rows) = live_mirrored.api("GET", "/jobs?state=failed&kind=sync&source=cran")
    assert [(row["id"], row["actor"], row["attempts"]) for row in rows] == [(id_, "admin", 1) for id_ in ids[::-1]]
    assert live_mirrored.api("GET", "/jobs?state=done") == (200, [])
    answer = live_mirrored.get("/__api__/jobs?_limit=1&_page=2&_order=asc")
    assert ([row["id"] for row in answer.json()], answer.headers["X-Total-Count"]) == ([ids[1]], "3")
    for query in ("state=odd", "kind=%00", "_sort=kind", "_limit=0"):
        assert live_mirrored.api("GET", f"/jobs?{query}")[0] == 422
    assert live_mirrored.api("GET", "/jobs?source=none")[0] == 404
    (_, lines) = live_mirrored.api("GET", f"/jobs/{ids[0]}/logs")
    assert lines[0]["text"].startswith("begun by ")
    assert lines[-1]["text"].startswith("failed: ")
    assert live_mirrored.api("GET", f"/jobs/{ids[0]}/logs?after={lines[0]['id']}")[1] == lines[1:]
    assert live_mirrored.api("GET", "/jobs/999/logs")[0] == 404
    status, error = live_mirrored.api("POST", f"/jobs/{ids[0]}/cancel", {})
    assert (status, error["code"]) == (409, "conflict")
    assert live_mirrored.api("POST", "/jobs/999/cancel", {})[0] == 404


def test_sync_of_a_local_source_is_refused(site: Live) -> None:
    """Only mirrors have an upstream."""
    assert site.api("POST", "/sources/internal/sync", {})[0] == 422


def test_the_pages_tell_the_state(live: Live) -> None:
    """The home page shows each repository with its URL, that of the status why a mirror is not in sync."""
    with pytest.raises(UpstreamUnavailable):
        sync(live.app)
    page = live.get("/").data.decode()
    assert f"{live.address}/cran/latest" in page
    assert "nothing here yet" in page
    state = live.get("/__ui__/status").data.decode()
    assert "failed" in state
    assert "127.0.0.1:9" in state


def test_python_over_the_api(live_proxied: Live, pypi: FakePypi) -> None:
    """The shapes of a project: as a name in a list, as a record with its files, and as releases."""
    pypi.add(*wheel("Demo.Pkg", "1.0", requires=["six>=1"]), uploaded=datetime(2023, 5, 1, tzinfo=UTC), yanked="bad")
    name, data = sdist("Demo.Pkg", "1.1", requires_python=">=3.9")
    pypi.add(name, data, uploaded=datetime(2023, 5, 2, 12, tzinfo=UTC))
    pypi.add_empty("zz")
    assert live_proxied.api("GET", "/repos/pypi/packages")[0] == 503
    sync(live_proxied.app, "pypi")
    unknown = ["version", "title", "license", "package_date", "package_size", "checksum"]
    unknown += ["needs_compilation", "requires_python"]
    answer = live_proxied.get("/__api__/repos/pypi/packages?_limit=1")
    assert answer.headers["X-Total-Count"] == "2"
    assert answer.json() == [{"name": "demo-pkg", "source": "pypi", **dict.fromkeys(unknown)}]
    assert live_proxied.api("GET", "/sources/pypi/packages?_sort=version")[0] == 422
    (_, record) = live_proxied.api("GET", "/repos/pypi/packages/Demo.Pkg")
    assert {key: record[key] for key in ("name", "version", "file", "requires_python", "dependencies", "archived")} == {
        "name": "demo-pkg",
        "version": "1.1",
        "file": "demo_pkg-1.1.tar.gz",
        "requires_python": ">=3.9",
        "dependencies": {},
        "archived": [],
    }
    digest = hashlib.sha256(data).hexdigest()
    file = {"size": len(data), "md5": None, "checksum": digest, "yanked": False, "yanked_reason": None}
    (_, releases) = live_proxied.api("GET", "/sources/pypi/packages/demo-pkg/releases?_limit=1")
    assert releases == [
        {
            "version": "1.1",
            "date_publication": "2023-05-02T12:00:00Z",
            "is_current": True,
            "file": name,
            **file,
            "files": [
                {
                    "name": name,
                    "kind": "sdist",
                    "uploaded": "2023-05-02T12:00:00Z",
                    "requires_python": ">=3.9",
                    **file,
                }
            ],
        }
    ]
    assert [(each["version"], each["yanked"], each["yanked_reason"]) for each in record["versions"]] == [
        ("1.1", False, None),
        ("1.0", True, "bad"),
    ]
    (_, old) = live_proxied.api("GET", "/repos/pypi/packages/demo-pkg?version=1.0")
    needed = {"name": "six", "operator": ">=", "version": "1", "requirement": "six>=1"}
    assert (old["title"], old["dependencies"]) == (old["fields"]["Summary"], {"requires_dist": [needed]})
    (_, source) = live_proxied.api("GET", "/sources/pypi")
    assert (source["packages"], source["projects_read"], source["upstream"]) == (2, 1, pypi.upstream)


def test_the_home_page_tells_how_to_use_a_repository(site: Live) -> None:
    """Each ecosystem's clients with the line that they need."""
    page = site.get("/", host="packages.example.org").data.decode()
    assert '"mine" = "http://packages.example.org/mine/latest"' in html.unescape(page)
    assert "pip install --index-url http://packages.example.org/pypi/latest/simple/ PROJECT" in page
    assert "uv pip install --default-index http://packages.example.org/pypi/latest/simple/ PROJECT" in page


def test_a_git_builder_may_be_sent_its_name(live: Live) -> None:
    """The body of an edit may have the package's name, as the API's description says."""
    assert live.api("POST", "/sources", {"name": "built", "type": "git"})[0] == 201
    status, answer = live.api("PATCH", "/sources/built/git-builders/x", {"name": "y"})
    assert (status, answer["code"]) == (404, "git-builder-not-found")


def test_only_uploads_may_be_large(live: Live) -> None:
    """A body that calls itself files is as small as any other where no files are taken: anybody may send some there."""
    for path in ("/token", "/device", "/filter/packages"):
        headers = {"Content-Type": "multipart/form-data; boundary=b"}
        answer = live.pool.request("POST", f"{live.address}/__api__{path}", headers=headers, body=b"x" * (1024**2 + 1))
        assert (answer.status, answer.json()["code"]) == (413, "too-large")
