"""`/repos/{repo}/sources/preview` of the JSON API, and the order that is given after it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.archives import make_source_package
from tests.support.server import Live


@pytest.fixture
def site(live: Live) -> Live:
    """`mine` over `one`; `two` has `abc` as well."""
    for source, packages in (("one", ("abc", "own")), ("two", ("abc", "xyz"))):
        live.api("POST", "/sources", {"name": source})
        files = [(f"{name}_1.0.tar.gz", make_source_package(name, "1.0")) for name in packages]
        assert live.upload(source, *files)[0] == 200
    live.api("POST", "/repos", {"name": "mine"})
    live.api("POST", "/repos/mine/sources", {"source": "one"})
    return live


def row(change: str, name: str, before: str | None, after: str | None) -> dict[str, Any]:
    return {
        "change": change,
        "name": name,
        "source_before": before,
        "source_after": after,
        "version_before": before and "1.0",
        "version_after": after and "1.0",
    }


def test_a_preview(site: Live) -> None:
    """All numbers, and the page that was asked for."""
    status, found = site.api("POST", "/repos/mine/sources/preview?_limit=1&_page=2", {"sources": ["two", "one"]})
    assert (status, len(found.pop("digest"))) == (200, 64)
    assert found == {
        "total": 2,
        "counts": {"moved": 1, "added": 1, "removed": 0},
        "unread": [],
        "bioc_version": None,
        "changes": [row("added", "xyz", None, "two")],
    }
    answer = site.pool.request(
        "POST",
        f"{site.address}/__api__/repos/mine/sources/preview",
        json={"sources": ["two"]},
        headers={"Authorization": f"Bearer {site.token}"},
    )
    assert answer.headers["X-Total-Count"] == "3"
    assert [each["change"] for each in answer.json()["changes"]] == ["moved", "removed", "added"]


def test_it_changes_nothing(site: Live) -> None:
    """Neither the repository, nor the transactions, nor the audit log; a refusal is written there."""
    before = site.api("GET", "/repos/mine")[1], site.api("GET", "/repos/mine/transactions")[1]
    site.app.audit.flush()
    acts = site.api("GET", "/audit")[1]
    assert site.api("POST", "/repos/mine/sources/preview", {"sources": ["two"]})[0] == 200
    site.app.audit.flush()
    assert (site.api("GET", "/repos/mine")[1], site.api("GET", "/repos/mine/transactions")[1]) == before
    assert site.api("GET", "/audit")[1] == acts
    assert site.api("POST", "/repos/mine/sources/preview", {"sources": ["two"]}, token="")[0] == 401
    site.app.audit.flush()
    assert site.api("GET", "/audit")[1][0]["outcome"] == "refused"


def test_the_order_that_was_previewed_is_given(site: Live) -> None:
    """With the preview's digest, once; sources come and go only if that is said."""
    wish = {"sources": ["two", "one"]}
    digest = site.api("POST", "/repos/mine/sources/preview", wish)[1]["digest"]
    assert site.api("PUT", "/repos/mine/sources", {**wish, "digest": digest})[0] == 422
    body = {**wish, "may_change": True, "digest": digest}
    status, repo = site.api("PUT", "/repos/mine/sources", body)
    assert (status, repo["sources"]) == (200, ["two", "one"])
    status, error = site.api("PUT", "/repos/mine/sources", body)
    assert (status, error["code"]) == (409, "stale-preview")
    (newest, *_) = site.api("GET", "/repos/mine/transactions")[1]
    assert newest["message"] == "subscribed to two; reordered: two, one"


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"sources": ["nope"]}, 404, "source-not-found"),
        ({"sources": ["one", "one"]}, 422, "invalid"),
        ({"sources": ["pypi"]}, 422, "wrong-type"),
        ({"sources": ["bioconductor"]}, 422, "invalid"),
        ({"sources": ["one"], "versions": {"one": "3.18"}}, 422, "invalid"),
        ({"sources": ["one"], "order": []}, 422, "invalid"),
        ({}, 422, "invalid"),
    ],
)
def test_wishes_that_can_not_be(site: Live, body: dict[str, Any], status: int, code: str) -> None:
    """One clear line each."""
    found, error = site.api("POST", "/repos/mine/sources/preview", body)
    assert (found, error["code"]) == (status, code)


def test_an_unknown_repository(site: Live) -> None:
    """404, as wherever one is named."""
    status, error = site.api("POST", "/repos/nope/sources/preview", {"sources": []})
    assert (status, error["code"]) == (404, "repository-not-found")
