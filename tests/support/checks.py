"""What has to hold after every fault: nothing lost, nothing wrong in the store, nothing left lying about."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from pathlib import Path

from sqlalchemy import select

from entrepot.app import App
from entrepot.core.model import SourceType
from entrepot.db import schema
from entrepot.storage import Key
from tests.support.server import Live

Answers = dict[str, tuple[int, object]]
_INDEXES = ("PACKAGES", "PACKAGES.gz", "PACKAGES.rds", "Meta/archive.rds", "Meta/current.rds")
_ENTRY = re.compile(rb"^Package: (.+)\nVersion: (.+)$", re.MULTILINE)


def answers(live: Live, snapshots: Iterable[str], files: Iterable[str] = ()) -> Answers:
    """Path -> (status, bytes) of every index of repository `cran` at each of `snapshots`, and of `files` at latest.

    Of an index that tells that it is incomplete no more than what it lists: it may gain facts, and nothing else.
    """
    found: Answers = {}
    for snapshot in snapshots:
        base = f"/cran/{snapshot}/src/contrib"
        is_complete = "X-Entrepot-Incomplete" not in live.get(f"{base}/PACKAGES").headers
        for name in _INDEXES if is_complete else ("PACKAGES",):
            answer = live.get(f"{base}/{name}")
            body: object = answer.data if is_complete else _ENTRY.findall(answer.data)
            found[f"{base}/{name}"] = answer.status, body
    for name in files:
        answer = live.get(f"/cran/latest/src/contrib/{name}")
        found[name] = answer.status, answer.data
    return found


def check_store(app: App) -> None:
    """Every blob is what its name says, every file that a row calls stored is there, and nothing half-written is."""
    check_blobs(app)
    assert stray_files(app) == []


def check_blobs(app: App) -> None:
    """The same, but for what a process that was killed has left."""
    blobs = list(app.storage.list_keys("blobs"))
    for key in blobs:
        digest = hashlib.sha256()
        for chunk in app.storage.stream(key):
            digest.update(chunk)
        assert digest.hexdigest() == Path(key.path).name
    # Of an index that is read by the project the hashes are known before the files are.
    ours = select(schema.sources.c.id).where(schema.sources.c.type != SourceType.PYPI.value)
    with app.db.read() as connection:
        named = set(
            connection.execute(select(schema.files.c.sha256).where(schema.files.c.source_id.in_(ours))).scalars()
        )
        named |= set(connection.execute(select(schema.metadata_files.c.sha256)).scalars())
    named -= {None, ""}
    assert {Key.blob(sha256) for sha256 in named} <= set(blobs)


def stray_files(app: App) -> list[Path]:
    """What is in the folders of unfinished files, or has the name of one, after all has come to its end."""
    data_dir = app.settings.server.data_dir
    left = [path for path in (data_dir / "tmp").rglob("*") if path.is_file()]
    left += (data_dir / "cache").rglob("*.tmp")
    if folder := app.storage.local_path(Key("blobs")):
        left += folder.rglob("*#*")
    return left
