"""The JSON API: who may write, shapes, paging, errors."""

from __future__ import annotations

from typing import Any

import pytest
import urllib3

from entrepot.core.errors import UpstreamUnavailable
from tests.support.archives import make_source_package
from tests.support.fake_cran import FakeCran
from tests.support.server import Live, eventually, sync


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
    ("DELETE", "/repos/mine/sources/internal", None),
    ("POST", "/sources", {"name": "x"}),
    ("PATCH", "/sources/internal", {"name": "x"}),
    ("DELETE", "/sources/internal", None),
    ("POST", "/sources/internal/packages", None),
    ("POST", "/sources/internal/packages/p/archive", {}),
    ("POST", "/sources/internal/packages/p/remove", {"scope": "all"}),
    ("POST", "/sources/cran/sync", {}),
]


@pytest.mark.parametrize(("method", "path", "body"), WRITES)
def test_writing_needs_the_administrators_token(site: Live, method: str, path: str, body: Any) -> None:
    """Without a token 401, with a wrong one 403, and nothing changed."""
    before = site.api("GET", "/repos"), site.api("GET", "/sources")
    status, error = site.api(method, path, body, token="")
    assert (status, error["code"]) == (401, "unauthenticated")
    assert site.api(method, path, body, token="wrong")[0] == 403
    assert (site.api("GET", "/repos"), site.api("GET", "/sources")) == before


def test_every_writing_route_is_in_that_list(site: Live) -> None:
    """A new route that writes can't be forgotten above."""
    paths = site.api("GET", "/openapi.json")[1]["paths"]
    writing = {
        (method.upper(), path) for path, item in paths.items() for method in item if method not in ("get", "head")
    }
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
        "transaction": 2,
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
    assert site.api("GET", "/repos/mine/packages/demo?version=7")[0] == 404


def test_transactions(site: Live) -> None:
    """Newest first, with counts; each with its changes; days once they are over."""
    site.upload("internal", ("demo_1.0.tar.gz", make_source_package("demo", "1.0")), comment="first of its kind")
    (_, rows) = site.api("GET", "/repos/mine/transactions")
    assert [(row["id"], row["source"], row["repository"], row["message"]) for row in rows] == [
        (3, "internal", None, "first of its kind"),
        (2, None, "mine", "subscribed to internal"),
    ]
    assert rows[0]["counts"] == {"added": 1, "updated": 0, "archived": 0, "removed": 0}
    assert rows[0]["published_to"] == "2024-03-01T00:00:00Z"
    (_, detail) = site.api("GET", "/transactions/3")
    assert detail["changes"] == [{"change": "added", "name": "demo", "version": "1.0", "previous": None}]
    assert site.api("GET", "/repos/mine/transaction-dates")[1] == []
    site.app.clock.wait(days=1)  # type: ignore[attr-defined]
    assert site.api("GET", "/repos/mine/transaction-dates")[1] == [
        {"alias": "2024-03-01", "date": "2024-03-01T00:00:00Z", "id": 3}
    ]
    assert site.api("GET", "/repos/mine/first-transaction")[1]["alias"] == "2024-03-01"


def test_upload_answers_and_faults(site: Live) -> None:
    """An upload tells its changes; faults of several files come together and nothing is kept of them."""
    good = make_source_package("good", "1.0")
    status, outcome = site.upload("internal", ("good_1.0.tar.gz", good))
    assert (status, outcome) == (
        200,
        {"transaction": 3, "changes": [{"change": "added", "name": "good", "version": "1.0", "previous": None}]},
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


def test_sync_of_a_local_source_is_refused(site: Live) -> None:
    """Only mirrors have an upstream."""
    assert site.api("POST", "/sources/internal/sync", {})[0] == 422


def test_the_home_page_tells_the_state(live: Live) -> None:
    """The page shows each repository with its URL, and why a mirror is not in sync."""
    with pytest.raises(UpstreamUnavailable):
        sync(live.app)
    page = live.get("/").data.decode()
    assert f"{live.address}/cran/latest" in page
    assert "the last sync failed" in page
    assert "127.0.0.1:9" in page
