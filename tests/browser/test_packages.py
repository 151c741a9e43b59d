"""The page of a package at work: choices take effect at once, trees unfold, all of it by keyboard too."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.chromium import Desk, audit
from tests.support.showroom import Showroom
from tests.support.showstock import FAMOUS, PY_FAMOUS, PY_REPO, R_REPO

pytestmark = pytest.mark.one_shape
PAGE = f"/__ui__/repos/{R_REPO}/packages/{FAMOUS}"


def test_a_choice_takes_effect_at_once(desk: Desk) -> None:
    """Client, version and system are in the address, so that it can be passed on; the code follows."""
    page = desk.page()
    page.goto(PAGE, wait_until="networkidle")
    page.get_by_label("With").select_option("renv")
    page.wait_for_url("**client=renv*")
    page.get_by_label("Version").select_option("3.5.1")
    page.wait_for_url("**version=3.5.1*")
    assert f'renv::install("{FAMOUS}@3.5.1")' in page.locator(".package-side pre").first.inner_text()
    assert "client=renv" in page.url
    assert page.get_by_text("Version 3.5.1 is archived").is_visible()


def test_the_same_without_script(desk: Desk) -> None:
    """By a button that is there then."""
    page = desk.page(script=False)
    page.goto(PAGE, wait_until="networkidle")
    page.get_by_label("With").select_option("pak")
    page.get_by_role("button", name="Show", exact=True).first.click()
    assert f'pak::pkg_install("{FAMOUS}")' in page.locator(".package-side pre").first.inner_text()


def test_a_tree_unfolds_by_keyboard(desk: Desk) -> None:
    """Level by level, each asked for once; a package of above is named and not unfolded again."""
    page = desk.page()
    page.goto(PAGE, wait_until="networkidle")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    branch = page.locator("#dependencies .branch").first
    branch.locator("summary").focus()
    page.keyboard.press("Enter")
    branch.locator(".tree").first.wait_for()
    deeper = branch.locator(".branch")
    if deeper.count():
        deeper.first.locator("summary").focus()
        page.keyboard.press("Space")
        deeper.first.locator(".kind, .note").first.wait_for()
    count = len(asked)
    branch.locator("summary").first.focus()
    page.keyboard.press("Enter")
    page.keyboard.press("Enter")
    page.wait_for_timeout(200)
    assert len(asked) == count
    audit(page)


def test_a_tree_without_script_is_links(desk: Desk) -> None:
    """Each branch has one, to the page of what it needs."""
    page = desk.page(script=False)
    page.goto(PAGE, wait_until="networkidle")
    branch = page.locator("#dependencies .branch").first
    branch.locator("summary").click()
    branch.locator("a").first.click()
    assert page.locator("h1").inner_text().endswith("Dependencies")


def test_the_way_into_the_past(desk: Desk) -> None:
    """From the history to the package as it was then, with the version that was current."""
    page = desk.page()
    page.goto(f"{PAGE}/history", wait_until="networkidle")
    first = page.locator(".timeline > li").last
    version = first.locator("strong.mono").inner_text()
    first.get_by_role("link", name="The package at").click()
    assert page.locator("h1 .version").inner_text() == version
    assert page.get_by_text("Show latest").is_visible()


def test_copied(room: Showroom, desk: Desk) -> None:
    """The button copies the code, no more and no less, and says so."""
    page = desk.page(permissions=["clipboard-read", "clipboard-write"])
    page.goto(f"/__ui__/repos/{PY_REPO}/packages/{PY_FAMOUS}", wait_until="networkidle")
    button = page.locator(".package-side .copy").first
    button.click()
    page.get_by_text("Copied").first.wait_for()
    copied: Any = page.evaluate("navigator.clipboard.readText()")
    assert copied == f"pip install --index-url {room.live.address}/{PY_REPO}/latest/simple {PY_FAMOUS}"
