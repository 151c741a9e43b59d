"""`list` and `info`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Entrepot
from tests.cli.stub import Stub


@pytest.fixture
def filled(entrepot: Entrepot, package: Callable[..., Path]) -> Entrepot:
    """A repository with a source of two packages, and an empty source."""
    entrepot.said("create", "repo", "--name=demo", "--description=Ours")
    entrepot.said("create", "source", "--name=internal")
    entrepot.said("create", "source", "--name=empty")
    entrepot.said("subscribe", "--repo=demo", "--source=internal")
    entrepot.said("add", "--source=internal", f"--path={package('abc', '1.0')},{package('xyz', '2.0.1')}")
    return entrepot


def test_list_shows_repositories_and_sources(filled: Entrepot) -> None:
    """`list` alone shows every repository with its sources, then every source."""
    assert filled.said("list") == [
        "Repository: cran - Access CRAN packages - R",
        "Sources:",
        "--cran (CRAN)",
        "",
        "Repository: demo - Ours - R",
        "Sources:",
        "--internal (Local)",
        "",
        "Source 'cran':",
        "  Type:  CRAN",
        "Source 'internal':",
        "  Type:  Local",
        "Source 'empty':",
        "  Type:  Local",
    ]
    document = filled.json("list")
    assert {key: [row["name"] for row in rows] for key, rows in document.items()} == {
        "repositories": ["cran", "demo"],
        "sources": ["cran", "internal", "empty"],
    }


def test_list_repos(filled: Entrepot) -> None:
    """`list repos` shows a line per repository."""
    said = filled.said("list", "repos")
    assert said == ["Repository: cran - Access CRAN packages - R", "Repository: demo - Ours - R"]
    rows = filled.json("list", "repos")
    assert [(row["name"], row["sources"]) for row in rows] == [("cran", ["cran"]), ("demo", ["internal"])]


def test_list_sources(filled: Entrepot) -> None:
    """`list sources` shows every source with its type."""
    said = filled.said("list", "sources")
    assert said[2:] == ["Source 'internal':", "  Type:  Local", "Source 'empty':", "  Type:  Local"]
    assert [row["packages"] for row in filled.json("list", "sources")] == [0, 2, 0]


def test_list_of_nothing(entrepot: Entrepot) -> None:
    """Nothing to list is an empty result and a word on standard error; an empty list as JSON."""
    entrepot.said("delete", "repo", "--name=cran")
    result = entrepot("list", "repos")
    assert (result.exit_code, result.stdout) == (0, "")
    assert result.stderr == "There are no repositories; 'entrepot create repo' makes one\n"
    assert entrepot.json("list", "repos") == []


def test_list_packages(filled: Entrepot) -> None:
    """`list packages` shows names and versions in columns, of a source as of a repository."""
    for place in ("--repo=demo", "--source=internal"):
        assert [line.split()[:2] for line in filled.said("list", "packages", place)] == [
            ["abc", "1.0"],
            ["xyz", "2.0.1"],
        ]
        assert [row["name"] for row in filled.json("list", "packages", place)] == ["abc", "xyz"]


def test_list_packages_by_page(filled: Entrepot) -> None:
    """`--count` and `--page` cut the list and say how it goes on."""
    first = filled("list", "packages", "--repo=demo", "--count=1")
    assert (first.stdout.split()[0], first.stderr) == ("abc", "1-1 of 2 packages; --page=2 shows the next\n")
    last = filled("list", "packages", "--repo=demo", "--count=1", "--page=2")
    assert (last.stdout.split()[0], last.stderr) == ("xyz", "2-2 of 2 packages\n")
    beyond = filled("list", "packages", "--repo=demo", "--count=1", "--page=3")
    assert (beyond.exit_code, beyond.stdout, beyond.stderr) == (0, "", "No packages here; 2 in all\n")


def test_list_packages_by_part_of_the_name(filled: Entrepot) -> None:
    """`--search` keeps the names with that part."""
    assert [row["name"] for row in filled.json("list", "packages", "--repo=demo", "--search=yz")] == ["xyz"]


@pytest.mark.parametrize("places", [(), ("--repo=demo", "--source=internal")])
def test_list_packages_needs_one_place(stubbed: Entrepot, places: tuple[str, ...]) -> None:
    """Exactly one of `--repo` and `--source` is needed (2)."""
    said = stubbed.failed("list", "packages", *places)
    assert said == (2, ["Error: name either a repository or a source", "Hint: give --repo=NAME or --source=NAME"])


def test_list_packages_asks_for_the_snapshot(stubbed: Entrepot, stub: Stub) -> None:
    """`--snapshot` reaches the server; `latest` is its default."""
    stubbed.json("create", "repo", "--name=demo")
    stubbed.json("list", "packages", "--repo=demo", "--snapshot=2026-07-01", "--count=5", "--page=3")
    assert stub.seen[-1]["query"] == {"snapshot": "2026-07-01", "_limit": "5", "_page": "3"}


def test_a_large_page_is_collected(stubbed: Entrepot, stub: Stub) -> None:
    """A page of more rows than one answer may hold is put together from several."""
    stubbed.json("create", "source", "--name=big")
    names = [f"p{number:05}" for number in range(5300)]
    stub.packages["big"] = {name: ["1.0"] for name in names}

    def page(count: int, number: int) -> list[str]:
        rows = stubbed.json("list", "packages", "--source=big", f"--count={count}", f"--page={number}")
        return [row["name"] for row in rows]

    assert page(2500, 1) == names[:2500]
    assert page(2500, 2) == names[2500:5000]
    assert page(2500, 3) == names[5000:]
    assert page(2500, 4) == []


def test_info_on_a_repository(filled: Entrepot) -> None:
    """`info --repo` shows the repository with its sources."""
    said = filled.said("info", "--repo=demo")
    assert said[:3] == ["Repository: demo - Ours - R", "Sources:", "--internal (Local)"]
    record = filled.json("info", "--repo=demo")
    assert (record["name"], [source["type"] for source in record["sources"]]) == ("demo", ["local"])


def test_info_on_a_source(filled: Entrepot) -> None:
    """`info --source` shows type and size."""
    assert filled.said("info", "--source=internal")[:3] == ["Source 'internal':", "  Type:  Local", "  Packages:  2"]
    assert filled.json("info", "--source=internal")["packages"] == 2


def test_info_on_an_index_of_projects(stubbed: Entrepot, stub: Stub) -> None:
    """Of an index `info` tells how many names it has, and of how many of them more is known."""
    stubbed.said("create", "source", "--name=pypi", "--type=pypi")
    stub.sources["pypi"]["upstream"] = "https://***@pypi.example.org/simple"
    said = stubbed.said("info", "--source=pypi")
    assert said[1:3] == ["  Type:  PyPI", "  Packages:  0 by name, 7 of them read"]
    assert "  Upstream:  https://***@pypi.example.org/simple" in said


@pytest.mark.parametrize("place", ["--repo=x", "--source=x"])
def test_list_transactions(stubbed: Entrepot, place: str) -> None:
    """`list transactions` shows what changed when, where and by whom, with how much it was."""
    assert stubbed.said("list", "transactions", place) == [
        "9  2026-07-01 10:00 UTC  x  admin  added abc (2 added, 1 updated)",
        "8  2026-07-01 10:00 UTC  x  admin  subscribed to internal",
    ]
    result = stubbed("list", "transactions", place, "--count=1", "-o", "json")
    assert [row["counts"]["added"] for row in json.loads(result.stdout)] == [2]
    paged = stubbed("list", "transactions", place, "--count=1")
    assert paged.stderr == "1-1 of 2 transactions; --page=2 shows the next\n"
    assert stubbed.failed("list", "transactions")[0] == 2


def test_packages_of_which_only_the_name_is_known(stubbed: Entrepot, stub: Stub) -> None:
    """A project that nobody asked a mirror for yet is listed by its name."""
    stubbed.said("create", "source", "--name=pypi", "--type=pypi")
    body = json.dumps([{"name": "demo", "version": None, "title": None}]).encode()
    stub.canned["GET", "/__api__/sources/pypi/packages"] = (200, body, {"X-Total-Count": "1"})
    assert stubbed.said("list", "packages", "--source=pypi") == ["demo"]


def test_info_on_both(stubbed: Entrepot) -> None:
    """`info` takes one of `--repo` and `--source` (2)."""
    assert stubbed.failed("info", "--repo=a", "--source=b")[0] == 2


def test_info_on_what_is_not_there(entrepot: Entrepot) -> None:
    """An unknown name is not found (4)."""
    assert entrepot.failed("info", "--repo=no")[0] == 4
    assert entrepot.failed("info", "--source=no")[0] == 4


def test_info_on_the_installation(stubbed: Entrepot, stub: Stub) -> None:
    """`info` alone shows the version and each mirror with the reason of a failure and the next try."""
    stubbed.said("create", "source", "--name=internal")
    sync: dict[str, Any] = {
        "state": "failed",
        "last_success": "2026-07-01T03:04:05Z",
        "error": "no answer from cran",
        "next_try": "2026-07-02T03:00:00+00:00",
        "job": 7,
    }
    stub.sources["cran"]["sync"] = sync
    assert stubbed.said("info") == [
        f"Entrepot 0.1.0 (built 2026-07-01 10:00 UTC) at {stub.address}",
        "Source 'cran':",
        "  Type:  CRAN",
        "  Sync:  failed",
        "  Last success:  2026-07-01 03:04 UTC",
        "  Reason:  no answer from cran",
        "  Next try:  2026-07-02 03:00 UTC",
        "  Job:  7",
    ]
    document = stubbed.json("info")
    assert (document["version"], [mirror["sync"] for mirror in document["mirrors"]]) == ("0.1.0", [sync])


def test_what_a_server_sends_does_not_steer_the_terminal(entrepot: Entrepot) -> None:
    """Control characters of a description are not printed."""
    said = entrepot.said("create", "repo", "--name=demo", "--description=a\x1b[31mb\rc\nd")
    assert said == ["Repository: demo - a [31mb c d - R"]
