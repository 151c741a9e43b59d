"""What is written down of a request: every act, before it is done and how it ended, and every refusal.

An act of somebody who is known has a row before anything is done, and another one with its outcome before the answer
leaves. Where nothing happens but that something is given out (a token), one row before the answer will do: without the
row nobody gets it. If a row can't be written, the act is refused.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from entrepot.app import App
from entrepot.core.access import ANONYMOUS, Access
from entrepot.core.audit import Entry, Outcome
from entrepot.core.errors import EntrepotError
from entrepot.web.auditacts import ACTS, QUIET, Act, Way
from entrepot.web.context import PREFIX
from entrepot.web.errors import status_of
from entrepot.web.origin import address_of
from entrepot.web.places import split_path
from entrepot.web.policy import Asked, Need, asked

_log = logging.getLogger(__name__)
REFUSED = (401, 403, 429)
_READS = ("GET", "HEAD", "OPTIONS")
_SHORT = 64 * 1024
"""Bytes of a body in which the names that an act is about are looked for."""
_LONGEST_ERROR = 16 * 1024
_STATE = "audit"
READ_REPO = "read repo"


@dataclass(frozen=True, slots=True)
class Told:
    """What a route knows better than the request: who they turned out to be, what was made."""

    actor: str | None = None
    token: str | None = None
    subject: str | None = None
    detail: str = ""


def tell(scope: Mapping[str, Any], told: Told) -> None:
    """Have the outcome of this request written with what a route found out. No secrets."""
    scope["state"][_STATE] = told


async def write_down(
    app: App, scope: Mapping[str, Any], action: str, *, access: Access, subject: str = "", status: int = 200
) -> None:
    """Write down something that was done, before its answer leaves.

    Raises:
        DatabaseUnavailable, OutOfSpace: it isn't written; answer with that, and give out nothing.
    """
    entry = _entry(app, scope, action, access, subject)
    await asyncio.wrap_future(app.audit.submit(replace(entry, status=status)))


def note_refusal(
    app: App,
    scope: Mapping[str, Any],
    action: str,
    error: EntrepotError,
    *,
    access: Access = ANONYMOUS,
    subject: str = "",
) -> None:
    """Have it written that somebody was refused (401, 403, 429); anything else is no refusal. Returns at once."""
    if (status := status_of(error)) in REFUSED:
        entry = _entry(app, scope, action, access, subject)
        app.audit.note_refusal(replace(entry, outcome=Outcome.REFUSED, status=status, detail=error.message))


@asynccontextmanager
async def written_down(
    app: App, scope: Mapping[str, Any], action: str, *, access: Access, subject: str
) -> AsyncIterator[None]:
    """Do something that is written down: that it begins before, and how it ended after.

    Raises:
        DatabaseUnavailable, OutOfSpace: nothing was begun.
    """
    entry = _entry(app, scope, action, access, subject)
    began = await asyncio.wrap_future(app.audit.submit(replace(entry, outcome=Outcome.BEGUN)))
    entry = replace(entry, began=began)
    try:
        yield
    except EntrepotError as error:
        status = status_of(error)
        await _conclude(app, replace(entry, outcome=_outcome(status), status=status, detail=error.message))
        raise
    except Exception as error:
        await _conclude(app, replace(entry, outcome=Outcome.FAILED, status=500, detail=type(error).__name__))
        raise
    await _conclude(app, replace(entry, status=200))


def note_guarded(app: App, scope: Mapping[str, Any], error: EntrepotError) -> None:
    """Have it written that the guard before the routes of the API refused a request."""
    access, wanted = scope["state"].get("access", ANONYMOUS), asked(scope["method"], scope["path"].removeprefix(PREFIX))
    note_refusal(app, scope, _action(scope, wanted), error, access=access, subject=_subject(wanted, {}))


def remember(scope: Mapping[str, Any], access: Access) -> Access:
    """Who asks, also for what is written down of a refusal later."""
    scope.get("state", {})["access"] = access
    return access


def note_read(app: App, scope: Mapping[str, Any], path: str, error: EntrepotError) -> None:
    """Have it written that a package client was refused; `path` is its path."""
    if status_of(error) not in REFUSED:
        return
    try:
        subject = f"repo={split_path(path).repo}"
    except EntrepotError:
        subject = ""
    access = scope.get("state", {}).get("access", ANONYMOUS)
    note_refusal(app, scope, READ_REPO, error, access=access, subject=subject)


class Audited:
    """The routes of the API behind the guard, with all that is done there written down."""

    def __init__(self, app: ASGIApp, *, entrepot: App) -> None:
        self._routes = app
        self._app = entrepot

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        wanted: Asked | None = scope.get("state", {}).get("asked")
        if scope["type"] != "http" or wanted is None:
            await self._routes(scope, receive, send)
            return
        act = None if scope["method"] in _READS else _act(scope["method"], wanted.route)
        named: Mapping[str, object] = {}
        if act is not None and act.fields:
            named, receive = await _named(scope, receive, act.fields)
        entry = _entry(
            self._app, scope, _action(scope, wanted), scope["state"].get("access", ANONYMOUS), _subject(wanted, named)
        )
        if act is not None and act.way is Way.BEGUN:
            began = await asyncio.wrap_future(self._app.audit.submit(replace(entry, outcome=Outcome.BEGUN)))
            entry = replace(entry, began=began)
        answering = _Answering(self._app, scope, send, entry, act)
        try:
            await self._routes(scope, receive, answering.send)
        except Exception as error:
            await answering.conclude(500, type(error).__name__)
            raise
        await answering.conclude(0, "there was no answer")


class _Answering:
    """The answer to a request on its way: held back until its outcome is written."""

    def __init__(self, app: App, scope: Scope, send: Send, entry: Entry, act: Act | None) -> None:
        self._app = app
        self._scope = scope
        self._send = send
        self._entry = entry
        self._act = act
        self._held: Message | None = None
        self._is_concluded = False
        self._is_replaced = False

    async def send(self, message: Message) -> None:
        if self._is_replaced:
            return
        if message["type"] == "http.response.start" and message["status"] >= 400:
            self._held = message  # what was wrong is in the body
            return
        if message["type"] == "http.response.start":
            try:
                await self.conclude(message["status"])
            except EntrepotError as error:
                self._is_replaced = True
                answer = JSONResponse(error.as_json(), status_of(error), {"Cache-Control": "no-store"})
                await answer(self._scope, _nothing, self._send)
                return
        elif self._held is not None:
            start, self._held = self._held, None
            await self.conclude(start["status"], *_reason(message.get("body", b"")))
            await self._send(start)
        await self._send(message)

    async def conclude(self, status: int, detail: str = "", code: str = "") -> None:
        """Write the outcome, once.

        Raises:
            DatabaseUnavailable, OutOfSpace: of what must not be given out without.
        """
        if self._is_concluded:
            return
        self._is_concluded = True
        told: Told = self._scope["state"].get(_STATE, Told())
        entry = replace(
            self._entry,
            actor=told.actor or self._entry.actor,
            token=told.token or self._entry.token,
            subject=told.subject or self._entry.subject,
            outcome=Outcome.REFUSED if code in _OAUTH_REFUSALS else _outcome(status),
            status=status,
            detail=detail or told.detail,
        )
        if entry.began is not None:
            await _conclude(self._app, entry)
        elif entry.outcome is Outcome.DONE and self._act is not None:
            if self._act.way is not Way.REFUSALS:
                await asyncio.wrap_future(self._app.audit.submit(entry))
        elif (status in REFUSED or self._act is not None) and code not in _WAITING:
            self._app.audit.note_refusal(entry)


_WAITING = ("authorization_pending", "slow_down")
"""RFC 8628, 3.5: a program asks again and again whether its person approved by now."""


_OAUTH_REFUSALS = ("access_denied", "invalid_client", "invalid_grant", "unauthorized_client")
"""RFC 6749, 5.2: these are answered 400 too."""


class _Reason(NamedTuple):
    detail: str = ""
    code: str = ""


def _reason(body: bytes) -> _Reason:
    """What an answer says was wrong: `error` of ours, `error_description` and the code `error` of OAuth."""
    if len(body) > _LONGEST_ERROR:
        return _Reason()
    try:
        told = json.loads(body)
    except ValueError:
        return _Reason()
    if not isinstance(told, dict):
        return _Reason()
    words = [told[name] for name in ("error", "error_description") if isinstance(told.get(name), str)]
    return _Reason(": ".join(words), str(words[0]) if words else "")


async def _conclude(app: App, entry: Entry) -> None:
    """Write how an act ended. Where that can't be, the row that it began says so."""
    try:
        await asyncio.wrap_future(app.audit.submit(entry))
    except EntrepotError as error:
        _log.warning("how act %s of the audit log ended could not be written: %s", entry.began, error)


def _outcome(status: int) -> Outcome:
    if 0 < status < 400:
        return Outcome.DONE
    return Outcome.REFUSED if status in REFUSED else Outcome.FAILED


def _act(method: str, route: str) -> Act | None:
    """What a route that takes a body does; None: it changes nothing."""
    if (method, route) in QUIET:
        return None
    return ACTS.get((method, route), Act(f"{method} {route}"))


def _action(scope: Mapping[str, Any], wanted: Asked | None) -> str:
    """What a request does, in the words of the command line where there are some."""
    method: str = scope["method"]
    if wanted is None:
        return f"{method} /__api__"
    if method in _READS and wanted.need is Need.READ_REPOSITORY:
        return READ_REPO
    if method in _READS and wanted.need is Need.READ_SOURCE:
        return "read source"
    act = ACTS.get((method, wanted.route))
    return act.name if act is not None else f"{method} {wanted.route}"


def _subject(wanted: Asked | None, named: Mapping[str, object]) -> str:
    """What a request is about: the parts of its path and what its body names, as `source=local name=abc`."""
    parts: dict[str, object] = {**(wanted.named if wanted is not None else {}), **named}
    return " ".join(f"{name}={_shown(value)}" for name, value in parts.items())


def _shown(value: object) -> str:
    return ",".join(map(str, value[:50])) if isinstance(value, list) else str(value)


async def _named(scope: Scope, receive: Receive, fields: tuple[str, ...]) -> tuple[Mapping[str, object], Receive]:
    """Those fields of a short JSON body that are names, and the body to be read again."""
    headers = {name.lower(): value for name, value in scope["headers"]}
    length = headers.get(b"content-length", b"")
    is_json = headers.get(b"content-type", b"").partition(b";")[0].strip() == b"application/json"
    if not is_json or not length.isdigit() or int(length) > _SHORT:
        return {}, receive
    messages: list[Message] = []
    while not messages or (messages[-1]["type"] == "http.request" and messages[-1].get("more_body", False)):
        messages.append(await receive())
    body = b"".join(message.get("body", b"") for message in messages)
    waiting = iter(messages)

    async def again() -> Message:
        message = next(waiting, None)
        return message if message is not None else await receive()

    try:
        told = json.loads(body)
    except (ValueError, RecursionError):
        told = None
    if not isinstance(told, dict):
        return {}, again
    return {name: told[name] for name in fields if told.get(name) and isinstance(told[name], str | list)}, again


async def _nothing() -> Message:
    return {"type": "http.disconnect"}


def _entry(app: App, scope: Mapping[str, Any], action: str, access: Access, subject: str) -> Entry:
    return Entry(
        time=app.clock(),
        actor=access.actor,
        address=address_of(dict(scope), app.settings),
        action=action,
        subject=subject,
        token=access.guid,
    )
