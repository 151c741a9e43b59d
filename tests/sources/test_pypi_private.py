"""Packages of one's own before those of an upstream: names that the first source has are never looked for further."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from tests.support.distributions import sdist, wheel
from tests.support.fake_pypi import FakePypi
from tests.support.pages import JSON, ask, download, files, names
from tests.support.server import Clock, Live, eventually

OWN = [wheel("demo", "1.0"), sdist("demo", "1.0")]
PUBLIC = datetime(2023, 4, 1, tzinfo=UTC)


@pytest.fixture
def live(live_proxied: Live, pypi: FakePypi) -> Live:
    """Repository `team`: source `internal` with project `demo` 1.0, then `pypi`, which has a `demo` 99.0 of others."""
    api = live_proxied.api
    assert api("POST", "/sources", {"name": "internal", "type": "local-python"})[0] == 201
    assert api("POST", "/repos", {"name": "team", "type": "python"})[0] == 201
    for source in ("internal", "pypi"):
        assert api("POST", "/repos/team/sources", {"source": source})[0] == 200
    assert live_proxied.upload("internal", *OWN)[0] in (200, 201)
    pypi.add(*wheel("demo", "99.0"), uploaded=PUBLIC)
    pypi.add(*wheel("public", "1.0"), uploaded=PUBLIC)
    return live_proxied


def asked_for(pypi: FakePypi, word: str) -> list[str]:
    return [asked.path for asked in pypi.requests if word in asked.path]


def test_a_name_of_our_own_is_never_asked_of_upstream(live: Live, pypi: FakePypi) -> None:
    """The page has our files alone, under any spelling; what we lack of that name is not there."""
    assert set(files(live, "demo", repo="team")) == {name for name, _ in OWN}
    for spelling in ("Demo", "DEMO"):
        assert ask(live, spelling, repo="team").headers["Location"].endswith("/simple/demo/")
    theirs = "demo-99.0-py3-none-any.whl"
    for name in (theirs, f"{theirs}.metadata"):
        assert download(live, "demo", name, repo="team").status == 404
    assert live.get("/team/latest/pypi/demo/99.0/json").status == 404
    assert list(json.loads(live.get("/team/latest/pypi/demo/json").data)["releases"]) == ["1.0"]
    assert asked_for(pypi, "demo") == []


def test_other_names_come_from_upstream(live: Live, pypi: FakePypi) -> None:
    """The second source answers for all that the first has not."""
    assert list(files(live, "public", repo="team")) == ["public-1.0-py3-none-any.whl"]
    assert download(live, "public", "public-1.0-py3-none-any.whl", repo="team").status == 200


def test_the_other_order(live: Live, pypi: FakePypi) -> None:
    """With the public index first, its project wins in whole; nothing of ours is mixed in."""
    assert live.api("PUT", "/repos/team/sources", {"sources": ["pypi", "internal"]})[0] == 200
    assert list(files(live, "demo", repo="team")) == ["demo-99.0-py3-none-any.whl"]
    assert download(live, "demo", OWN[0][0], repo="team").status == 404


def test_a_name_of_our_own_at_a_date(live: Live, pypi: FakePypi, clock: Clock) -> None:
    """At a day on which we had it, ours alone; also for transactions."""
    clock.wait(days=2)
    assert set(files(live, "demo", "2024-03-01", repo="team")) == {name for name, _ in OWN}
    for at in live.api("GET", "/sources/internal/transactions")[1]:
        found = files(live, "demo", str(at["id"]), repo="team")
        assert set(found) <= {name for name, _ in OWN}
    assert download(live, "demo", "demo-99.0-py3-none-any.whl", "2024-03-01", repo="team").status == 404
    assert asked_for(pypi, "demo") == []


def test_a_day_before_our_own_package(live: Live, pypi: FakePypi, clock: Clock) -> None:
    """It is as it was then: the public one's, of that name too, which no later upload of ours changes."""
    clock.wait(days=2)
    assert list(files(live, "demo", "2023-05-01", repo="team")) == ["demo-99.0-py3-none-any.whl"]
    before = ask(live, "demo", "2023-05-01", repo="team").data
    assert live.upload("internal", wheel("demo", "2.0"))[0] in (200, 201)
    assert ask(live, "demo", "2023-05-01", repo="team").data == before


def test_an_upstream_that_is_down_does_not_matter(live: Live, pypi: FakePypi) -> None:
    """Our own packages are served all the same; those of upstream that are not known are 503, not 404."""
    with pypi.closed():
        assert set(files(live, "demo", repo="team")) == {name for name, _ in OWN}
        assert download(live, "demo", OWN[0][0], repo="team").data == OWN[0][1]
        assert ask(live, "public", repo="team").status == 503


def test_the_list_of_names_has_each_once(live: Live, pypi: FakePypi) -> None:
    """Ours and upstream's, merged in order."""
    job = live.api("POST", "/sources/pypi/sync", {})[1]["id"]
    eventually(lambda: live.api("GET", f"/jobs/{job}")[1]["state"], lambda state: state == "done")
    assert names(live, repo="team") == ["demo", "public"]
    assert json.loads(live.get("/team/latest/simple/", accept=JSON).data)["meta"]["api-version"]
