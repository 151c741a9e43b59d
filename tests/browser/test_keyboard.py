"""The main ways with the keyboard alone: what has the focus can always be seen, and nothing catches it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import expect

from tests.support.chromium import Desk, Page, focused, follow_focus
from tests.support.pagelist import PAGES, UI, Shown
from tests.support.showroom import Showroom
from tests.support.showstock import FAMOUS, R_REPO

pytestmark = pytest.mark.one_shape
Stop = dict[str, Any]


def tab_to(page: Page, is_it: Callable[[Stop], bool]) -> Stop:
    """Press Tab until the right thing has the focus."""
    stops = []
    for stop in follow_focus(page):
        if is_it(stop):
            return stop
        stops.append(stop)
    raise AssertionError(f"{page.url}: not among {[stop['text'] or stop['label'] or stop['id'] for stop in stops]}")


def press(page: Page, key: str, *, text: str = "", label: str = "") -> None:
    """Tab to what has this text or name, and press a key there."""
    tab_to(page, lambda stop: (stop["text"] == text) if text else label in stop["label"])
    page.keyboard.press(key)


SORTS = {
    *("home-found", "packages", "package", "package-history", "package-dependencies", "setup", "compared", "check"),
    *("activity", "transaction", "proposal", "builds", "builder", "job-running", "status", "login", "device"),
    *("admin-repository", "admin-tokens", "admin-token-new", "not-found"),
}
"""Pages of each sort."""
ITS_OWN = ("date", "month", "search")
"""Fields in which Chromium shows itself what of them has the focus."""


@pytest.mark.parametrize("shown", [page for page in PAGES if page.name in SORTS], ids=lambda shown: shown.name)
def test_the_focus_goes_through_each_page(shown: Shown, room: Showroom, desk: Desk, signed_in: dict[str, Any]) -> None:
    """Each stop can be seen and stands out, the first one leads to what the page is about, and there is an end."""
    if shown.needs_builds and not room.builds:
        pytest.skip("builds need bubblewrap (make test installs it)")
    page = desk.page(**({"storage_state": signed_in} if shown.is_signed_in else {}))
    desk.go(page, shown.at(room))
    begins = page.locator("[autofocus]").count() == 0
    stops = list(follow_focus(page, most=400))
    assert (stops[0]["tag"], stops[0]["href"]) == ("a", "#main") or not begins
    assert [stop for stop in stops if not stop["visible"]] == []
    assert [stop for stop in stops if not stop["outlined"] and stop["type"] not in ITS_OWN] == []


def test_from_the_search_to_the_clipboard(room: Showroom, desk: Desk) -> None:
    """Home, search, package, set-up, copy: a person who only types gets the URL of the repository."""
    page = desk.page("/", permissions=["clipboard-read", "clipboard-write"])
    tab_to(page, lambda stop: stop["id"] == "f-search")
    page.keyboard.type("ggplot")
    expect(page.locator("#found [data-hit]").first).to_have_text(FAMOUS)
    press(page, "Enter", text=R_REPO)
    page.wait_for_url(f"**{UI}/repos/{R_REPO}/packages/{FAMOUS}")
    expect(page.locator("h1")).to_contain_text(FAMOUS)
    press(page, "Enter", text="Set-up")
    page.wait_for_url(f"**{UI}/repos/{R_REPO}/setup")
    stop = tab_to(page, lambda stop: stop["text"] == "Copy")
    page.keyboard.press("Enter")
    expect(page.locator(":focus")).to_have_text("Copied")
    assert page.evaluate("navigator.clipboard.readText()") == f"{room.live.address}/{R_REPO}/latest", stop


def test_sources_in_another_order(workshop: Showroom, desk_at: Callable[[str], Desk]) -> None:
    """A source is taken, moved up and let go; what that changes is shown, and done when it is confirmed."""
    desk = desk_at(workshop.live.address)
    page = desk.page(f"{UI}/admin/repositories/{R_REPO}", token=workshop.tokens["noor"])
    before = [each["name"] for each in workshop.api("GET", f"/repos/{R_REPO}/sources")]
    tab_to(page, lambda stop: before[0] in stop["label"] and stop["tag"] == "button")
    page.keyboard.press("ArrowDown")
    assert before[1] in focused(page)["label"]
    page.keyboard.press("Space")
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Space")
    expect(page.locator("#apply")).to_be_enabled()
    tab_to(page, lambda stop: stop["id"] == "apply")
    page.keyboard.press("Enter")
    page.wait_for_load_state()
    expect(page.locator("[role=status]").first).to_be_visible()
    after = [each["name"] for each in workshop.api("GET", f"/repos/{R_REPO}/sources")]
    assert after == [before[1], before[0], *before[2:]]
