"""Every page, where all that others wrote means harm: nothing runs, nothing leaks, and the page stays readable."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.chromium import PHONE, Browser, Desk, Page, too_wide, turned_texts
from tests.support.harm import Harmful
from tests.support.pagelist import PAGES, Shown
from tests.support.showroom import Showroom, showroom

pytestmark = pytest.mark.one_shape
each_page = pytest.mark.parametrize("shown", PAGES, ids=lambda shown: shown.name)
MOST_HTML = 2_000_000
"""Characters of a page, however long the texts are that it shows."""
SHOWN_AS_TEXT = {
    *("home", "packages", "package", "package-own", "package-python", "activity", "transaction", "transaction-failed"),
    *("source-local", "proposal", "binary", "admin-repositories", "admin-tokens", "admin-token"),
}
"""Pages on which such texts have to be read as what they are: so they were really there."""
_FOUND = """() => {
  const own = location.origin, found = [];
  const all = [...document.querySelectorAll("*")];
  for (const element of all) {
    const name = element.tagName.toLowerCase();
    for (const { name: attribute, value } of element.attributes) {
      if (attribute.startsWith("on") || attribute === "style") found.push(`${name} has ${attribute}`);
      if (["href", "src", "action", "formaction", "data", "xlink:href", "poster", "srcset"].includes(attribute)) {
        const url = new URL(value, document.baseURI);
        const is_usual = ["http:", "https:", "mailto:"].includes(url.protocol);
        if (!is_usual) found.push(`${name} ${attribute} is ${url.protocol}`);
        if (name !== "a" && url.origin !== own) found.push(`${name} ${attribute} leads to ${url.origin}`);
      }
    }
    if (["iframe", "object", "embed", "base", "style", "video", "audio", "frame", "template"].includes(name)) {
      found.push(`there is a ${name}`);
    }
    if (name === "meta" && element.httpEquiv) found.push(`meta ${element.httpEquiv}`);
    if (name === "script" && !element.src.startsWith(own)) found.push("a script that is not ours");
    if (name === "a" && element.origin !== own && element.target && !element.relList.contains("noopener")) {
      found.push("a link gives another site this window");
    }
  }
  const ids = all.map((element) => element.id).filter(Boolean);
  found.push(...ids.filter((id, at) => ids.indexOf(id) !== at).map((id) => `two elements are #${id}`));
  if (window.pwned !== undefined) found.push(`it ran: ${window.pwned}`);
  return found;
}"""


@pytest.fixture(scope="module")
def room(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Showroom]:
    """The same installation, in the hands of an enemy."""
    with showroom(tmp_path_factory.mktemp("showroom"), words=Harmful()) as made:
        yield made


@each_page
def test_nothing_runs_and_all_can_be_read(shown: Shown, room: Showroom, desk: Desk, signed_in: dict[str, Any]) -> None:
    """No script, dialog, request, form or frame but ours; on a phone it fits, and no text turns others round."""
    if shown.needs_builds and not room.builds:
        pytest.skip("builds need bubblewrap (make test installs it)")
    options = {"storage_state": signed_in} if shown.is_signed_in else {}
    for script in (True, False):
        page = desk.page(size=PHONE, script=script, **options)
        answer = desk.go(page, shown.at(room))
        assert answer.status == shown.status
        assert len(answer.body()) < MOST_HTML
        assert page.evaluate(_FOUND) == []
        assert too_wide(page) == []
        assert turned_texts(page) == []
        is_as_ours(page)
        if shown.name in SHOWN_AS_TEXT:
            assert "window.pwned" in page.locator("main").inner_text()


def is_as_ours(page: Page) -> None:
    """Our own frame of the page is there once, and can be seen."""
    for ours in ("header.bar", "main#main", "footer", "h1"):
        assert page.locator(ours).count() == 1, ours
    assert page.locator("h1").is_visible()
    assert page.evaluate("getComputedStyle(document.body).display") != "none"
