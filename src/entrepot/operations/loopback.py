"""A small HTTP server on loopback for a program that we run: it answers GET as long as that program lives."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer
from typing import Any, Self

PATIENCE = 10.0
"""Seconds at the end for answers that are still being made."""
_LOOK_EVERY = 0.05
"""Seconds between two looks whether it shall end."""
Respond = Callable[[str], tuple[int, str, bytes]]
"""Path as it was asked for -> (status, media type, body). Called in a thread of each connection; raises nothing."""


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
        status, media_type, body = self.server.respond(self.path)
        self.send_response(status)
        self.send_header("Content-Type", media_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """What our own programs ask is no news."""
