"""Content-addressed files on a local folder, S3, GCS or Azure.

An object is whole or absent, whatever dies and whenever: locally obstore writes `<name>#<n>` beside the target and
renames it, elsewhere the service shows an object when its upload is complete. A killed process leaves such a `#<n>`
file, which no call of this module shows and `Storage.sweep` removes. On S3 it leaves an unfinished multipart upload,
which costs space until a lifecycle rule of the bucket ends it.

All calls are synchronous and thread-safe: obstore's asynchronous ones abort at interpreter exit now and then (0.12.1).
"""

from __future__ import annotations

import errno
import os
import re
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

import obstore
from obstore.exceptions import BaseError
from obstore.store import LocalStore, from_url

from entrepot.core.errors import InvalidSettings, NotFound, StorageFailed
from entrepot.core.model import Sha256
from entrepot.core.room import is_no_room, out_of_space
from entrepot.core.urls import shown

if TYPE_CHECKING:
    from obstore.store import ClientConfig, ObjectStore

_PART = 8 * 2**20
"""Bytes of one part of an upload."""
_PARTS_AT_ONCE = 4
_STALE_AFTER = 24 * 3600.0
"""Seconds after which an unfinished local file can't belong to a running `put_file`."""
_HEX = re.compile(r"[0-9a-f]{16,128}")
_UNFINISHED = re.compile(r".+#\d+")
_NO_ROOM = re.compile(rf"\(os error ({errno.ENOSPC}|{errno.EDQUOT})\)")
"""What is left of the system's error in those of obstore."""
_EXAMPLES = "use file:///absolute/folder or s3://bucket/prefix"


@dataclass(frozen=True, slots=True, order=True)
class Key:
    """Where an object is, relative to the store's root; the one place that makes such paths."""

    path: str

    @classmethod
    def blob(cls, sha256: Sha256) -> Key:
        """The file with that SHA-256, shared by all sources.

        Raises:
            ValueError: not a SHA-256.
        """
        if len(sha256) != 64:
            raise ValueError(f"not a SHA-256: {sha256!r}")
        return cls._spread("blobs", sha256)

    @classmethod
    def index(cls, digest: str) -> Key:
        """A rendered index; `digest` is 16 to 128 hexadecimal digits over all that it was made from.

        Raises:
            ValueError: not hexadecimal digits.
        """
        return cls._spread("indexes", digest)

    @classmethod
    def _spread(cls, folder: str, digest: str) -> Key:
        # Two levels of 256 keep a local folder of millions of files quick.
        if not _HEX.fullmatch(digest):
            raise ValueError(f"not a digest: {digest!r}")
        return cls(f"{folder}/{digest[:2]}/{digest[2:4]}/{digest}")


@dataclass(frozen=True, slots=True)
class Room:
    """Bytes of a disk: those that are left for us, and all of it."""

    free: int
    total: int


class Storage:
    """One place for objects; made by `Storage.open`."""

    def __init__(self, store: ObjectStore, *, kind: str, folder: Path | None) -> None:
        self._store = store
        self._folder = folder
        self.kind = kind
        """The scheme of its URL."""

    @classmethod
    def open(cls, url: str) -> Storage:
        """The store at `file:///absolute/folder` (made if missing), `s3://bucket/prefix`, `gs://...` or `az://...`.

        Credentials, region and endpoint come from the services' usual environment variables (`AWS_*`, ...).

        Raises:
            InvalidSettings: the URL is wrong, or the place can't be used.
        """
        scheme = urlsplit(url).scheme
        if scheme == "file":
            folder = _folder_of(url)
            return cls(LocalStore(folder), kind=scheme, folder=folder)
        if scheme in {"", "http", "https", "memory"}:
            raise InvalidSettings(f"{shown(url)!r} is no place for files", hint=_EXAMPLES)
        try:
            store = from_url(url, client_options=_client_options())
            # Without this a missing bucket would look like a store without files.
            next(iter(obstore.list(store, chunk_size=1)), None)
        except (BaseError, OSError, ValueError) as error:
            raise InvalidSettings(
                f"the store {shown(url)} can't be used: {_one_line(error)}",
                hint=f"check the bucket's name, AWS_ENDPOINT_URL, the credentials and their rights; {_EXAMPLES}",
            ) from error
        return cls(store, kind=scheme, folder=None)

    def put_file(self, key: Key, path: Path) -> None:
        """Keep a copy of the file at `path`; in bounded memory, and on the disk itself when this returns.

        Raises:
            OutOfSpace, StorageFailed: it could not be kept; nothing is visible under `key` then, or what was there
                before.
        """
        with _translated(f"{key.path} could not be stored"):
            obstore.put(self._store, key.path, path, chunk_size=_PART, max_concurrency=_PARTS_AT_ONCE)
            self._flush(key)

    def put_bytes(self, key: Key, data: bytes) -> None:
        """Keep `data`; otherwise as `put_file`."""
        with _translated(f"{key.path} could not be stored"):
            obstore.put(self._store, key.path, data, chunk_size=_PART, max_concurrency=_PARTS_AT_ONCE)
            self._flush(key)

    def get_bytes(self, key: Key) -> bytes | None:
        """The whole object; None if there is none."""
        with _translated(f"{key.path} could not be read"):
            try:
                return bytes(obstore.get(self._store, key.path).bytes())
            except FileNotFoundError:
                return None

    def size(self, key: Key) -> int | None:
        """Bytes of the object; None if there is none."""
        with _translated(f"{key.path} could not be read"):
            try:
                return obstore.head(self._store, key.path)["size"]
            except FileNotFoundError:
                return None

    def stream(self, key: Key, *, start: int = 0, end: int | None = None, chunk: int = 256 * 1024) -> Iterator[bytes]:
        """The bytes [start, end) of the object in pieces of about `chunk`; fewer where the object ends before `end`.

        Raises:
            NotFound: there is no such object; raised by the call itself.
            StorageFailed: raised by the call or while iterating.
        """
        size = self.size(key)
        if size is None:
            raise NotFound(f"the store has no {key.path}", key=key.path)
        stop = size if end is None else min(end, size)
        if start >= stop:
            return iter(())
        with _translated(f"{key.path} could not be read"):
            try:
                found = obstore.get(self._store, key.path, options={"range": (start, stop)})
            except FileNotFoundError:
                raise NotFound(f"the store has no {key.path}", key=key.path) from None
            return _pieces(found.stream(min_chunk_size=chunk), key)

    def delete(self, key: Key) -> None:
        """Remove the object; nothing happens if there is none."""
        with _translated(f"{key.path} could not be removed"):
            try:
                obstore.delete(self._store, key.path)
            except FileNotFoundError:
                return

    def local_path(self, key: Key) -> Path | None:
        """Where the file would be in a local folder, whether it is there or not; None for any other store."""
        return self._folder / key.path if self._folder else None

    def list_keys(self, prefix: str = "") -> Iterator[Key]:
        """All keys below the folder `prefix` ("blobs", "indexes", ...), in no order."""
        with _translated(f"{prefix or 'the store'} could not be listed"):
            for page in obstore.list(self._store, prefix or None, chunk_size=1000):
                yield from (Key(found["path"]) for found in page)

    def amounts(self) -> Iterator[tuple[int, int]]:
        """(number, bytes) of all files that are kept, in pieces to be added up: there may be a million."""
        with _translated("the store could not be listed"):
            for page in obstore.list(self._store, "blobs", chunk_size=1000):
                yield len(page), sum(found["size"] for found in page)

    def room(self) -> Room | None:
        """The room of the disk that a local folder is on; None for any other store, or if nobody knows."""
        return room_at(self._folder) if self._folder is not None else None

    def sweep(self, *, before: float | None = None) -> int:
        """Remove what killed processes left half-written; returns how many files.

        Args:
            before: what was written to last before this time (seconds of the epoch) has nobody who writes to it any
                more; by default a day ago, since other nodes may be at work.
        """
        if self._folder is None:
            return 0
        before = time.time() - _STALE_AFTER if before is None else before
        return sum(
            _remove_if_older(Path(folder) / name, before)
            for folder, _, names in os.walk(self._folder)
            for name in names
            if _UNFINISHED.fullmatch(name)
        )

    def _flush(self, key: Key) -> None:
        # obstore doesn't fsync. A row must not say "stored" about a file that a power cut would leave empty.
        path = self.local_path(key)
        if path is not None:
            for place in (path, path.parent):
                _fsync(place)


def room_at(folder: Path) -> Room | None:
    """The room of the disk that a folder is on; None if the system doesn't tell."""
    try:
        found = shutil.disk_usage(folder)
    except OSError:
        return None
    return Room(found.free, found.total)


def _folder_of(url: str) -> Path:
    parts = urlsplit(url)
    folder = Path(unquote(parts.path))
    if parts.netloc not in {"", "localhost"} or not parts.path.startswith("/") or parts.query or parts.fragment:
        raise InvalidSettings(f"{shown(url)!r} is not the URL of a local folder", hint=_EXAMPLES)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, "no permission to write there")
    except OSError as error:
        hint = "choose a folder that the server's user may write to"
        raise InvalidSettings(f"the folder {folder} can't be used: {error.strerror}", hint=hint) from error
    return folder


def _client_options() -> ClientConfig:
    # obstore's limit of 30 s is for a whole answer; a large file to a slow client takes longer than that.
    options: ClientConfig = {
        "connect_timeout": timedelta(seconds=10),
        "read_timeout": timedelta(seconds=30),
        "timeout": timedelta(hours=6),
    }
    if _is_plain_loopback(os.environ.get("AWS_ENDPOINT_URL", "")):
        options["allow_http"] = True
    return options


def _is_plain_loopback(url: str) -> bool:
    """Elsewhere plain HTTP needs AWS_ALLOW_HTTP=true, which obstore reads itself."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    try:
        return parts.scheme == "http" and (host == "localhost" or ip_address(host).is_loopback)
    except ValueError:
        return False


def _pieces(found: Iterator[bytes], key: Key) -> Iterator[bytes]:
    with _translated(f"{key.path} could not be read to its end"):
        for piece in found:
            yield bytes(piece)


@contextmanager
def _translated(what: str) -> Iterator[None]:
    try:
        yield
    except (BaseError, OSError) as error:
        reason = _one_line(error)
        if is_no_room(error) or _NO_ROOM.search(reason):
            raise out_of_space(what) from error
        raise StorageFailed(f"{what}: {reason}") from error


def _one_line(error: Exception) -> str:
    # obstore adds pages of "Debug source" to each message.
    return " ".join(str(error).partition("\n\nDebug source")[0].split())


def _fsync(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _remove_if_older(path: Path, before: float) -> bool:
    try:
        if path.stat().st_mtime >= before:
            return False
        path.unlink()
    except FileNotFoundError:
        return False
    return True
