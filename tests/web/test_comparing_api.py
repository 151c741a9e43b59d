"""`/diff` of the JSON API: shapes, defaults, errors."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.archives import make_source_package
from tests.support.distributions import wheel
from tests.support.server import Live


def package(name: str, version: str, license: str = "GPL-3") -> tuple[str, bytes]:
    return f"{name}_{version}.tar.gz", make_source_package(name, version, fields={"License": license})


@pytest.fixture
def site(live: Live) -> Live:
    """A repository of a source with two transactions, 5 and 6."""
    live.api("POST", "/sources", {"name": "internal"})
    live.api("POST", "/repos", {"name": "mine"})
    live.api("POST", "/repos/mine/sources", {"source": "internal"})
    live.upload("internal", package("abc", "1.0"), package("xyz", "1.0"))
    live.upload("internal", package("abc", "2.0", "MIT + file LICENSE"), package("new", "0.1"))
    live.api("POST", "/sources/internal/packages/xyz/archive", {})
    return live


def first(site: Live) -> int:
    """The transaction of the first upload."""
    rows = site.api("GET", "/sources/internal/transactions?_order=asc")[1]
    found: int = rows[0]["id"]
    return found


def change(kind: str, name: str, **facts: Any) -> dict[str, Any]:
    return {
        "change": kind,
        "name": name,
        "version_before": None,
        "version_after": None,
        "crosses_major": False,
        "license_before": None,
        "license_after": None,
        "license_changed": False,
        "source_before": None,
        "source_after": None,
        "releases_added": None,
        "releases_removed": None,
        **facts,
    }


def test_the_difference_of_two_snapshots(site: Live) -> None:
    """Both ends, the number of changes of each kind, and each package that differs; of a source as of a repository."""
    expected = {
        "from": {"snapshot": str(first(site)), "packages": 2},
        "to": {"snapshot": "latest", "packages": 2},
        "is_partial": False,
        "counts": {"added": 1, "updated": 1, "downgraded": 0, "changed": 0, "archived": 1, "removed": 0},
        "changes": [
            change(
                "updated",
                "abc",
                version_before="1.0",
                version_after="2.0",
                crosses_major=True,
                license_before="GPL-3",
                license_after="MIT + file LICENSE",
                license_changed=True,
                source_before="internal",
                source_after="internal",
            ),
            change("added", "new", version_after="0.1", license_after="GPL-3", source_after="internal"),
            change("archived", "xyz", version_before="1.0", license_before="GPL-3", source_before="internal"),
        ],
    }
    for place in ("/repos/mine", "/sources/internal"):
        assert site.api("GET", f"{place}/diff?from={first(site)}&to=latest") == (200, expected)
        assert site.api("GET", f"{place}/diff?from={first(site)}", token="") == (200, expected)


def test_releases_of_a_project(live: Live) -> None:
    """Of a Python project the answer has how many releases came and went."""
    live.api("POST", "/sources", {"name": "py", "type": "local-python"})
    live.upload("py", wheel("demo", "1.0"))
    start = live.api("GET", "/sources/py")[1]["transaction"]
    live.upload("py", wheel("demo", "1.1"), wheel("demo", "1.2"))
    (found,) = live.api("GET", f"/sources/py/diff?from={start}")[1]["changes"]
    assert (found["change"], found["version_after"], found["releases_added"], found["releases_removed"]) == (
        "updated",
        "1.2",
        2,
        0,
    )


def test_an_index_that_is_read_by_the_project_is_partial(live: Live) -> None:
    """Whoever reads the answer is told that there may be more, and no upstream is asked."""
    answer = live.api("GET", "/repos/pypi/diff?from=2023-05-01&to=2023-06-01")
    assert (answer[0], answer[1]["is_partial"], answer[1]["changes"]) == (200, True, [])


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/repos/none/diff?from=1", 404, "repository-not-found"),
        ("/sources/none/diff?from=1", 404, "source-not-found"),
        ("/repos/mine/diff?from=tomorrow", 404, "snapshot-not-found"),
        ("/repos/mine/diff?from=latest&to=9999", 404, "snapshot-not-found"),
        ("/sources/internal/diff?from=2031-01-01", 404, "not-found"),
        ("/repos/mine/diff", 422, "invalid"),
    ],
)
def test_what_can_not_be_compared(site: Live, path: str, status: int, code: str) -> None:
    """An unknown repository, source or snapshot is a 404, a missing one a 422."""
    answer = site.api("GET", path)
    assert (answer[0], answer[1]["code"]) == (status, code)
