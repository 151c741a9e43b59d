"""Files of listed packages, fetched if need be, put into a folder that a build may read."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path

from entrepot.app import App
from entrepot.core.errors import BuildFailed
from entrepot.core.jobs import Log
from entrepot.core.model import File, Listed, Sha256
from entrepot.db import files as db_files
from entrepot.flights import Flight
from entrepot.operations.serving import stored_size
from entrepot.operations.view import fetch
from entrepot.sandbox.task import Check
from entrepot.storage import Key

_LOOK_EVERY = 0.5
"""Seconds between two looks at whether the build shall end, while a download lasts."""


@dataclass(slots=True)
class Gathering:
    """A folder for files of packages; all of them together may have [git] build_disk bytes.

    Attributes:
        what: who they are, for the message where they are too large.
        size: bytes of those that were put there.
    """

    app: App
    folder: Path
    what: str
    log: Log
    check: Check
    size: int = 0

    def put(self, listed: Listed, name: str) -> Path:
        """Write a listed file into the folder.

        Raises:
            BuildFailed: the files are too large together.
            UpstreamInvalid, UpstreamUnavailable: it can't be had.
            Cancelled: by `check`.
        """
        return self.put_stored(self.stored(listed), name)

    def put_stored(self, key: Key, name: str) -> Path:
        """As `put`, of a file in the store."""
        limit = self.app.settings.git.build_disk
        path = self.folder / name
        with path.open("wb") as file:
            for piece in self.app.storage.stream(key):
                self.size += len(piece)
                if self.size > limit:
                    raise BuildFailed(f"{self.what} are larger than [git] build_disk, {limit}")
                file.write(piece)
        path.chmod(0o644)  # what builds run as is somebody else
        return path

    def stored(self, listed: Listed) -> Key:
        """Where the store has a file, after it was fetched if need be."""
        file: File = listed.file
        self.check()
        if stored_size(self.app, file) is None:
            self.log(f"fetching {file.name}")
            asyncio.run(_landed(fetch(self.app, listed), self.check))
            with self.app.db.read() as connection:
                file = db_files.get(connection, file.id) or file
        return Key.blob(Sha256(file.sha256 or ""))


async def _landed(flight: Flight[File], check: Check) -> None:
    """Wait for a download, as long as nobody ends the build; others may still want it then."""
    landing = asyncio.ensure_future(flight.result())
    while not landing.done():
        check()
        await asyncio.wait({landing}, timeout=_LOOK_EVERY)
    await landing
