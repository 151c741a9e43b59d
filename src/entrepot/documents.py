"""Rendered indexes: made once for a cut, kept in memory within a bound and on disk, and always possible to remake.

A document is found by what it shows (the cuts of its view and its own key), so `latest` and the date that equals it
share bytes. One that lacks facts nobody knew yet (`incomplete`) counts only as long as nothing more was learnt.

Each has its compressed twins from the start, one for each of `ENCODINGS`. One that is too large for the memory is made
in pieces and stays on the disk.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
import threading
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Protocol

import zstandard
from zlib_ng import zlib_ng

from entrepot.core.errors import StorageFailed
from entrepot.core.room import needs_room

_FORMAT = 2
MAKERS = 2
"""Documents made at once: more would need more memory, and under one interpreter's lock no less time."""
ENCODINGS = ("zstd", "gzip")
"""Content codings (RFC 9110, 8.4.1; RFC 8878) of the twins, the one that costs a client less first."""
LARGE = 1024 * 1024
"""Bytes from which on a document that is made in pieces stays on the disk."""
_WORTH = 512
"""Bytes from which on a document has twins."""
_DIGITS = 32
"""Of a digest's hexadecimal ones."""


@dataclass(frozen=True, slots=True)
class Rendered:
    """The bytes of an index, and of its twins by their encoding where these are worth it; `digest` is of the bytes.

    `incomplete` is the number of entries with facts still unknown; `filled` says how much was known when it was made.
    """

    body: bytes
    twins: Mapping[str, bytes]
    digest: str
    incomplete: int = 0
    filled: int = 0

    def form(self, encoding: str) -> bytes:
        """The bytes in an encoding; "" names the plain ones."""
        return self.twins[encoding] if encoding else self.body

    @property
    def encodings(self) -> Collection[str]:
        """Of the twins."""
        return self.twins.keys()

    @property
    def weight(self) -> int:
        return len(self.body) + sum(map(len, self.twins.values()))


@dataclass(frozen=True, slots=True)
class OnDisk:
    """An index on the disk: a file for each encoding and its size in bytes, "" for the plain bytes; `digest` is theirs.

    The files may be deleted at any time, as everything in the cache.
    """

    forms: Mapping[str, tuple[Path, int]]
    digest: str

    @property
    def encodings(self) -> Collection[str]:
        """Of the twins."""
        return self.forms.keys() - {""}


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
        self, folder: Path, *, version: str, memory_limit: int = 96 * 1024**2, disk_limit: int = 4 * 1024**3
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
        self._compared: set[str] = set()
        folder.mkdir(parents=True, exist_ok=True)
        for left in folder.glob("*.tmp"):  # of a process that was killed
            left.unlink(missing_ok=True)
        self._used = sum(size for _, size, _ in self._on_disk())

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

    def get_large(self, key: str, make: Callable[[], Iterable[bytes]]) -> Rendered | OnDisk:
        """The document of `key` whose pieces `make` gives, as `get`; in bounded memory. On the disk if it is large.

        Raises:
            OutOfSpace, StorageFailed: it is large, and the disk doesn't take it.
        """
        found = self._remembered(key, 0) or self._find(key)
        if found is not None:
            return found
        with self._one_maker(key):
            found = self._remembered(key, 0) or self._find(key) or self._read(key, 0)
            if found is None:
                with self._makers:
                    found = self._make_in_pieces(key, make())
                if isinstance(found, Rendered):
                    self._write(key, found)
            if isinstance(found, Rendered):
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

    def _path(self, key: str, kind: str = "index") -> Path:
        """Where a document is (`index`); of a large one what tells of its files (`large`), and these (`large-gzip`)."""
        return self._folder / (hashlib.sha256(f"{_FORMAT}:{self._version}:{key}".encode()).hexdigest() + "." + kind)

    def _read(self, key: str, filled: int) -> Rendered | None:
        try:
            with self._path(key).open("rb") as file:
                head = json.loads(file.readline())
                body = file.read(head["size"])
                twins = {encoding: file.read(size) for encoding, size in head["twins"].items()}
        except (OSError, ValueError, KeyError):
            return None
        rendered = Rendered(body, twins, _digest(body), head["incomplete"], head["filled"])
        whole = rendered.digest == head["digest"] and {k: len(v) for k, v in twins.items()} == head["twins"]
        return rendered if whole and _counts(rendered, filled) else None

    def _write(self, key: str, rendered: Rendered) -> None:
        head = {
            "size": len(rendered.body),
            "twins": {encoding: len(twin) for encoding, twin in rendered.twins.items()},
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
                    file.writelines([json.dumps(head).encode(), b"\n", rendered.body, *rendered.twins.values()])
                Path(name).replace(self._path(key))
            except OSError:
                Path(name).unlink(missing_ok=True)
                self._used -= rendered.weight
                raise

    def _find(self, key: str) -> OnDisk | None:
        """A large document that is whole on the disk. Its bytes are compared once in this process's life."""
        try:
            told = json.loads(self._path(key, "large").read_bytes())
            forms = {form: (self._path(key, f"large-{form or 'plain'}"), size) for form, size in told["sizes"].items()}
            if any(path.stat().st_size != size for path, size in forms.values()):
                return None
            if key not in self._compared:
                with forms[""][0].open("rb") as file:
                    if hashlib.file_digest(file, "sha256").hexdigest()[:_DIGITS] != told["digest"]:
                        return None
                self._compared.add(key)
        except (OSError, ValueError, KeyError):
            return None
        return OnDisk(forms, told["digest"])

    def _make_in_pieces(self, key: str, pieces: Iterable[bytes]) -> Rendered | OnDisk:
        rest = iter(pieces)
        begin: list[bytes] = []
        size = 0
        for piece in rest:
            begin.append(piece)
            size += len(piece)
            if size >= LARGE:
                break
        else:
            return _finish(Draft(b"".join(begin), compress=True, incomplete=0), 0)
        try:
            with needs_room("a large index could not be made"):
                return self._write_large(key, chain(begin, rest))
        except OSError as error:
            raise StorageFailed(f"a large index could not be kept on disk: {error.strerror}") from error

    def _write_large(self, key: str, pieces: Iterable[bytes]) -> OnDisk:
        """The last file to get its name is the one that tells of the others."""
        self._folder.mkdir(parents=True, exist_ok=True)
        forms = ("", *ENCODINGS)
        with ExitStack() as stack:
            names = {form: self._temporary(stack) for form in (*forms, "head")}
            digest = _pack(pieces, {form: names[form] for form in forms})
            sizes = {form: names[form].stat().st_size for form in forms}
            names["head"].write_text(json.dumps({"sizes": sizes, "digest": digest}))
            self._make_room(sum(sizes.values()))
            for form in forms:
                names[form].replace(self._path(key, f"large-{form or 'plain'}"))
            names["head"].replace(self._path(key, "large"))
        self._compared.add(key)
        return OnDisk(
            {form: (self._path(key, f"large-{form or 'plain'}"), size) for form, size in sizes.items()}, digest
        )

    def _temporary(self, stack: ExitStack) -> Path:
        descriptor, name = tempfile.mkstemp(dir=self._folder, suffix=".tmp")
        os.close(descriptor)
        stack.callback(Path(name).unlink, missing_ok=True)
        return Path(name)

    def _on_disk(self) -> list[tuple[float, int, list[Path]]]:
        """(time, bytes, files) of each document; of a large one the file that tells of the others comes first."""
        documents: dict[str, list[Path]] = {}
        for path in self._folder.iterdir():
            if path.suffix != ".tmp":
                documents.setdefault(path.stem, []).append(path)
        found = []
        for files in documents.values():
            with suppress(FileNotFoundError):
                told = [path.stat() for path in files]
                found.append((max(it.st_mtime for it in told), sum(it.st_size for it in told), sorted(files)))
        return found

    def _make_room(self, wanted: int) -> None:
        self._used += wanted
        if self._used <= self._disk_limit:
            return
        self._used = wanted
        for _, size, files in sorted(self._on_disk(), reverse=True):
            if self._used + size > self._disk_limit * 3 // 4:
                for path in files:
                    path.unlink(missing_ok=True)
            else:
                self._used += size


class _Packer(Protocol):
    def compress(self, data: bytes, /) -> bytes: ...

    def flush(self) -> bytes: ...


def _packer(encoding: str, size: int = -1) -> _Packer:
    """What packs `size` bytes, -1 for unknown.

    Levels by measure: of pages full of hashes zstd's first makes less in a quarter of gzip's time, and no higher one of
    either makes much less.
    """
    if encoding == "zstd":
        return zstandard.ZstdCompressor(level=1).compressobj(size=size)
    return zlib_ng.compressobj(5, wbits=zlib_ng.MAX_WBITS | 16)  # 16: with gzip's header, without a time


def _pack(pieces: Iterable[bytes], paths: Mapping[str, Path]) -> str:
    """Write all pieces into files, one for each encoding; the digest of the plain bytes."""
    digest = hashlib.sha256()
    with ExitStack() as stack:
        files = {encoding: stack.enter_context(path.open("wb")) for encoding, path in paths.items()}
        plain = files.pop("")
        packers = [(_packer(encoding), file) for encoding, file in files.items()]
        for piece in pieces:
            digest.update(piece)
            plain.write(piece)
            for packer, file in packers:
                file.write(packer.compress(piece))
        for packer, file in packers:
            file.write(packer.flush())
    return digest.hexdigest()[:_DIGITS]


def _finish(draft: Draft, filled: int) -> Rendered:
    twins = {}
    if draft.compress and len(draft.body) > _WORTH:
        for encoding in ENCODINGS:
            packer = _packer(encoding, len(draft.body))
            twins[encoding] = packer.compress(draft.body) + packer.flush()
    return Rendered(draft.body, twins, _digest(draft.body), draft.incomplete, filled)


def _digest(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()[:_DIGITS]


def _counts(rendered: Rendered, filled: int) -> bool:
    return rendered.incomplete == 0 or rendered.filled >= filled
