"""Searches in a browser: as one types, by keyboard alone, without script; and older links to pages."""

from __future__ import annotations

import re
from typing import Any

import pytest
from playwright.sync_api import Page, Route, expect

from tests.support.chromium import PHONE, Desk, audit, layout_shift, too_wide
from tests.support.showroom import Showroom
from tests.support.showstock import CLOSED_REPO, FAMOUS, R_REPO

pytestmark = pytest.mark.one_shape

PACKAGES = f"/__ui__/repos/{R_REPO}/packages"
FIELD = "Package name or words"


def hits(page: Page) -> list[str]:
    return page.locator("[data-hit]").all_inner_texts()


def ready(page: Page) -> Page:
    """The page with its modules."""
    page.wait_for_load_state("networkidle")
    return page


def test_as_one_types(desk: Desk) -> None:
    """What is found takes the place of what was there, the address goes with it, and it is said how many there are; the
    page itself stays."""
    page = ready(desk.page(PACKAGES))
    page.evaluate("window.stays = true")
    page.get_by_label(FIELD).press_sequentially("ggplo", delay=20)
    expect(page.locator("[data-count]")).to_have_text(re.compile("“ggplo”"))
    assert hits(page)[0] == FAMOUS
    assert page.url.endswith("?search=ggplo")
    expect(page.locator("#found-said")).to_have_text(page.locator("[data-count]").inner_text())
    assert page.get_by_label(FIELD).evaluate("field => field === document.activeElement")
    assert page.evaluate("window.stays")
    audit(page)
    page.reload()
    assert page.get_by_label(FIELD).input_value() == "ggplo"
    assert hits(page)[0] == FAMOUS
    page.get_by_label(FIELD).fill("")
    expect(page.locator("[data-count]")).not_to_contain_text("“")
    assert page.url.endswith("/packages")


def test_one_request_for_many_letters(desk: Desk) -> None:
    """The server isn't asked for each of them."""
    page = ready(desk.page(PACKAGES))
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url) if "/__static__/" not in request.url else None)
    page.get_by_label(FIELD).evaluate(
        """field => {
          for (const letter of "ggplot2") {
            field.value += letter;
            field.dispatchEvent(new InputEvent("input", { bubbles: true }));
          }
        }"""
    )
    expect(page.locator("[data-count]")).to_have_text(re.compile("“ggplot2”"))
    assert len(asked) == 1


def test_answers_out_of_order(desk: Desk) -> None:
    """What was asked first and comes last is not shown."""
    page = ready(desk.page(PACKAGES))
    held: list[Route] = []

    def hold(route: Route) -> None:
        if "search=rl&" in route.request.url + "&":
            held.append(route)
        else:
            route.continue_()

    page.route("**/packages?**", hold)
    field = page.get_by_label(FIELD)
    field.fill("rl")
    page.wait_for_timeout(400)
    assert len(held) == 1
    field.fill("ggplot2")
    expect(page.locator("[data-count]")).to_have_text(re.compile("“ggplot2”"))
    held[0].continue_()
    page.wait_for_timeout(400)
    assert page.locator("[data-count]").inner_text().endswith("“ggplot2”")
    assert page.url.endswith("search=ggplot2")


def test_filters_count_at_once(desk: Desk) -> None:
    """A choice is asked for as it is made, with what was typed and the snapshot; the focus stays where it was."""
    page = ready(desk.page(f"{PACKAGES}?snapshot=2025-05-06"))
    page.get_by_label(FIELD).fill("r")
    expect(page.locator("[data-count]")).to_contain_text("“r”")
    page.get_by_label("Licence").focus()
    page.get_by_label("Licence").select_option("MIT")
    expect(page.get_by_role("link", name="Remove the filters")).to_be_visible()
    assert page.get_by_label("Licence").evaluate("field => field === document.activeElement")
    assert {*page.url.partition("?")[2].split("&")} == {"search=r", "license=MIT", "snapshot=2025-05-06"}
    page.get_by_label("Order").select_option("name")
    page.wait_for_url("**sort=name**")
    names = hits(page)
    assert names == sorted(names, key=str.casefold)
    page.get_by_role("link", name="Remove the filters").click()
    assert page.get_by_label("Licence").input_value() == ""
    assert page.get_by_label(FIELD).input_value() == "r"
    page.get_by_label("Updated since").fill("2025-05-01")
    page.wait_for_url("**updated_since=2025-05-01**")


def test_by_keyboard_alone(desk: Desk) -> None:
    """Slash leads to the field, arrows through what was found and back, Enter to the package."""
    page = ready(desk.page("/"))
    page.keyboard.press("/")
    page.keyboard.type(FAMOUS)
    expect(page.locator("[data-count]")).to_contain_text("found")
    page.keyboard.press("ArrowDown")
    assert page.evaluate("document.activeElement.textContent") == FAMOUS
    page.keyboard.press("ArrowUp")
    assert page.evaluate("document.activeElement.id") == "f-search"
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Escape")
    assert page.evaluate("document.activeElement.id") == "f-search"
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/packages/{FAMOUS}")


def test_enter_does_not_wait(desk: Desk) -> None:
    """It searches at once, on this page."""
    page = ready(desk.page(PACKAGES))
    page.evaluate("window.stays = true")
    page.get_by_label(FIELD).fill(FAMOUS)
    page.keyboard.press("Enter")
    expect(page.locator("[data-count]")).to_contain_text(FAMOUS)
    assert page.evaluate("window.stays")


def test_without_script_it_is_a_form(desk: Desk) -> None:
    """The same fields, the same result, by buttons."""
    page = desk.page(PACKAGES, script=False)
    page.get_by_label(FIELD).fill("ggplot2")
    page.get_by_label("Licence").select_option("MIT")
    page.get_by_role("button", name="Search").click()
    assert hits(page)[0] == FAMOUS
    assert "license=MIT" in page.url
    page.get_by_label("Order").select_option("name")
    page.get_by_role("button", name="Apply").click()
    assert "sort=name" in page.url
    page = desk.page("/", script=False)
    page.get_by_label(FIELD).fill("ggplot2")
    page.get_by_role("button", name="Search").click()
    assert hits(page)[0] == FAMOUS


@pytest.mark.parametrize("path", ["/?search=ggplot2", f"{PACKAGES}?search=a&license=MIT"])
def test_on_a_phone(desk: Desk, path: str) -> None:
    """Rows become cards that fit, before and after a search."""
    page = ready(desk.page(path, size=PHONE))
    assert too_wide(page) == []
    assert layout_shift(page) < 0.01
    page.get_by_label(FIELD).fill("plots")
    expect(page.locator("[data-count]")).not_to_contain_text("ggplot2")
    page.wait_for_timeout(300)
    assert too_wide(page) == []
    audit(page)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (f"/#/repos/{R_REPO}/packages?search=plot", f"{PACKAGES}?search=plot"),
        (f"/#/repos/{R_REPO}/overview", PACKAGES),
        (f"/#/repos/{R_REPO}", PACKAGES),
        (f"/#/repos/{R_REPO}/setup?bioconductor_version=3.18", f"/__ui__/repos/{R_REPO}/setup?bioc_version=3.18"),
        (f"/#/repos/{R_REPO}/packages/ggplot2", f"{PACKAGES}/ggplot2"),
        (f"/client/#/repos/{R_REPO}/packages", PACKAGES),
        (f"/client/#/repos/{R_REPO}/activity", f"/__ui__/repos/{R_REPO}/activity"),
    ],
)
def test_older_links_lead_to_the_page(room: Showroom, desk: Desk, old: str, new: str) -> None:
    """What stands behind the `#` in links of the product is found, also by a repository's number."""
    page = desk.page(old)
    page.wait_for_url(room.live.address + new)
    (id_,) = [repo["id"] for repo in room.live.api("GET", "/repos")[1] if repo["name"] == R_REPO]
    page = desk.page(old.replace(R_REPO, str(id_)))
    page.wait_for_url(room.live.address + new.replace(R_REPO, str(id_)))


@pytest.mark.parametrize("old", ["/#/", "/#/nothing/x", "/#//evil.example.org/repos/x", "/#/repos/%zz/packages"])
def test_other_texts_behind_the_hash_lead_nowhere(room: Showroom, desk: Desk, old: str) -> None:
    """Neither to another page nor to another host."""
    page = desk.page(old)
    page.wait_for_timeout(200)
    assert page.url == room.live.address + old


def test_closed_packages_are_not_found_as_one_types(desk: Desk, signed_in: dict[str, Any]) -> None:
    """Whoever is signed in finds them, others learn nothing of them."""
    page = desk.page(f"/__ui__/repos/{CLOSED_REPO}/packages", storage_state=signed_in)
    (name, *_) = hits(page)
    for state, expected in ((signed_in, True), (None, False)):
        page = ready(desk.page("/", **({"storage_state": state} if state else {})))
        page.get_by_label(FIELD).fill(name)
        expect(page.locator("[data-count]")).to_be_visible()
        links = [link.get_attribute("href") or "" for link in page.locator("#found a").all()]
        assert any(CLOSED_REPO in link for link in links) is expected
