"""Set-up with its calendar, compare and check in a browser: by hand, by keyboard, and without script."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.support.chromium import PHONE, Desk, Page, audit, layout_shift, too_wide
from tests.support.showroom import Showroom
from tests.support.showstock import BIOC_REPO, FAMOUS, PY_REPO, R_REPO, RETIRED

pytestmark = pytest.mark.one_shape
UI = "/__ui__/repos"


def url_of(page: Page) -> str:
    """The repository URL that the set-up shows."""
    return page.locator("#result .copyline code").inner_text()


def day(page: Page) -> str:
    """What of the calendar has the focus."""
    return str(page.evaluate("document.activeElement.closest('.day')?.innerText.split('\\n')[0] ?? ''"))


# --- the set-up ---


@pytest.mark.parametrize("script", [True, False], ids=["script", "no script"])
def test_a_set_up_for_a_distribution_at_a_day(room: Showroom, desk: Desk, script: bool) -> None:
    """The choices, then a day of the calendar: the texts are those of the API, and the address says it all."""
    page = desk.page(f"{UI}/{R_REPO}/setup", script=script)
    assert url_of(page) == f"{room.live.address}/{R_REPO}/latest"
    page.get_by_label("Client").select_option(label="Workbench")
    page.get_by_label("Linux distribution").select_option("jammy")
    if not script:
        page.get_by_role("button", name="Show").first.click()
    expect(page.locator("#result .copyline code")).to_have_text(f"{room.live.address}/{R_REPO}/__linux__/jammy/latest")
    page.get_by_role("link", name="Month before").click()
    expect(page.locator("#calendar-name")).to_have_text("May 2025")
    page.locator("a.day", has_text=re.compile(r"^6\b")).first.click()
    expect(page.locator("#result .copyline code")).to_have_text(
        f"{room.live.address}/{R_REPO}/__linux__/jammy/2025-05-06"
    )
    told = room.live.api("GET", f"/repos/{R_REPO}/setup?environment=workbench&distribution=jammy&snapshot=2025-05-06")[
        1
    ]
    assert page.locator("#result pre code").all_inner_texts() == [block["text"] for block in told["blocks"]]
    assert "snapshot=2025-05-06" in page.url
    page.reload()
    assert url_of(page) == told["repository_url"]
    page.get_by_role("link", name="Use latest").click()
    expect(page.locator("#result .copyline code")).to_have_text(f"{room.live.address}/{R_REPO}/__linux__/jammy/latest")


def test_a_choice_shows_its_result_by_itself(desk: Desk) -> None:
    """The field keeps the focus, somebody who doesn't see is told, and there is no button to press."""
    page = desk.page(f"{UI}/{R_REPO}/setup")
    page.evaluate("window.same = true")
    expect(page.locator("[data-button]")).to_be_hidden()
    field = page.get_by_label("Client")
    field.select_option(label="renv")
    expect(page.locator("#result h3").first).to_contain_text("renv")
    expect(page.locator("#setup-said")).to_have_text("The set-up was updated.")
    assert page.evaluate("document.activeElement.id") == "f-environment"
    page.get_by_label("Operating system").select_option(label="Windows")
    expect(page.get_by_label("Linux distribution")).to_have_count(0)
    page.get_by_label("Operating system").select_option(label="Linux")
    expect(page.get_by_label("Linux distribution")).to_be_visible()
    assert page.evaluate("window.same") is True
    assert layout_shift(page) < 0.01
    audit(page)


def test_the_calendar_by_keyboard(desk: Desk) -> None:
    """One stop for Tab; arrows, Home, End and Page keys move in it; Enter takes the day."""
    page = desk.page(f"{UI}/{R_REPO}/setup?snapshot=2025-05-06")
    page.locator("a.day[aria-current]").focus()
    assert day(page) == "6"
    for key, expected in (
        ("ArrowRight", "7"),
        ("ArrowDown", "14"),
        ("ArrowLeft", "13"),
        ("ArrowUp", "6"),
        ("End", "11"),
        ("Home", "5"),
    ):
        page.keyboard.press(key)
        assert day(page) == expected, key
    page.keyboard.press("Tab")
    assert day(page) == ""
    page.keyboard.press("Shift+Tab")
    assert day(page) == "5"
    page.keyboard.press("PageUp")
    expect(page.locator("#calendar-name")).to_have_text("April 2025")
    assert day(page) == "30"
    page.keyboard.press("PageDown")
    expect(page.locator("#calendar-name")).to_have_text("May 2025")
    expect(page.locator("a.day:focus")).to_have_count(1)
    for _ in range(40):
        page.keyboard.press("ArrowLeft")
    assert day(page) == "1"
    page.keyboard.press("Enter")
    page.wait_for_url("**snapshot=2025-05-01")
    expect(page.locator("#result .copyline code")).to_contain_text("/2025-05-01")


def test_the_calendar_begins_and_ends(room: Showroom, desk: Desk) -> None:
    """Days beside those that can be used are no links, and say why."""
    days = room.live.api("GET", f"/repos/{R_REPO}/days")[1]
    page = desk.page(f"{UI}/{R_REPO}/calendar?month=1990-01")
    expect(page.locator("#calendar-name")).to_contain_text(days["first"][:4])
    assert page.get_by_role("link", name="Month before").count() == 0
    first = int(days["first"][8:])
    assert page.locator("a.day").first.inner_text().split()[0] == str(first)
    assert page.locator("span.day.off").count() == first - 1
    assert "nothing was there yet" in page.locator("span.day.off").first.inner_text()
    page.goto(f"{UI}/{R_REPO}/calendar")
    assert page.get_by_role("link", name="Month after").count() == 0
    assert "not over" in page.locator("span.day.off").last.inner_text()


def test_a_version_of_bioconductor(room: Showroom, desk: Desk) -> None:
    """It brings the day of CRAN that goes with it; one that isn't mirrored says so."""
    page = desk.page(f"{UI}/{BIOC_REPO}/setup")
    page.get_by_label("Bioconductor", exact=True).select_option("3.17")
    told = room.live.api("GET", f"/repos/{BIOC_REPO}/setup?bioc_version=3.17")[1]
    choice = next(
        each
        for each in room.live.api("GET", f"/repos/{BIOC_REPO}/setup/choices")[1]["bioc_versions"]
        if each["bioc_version"] == "3.17"
    )
    expect(page.locator("#result")).to_contain_text(f"Goes with CRAN of {choice['cran_snapshot']}")
    assert page.locator("#result pre code").all_inner_texts() == [block["text"] for block in told["blocks"]]
    assert f"/cran/{choice['cran_snapshot']}" in told["blocks"][0]["text"]
    page.get_by_label("Bioconductor", exact=True).select_option("3.19")
    expect(page.locator("#result")).to_contain_text("Bioconductor 3.19 is not mirrored yet")
    audit(page)


def test_a_wrong_day_leads_to_the_nearest(desk: Desk) -> None:
    """From the page of the error to one that works, with all else as it was."""
    page = desk.page(f"{UI}/{R_REPO}/setup?environment=renv&snapshot=2031-01-01")
    page.get_by_role("link", name=re.compile("nearest day")).click()
    expect(page.locator("#result h3").first).to_contain_text("renv")
    audit(page)


def test_the_set_up_on_a_phone(desk: Desk) -> None:
    """All of it fits, and the way to the calendar is beside the result."""
    page = desk.page(f"{UI}/{PY_REPO}/setup?environment=connect", size=PHONE)
    assert too_wide(page) == []
    page.get_by_role("link", name="Choose a day").click()
    expect(page.locator("#when")).to_be_in_viewport()


# --- compare ---


@pytest.mark.parametrize("script", [True, False], ids=["script", "no script"])
def test_two_snapshots(room: Showroom, desk: Desk, script: bool) -> None:
    """Two days, one of them from the calendar; then the changes of one kind, and the other way round."""
    page = desk.page(f"{UI}/cran/compare", script=script)
    page.get_by_label("From", exact=True).fill("2023-09-01")
    page.get_by_role("button", name="Compare").click()
    expect(page.get_by_role("heading", level=2)).to_contain_text("From 2023-09-01")
    page.get_by_role("link", name="To: calendar").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Calendar")
    page.get_by_label("Month", exact=True).fill("2024-06")
    page.get_by_role("button", name="Show").click()
    expect(page.locator("#calendar-name")).to_have_text("June 2024")
    page.locator("a.day").first.click()
    page.wait_for_url("**to=2024-06-01**")
    told = room.live.api("GET", "/repos/cran/diff?from=2023-09-01&to=2024-06-01")[1]
    rows = page.locator("table.changes tbody tr")
    assert rows.count() == min(100, len(told["changes"]))
    page.get_by_role("link", name=re.compile("^archived")).click()
    expect(rows).to_have_count(1)
    expect(rows.first).to_contain_text(f"{RETIRED} archived 1.1-8")
    page.get_by_role("link", name="The other way round").click()
    expect(page.get_by_role("heading", level=2)).to_contain_text("From 2024-06-01")
    if script:
        audit(page)


# --- check ---


@pytest.mark.parametrize("script", [True, False], ids=["script", "no script"])
def test_a_pasted_list(desk: Desk, script: bool) -> None:
    """What is missing, what may have been meant, and what can be had."""
    page = desk.page(f"{UI}/cran/check", script=script)
    page.get_by_label("List", exact=True).fill(f"{FAMOUS}\n{FAMOUS}>=999\n{FAMOUS[:-1]}\nstats\n")
    page.get_by_role("button", name="Check").click()
    expect(page.get_by_role("heading", level=2).first).to_have_text("Some of it can't be served.")
    rows = page.locator("table").first.locator("tbody tr")
    expect(rows).to_have_count(2)
    expect(rows.first).to_contain_text("the next lower version is")
    expect(rows.nth(1)).to_contain_text("Did you mean")
    expect(rows.nth(1).get_by_role("link", name=FAMOUS, exact=True)).to_be_visible()
    page.get_by_text("What can be served").click()
    expect(page.locator("details.served tbody tr")).to_have_count(2)
    if script:
        audit(page)


def test_a_list_from_a_file(desk: Desk, tmp_path: Path) -> None:
    """It is read into the field; one that is too large is not, and that is said."""
    (tmp_path / "list.txt").write_text(f"{FAMOUS}\n")
    (tmp_path / "large.txt").write_text("x" * 1_000_001)
    page = desk.page(f"{UI}/cran/check")
    page.get_by_label("Or from a file").set_input_files(tmp_path / "list.txt")
    expect(page.get_by_label("List", exact=True)).to_have_value(f"{FAMOUS}\n")
    page.get_by_label("Or from a file").set_input_files(tmp_path / "large.txt")
    expect(page.locator("#file-said")).to_contain_text("large.txt is larger than this page takes")
    expect(page.get_by_label("List", exact=True)).to_have_value(f"{FAMOUS}\n")
