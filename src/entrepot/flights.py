"""Shares one download among all who wait for it, whatever their number; the files on their way to the store."""

from __future__ import annotations

import asyncio
import copy
import fcntl
import logging
import os
import shutil
import tempfile
import threading
import weakref
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, Generic, TypeVar

from entrepot.core.errors import EntrepotError, UpstreamUnavailable
from entrepot.core.room import needs_room, out_of_space

_log = logging.getLogger(__name__)
_CHUNK = 256 * 1024
HELD_BACK = 64 * 1024
"""Bytes at the end of a flight that nobody receives before the whole file was verified."""

_FULL = "the download could not be kept"

T = TypeVar("T")


class Sink:
    """Where the thread of a flight writes; `path` is the file so far, to be put in the store once it is verified."""

    def __init__(self, flight: Flight[Any]) -> None:
        self._flight = flight
        self.path = flight._path

    def expect(self, size: int | None) -> None:
        """Tell the readers how many bytes will come; before the first `write`. Raises OutOfSpace."""
        self._flight._expect(size)

    def write(self, data: bytes, /) -> int:
        self._flight._append(data)
        return len(data)

    def verified(self) -> None:
        """All is written and its hash is right: release the rest now, before it is put in the store."""
        self._flight._release()


class Flight(Generic[T]):
    """One download and all who follow it, on any number of event loops.

    A reader gets bytes as they come, but the last `HELD_BACK` only after the file was verified: nobody ever receives
    a whole wrong file. A reader that goes away does not stop the flight.
    """

    def __init__(self, path: Path, stopping: threading.Event, *, patience: float) -> None:
        self._path = path
        self._stopping = stopping
        self._patience = patience
        self._has_thread = False
        self._file: BinaryIO | None = None
        self._lock = threading.Lock()
        self._waiting: dict[asyncio.AbstractEventLoop, list[asyncio.Future[None]]] = {}
        self._written = 0
        self._size: int | None = None
        self._is_verified = False
        self._is_over = False
        self._result: T | None = None
        self._error: BaseException | None = None

    @property
    def size(self) -> int | None:
        """Bytes of the whole file, if that is known yet."""
        return self._written if self._is_verified else self._size

    async def started(self) -> None:
        """Wait until `chunks` has something to give, or raise the flight's error: nothing need be sent before."""
        await self._until(partial(self._has_more, 0, True))

    async def chunks(self, *, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        """The bytes [start, end) as they come; raises the flight's error if the file turns out wrong.

        A part that ends before the file does is an answer complete in itself, so it waits for the whole to be verified.
        """
        at = start
        while end is None or at < end:
            whole = end is None or end == self._size
            await self._until(partial(self._has_more, at, whole))
            piece = self._read(at, end, whole)
            if not piece:
                return
            at += len(piece)
            yield piece

    async def result(self) -> T:
        """What `start` returned; raises what it raised, even if all the bytes were right."""
        await self._until(lambda: self._is_over)
        if self._error is not None:
            raise _fresh(self._error)
        return self._result  # type: ignore[return-value]

    def _released(self, whole: bool) -> int:
        if self._is_verified:
            return self._written
        return max(0, self._written - HELD_BACK) if whole else 0

    def _has_more(self, at: int, whole: bool) -> bool:
        return self._is_verified or self._released(whole) > at

    def _read(self, at: int, end: int | None, whole: bool) -> bytes:
        stop = self._released(whole)
        stop = stop if end is None else min(stop, end)
        if at >= stop or self._file is None:
            return b""
        # Written a moment ago, so this comes from memory: a thread would cost more than the read.
        return os.pread(self._file.fileno(), min(_CHUNK, stop - at), at)

    async def _until(self, ready: Callable[[], bool]) -> None:
        """Wait for `ready`; raises the flight's error unless the bytes are verified."""
        loop = asyncio.get_running_loop()
        while True:
            with self._lock:
                if self._error is not None and not self._is_verified:
                    raise _fresh(self._error)
                if ready():
                    return
                turn = loop.create_future()
                self._waiting.setdefault(loop, []).append(turn)
            await self._wait(turn)

    async def _wait(self, turn: asyncio.Future[None]) -> None:
        """Wait for news; not for long where none can come, because all threads are busy with other downloads."""
        if self._has_thread:
            await turn
            return
        try:
            async with asyncio.timeout(self._patience):
                await turn
        except TimeoutError:
            if not self._has_thread:
                raise UpstreamUnavailable(
                    "many other downloads wait for their upstream; this one will come in its turn",
                    hint="try again in a minute",
                ) from None

    def _open(self) -> None:
        self._has_thread = True
        with needs_room(_FULL):
            self._file = self._path.open("x+b", buffering=0)
        # Readers may hold the flight long after its end; the last one to let go closes the file.
        weakref.finalize(self, self._file.close)

    def _expect(self, size: int | None) -> None:
        if size is not None and size > shutil.disk_usage(self._path.parent).free:
            raise out_of_space(_FULL)  # now, while the readers can still be told so
        with self._lock:
            self._size = size

    def _append(self, data: bytes) -> None:
        if self._is_verified or self._file is None:
            raise RuntimeError("a flight was written to after it was verified")
        if self._stopping.is_set():
            raise _stopping()
        rest = memoryview(data)
        with needs_room(_FULL):
            while rest:
                rest = rest[self._file.write(rest) :]
        with self._lock:
            self._written += len(data)
            self._wake()

    def _release(self) -> None:
        with self._lock:
            self._is_verified = True
            self._wake()

    def _end(self, result: T | None, error: BaseException | None) -> None:
        with self._lock:
            self._result, self._error = result, error
            self._is_verified = self._is_verified or error is None
            self._is_over = True
            self._wake()

    def _wake(self) -> None:
        # One call per loop however many readers wait there.
        waiting, self._waiting = self._waiting, {}
        for loop, turns in waiting.items():
            with suppress(RuntimeError):  # that loop is closed, and its readers with it
                loop.call_soon_threadsafe(_take_turns, turns)


class Flights:
    """At most one download per key at a time, whatever the number of those who want it.

    Files being downloaded are in a folder of this process's own below `folder`; those of dead processes are removed.

    Args:
        threads: how many downloads there are at once.
        patience: seconds that a reader waits for one of them; an upstream that hangs may hold all for minutes.
    """

    def __init__(self, folder: Path, *, threads: int = 16, patience: float = 20) -> None:
        self._folder, self._guard = _own_folder(folder)
        self._patience = patience
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="flight")
        self._flying: dict[str, Flight[Any]] = {}
        self._lock = threading.Lock()
        self._count = 0
        self._stopping = threading.Event()

    def join(self, key: str, start: Callable[[Sink], T]) -> Flight[T]:
        """The flight of `key`; the first caller's `start` runs in a thread, later callers share what comes of it.

        `start` writes the whole file to its sink, checks it, calls `verified()`, stores and records it. It should look
        first whether the file was stored in the meantime: the flight before may have ended a moment ago.
        """
        with self._lock:
            if self._stopping.is_set():
                raise _stopping()
            flight = self._flying.get(key)
            if flight is None:
                self._count += 1
                path = self._folder / str(self._count)
                flight = self._flying[key] = Flight(path, self._stopping, patience=self._patience)
                self._pool.submit(self._fly, key, flight, start)
            return flight

    def close(self) -> None:
        """End running flights at their next byte, wait for that, and remove the folder."""
        with self._lock:
            self._stopping.set()
        self._pool.shutdown(wait=True)
        shutil.rmtree(self._folder, ignore_errors=True)
        os.close(self._guard)

    def _fly(self, key: str, flight: Flight[T], start: Callable[[Sink], T]) -> None:
        result, error = None, None
        try:
            flight._open()
            if self._stopping.is_set():
                raise _stopping()
            result = start(Sink(flight))
        except BaseException as raised:
            error = _fresh(raised)
            if not isinstance(raised, EntrepotError | OSError):
                _log.exception("the download of %s failed", key)
            elif flight._is_verified:
                _log.warning("the download of %s was passed on, but not kept: %s", key, raised)
        with self._lock:
            del self._flying[key]
        flight._path.unlink(missing_ok=True)
        flight._end(result, error)


def _take_turns(turns: list[asyncio.Future[None]]) -> None:
    for turn in turns:
        if not turn.done():
            turn.set_result(None)


def _stopping() -> UpstreamUnavailable:
    return UpstreamUnavailable("the download was given up, because the server is stopping")


def _fresh(error: BaseException) -> BaseException:
    """A copy without traceback, for one of many readers: a shared one would keep all their frames, and files, alive."""
    try:
        return copy.copy(error)
    except Exception:
        return RuntimeError(f"{type(error).__name__}: {error}")


def _own_folder(parent: Path) -> tuple[Path, int]:
    """A new folder for this process, locked as long as it lives, after removing those whose process is dead."""
    parent.mkdir(parents=True, exist_ok=True)
    guard = os.open(parent, os.O_RDONLY)
    try:
        fcntl.flock(guard, fcntl.LOCK_EX)  # else another process could take the new folder for an orphan
        for left in parent.glob("flights-*"):
            lock = _lock(left)
            if lock is not None:
                shutil.rmtree(left, ignore_errors=True)
                os.close(lock)
        own = Path(tempfile.mkdtemp(prefix="flights-", dir=parent))
        lock = _lock(own)
        assert lock is not None
        return own, lock
    finally:
        os.close(guard)


def _lock(folder: Path) -> int | None:
    """A descriptor that holds the lock of `folder`; None if another process, or flight table, holds it."""
    fd = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(fd)
        return None
    return fd
