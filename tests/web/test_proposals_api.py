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
        "license_before": None,
        **facts,
    }


def asked(*lines: str, **facts: Any) -> dict[str, Any]:
    """What is asked of a curated PyPI source."""
    return {
        "lines": list(lines),
        "constraints": [],
        "removed": [],
        "with_dependencies": False,
        "only_binary": False,
        "platforms": [],
        "python_versions": [],
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
        "state": "open",
        "newest": None,
        "counts": COUNTS,
        "items": [],
        "leaving": [],
        "missing": [],
        "notes": [],
        "unchanged": 0,
        "request": asked(),
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
        missing=[{"name": "nothing-here", "why": [], "reason": "the snapshot has no such project", "near": []}],
        request=asked("demo", "lib"),
    )
    assert (status, made) == (201, expected)
    assert site.api("GET", f"/sources/set/proposals/{id_}") == (200, expected)
    whole = ("items", "leaving", "missing", "notes", "unchanged", "request")
    in_brief = {key: value for key, value in expected.items() if key not in whole}
    assert site.api("GET", "/sources/set/proposals") == (200, [in_brief])
    assert site.api("GET", "/sources/set")[1]["packages"] == 0
    body = {"snapshot": TODAY, "comment": "reviewed"}
    status, done = site.api("POST", f"/sources/set/proposals/{id_}/commit", body)
    at = done["committed"]
    assert (status, done) == (200, {**expected, "committed": at, "state": "committed", "newest": at})
    source = site.api("GET", "/sources/set")[1]
    assert (source["packages"], source["transaction"], source["snapshot"]) == (2, done["committed"], TODAY)
    assert site.api("GET", f"/transactions/{done['committed']}")[1]["message"] == "reviewed"
    status, error = site.api("POST", f"/sources/set/proposals/{id_}/commit", {})
    assert (status, error["code"], error["payload"]) == (409, "wrong-proposal", {"transaction": done["committed"]})


def test_dependencies_and_what_leaves(site: Live, pypi: FakePypi) -> None:
    """A package that came along has the chain that needs it; a version that leaves has its reason."""
    post(site, list="demo", snapshot=TODAY, commit=True)
    status, made = post(site, list="lib", with_dependencies=True, python_versions=["3.12"], only_binary=True)
    facts = {
        "previous": "1.1",
        "license": "MIT",
        "license_before": "MIT",
        "dependency": True,
        "why": ["lib"],
        "asked": None,
        "releases": 1,
    }
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


def test_its_state(site: Live) -> None:
    """Open; stale once the source changed otherwise, with the transaction that did; committed."""
    one = post(site, list="demo")[1]["id"]
    other = post(site, list="lib", snapshot=TODAY, commit=True)[1]
    states = {each["id"]: (each["state"], each["newest"]) for each in site.api("GET", "/sources/set/proposals")[1]}
    at = other["committed"]
    assert states == {one: ("stale", at), other["id"]: ("committed", at)}
    assert site.api("GET", f"/sources/set/proposals/{one}")[1]["state"] == "stale"


def test_a_part_of_it_by_pages(site: Live, pypi: FakePypi) -> None:
    """One of its lists, with the number of its rows, those of one change if wanted; the counts stay those of all."""
    pypi.add(*wheel("extra", "1.0"), uploaded=MAY)
    post(site, list="demo\nlib", snapshot=TODAY, commit=True)
    _, made = post(site, list="demo==1.0\nextra\nnope", skip_missing=True)

    def part(query: str) -> tuple[str, dict[str, Any]]:
        path = f"{site.address}/__api__/sources/set/proposals/{made['id']}?{query}"
        answer = site.pool.request("GET", path, headers={"Authorization": f"Bearer {site.token}"})
        return answer.headers.get("X-Total-Count", ""), answer.json()

    rest = {"leaving": [], "missing": []}
    assert part("part=items&_limit=1&_page=2") == ("2", {**made, **rest, "items": made["items"][1:]})
    assert part("part=items&change=added&change=updated") == ("1", {**made, **rest, "items": made["items"][1:]})
    assert part("part=items&change=downgraded") == ("1", {**made, **rest, "items": made["items"][:1]})
    gone = [each for each in made["leaving"] if each["name"] == "lib"]
    assert part("part=leaving&_limit=1&_page=2") == ("2", {**made, "items": [], "missing": [], "leaving": gone})
    assert part("part=missing") == ("1", {**made, "items": [], "leaving": []})
    assert part("part=missing&change=added")[0] == "0"
    assert part("change=added")[1]["code"] == "invalid"
    assert part("")[1] == made


def test_names_that_may_have_been_meant(site: Live) -> None:
    """What was asked for and left out is told with names like it."""
    sync(site.app, "pypi")
    _, made = post(site, list="demos\nlib", skip_missing=True)
    assert made["missing"] == [
        {"name": "demos", "why": [], "reason": "the snapshot has no such project", "near": ["demo"]}
    ]


def test_a_licence_that_changes(site: Live, pypi: FakePypi) -> None:
    """Of a package that is listed now the licence of that version stands beside the new one's."""
    apache = {"License-Expression": "Apache-2.0"}
    pypi.add(*wheel("demo", "2.0", fields=apache), uploaded=MAY + timedelta(days=60))
    post(site, list="demo<2\nlib", snapshot=TODAY, commit=True)
    _, made = post(site, list="demo\nlib")
    told = [(each["name"], each["license_before"], each["license"]) for each in made["items"]]
    assert told == [("demo", "MIT", "Apache-2.0"), ("lib", None, None)]
    _, made = post(site, list="demo<1.1\nlib")
    assert [(each["license_before"], each["license"]) for each in made["items"]] == [("MIT", "MIT"), (None, None)]
    _, made = post(site, list="demo\nlib")
    path = f"/sources/set/proposals/{made['id']}?part=items&other_license=true"
    assert [each["name"] for each in site.api("GET", path)[1]["items"]] == ["demo"]


def test_what_is_asked(site: Live) -> None:
    """The lines of the list with what goes with them, and those of before where it stays."""
    body = {"list": "demo>=1 ; python_version > '3.8'\nlib", "constraints": "demo<2", "with_dependencies": True}
    _, made = post(site, **body, python_versions=["3.12"], snapshot=TODAY, commit=True)
    told = asked(
        'demo<2,>=1 ; python_version > "3.8"',
        "lib",
        constraints=["demo<2"],
        with_dependencies=True,
        python_versions=["3.12"],
    )
    assert made["request"] == told
    assert post(site)[1]["request"] == told
    assert site.api("POST", "/sources/set/packages/demo/remove", {"scope": "1.1"})[0] == 200
    assert post(site)[1]["request"] == {**told, "removed": [{"name": "demo", "version": "1.1"}]}


def test_a_licence_that_changes_on_cran(live_mirrored: Live, cran: FakeCran) -> None:
    """The same of R packages, in a set of them and in a snapshot of all."""
    for version, day, license_ in (("1.0", 1, "GPL-2"), ("2.0", 20, "MIT + file LICENSE")):
        data = make_source_package("abc", version, fields={"License": license_})
        cran.add("abc", version, data, datetime(2024, 2, day, 9, tzinfo=UTC))
    cran.publish()
    sync(live_mirrored.app)
    for name, type_ in (("few", "curated-cran"), ("all", "cran-snapshot")):
        live_mirrored.api("POST", "/sources", {"name": name, "type": type_, "snapshot": "2024-02-10"})
    body = {"packages": ["abc"], "snapshot": "2024-02-10", "commit": True}
    assert live_mirrored.api("POST", "/sources/few/proposals", body)[0] == 201
    for name in ("few", "all"):
        _, made = live_mirrored.api("POST", f"/sources/{name}/proposals", {})
        assert [(each["license_before"], each["license"]) for each in made["items"]] == [
            ("GPL-2", "MIT + file LICENSE")
        ]
        assert (made["request"]["lines"], made["request"]["platforms"]) == (["abc"] if name == "few" else [], None)
