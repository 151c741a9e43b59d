"""The connection of a client as uvicorn has it, with bounds on the head of a request: its size and its time.

uvicorn takes a head of any length, and waits for its end for ever.
"""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

LARGEST_HEAD = 64 * 1024
"""Bytes of a request's line and headers together."""
MOST_HEADERS = 256
HEAD_WITHIN = 30.0
"""Seconds from the first byte of a request, or from the connection's beginning, to the end of the head."""
LINGER = 1.0
"""Seconds in which what comes after a refusal is thrown away."""
_TOO_LARGE = 431, b"the head of the request is too large\n"
_TOO_SLOW = 408, b"the head of the request did not come in time\n"


class BoundedHeads(HttpToolsProtocol):
    """uvicorn's protocol; a head that is too large is answered 431, one that takes too long 408, and the connection is
    closed."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._is_in_head = self.is_in_message = False
        self._is_over = False
        self._size = self._count = self._unread = self._begun = 0
        self._patience: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._patience = self.loop.call_later(HEAD_WITHIN, self._too_slow)

    def connection_lost(self, exc: Exception | None) -> None:
        self._be_patient()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._is_over:
            return
        was_in_head, was_in_message, self._begun = self._is_in_head, self.is_in_message, 0
        super().data_received(data)
        if not self._is_in_head or self._is_over:
            return
        if was_in_head or (not was_in_message and self._begun == 1):
            # The parser tells of a header when it is whole: this is what it may hold of one that has no end yet.
            self._unread += len(data)
            self._check()
        if self._patience is None and not self._is_over:
            self._patience = self.loop.call_later(HEAD_WITHIN, self._too_slow)

    def on_message_begin(self) -> None:
        self._is_in_head = self.is_in_message = True
        self._begun += 1
        self._size = self._count = self._unread = 0
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        self._size += len(url)
        self._check()
        if not self._is_over:
            super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        # Also those behind a body that comes in chunks.
        self._size += len(name) + len(value) + 4
        self._count += 1
        self._check()
        if not self._is_over:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        if self._is_over:
            return
        self._is_in_head = False
        self._size = self._unread = 0
        self._be_patient()
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        if not self._is_over:
            super().on_body(body)

    def on_message_complete(self) -> None:
        self.is_in_message = False
        if not self._is_over:
            super().on_message_complete()

    def heard(self) -> None:
        """A whole request came that the parser saw nothing of."""
        self._be_patient()

    def _be_patient(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None

    def _check(self) -> None:
        if not self._is_over and (max(self._size, self._unread) > LARGEST_HEAD or self._count > MOST_HEADERS):
            self._end(*_TOO_LARGE)

    def _too_slow(self) -> None:
        self._patience = None
        if not self._is_in_head:
            self.transport.close()  # nothing ever came
        elif self.flow.read_paused:
            # It is we who don't read: requests before this one are still to be answered.
            self._patience = self.loop.call_later(HEAD_WITHIN, self._too_slow)
        else:
            self._end(*_TOO_SLOW)

    def _end(self, status: int, text: bytes) -> None:
        """Say what was wrong, unless an answer is on its way, and hear no more."""
        self._is_over = True
        self._be_patient()
        if self.transport.is_closing():
            return
        if self.cycle is None or self.cycle.response_complete:
            head = b"content-type: text/plain; charset=utf-8\r\ncontent-length: %d\r\nconnection: close\r\n\r\n"
            self.transport.write(STATUS_LINE[status] + head % len(text) + text)
        # Closed at once, what the client still sends would be answered with a reset, and it would not see why.
        self._patience = self.loop.call_later(LINGER, self.transport.close)
