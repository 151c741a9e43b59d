"""Each page, as everybody gets it: nothing happens on it that may not, all can use it, and it is light."""

from __future__ import annotations

from typing import Any

import pytest

from entrepot.web.ui.pages import ROUTES
from tests.support.chromium import (
    MOST_SHIFT,
    MOST_WEIGHT,
    PHONE,
    Desk,
    Page,
    audit,
    layout_shift,
    too_wide,
    weigh,
)
from tests.support.pagelist import NO_PAGES, PAGES, Shown, route_of
from tests.support.showroom import Showroom

pytestmark = pytest.mark.one_shape
each_page = pytest.mark.parametrize("shown", PAGES, ids=lambda shown: shown.name)


@pytest.fixture
def options(shown: Shown, room: Showroom, signed_in: dict[str, Any]) -> dict[str, Any]:
    """How the page is looked at."""
    if shown.needs_builds and not room.builds:
        pytest.skip("builds need bubblewrap (make test installs it)")
    return {"storage_state": signed_in} if shown.is_signed_in else {}


def go(desk: Desk, page: Page, shown: Shown, room: Showroom) -> Page:
    """Open a page, and see that it is the one that was meant."""
    answer = desk.go(page, shown.at(room))
    assert answer.status == shown.status
    assert page.url == room.live.address + shown.at(room), "the page sent the browser elsewhere"
    assert page.locator("h1").count() == 1
    return page


def test_every_page_is_listed(room: Showroom) -> None:
    """What the application can show is tried here, or there is a reason."""
    routes = [route for route in ROUTES if "GET" in (route.methods or ())]
    listed = {route_of(shown.at(room), routes) for shown in PAGES}
    assert {route.path for route in routes} - listed - set(NO_PAGES) == set()
    assert len({shown.name for shown in PAGES}) == len(PAGES)


def test_looking_is_not_written_down(room: Showroom) -> None:
    """Whoever looks at pages that they may see leaves nothing in the audit log: no page asks for more than that."""
    before = room.api("GET", "/audit")
    for shown in PAGES:
        if not shown.is_signed_in and shown.status in (200, 404):
            assert room.live.get(shown.at(room)).status == shown.status, shown.name
    assert room.api("GET", "/audit") == before


@each_page
def test_at_a_desk(shown: Shown, room: Showroom, desk: Desk, options: dict[str, Any]) -> None:
    """No fault, no shift of what is there already, nothing that keeps people from using it in light or dark; and its
    first load is below 120 KB with all that it brings."""
    page = desk.page(**options)
    sizes = weigh(page)
    go(desk, page, shown, room)
    assert sizes.total() < MOST_WEIGHT, sizes.most_common(5)
    assert layout_shift(page) < MOST_SHIFT
    audit(page)


@each_page
def test_on_a_phone(shown: Shown, room: Showroom, desk: Desk, options: dict[str, Any]) -> None:
    """It fits into 390 pixels, with script and without; and without script it shows as much."""
    page = go(desk, desk.page(size=PHONE, **options), shown, room)
    assert too_wide(page) == []
    assert layout_shift(page) < MOST_SHIFT
    bare = go(desk, desk.page(size=PHONE, script=False, **options), shown, room)
    assert too_wide(bare) == []
    assert bare.locator("h1").inner_text() == page.locator("h1").inner_text()
    assert bare.locator(".scripted").locator("visible=true").count() == 0
