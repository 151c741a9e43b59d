"""Who looks at a page: their access, their session, and the cookie by which a browser is known before it has one."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, replace
from urllib.parse import quote, urlsplit

from starlette.requests import Request
from starlette.responses import Response

from entrepot.core.access import Access
from entrepot.core.errors import Forbidden
from entrepot.operations.tokens import Issued
from entrepot.web.context import Context
from entrepot.web.csrf import FIELD, csrf_of, is_csrf_token
from entrepot.web.door import COOKIE, SECURE_COOKIE
from entrepot.web.origin import address_of, base_of, is_own, is_secure
from entrepot.web.ui.paths import LOGIN, LOGOUT

BROWSER = "entrepot_browser"
SECURE_BROWSER = f"__Host-{BROWSER}"
BROWSER_KEPT = 3600
"""Seconds that a browser has from the page of the sign-in to its end."""
LONGEST_PATH = 2000
_LONGEST_COOKIE = 200


@dataclass(frozen=True, slots=True)
class Visit:
    """One request for a page.

    `session` is the text of the session's cookie, `browser` that of the other one; both None if there is none. `base`
    is this server's own URL, `root` the path in it, both without a slash at the end.
    """

    access: Access
    session: str | None
    browser: str | None
    base: str
    root: str
    is_secure: bool
    address: str

    @classmethod
    async def of(cls, request: Request, context: Context) -> Visit:
        """Raises Unauthenticated, TooMany: the request has an Authorization header that isn't good."""
        entrant = await context.door.entrant(request.scope)
        settings = context.app.settings
        secure, base = is_secure(request.scope, settings), base_of(request.scope, settings)
        browser = request.cookies.get(SECURE_BROWSER if secure else BROWSER)
        return cls(
            access=entrant.access,
            session=entrant.session,
            browser=browser[:_LONGEST_COOKIE] if browser else None,
            base=base,
            root=urlsplit(base).path,
            is_secure=secure,
            address=address_of(request.scope, settings),
        )

    @property
    def csrf(self) -> str:
        """What the forms of this page carry: bound to the session, or to the browser where there is none yet."""
        secret = self.session or self.browser
        return csrf_of(secret) if secret else ""

    def with_browser(self, browser: str) -> Visit:
        """The same visit of a browser that is given that cookie."""
        return replace(self, browser=browser)

    def to_login(self, next_: str) -> str:
        """Where to sign in, for a page of ours that needs it."""
        return f"{self.root}{LOGIN}?next={quote(next_, safe='/')}"


def new_browser() -> str:
    """The text of a cookie for a browser that has none."""
    return secrets.token_urlsafe(24)


def keep_browser(response: Response, browser: str, visit: Visit) -> None:
    _set(response, SECURE_BROWSER if visit.is_secure else BROWSER, browser, visit, BROWSER_KEPT)


def keep_session(response: Response, issued: Issued, visit: Visit) -> None:
    """Give a browser its new session; what it was known by before is over."""
    token = issued.token
    age = None if token.expires is None else max(1, int((token.expires - token.created).total_seconds()))
    _set(response, SECURE_COOKIE if visit.is_secure else COOKIE, issued.text, visit, age)
    _set(response, SECURE_BROWSER if visit.is_secure else BROWSER, "", visit, 0)


def drop_session(response: Response, visit: Visit) -> None:
    _set(response, SECURE_COOKIE if visit.is_secure else COOKIE, "", visit, 0)


def check_form(request: Request, fields: dict[str, str], visit: Visit) -> None:
    """See that a form was sent by a page of ours, to the browser that sends it. Raises Forbidden."""
    origin, secret = request.headers.get("origin"), visit.session or visit.browser
    is_ours = origin is None or is_own(origin, request.scope, request.app.state.context.app.settings)
    if not is_ours or not secret or not is_csrf_token(fields.get(FIELD, ""), secret):
        raise Forbidden(
            "this form was not sent by a page of this server, or the page is too old",
            hint="load the page again; the browser has to take this server's cookies",
        )


def local_path(text: str) -> str:
    """A path of this server, with its query, to which a browser may be sent; `/` in place of everything else.

    Browsers take `//host` and `/\\host` for another server's, and pass over control characters when they look.
    """
    is_plain = text.isascii() and text.isprintable() and "\\" not in text and " " not in text
    is_path = text.startswith("/") and not text.startswith("//") and len(text) <= LONGEST_PATH
    return text if is_plain and is_path and not text.startswith((LOGIN, LOGOUT)) else "/"


def _set(response: Response, name: str, value: str, visit: Visit, age: int | None) -> None:
    response.set_cookie(name, value, max_age=age, path="/", secure=visit.is_secure, httponly=True, samesite="lax")
