"""The list of all names of a source that is read by the project, and the projects that are known already."""

from __future__ import annotations

import asyncio
import tempfile
from typing import BinaryIO, cast

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
    with tempfile.TemporaryFile(dir=app.settings.server.data_dir / "tmp") as spool:
        file = cast(BinaryIO, spool)
        fetched = _ask(app, url, known, file)
        if fetched.not_modified:
            ids: tuple[TransactionId, ...] = ()
            added: list[PackageName] = []
            removed: list[PackageName] = []
        else:
            report("reading the list", 0, 0)
            file.seek(0)
            total, added, removed = _compare(app, source, before, file)
            _check_size(total - len(added) + len(removed), total, url, force=force)
            report("writing", 0, 0)
            ids = _write(app, source, before, added, removed, total)
    validators = {VALIDATORS: [fetched.etag, fetched.last_modified, None]}
    with app.db.write(shows=False) as connection:
        record_success(connection, source, url=url, began=began, validators=validators)
    faults = _read_again(app, source, int(began.timestamp() - app.settings.pypi.refresh), report)
    return Synced(ids, added=len(added), removed=len(removed), faults=faults)


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


def _compare(
    app: App, source: Source, before: tuple[TransactionId, int] | None, file: BinaryIO
) -> tuple[int, list[PackageName], list[PackageName]]:
    """(how many names there are, new ones, those that are gone), by going along both lists in their order."""
    found = sorted(set(upstream.read_names(file)))
    known = db_projects.all_names(app.db, source.id, before[0]) if before is not None else iter(())
    added: list[PackageName] = []
    removed: list[PackageName] = []
    have = next(known, None)
    for name in found:
        while have is not None and have < name:
            removed.append(have)
            have = next(known, None)
        if have == name:
            have = next(known, None)
        else:
            added.append(name)
    if have is not None:
        removed += [have, *known]
    return len(found), added, removed


def _check_size(had: int, has: int, url: str, *, force: bool) -> None:
    if not force and had >= SMALL and has < had * LOST_HALF:
        raise UpstreamInvalid(
            f"the list of {shown(url)} has {has} names instead of {had}; nothing was changed",
            hint="if that is right, `entrepot sync --force` accepts it",
            had=had,
            has=has,
        )


def _write(
    app: App,
    source: Source,
    before: tuple[TransactionId, int] | None,
    added: list[PackageName],
    removed: list[PackageName],
    total: int,
) -> tuple[TransactionId, ...]:
    if before is not None and not added and not removed:
        return ()
    with app.db.write() as connection:
        if db_projects.names_state(connection, _now(connection, source)) != before:
            raise SyncRunning(f"source {source.name!r} was changed by another sync meanwhile; nothing was changed")
        now = app.clock()
        day = db_transactions.day_for_source(connection, source.id, now.date())
        message = f"read the list of projects: {total} names, {len(added)} new, {len(removed)} gone"
        at = db_transactions.add(connection, time=now, day=day, actor=ACTOR, message=message, source_id=source.id)
        db_projects.change_names(connection, source.id, added=added, removed=removed, total=total, at=at)
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
