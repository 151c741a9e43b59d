"""What files of an index need, read out of them where no metadata document is offered beside them."""

from __future__ import annotations

import asyncio
import tempfile
from contextlib import suppress

from entrepot.app import App
from entrepot.core.errors import HashMismatch, UpstreamInvalid, UpstreamLacksFile, UpstreamLacksParts
from entrepot.core.model import Listed, Sha256
from entrepot.db import files as db_files
from entrepot.db import projects as db_projects
from entrepot.ecosystems.python import sdistneeds, wheel
from entrepot.ecosystems.python.sdistneeds import Needs
from entrepot.operations.serving import stored_size
from entrepot.operations.view import fetch
from entrepot.sources import pypifiles
from entrepot.sources.projects import with_login
from entrepot.storage import Key


def metadata_of_wheel(app: App, listed: Listed) -> bytes:
    """METADATA of a wheel: from the store, else by a few ranges from upstream, else of the whole wheel. Nothing, which
    is no metadata, where it has none that can be read.

    Raises:
        UpstreamUnavailable, UpstreamLacksFile, HashMismatch
    """
    file = listed.file
    try:
        if stored_size(app, file) is None:
            with suppress(UpstreamLacksParts):
                return pypifiles.read_metadata(app.fetch, with_login(app, _origin(app, listed)), file_name=file.name)
        key = stored(app, listed)
        return wheel.metadata_from_wheel(
            lambda start, end: b"".join(app.storage.stream(key, start=start, end=end)),
            app.storage.size(key) or 0,
            file_name=file.name,
        )
    except (UpstreamLacksFile, HashMismatch):
        raise
    except UpstreamInvalid:
        return b""


def needs_of_sdist(app: App, listed: Listed, *, version: str) -> Needs:
    """What an sdist says that it needs; it is fetched whole. Raises as the download does."""
    key = stored(app, listed)
    with tempfile.TemporaryFile(dir=app.settings.server.data_dir / "tmp") as file:
        for piece in app.storage.stream(key):
            file.write(piece)
        size = file.tell()
        file.seek(0)
        return sdistneeds.read_needs(file, size, file_name=listed.file.name, name=listed.file.package, version=version)


def _origin(app: App, listed: Listed) -> str:
    with app.db.read() as connection:
        url = db_projects.origin(connection, listed.file.id)
    if url is None:
        raise UpstreamLacksFile(f"nobody knows where upstream has {listed.file.name}")
    return url


def stored(app: App, listed: Listed) -> Key:
    """Where the store has a file, after it was fetched if need be."""
    file = listed.file
    if stored_size(app, file) is None:
        asyncio.run(fetch(app, listed).result())
        with app.db.read() as connection:
            file = db_files.get(connection, file.id) or file
    return Key.blob(Sha256(file.sha256 or ""))
