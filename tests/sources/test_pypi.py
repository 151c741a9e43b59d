"""A mirrored index of Python packages: what is asked of upstream, and when; what changes there, as it shows here."""

from __future__ import annotations

import gzip
import json
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, datetime
from typing import Any

import pytest

from entrepot.sources import projects
from tests.support.distributions import sdist, wheel
from tests.support.fake_pypi import LIST, FakePypi, Form
from tests.support.pages import HTML, JSON, ask, files, links, names, page, yanked
from tests.support.server import Clock, Live, eventually

SPRING = datetime(2023, 4, 1, 12, tzinfo=UTC)
DEMO = FakePypi.page("demo")


@pytest.fixture
def live(live_proxied: Live, pypi: FakePypi) -> Live:
    """A site whose upstream has project `demo` with a wheel and an sdist."""
    pypi.add(*wheel("demo", "1.0", requires_python=">=3.8"), uploaded=SPRING)
    pypi.add(*sdist("demo", "1.0"), uploaded=SPRING)
    return live_proxied


def transactions(live: Live) -> list[dict[str, Any]]:
    """Those of the source, oldest first."""
    return sorted(live.api("GET", "/sources/pypi/transactions")[1], key=lambda one: one["id"])


def refreshed(live: Live, clock: Clock, project: str = "demo") -> None:
    """The time until a page is read again is over, somebody asks, and the reading behind that comes to its end."""
    before = transactions(live)
    clock.wait(seconds=601)
    ask(live, project)
    eventually(lambda: transactions(live), lambda found: found != before)


# --- when upstream is asked ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", Form)
def test_the_first_request_asks_upstream_and_no_other_does(live_proxied: Live, pypi: FakePypi, form: Form) -> None:
    """Whatever form upstream has, the page lists what upstream lists, in JSON and HTML, after one reading."""
    pypi.form = form
    first, second = wheel("demo", "1.0", requires_python=">=3.8"), sdist("demo", "1.1")
    one = pypi.add(*first, uploaded=SPRING, yanked="broken")
    two = pypi.add(*second, uploaded=SPRING)
    found = files(live_proxied, "demo")
    assert {name: file["hashes"]["sha256"] for name, file in found.items()} == {
        one.name: one.sha256,
        two.name: two.sha256,
    }
    assert (found[one.name]["requires-python"], found[one.name]["yanked"]) == (">=3.8", "broken")
    assert found[one.name]["core-metadata"] == {"sha256": one.metadata_hash}
    assert not yanked(found[two.name])
    html = links(ask(live_proxied, "demo", accept=HTML).data)
    assert {name: link["hash"] for name, link in html.items()} == {
        one.name: f"sha256={one.sha256}",
        two.name: f"sha256={two.sha256}",
    }
    assert {name: link["url"] for name, link in html.items()} == {name: file["url"] for name, file in found.items()}
    assert files(live_proxied, "demo") == found
    assert pypi.count(DEMO) == 1


def test_forty_clients_at_once_share_one_reading(live: Live, pypi: FakePypi) -> None:
    """All get the same whole page, upstream is asked once."""
    pypi.fail(DEMO, "slow", times=1, seconds=0.5)
    with ThreadPoolExecutor(40) as clients:
        answers = list(clients.map(lambda _: ask(live, "demo"), range(40)))
    assert [answer.status for answer in answers] == [200] * 40
    assert len({answer.data for answer in answers}) == 1
    assert pypi.count(DEMO) == 1


def test_a_known_page_is_read_again_after_a_while(live: Live, pypi: FakePypi, clock: Clock) -> None:
    """Not before `[pypi] refresh` is over; then the request is answered as ever, and the next one has the news."""
    old = files(live, "demo")
    new = pypi.add(*wheel("demo", "2.0"), uploaded=clock.now)
    clock.wait(seconds=599)
    assert files(live, "demo") == old
    assert pypi.count(DEMO) == 1
    clock.wait(seconds=2)
    assert files(live, "demo") == old
    found = eventually(lambda: (clock.wait(seconds=1), files(live, "demo"))[1], lambda found: found != old)
    assert set(found) == {*old, new.name}
    assert pypi.count(DEMO) == 2


UPSTREAMS: dict[str, Callable[[FakePypi], AbstractContextManager[None] | None]] = {
    "answers nothing": lambda pypi: pypi.fail(DEMO, "hang", seconds=1),
    "is slow": lambda pypi: pypi.fail(DEMO, "slow", seconds=1),
    "refuses connections": lambda pypi: pypi.closed(),
    "has errors": lambda pypi: pypi.fail(DEMO, "500"),
}


@pytest.mark.parametrize("upstream", UPSTREAMS.values(), ids=UPSTREAMS.keys())
def test_nobody_waits_for_a_known_page(
    live: Live, pypi: FakePypi, clock: Clock, upstream: Callable[[FakePypi], AbstractContextManager[None] | None]
) -> None:
    """It is answered at once from what is known, as long as upstream is slow or down."""
    old = ask(live, "demo").data
    with upstream(pypi) or nullcontext():
        for _ in range(10):
            clock.wait(hours=1)
            began = time.monotonic()
            answer = ask(live, "demo")
            assert (answer.status, answer.data) == (200, old)
            assert time.monotonic() - began < 0.5


def test_a_failing_upstream_is_not_asked_by_every_request(live: Live, pypi: FakePypi, clock: Clock) -> None:
    """After a failure known pages are read again half a minute later, not at once."""
    ask(live, "demo")
    pypi.fail(DEMO, "403")
    clock.wait(seconds=601)
    eventually(lambda: (ask(live, "demo"), pypi.count(DEMO))[1], lambda count: count == 2)
    for _ in range(20):
        clock.wait(seconds=1)
        ask(live, "demo")
        time.sleep(0.01)
    assert pypi.count(DEMO) == 2
    clock.wait(seconds=30)
    eventually(lambda: (ask(live, "demo"), pypi.count(DEMO))[1], lambda count: count == 3)


def test_an_unchanged_page_is_confirmed_by_its_etag(live: Live, pypi: FakePypi, clock: Clock) -> None:
    """The second reading brings no body and no transaction, and holds as long as the first."""
    ask(live, "demo")
    sent, before = pypi.sent[DEMO], transactions(live)
    clock.wait(seconds=601)
    eventually(lambda: (ask(live, "demo"), pypi.count(DEMO))[1], lambda count: count == 2)
    asked = [asked for asked in pypi.requests if asked.path == DEMO]
    assert "If-None-Match" not in asked[0].headers
    assert asked[1].headers["If-None-Match"] == pypi.find(DEMO).etag  # type: ignore[union-attr]
    assert (pypi.sent[DEMO], transactions(live)) == (sent, before)
    clock.wait(seconds=500)
    ask(live, "demo")
    time.sleep(0.05)
    assert pypi.count(DEMO) == 2


def test_a_project_that_upstream_lacks(live: Live, pypi: FakePypi, clock: Clock) -> None:
    """404 in one line; upstream is asked once a minute at most, and a project that came is found then."""
    for _ in range(5):
        answer = ask(live, "nothing")
        assert answer.status == 404
        assert answer.data.count(b"\n") <= 1
        assert b"nothing" in answer.data
    assert pypi.count(FakePypi.page("nothing")) == 1
    assert transactions(live) == []
    pypi.add(*wheel("nothing", "1.0"))
    clock.wait(seconds=61)
    assert list(files(live, "nothing")) == ["nothing-1.0-py3-none-any.whl"]


def test_only_normal_names_are_asked_of_upstream(live: Live, pypi: FakePypi) -> None:
    """Other spellings lead to the normal one; what is no name is not there, and upstream hears of neither."""
    for name in ("Demo", "DEMO", "demo_", "demo%2F..%2Fx", "d%C3%A9mo", "%EF%BD%84emo", "a" * 300, "demo%00"):
        answer = ask(live, name)
        assert answer.status in ((301, 308) if name.lower() == "demo" else (404,)), name
        if answer.status != 404:
            assert answer.headers["Location"].endswith("/pypi/latest/simple/demo/")
    assert pypi.requests == []
    assert live.get("/pypi/latest/simple/demo").headers["Location"].endswith("/pypi/latest/simple/demo/")
    assert live.get("/pypi/latest/simple").headers["Location"].endswith("/pypi/latest/simple/")


def test_a_page_that_comes_compressed(live: Live, pypi: FakePypi) -> None:
    """An upstream that sends gzip is read as any."""
    served = pypi.find(DEMO)
    assert served is not None
    pypi.put(DEMO, gzip.compress(served.data), headers={**served.headers, "Content-Encoding": "gzip"})
    assert len(files(live, "demo")) == 2


# --- what changes upstream -----------------------------------------------------------------------------------------


def test_what_changes_is_recorded(live: Live, pypi: FakePypi, clock: Clock) -> None:
    """New files, yanks, un-yanks and deletions are transactions, and each of them can be asked for again."""
    name, other = "demo-1.0-py3-none-any.whl", "demo-1.0.tar.gz"
    seen = []

    def note() -> None:
        seen.append((transactions(live)[-1]["id"], files(live, "demo")))

    ask(live, "demo")
    note()
    pypi.add(*wheel("demo", "2.0"), uploaded=clock.now)
    refreshed(live, clock)
    note()
    pypi.change(name, yanked="broken on Tuesdays")
    refreshed(live, clock)
    note()
    pypi.change(name, yanked=None)
    refreshed(live, clock)
    note()
    pypi.remove(other)
    refreshed(live, clock)
    note()
    assert [len(found) for _, found in seen] == [2, 3, 3, 3, 2]
    assert [yanked(found[name]) for _, found in seen] == [False, False, "broken on Tuesdays", False, False]
    assert other not in seen[-1][1]
    clock.wait(seconds=601)
    for at, found in seen:
        assert files(live, "demo", str(at)) == found


def test_a_deleted_project(live: Live, pypi: FakePypi, clock: Clock) -> None:
    """It is gone here too, as a transaction; before that it is still there."""
    old = files(live, "demo")
    (first,) = transactions(live)
    pypi.remove_project("demo")
    refreshed(live, clock)
    assert ask(live, "demo").status == 404
    assert files(live, "demo", str(first["id"])) == old
    assert files(live, "demo", "2024-02-29") == old


def test_new_facts_of_the_same_file(live: Live, pypi: FakePypi, clock: Clock) -> None:
    """What upstream tells anew of a file is told here; the file is still the one that is stored."""
    name = "demo-1.0-py3-none-any.whl"
    path = f"/pypi/latest/packages/demo/{name}"
    data = live.get(path).data
    pypi.change(name, requires_python=">=3.10")
    refreshed(live, clock)
    assert files(live, "demo")[name]["requires-python"] == ">=3.10"
    assert live.get(path).data == data == pypi.upload(name).data
    assert pypi.count(pypi.upload(name).path) == 1


def test_status_and_provenance_are_passed_through(live: Live, pypi: FakePypi) -> None:
    """PEP 792 and PEP 740, in JSON and HTML."""
    name = "demo-1.0-py3-none-any.whl"
    pypi.change(name, provenance="https://example.org/attested")
    pypi.tell_status("demo", "archived", "no time")
    found = page(live, "demo")
    assert found["project-status"] == {"status": "archived", "reason": "no time"}
    assert {file["filename"]: file.get("provenance") for file in found["files"]}[name] == "https://example.org/attested"
    html = ask(live, "demo", accept=HTML).data
    assert b"pypi:project-status" in html
    assert links(html)[name]["provenance"] == "https://example.org/attested"


# --- pages that can't be used --------------------------------------------------------------------------------------


BAD_PAGES = {
    "rubbish": b"\x00\x01\x02 not a page \xff\xfe",
    "nothing": b"",
    "JSON of something else": b'{"hello": "world"}',
    "a JSON list": b"[1, 2, 3]",
    "JSON that is cut": b'{"meta": {"api-version": "1.1"}, "name": "demo", "files": [{"filena',
    "a later API": b'{"meta": {"api-version": "2.0"}, "name": "demo", "files": []}',
    "another project": json.dumps(
        {
            "meta": {"api-version": "1.1"},
            "name": "other",
            "files": [{"filename": "other-1.0.tar.gz", "url": "other-1.0.tar.gz", "hashes": {}}],
        }
    ).encode(),
    "another project in HTML": b'<!DOCTYPE html><html><a href="other-1.0.tar.gz">other-1.0.tar.gz</a></html>',
}


@pytest.mark.parametrize("body", BAD_PAGES.values(), ids=BAD_PAGES.keys())
def test_a_page_that_can_not_be_used(live: Live, pypi: FakePypi, clock: Clock, body: bytes) -> None:
    """502 in one line where nothing is known; a known project stays as it is; a good page mends both."""
    good = pypi.find(DEMO)
    assert good is not None
    pypi.put(DEMO, body)
    answer = ask(live, "demo")
    assert answer.status == 502, answer.data
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.data.count(b"\n") == 1
    assert transactions(live) == []
    pypi.put(DEMO, good.data, headers=good.headers)
    clock.wait(seconds=31)
    old = files(live, "demo")
    assert len(old) == 2
    pypi.put(DEMO, body)
    clock.wait(seconds=601)
    eventually(lambda: (ask(live, "demo"), pypi.count(DEMO))[1], lambda count: count == 3)
    assert files(live, "demo") == old
    assert len(transactions(live)) == 1


def test_a_huge_page(live: Live, pypi: FakePypi, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is not read beyond the limit, also if it is small on the wire."""
    monkeypatch.setattr(projects, "PAGE_LIMIT", 100_000)
    served = pypi.find(DEMO)
    assert served is not None
    huge = served.data + b" " * 200_000
    pypi.put(DEMO, huge, headers=served.headers)
    assert ask(live, "demo").status == 502
    pypi.put(DEMO, gzip.compress(huge), headers={**served.headers, "Content-Encoding": "gzip"})
    assert ask(live, "demo").status == 502
    assert transactions(live) == []


def test_a_page_with_some_bad_entries(live: Live, pypi: FakePypi) -> None:
    """The rest is listed; what has no URL, climbs, is of another scheme or no file name is not."""
    served = pypi.find(DEMO)
    assert served is not None
    told = json.loads(served.data)
    good = told["files"][0]
    bad = [
        {"filename": "demo-2.0.tar.gz", "hashes": {}},
        {"filename": "../demo-3.0.tar.gz", "url": "x", "hashes": {}},
        {"filename": "demo-4.0/x.tar.gz", "url": "x", "hashes": {}},
        {"filename": "demo-5.0.tar.gz", "url": "gopher://example.org/demo-5.0.tar.gz", "hashes": {}},
        {"filename": "demo-6.0\n.tar.gz", "url": "x", "hashes": {}},
        {"filename": "other-7.0.tar.gz", "url": "other-7.0.tar.gz", "hashes": {}},
        {"filename": 8, "url": "x", "hashes": {}},
        "demo-9.0.tar.gz",
    ]
    pypi.put(DEMO, json.dumps(told | {"files": [*bad, good]}).encode(), headers=served.headers)
    assert list(files(live, "demo")) == [good["filename"]]


# --- the list of all names -----------------------------------------------------------------------------------------


def sync(live: Live, **body: Any) -> dict[str, Any]:
    """Ask for a sync of the list; the job when it is over."""
    job = live.api("POST", "/sources/pypi/sync", body)[1]["id"]
    found: dict[str, Any] = eventually(
        lambda: live.api("GET", f"/jobs/{job}")[1], lambda found: found["state"] not in ("queued", "running")
    )
    return found


@pytest.mark.parametrize("form", [Form.JSON, Form.HTML])
def test_the_list_of_all_names(live_proxied: Live, pypi: FakePypi, clock: Clock, form: Form) -> None:
    """It is read by a sync, normalised and in order; what is new and gone shows after the next, and has its day."""
    live, pypi.form = live_proxied, form
    pypi.add_empty("Zope.Interface", "alpha", "Beta_b", "0x")
    assert sync(live)["state"] == "done"
    old = ["0x", "alpha", "beta-b", "zope-interface"]
    assert names(live) == old
    html = links(live.get("/pypi/latest/simple/", accept=HTML).data)
    assert list(html) == old
    assert [link["url"].strip("/").rpartition("/")[2] for link in html.values()] == old
    clock.wait(days=2)
    pypi.remove_project("alpha")
    pypi.add_empty("gamma")
    assert sync(live)["state"] == "done"
    new = ["0x", "beta-b", "gamma", "zope-interface"]
    assert names(live) == new
    assert names(live, "2024-03-02") == old
    clock.wait(days=2)
    assert names(live, "2024-03-03") == new
    asked = pypi.count(LIST)
    assert sync(live)["result"]["transactions"] == 0
    assert (pypi.count(LIST), names(live)) == (asked + 1, new)
    assert [entry.path for entry in pypi.requests if entry.path != LIST] == []


def test_a_list_that_was_never_read(live: Live) -> None:
    """503 that says how to read it, not an empty list; projects can be had all the same."""
    answer = live.get("/pypi/latest/simple/", accept=JSON)
    assert answer.status == 503
    assert b"sync" in answer.data
    assert len(files(live, "demo")) == 2


def test_a_list_that_lost_most_of_its_names(live_proxied: Live, pypi: FakePypi) -> None:
    """It is refused, and what was known stays; force accepts it."""
    live = live_proxied
    pypi.add_empty(*(f"p{n:03}" for n in range(60)))
    sync(live)
    old = names(live)
    for n in range(50):
        pypi.remove_project(f"p{n:03}")
    job = sync(live)
    assert (job["state"], job["error"]["code"]) == ("failed", "upstream-invalid")
    assert names(live) == old
    assert sync(live, force=True)["state"] == "done"
    assert len(names(live)) == 10


def test_a_list_that_is_rubbish(live_proxied: Live, pypi: FakePypi) -> None:
    """The sync fails in words; what was known stays."""
    live = live_proxied
    pypi.add_empty("alpha", "beta")
    sync(live)
    for body in (b"", b"<html>Welcome to the guest network</html>", b'{"projects": "all"}', b"\x00\x01"):
        pypi.put(LIST, body)
        job = sync(live)
        assert (job["state"], job["error"]["code"]) == ("failed", "upstream-invalid"), body
        assert names(live) == ["alpha", "beta"]


def test_a_sync_reads_known_projects_again(live: Live, pypi: FakePypi, clock: Clock) -> None:
    """So that what nobody asks for any more keeps its history too; projects that nobody asked for are not read."""
    pypi.add(*wheel("other", "1.0"))
    ask(live, "demo")
    clock.wait(days=1)
    pypi.change("demo-1.0-py3-none-any.whl", yanked="")
    assert sync(live)["state"] == "done"
    assert pypi.count(DEMO) == 2
    assert pypi.count(FakePypi.page("other")) == 0
    assert yanked(files(live, "demo")["demo-1.0-py3-none-any.whl"]) is True
