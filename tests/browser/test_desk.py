"""The tools of these tests notice what they are there to notice."""

from __future__ import annotations

import gzip
import random
from collections.abc import Callable, Iterator

import pytest

from tests.support.chromium import (
    DESKTOP,
    PHONE,
    Desk,
    audit,
    follow_focus,
    layout_shift,
    too_wide,
    turned_texts,
    weigh,
)
from tests.support.fake_server import FakeServer

pytestmark = pytest.mark.one_shape
OK = (
    '<!DOCTYPE html><html lang="en"><title>x</title><meta name="viewport" content="width=device-width"><main><h1>x</h1>'
)
POLICY = {"Content-Security-Policy": "default-src 'self'; script-src 'self'", "Content-Type": "text/html"}


@pytest.fixture
def site() -> Iterator[FakeServer]:
    with FakeServer() as server:
        yield server


@pytest.fixture
def desk(site: FakeServer, desk_at: Callable[[str], Desk]) -> Desk:
    return desk_at(site.url)


def show(site: FakeServer, html: str, **headers: str) -> None:
    site.put("x", (OK + html).encode(), headers={"Content-Type": "text/html; charset=utf-8", **headers})


@pytest.mark.parametrize(
    ("html", "fault"),
    [
        ('<img alt="" src="http://elsewhere.example/a.png">', "went to another host: http://elsewhere.example/a.png"),
        ('<script>console.error("oh")</script>', "console: oh"),
        ("<script>throw new Error('oh')</script>", "exception: oh"),
        ("<script>Promise.reject(new Error('oh'))</script>", "exception: oh"),
        ("<script>alert(1)</script>", "a dialog: alert 1"),
        ('<script src="/missing.js"></script>', "404 to GET"),
        ("<script>fetch('/missing')</script>", "404 to GET"),
        ("<script>new WebSocket('ws://elsewhere.example/')</script>", "went to another host: ws://elsewhere.example/"),
    ],
)
def test_a_fault_is_noted(site: FakeServer, desk: Desk, html: str, fault: str) -> None:
    """Whatever a page of ours may not do is among the faults."""
    show(site, html)
    desk.page("/x").wait_for_timeout(100)
    assert any(each.startswith(fault) for each in desk.faults), desk.faults
    desk.faults.clear()


@pytest.mark.parametrize("script", [True, False])
def test_what_the_policy_refuses_is_noted(site: FakeServer, desk: Desk, script: bool) -> None:
    """Something that the policy of a page kept from happening is a fault of the page, with script and without."""
    site.put("x", (OK + '<p style="color: red">x</p>').encode(), headers=POLICY)
    desk.page("/x", script=script)
    assert any("Content Security Policy" in fault for fault in desk.faults), desk.faults
    desk.faults.clear()


def test_a_page_that_tells_of_an_error_is_no_fault(site: FakeServer, desk: Desk) -> None:
    """The status of a page itself is for its test to look at."""
    answer = desk.page().goto("/missing")
    assert answer is not None
    assert (answer.status, desk.faults) == (404, [])


def test_faults_of_access_are_found(site: FakeServer, desk: Desk) -> None:
    """axe-core finds a field without a label, and a colour that can't be read in the dark alone."""
    show(site, "<form><input type=text></form>")
    with pytest.raises(AssertionError, match="label"):
        audit(desk.page("/x"))
    show(
        site,
        "<style>@media (prefers-color-scheme: dark) { body { background: #000; color: #333 } }</style><p>Read this.",
    )
    with pytest.raises(AssertionError, match=r"\(dark\) color-contrast"):
        audit(desk.page("/x"))


def test_a_weight_is_what_came_over_the_wire(site: FakeServer, desk: Desk) -> None:
    """Documents count with all that they bring, compressed as they came, with their headers."""
    noise = random.Random(1).randbytes(20_000)
    site.put("a.css", noise, headers={"Content-Type": "text/css"})
    packed = gzip.compress(b" " * 100_000)
    site.put("b.js", packed, headers={"Content-Type": "text/javascript", "Content-Encoding": "gzip"})
    show(site, '<link rel="stylesheet" href="/a.css"><script type="module">import "/b.js"</script><p>x')
    page = desk.page()
    sizes = weigh(page)
    desk.go(page, "/x")
    assert set(sizes) >= {"/x", "/a.css", "/b.js"}
    assert 20_000 < sizes["/a.css"] < 21_000
    assert len(packed) < sizes["/b.js"] < 1000


def test_a_shift_is_seen(site: FakeServer, desk: Desk) -> None:
    """What moves after it was painted is measured, what stays is not."""
    show(site, "<p>still</p>")
    assert layout_shift(desk.page("/x")) == 0
    late = "<script>setTimeout(() => { document.querySelector('h1').style.marginTop = '400px' }, 300)</script>"
    show(site, f"<p>{'moves ' * 300}</p>{late}")
    page = desk.page("/x")
    page.wait_for_timeout(600)
    assert layout_shift(page) > 0.01


def test_what_is_too_wide_is_named(site: FakeServer, desk: Desk) -> None:
    """A long word makes a phone's page scroll; in a box of its own that scrolls it doesn't."""
    show(site, f"<p id=long>{'x' * 400}</p>")
    assert "p." in too_wide(desk.page("/x", size=PHONE))[-1]
    show(site, f'<pre style="overflow-x: auto" tabindex=0>{"x" * 400}</pre>')
    assert too_wide(desk.page("/x", size=PHONE)) == []


def test_a_turned_text_is_found(site: FakeServer, desk: Desk) -> None:
    """A control character of a text before it lets a text run backwards; one that is kept in its element doesn't."""
    show(site, "<p><span>\u202eabc</span> after it</p>")
    assert turned_texts(desk.page("/x", size=DESKTOP)) == ["after it"]
    show(site, "<p><bdi>\u202eabc</bdi> after it</p>")
    assert turned_texts(desk.page("/x")) == []


def test_the_focus_is_followed(site: FakeServer, desk: Desk) -> None:
    """Each stop of the focus is told in order."""
    show(site, '<a href="/a">one</a><button>two</button><input aria-label="three">')
    told = [(stop["tag"], stop["text"] or stop["label"]) for stop in follow_focus(desk.page("/x"))]
    assert told == [("a", "one"), ("button", "two"), ("input", "three")]


def test_a_page_can_be_without_script(site: FakeServer, desk: Desk) -> None:
    """Where script is off, none runs, and still the page can be looked at."""
    show(site, "<p>before</p><script>document.querySelector('p').textContent = 'after'</script>")
    page = desk.page("/x", script=False)
    assert page.locator("p").text_content() == "before"
    assert too_wide(page) == []
