"""A browser as far as our pages need one: cookies, forms with their hidden fields, redirects one step at a time.

browser = Browser(live)
browser.sign_in(token)
page = browser.get("/__device__?user_code=...")
browser.send(page, decision="allow")
"""

from __future__ import annotations

import html
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http.cookies import SimpleCookie
from urllib.parse import urlencode, urljoin, urlsplit

from tests.support.server import Live

FORM = "application/x-www-form-urlencoded"
_POSTED = '<form method="post"'


@dataclass(frozen=True, slots=True)
class Page:
    """What a browser got. `location` is where it is sent to, whole; empty: nowhere."""

    url: str
    status: int
    headers: Mapping[str, str]
    text: str
    cookies: tuple[str, ...]
    location: str

    @property
    def hidden(self) -> dict[str, str]:
        """The hidden fields of the last form in the page that sends something: the first is that of the sign-out."""
        last = self.text.rpartition(_POSTED)[2]
        found = re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', last)
        return {name: html.unescape(value) for name, value in found}

    @property
    def action(self) -> str:
        found = re.search(r'action="([^"]*)"', self.text.rpartition(_POSTED)[2])
        assert found is not None, "the page has no form"
        return urljoin(self.url, html.unescape(found[1]))


class Browser:
    """One browser, with cookies of its own.

    Args:
        base: by which URL it knows the site; another than `live.address` is sent as the Host.
    """

    def __init__(self, live: Live, base: str = "") -> None:
        self._live = live
        self.base = base or live.address
        self.cookies: dict[str, str] = {}

    def get(self, path: str, **headers: str) -> Page:
        return self._ask("GET", path, headers)

    def post(self, path: str, fields: Mapping[str, str] | Sequence[tuple[str, str]], **headers: str) -> Page:
        """Send a form as a page of this site would: with its Origin."""
        sent = {"Origin": self.base, "Content-Type": FORM, **headers}
        return self._ask("POST", path, sent, urlencode(fields))

    def send(self, page: Page, **fields: str) -> Page:
        """Fill in the last form of a page and send it."""
        return self.post(page.action, {**page.hidden, **fields})

    def sign_in(self, token: str, next_: str = "/") -> Page:
        """Sign in with a token."""
        return self.send(self.get(f"/__login__?{urlencode({'next': next_})}"), token=token)

    @property
    def session(self) -> str | None:
        return self.cookies.get("__Host-entrepot_session" if self.base.startswith("https") else "entrepot_session")

    def _ask(self, method: str, path: str, headers: Mapping[str, str], body: str | None = None) -> Page:
        url = urljoin(self.base + "/", path)
        assert url.startswith(self.base), f"a browser of this site was sent to {url}"
        sent = {"Host": urlsplit(self.base).netloc, **headers}
        if self.cookies:
            sent["Cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        at = self._live.address + url.removeprefix(self.base)
        answer = self._live.pool.request(method, at, headers=sent, body=body, redirect=False)
        set_cookies = tuple(answer.headers.getlist("Set-Cookie"))
        for each in set_cookies:
            for name, morsel in SimpleCookie(each).items():
                if morsel["max-age"] == "0":
                    self.cookies.pop(name, None)
                else:
                    self.cookies[name] = morsel.value
        where = answer.headers.get("Location", "")
        location = urljoin(url, where) if where else ""
        return Page(url, answer.status, answer.headers, answer.data.decode(), set_cookies, location)
