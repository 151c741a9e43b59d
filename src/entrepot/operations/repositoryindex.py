"""A Python repository of ours on loopback, whole: for a program that we run and that may ask nobody else."""

from __future__ import annotations

import hmac
import secrets
import threading
from collections.abc import Iterable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler
from typing import Any, Self
from urllib.parse import unquote

from entrepot.app import App
from entrepot.core.answers import Answer, Ask, Document, SendFile
from entrepot.core.errors import EntrepotError, FileNotListed, UpstreamUnavailable
from entrepot.ecosystems.python import pypi, simple
from entrepot.operations.loopback import LoopbackServer
from entrepot.operations.needs import stored
from entrepot.operations.serving import answer, open_view, patiently

AT_ONCE = 8
"""Answers that are made at once: other clients want pages and downloads too (`Flights`)."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What is sent: `body` piece by piece, `size` bytes together."""

    status: int
    media_type: str
    size: int
    body: Iterable[bytes]


class RepositoryIndex:
    """`latest` of a repository, on a loopback port as long as the context lasts, at an address nobody can guess.

    Files that the store lacks are fetched from upstream, as for any client.
    """

    def __init__(self, app: App, repository: str) -> None:
        self._app, self._repository = app, repository
        self._secret = secrets.token_urlsafe(16)
        self._failures: dict[str, Exception] = {}
        self._turns = threading.BoundedSemaphore(AT_ONCE)
        self._is_over = False
        self._server = _Server(self)

    @property
    def server(self) -> str:
        """The address, which gives nothing to those who don't know where the index is."""
        return self._server.address

    @property
    def base(self) -> str:
        """Where the index is."""
        return f"{self.server}/{self._secret}"

    @property
    def address(self) -> str:
        """Of the Simple API."""
        return f"{self.base}/simple/"

    def __enter__(self) -> Self:
        self._server.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over = True
        self._server.__exit__()

    def failure(self) -> Exception | None:
        """The first thing that went wrong here, other than that something isn't listed."""
        return next(iter(list(self._failures.values())), None)

    def respond(self, path: str) -> Reply:
        """What is at a path. Blocks as long as upstream does; raises nothing."""
        try:
            with self._turns:
                if self._is_over:
                    raise UpstreamUnavailable("nobody waits for it any more")
                return self._reply(path)
        except FileNotListed as error:
            return _text(404, error.message)
        except Exception as error:
            self._failures.setdefault(path, error)
            return _text(503 if isinstance(error, EntrepotError) else 500, str(error))

    def _reply(self, path: str) -> Reply:
        parts = [unquote(part) for part in path.split("/")]
        if len(parts) < 3 or not hmac.compare_digest(parts[1].encode(), self._secret.encode()):
            raise FileNotListed("there is nothing here")
        is_folder = not parts[-1]
        tail = "/".join(parts[2:]).removesuffix("/")
        found = patiently(lambda: self._ask(tail, is_folder=is_folder))
        if isinstance(found, bytes):
            return Reply(200, "text/plain", len(found), [found])
        if isinstance(found, Document):
            body = found.render().body
            return Reply(200, found.media_type, len(body), [body])
        if isinstance(found, SendFile):
            key = stored(self._app, found.listed)
            size = self._app.storage.size(key)
            if size is None:
                raise UpstreamUnavailable(f"{found.listed.file.name} went away while it was asked for")
            return Reply(200, found.media_type, size, self._app.storage.stream(key))
        raise FileNotListed("builds are given pages of projects, and files")

    def _ask(self, tail: str, *, is_folder: bool) -> Answer | bytes:
        """What the dialect answers; metadata documents are small, and learnt where nobody asked for them yet."""
        opened = open_view(self._app, self._repository, "latest")
        found = answer(opened, Ask(tail, accept=simple.JSON, is_folder=is_folder))
        if isinstance(found, SendFile) and found.listed.file.name.endswith(pypi.METADATA):
            return opened.view.metadata(found.listed.file)
        return found


def _text(status: int, message: str) -> Reply:
    body = message.encode()
    return Reply(status, "text/plain", len(body), [body])


class _Server(LoopbackServer):
    """A loopback server that sends large files."""

    def __init__(self, index: RepositoryIndex) -> None:
        self.index = index
        super().__init__(_refuse)
        self.RequestHandlerClass = _Handler


def _refuse(_: str) -> tuple[int, str, bytes]:
    return 404, "text/plain", b""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def do_GET(self) -> None:
        for piece in self._begin().body:
            self.wfile.write(piece)

    def do_HEAD(self) -> None:
        """Who asks so wants to know whether parts can be had: they can't."""
        self._begin()

    def _begin(self) -> Reply:
        reply = self.server.index.respond(self.path)
        self.send_response(reply.status)
        self.send_header("Content-Type", reply.media_type)
        self.send_header("Content-Length", str(reply.size))
        self.end_headers()
        return reply

    def log_message(self, format: str, *args: Any) -> None:
        """What our own programs ask is no news."""
