"""The connection of a client: finished answers are given out here, all other requests go to the ASGI application.

Parsing a request into ASGI's form, a task for it and two messages back cost more than most answers. A request that
needs none of it is one complete, ordinary GET or HEAD of a path with a finished answer (`web.hot`): it is answered in
the call that brings its bytes. Whatever is unusual in any way (a body, a range, an old protocol, several
requests at once, an odd header) goes the ordinary way, through uvicorn's parser.
"""

from __future__ import annotations

import asyncio
import re
from functools import lru_cache
from typing import Any, ClassVar, NamedTuple, cast

from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from entrepot.core.usage import Client
from entrepot.db.usagelog import UsageLog
from entrepot.ecosystems.useragents import client_of
from entrepot.web.bounds import BoundedHeads
from entrepot.web.door import Door
from entrepot.web.hot import Body, Hit, HotAnswers, Ready
from entrepot.web.reply import PATHSEND, REASON, Send, encodings, matches
from entrepot.web.sendfile import with_pathsend

LARGEST_HEAD = 8192
_LONG = 1024
"""Bytes of headers that are worth remembering."""
_REQUEST = re.compile(
    rb"(GET|HEAD) (/[^ ?#\r\n\0]*) HTTP/1\.1\r\n"
    rb"((?:[!#$%&'*+.^_`|~0-9A-Za-z-]+:[^\r\n\0]*\r\n)*)\r\n"  # RFC 9112: no blank before the colon, no folded lines
)
_UNUSUAL = frozenset(
    {
        b"content-length",
        b"expect",
        b"if-match",
        b"if-modified-since",
        b"if-range",
        b"if-unmodified-since",
        b"range",
        b"transfer-encoding",
        b"upgrade",
    }
)


class Wire(BoundedHeads):
    """uvicorn's protocol with a short way for finished answers; `hot`, `door` and `usage` are set by `wire_for`."""

    hot: ClassVar[HotAnswers]
    door: ClassVar[Door]
    usage: ClassVar[UsageLog]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._heard = 0.0
        self._idle: asyncio.TimerHandle | None = None

    def data_received(self, data: bytes) -> None:
        if not self._is_between_requests() or not self._answered(data):
            super().data_received(data)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.scope["extensions"] = {PATHSEND: {}, REASON: {}}

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        cycle.send = with_pathsend(cycle, _with_reasons(cycle))  # type: ignore[assignment, method-assign]
        super()._start_asgi_task(cycle, app)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._idle is not None:
            self._idle.cancel()
        super().connection_lost(exc)

    def _is_between_requests(self) -> bool:
        return (
            not self.is_in_message
            and (self.cycle is None or self.cycle.response_complete)
            and not self.pipeline
            and not self.flow.write_paused
            and not self.transport.is_closing()
        )

    def _answered(self, data: bytes) -> bool:
        """Whether `data` was one request with a finished answer, which is on its way then."""
        request = _REQUEST.fullmatch(data) if len(data) <= LARGEST_HEAD else None
        if request is None:
            return False
        method, path, lines = request.groups()
        if path not in self.hot:
            return False
        wants = _wants(lines) if len(lines) <= _LONG else _read(lines)
        hit = self.hot.find(path, wants.accept, wants.agent) if wants is not None else None
        if wants is None or hit is None or not self._may(hit.ready.closed, wants.authorization):
            return False
        return self._write(hit, _choose(hit.ready, wants), wants, is_head=method == b"HEAD")

    def _may(self, closed: int | None, authorization: bytes | None) -> bool:
        """Whether an answer may be given out; of a closed repository to those whose token was looked up just now."""
        return closed is None or (authorization is not None and self.door.reads(authorization, closed))

    def _write(self, hit: Hit, body: Body, wants: _Wants, *, is_head: bool) -> bool:
        own = b"".join([b"%s: %s\r\n" % header for header in self.server_state.default_headers])
        if wants.condition is not None and body.etag is not None and _matches(wants.condition, body.etag):
            self.transport.write(b"%s%s\r\n" % (body.unchanged, own))
        elif is_head:
            self.transport.write(b"%s%s\r\n" % (body.head, own))
        else:
            content = hit.content(body)
            if content is None:
                return False
            self.transport.writelines((b"%s%s\r\n" % (body.head, own), content))
            if hit.ready.download is not None:
                self.usage.note(hit.ready.download, wants.client)
        if hit.ready.tally is not None:
            hit.ready.tally()
        self.server_state.total_requests += 1
        self._stay()
        return True

    def _stay(self) -> None:
        """Keep the connection as long as uvicorn would; one timer for many requests, since each would cost as much."""
        self._unset_keepalive_if_required()
        self.heard()
        self._heard = self.loop.time()
        if self._idle is None:
            self._idle = self.loop.call_later(self.timeout_keep_alive, self._look_idle)

    def _look_idle(self) -> None:
        self._idle = None
        if not self._is_between_requests() or self.timeout_keep_alive_task is not None:
            return  # the ordinary way has its own timer
        left = self._heard + self.timeout_keep_alive - self.loop.time()
        if self.transport.get_write_buffer_size():
            left = self.timeout_keep_alive
        if left > 0:
            self._idle = self.loop.call_later(left, self._look_idle)
        else:
            self.transport.close()


def wire_for(hot: HotAnswers, door: Door, usage: UsageLog) -> type[Wire]:
    """The protocol over these answers, for `uvicorn.Config(http=...)`; `door` tells who may have those of closed
    repositories, `usage` counts downloads."""
    return type("WireOver", (Wire,), {"hot": hot, "door": door, "usage": usage})


class _Wants(NamedTuple):
    """What matters of a request's headers: Accept, User-Agent and which client that is, If-None-Match, the encodings
    that are liked, the best first, and Authorization."""

    accept: str
    agent: str
    client: Client
    condition: bytes | None
    encodings: tuple[str, ...]
    authorization: bytes | None


def _read(lines: bytes) -> _Wants | None:
    """What the headers want; None if one of them asks for the ordinary way."""
    headers: dict[bytes, bytes] = {}
    for line in lines.split(b"\r\n"):
        name, _, value = line.partition(b":")
        headers[name.lower()] = value.strip()
    connection = headers.get(b"connection")
    if connection is not None and connection.lower() != b"keep-alive":
        return None
    # One name twice: the ordinary way knows what that means.
    if len(headers) <= lines.count(b"\r\n") or not _UNUSUAL.isdisjoint(headers):
        return None
    names = (b"accept", b"user-agent", b"accept-encoding")
    accept, agent, accepted = (headers.get(name, b"").decode("latin-1") for name in names)
    condition, authorization = headers.get(b"if-none-match"), headers.get(b"authorization")
    return _Wants(accept, agent, client_of(agent), condition, encodings(accepted), authorization)


_wants = lru_cache(maxsize=256)(_read)
"""A client sends the same headers again and again."""


def _choose(ready: Ready, wants: _Wants) -> Body:
    if len(ready.bodies) > 1:
        for encoding in wants.encodings:
            if encoding in ready.bodies:
                return ready.bodies[encoding]
    return ready.bodies[""]


def _matches(condition: bytes, etag: bytes) -> bool:
    return condition == etag or matches(condition.decode("latin-1"), etag.decode("latin-1"))


def _with_reasons(cycle: RequestResponseCycle) -> Send:
    """`cycle.send` that knows `REASON`: uvicorn has one phrase for each status."""
    plain = cycle.send

    async def send(message: Any) -> None:
        reason = message.get(REASON)
        if reason is None:
            await plain(message)
            return
        transport = cycle.transport
        line = b"HTTP/1.1 %d %s" % (message["status"], reason)
        cycle.transport = cast(asyncio.Transport, _FirstLine(transport, line))
        try:
            await plain(message)
        finally:
            cycle.transport = transport

    return send


class _FirstLine:
    """A connection on which one answer begins with another status line."""

    def __init__(self, transport: asyncio.Transport, line: bytes) -> None:
        self._transport = transport
        self._line = line

    def write(self, head: bytes) -> None:
        self._transport.write(self._line + head[head.index(b"\r\n") :])

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)
