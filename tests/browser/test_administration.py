"""The administration in a browser: the order of sources by pointer, by keyboard and without script; tokens."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import expect

from tests.support.archives import make_source_package
from tests.support.chromium import PHONE, Desk, Page, audit, follow_focus, layout_shift, too_wide
from tests.support.server import Live

pytestmark = pytest.mark.one_shape
MINE = "/__ui__/admin/repositories/mine"


@pytest.fixture
def site(live: Live) -> Live:
    """The repository `mine` over `one`, `two` and `three`, which share `abc`; `more` is used by nobody."""
    for source, packages in (("one", ("abc", "own")), ("two", ("abc",)), ("three", ("abc", "xyz")), ("more", ("new",))):
        live.api("POST", "/sources", {"name": source})
        files = [(f"{name}_1.0.tar.gz", make_source_package(name, "1.0")) for name in packages]
        assert live.upload(source, *files)[0] == 200
    live.api("POST", "/repos", {"name": "mine"})
    for source in ("one", "two", "three"):
        live.api("POST", "/repos/mine/sources", {"source": source})
    return live


@pytest.fixture
def open_page(site: Live, desk_at: Callable[[str], Desk]) -> Callable[..., Page]:
    """Opens a page as an administrator."""
    wish = {"scopes": ["global:admin"], "description": "a test", "user": "ann"}
    token = site.api("POST", "/tokens", wish)[1]["token"]
    desk = desk_at(site.address)

    def opened(path: str = MINE, **options: Any) -> Page:
        return desk.page(path, token=token, **options)

    return opened


def order(page: Page) -> list[str | None]:
    return [row.get_attribute("data-name") for row in page.locator(".order li").all()]


def previewed(page: Page, *wish: str) -> None:
    """Wait until the preview is the one of that order."""
    expect(page.locator("#preview:not([aria-busy])")).to_be_visible()
    expect(page.locator('#preview input[name="source"]')).to_have_count(len(wish))
    sent = page.locator('#preview input[name="source"]').all()
    assert [field.get_attribute("value") for field in sent] == list(wish)
    assert order(page) == list(wish)


def in_force(site: Live) -> list[str]:
    return list(site.api("GET", "/repos/mine")[1]["sources"])


def test_a_row_is_dragged(site: Live, open_page: Callable[..., Page]) -> None:
    """The preview follows by itself, and the button gives what it shows; the address keeps the wish."""
    page = open_page()
    grip, last = page.get_by_role("button", name="Move one", exact=True), page.locator(".order li").last
    start, end = grip.bounding_box(), last.bounding_box()
    assert start is not None
    assert end is not None
    page.mouse.move(start["x"] + 5, start["y"] + 5)
    page.mouse.down()
    page.mouse.move(start["x"] + 5, end["y"] + end["height"] - 4, steps=8)
    assert order(page) == ["two", "three", "one"]
    page.mouse.up()
    previewed(page, "two", "three", "one")
    expect(page.locator("#preview")).to_contain_text("One package changes hands")
    assert in_force(site) == ["one", "two", "three"]
    page.reload()
    assert order(page) == ["two", "three", "one"]
    page.get_by_role("button", name="Apply this order").click()
    expect(page.get_by_role("status")).to_contain_text("The new order is in force.")
    assert in_force(site) == ["two", "three", "one"]


def test_a_row_is_moved_by_keyboard(site: Live, open_page: Callable[..., Page]) -> None:
    """Space takes it, arrows move it, space puts it down, escape puts it back; each step is said."""
    page = open_page()
    said = page.locator("#order-said")
    page.get_by_role("button", name="Move one", exact=True).focus()
    page.keyboard.press("ArrowDown")
    assert page.evaluate("document.activeElement.closest('li').dataset.name") == "two"
    page.keyboard.press(" ")
    expect(said).to_have_text("two is taken. Position 2 of 3.")
    expect(page.get_by_role("button", name="Move two", exact=True)).to_have_attribute("aria-pressed", "true")
    page.keyboard.press("ArrowUp")
    expect(said).to_have_text("two is now 1 of 3.")
    page.keyboard.press("Escape")
    expect(said).to_have_text("two is back at position 2 of 3.")
    assert order(page) == ["one", "two", "three"]
    page.keyboard.press(" ")
    page.keyboard.press("End")
    page.keyboard.press(" ")
    previewed(page, "one", "three", "two")
    expect(said).to_have_text("0 packages change hands")
    assert page.evaluate("document.activeElement.closest('li').dataset.name") == "two"
    page.get_by_role("button", name="Apply this order").press("Enter")
    expect(page.get_by_role("status")).to_contain_text("The new order is in force.")
    assert in_force(site) == ["one", "three", "two"]


def test_one_handle_is_reached_by_tab(open_page: Callable[..., Page]) -> None:
    """The others by arrow keys; the buttons of each row are reached by tab."""
    page = open_page()
    names = [str(each["label"]) for each in follow_focus(page)]
    assert [name for name in names if name.startswith("Move ") and name.count(" ") == 1] == ["Move one"]
    assert {"Move one down", "Move two up", "Move three up", "Remove two"} <= set(names)


def test_the_buttons_of_a_row(open_page: Callable[..., Page]) -> None:
    """They move it here and now, and keep the focus as long as they can be pressed."""
    page = open_page()
    page.get_by_role("button", name="Move three up").click()
    assert order(page) == ["one", "three", "two"]
    assert page.evaluate("document.activeElement.getAttribute('aria-label')") == "Move three up"
    page.keyboard.press("Enter")
    previewed(page, "three", "one", "two")
    assert page.evaluate("document.activeElement.getAttribute('aria-label')") == "Move three down"
    assert page.get_by_role("button", name="Move three up").is_disabled()
    page.get_by_role("button", name="Remove one").click()
    previewed(page, "three", "two")
    page.get_by_label("Add a source as the last one").select_option("more")
    page.get_by_role("button", name="Add", exact=True).click()
    previewed(page, "three", "two", "more")
    audit(page)


def test_without_script(site: Live, open_page: Callable[..., Page]) -> None:
    """A page at a time, with the focus where it was; what is previewed is applied."""
    page = open_page(script=False)
    assert page.locator(".grip").first.is_hidden()
    page.get_by_role("button", name="Move three up").click()
    assert order(page) == ["one", "three", "two"]
    assert page.locator("[autofocus]").get_attribute("aria-label") == "Move three up"
    page.get_by_role("button", name="Move three up").click()
    assert page.locator("[autofocus]").get_attribute("aria-label") == "Move three down"
    page.get_by_role("button", name="Remove two").click()
    assert order(page) == ["three", "one"]
    expect(page.locator("#preview tbody tr")).to_contain_text(["abc"])
    page.get_by_role("button", name="Apply this order").click()
    assert in_force(site) == ["three", "one"]


def test_a_preview_that_is_out_of_date(site: Live, open_page: Callable[..., Page]) -> None:
    """What somebody else changed meanwhile is noticed by the button; the wish is kept, with a new preview."""
    page = open_page(f"{MINE}?source=three&source=one&source=two")
    site.api("DELETE", "/repos/mine/sources/two")
    page.get_by_role("button", name="Apply this order").click()
    expect(page.get_by_role("alert")).to_contain_text("changed since this was previewed")
    assert in_force(site) == ["one", "three"]
    previewed(page, "three", "one", "two")
    page.get_by_role("button", name="Apply this order").click()
    assert in_force(site) == ["three", "one", "two"]


def test_by_touch_on_a_phone(open_page: Callable[..., Page]) -> None:
    """The rows fit, also without script, nothing shifts, and dragging by the handle doesn't scroll."""
    assert too_wide(open_page(size=PHONE, script=False)) == []
    page = open_page(size=PHONE, has_touch=True)
    assert too_wide(page) == []
    assert layout_shift(page) < 0.01
    assert page.locator(".grip").first.evaluate("(grip) => getComputedStyle(grip).touchAction") == "none"
    page.get_by_role("button", name="Move one down").tap()
    previewed(page, "two", "one", "three")


def test_a_token_from_the_form_to_its_end(site: Live, open_page: Callable[..., Page]) -> None:
    """Made, copied, found in the list, revoked after a question."""
    page = open_page("/__ui__/admin/tokens")
    page.get_by_role("link", name="New token").click()
    page.get_by_label("Description").fill("the build server")
    page.get_by_label("User").fill("build@example.org")
    page.get_by_label("It is good for").select_option("30d")
    sources = page.get_by_role("group", name="Sources", exact=True)
    sources.get_by_role("radio", name="Write to these").check()
    sources.get_by_role("checkbox", name="two").check()
    audit(page)
    page.get_by_role("button", name="Make the token").click()
    text = page.locator("pre").inner_text()
    assert site.api("GET", "/whoami", token=text)[1]["scopes"] == ["sources:write:two"]
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.get_by_role("button", name="Copy: Text of the token").click()
    assert page.evaluate("navigator.clipboard.readText()") == text
    audit(page)
    page.get_by_role("link", name="All tokens").click()
    page.get_by_role("link", name="the build server").click()
    assert text not in page.content()
    page.get_by_role("link", name="Revoke the token").click()
    page.get_by_role("button", name="Revoke the token").click()
    expect(page.get_by_role("status")).to_have_text("The token was revoked.")
    assert site.api("GET", "/whoami", token=text)[0] == 401
