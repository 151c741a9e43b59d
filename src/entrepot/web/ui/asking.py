"""The public API as pages ask it: in this process, in the name of whoever looks at the page.

Pages know nothing but what the API tells, so that it decides who sees and does what, and writes it down.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode

from starlette.types import ASGIApp, Message, Scope

from entrepot.core.errors import EntrepotError, NotFound
from entrepot.web.context import PREFIX
from entrepot.web.csrf import HEADER
from entrepot.web.ui.paths import Value

_TAKEN = frozenset(
    {
        b"authorization",
        b"cookie",
        b"host",
        b"user-agent",
        b"x-forwarded-for",
        b"x-forwarded-host",
        b"x-forwarded-proto",
    }
)
"""Headers of the request for the page that tell who asks, and from where."""


class Refused(EntrepotError):
    """The API answered with an error; `status` and `kind` are its HTTP status and code."""

    def __init__(self, message: str, *, status: int, kind: str, hint: str | None = None, **payload: object) -> None:
        super().__init__(message, hint=hint, **payload)
        self.status = status
        self.kind = kind


class Listed(NamedTuple):
    """A page of a list, and how many rows there are in all."""

    rows: list[Any]
    total: int


class Answered(NamedTuple):
    """An answer of the API."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Api:
    """The API for one visitor.

    Paths are given in parts, `api.get("repos", repo, "packages", snapshot="latest")`; a part is never more than one. A
    name of a parameter that Python keeps for itself is written with an underscore after it (`from_`), that of one which
    is None or empty is left out. What fails raises Refused.

    Args:
        app: the API as an ASGI application.
        scope: of the request for the page.
        csrf: what goes with the visitor's session against forged requests.
        origin: this server's own.
    """

    def __init__(self, app: ASGIApp, scope: Scope, *, csrf: str, origin: str) -> None:
        self._app = app
        self._scope = scope
        self._csrf = csrf
        self._origin = origin

    async def get(self, *parts: str | int, **query: Value) -> Any:
        """The JSON value at a path."""
        return _json(await self.answer("GET", parts, query))

    async def listed(self, *parts: str | int, **query: Value) -> Listed:
        """The rows at a path."""
        answer = await self.answer("GET", parts, query)
        rows = _json(answer)
        return Listed(rows, int(answer.headers.get("x-total-count", len(rows))))

    async def find(self, *parts: str | int, **query: Value) -> Any:
        """As `get`; None if there is nothing (404)."""
        try:
            return await self.get(*parts, **query)
        except Refused as error:
            if error.status == 404:
                return None
            raise

    async def send(self, method: str, *parts: str | int, body: Any = None, **query: Value) -> Any:
        """Change something: the JSON value of the answer, None if there is none. Only for forms that were checked."""
        return _json(await self.answer(method, parts, query, json.dumps(body if body is not None else {}).encode()))

    async def answer(
        self,
        method: str,
        parts: Iterable[str | int],
        query: Mapping[str, Value],
        body: bytes = b"",
        kind: bytes = b"application/json",
    ) -> Answered:
        """The answer as it is, for what is not JSON. Raises Refused for errors."""
        path = PREFIX + "".join(f"/{_part(part)}" for part in parts)
        headers = [(name, value) for name, value in self._scope["headers"] if name.lower() in _TAKEN]
        if method != "GET":
            headers += [
                (b"content-type", kind),
                (b"content-length", str(len(body)).encode()),
                (b"origin", self._origin.encode()),
                (HEADER.lower().encode(), self._csrf.encode()),
            ]
        scope = {
            **{name: value for name, value in self._scope.items() if name in _OF_CONNECTION},
            "method": method,
            "path": path,
            "raw_path": quote(path).encode(),
            "root_path": "",
            "query_string": _query(query).encode(),
            "headers": headers,
            "state": {},
        }
        answered = await _call(self._app, scope, body)
        if answered.status >= 400:
            raise _refusal(answered)
        return answered


_OF_CONNECTION = frozenset({"type", "asgi", "http_version", "scheme", "client", "server"})


def _part(part: str | int) -> str:
    """A part of a path. Raises NotFound: it would be more than one, or another."""
    text = str(part)
    if "/" in text or text in ("", ".", ".."):
        raise NotFound("there is nothing of that name", name=text[:100])
    return text


def _query(query: Mapping[str, Value]) -> str:
    fields: list[tuple[str, str]] = []
    for name, value in query.items():
        if value is None or value == "":
            continue
        name = name if name.startswith("_") else name.rstrip("_")
        values = [value] if isinstance(value, str | int) else value
        fields += [(name, str(each).lower() if isinstance(each, bool) else str(each)) for each in values]
    return urlencode(fields, errors="replace")


async def _call(app: ASGIApp, scope: Scope, body: bytes) -> Answered:
    status, headers, parts, is_sent = 500, dict[str, str](), list[bytes](), False

    async def receive() -> Message:
        nonlocal is_sent
        if is_sent:  # whoever asks again waits for the connection's end
            await asyncio.Event().wait()
        is_sent = True
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Message) -> None:
        nonlocal status, headers
        if message["type"] == "http.response.start":
            status = message["status"]
            headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in message["headers"]}
        elif message["type"] == "http.response.body":
            parts.append(message.get("body", b""))

    await app(scope, receive, send)
    return Answered(status, headers, b"".join(parts))


def _json(answer: Answered) -> Any:
    return json.loads(answer.body) if answer.body else None


def _refusal(answer: Answered) -> Refused:
    try:
        told = json.loads(answer.body)
    except ValueError:
        told = {}
    payload = {str(name): value for name, value in (told.get("payload") or {}).items()}
    for name in ("message", "hint", "status", "kind"):
        payload.pop(name, None)
    return Refused(
        str(told.get("error") or "that did not work"),
        status=answer.status,
        kind=str(told.get("code") or "error"),
        hint=told.get("hint"),
        **payload,
    )
