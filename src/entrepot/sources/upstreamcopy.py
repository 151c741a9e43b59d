"""The documents of a mirror's last successful sync, kept on disk so that the next one can look at what changed.

A cache: files are named by their SHA-256 and count only if they still have it, and only those count which the database
names as the documents of the state that it holds. Whatever is missing is asked for, or read whole, again.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from entrepot import __version__
from entrepot.core.model import PackageName
from entrepot.ecosystems.r.frames import Frames
from entrepot.ecosystems.r.upstream import Outline


@dataclass(frozen=True, slots=True)
class Summary:
    """What a sync learnt of its documents that the next one needs: where what is in them, and the packages that it
    has to look at in any case."""

    outline: Outline
    unsettled: frozenset[PackageName]


class UpstreamCopy:
    """The folder of one mirror. One that can't be written costs time, not syncs."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def get(self, sha256: str | None) -> bytes | None:
        """The document with this hash, None if it is not there whole."""
        if sha256 is None:
            return None
        with suppress(OSError):
            body = (self._folder / sha256).read_bytes()
            if digest(body) == sha256:
                return body
        return None

    def put(self, body: bytes) -> str:
        """Keep a document under its hash, which is returned in any case."""
        sha256 = digest(body)
        if self.get(sha256) is not None:
            return sha256
        with suppress(OSError):
            self._folder.mkdir(parents=True, exist_ok=True)
            descriptor, name = tempfile.mkstemp(dir=self._folder, suffix=".tmp")
            try:
                with os.fdopen(descriptor, "wb") as file:
                    file.write(body)
                Path(name).replace(self._folder / sha256)
            except OSError:
                Path(name).unlink(missing_ok=True)
                raise
        return sha256

    def keep_only(self, hashes: Iterable[str | None]) -> None:
        """Remove everything else: documents of before, and what a killed process left."""
        wanted = set(hashes)
        with suppress(OSError):
            for path in self._folder.iterdir():
                if path.name not in wanted:
                    path.unlink(missing_ok=True)


def digest(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


def pack(summary: Summary) -> bytes:
    """A summary as a document; equal ones are equal bytes."""
    frames = summary.outline.frames._asdict()
    whole = {
        "version": __version__,  # another version of the program may read the same documents otherwise
        "fields": sorted(summary.outline.fields),
        "frames": frames,
        "unsettled": sorted(summary.unsettled),
    }
    return json.dumps(whole, separators=(",", ":")).encode()


def unpack(body: bytes | None) -> Summary | None:
    """What `pack` wrote, None if another version of the program did."""
    if body is None:
        return None
    whole = json.loads(body)
    if whole["version"] != __version__:
        return None
    frames = Frames(**{**whole["frames"], "symbols": tuple(whole["frames"]["symbols"])})
    return Summary(Outline(frozenset(whole["fields"]), frames), frozenset(map(PackageName, whole["unsettled"])))
