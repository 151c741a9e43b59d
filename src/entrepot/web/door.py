"""Who asks: from an Authorization header or a session's cookie to what they may do.

A token that was found good is remembered for three seconds, so that many requests of one client cost one look-up and a
token that is revoked on any node is refused on all within that time. What is wrong is not remembered: it costs its
sender the look-up, and is slowed down.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import logging
import threading
import time
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta
from http.cookies import CookieError, SimpleCookie
from typing import NamedTuple

from entrepot.app import App
from entrepot.core.access import ANONYMOUS, Access, Scope, TokenKind
from entrepot.core.errors import EntrepotError, Forbidden, TooMany, Unauthenticated
from entrepot.db import tokens as db_tokens
from entrepot.operations.access import HOW_TO_ASK, access_of_token
from entrepot.settings import Settings
from entrepot.web.auth import ADMIN
from entrepot.web.csrf import HEADER as CSRF_HEADER
from entrepot.web.csrf import is_csrf_token
from entrepot.web.origin import address_of, is_own, is_secure
from entrepot.web.reply import Scope as AsgiScope
from entrepot.web.streams import in_thread
from entrepot.web.throttle import Throttle

_log = logging.getLogger(__name__)
REMEMBERED = 3.0
"""Seconds that a token which was found good is believed."""
AHEAD = 1.0
"""Seconds before that in which one that is in use is looked up again, behind its requests."""
MOST_BEHIND = 1000
"""Tokens that wait for that at once."""
MOST_REMEMBERED = 20_000
NEAR = timedelta(minutes=1)
"""Before its end a token's time is looked at for each request; earlier that would be in vain."""
FLUSH_EVERY = 30.0
"""Seconds between two times that last uses of tokens are written down."""
LONGEST = 2000
"""Bytes of an Authorization header that is looked at."""
USER = "__token__"
COOKIE = "entrepot_session"
SECURE_COOKIE = f"__Host-{COOKIE}"
"""The session's cookie where clients use https: browsers take one of that name from this host over https alone."""


class _Known(NamedTuple):
    """A token that was found good: from when on it is looked up anew and how long it is believed (`time.monotonic`),
    when it ends if that is soon, the repositories that it reads, None: all, and where it came from."""

    access: Access
    again: float
    until: float
    ends: datetime | None
    reads: frozenset[int] | None
    address: str


class Entrant(NamedTuple):
    """Who asks, and the text of the session of a browser that they have."""

    access: Access
    session: str | None = None


class Door:
    """Tells who asks; one for a process.

    Args:
        token: the administrator's, as the data folder has it.
    """

    def __init__(self, app: App, token: str) -> None:
        self._app = app
        self._token = token
        self.throttle = Throttle()
        self._known: OrderedDict[bytes, _Known] = OrderedDict()
        self._forgotten = 0
        self._lock = threading.Lock()
        self._looking_up = 0
        self._behind = ThreadPoolExecutor(1, thread_name_prefix="tokens")
        self._used: dict[str, tuple[str, datetime]] = {}
        self._flushed = time.monotonic()

    def remembered(self, authorization: bytes) -> Access | None:
        """Who sent this Authorization header, if that is known without asking the database."""
        found = self._known.get(authorization)
        return found.access if found is not None and self._is_believed(found, time.monotonic()) else None

    def reads(self, authorization: bytes, repository_id: int) -> bool:
        """Whether it is known that whoever sent this Authorization header reads that repository; False: ask. For each
        answer out of memory, so it takes half a microsecond."""
        found, now = self._known.get(authorization), time.monotonic()
        if found is None or not self._is_believed(found, now):
            return False
        if now >= found.again:
            self._look_up_behind(authorization, found)
        return found.reads is None or repository_id in found.reads

    async def entrant(self, scope: AsgiScope) -> Entrant:
        """As `identify`, for an event loop."""
        authorization, cookie = _sent(scope, self._app.settings)
        if authorization is None and cookie is None:
            return Entrant(ANONYMOUS)
        if authorization is not None and (access := self.remembered(authorization)) is not None:
            return Entrant(access)
        return await in_thread(self.identify, scope)

    def identify(self, scope: AsgiScope) -> Entrant:
        """Who sends a request. A session that is over is as good as none; blocks.

        Raises:
            Unauthenticated: the Authorization header can't be read, or its token isn't good.
            TooMany: so it was with many before, from the same address.
        """
        authorization, cookie = _sent(scope, self._app.settings)
        if authorization is not None:
            return Entrant(self.access_of(authorization, address_of(scope, self._app.settings)))
        if cookie is not None:
            access = access_of_token(self._app, cookie)
            if access is not None and access.kind is TokenKind.SESSION:
                self._note_use(access, address_of(scope, self._app.settings))
                return Entrant(replace(access, is_session=True), cookie)
        return Entrant(ANONYMOUS)

    def access_of(self, authorization: bytes, address: str) -> Access:
        """Who sends this Authorization header (RFC 6750 Bearer, or RFC 7617 Basic with the user `__token__`).

        Raises:
            Unauthenticated, TooMany: as `identify`.
        """
        access = self.remembered(authorization)
        if access is not None:
            return access
        try:
            access = self._looked_up(authorization, address)
        except Unauthenticated as error:
            raise self._refusal(error, address) from None
        if access is None:
            wrong = Unauthenticated("the token is not good: unknown, ended or revoked", hint=HOW_TO_ASK)
            raise self._refusal(wrong, address)
        return access

    def forget(self) -> None:
        """Believe no token without looking it up: one was revoked."""
        with self._lock:
            self._forgotten += 1
            self._known.clear()

    def close(self) -> None:
        """Look nothing up any more behind requests, and write down last uses that aren't yet."""
        self._behind.shutdown(cancel_futures=True)
        self.flush()

    def flush(self) -> None:
        """Write down when tokens were last used."""
        with self._lock:
            used, self._used = self._used, {}
        if not used:
            return
        rows = [(guid, when, address) for guid, (address, when) in used.items()]
        try:
            with self._app.db.write(shows=False) as connection:
                db_tokens.set_used(connection, rows)
        except EntrepotError as error:
            _log.warning("last uses of tokens could not be written down: %s", error)

    def _looked_up(self, authorization: bytes, address: str) -> Access | None:
        """Who sends this Authorization header by the database, and from now on by memory; None: its token isn't good.

        Raises:
            Unauthenticated: it can't be read.
        """
        forgotten, until = self._forgotten, time.monotonic() + REMEMBERED
        access = self._found(_token_of(authorization))
        with self._lock:
            if access is None:
                self._known.pop(authorization, None)
            elif forgotten == self._forgotten:  # else it may have been revoked after it was looked up
                self._known[authorization] = self._as_known(access, until, address)
            while len(self._known) > MOST_REMEMBERED:
                self._known.popitem(last=False)
        if access is not None:
            self._note_use(access, address)
        return access

    def _found(self, token: str) -> Access | None:
        # Both are compared in constant time: the one as bytes, the other by its hash in an index.
        if hmac.compare_digest(token.encode(), self._token.encode()):
            return Access(ADMIN, {Scope.GLOBAL_ADMIN: None})
        access = access_of_token(self._app, token)
        # A session is a browser's: taken out of its cookie it is good for nothing.
        return None if access is not None and access.kind is TokenKind.SESSION else access

    def _refusal(self, error: EntrepotError, address: str) -> EntrepotError:
        """What to tell of a wrong token."""
        self.throttle.failed(address)
        seconds = self.throttle.wait(address)
        if seconds > 0:
            return TooMany(
                "too many wrong tokens came from this address", hint=f"try again in {seconds:.0f} s", seconds=seconds
            )
        return error

    def _look_up_behind(self, authorization: bytes, found: _Known) -> None:
        """Have a token that is in use looked up before it isn't believed any more: else all requests that come just
        then would wait for the database, and for each other."""
        with self._lock:
            if self._known.get(authorization) is not found or self._looking_up >= MOST_BEHIND:
                return
            self._known[authorization] = found._replace(again=found.until)
            self._looking_up += 1
        self._behind.submit(self._look_up, authorization, found.address)

    def _look_up(self, authorization: bytes, address: str) -> None:
        try:
            self._looked_up(authorization, address)
        except EntrepotError as error:
            _log.warning("a token could not be looked up again: %s", error)  # whoever has it is asked next time
        finally:
            with self._lock:
                self._looking_up -= 1

    def _as_known(self, access: Access, until: float, address: str) -> _Known:
        is_near = access.expires is not None and access.expires - self._app.clock() < NEAR
        reads = None if access.has_all_of(Scope.REPOS_READ) else access.grants.get(Scope.REPOS_READ, frozenset())
        return _Known(access, until - AHEAD, until, access.expires if is_near else None, reads, address)

    def _is_believed(self, known: _Known, now: float) -> bool:
        if now >= known.until:
            return False
        return known.ends is None or self._app.clock() < known.ends

    def _note_use(self, access: Access, address: str) -> None:
        if access.guid is None:
            return
        with self._lock:
            self._used[access.guid] = address, self._app.clock()
            is_due = time.monotonic() - self._flushed >= FLUSH_EVERY
            if is_due:
                self._flushed = time.monotonic()
        if is_due:
            # Not by the thread that answers: a write waits for other writers.
            threading.Thread(target=self.flush, name="last-uses", daemon=True).start()


def check_from_page(entrant: Entrant, scope: AsgiScope, app: App) -> None:
    """See that a change which a browser's cookie stands for was asked for by a page of ours.

    Raises:
        Forbidden: it has no Origin of ours, or not the session's own token against forged requests.
    """
    if entrant.session is None:
        return
    headers = {name.lower(): value.decode("latin-1") for name, value in scope["headers"]}
    origin, given = headers.get(b"origin", ""), headers.get(CSRF_HEADER.lower().encode(), "")
    if not is_own(origin, scope, app.settings) or not is_csrf_token(given, entrant.session):
        raise Forbidden(
            "this change was not asked for by a page of this server",
            hint=f"load the page again; programs send a token instead of a cookie, pages the header {CSRF_HEADER}",
        )


def _sent(scope: AsgiScope, settings: Settings) -> tuple[bytes | None, str | None]:
    """The Authorization header and the session's cookie of a request."""
    authorization = cookies = None
    for name, value in scope["headers"]:
        lower = name.lower()
        if lower == b"authorization":
            # Two of them are as wrong as one that can't be read.
            authorization = value if authorization is None else b"several"
        elif lower == b"cookie":
            cookies = value if cookies is None else cookies + b"; " + value
    return authorization, _session(cookies, is_secure(scope, settings)) if cookies else None


def _session(cookies: bytes, is_secure: bool) -> str | None:
    """The session's cookie. Over https only that which no other host of the domain can have set."""
    try:
        parsed = SimpleCookie(cookies[:8192].decode("latin-1"))
    except CookieError:
        return None
    found = parsed.get(SECURE_COOKIE if is_secure else COOKIE)
    return found.value if found is not None else None


def _token_of(authorization: bytes) -> str:
    """The token of an Authorization header. Raises Unauthenticated."""
    if len(authorization) > LONGEST:
        raise Unauthenticated("the Authorization header is too long", hint=HOW_TO_ASK)
    scheme, _, value = authorization.decode("latin-1").strip().partition(" ")
    given = value.strip()
    if scheme.lower() == "basic":
        try:
            user, _, given = base64.b64decode(given, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            raise Unauthenticated("the Authorization header can't be read", hint=HOW_TO_ASK) from None
        if user != USER:
            raise Unauthenticated(f"the user name of Basic authentication is {USER}", hint=HOW_TO_ASK)
    elif scheme.lower() != "bearer":
        raise Unauthenticated("that kind of Authorization is not understood", hint=HOW_TO_ASK)
    return given
