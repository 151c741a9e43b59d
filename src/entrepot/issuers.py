"""Issuers of identities (OpenID Connect): what they publish, read and kept, and tokens verified with their keys.

Only issuers that the settings name are asked, and only for two documents each: `/.well-known/openid-configuration`
(OpenID Connect Discovery 1.0) and the keys that it names (RFC 7517). No redirect is followed. What a token says of
where its key is (`jku`, `x5u`, `jwk`) is never used. An issuer that is slow or away holds up only those whose tokens it
signed, few at a time, and its failure is remembered for a moment; keys that are known go on to count for a day.
"""

from __future__ import annotations

import asyncio
import copy
import json
import logging
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from concurrent.futures import TimeoutError as TooLate
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

from entrepot.core.errors import EntrepotError, IdentityRefused, Unavailable, UpstreamInvalid, UpstreamUnavailable
from entrepot.core.urls import shown
from entrepot.fetch import Fetch, Posted

if TYPE_CHECKING:
    # Loading the library of signatures would be a tenth of the server's start; most servers start without needing it.
    from entrepot.core.identitytokens import Claims, Keys

_log = logging.getLogger(__name__)
FRESH = timedelta(hours=1)
USABLE = timedelta(days=1)
"""How long keys count while their issuer is away."""
LOOK_AGAIN = timedelta(seconds=30)
"""Between two readings because of a key that isn't known."""
FAILED = timedelta(seconds=10)
"""How long a failure counts without another try."""
LARGEST_DOCUMENT = 256 * 1024
PATIENCE = 4.0
"""Seconds for an issuer's document."""
WAITING, ALL_WAITING = 4, 12
"""How many threads wait for one issuer, and for all of them."""
_WELL_KNOWN = "/.well-known/openid-configuration"
_PORTS = {"http": 80, "https": 443}


class Metadata(NamedTuple):
    """What an issuer says of itself. Endpoints that it doesn't have are None."""

    issuer: str
    jwks_uri: str
    authorization_endpoint: str | None
    token_endpoint: str | None
    end_session_endpoint: str | None
    userinfo_endpoint: str | None
    scopes: frozenset[str]
    login_methods: frozenset[str]


class _Known(NamedTuple):
    """The documents of an issuer, as they were at a time."""

    metadata: Metadata
    keys: Keys
    read: datetime


@dataclass(slots=True)
class _State:
    """What is known of an issuer. `reading` is the reading that goes on, for which `waiting` threads wait."""

    known: _Known | None = None
    looked: datetime | None = None
    failure: tuple[EntrepotError, datetime] | None = None
    reading: Future[_Known] | None = None
    waiting: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def may_look_again(self, now: datetime) -> bool:
        """Whether a key that isn't known is a reason to read the documents."""
        return self.looked is None or not _is_within(self.looked, now, LOOK_AGAIN)


class Issuers:
    """All issuers that the settings name; one per process, used by any number of threads.

    `issuer` is everywhere the text of the settings, never of a token.
    """

    def __init__(self, clock: Callable[[], datetime], *, patience: float = PATIENCE) -> None:
        self._clock = clock
        self._patience = patience
        self._fetch = Fetch(timeout_connect=patience, timeout_read=patience, retries=1, backoff=0.1, deadline=patience)
        self._states: dict[str, _State] = {}
        self._lock = threading.Lock()
        self._places = threading.BoundedSemaphore(ALL_WAITING)

    def metadata(self, issuer: str) -> Metadata:
        """What an issuer says of itself.

        Raises:
            UpstreamUnavailable, UpstreamInvalid: it is away, or what it says can't be used.
        """
        return self._documents(issuer, None).metadata

    def verify(
        self,
        issuer: str,
        text: str,
        *,
        audience: str,
        authorized_party: str = "",
        nonce: str | None = None,
        max_age: float | None = None,
    ) -> Claims:
        """The claims of a token that this issuer signed, for us and for now.

        Args:
            audience: who it has to be for, among others.
            authorized_party: its `azp`; empty: any.
            nonce: of the sign-in that it has to belong to; None: it is of no sign-in.
            max_age: seconds since the person showed who they are; None: any time.

        Raises:
            IdentityRefused: it isn't what the rules ask for; the message says what is wrong with it.
            UpstreamUnavailable, UpstreamInvalid: the issuer is away, or what it publishes can't be used.
        """
        from entrepot.core.identitytokens import Rules, UnknownKey, parse, verify

        token = parse(text)
        if token.claims.get("iss") != issuer:
            # Before anything is asked of the issuer: it has nothing to do with this token.
            raise IdentityRefused(
                f"the token's issuer {str(token.claims.get('iss'))[:200]!r} is not {issuer!r}",
                hint="the setting `issuer` is exactly the token's `iss`, with or without a slash at its end",
            )
        rules, now = Rules(audience, authorized_party, nonce, max_age), self._clock()
        try:
            return verify(token, self._documents(issuer, token.key_id).keys, rules, now)
        except UnknownKey:
            if token.key_id is None and self._state(issuer).may_look_again(now):
                # A token without `kid` may be signed with a key that came since.
                return verify(token, self._documents(issuer, None, again=True).keys, rules, now)
            raise

    async def prepare(self, issuer: str, text: str) -> None:
        """Wait for what `verify` of this token needs, without holding a thread; what is wrong is told there."""
        from entrepot.core.identitytokens import parse

        with suppress(EntrepotError):
            reading = self._reading(issuer, parse(text).key_id)
            if isinstance(reading, Future):
                await asyncio.shield(asyncio.wrap_future(reading))

    def post(self, url: str, body: str, headers: Mapping[str, str]) -> Posted:
        """Send a form to one of the endpoints of an issuer's metadata; the answer, whatever its status is.

        Raises:
            UpstreamUnavailable, UpstreamInvalid: no whole answer in time, or too much of it.
        """
        if not self._places.acquire(blocking=False):
            raise UpstreamUnavailable(f"others wait for {shown(url)} already", hint="try again in some seconds")
        try:
            return self._fetch.post(url, body.encode(), headers, limit=LARGEST_DOCUMENT)
        finally:
            self._places.release()

    def close(self) -> None:
        """Close idle connections."""
        self._fetch.close()

    def _state(self, issuer: str) -> _State:
        with self._lock:
            return self._states.setdefault(issuer, _State())

    def _documents(self, issuer: str, key_id: str | None, *, again: bool = False) -> _Known:
        """The documents of an issuer, waited for if need be."""
        found = self._reading(issuer, key_id, again=again)
        if not isinstance(found, Future):
            return found
        state = self._state(issuer)
        with state.lock:
            if state.waiting >= WAITING or not self._places.acquire(blocking=False):
                raise UpstreamUnavailable(
                    f"others wait for the issuer {shown(issuer)} already", hint="try again in some seconds"
                )
            state.waiting += 1
        try:
            return found.result(4 * self._patience)
        except TooLate:
            raise UpstreamUnavailable(f"the issuer {shown(issuer)} takes too long") from None
        except EntrepotError as error:
            raise copy.copy(error) from None
        finally:
            self._places.release()
            with state.lock:
                state.waiting -= 1

    def _reading(self, issuer: str, key_id: str | None, *, again: bool = False) -> _Known | Future[_Known]:
        """What is known of an issuer if that will do, else the reading that others may have begun.

        Raises:
            UpstreamUnavailable, UpstreamInvalid: a reading failed just now, and nothing is known.
        """
        state, now = self._state(issuer), self._clock()
        with state.lock:
            known = state.known
            if known is not None and not _is_within(known.read, now, USABLE):
                known = None
            will_do = known is not None and not again and (key_id is None or key_id in known.keys.ids)
            if known is not None:
                if will_do and (_is_within(known.read, now, FRESH) or state.reading is not None):
                    return known
                if not will_do and state.reading is None and not state.may_look_again(now):
                    return known
            if state.reading is None:
                if state.failure is not None and _is_within(state.failure[1], now, FAILED):
                    if known is not None:
                        return known
                    raise copy.copy(state.failure[0])
                if known is not None and not will_do:
                    state.looked = now
                state.reading = Future()
                state.reading.set_running_or_notify_cancel()  # so that no one who waits can cancel it for the others
                threading.Thread(
                    target=self._read, args=(issuer, state, state.reading), name="issuer", daemon=True
                ).start()
            return state.reading

    def _read(self, issuer: str, state: _State, reading: Future[_Known]) -> None:
        """Read both documents and tell all who wait; where that fails, what is known goes on to count for a day."""
        from entrepot.core.identitytokens import read_keys

        found: _Known | None = None
        error: EntrepotError | None = None
        try:
            metadata = self._metadata(issuer)
            keys = read_keys(self._document(metadata.jwks_uri, issuer), issuer)
            found = _Known(metadata, keys, self._clock())
        except EntrepotError as raised:
            error = raised
            _log.warning("%s", raised.message)
        except Exception:
            error = Unavailable(f"the issuer {shown(issuer)} could not be asked")
            raise
        finally:
            with state.lock:
                now = self._clock()
                if found is not None:
                    state.known, state.failure = found, None
                elif error is not None:
                    state.failure = error, now
                    if state.known is not None and _is_within(state.known.read, now, USABLE):
                        found = state.known
                state.reading = None
            if found is not None:
                reading.set_result(found)
            else:
                reading.set_exception(error or Unavailable(f"the issuer {shown(issuer)} could not be asked"))

    def _metadata(self, issuer: str) -> Metadata:
        """Discovery, section 4: at the issuer's own address, and of exactly this issuer."""
        told = self._document(issuer.rstrip("/") + _WELL_KNOWN, issuer)
        if told.get("issuer") != issuer:
            raise UpstreamInvalid(
                f"the issuer {shown(issuer)} calls itself {str(told.get('issuer'))[:200]!r}",
                hint="the setting `issuer` is exactly what it calls itself, with or without a slash at its end",
            )
        keys = _endpoint(told, "jwks_uri", issuer)
        if keys is None:
            raise UpstreamInvalid(f"the issuer {shown(issuer)} doesn't say where its keys are (jwks_uri)")
        return Metadata(
            issuer=issuer,
            jwks_uri=keys,
            authorization_endpoint=_endpoint(told, "authorization_endpoint", issuer),
            token_endpoint=_endpoint(told, "token_endpoint", issuer),
            end_session_endpoint=_endpoint(told, "end_session_endpoint", issuer),
            userinfo_endpoint=_endpoint(told, "userinfo_endpoint", issuer),
            scopes=_texts(told.get("scopes_supported")),
            login_methods=_texts(told.get("token_endpoint_auth_methods_supported")),
        )

    def _document(self, url: str, issuer: str) -> dict[str, Any]:
        """A JSON object of an issuer."""
        try:
            found = self._fetch.get(url, limit=LARGEST_DOCUMENT, redirects=False)
        except EntrepotError as error:
            raise type(error)(f"the issuer {shown(issuer)} can't be asked: {error.message}", hint=error.hint) from error
        if found is None or found.body is None:
            raise UpstreamInvalid(f"the issuer {shown(issuer)} has no {shown(url)}", hint="check the setting `issuer`")
        try:
            value = json.loads(found.body)
        except (ValueError, RecursionError) as error:
            raise UpstreamInvalid(f"what the issuer {shown(issuer)} has at {shown(url)} is no JSON") from error
        if not isinstance(value, dict):
            raise UpstreamInvalid(f"what the issuer {shown(issuer)} has at {shown(url)} is no JSON object")
        return value


def _endpoint(told: dict[str, Any], name: str, issuer: str) -> str | None:
    """The address of one of an issuer's endpoints.

    It is on the issuer's own host and port; of an issuer with https it may be on another host with https, as its
    document came over a connection that proves who wrote it. One that can't be asked is as good as none.

    Raises:
        UpstreamInvalid: that of its keys is none, or can't be asked.
    """
    url = told.get(name)
    if url is None and name != "jwks_uri":
        return None
    try:
        if not isinstance(url, str) or not url.isprintable() or len(url) > 2000:
            raise ValueError
        parts, own = urlsplit(url), urlsplit(issuer)
        port, own_port = parts.port or _PORTS.get(parts.scheme), own.port or _PORTS.get(own.scheme)
        same = (parts.scheme, parts.hostname, port) == (own.scheme, own.hostname, own_port)
        if not parts.hostname or parts.username is not None or not (same or parts.scheme == own.scheme == "https"):
            raise ValueError
    except ValueError:
        where = f": {shown(url[:200])}" if isinstance(url, str) else ""
        message = f"the issuer {shown(issuer)} names a {name} that is not asked{where}"
        if name != "jwks_uri":  # of sign-ins, which say that it is missing; programs don't need it
            _log.warning("%s", message)
            return None
        raise UpstreamInvalid(
            message,
            hint="it is at the issuer's own address, or at another one with https if the issuer has https",
        ) from None
    return url


def _texts(value: object) -> frozenset[str]:
    return frozenset(each for each in value if isinstance(each, str)) if isinstance(value, list) else frozenset()


def _is_within(start: datetime, now: datetime, span: timedelta) -> bool:
    """Whether less than `span` passed since; a clock that was set back doesn't make it last longer."""
    return timedelta(0) <= now - start < span
