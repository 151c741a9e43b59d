"""The list of all names of a source that is read by the project, and the projects that are known already."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO, TextIO

from sqlalchemy import Connection

from entrepot.app import App
from entrepot.core.changes import History
from entrepot.core.errors import EntrepotError, SyncRunning, UpstreamInvalid, UpstreamUnavailable
from entrepot.core.jobs import Report
from entrepot.core.model import PackageName, Source, TransactionId
from entrepot.core.snapshots import Cut
from entrepot.core.urls import shown
from entrepot.db import projects as db_projects
from entrepot.db import sources as db_sources
from entrepot.db import transactions as db_transactions
from entrepot.ecosystems.python import upstream
from entrepot.fetch import Fetched
from entrepot.sources import projects
from entrepot.sources.mirror import ACTOR, LOST_HALF, SMALL, Synced, check_is_first, record_success

LIST_LIMIT = 1024**3
VALIDATORS = "simple"
"""The list's validators in the mirror's row: [ETag, Last-Modified, None]."""
SPOOL = "names-"
"""Beginning of the names of folders that hold a list while it is compared."""
GIVE_UP_AFTER = 10
"""Projects in a row for which upstream doesn't answer, after which the rest is not tried."""


def refresh(app: App, source: Source, *, force: bool, history: History | None = None, report: Report) -> Synced:
    """Read the list of all names, and again the projects that are known and were not read for a while.

    The list is received into a file and compared name by name; it is never in memory more than once.

    Args:
        force: accept a list that lost more than half of its names.

    Raises:
        UpstreamUnavailable: upstream does not answer; worth trying again.
        UpstreamInvalid: upstream's list can't be used; nothing was changed.
        SyncRunning: another sync was faster.
    """
    if history is not None:
        check_is_first(source)
    began = max(app.clock(), source.synced_from or app.clock())
    with app.db.read() as connection:
        state = db_sources.mirror_state(connection, source.id)
        assert state is not None
        before = db_projects.names_state(connection, _now(connection, source))
    url = app.settings.pypi_upstream
    known = state.validators.get(VALIDATORS) if state.upstream == url else None
    report("asking upstream", 0, 0)
    with (
        tempfile.TemporaryDirectory(dir=app.settings.server.data_dir / "tmp", prefix=SPOOL) as folder,
        Path(folder, "list").open("w+b") as file,
        Path(folder, "added").open("w+", encoding="ascii") as added,
    ):
        fetched = _ask(app, url, known, file)
        if fetched.not_modified:
            ids: tuple[TransactionId, ...] = ()
            news = _News(added)
        else:
            report("reading the list", 0, 0)
            file.seek(0)
            news = _compare(app, source, before, _in_order(file, folder), _News(added))
            _check_size(news.total - news.added + len(news.removed), news.total, url, force=force)
            report("writing", 0, 0)
            ids = _write(app, source, before, news)
    validators = {VALIDATORS: [fetched.etag, fetched.last_modified, None]}
    with app.db.write(shows=False) as connection:
        record_success(connection, source, url=url, began=began, validators=validators)
    faults = _read_again(app, source, int(began.timestamp() - app.settings.pypi.refresh), report)
    return Synced(ids, added=news.added, removed=len(news.removed), faults=faults)


class _News:
    """What is new on a list: `total` names of which `added` are new, those themselves in a file; and who is gone."""

    def __init__(self, file: TextIO) -> None:
        self._file = file
        self.total = 0
        self.added = 0
        self.removed: list[PackageName] = []

    def add(self, name: PackageName) -> None:
        self.added += 1
        self._file.write(name + "\n")

    def names(self) -> Iterator[PackageName]:
        self._file.seek(0)
        return (PackageName(line[:-1]) for line in self._file)


def _now(connection: Connection, source: Source) -> Cut:
    return Cut(source.id, db_transactions.newest(connection))


def _ask(app: App, url: str, known: list[str | None] | None, file: BinaryIO) -> Fetched:
    """The list in `file`; a mirror in a folder has it in a file of its own."""
    etag, last_modified = (known[0], known[1]) if known else (None, None)
    for name in ("index.v1_json", "index.html") if url.startswith("file:") else ("",):
        found = app.fetch.get(
            f"{url}/{name}",
            etag=etag,
            last_modified=last_modified,
            limit=LIST_LIMIT,
            accept=projects.ACCEPT,
            into=file,
        )
        if found is not None:
            return found
    raise UpstreamInvalid(
        f"{shown(url)} has no list of projects",
        hint="[pypi] upstream is the URL of a Simple API, as https://pypi.example.org/simple",
    )


def _in_order(file: BinaryIO, folder: str) -> Iterator[PackageName]:
    """The names of a list, sorted, each once: in parts by their first letter, so that only one is in memory."""
    with ExitStack() as open_files:
        parts: dict[str, TextIO] = {}
        for name in upstream.read_names(file):
            if name[0] not in parts:
                path = Path(folder, f"part-{ord(name[0])}")
                parts[name[0]] = open_files.enter_context(path.open("w+", encoding="ascii"))
            parts[name[0]].write(name + "\n")
        for first in sorted(parts):
            parts[first].seek(0)
            yield from (PackageName(line[:-1]) for line in sorted(set(parts[first])))


def _compare(
    app: App, source: Source, before: tuple[TransactionId, int] | None, found: Iterable[PackageName], news: _News
) -> _News:
    """Go along the list that is known and the one that was found, both in order; what is new goes to `news`."""
    known = db_projects.all_names(app.db, source.id, before[0]) if before is not None else iter(())
    have = next(known, None)
    for name in found:
        news.total += 1
        while have is not None and have < name:
            news.removed.append(have)
            have = next(known, None)
        if have == name:
            have = next(known, None)
        else:
            news.add(name)
    if have is not None:
        news.removed += [have, *known]
    return news


def _check_size(had: int, has: int, url: str, *, force: bool) -> None:
    if not force and ((had and not has) or (had >= SMALL and has < had * LOST_HALF)):
        raise UpstreamInvalid(
            f"the list of {shown(url)} has {has} names instead of {had}; nothing was changed",
            hint="if that is right, `entrepot sync --force` accepts it",
            had=had,
            has=has,
        )


def _write(
    app: App, source: Source, before: tuple[TransactionId, int] | None, news: _News
) -> tuple[TransactionId, ...]:
    if before is not None and not news.added and not news.removed:
        return ()
    with app.db.write() as connection:
        if db_projects.names_state(connection, _now(connection, source)) != before:
            raise SyncRunning(f"source {source.name!r} was changed by another sync meanwhile; nothing was changed")
        now = app.clock()
        day = db_transactions.day_for_source(connection, source.id, now.date())
        message = f"read the list of projects: {news.total} names, {news.added} new, {len(news.removed)} gone"
        at = db_transactions.add(connection, time=now, day=day, actor=ACTOR, message=message, source_id=source.id)
        db_projects.change_names(
            connection, source.id, added=news.names(), removed=news.removed, total=news.total, at=at
        )
        return (at,)


def _read_again(app: App, source: Source, before: int, report: Report) -> tuple[str, ...]:
    """Read the known projects whose newest reading is older than `before`: so that even of those which nobody asked
    for in a long time what is known is not older than a schedule's gap. What could not be read, in words."""
    with app.db.read() as connection:
        todo = [package for package, checked in db_projects.read_ones(connection, source.id) if checked < before]
    faults: list[str] = []
    silent = 0
    for number, package in enumerate(todo):
        report("reading known projects", number, len(todo))
        try:
            asyncio.run(projects.read(app, source, package).result())
            silent = 0
        except UpstreamUnavailable as error:
            faults.append(f"{package}: {error.message}")
            silent += 1
            if silent >= GIVE_UP_AFTER:
                faults.append(f"upstream does not answer; {len(todo) - number - 1} more projects were not read")
                break
        except EntrepotError as error:
            faults.append(f"{package}: {error.message}")
    return tuple(faults)
