"""Rendered indexes: made once for a cut, kept in memory within a bound and on disk, and always possible to remake.

A document is found by what it shows (the cuts of its view and its own key), so `latest` and the date that equals it
share bytes. One that lacks facts nobody knew yet (`incomplete`) counts only as long as nothing more was learnt.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from zlib_ng import zlib_ng

_FORMAT = 1
MAKERS = 2
"""Documents made at once: more would need more memory, and under one interpreter's lock no less time."""


@dataclass(frozen=True, slots=True)
class Rendered:
    """The bytes of an index, its gzip twin where that is worth it, and the strong ETag of each.

    `incomplete` is the number of entries with facts still unknown; `filled` says how much was known when it was made.
    """

    body: bytes
    compressed: bytes | None
    digest: str
    incomplete: int
    filled: int

    @property
    def weight(self) -> int:
        return len(self.body) + len(self.compressed or b"")


@dataclass(frozen=True, slots=True)
class Draft:
    """What a renderer hands over."""

    body: bytes
    compress: bool
    incomplete: int


class Documents:
    """The cache of rendered indexes.

    Args:
        folder: where they are kept on disk; files in it may be deleted at any time.
        memory_limit, disk_limit: bytes.
        version: of the program, so that a new one makes its own.
    """

    def __init__(
        self, folder: Path, *, version: str, memory_limit: int = 128 * 1024**2, disk_limit: int = 4 * 1024**3
    ) -> None:
        self._folder = folder
        self._version = version
        self._memory_limit = memory_limit
        self._disk_limit = disk_limit
        self._kept: OrderedDict[str, Rendered] = OrderedDict()
        self._weight = 0
        self._lock = threading.Lock()
        self._making: dict[str, tuple[threading.Lock, int]] = {}
        self._makers = threading.BoundedSemaphore(MAKERS)
        folder.mkdir(parents=True, exist_ok=True)
        for left in folder.glob("*.tmp"):  # of a process that was killed
            left.unlink(missing_ok=True)
        self._on_disk = sum(path.stat().st_size for path in folder.glob("*.index"))

    def get(self, key: str, *, filled: int, make: Callable[[], Draft]) -> Rendered:
        """The document of `key`; made by `make`, by one caller at a time, if it isn't kept."""
        found = self._remembered(key, filled)
        if found is not None:
            return found
        with self._one_maker(key):
            found = self._remembered(key, filled) or self._read(key, filled)
            if found is None:
                with self._makers:
                    found = _finish(make(), filled)
                self._write(key, found)
            self._remember(key, found)
        return found

    def in_memory(self, key: str) -> Rendered | None:
        """The document of `key` if it is in memory; it counts as used now."""
        with self._lock:
            found = self._kept.get(key)
            if found is not None:
                self._kept.move_to_end(key)
            return found

    def _remembered(self, key: str, filled: int) -> Rendered | None:
        with self._lock:
            found = self._kept.get(key)
            if found is None or not _counts(found, filled):
                return None
            self._kept.move_to_end(key)
            return found

    def _remember(self, key: str, rendered: Rendered) -> None:
        if rendered.weight > self._memory_limit // 2:
            return
        with self._lock:
            replaced = self._kept.pop(key, None)
            self._weight += rendered.weight - (replaced.weight if replaced else 0)
            self._kept[key] = rendered
            while self._weight > self._memory_limit:
                _, dropped = self._kept.popitem(last=False)
                self._weight -= dropped.weight

    @contextmanager
    def _one_maker(self, key: str) -> Iterator[None]:
        with self._lock:
            lock, users = self._making.get(key, (threading.Lock(), 0))
            self._making[key] = (lock, users + 1)
        try:
            with lock:
                yield
        finally:
            with self._lock:
                lock, users = self._making.pop(key)
                if users > 1:
                    self._making[key] = (lock, users - 1)

    def _path(self, key: str) -> Path:
        return self._folder / (hashlib.sha256(f"{_FORMAT}:{self._version}:{key}".encode()).hexdigest() + ".index")

    def _read(self, key: str, filled: int) -> Rendered | None:
        try:
            with self._path(key).open("rb") as file:
                head = json.loads(file.readline())
                body = file.read(head["body"])
                compressed = file.read(head["compressed"]) if head["compressed"] else None
        except (OSError, ValueError, KeyError):
            return None
        rendered = Rendered(body, compressed, _digest(body), head["incomplete"], head["filled"])
        whole = rendered.digest == head["digest"] and len(compressed or b"") == head["compressed"]
        return rendered if whole and _counts(rendered, filled) else None

    def _write(self, key: str, rendered: Rendered) -> None:
        head = {
            "body": len(rendered.body),
            "compressed": len(rendered.compressed or b""),
            "digest": rendered.digest,
            "incomplete": rendered.incomplete,
            "filled": rendered.filled,
        }
        # A cache that can't be written (a full disk) costs time, not answers.
        with suppress(OSError):
            self._make_room(rendered.weight)
            descriptor, name = tempfile.mkstemp(dir=self._folder, suffix=".tmp")
            try:
                with os.fdopen(descriptor, "wb") as file:
                    file.write(json.dumps(head).encode() + b"\n" + rendered.body + (rendered.compressed or b""))
                Path(name).replace(self._path(key))
            except OSError:
                Path(name).unlink(missing_ok=True)
                self._on_disk -= rendered.weight
                raise

    def _make_room(self, wanted: int) -> None:
        self._on_disk += wanted
        if self._on_disk <= self._disk_limit:
            return
        kept = sorted(((p.stat().st_mtime, p.stat().st_size, p) for p in self._folder.glob("*.index")), reverse=True)
        self._on_disk = wanted
        for _, size, path in kept:
            if self._on_disk + size > self._disk_limit * 3 // 4:
                path.unlink(missing_ok=True)
            else:
                self._on_disk += size


def _finish(draft: Draft, filled: int) -> Rendered:
    compressed = _gzip(draft.body) if draft.compress and len(draft.body) > 512 else None
    return Rendered(draft.body, compressed, _digest(draft.body), draft.incomplete, filled)


def _gzip(body: bytes) -> bytes:
    packer = zlib_ng.compressobj(5, wbits=zlib_ng.MAX_WBITS | 16)  # 16: with gzip's header, without a time
    return packer.compress(body) + packer.flush()


def _digest(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()[:32]


def _counts(rendered: Rendered, filled: int) -> bool:
    return rendered.incomplete == 0 or rendered.filled >= filled
