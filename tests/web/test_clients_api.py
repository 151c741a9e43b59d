"""What programs of the product ask in bulk: `/filter/packages` and look-ups of binary packages."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from entrepot.app import App
from entrepot.operations import filtering
from entrepot.operations.binaries import add_binary
from entrepot.operations.packages import Upload
from tests.support.archives import make_source_package
from tests.support.binaries import WINDOWS, X86_64, make_binary
from tests.support.distributions import wheel
from tests.support.server import Live

pytestmark = pytest.mark.one_shape


def package(name: str, version: str, **fields: str) -> tuple[str, bytes]:
    fields = {"License": "MIT + file LICENSE | GPL-2", **fields}
    return f"{name}_{version}.tar.gz", make_source_package(name, version, fields=fields)


@pytest.fixture
def site(live: Live) -> Live:
    """A repository with `abc` in two versions and `xyz`, which needs it."""
    live.api("POST", "/sources", {"name": "internal"})
    live.api("POST", "/repos", {"name": "mine"})
    live.api("POST", "/repos/mine/sources", {"source": "internal"})
    live.upload("internal", package("abc", "1.0"))
    live.upload("internal", package("abc", "2.0"), package("xyz", "0.1", Imports="abc (>= 2.0), utils"))
    return live


def filtered(site: Live, **body: Any) -> list[dict[str, Any]]:
    """The lines, asked without a token."""
    answer = site.pool.request("POST", f"{site.address}/__api__/filter/packages", json=body)
    assert (answer.status, answer.headers["Content-Type"]) == (200, "application/x-ndjson"), answer.data
    return [json.loads(line) for line in answer.data.splitlines()]


def test_a_line_for_each_package(site: Live) -> None:
    """Everything about it, its dependencies by kind, its versions newest first; no vulnerabilities."""
    abc, xyz = filtered(site, repo="mine")
    assert xyz == {
        "name": "xyz",
        "version": "0.1",
        "summary": xyz["summary"],
        "license": "MIT + file LICENSE | GPL-2",
        "licenses": ["MIT + file LICENSE", "GPL-2"],
        "license_types": [],
        "package_date": xyz["package_date"],
        "package_size": xyz["package_size"],
        "available_versions": ["0.1"],
        "downloads": 0,
        "dependencies": {
            "imports": [
                {"name": "abc", "operator": ">=", "version": "2.0"},
                {"name": "utils", "operator": None, "version": None},
            ]
        },
    }
    assert isinstance(xyz["summary"], str)
    assert xyz["package_size"] > 0
    assert (abc["name"], abc["version"], abc["available_versions"]) == ("abc", "2.0", ["2.0", "1.0"])


def test_names_and_pins_in_their_order(site: Live) -> None:
    """An old version by its pin, the current one without; unknown ones are absent, the same one comes once."""
    names = ["xyz", "abc==1.0", "abc", "nothere", "abc == 9", "", "xyz", "a/b", "abc\0"]
    assert [(row["name"], row["version"]) for row in filtered(site, repo="mine", names=names)] == [
        ("xyz", "0.1"),
        ("abc", "1.0"),
        ("abc", "2.0"),
    ]
    assert len(filtered(site, repo="mine", names=[])) == 2


def test_leaner_answers_and_what_is_not_there_yet(site: Live) -> None:
    """`omit_*` leave fields out; nothing has vulnerabilities; what a newer client says besides is passed over."""
    lean = {"omit_dependencies": True, "omit_downloads": True, "omit_package_details": True}
    assert filtered(site, repo="mine", names=["xyz"], vulns=True, metadata=True, new_thing=1, **lean) == [
        {"name": "xyz", "version": "0.1", "metadata": []}
    ]
    assert filtered(site, repo="mine", has_vulns=True, vulns=True) == []
    assert len(filtered(site, repo="mine", has_vulns=False)) == 2


def test_as_of_a_snapshot(site: Live) -> None:
    (newest, first) = site.api("GET", "/sources/internal/transactions")[1][:2]
    assert [row["version"] for row in filtered(site, repo="mine", snapshot=str(first["id"]))] == ["1.0"]
    assert len(filtered(site, repo="mine", snapshot=str(newest["id"]))) == 2


def test_an_archived_package_answers_for_its_versions_alone(site: Live) -> None:
    """Without a pin it is not there."""
    site.api("POST", "/sources/internal/packages/xyz/archive", {})
    assert [row["name"] for row in filtered(site, repo="mine", names=["xyz", "abc"])] == ["abc"]
    assert [row["name"] for row in filtered(site, repo="mine", names=["xyz==0.1"])] == ["xyz"]


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"repo": "nothere"}, 404, "repository-not-found"),
        ({"repo": "mine", "snapshot": "1999-01-01"}, 404, "snapshot-not-found"),
        ({"repo": "mine", "snapshot": "tomorrow"}, 404, "snapshot-not-found"),
        ({}, 422, "invalid"),
        ({"repo": "mine", "names": "abc"}, 422, "invalid"),
        ({"repo": "mine", "names": ["a" * 501]}, 422, "invalid"),
    ],
)
def test_what_is_wrong_is_one_line_with_error_and_code(site: Live, body: Any, status: int, code: str) -> None:
    answer = site.pool.request("POST", f"{site.address}/__api__/filter/packages", json=body)
    (line,) = answer.data.splitlines()
    found = json.loads(line)
    assert (answer.status, found["code"], isinstance(found["error"], str)) == (status, code, True)


def test_a_fault_on_the_way_is_the_last_line(site: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was sent is whole, and whoever reads on learns that it is not all."""
    monkeypatch.setattr(filtering, "AT_ONCE", 1)
    real, calls = filtering.listing.described, []

    def failing(*args: Any) -> Any:
        calls.append(1)
        if len(calls) > 1:
            raise filtering.browsing.NotFound("gone")
        return real(*args)

    monkeypatch.setattr(filtering.listing, "described", failing)
    first, last = filtered(site, repo="mine")
    assert (first["name"], last["code"], last["error"]) == ("abc", "not-found", "gone")


def test_pieces_are_small(site: Live, app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many are asked for, few are in memory: all packages come in pieces, and so do names."""
    monkeypatch.setattr(filtering, "AT_ONCE", 2)
    site.upload("internal", *(package(f"p{n}", "1.0") for n in range(5)))
    opened = filtering.open_snapshot(app, "mine", "latest")
    every = list(filtering.find(app, opened, filtering.Wanted()))
    assert [len(piece) for piece in every] == [2, 2, 2, 1]
    named = filtering.Wanted(tuple((f"p{n}", None) for n in range(5)))
    assert [len(piece) for piece in filtering.find(app, opened, named)] == [2, 2, 1]


def test_a_python_repository_tells_what_is_known(live: Live) -> None:
    """By any spelling of a name."""
    live.api("POST", "/sources", {"name": "own", "type": "local-python"})
    live.api("POST", "/repos", {"name": "py", "type": "python"})
    live.api("POST", "/repos/py/sources", {"source": "own"})
    live.upload("own", wheel("Some_Thing", "1.0"))
    live.upload("own", wheel("Some_Thing", "1.1"))
    (row,) = filtered(live, repo="py", names=["some.thing", "?", "other"])
    assert (row["name"], row["version"], row["available_versions"]) == ("some-thing", "1.1", ["1.1", "1.0"])


# --- look-ups of binary packages -----------------------------------------------------------------------------------


@pytest.fixture
def built(site: Live, app: App, tmp_path: Path) -> Live:
    """abc 2.0 for bookworm and Windows, abc 1.0 and xyz for bookworm."""
    for name, version, suffix, distribution, facts in (
        ("abc", "2.0", ".tar.gz", "bookworm", {"platform": X86_64}),
        ("abc", "1.0", ".tar.gz", "bookworm", {"platform": X86_64}),
        ("xyz", "0.1", ".tar.gz", "bookworm", {}),
        ("abc", "2.0", ".zip", None, {"platform": WINDOWS, "r": "4.4.1"}),
    ):
        path = tmp_path / "built"
        path.write_bytes(make_binary(name, version, suffix=suffix, **facts))  # type: ignore[arg-type]
        upload = Upload(f"{name}_{version}{suffix}", path)
        add_binary(app, "internal", upload, distribution=distribution, actor="test")
    return site


def test_binaries_of_a_package(built: Live, app: App) -> None:
    """All that there are, with where they are; those of a platform; none is an empty list."""
    (code, found) = built.api("GET", "/repos/mine/packages/abc/binaries")
    assert code == 200
    assert {(row["version"], row["tag"]) for row in found} == {
        ("2.0", "4.2-bookworm"),
        ("1.0", "4.2-bookworm"),
        ("2.0", "4.4-win"),
    }
    path = "/repos/mine/packages/abc/binaries?distribution=windows&r_version=4.4"
    (row,) = built.api("GET", path)[1]
    assert {key: value for key, value in row.items() if key not in ("sha256", "size", "built")} == {
        "name": "abc",
        "version": "2.0",
        "os": "windows",
        "distribution": "",
        "r_version": "4.4",
        "arch": "any",
        "tag": "4.4-win",
        "url": f"{built.address}/mine/latest/bin/windows/contrib/4.4/abc_2.0.zip",
    }
    for row in found:
        answer = built.pool.request("GET", row["url"])
        assert (answer.status, len(answer.data)) == (200, row["size"]), row["url"]
    for none in ("abc/binaries?distribution=noble", "abc/binaries?r_version=3.6", "nothere/binaries"):
        assert built.api("GET", f"/repos/mine/packages/{none}") == (200, [])


def test_binaries_of_many_packages(built: Live) -> None:
    """Of those that are named, or the newest of each; what nothing is compiled in fits any architecture."""
    query = "distribution=bookworm&r_version=4.2.2"

    def found(more: str) -> list[tuple[str, str]]:
        return [(row["name"], row["version"]) for row in built.api("GET", f"/repos/mine/binaries?{query}{more}")[1]]

    assert sorted(found("")) == [("abc", "2.0"), ("xyz", "0.1")]
    assert sorted(found("&packages=abc,nothere&packages=xyz")) == [("abc", "1.0"), ("abc", "2.0"), ("xyz", "0.1")]
    assert found("&arch=arm64") == [("xyz", "0.1")]
    assert len(found("&_limit=1")) == 1


@pytest.mark.parametrize(
    ("query", "status", "code"),
    [
        ("distribution=plan9", 422, "invalid"),
        ("r_version=four", 422, "invalid"),
        ("arch=vax", 422, "invalid"),
        ("snapshot=1999-01-01", 404, "snapshot-not-found"),
        ("packages=" + ",".join(f"p{n}" for n in range(1001)), 422, "invalid"),
    ],
)
def test_look_ups_of_what_there_is_not(site: Live, query: str, status: int, code: str) -> None:
    (found, error) = site.api("GET", f"/repos/mine/binaries?{query}")
    assert (found, error["code"]) == (status, code)
    assert site.api("GET", "/repos/pypi/binaries")[1]["code"] == "wrong-type"
