"""Real pages in a real browser: Debian's Chromium, without a window, steered by Playwright.

    with chromium() as browser, Desk(browser, live.address) as desk:
        page = desk.page(size=PHONE, scheme="dark")
        page.goto("/")
        audit(page)
        assert layout_shift(page) < MOST_SHIFT

A desk notes all that no page of ours may do, however it came about: `desk.faults`. The fixtures are in
tests/browser/conftest.py; there a test with faults fails.
"""

from __future__ import annotations

import functools
import json
import os
import shutil
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Self
from urllib.parse import urlsplit

import axe_playwright_python
from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Dialog,
    Page,
    Request,
    Response,
    sync_playwright,
)

Scheme = Literal["light", "dark"]
SCHEMES: tuple[Scheme, ...] = ("light", "dark")
Size = tuple[int, int]
DESKTOP: Size = (1280, 900)
PHONE: Size = (390, 844)
MOST_WEIGHT = 120 * 1024
"""Bytes of the first load of a page, with all that it brings."""
MOST_SHIFT = 0.01
"""Cumulative layout shift that counts as none."""
PATIENCE = 30_000
"""Milliseconds that a page has for whatever is waited for."""

_QUIET, _SETTLED_WITHIN = 0.12, 3.0
"""Seconds: without any request begun or ended, and at most."""
_AXE = Path(axe_playwright_python.__file__).with_name("axe.min.js")
_GRAVE = ("serious", "critical")
_OF_COLOURS = ("color-contrast", "link-in-text-block")
_OPTIONS = ["--no-sandbox", "--disable-gpu"]
"""The first because root has no sandbox of Chromium's."""
_NOWHERE = "MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"
"""No name of another host leads anywhere."""
_BEFORE_EACH_PAGE = """
window.pwned = undefined;
document.addEventListener("securitypolicyviolation", (event) => {
  console.error(`policy: ${event.effectiveDirective} ${event.blockedURI} ${event.sourceFile}:${event.lineNumber}`);
});
window.layoutShift = 0;
new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) if (!entry.hadRecentInput) window.layoutShift += entry.value;
}).observe({ type: "layout-shift", buffered: true });
"""


def program() -> Path | None:
    """Where Chromium is, None if this machine has none."""
    found = shutil.which("chromium") or shutil.which("chromium-browser")
    return Path(found) if found else None


@contextmanager
def chromium(*, hosts: str = "") -> Iterator[Browser]:
    """A browser that runs until the end of the block. Meanwhile this thread counts as one that runs an event loop:
    nothing else in it can `asyncio.run`.

    Args:
        hosts: rules of Chromium's for names of hosts that lead somewhere, as "MAP example.org 127.0.0.1:4242".
    """
    found = program()
    assert found is not None, "no chromium on PATH"
    clean = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR") if name in os.environ}
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=found,
            args=[*_OPTIONS, f"--host-resolver-rules={', '.join(filter(None, (hosts, _NOWHERE)))}"],
            env={**clean, "LC_ALL": "C.UTF-8", "TZ": "UTC"},
        )
        try:
            yield browser
        finally:
            browser.close()


@dataclass
class Desk:
    """The windows of one test on one site, and what they did that no page may do.

    Attributes:
        base: URL of the site, without a slash at the end.
        faults: in the order in which they were seen. A test takes out what it expects.
    """

    browser: Browser
    base: str
    faults: list[str] = field(default_factory=list)
    _contexts: list[BrowserContext] = field(default_factory=list)
    _under_way: set[Request] = field(default_factory=set)
    _last: float = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close all windows."""
        while self._contexts:
            self._contexts.pop().close()

    def page(
        self,
        path: str = "",
        *,
        script: bool = True,
        size: Size = DESKTOP,
        scheme: Scheme = "light",
        token: str = "",
        **more: Any,
    ) -> Page:
        """A page in a context of its own, with no cookies and nothing in its cache; it goes to `path` if one is given.

        Args:
            script: whether pages may run any.
            token: signs the browser in before.
            more: options of Playwright's `new_context`.
        """
        width, height = size
        context = self.browser.new_context(
            base_url=self.base,
            viewport={"width": width, "height": height},
            color_scheme=scheme,
            java_script_enabled=script,
            reduced_motion="reduce",
            locale="en-GB",
            timezone_id="UTC",
            **more,
        )
        self._contexts.append(context)
        context.set_default_timeout(PATIENCE)
        if script:
            context.add_init_script(_BEFORE_EACH_PAGE)
        context.on("request", self._asked)
        context.on("response", self._answered)
        context.on("requestfailed", self._failed)
        context.on("requestfinished", self._ended)
        context.on("console", self._said)
        context.on("dialog", self._asked_somebody)
        context.on("weberror", lambda error: self._note(f"exception: {error.error}"))
        page = context.new_page()
        context.on("page", lambda other: self._note(f"a window was opened: {other.url}"))
        page.on("websocket", lambda socket: self._see(socket.url))
        page.on("crash", lambda _: self._note("the page crashed"))
        if token:
            sign_in(page, token)
        if path:
            page.goto(path)
        return page

    def go(self, page: Page, path: str) -> Response:
        """Open a page and wait until it has loaded all that it loads; its answer. Playwright's "networkidle" is the
        same, but waits half a second each time, and for what is loaded bit by bit without end."""
        answer = page.goto(path)
        assert answer is not None
        until = time.monotonic() + _SETTLED_WITHIN
        while (self._under_way or time.monotonic() - self._last < _QUIET) and time.monotonic() < until:
            page.wait_for_timeout(20)
        return answer

    def _note(self, fault: str) -> None:
        self.faults.append(fault)

    def _see(self, url: str) -> None:
        parts, own = urlsplit(url), urlsplit(self.base)
        if parts.scheme not in ("data", "blob", "about") and (parts.scheme, parts.netloc) != (own.scheme, own.netloc):
            self._note(f"went to another host: {url[:300]}")

    def _asked(self, request: Request) -> None:
        self._under_way.add(request)
        self._last = time.monotonic()
        self._see(request.url)

    def _ended(self, request: Request) -> None:
        self._under_way.discard(request)
        self._last = time.monotonic()

    def _answered(self, response: Response) -> None:
        if response.status >= 400 and not response.request.is_navigation_request():
            self._note(f"{response.status} to {response.request.method} {response.url[:300]}")

    def _failed(self, request: Request) -> None:
        self._ended(request)
        why = request.failure or ""
        if why != "net::ERR_ABORTED":  # the page was left, or it is a download
            self._note(f"{why} of {request.url[:300]}")

    def _said(self, message: ConsoleMessage) -> None:
        # What failed to load is noted by its answer: a page that tells of an error is no fault.
        if message.type in ("error", "warning") and not message.text.startswith("Failed to load resource"):
            self._note(f"console: {message.text[:500]} ({message.location['url'][:200]})")

    def _asked_somebody(self, dialog: Dialog) -> None:
        self._note(f"a dialog: {dialog.type} {dialog.message[:200]}")
        dialog.dismiss()


def sign_in(page: Page, token: str) -> None:
    """Sign in with a token, on the page for that."""
    page.goto("/__login__")
    page.get_by_label("Token").fill(token)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url("**/")


# --- what is measured and looked for -------------------------------------------------------------------------------


@functools.cache
def _axe() -> str:
    return _AXE.read_text(encoding="utf-8")


def audit(page: Page, *, both_schemes: bool = True) -> None:
    """Fail if axe-core finds a serious or critical fault on the page as it is; the message says what and where.

    Args:
        both_schemes: look at the colours of the other scheme too.
    """
    page.evaluate(_axe())
    found = _faults_of(page, {})
    if both_schemes:
        is_dark = page.evaluate("matchMedia('(prefers-color-scheme: dark)').matches")
        page.emulate_media(color_scheme="light" if is_dark else "dark")
        found += [f"({'light' if is_dark else 'dark'}) {each}" for each in _faults_of(page, {"runOnly": _OF_COLOURS})]
        page.emulate_media(color_scheme="dark" if is_dark else "light")
    assert not found, f"axe-core on {page.url}:\n" + "\n".join(found)


def _faults_of(page: Page, options: dict[str, Any]) -> list[str]:
    told = page.evaluate(f"axe.run({json.dumps({**options, 'resultTypes': ['violations']})})")
    return [
        f"{violation['id']} ({violation['impact']}): {violation['help']}\n    {node['target'][0]}\n    "
        f"{node['html'][:200]}\n    {' '.join(node['failureSummary'].split())[:400]}"
        for violation in told["violations"]
        if violation["impact"] in _GRAVE
        for node in violation["nodes"]
    ]


def weigh(page: Page) -> Counter[str]:
    """Bytes over the wire, with headers, by path: of all that the page loads from now on."""
    session, urls, sizes = page.context.new_cdp_session(page), dict[str, str](), Counter[str]()
    session.on("Network.requestWillBeSent", lambda told: urls.update({told["requestId"]: told["request"]["url"]}))
    session.on(
        "Network.loadingFinished",
        lambda told: sizes.update({urlsplit(urls[told["requestId"]]).path: int(told["encodedDataLength"])}),
    )
    session.send("Network.enable")
    return sizes


def layout_shift(page: Page) -> float:
    """Cumulative layout shift since the page was asked for, without what followed input."""
    page.evaluate("new Promise((done) => requestAnimationFrame(() => setTimeout(done, 50)))")
    return float(page.evaluate("window.layoutShift"))


def too_wide(page: Page) -> list[str]:
    """What makes the page scroll sideways; empty if it doesn't."""
    found: list[str] = page.evaluate(_TOO_WIDE)
    return found


_TOO_WIDE = """() => {
  const room = document.documentElement.clientWidth;
  if (document.documentElement.scrollWidth <= room) return [];
  const clips = (element) => {
    for (let at = element.parentElement; at && at !== document.body; at = at.parentElement) {
      if (getComputedStyle(at).overflowX !== "visible") return true;
    }
    return false;
  };
  const reach = (element) => {
    const { left, right } = element.getBoundingClientRect();
    return getComputedStyle(element).overflowX === "visible" ? Math.max(right, left + element.scrollWidth) : right;
  };
  return [...document.body.querySelectorAll("*")].filter((element) => reach(element) > room + 1 && !clips(element))
    .map((element) => `${element.tagName.toLowerCase()}.${element.className} reaches ${Math.round(reach(element))}`
      + ` of ${room}: ` + (element.textContent ?? "").trim().slice(0, 60));
}"""


def turned_texts(page: Page) -> list[str]:
    """Texts that run from right to left because of a control character outside of them; empty if none do."""
    found: list[str] = page.evaluate(_TURNED)
    return found


_TURNED = r"""() => {
  const controls = /[\u202a-\u202e\u2066-\u2069]/, strong = /[\u0590-\u08ff]/, found = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const range = document.createRange();
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const text = node.data;
    if (text.trim().length < 2 || controls.test(text) || strong.test(text)) continue;
    const letters = [];
    for (let at = 0; at < text.length && letters.length < 20; at += 1) {
      if (!/[A-Za-z]/.test(text[at])) continue;
      range.setStart(node, at); range.setEnd(node, at + 1);
      const box = range.getBoundingClientRect();
      if (box.width) letters.push(box);
    }
    for (let at = 1; at < letters.length; at += 1) {
      const before = letters[at - 1], after = letters[at];
      if (Math.abs(before.top - after.top) < 2 && after.left < before.left) {
        found.push(text.trim().slice(0, 80));
        break;
      }
    }
  }
  return found;
}"""


def follow_focus(page: Page, *, most: int = 200) -> Iterator[dict[str, Any]]:
    """Press Tab again and again; what has the focus each time, as `focused` tells it, until none has."""
    for _ in range(most):
        page.keyboard.press("Tab")
        told = focused(page)
        if not told:
            return
        yield told
    raise AssertionError(f"{page.url}: the focus goes round after {most} stops")


def focused(page: Page) -> dict[str, Any]:
    """What has the focus: `{tag, id, text, href, type, label, visible, outlined}`; empty if nothing has."""
    return page.evaluate(_FOCUSED) or {}


_FOCUSED = """() => {
  const at = document.activeElement;
  if (!at || at === document.body) return null;
  const box = at.getBoundingClientRect(), style = getComputedStyle(at);
  return {
    tag: at.tagName.toLowerCase(), id: at.id, text: (at.textContent ?? "").trim().slice(0, 80),
    href: at.getAttribute("href"), type: at.type ?? "", label: at.getAttribute("aria-label") ?? "",
    visible: box.width > 0 && box.height > 0 && style.visibility !== "hidden",
    outlined: style.outlineStyle !== "none" && parseFloat(style.outlineWidth) > 0,
  };
}"""
