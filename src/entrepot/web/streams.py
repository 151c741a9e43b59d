"""The bytes of a file on their way to a connection: from this machine's disk, from the store, from a download."""

from __future__ import annotations

import asyncio
import functools
import os
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import aclosing, suppress
from pathlib import Path
from typing import Any, TypeVar

from entrepot.app import App
from entrepot.core.errors import FileNotListed, NotFound
from entrepot.core.model import File
from entrepot.flights import Flight
from entrepot.storage import Key
from entrepot.web.reply import Headers, Reply

_PIECE = 1024 * 1024
T = TypeVar("T")


async def send_path(reply: Reply, headers: Headers, etag: str | None, path: Path, size: int) -> None:
    """A file of this machine: by the server itself where it can, else streamed."""
    request = reply.request
    is_whole = request.method == "GET" and "range" not in request.headers
    if is_whole and request.sends_path and not reply.not_modified(etag, None):
        await reply.path(headers, etag, size, str(path))
    else:
        await reply.entity(headers, etag, size, functools.partial(_from_disk, path, size))


async def _from_disk(path: Path, size: int, start: int, end: int | None) -> AsyncIterator[bytes]:
    """The bytes of a file in the store's folder; the next piece is read while the client takes this one."""
    at, stop = start, size if end is None else end
    fd = await in_thread(os.open, path, os.O_RDONLY)
    ahead = _ahead(fd, at, stop)
    try:
        while at < stop:
            piece = await ahead
            if not piece:
                raise FileNotListed(f"{path.name} ended at {at} of {size} bytes")
            at += len(piece)
            ahead = _ahead(fd, at, stop)
            yield piece
    finally:
        with suppress(asyncio.CancelledError, OSError):
            await asyncio.shield(ahead)
        os.close(fd)


def _ahead(fd: int, at: int, stop: int) -> asyncio.Future[bytes]:
    return asyncio.ensure_future(in_thread(os.pread, fd, min(_PIECE, stop - at), at))


async def from_store(app: App, key: Key, start: int, end: int | None) -> AsyncIterator[bytes]:
    """The bytes of a file of a store that is not on this machine."""
    try:
        source = await in_thread(functools.partial(app.storage.stream, key, start=start, end=end, chunk=_PIECE))
    except NotFound as error:
        raise FileNotListed(str(error)) from error
    iterator = iter(source)
    while (piece := await in_thread(_next, iterator)) is not None:
        yield piece


def _next(iterator: Iterator[bytes]) -> bytes | None:
    return next(iterator, None)


async def flying(flight: Flight[File], start: int, end: int | None) -> AsyncIterator[bytes]:
    """The bytes of a file that is being downloaded, as they come."""
    async with aclosing(flight.chunks(start=start, end=end)) as pieces:  # type: ignore[type-var]
        async for piece in pieces:
            yield piece


async def in_thread(function: Callable[..., T], *args: Any) -> T:
    """Run what blocks (the database, the store) in a thread."""
    return await asyncio.get_running_loop().run_in_executor(None, functools.partial(function, *args))
