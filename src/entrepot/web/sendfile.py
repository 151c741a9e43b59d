"""A stored file from the disk to a connection without passing through Python: ASGI's `http.response.pathsend`.

uvicorn doesn't have that extension; this adds it to one of its requests.
"""

from __future__ import annotations

import asyncio
import os
from functools import partial
from typing import Any

from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from entrepot.web.reply import PATHSEND, SENT, Send

_PIECE = 1024 * 1024
"""Bytes of a file that are handed to the kernel at once, at most."""


def with_pathsend(cycle: RequestResponseCycle, plain: Send) -> Send:
    """`plain`, which sends messages of `cycle`, that knows ASGI's `http.response.pathsend` as well: the kernel copies
    the file to the connection."""

    async def send(message: Any) -> None:
        if message["type"] != PATHSEND:
            await plain(message)
            return
        try:
            await _send_file(cycle, message["path"], cycle.expected_content_length)
        except ConnectionError:
            cycle.disconnected = True  # which uvicorn is about to learn
        if not cycle.disconnected:
            message.get(SENT, _nothing)()
            cycle.expected_content_length = 0
            await plain({"type": "http.response.body", "body": b""})

    return send


async def _send_file(cycle: RequestResponseCycle, path: str, size: int) -> None:
    """All `size` bytes of a file, past the transport; what has to come from a disk, in a thread."""
    loop = asyncio.get_running_loop()
    in_thread = partial(loop.run_in_executor, None)
    while cycle.transport.get_write_buffer_size() and not cycle.disconnected:
        await asyncio.sleep(0.01)  # the head is still on its way: only a client that reads nothing comes here
    # A descriptor of its own: the loop lets nobody wait for one that a transport has.
    out = os.dup(cycle.transport.get_extra_info("socket").fileno())
    try:
        file = await in_thread(os.open, path, os.O_RDONLY)
        try:
            at = 0
            while at < size and not cycle.disconnected:
                piece = out, file, at, min(_PIECE, size - at)
                try:
                    sent = os.sendfile(*piece) if _is_in_memory(file, at) else await in_thread(os.sendfile, *piece)
                except BlockingIOError:
                    await _writable(loop, cycle, out)
                    continue
                if not sent:
                    raise OSError(f"{path} ended at {at} of {size} bytes")
                at += sent
                await asyncio.sleep(0)  # the others' turn
        finally:
            os.close(file)
    finally:
        os.close(out)


def _is_in_memory(file: int, at: int) -> bool:
    """Whether the kernel has this place of a file at hand (its read-ahead will have what follows)."""
    try:
        return os.preadv(file, [bytearray(1)], at, os.RWF_NOWAIT) == 1
    except (OSError, AttributeError):  # it is not, or the system can't tell
        return False


async def _writable(loop: asyncio.AbstractEventLoop, cycle: RequestResponseCycle, out: int) -> None:
    """Wait until the connection takes more, or the client has gone."""
    ready = loop.create_future()
    loop.add_writer(out, _set, ready)
    try:
        while not ready.done() and not cycle.disconnected:
            await asyncio.wait([ready], timeout=1)
    finally:
        loop.remove_writer(out)


def _nothing() -> None:
    pass


def _set(ready: asyncio.Future[None]) -> None:
    if not ready.done():
        ready.set_result(None)
