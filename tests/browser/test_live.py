"""The log of a job that runs, followed in a browser: what comes is appended, as nothing but text, until it is over."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from playwright.sync_api import expect

from entrepot.app import App
from entrepot.core.access import Scope
from entrepot.db import jobs as db_jobs
from entrepot.db.jobs import Job
from entrepot.jobs.kinds import RUN, JobKind
from entrepot.jobs.work import Work
from tests.support.chromium import Desk, Page, audit, layout_shift, sign_in
from tests.support.closed import token
from tests.support.server import Live, eventually, running

pytestmark = pytest.mark.one_shape
HOSTILE = [
    "<img src=x onerror=\"window.pwned = 'img'\">",
    "<script>window.pwned = 'script'</script>",
    "\x1b[31mred\x1b[0m and \x1b]8;;https://elsewhere.example/\x07a link\x1b]8;;\x07",
    "\u202eturned\u202c, \u2066isolated\u2069, a\x07bell and \N{CAT FACE}",
]
AS_SHOWN = [
    "<img src=x onerror=\"window.pwned = 'img'\">",
    "<script>window.pwned = 'script'</script>",
    "red and a link",
    "turned, isolated, abell and \N{CAT FACE}",
]


@dataclass
class Talker:
    """A job that says what the test wants, when it wants."""

    job: int = 0
    words: list[str] = field(default_factory=list)
    done: int = 0
    is_over: threading.Event = field(default_factory=threading.Event)

    def run(self, _: App, __: Job, work: Work) -> dict[str, Any]:
        while not self.is_over.wait(0.02):
            work.report("talking", self.done, 40)
            while self.words:
                work.log(self.words.pop(0))
        for word in self.words:
            work.log(word)
        return {"built": [{"package": "demo", "version": "1.0"}]}

    def say(self, *words: str) -> None:
        self.words += words


@pytest.fixture
def talker(monkeypatch: pytest.MonkeyPatch) -> Iterator[Talker]:
    made = Talker()
    monkeypatch.setitem(RUN, "talk", JobKind(made.run))
    yield made
    made.is_over.set()


@pytest.fixture
def site(app: App, talker: Talker) -> Iterator[Live]:
    """A site on which the talker's job runs."""
    with app.db.write(shows=False) as connection:
        job = db_jobs.add(connection, kind="talk", payload={}, source_id=None, now=app.clock(), actor="test")
    talker.job = job.id
    talker.say("first line")
    with running(app, schedules=True) as live:
        eventually(lambda: said(live, talker), lambda texts: "first line" in texts)
        yield live


def said(live: Live, talker: Talker) -> list[str]:
    """What is in the job's log by now."""
    return [line["text"] for line in live.api("GET", f"/jobs/{talker.job}/logs")[1]]


@pytest.fixture
def desk(site: Live, desk_at: Callable[[str], Desk]) -> Desk:
    return desk_at(site.address)


def lines(page: Page) -> list[str]:
    return page.locator("pre.log").inner_text().splitlines()


def test_what_comes_is_appended(site: Live, talker: Talker, desk: Desk) -> None:
    """Lines and progress come without a reload, what is hostile as plain text; when it is over no more is asked."""
    page = desk.page(f"/__ui__/jobs/{talker.job}")
    assert lines(page)[1:] == ["talking", "first line"]
    talker.done = 10
    talker.say(*HOSTILE)
    expect(page.locator("pre.log")).to_contain_text(AS_SHOWN[-1])
    assert lines(page)[-len(AS_SHOWN) :] == AS_SHOWN
    assert page.evaluate("[window.pwned, document.querySelectorAll('pre.log *').length]") == [None, 0]
    expect(page.get_by_text("10 of 40")).to_be_visible()
    assert page.evaluate("document.querySelector('progress').value") == 10
    audit(page)
    talker.say("last line")
    talker.is_over.set()
    expect(page.get_by_role("status")).to_contain_text("is over")
    assert lines(page)[-2:] == ["last line", "done"]
    assert len(lines(page)) == len(set(lines(page)))
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.wait_for_timeout(2500)
    assert asked == []
    page.get_by_role("link", name="Reload").click()
    assert page.get_by_text("demo 1.0").is_visible()
    assert page.locator("progress").count() == 0
    assert layout_shift(page) < 0.01


def test_the_end_is_followed_by_those_who_are_there(site: Live, talker: Talker, desk: Desk) -> None:
    """Whoever scrolled up stays where they are; whoever is at the end sees what is new."""
    talker.say(*(f"line {n}" for n in range(200)))
    eventually(lambda: said(site, talker), lambda found: len(found) > 200)
    page = desk.page(f"/__ui__/jobs/{talker.job}")
    left = "(({ scrollHeight, scrollTop, clientHeight }) => scrollHeight - scrollTop - clientHeight)"
    at_end = f"{left}(document.querySelector('pre.log')) < 5"
    eventually(lambda: page.evaluate(at_end), bool)
    talker.say("one more")
    expect(page.locator("pre.log")).to_contain_text("one more")
    assert page.evaluate(at_end)
    page.evaluate("document.querySelector('pre.log').scrollTop = 100")
    talker.say("and another")
    expect(page.locator("pre.log")).to_contain_text("and another")
    assert page.evaluate("document.querySelector('pre.log').scrollTop") == 100


def test_without_script_a_link_loads_it_again(site: Live, talker: Talker, desk: Desk) -> None:
    """The same page tells what there is by now."""
    page = desk.page(f"/__ui__/jobs/{talker.job}", script=False)
    assert page.locator("progress").get_attribute("max") == "40"
    talker.say("second line")
    eventually(lambda: said(site, talker), lambda found: found[-1] == "second line")
    page.get_by_role("link", name="Reload").click()
    assert lines(page)[-1] == "second line"


@pytest.mark.parametrize("script", [True, False])
def test_it_is_ended_by_those_who_may(site: Live, talker: Talker, desk: Desk, script: bool) -> None:
    """An administrator has a button; others have none."""
    path = f"/__ui__/jobs/{talker.job}"
    guest = desk.page(path)
    assert guest.get_by_role("button", name="Cancel").count() == 0
    page = desk.page(script=script)
    sign_in(page, token(site.app, Scope.GLOBAL_ADMIN))
    page.goto(path)
    page.get_by_role("button", name="Cancel").focus()
    with page.expect_navigation():
        page.keyboard.press("Enter")
    eventually(lambda: site.api("GET", f"/jobs/{talker.job}")[1]["state"], lambda state: state == "cancelled")
    page.reload()
    assert page.get_by_text("Cancelled by").first.is_visible()


def test_a_server_that_is_away_is_asked_again(site: Live, talker: Talker, desk: Desk) -> None:
    """The page says that it lost the server, and goes on where it was once it is back."""
    page = desk.page(f"/__ui__/jobs/{talker.job}")
    page.context.set_offline(True)
    expect(page.get_by_role("status")).to_contain_text("does not answer")
    talker.say("meanwhile")
    page.context.set_offline(False)
    expect(page.locator("pre.log")).to_contain_text("meanwhile")
    expect(page.get_by_role("status")).to_contain_text("still runs")
    assert all("ERR_INTERNET_DISCONNECTED" in fault for fault in desk.faults)
    desk.faults.clear()
