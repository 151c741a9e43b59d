"""The one handler for all client protocols: path -> view -> answer -> HTTP (RFC 9110).

The walk of one request: `/{repository}/{snapshot}/{tail}` is split; `operations.serving.open_view` turns the snapshot
into cuts; the ecosystem answers with a document, a file or a redirect; a document is taken from the cache of rendered
indexes, a file streams from the store, or through the one download of it that all its readers share.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import re
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, MutableMapping
from contextlib import aclosing
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime, parsedate_to_datetime
from typing import Any, TypeVar
from urllib.parse import unquote

from entrepot.app import App
from entrepot.core.answers import Answer, Ask, Document, MovedTo, SendFile
from entrepot.core.errors import EntrepotError, FileNotListed, NotFound, RangeNotSatisfiable
from entrepot.core.model import File, Listed
from entrepot.documents import Rendered
from entrepot.flights import Flight
from entrepot.operations import serving
from entrepot.operations.serving import OpenView
from entrepot.storage import Key
from entrepot.web.errors import plain, status_of

_log = logging.getLogger(__name__)
T = TypeVar("T")
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]

FIXED = "public, max-age=31536000, immutable"
LATEST_INDEX = "public, max-age=60"
LATEST_FILE = "public, max-age=3600"
NOT_KEPT = "no-store"
_ODD = re.compile(r"[/\\\x00-\x1f]")
_ALWAYS: Headers = [
    (b"x-repository-type", b"RSPM"),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
]


@dataclass(frozen=True, slots=True)
class Request:
    """What matters of a request to a package client's URL; `path` still has its percent-encoding."""

    method: str
    path: str
    headers: dict[str, str]

    @classmethod
    def of(cls, scope: Scope) -> Request:
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        raw: bytes = scope.get("raw_path") or scope["path"].encode()
        return cls(scope["method"], raw.decode("latin-1").partition("?")[0], headers)


class Serve:
    """The ASGI application for `/{repository}/...`."""

    def __init__(self, app: App) -> None:
        self._app = app

    async def __call__(self, scope: Scope, _: Receive, send: Send) -> None:
        request = Request.of(scope)
        reply = Reply(request, send)
        try:
            await self._respond(request, reply)
        except EntrepotError as error:
            await reply.error(error)
        except Exception:
            if reply.started:
                raise
            id_ = uuid.uuid4().hex[:12]
            _log.exception("request %s: %s %s", id_, request.method, request.path)
            await reply.text(500, f"an error of the server (request {id_}); its log has the details\n")

    async def _respond(self, request: Request, reply: Reply) -> None:
        if request.method not in ("GET", "HEAD"):
            await reply.text(
                405, "packages are read with GET and HEAD; see the API for writing\n", [(b"allow", b"GET, HEAD")]
            )
            return
        repo, snapshot, tail = _split(request.path)
        if snapshot is None:
            opened = await _in_thread(serving.open_view, self._app, repo, "latest")
            await reply.text(200, _about(opened, "latest"), [(b"cache-control", LATEST_INDEX.encode())])
            return
        opened, answer = await _in_thread(_open_and_answer, self._app, repo, snapshot, tail, request.headers)
        match answer:
            case None:
                await reply.text(200, _about(opened, snapshot), [(b"cache-control", LATEST_INDEX.encode())])
            case Document():
                await self._document(opened, answer, reply)
            case SendFile(listed=listed, media_type=media_type):
                await self._file(opened, listed, media_type, reply)
            case MovedTo(tail=elsewhere):
                await reply.redirect(f"/{repo}/{snapshot}/{elsewhere}")

    async def _document(self, opened: OpenView, document: Document, reply: Reply) -> None:
        rendered = await _in_thread(serving.render, self._app, opened, document)
        is_final = opened.is_fixed and not rendered.incomplete
        headers: Headers = [
            (b"content-type", document.media_type.encode()),
            (b"cache-control", (FIXED if is_final else LATEST_INDEX).encode()),
        ]
        if opened.changed:
            headers.append((b"last-modified", _http_date(opened.changed)))
        if rendered.incomplete:
            headers.append((b"x-entrepot-incomplete", str(rendered.incomplete).encode()))
        if document.compress:
            headers.append((b"vary", b"accept-encoding"))
        body, etag = _variant(rendered, reply.request)
        if body is not rendered.body:
            headers.append((b"content-encoding", b"gzip"))
        await reply.entity(headers, etag, len(body), _pieces(body))

    async def _file(self, opened: OpenView, listed: Listed, media_type: str, reply: Reply) -> None:
        file = listed.file
        headers: Headers = [
            (b"content-type", media_type.encode()),
            (b"cache-control", (FIXED if opened.is_fixed else LATEST_FILE).encode()),
            (b"content-disposition", f'attachment; filename="{file.name}"'.encode()),
            (b"x-package-type", b"source"),
        ]
        modified = _http_date(file.published) if file.published else None
        if modified:
            headers.append((b"last-modified", modified))
        etag = _file_etag(file)
        if reply.not_modified(etag, modified):
            await reply.unchanged(headers, etag)
            return
        size = await _in_thread(serving.stored_size, self._app, file)
        if size is not None and file.sha256:
            key = Key.blob(file.sha256)
            await reply.entity(headers, etag, size, functools.partial(_stored, self._app, key))
            return
        if reply.request.method == "HEAD" and file.size is not None:
            await reply.entity(headers, etag, file.size, _pieces(b""))
            return
        flight = await _in_thread(serving.fetch, self._app, listed)
        await flight.started()
        if flight.size is None and reply.request.method == "GET" and "range" in reply.request.headers:
            await flight.result()
        await reply.entity(headers, etag, flight.size, functools.partial(_flying, flight))


class Reply:
    """One answer on its way: conditional requests, ranges and HEAD are the same for all that has bytes."""

    def __init__(self, request: Request, send: Send) -> None:
        self.request = request
        self.started = False
        self._send = send

    async def entity(
        self,
        headers: Headers,
        etag: str | None,
        size: int | None,
        chunks: Callable[[int, int | None], AsyncIterator[bytes]],
    ) -> None:
        """Answer with an entity; `chunks(start, end)` gives its bytes, `size` is None if nobody knows it yet."""
        if self.not_modified(etag, None):
            await self.unchanged(headers, etag)
            return
        headers = [*headers, (b"accept-ranges", b"bytes")]
        if etag:
            headers.append((b"etag", etag.encode()))
        start, end, status = 0, size, 200
        wanted = self.request.headers.get("range")
        if wanted and size is not None and self.request.method == "GET" and self._range_applies(etag):
            part = _parse_range(wanted, size)
            if part is not None:
                (start, end), status = part, 206
                headers.append((b"content-range", f"bytes {start}-{end - 1}/{size}".encode()))
        if end is not None:
            headers.append((b"content-length", str(end - start).encode()))
        await self._start(status, headers)
        if self.request.method == "HEAD":
            await self._send({"type": "http.response.body", "body": b""})
            return
        async with aclosing(chunks(start, end)) as pieces:  # type: ignore[type-var]
            async for piece in pieces:
                await self._send({"type": "http.response.body", "body": piece, "more_body": True})
        await self._send({"type": "http.response.body", "body": b""})

    def not_modified(self, etag: str | None, modified: bytes | None) -> bool:
        """Whether the client's copy is the one it would get. `modified` only for what never changes under its name."""
        given = self.request.headers.get("if-none-match")
        if given is not None:
            tags = {tag.strip().removeprefix("W/") for tag in given.split(",")}
            return etag is not None and (etag in tags or "*" in tags)
        since = self.request.headers.get("if-modified-since")
        if since is None or modified is None:
            return False
        try:
            return parsedate_to_datetime(since) >= parsedate_to_datetime(modified.decode())
        except (ValueError, TypeError):
            return False

    async def unchanged(self, headers: Headers, etag: str | None) -> None:
        kept = [h for h in headers if h[0] in (b"cache-control", b"last-modified", b"vary")]
        if etag:
            kept.append((b"etag", etag.encode()))
        await self._start(304, kept)
        await self._send({"type": "http.response.body", "body": b""})

    async def text(self, status: int, text: str, headers: Iterable[tuple[bytes, bytes]] = ()) -> None:
        body = text.encode()
        all_headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", str(len(body)).encode())]
        await self._start(status, [*all_headers, *headers])
        await self._send({"type": "http.response.body", "body": b"" if self.request.method == "HEAD" else body})

    async def redirect(self, location: str) -> None:
        await self.text(308, f"moved to {location}\n", [(b"location", location.encode("latin-1", "replace"))])

    async def error(self, error: EntrepotError) -> None:
        """An error as package clients show it. After the first byte only a cut connection can still tell."""
        if self.started:
            # The server closes the connection of an answer that was not completed, so the client sees it is not whole.
            _log.warning("%s was broken off: %s", self.request.path, error)
            return
        status = status_of(error)
        headers: Headers = [(b"cache-control", (b"public, max-age=60" if status == 404 else NOT_KEPT.encode()))]
        if status == 416:
            headers.append((b"content-range", f"bytes */{error.payload.get('size', '*')}".encode()))
        if status == 503:
            headers.append((b"retry-after", b"30"))
        if status >= 500:
            _log.warning("%s: %s", self.request.path, error)
        await self.text(status, plain(error), headers)

    def _range_applies(self, etag: str | None) -> bool:
        condition = self.request.headers.get("if-range")
        return condition is None or condition.strip() == etag

    async def _start(self, status: int, headers: Headers) -> None:
        self.started = True
        await self._send({"type": "http.response.start", "status": status, "headers": [*headers, *_ALWAYS]})


def _split(path: str) -> tuple[str, str | None, str]:
    """`/{repository}[/{snapshot}[/{tail}]]`; the tail may be empty. Raises FileNotListed for what no client asks.

    Decoded after it was split: an encoded slash never becomes a path's.
    """
    parts = [unquote(part, errors="replace") for part in path.removeprefix("/").split("/")]
    if parts[-1] == "":
        parts.pop()
    if not parts or any(part in ("", ".", "..") or _ODD.search(part) for part in parts):
        raise FileNotListed("there is nothing at this path")
    return parts[0], (parts[1] if len(parts) > 1 else None), "/".join(parts[2:])


def _open_and_answer(
    app: App, repo: str, snapshot: str, tail: str, headers: dict[str, str]
) -> tuple[OpenView, Answer | None]:
    opened = serving.open_view(app, repo, snapshot)
    if not tail:
        return opened, None
    ask = Ask(tail, headers.get("accept", ""), headers.get("user-agent", ""))
    return opened, serving.answer(opened, ask)


def _about(opened: OpenView, snapshot: str) -> str:
    """A page for those who open a repository's URL in a browser, and for renv, which looks for Nexus in it."""
    repository = opened.repository
    return (
        f"Entrepot: repository {repository.name} ({repository.type.value}) at {snapshot}.\n"
        f"{repository.description}\n"
        f'In R: options(repos = c({repository.name} = "<this address>/{repository.name}/{snapshot}"))\n'
    )


def _variant(rendered: Rendered, request: Request) -> tuple[bytes, str]:
    """The body that suits the client's Accept-Encoding, and its ETag."""
    accepted = request.headers.get("accept-encoding", "")
    if rendered.compressed is not None and _accepts_gzip(accepted):
        return rendered.compressed, f'"{rendered.digest}-gzip"'
    return rendered.body, f'"{rendered.digest}"'


def _accepts_gzip(header: str) -> bool:
    for item in header.lower().split(","):
        name, _, q = item.partition(";")
        if name.strip() in ("gzip", "*"):
            return q.strip().replace(" ", "") not in ("q=0", "q=0.0", "q=0.00", "q=0.000")
    return False


def _file_etag(file: File) -> str | None:
    """The same before and after a file was fetched: a mirror's index tells the MD5 from the start."""
    digest = file.md5 or file.sha256
    return f'"{digest}"' if digest else None


def _parse_range(header: str, size: int) -> tuple[int, int] | None:
    """`bytes=a-b`, `bytes=a-` or `bytes=-n` as [start, end); None for forms that may be ignored.

    Raises:
        RangeNotSatisfiable: it lies outside.
    """
    unit, _, ranges = header.partition("=")
    first, dash, last = ranges.strip().partition("-")
    if (
        unit.strip() != "bytes"
        or not dash
        or "," in ranges
        or not (first + last).isdecimal()
        or not ranges.isascii()
        or len(header) > 60
    ):
        return None
    if first:
        start, end = int(first), min(int(last) + 1, size) if last else size
        if last and int(last) < start:
            return None
    else:
        start, end = max(0, size - int(last)), size
    if start >= size or start >= end:
        raise RangeNotSatisfiable(f"the file has {size} bytes", size=size)
    return start, end


def _pieces(body: bytes) -> Callable[[int, int | None], AsyncIterator[bytes]]:
    async def chunks(start: int, end: int | None) -> AsyncIterator[bytes]:
        yield body[start:end] if (start, end) != (0, len(body)) else body

    return chunks


async def _stored(app: App, key: Key, start: int, end: int | None) -> AsyncIterator[bytes]:
    try:
        source = await _in_thread(functools.partial(app.storage.stream, key, start=start, end=end))
    except NotFound as error:
        raise FileNotListed(str(error)) from error
    iterator = iter(source)
    while (piece := await _in_thread(_next, iterator)) is not None:
        yield piece


def _next(iterator: Iterator[bytes]) -> bytes | None:
    return next(iterator, None)


async def _flying(flight: Flight[File], start: int, end: int | None) -> AsyncIterator[bytes]:
    async with aclosing(flight.chunks(start=start, end=end)) as pieces:  # type: ignore[type-var]
        async for piece in pieces:
            yield piece


def _http_date(when: datetime) -> bytes:
    return format_datetime(when.astimezone(UTC).replace(microsecond=0), usegmt=True).encode()


async def _in_thread(function: Callable[..., T], *args: Any) -> T:
    """Run what blocks (the database, the store) in a thread."""
    return await asyncio.get_running_loop().run_in_executor(None, functools.partial(function, *args))
