"""Every form of every page, sent without script: what was wanted is done, or what was asked for is shown."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
from starlette.routing import Match, Route

from entrepot.web.ui.pages import ROUTES
from tests.support.chromium import Browser, Desk, Page, sign_in
from tests.support.device import Program
from tests.support.pagelist import PAGES, UI, Shown
from tests.support.showroom import Showroom, showroom
from tests.support.showstock import BUILT, CURATED, FROZEN, GIT, LOCAL, R_REPO, TARGET

pytestmark = pytest.mark.one_shape
ADMIN = f"{UI}/admin"


@pytest.fixture(scope="module")
def room(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Showroom]:
    """One of our own, since it will not be the same afterwards."""
    with showroom(tmp_path_factory.mktemp("forms")) as made:
        yield made


@dataclass(frozen=True, slots=True)
class Form:
    """How a form that changes something is sent: from which page, filled in with what, by which button (the first, if
    it isn't said); and what is so afterwards."""

    at: Callable[[Showroom], str]
    proof: Callable[[Showroom], object]
    fields: Mapping[str, str] = field(default_factory=dict)
    button: str = ""
    is_signed_in: bool = True
    needs_builds: bool = False
    status: int = 303


def has_jobs(kind: str) -> Callable[[Showroom], object]:
    return lambda room: [job for job in room.api("GET", f"/jobs?kind={kind}") if job["actor"] == "noor"]


def made_source(room: Showroom) -> str:
    room.api("POST", "/sources", {"name": "of-no-use", "type": "local", "succeed_on_existing": True})
    return f"{ADMIN}/sources/of-no-use/delete"


def waiting_device(room: Showroom) -> str:
    program = Program(room.live)
    return f"/__device__?user_code={program.begin()['user_code']}"


def names(room: Showroom, of: str) -> list[str]:
    return [each["name"] for each in room.api("GET", f"/{of}")]


FORMS = {
    "/__login__": Form(
        lambda _: "/__login__",
        lambda room: room.api("GET", "/tokens?kind=session"),
        {"token": "ADMIN"},
        is_signed_in=False,
    ),
    "/__device__": Form(waiting_device, lambda _: True, button="Deny", status=200),
    f"{UI}/repos/{{repo}}/check": Form(
        lambda _: f"{UI}/repos/{R_REPO}/check", lambda _: True, {"list": "ggplot2\nggplto2\nsf >= 99\n"}, status=200
    ),
    f"{UI}/sources/{{source}}/sync": Form(lambda _: f"{UI}/sources/pypi", has_jobs("sync")),
    f"{UI}/sources/{{source}}/proposals/{{id}}": Form(
        lambda room: f"{UI}/sources/{CURATED}/proposals/{room.proposal}",
        lambda room: room.api("GET", f"/sources/{CURATED}/proposals/{room.proposal}")["committed"],
        {"comment": "as the board wants it"},
    ),
    f"{UI}/builds/targets/{{name}}/run": Form(
        lambda _: f"{UI}/builds/targets/{TARGET}", has_jobs("binaries"), needs_builds=True
    ),
    f"{UI}/builds/targets/{{name}}/rerun": Form(
        lambda _: f"{UI}/builds/targets/{TARGET}", has_jobs("binaries"), needs_builds=True
    ),
    f"{UI}/sources/{{source}}/builders/{{name}}/run": Form(
        lambda _: f"{UI}/sources/{GIT}/builders/{BUILT}", has_jobs("build"), needs_builds=True
    ),
    f"{UI}/sources/{{source}}/builders/{{name}}/rerun": Form(
        lambda _: f"{UI}/sources/{GIT}/builders/{BUILT}", has_jobs("build"), needs_builds=True
    ),
    f"{UI}/jobs/{{id}}/cancel": Form(
        lambda room: f"{UI}/jobs/{room.running_job}",
        lambda room: room.api("GET", f"/jobs/{room.running_job}")["is_cancelled"],
    ),
    f"{UI}/admin/repositories": Form(
        lambda _: f"{ADMIN}/repositories",
        lambda room: "winter" in names(room, "repos"),
        {"name": "winter", "description": "For later"},
    ),
    f"{UI}/admin/repositories/{{repo}}": Form(
        lambda _: f"{ADMIN}/repositories/{R_REPO}?wish=1&source=cran&source={LOCAL}&source={GIT}",
        lambda room: [each["name"] for each in room.api("GET", f"/repos/{R_REPO}/sources")] == ["cran", LOCAL, GIT],
    ),
    f"{UI}/admin/repositories/{{repo}}/settings": Form(
        lambda _: f"{ADMIN}/repositories/{R_REPO}/settings",
        lambda room: room.api("GET", f"/repos/{R_REPO}")["description"] == "Of the team",
        {"description": "Of the team"},
    ),
    f"{UI}/admin/repositories/{{repo}}/delete": Form(
        lambda _: f"{ADMIN}/repositories/spring-2025/delete", lambda room: "spring-2025" not in names(room, "repos")
    ),
    f"{UI}/admin/sources": Form(
        lambda _: f"{ADMIN}/sources",
        lambda room: "new-one" in names(room, "sources"),
        {"name": "new-one", "type": "local"},
    ),
    f"{UI}/admin/sources/{{source}}": Form(
        lambda _: f"{ADMIN}/sources/{FROZEN}", lambda room: "frosty" in names(room, "sources"), {"name": "frosty"}
    ),
    f"{UI}/admin/sources/{{source}}/delete": Form(made_source, lambda room: "of-no-use" not in names(room, "sources")),
    f"{UI}/admin/tokens/new": Form(
        lambda _: f"{ADMIN}/tokens/new",
        lambda room: [each for each in room.api("GET", "/tokens") if each["description"] == "by form"],
        {"description": "by form", "repos": "all"},
        status=200,
    ),
    f"{UI}/admin/tokens/{{guid}}/revoke": Form(
        lambda room: f"{ADMIN}/tokens/{room.guids['ci']}/revoke",
        lambda room: room.api("GET", f"/tokens/{room.guids['ci']}")["state"] == "revoked",
    ),
    "/__logout__": Form(lambda _: "/", lambda _: True, is_signed_in=False),
}
"""By the route that takes it."""


def post_route(action: str) -> str:
    """The route that a form is sent to."""
    scope = {"type": "http", "path": action.partition("?")[0].partition("#")[0], "method": "POST", "headers": []}
    return next((route.path for route in ROUTES if route.matches(scope)[0] is Match.FULL), "")


def fill(form: Any, fields: Mapping[str, str]) -> None:
    """Fill in a form by the names of its fields."""
    for name, value in fields.items():
        one = form.locator(f'[name="{name}"]').first
        kind = one.evaluate("field => field.type")
        if kind in ("radio", "checkbox"):
            form.locator(f'[name="{name}"][value="{value}"]').check()
        elif kind == "select-one":
            one.select_option(value)
        else:
            one.fill(value)


def test_every_form_that_changes_something_is_sent(room: Showroom) -> None:
    """No route that takes forms is left out here."""
    taken = [route.path for route in ROUTES if isinstance(route, Route) and "POST" in (route.methods or ())]
    assert set(taken) == set(FORMS)


@pytest.mark.parametrize("route", FORMS)
def test_a_form_without_script(route: str, room: Showroom, desk: Desk, signed_in: dict[str, Any]) -> None:
    """It is sent, answered as forms are, leads to a page, and what it is for is done."""
    form = FORMS[route]
    if form.needs_builds and not room.builds:
        pytest.skip("builds need bubblewrap (make test installs it)")
    page = desk.page(script=False, **({"storage_state": signed_in} if form.is_signed_in else {}))
    if route == "/__logout__":
        sign_in(page, room.tokens["noor"])
    answered: list[int] = []
    page.on(
        "response",
        lambda answer: (
            answered.append(answer.status)
            if answer.request.method == "POST" and post_route(answer.url.removeprefix(desk.base)) == route
            else None
        ),
    )
    assert desk.go(page, form.at(room)).status == 200
    shown = [
        each
        for each in page.locator("form[method=post]").all()
        if post_route(each.get_attribute("action") or "") == route
    ]
    assert shown, f"{page.url} has no form for {route}"
    fill(shown[0], {name: room.tokens["noor"] if value == "ADMIN" else value for name, value in form.fields.items()})
    button = shown[0].get_by_role("button", name=form.button) if form.button else shown[0].locator("button").first
    button.click()
    page.wait_for_load_state()
    assert answered == [form.status]
    assert page.locator("h1").count() == 1
    assert page.locator("[role=alert]").count() == 0, page.locator("[role=alert]").all_inner_texts()
    assert form.proof(room)


# --- forms that ask ---------------------------------------------------------------------------------------------------

FILLED = {"date": "2025-05-06", "month": "2025-05"}
"""What goes into fields that may not be empty; into others a number."""
_tried: set[str] = set()
"""Forms as they were met: many pages have the same."""
_SIGNATURES = """() => [...document.forms].map((form) => form.method === "get"
  ? `${form.id}.${form.className} ${[...form.elements].map((each) => each.name).filter(Boolean).join(" ")}` : "")"""


@pytest.mark.parametrize("shown", PAGES, ids=lambda shown: shown.name)
def test_forms_that_ask(shown: Shown, room: Showroom, desk: Desk, signed_in: dict[str, Any]) -> None:
    """Each form that asks for something is sent as it stands, without script, and answered with a page."""
    if shown.needs_builds and not room.builds:
        pytest.skip("builds need bubblewrap (make test installs it)")
    page = desk.page(script=False, storage_state=signed_in)
    desk.go(page, shown.at(room))
    for number, signature in enumerate(page.evaluate(_SIGNATURES)):
        if signature and signature not in _tried:
            _tried.add(signature)
            ask(desk, page, number, shown.at(room))


def ask(desk: Desk, page: Page, number: int, path: str) -> None:
    """Send one form of a page by a button."""
    desk.go(page, path)
    page.evaluate("() => document.querySelectorAll('details').forEach((each) => (each.open = true))")
    form = page.locator("form").nth(number)
    for empty in form.locator("input[required]").all():
        empty.fill(FILLED.get(empty.get_attribute("type") or "text", "100"))
    own = form.locator("button:not([type=button]):not([disabled])")
    button = own.first if own.count() else page.locator(f'button[form="{form.get_attribute("id")}"]').first
    with page.expect_navigation() as gone:
        button.click()
    assert gone.value is None or gone.value.status in (200, 404), page.url
    assert page.locator("h1").count() == 1
