"""`/diff` and `/check` of the JSON API: shapes, defaults, errors."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

from tests.support.archives import make_source_package
from tests.support.distributions import wheel
from tests.support.fake_pypi import FakePypi
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


def test_some_of_the_changes(site: Live) -> None:
    """Chosen by kind and by what matters, a page at a time; the counts are those of all."""
    path = f"/repos/mine/diff?from={first(site)}"
    whole = site.api("GET", path)[1]

    def names(query: str) -> tuple[list[str], str]:
        answer = site.get(f"/__api__{path}&{query}")
        told = answer.json()
        assert {**told, "changes": whole["changes"]} == whole
        return [each["name"] for each in told["changes"]], answer.headers["X-Total-Count"]

    assert names("") == (["abc", "new", "xyz"], "3")
    assert names("change=added") == (["new"], "1")
    assert names("change=added&change=archived") == (["new", "xyz"], "2")
    assert names("only=major") == names("only=license") == (["abc"], "1")
    assert names("only=source") == ([], "0")
    assert names("only=major&change=added") == ([], "0")
    assert names("_limit=2&_page=2") == (["xyz"], "3")
    assert names("_limit=2&_page=9") == ([], "3")
    for wrong in ("change=moved", "only=size", "_limit=0"):
        assert site.api("GET", f"{path}&{wrong}")[0] == 422


def test_a_package_that_comes_from_elsewhere(site: Live) -> None:
    """The same version of another source is a change of its source."""
    before = site.api("GET", "/repos/mine")[1]["transaction"]
    site.api("POST", "/sources", {"name": "other"})
    site.upload("other", package("abc", "2.0"))
    site.api("POST", "/repos/mine/sources", {"source": "other"})
    site.api("PUT", "/repos/mine/sources", {"sources": ["other", "internal"]})
    (found,) = site.api("GET", f"/repos/mine/diff?from={before}&only=source")[1]["changes"]
    assert (found["change"], found["source_before"], found["source_after"]) == ("changed", "internal", "other")


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


def entry(requirement: str, verdict: str, **facts: Any) -> dict[str, Any]:
    return {
        "name": requirement.partition("=")[0].partition(">")[0],
        "requirement": requirement,
        "line": None,
        "marker": None,
        "verdict": verdict,
        "lacks": None,
        "version": None,
        "source": None,
        "archived": False,
        "yanked": False,
        "files_wanted": 0,
        "files_listed": 0,
        "lower": None,
        "higher": None,
        "near": [],
        "reason": None,
        **facts,
    }


def test_a_list_of_r_packages(site: Live) -> None:
    """Each entry with what is served of it, or what is missing and what is next to it."""
    asked = {"list": "abc==1.0\nabc\nabc==1.5\nxyzz\nutils\n"}
    assert site.api("POST", "/repos/mine/check", asked) == (
        200,
        {
            "snapshot": "latest",
            "format": "requirements",
            "servable": False,
            "counts": {"served": 2, "partial": 0, "with-r": 1, "missing": 2, "unknown": 0},
            "entries": [
                entry("abc==1.0", "served", line=1, version="1.0", source="internal", archived=True),
                entry("abc", "served", line=2, version="2.0", source="internal"),
                entry("abc==1.5", "missing", line=3, lacks="version", lower="1.0", higher="2.0"),
                entry("xyzz", "missing", line=4, lacks="package"),
                entry("utils", "with-r", line=5),
            ],
        },
    )
    asked = {"list": "abc==2.0", "snapshot": str(first(site))}
    assert site.api("POST", "/repos/mine/check", asked)[1]["entries"] == [
        entry("abc==2.0", "missing", line=1, lacks="version", lower="1.0")
    ]


def test_a_list_of_python_packages(live: Live) -> None:
    """Files are told by their hashes; constraints and markers are those of the list."""
    name, data = wheel("demo", "1.0")
    live.api("POST", "/sources", {"name": "py", "type": "local-python"})
    live.api("POST", "/repos", {"name": "team", "type": "python"})
    live.api("POST", "/repos/team/sources", {"source": "py"})
    live.upload("py", (name, data))
    digest = hashlib.sha256(data).hexdigest()
    text = f"demo==1.0 ; python_version >= '3.9' --hash=sha256:{digest} --hash=sha256:{'0' * 64}\ndemo\n"
    answer = live.api("POST", "/repos/team/check", {"list": text, "constraints": "demo>=1"})
    assert answer[0] == 200
    served = {"version": "1.0", "source": "py"}
    marked = {"line": 1, "marker": 'python_version >= "3.9"', "files_wanted": 2, "files_listed": 1}
    first_entry, second_entry = answer[1]["entries"]
    assert first_entry == entry(first_entry["requirement"], "partial", **marked, **served)
    assert second_entry == entry("demo>=1", "served", line=2, **served)
    assert answer[1]["servable"] is True


@pytest.mark.parametrize(
    ("path", "body", "status", "code"),
    [
        ("/repos/none/check", {"list": "abc"}, 404, "repository-not-found"),
        ("/repos/mine/check", {"list": "abc", "snapshot": "tomorrow"}, 404, "snapshot-not-found"),
        ("/repos/mine/check", {"list": ""}, 422, "invalid"),
        ("/repos/mine/check", {"list": "abc", "constraints": "abc"}, 422, "invalid"),
        ("/repos/mine/check", {"list": 'version = 1\n[[package]]\nname = "x"\n'}, 422, "invalid"),
        ("/repos/mine/check", {"list": "abc\n!!!\n???\n"}, 422, "invalid-batch"),
        ("/repos/mine/check", {}, 422, "invalid"),
        ("/repos/mine/check", {"list": "abc", "other": 1}, 422, "invalid"),
        ("/repos/mine/check", {"list": "x" * 20_000_001}, 413, "too-large"),
        ("/repos/mine/check", {"list": "x" * 40_000_000}, 413, "too-large"),
    ],
    ids=[str(number) for number in range(10)],
)
def test_lists_that_can_not_be_checked(site: Live, path: str, body: dict[str, Any], status: int, code: str) -> None:
    """What can't be read is a 422 that says why, what is too large a 413."""
    answer = site.api("POST", path, body)
    assert (answer[0], answer[1]["code"]) == (status, code)


def test_a_list_of_some_megabytes(site: Live) -> None:
    """Lock files may be larger than other requests, of those who have a token."""
    lines = "abc==1.0 # " + "x" * 200 + "\n"
    answer = site.api("POST", "/repos/mine/check", {"list": lines * 20_000})
    assert (answer[0], answer[1]["counts"]["served"]) == (200, 20_000)
    status, error = site.api("POST", "/repos/mine/check", {"list": lines * 20_000}, token="")
    assert (status, error["code"], "with a token" in error["hint"]) == (413, "too-large", True)


def test_anybody_may_check_a_list(site: Live) -> None:
    """Of an open repository without a token, within narrower bounds; of a closed one those who read it alone."""
    asked = {"list": "abc==1.0\nxyzz", "snapshot": "latest"}
    answer = site.api("POST", "/repos/mine/check", asked, token="")
    assert (answer[0], answer[1]["servable"]) == (200, False)
    assert answer == site.api("POST", "/repos/mine/check", asked)
    many = {"list": "".join(f"abc{number}\n" for number in range(10_001))}
    status, error = site.api("POST", "/repos/mine/check", many, token="")
    assert (status, error["error"]) == (413, "the list asks for more than 10000 packages")
    assert site.api("POST", "/repos/mine/check", many)[0] == 200
    site.api("PATCH", "/repos/mine", {"authenticated": True})
    assert site.api("POST", "/repos/mine/check", asked, token="")[0] == 401
    assert site.api("POST", "/repos/mine/check", asked)[0] == 200


def test_anybody_has_an_upstream_asked_for_little(live_proxied: Live, pypi: FakePypi) -> None:
    """A list of a thousand unknown projects makes no thousand requests."""
    asked = {"list": "".join(f"p{number}\n" for number in range(1000))}
    status, answer = live_proxied.api("POST", "/repos/pypi/check", asked, token="")
    assert (status, answer["counts"]["missing"], answer["counts"]["unknown"]) == (200, 100, 900)
    assert len(pypi.requests) == 100
    assert "without a token" in answer["entries"][-1]["reason"]
