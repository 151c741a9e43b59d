"""The files of an index of Python packages, and the metadata documents beside them."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import zipfile
import zlib

from entrepot.app import App
from entrepot.core.errors import HashMismatch, UpstreamInvalid, UpstreamLacksFile
from entrepot.core.model import File, FileStatus, Listed, Sha256
from entrepot.core.urls import shown
from entrepot.db import files as db_files
from entrepot.db import projects as db_projects
from entrepot.db import transactions as db_transactions
from entrepot.ecosystems.python import entry, wheel
from entrepot.fetch import Fetch
from entrepot.flights import Flight, Sink
from entrepot.sources.downloads import FILE_LIMIT, copy_stored
from entrepot.sources.projects import topic, with_login
from entrepot.sources.readers import Before
from entrepot.storage import Key

SUFFIX = ".metadata"
METADATA_LIMIT = 16 * 1024**2


def fetch_file(app: App, listed: Listed) -> Flight[File]:
    """The one download of a listed file, or of the metadata document of one; it ends with that in the store."""
    file = listed.file

    def start(sink: Sink) -> File:
        if file.sha256 and app.storage.size(Key.blob(file.sha256)) is not None:
            # The flight before this one ended a moment ago, or another node's did.
            copy_stored(app, file.sha256, sink)
            return file
        with app.db.read() as connection:
            url = db_projects.origin(connection, file.id)
        if url is None:
            raise UpstreamLacksFile(f"nobody knows where upstream has {file.name}")
        if file.name.endswith(SUFFIX):
            _fetch_metadata(app, file, with_login(app, url), sink)
        else:
            _download(app, file, with_login(app, url), sink)
        return file

    return app.flights.join(f"file:{file.id}:{file.name}", start)


def read_metadata(fetch: Fetch, url: str, *, file_name: str, before: Before | None = None) -> bytes:
    """The metadata document of a wheel, by the few ranges of it that lead there; `before` is called before each.

    Raises:
        UpstreamLacksFile: upstream has no such wheel.
        UpstreamLacksParts: upstream gives no parts of files.
        UpstreamInvalid: it is no wheel.
        UpstreamUnavailable
    """
    if before is not None:
        before()
    end = fetch.part(url, -TAIL, None)
    start = end.size - len(end.body)

    def read(begin: int, stop: int) -> bytes:
        if begin >= start:
            return end.body[begin - start : stop - start]
        if before is not None:
            before()
        return fetch.part(url, begin, stop).body

    return wheel.metadata_from_wheel(read, end.size, file_name=file_name)


TAIL = 64 * 1024
"""Bytes at the end of a wheel that are asked for first: its directory, and often its metadata, which lies before it."""


def _fetch_metadata(app: App, file: File, url: str, sink: Sink) -> None:
    """The document as upstream announced it; if it doesn't have it after all, out of the wheel itself."""
    body = _announced(app, file, url)
    if body is None:
        body = _out_of_wheel(app, file, url)
    if hashlib.sha256(body).hexdigest() != file.sha256:
        raise HashMismatch(f"the metadata of {file.name.removesuffix(SUFFIX)} has another SHA-256 than upstream says")
    sink.expect(len(body))
    sink.write(body)
    sink.verified()
    app.storage.put_file(Key.blob(Sha256(file.sha256)), sink.path)


def _announced(app: App, file: File, url: str) -> bytes | None:
    try:
        found = app.fetch.get(url + SUFFIX, limit=METADATA_LIMIT)
    except UpstreamInvalid:
        return None
    if found is None or found.body is None or hashlib.sha256(found.body).hexdigest() != file.sha256:
        return None
    return found.body


def _out_of_wheel(app: App, file: File, url: str) -> bytes:
    name = file.name.removesuffix(SUFFIX)
    try:
        return read_metadata(app.fetch, url, file_name=name)
    except UpstreamInvalid:
        with app.db.read() as connection:
            whole = db_files.get(connection, file.id)
        if whole is None or not name.endswith(".whl"):
            raise
    # An upstream that gives no parts of files: all of it then, for which somebody will ask anyway.
    asyncio.run(fetch_file(app, Listed(whole, FileStatus.CURRENT)).result())
    with app.db.read() as connection:
        stored = db_files.get(connection, file.id)
    assert stored is not None
    assert stored.sha256 is not None
    key, size = Key.blob(stored.sha256), app.storage.size(Key.blob(stored.sha256))
    assert size is not None
    return wheel.metadata_from_wheel(
        lambda start, end: b"".join(app.storage.stream(key, start=start, end=end)), size, file_name=name
    )


def _download(app: App, file: File, url: str, sink: Sink) -> None:
    got = app.fetch.download(
        url, sink, limit=FILE_LIMIT, size=file.size, md5=file.md5, sha256=file.sha256, began=sink.expect
    )
    if file.md5 is None and file.sha256 is None:
        _check_is_whole(file, url, sink)
    sink.verified()
    sha256 = Sha256(got.sha256)
    app.storage.put_file(Key.blob(sha256), sink.path)
    _learn(app, file, sink, sha256)


def _check_is_whole(file: File, url: str, sink: Sink) -> None:
    """Where no hash is known, at least a whole archive."""
    try:
        if file.name.endswith((".whl", ".zip", ".egg")):
            with zipfile.ZipFile(sink.path) as archive:
                damaged = archive.testzip()
            if damaged is not None:
                raise zipfile.BadZipFile(f"{damaged} is damaged")
        elif file.name.endswith((".gz", ".tgz")):
            with gzip.open(sink.path) as stream:
                while stream.read(1024 * 1024):
                    pass
    except (zipfile.BadZipFile, zlib.error, OSError, EOFError, NotImplementedError, RuntimeError) as error:
        raise UpstreamInvalid(f"what {shown(url)} sent as {file.name} is no whole archive: {error}") from error


def _learn(app: App, file: File, sink: Sink, sha256: Sha256) -> None:
    """Keep the hash, if upstream gave none, and the metadata of a wheel, if upstream offers none."""
    document = _metadata_of(file, sink) if entry.unpack(file.fields).core_metadata is None else None
    if file.sha256 is not None and document is None:
        return
    if document is not None:
        found = Sha256(hashlib.sha256(document).hexdigest())
        app.storage.put_bytes(Key.blob(found), document)
    with app.db.write(topics=[topic(file.source_id, file.package)]) as connection:
        since = db_transactions.newest(connection) + 1
        if file.sha256 is None:
            db_files.learn(connection, file.id, sha256=sha256, sha256_since=since)
        if document is not None:
            db_projects.add_metadata(connection, {file.id: found}, since=since)


def _metadata_of(file: File, sink: Sink) -> bytes | None:
    if not file.name.endswith(".whl"):
        return None
    size = sink.path.stat().st_size
    with sink.path.open("rb") as stream:

        def read(start: int, end: int) -> bytes:
            stream.seek(start)
            return stream.read(end - start)

        try:
            return wheel.metadata_from_wheel(read, size, file_name=file.name)
        except UpstreamInvalid:
            return None  # upstream's bytes are served as they are
