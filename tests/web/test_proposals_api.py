"""`/proposals` of the JSON API: what a change to a curated source would bring, and its commit."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.support.archives import make_source_package
from tests.support.distributions import wheel
from tests.support.fake_cran import FakeCran
from tests.support.fake_pypi import FakePypi
from tests.support.server import NOON, Clock, Live, sync

MAY = datetime(2023, 5, 1, 12, tzinfo=UTC)
TODAY = "2024-03-01"
NOTHING = {"added": 0, "updated": 0, "downgraded": 0, "changed": 0, "unchanged": 0}
COUNTS = {**NOTHING, "archived": 0, "removed": 0, "missing": 0}


@pytest.fixture
def site(live_proxied: Live, pypi: FakePypi) -> Live:
    """A curated source `set` of which nothing was asked yet, over an index with `demo` and `lib`, which needs it."""
    mit = {"License-Expression": "MIT"}
    pypi.add(*wheel("demo", "1.0", fields=mit), uploaded=MAY)
    pypi.add(*wheel("demo", "1.1", fields=mit), uploaded=MAY + timedelta(days=40))
    pypi.add(*wheel("lib", "1.0", requires=["demo<1.1"]), uploaded=MAY)
    assert live_proxied.api("POST", "/sources", {"name": "set", "type": "curated-pypi"})[0] == 201
    return live_proxied


def post(site: Live, **body: Any) -> tuple[int, Any]:
    return site.api("POST", "/sources/set/proposals", body)


def item(name: str, version: str, change: str, pypi: FakePypi, **facts: Any) -> dict[str, Any]:
    return {
        "name": name,
        "version": version,
        "previous": None,
        "change": change,
        "license": None,
        "needs_compilation": False,
        "dependency": False,
        "why": [],
        "asked": name,
        "size": sum(len(upload.data) for upload in pypi.uploads(name)),
        "releases": len(pypi.uploads(name)),
        **facts,
    }


def proposal(site: Live, id_: int, **facts: Any) -> dict[str, Any]:
    return {
        "id": id_,
        "source": "set",
        "action": "update",
        "snapshot": TODAY,
        "created": NOON.isoformat().replace("+00:00", "Z"),
        "actor": "admin",
        "committed": None,
        "counts": COUNTS,
        "items": [],
        "leaving": [],
        "missing": [],
        "notes": [],
        "unchanged": 0,
        **facts,
    }


def test_a_proposal_and_its_commit(site: Live, pypi: FakePypi) -> None:
    """201 with all that it tells; it is kept, listed without its items, and committed once."""
    status, made = post(site, list="demo\nlib\nnothing-here\n", skip_missing=True)
    id_ = made["id"]
    expected = proposal(
        site,
        id_,
        counts={**COUNTS, "added": 2, "missing": 1},
        items=[item("demo", "1.1", "added", pypi, license="MIT"), item("lib", "1.0", "added", pypi)],
        missing=[{"name": "nothing-here", "why": [], "reason": "the snapshot has no such project"}],
    )
    assert (status, made) == (201, expected)
    assert site.api("GET", f"/sources/set/proposals/{id_}") == (200, expected)
    whole = ("items", "leaving", "missing", "notes", "unchanged")
    in_brief = {key: value for key, value in expected.items() if key not in whole}
    assert site.api("GET", "/sources/set/proposals") == (200, [in_brief])
    assert site.api("GET", "/sources/set")[1]["packages"] == 0
    body = {"snapshot": TODAY, "comment": "reviewed"}
    status, done = site.api("POST", f"/sources/set/proposals/{id_}/commit", body)
    assert (status, done) == (200, {**expected, "committed": done["committed"]})
    source = site.api("GET", "/sources/set")[1]
    assert (source["packages"], source["transaction"], source["snapshot"]) == (2, done["committed"], TODAY)
    assert site.api("GET", f"/transactions/{done['committed']}")[1]["message"] == "reviewed"
    status, error = site.api("POST", f"/sources/set/proposals/{id_}/commit", {})
    assert (status, error["code"], error["payload"]) == (409, "wrong-proposal", {"transaction": done["committed"]})


def test_dependencies_and_what_leaves(site: Live, pypi: FakePypi) -> None:
    """A package that came along has the chain that needs it; a version that leaves has its reason."""
    post(site, list="demo", snapshot=TODAY, commit=True)
    status, made = post(site, list="lib", with_dependencies=True, python_versions=["3.12"], only_binary=True)
    facts = {"previous": "1.1", "license": "MIT", "dependency": True, "why": ["lib"], "asked": None, "releases": 1}
    size = len(pypi.upload("demo-1.0-py3-none-any.whl").data)
    assert (status, made["items"], made["leaving"]) == (
        201,
        [item("demo", "1.0", "downgraded", pypi, size=size, **facts), item("lib", "1.0", "added", pypi)],
        [{"name": "demo", "version": "1.1", "change": "removed", "reason": "not admitted any more"}],
    )


def test_a_commit_at_once(site: Live, pypi: FakePypi, clock: Clock) -> None:
    """It needs the snapshot, and is refused with the difference where something else was shown (409)."""
    status, error = post(site, list="demo", commit=True)
    assert (status, error["code"]) == (422, "invalid")
    shown = post(site, list="demo")[1]["id"]
    pypi.remove("demo-1.1-py3-none-any.whl")
    clock.wait(hours=1)
    status, error = post(site, list="demo", commit=True, snapshot=TODAY)
    assert (status, error["code"], error["payload"]) == (
        409,
        "wrong-proposal",
        {"shown": shown, "proposal": shown + 1, "difference": ["- demo demo-1.1-py3-none-any.whl"]},
    )
    assert site.api("GET", "/sources/set")[1]["packages"] == 0
    status, done = post(site, list="demo", commit=True, snapshot=TODAY, comment="at once")
    assert (status, done["id"], done["committed"] is not None) == (201, shown + 1, True)


def test_packages_are_added(site: Live) -> None:
    """`add` puts packages beside those that are there; a package taken out is a change like any other."""
    post(site, list="lib", snapshot=TODAY, commit=True)
    status, made = post(site, action="add", packages=["demo>=1.1"])
    assert (status, made["action"], [(each["name"], each["change"]) for each in made["items"]]) == (
        201,
        "add",
        [("demo", "added"), ("lib", "unchanged")],
    )
    status, outcome = site.api("POST", "/sources/set/packages/lib/remove", {"scope": "all"})
    change = {"change": "removed", "name": "lib", "version": "1.0", "previous": None}
    assert (status, outcome["changes"]) == (200, [change])
    stale = site.api("POST", f"/sources/set/proposals/{made['id']}/commit", {})
    assert (stale[0], stale[1]["code"]) == (409, "wrong-proposal")


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "code"),
    [
        ("POST", "/sources/none/proposals", {"list": "demo"}, 404, "source-not-found"),
        ("GET", "/sources/none/proposals", None, 404, "source-not-found"),
        ("GET", "/sources/set/proposals/99", None, 404, "not-found"),
        ("GET", "/sources/set/proposals/one", None, 422, "invalid"),
        ("POST", "/sources/set/proposals/99/commit", {}, 404, "not-found"),
        ("POST", "/sources/set/proposals", {"list": "demo\nnot-there"}, 404, "package-not-found"),
        ("POST", "/sources/set/proposals", {"list": "demo", "snapshot": "2031-01-01"}, 404, "snapshot-not-found"),
        ("POST", "/sources/set/proposals", {"list": "demo", "snapshot": "99999"}, 404, "snapshot-not-found"),
        ("POST", "/sources/set/proposals", {"list": "demo>9"}, 422, "contradiction"),
        ("POST", "/sources/set/proposals", {"list": "lib\ndemo>1.0", "with_dependencies": True}, 422, "unresolvable"),
        ("POST", "/sources/set/proposals", {"list": ""}, 422, "invalid"),
        ("POST", "/sources/set/proposals", {}, 422, "invalid"),
        ("POST", "/sources/set/proposals", [], 422, "invalid"),
        ("POST", "/sources/set/proposals", {"list": "a b\nc d"}, 422, "invalid-batch"),
        ("POST", "/sources/set/proposals", {"list": "demo", "action": "remove"}, 422, "invalid"),
        ("POST", "/sources/set/proposals", {"list": "demo", "colour": "red"}, 422, "invalid"),
        ("POST", "/sources/set/proposals", {"list": "demo", "platforms": ["beos"]}, 422, "invalid"),
        ("POST", "/sources/set/proposals", {"list": "demo", "python_versions": ["three"]}, 422, "invalid"),
        ("POST", "/sources/set/proposals", {"packages": ["x"] * 100_001}, 422, "invalid"),
        ("POST", "/sources/pypi/proposals", {"list": "demo"}, 422, "wrong-type"),
        ("GET", "/sources/cran/proposals", None, 422, "wrong-type"),
        ("GET", "/sources/cran/proposals/1", None, 404, "not-found"),
        ("POST", "/sources/set/packages/demo/remove", {"scope": "all"}, 404, "package-not-found"),
        ("POST", "/sources/set/packages/demo/archive", {}, 422, "wrong-type"),
        ("POST", "/sources/set/packages/demo/yank", {"scope": "all"}, 422, "wrong-type"),
    ],
)
def test_what_is_refused(site: Live, method: str, path: str, body: Any, status: int, code: str) -> None:
    """Each refusal has its status and code, on one line; nothing is kept."""
    answer = site.api(method, path, body)
    assert (answer[0], answer[1]["code"]) == (status, code)
    assert "\n" not in answer[1]["error"]
    assert site.api("GET", "/sources/set/proposals") == (200, [])


def test_upstream_is_down(site: Live, pypi: FakePypi) -> None:
    """What can't be asked is 503, and worth another try."""
    pypi.fail("*", "500")
    status, error = post(site, list="demo")
    assert (status, error["code"]) == (503, "upstream-unavailable")


def test_who_may(site: Live) -> None:
    """Reading is open, as everywhere; whoever proposes or commits needs the token."""
    id_ = post(site, list="demo")[1]["id"]
    for path in ("/sources/set/proposals", f"/sources/set/proposals/{id_}"):
        assert site.api("GET", path, token="")[0] == 200
    for path, body in (
        ("/sources/set/proposals", {"list": "demo"}),
        (f"/sources/set/proposals/{id_}/commit", {}),
    ):
        assert site.api("POST", path, body, token="")[0] == 401
        assert site.api("POST", path, body, token="wrong")[0] == 401
    assert site.api("GET", f"/sources/set/proposals/{id_}")[1]["committed"] is None


def test_large_lists(site: Live) -> None:
    """A list of some megabytes is read; what is larger than any list, or than a commit can be, isn't (413)."""
    hashes = "".join(f" --hash=sha256:{number:064x}" for number in range(50_000))
    status, error = post(site, list=f"demo==1.0{hashes}")
    assert (status, error["code"]) == (404, "package-not-found")
    assert "it has no file with one of the wanted hashes" in error["error"]
    assert post(site, list="x" * 33 * 1024**2)[0] == 413
    assert site.api("POST", "/sources/set/proposals/1/commit", {"comment": "x" * 1024**2})[0] == 413


def test_pages_of_proposals(site: Live) -> None:
    """They come in pages, the newest first, with their number in all."""
    ids = [post(site, list="demo", snapshot=f"2023-06-0{day}")[1]["id"] for day in range(1, 6)]
    url = f"{site.address}/__api__/sources/set/proposals"
    answer = site.pool.request("GET", f"{url}?_limit=2&_page=2")
    assert [row["id"] for row in json.loads(answer.data)] == [ids[2], ids[1]]
    assert answer.headers["X-Total-Count"] == "5"
    assert site.api("GET", "/sources/set/proposals?_limit=0")[0] == 422


def test_the_openapi_document(site: Live) -> None:
    """It has the routes, with what they take."""
    document = site.api("GET", "/openapi.json")[1]
    routes = {
        (method, path.removeprefix("/__api__/sources/{source}/proposals"))
        for path, its in document["paths"].items()
        if "proposals" in path
        for method in its
    }
    assert routes == {("get", ""), ("post", ""), ("get", "/{id}"), ("post", "/{id}/commit")}
    assert document["components"]["schemas"]["NewProposal"]["properties"].keys() == {
        *("action", "list", "constraints", "packages", "snapshot", "include_suggests", "skip_missing"),
        *("with_dependencies", "only_binary", "platforms", "python_versions", "commit", "comment"),
    }


# --- sources that are made of a snapshot ---------------------------------------------------------------------------


@pytest.fixture
def r_site(live_mirrored: Live, cran: FakeCran) -> Live:
    """A CRAN mirror with `demo` 1.0 in its archive and 1.1, synced on 2024-03-01."""
    for version, day in (("1.0", 1), ("1.1", 20)):
        cran.add("demo", version, make_source_package("demo", version), datetime(2024, 2, day, 9, tzinfo=UTC))
    cran.publish()
    sync(live_mirrored.app)
    return live_mirrored


def test_a_curated_source_of_a_snapshot(r_site: Live) -> None:
    """The snapshot, the kinds of dependencies and the archive are told in its record; without any, the usual ones."""
    body = {"name": "old", "type": "curated-cran", "snapshot": "2024-02-10", "include": ["none"], "archived": False}
    status, made = r_site.api("POST", "/sources", body)
    assert (status, made["snapshot"], made["include"], made["archived"]) == (201, "2024-02-10", [], False)
    assert r_site.api("GET", "/sources/old")[1] == made
    body = {"name": "usual", "type": "curated-cran"}
    status, made = r_site.api("POST", "/sources", body)
    assert (status, made["snapshot"], made["include"], made["archived"]) == (
        201,
        TODAY,
        ["imports", "depends", "linking-to"],
        True,
    )
    status, made = r_site.api("POST", "/sources", {"name": "pin", "type": "cran-snapshot", "snapshot": "2024-02-10"})
    assert (status, made["snapshot"], made["include"], made["packages"]) == (201, "2024-02-10", [], 1)


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"type": "curated-cran", "snapshot": "2031-01-01"}, 404, "snapshot-not-found"),
        ({"type": "cran-snapshot", "snapshot": "1999-01-01"}, 404, "snapshot-not-found"),
        ({"type": "curated-cran", "include": ["everything"]}, 422, "invalid"),
        ({"type": "cran-snapshot", "include": ["suggests"]}, 422, "invalid"),
        ({"type": "curated-pypi", "snapshot": TODAY}, 422, "invalid"),
        ({"type": "curated-pypi", "include": ["suggests"]}, 422, "invalid"),
        ({"type": "local", "archived": False}, 422, "invalid"),
    ],
)
def test_sources_that_are_not_made_so(r_site: Live, body: dict[str, Any], status: int, code: str) -> None:
    """A snapshot that isn't there, and what a type doesn't take: nothing is made."""
    answer = r_site.api("POST", "/sources", {"name": "x", **body})
    assert (answer[0], answer[1]["code"]) == (status, code)
    assert r_site.api("GET", "/sources/x")[0] == 404


def test_a_mirror_that_was_never_synced(live: Live) -> None:
    """A curated source can be made before the first sync, but not of a snapshot; a pinned one can't."""
    assert live.api("POST", "/sources", {"name": "a", "type": "curated-cran"})[1]["snapshot"] is None
    for name, body in (("b", {"type": "curated-cran", "snapshot": TODAY}), ("c", {"type": "cran-snapshot"})):
        status, error = live.api("POST", "/sources", {"name": name, **body})
        assert (status, error["code"]) == (503, "never-synced")
    assert live.api("POST", "/sources/a/proposals", {"list": "demo"})[1]["code"] == "never-synced"
