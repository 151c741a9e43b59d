"""A small HTTP server on loopback for a program that we run, which lives as long as that; and an index on it."""

from __future__ import annotations

import hmac
import secrets
import socket
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer
from typing import Any, Self
from urllib.parse import unquote

from entrepot.core.errors import EntrepotError, FileNotListed, UpstreamUnavailable

AT_ONCE = 8
"""Answers of an index that are made at once: other clients want pages and downloads too (`Flights`)."""
PATIENCE = 10.0
"""Seconds at the end for answers that are still being made."""
_LOOK_EVERY = 0.05
"""Seconds between two looks whether it shall end."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What is sent: `body` piece by piece, `size` bytes together."""

    status: int
    media_type: str
    size: int
    body: Iterable[bytes]

    @classmethod
    def of(cls, status: int, media_type: str, body: bytes) -> Self:
        return cls(status, media_type, len(body), [body])


Respond = Callable[[str], Reply]
"""What is at a path, as it was asked for. Called in a thread of each connection; raises nothing."""


class LoopbackServer(ThreadingHTTPServer):
    """Listens from the start of its context; no thread or connection of it is left after the end."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, respond: Respond) -> None:
        self.respond = respond
        self._open: set[socket.socket] = set()
        self._running: list[threading.Thread] = []
        super().__init__(("127.0.0.1", 0), _Handler)

    def server_bind(self) -> None:
        TCPServer.server_bind(self)  # HTTPServer's would ask the name service who we are
        self.server_name, self.server_port = "127.0.0.1", self.server_address[1]

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def __enter__(self) -> Self:
        self._start(self.serve_forever, _LOOK_EVERY)
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        for connection in list(self._open):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        self.server_close()
        until = time.monotonic() + PATIENCE
        for thread in self._running:
            thread.join(max(0.0, until - time.monotonic()))

    def _start(self, target: Callable[..., None], *arguments: Any) -> None:
        thread = threading.Thread(target=target, args=arguments, name="loopback", daemon=True)
        self._running = [*filter(threading.Thread.is_alive, self._running), thread]
        thread.start()

    def process_request(self, request: Any, client_address: Any) -> None:
        self._open.add(request)
        self._start(self.process_request_thread, request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self._open.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away is no news."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: LoopbackServer

    def do_GET(self) -> None:
        for piece in self._begin().body:
            self.wfile.write(piece)

    def do_HEAD(self) -> None:
        """Who asks so wants to know whether parts can be had: they can't."""
        self._begin()

    def _begin(self) -> Reply:
        reply = self.server.respond(self.path)
        self.send_response(reply.status)
        self.send_header("Content-Type", reply.media_type)
        self.send_header("Content-Length", str(reply.size))
        self.end_headers()
        return reply

    def log_message(self, format: str, *args: Any) -> None:
        """What our own programs ask is no news."""


class HiddenIndex(ABC):
    """A Simple API on a loopback port as long as the context lasts, at an address nobody can guess.

    What goes wrong in it is kept by the path that was asked for.
    """

    def __init__(self) -> None:
        self._secret = secrets.token_urlsafe(16)
        self._failures: dict[str, Exception] = {}
        self._turns = threading.BoundedSemaphore(AT_ONCE)
        self._is_over = False
        self._server = LoopbackServer(self.respond)

    @abstractmethod
    def _reply(self, parts: list[str]) -> Reply:
        """What is at the parts of a path below `base`. Raises FileNotListed: nothing."""

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

    def respond(self, path: str) -> Reply:
        """What is at a path. Blocks as long as upstream does."""
        try:
            with self._turns:
                if self._is_over:
                    raise UpstreamUnavailable("nobody waits for it any more")
                first, secret, *parts = [*map(unquote, path.split("/")), ""]
                if first or not hmac.compare_digest(secret.encode(), self._secret.encode()):
                    raise FileNotListed("there is nothing here")
                return self._reply(parts[:-1])
        except FileNotListed as error:
            return Reply.of(404, "text/plain", error.message.encode())
        except Exception as error:
            self._failures.setdefault(path, error)
            status = 503 if isinstance(error, EntrepotError) else 500
            return Reply.of(status, "text/plain", str(error).encode())
