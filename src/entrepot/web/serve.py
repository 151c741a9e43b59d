"""The one handler for all client protocols: path -> view -> answer -> HTTP.

The walk of one request: `/{repository}/{snapshot}/{tail}` is split; `operations.serving.open_view` turns the snapshot
into cuts; the ecosystem answers with a document, a file or a redirect; a document is taken from the cache of rendered
indexes, a file streams from the store, or through the one download of it that all its readers share. What can be given
out again without any of this is kept by its path (`web.hot`).
"""

from __future__ import annotations

import asyncio
import functools
import logging
import uuid
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qs, quote

from entrepot.app import App
from entrepot.core.access import Access
from entrepot.core.answers import Answer, Ask, Document, LargeDocument, MovedTo, SendFile, Unlearned
from entrepot.core.errors import EntrepotError, FileNotListed, UpstreamUnavailable
from entrepot.core.model import File, RepositoryType
from entrepot.core.platforms import BinaryAsk
from entrepot.core.usage import Download, download
from entrepot.documents import OnDisk, Rendered
from entrepot.ecosystems.useragents import client_of
from entrepot.flights import Flight
from entrepot.operations import serving, view
from entrepot.operations.serving import OpenView
from entrepot.storage import Key
from entrepot.web import filehead, hot
from entrepot.web.audit import note_read, remember
from entrepot.web.door import Door
from entrepot.web.errors import plain
from entrepot.web.hot import Body, Choice, HotAnswers, Ready
from entrepot.web.metrics import Metrics, Tally
from entrepot.web.origin import base_of
from entrepot.web.places import FILES, LINUX, Place, split_path
from entrepot.web.reply import (
    NOT_THERE,
    Headers,
    Receive,
    Reply,
    Request,
    Scope,
    Send,
    as_private,
    encodings,
    http_date,
    moved_headers,
    moved_text,
    pieces,
    reason_of,
    text_headers,
)
from entrepot.web.streams import flying, from_store, in_thread, send_path

_log = logging.getLogger(__name__)

FIXED = "public, max-age=31536000, immutable"
LATEST_INDEX = "public, max-age=60"
LATEST_FILE = "public, max-age=3600"
FRONT_SERVERS_FILES = "/__files__/"
"""Where a front server that sends files itself finds the store's folder (`[server] send_files`)."""
ROUNDS = 8
"""How many things one request may have to wait for, one after the other: a project's page at each of several upstreams,
a document of metadata."""
_BY_AGENT = Choice("user-agent", serving.agent_form)


@dataclass(frozen=True, slots=True)
class _Stored:
    """A file that the store has: its size, where it is on this machine, and its bytes if they are few."""

    key: Key
    size: int
    path: Path | None
    content: bytes | None


class _Counts(NamedTuple):
    """What counts answers with a file for Prometheus, and what whole ones are counted as in usage statistics."""

    tally: Tally | None = None
    download: Download | None = None


_NO_COUNTS = _Counts()


class Serve:
    """The ASGI application for `/{repository}/...`."""

    def __init__(self, app: App, door: Door) -> None:
        self._app = app
        self._door = door
        self._rendering: dict[str, asyncio.Future[Rendered | OnDisk]] = {}
        self.metrics = Metrics(lambda: app.usage.lost)
        self.hot = HotAnswers(
            is_fresh=app.db.is_fresh,
            document=app.documents.in_memory,
            now=lambda: app.clock().timestamp(),
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request.of(scope, base=base_of(scope, self._app.settings))
        reply = Reply(request, receive, send)
        try:
            if request.method in ("GET", "HEAD"):
                await self._respond(scope, request, reply)
            else:
                allowed = [(b"allow", b"GET, HEAD")]
                await reply.text(405, "packages are read with GET and HEAD; see the API for writing\n", allowed)
        except EntrepotError as error:
            note_read(self._app, scope, request.path, error)
            await reply.error(error)
        except Exception:
            if reply.started:
                raise
            id_ = uuid.uuid4().hex[:12]
            _log.exception("request %s: %s %s", id_, request.method, request.path)
            await reply.text(500, f"an error of the server (request {id_}); its log has the details\n")

    async def _respond(self, scope: Scope, request: Request, reply: Reply) -> None:
        """Answer; where something isn't known yet, learn it (with all who wait for the same) and ask again."""
        place = split_path(request.path)
        who = functools.partial(self._who, scope)
        for _ in range(ROUNDS):
            try:
                await self._answer(place, request, reply, who)
            except Unlearned as unlearned:
                flight: Flight[Any] = await in_thread(unlearned.learn)
                await flight.result()
            else:
                return
        raise UpstreamUnavailable("what upstream tells changes while it is read", hint="try again in a minute")

    def _who(self, scope: Scope) -> Access:
        """Who asks; blocks. Raises Unauthenticated, TooMany."""
        return remember(scope, self._door.identify(scope).access)

    async def _answer(self, place: Place, request: Request, reply: Reply, who: Callable[[], Access]) -> None:
        """Raises Unlearned, before anything is sent."""
        repo, snapshot, tail = place.repo, place.snapshot, place.tail
        if snapshot is None or not tail:
            opening = functools.partial(serving.open_view, self._app, repo, snapshot or "latest", who=who)
            opened = await in_thread(opening)
            reply.is_private = opened.repository.is_closed
            about = _about(opened, snapshot or "latest")
            await reply.text(200, about, [(b"cache-control", LATEST_INDEX.encode())])
            return
        opened, answer, stored = await in_thread(self._find, place, request, who)
        reply.is_private = opened.repository.is_closed
        match answer:
            case FileNotListed():
                self._keep_missing(opened, answer, request)
                await reply.error(answer)
            case Document() | LargeDocument():
                await self._document(opened, answer, reply)
            case SendFile():
                await self._file(opened, answer, stored, reply)
            case MovedTo(tail=elsewhere):
                location = quote(f"/{repo}/{snapshot}/{elsewhere}")
                self._keep_moved(opened, location, request)
                await reply.redirect(location)

    def _find(
        self, place: Place, request: Request, who: Callable[[], Access]
    ) -> tuple[OpenView, Answer | FileNotListed, _Stored | None]:
        """The view, what it answers, and the file if that is one that the store has. Blocks; for a thread."""
        part = serving.part_asked(place.tail)
        opened = serving.open_view(self._app, place.repo, place.snapshot or "latest", who=who, asked=part)
        accept, agent = (request.headers.get(name, "") for name in ("accept", "user-agent"))
        ask = Ask(place.tail, accept, agent, place.is_folder, self._files_at(place, request))
        if place.distribution is not None:
            ask = replace(ask, binary=_binary_ask(opened, place.distribution, agent, request))
        try:
            answer = serving.answer(opened, ask)
        except FileNotListed as error:
            return opened, error, None
        return opened, answer, self._look(answer.listed.file) if isinstance(answer, SendFile) else None

    def _files_at(self, place: Place, request: Request) -> str:
        return quote(f"{request.base}/{FILES}/{place.repo}/{place.snapshot}/", safe="/:[]@")

    def _look(self, file: File) -> _Stored | None:
        size = serving.stored_size(self._app, file)
        if size is None or file.sha256 is None:
            return None
        key = Key.blob(file.sha256)
        content = self._app.storage.get_bytes(key) if size <= hot.LARGEST_FILE else None
        return _Stored(key, size, self._app.storage.local_path(key), content)

    async def _document(self, opened: OpenView, document: Document | LargeDocument, reply: Reply) -> None:
        found = await self._rendered(opened, document)
        incomplete = found.incomplete if isinstance(found, Rendered) else 0
        headers: Headers = [
            (b"content-type", document.media_type.encode()),
            (b"cache-control", (FIXED if opened.is_fixed and not incomplete else LATEST_INDEX).encode()),
        ]
        if opened.changed:
            headers.append((b"last-modified", http_date(opened.changed)))
        if incomplete:
            headers.append((b"x-entrepot-incomplete", str(incomplete).encode()))
        if isinstance(document, LargeDocument) or document.compress:
            headers.append((b"vary", b"accept, accept-encoding" if document.varies else b"accept-encoding"))
        elif document.varies:
            headers.append((b"vary", b"accept"))
        if document.serial is not None:
            headers.append((b"x-pypi-last-serial", str(document.serial).encode()))
        if isinstance(document, LargeDocument) or not document.has_url:
            self._keep_document(opened, document, found, headers, reply.request)
        liked = encodings(reply.request.headers.get("accept-encoding", ""))
        encoding = next((it for it in liked if it in found.encodings), "")
        if encoding:
            headers.append((b"content-encoding", encoding.encode()))
        etag = _document_etag(found, encoding)
        if isinstance(found, Rendered):
            form = found.form(encoding)
            await reply.entity(headers, etag, len(form), pieces(form))
        else:
            path, size = found.forms[encoding]
            await send_path(reply, headers, etag, path, size)

    async def _rendered(self, opened: OpenView, document: Document | LargeDocument) -> Rendered | OnDisk:
        """The index, rendered by one thread however many ask for it at once."""
        key = serving.document_key(opened, document)
        make: Callable[[], Rendered | OnDisk]
        if isinstance(document, LargeDocument):
            make = functools.partial(self._app.documents.get_large, key, document.pieces)
        else:
            make = functools.partial(serving.render, self._app, opened, document)
        being_made = f"{key} {opened.filled}"
        making = self._rendering.get(being_made)
        if making is None:
            making = asyncio.ensure_future(in_thread(make))
            self._rendering[being_made] = making
            making.add_done_callback(lambda _: self._rendering.pop(being_made, None))
        return await asyncio.shield(making)

    async def _file(self, opened: OpenView, answer: SendFile, stored: _Stored | None, reply: Reply) -> None:
        file = answer.listed.file
        headers = filehead.headers_of(answer, FIXED if opened.is_fixed else LATEST_FILE)
        counts = _Counts(self.metrics.of_file(answer), self._download(opened, answer))
        if counts.tally is not None:
            counts.tally()
        modified, etag = filehead.modified(file), filehead.etag_of(file)
        if modified:
            headers.append((b"last-modified", modified))
        if reply.not_modified(etag, modified):
            await reply.unchanged(headers, etag)
        elif stored is not None:
            choice = _BY_AGENT if answer.varies else None
            await self._stored(opened, stored, headers, etag, reply, choice, counts)
        elif reply.request.method == "HEAD" and file.size is not None:
            await reply.entity(headers, etag, file.size, pieces(b""))
        else:
            flight = await in_thread(view.fetch, self._app, answer.listed)
            await flight.started()
            if flight.size is None and reply.request.method == "GET" and "range" in reply.request.headers:
                await flight.result()
            await reply.entity(headers, etag, flight.size, functools.partial(flying, flight))
        if reply.is_whole and counts.download is not None:
            self._app.usage.note(counts.download, client_of(reply.request.headers.get("user-agent", "")))

    def _download(self, opened: OpenView, answer: SendFile) -> Download | None:
        """What a whole file is counted as; None where nobody counts."""
        if answer.counted_as is None or not self._app.usage.is_on:
            return None
        file = answer.listed.file
        return download(opened.repository.id, file.source_id, file.package, file.version, answer.counted_as)

    async def _stored(
        self,
        opened: OpenView,
        stored: _Stored,
        headers: Headers,
        etag: str | None,
        reply: Reply,
        choice: Choice | None,
        counts: _Counts,
    ) -> None:
        """A file of the store: from memory, by the front server or the server itself where they can, else streamed."""
        request = reply.request
        if stored.content is not None:
            body = _body(opened, 200, headers, etag, stored.content)
            self._keep(opened, request, {"": body}, choice=choice, counts=counts)
            await reply.entity(headers, etag, stored.size, pieces(stored.content))
            return
        front = self._app.settings.server.send_files
        if stored.path is not None and front:
            await reply.by_front(headers, etag, stored.size, _front_header(front, stored))
        elif stored.path is not None:
            body = _body(opened, 200, headers, etag, None, size=stored.size, path=str(stored.path))
            self._keep(opened, request, {"": body}, choice=choice, counts=counts)
            await send_path(reply, headers, etag, stored.path, stored.size)
        else:
            await reply.entity(headers, etag, stored.size, functools.partial(from_store, self._app, stored.key))

    def _keep_document(
        self,
        opened: OpenView,
        document: Document | LargeDocument,
        found: Rendered | OnDisk,
        headers: Headers,
        request: Request,
    ) -> None:
        bodies = {}
        for encoding in ("", *found.encodings):
            told, size, path = _document_etag(found, encoding), 0, None
            if isinstance(found, Rendered):
                size = len(found.form(encoding))
            else:
                place, size = found.forms[encoding]
                path = str(place)
            bodies[encoding] = _body(opened, 200, headers, told, None, size=size, encoding=encoding, path=path)
        key = serving.document_key(opened, document) if isinstance(found, Rendered) else None
        choose = serving.chooser(opened) if document.varies else None
        choice = Choice("accept", choose) if choose is not None else None
        self._keep(opened, request, bodies, document=key, digest=found.digest, choice=choice)

    def _keep_missing(self, opened: OpenView, error: FileNotListed, request: Request) -> None:
        text = plain(error)
        headers = [text_headers(text.encode())[0], (b"cache-control", NOT_THERE)]
        body = _body(opened, 404, headers, None, text.encode(), reason=reason_of(text))
        self._keep(opened, request, {"": body})

    def _keep_moved(self, opened: OpenView, location: str, request: Request) -> None:
        text = moved_text(location).encode()
        headers = [text_headers(text)[0], *moved_headers(location)]
        self._keep(opened, request, {"": _body(opened, 308, headers, None, text)})

    def _keep(
        self,
        opened: OpenView,
        request: Request,
        bodies: dict[str, Body],
        *,
        document: str | None = None,
        digest: str = "",
        choice: Choice | None = None,
        counts: _Counts = _NO_COUNTS,
    ) -> None:
        """Keep an answer for those who ask the same, as long as the catalogue and what is known of upstreams last."""
        if request.has_query:
            return
        shown, closed = opened.view, opened.repository.id if opened.repository.is_closed else None
        topics = frozenset(shown.topics)
        ready = Ready(opened.version, bodies, document, digest, shown.expires, topics, *counts, closed)
        accept, agent = (request.headers.get(name, "") for name in ("accept", "user-agent"))
        self.hot.keep(request.path.encode("latin-1"), ready, choose=choice, accept=accept, agent=agent)


def _body(
    opened: OpenView, status: int, headers: Headers, etag: str | None, content: bytes | None, **more: Any
) -> Body:
    """An answer to keep; of a closed repository one that no shared cache keeps."""
    return hot.body(status, as_private(headers) if opened.repository.is_closed else headers, etag, content, **more)


def _binary_ask(opened: OpenView, distribution: str, agent: str, request: Request) -> BinaryAsk:
    """What binary packages are asked for. Raises FileNotListed: repositories of that type have none."""
    read = serving.binary_ask(opened)
    if read is None:
        raise FileNotListed(f"repositories of type {opened.repository.type.value} have nothing below {LINUX}")
    asked = parse_qs(request.query, max_num_fields=20) if request.query else {}
    r, arch = (asked.get(name, [None])[0] for name in ("r_version", "arch"))
    return read(distribution, agent, r=r, arch=arch)


def _about(opened: OpenView, snapshot: str) -> str:
    """A page for those who open a repository's URL in a browser, and for renv, which looks for Nexus in it."""
    repository = opened.repository
    url = f"<this address>/{repository.name}/{snapshot}"
    use = f'In R: options(repos = c({repository.name} = "{url}"))'
    if repository.type is RepositoryType.PYTHON:
        use = f"With pip: pip install --index-url {url}/simple/ ..."
    return (
        f"Entrepot: repository {repository.name} ({repository.type.value}) at {snapshot}.\n"
        f"{repository.description}\n"
        f"{use}\n"
    )


def _document_etag(found: Rendered | OnDisk, encoding: str) -> str:
    return f'"{found.digest}-{encoding}"' if encoding else f'"{found.digest}"'


def _front_header(front: str, stored: _Stored) -> tuple[bytes, bytes]:
    if front == "x-accel-redirect":
        return b"x-accel-redirect", quote(FRONT_SERVERS_FILES + stored.key.path).encode()
    return b"x-sendfile", str(stored.path).encode()
