"""Syncs of mirrors: asked for, due, carried out, and what is kept of their outcome."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from cronsim import CronSim
from sqlalchemy import Connection

from entrepot.app import App
from entrepot.core.bioconductor import DEVEL, RELEASE, is_version
from entrepot.core.changes import History
from entrepot.core.errors import AlreadySynced, Cancelled, EntrepotError, Invalid, SyncRunning, WrongType
from entrepot.core.jobs import Report
from entrepot.core.model import Source, SourceType
from entrepot.db import bioconductor as db_bioconductor
from entrepot.db import jobs as db_jobs
from entrepot.db import repositories as db_repositories
from entrepot.db import sources as db_sources
from entrepot.db.jobs import Job
from entrepot.db.sources import MirrorState
from entrepot.sources import bioconductor, mirror
from entrepot.sources.kinds import KINDS
from entrepot.sources.mirror import Synced

RETRY_AFTER = (timedelta(minutes=1), timedelta(minutes=5), timedelta(minutes=15), timedelta(hours=1))
"""Waits after the first, second, ... failure of a sync in a row; the last one goes on."""
SCHEDULE = "schedule"
"""The actor of syncs that were due by themselves."""


def request_sync(
    app: App,
    source: str,
    *,
    force: bool = False,
    history: History | None = None,
    versions: Sequence[str] = (),
    actor: str = SCHEDULE,
) -> Job:
    """The job that syncs a mirror: the one that waits or runs already, else a new one.

    Args:
        versions: of Bioconductor, those wanted (also `release`, `devel`); empty: all that are mirrored.

    Raises:
        SourceNotFound
        Invalid: `versions` of another source, or not written as one.
        SyncRunning: a sync of other versions runs.
        AlreadySynced: `history` is given, and the first sync is over or under way.
        WrongType: the source has no upstream.
    """
    with app.db.write(shows=False) as connection:
        found = db_sources.get(connection, source)
        kind = KINDS.get(found.type)
        if kind is None or kind.refresh is None:
            raise WrongType(
                f"source {found.name!r} is of type {found.type.value}, which has no upstream to sync with",
                hint="mirrors such as cran are synced",
            )
        _check_versions(found, versions)
        wanted: dict[str, Any] = {"force": True} if force else {}
        if history is not None:
            mirror.check_is_first(found)
            wanted["history"] = history.value
        payload = {"force": False} | wanted | ({"versions": sorted(versions)} if versions else {})
        job, is_new = db_jobs.request(
            connection, kind="sync", source_id=found.id, payload=payload, actor=actor, now=app.clock()
        )
        if history is not None and job.state == "running":
            raise AlreadySynced(f"the first sync of {found.name!r} is under way", hint="`entrepot cancel` ends it")
        if not is_new:
            wanted |= _joined_versions(job, versions)
        if wanted and not is_new and job.state == "queued":
            db_jobs.change(connection, job.id, payload={**job.payload, **wanted})
        return job


def _check_versions(source: Source, versions: Sequence[str]) -> None:
    if not versions:
        return
    if source.type is not SourceType.BIOCONDUCTOR:
        raise Invalid(f"source {source.name!r} has no versions of Bioconductor", hint="leave --version out")
    for version in versions:
        if version not in (RELEASE, DEVEL) and not is_version(version):
            raise Invalid(
                f"{version[:30]!r} is not a version of Bioconductor", hint="such as 3.18, or release or devel"
            )


def _joined_versions(job: Job, versions: Sequence[str]) -> dict[str, Any]:
    """What a job that is there already has to do for these versions too. Raises SyncRunning: too late for that."""
    has = set(job.payload.get("versions") or ())
    if not has or (versions and has >= set(versions)):
        return {}
    if job.state == "running":
        raise SyncRunning(
            f"a sync of {', '.join(sorted(has))} is running", hint="wait for it: `entrepot list jobs` shows it"
        )
    return {"versions": sorted(has | set(versions)) if versions else []}


def due_syncs(app: App) -> list[Source]:
    """Mirrors whose next sync is due: used by a repository, or synced once already."""
    with app.db.read() as connection:
        used = _used(app, connection)
        due = []
        states = db_sources.mirror_states(connection)
        mirrors = db_sources.by_ids(connection, [state.source_id for state in states])
        for state in states:
            at = next_sync(app, mirrors[state.source_id], state)
            wanted = state.source_id in used or state.synced_from is not None
            if (
                wanted
                and at is not None
                and at <= app.clock()
                and not db_jobs.active(connection, kind="sync", source_id=state.source_id)
            ):
                due.append(mirrors[state.source_id])
        return due


def _used(app: App, connection: Connection) -> set[int]:
    """The mirrors that repositories use.

    Not every installation is for Bioconductor, whose predefined repository counts only once somebody has synced it.
    """
    used: set[int] = set()
    meta = db_bioconductor.meta_source(connection)
    predefined = db_repositories.named(connection, app.settings.repos.bioconductor)
    subscribed = db_repositories.subscribed(connection)
    sources = db_sources.by_ids(connection, {id_ for ids in subscribed.values() for id_ in ids})
    for repository_id, ids in subscribed.items():
        is_predefined = predefined is not None and repository_id == predefined.id
        for id_ in ids:
            if sources[id_].type is not SourceType.BIOCONDUCTOR:
                used.add(id_)
            elif meta is not None and not is_predefined:
                used.add(meta.id)
    return used


def next_sync(app: App, source: Source, state: MirrorState) -> datetime | None:
    """When a mirror is synced next by itself; None: by hand alone.

    A mirror that was never synced is due at once; after a failure the wait grows; else the schedule says.
    """
    schedule = _schedule(app, source)
    if not schedule:
        return None
    if state.next_try is not None:
        return state.next_try
    if state.synced_from is None:
        return app.clock()
    return next(CronSim(schedule, state.synced_from))


def skip(app: App, connection: Connection, source_id: int) -> None:
    """After a sync was cancelled: leave the mirror alone until its next regular time."""
    schedule = _schedule(app, db_sources.by_id(connection, source_id))
    next_try = next(CronSim(schedule, app.clock())) if schedule else None
    db_sources.update_mirror(connection, source_id, next_try=next_try)


def _schedule(app: App, source: Source) -> str:
    """The cron expression of a mirror's syncs; empty: by hand alone."""
    return KINDS[source.type].schedule(app.settings)


def sync(
    app: App,
    source_id: int,
    *,
    force: bool,
    history: str | None = None,
    versions: Sequence[str] = (),
    report: Report,
) -> Synced:
    """Sync a mirror now; a failure is kept with the mirror before it is raised.

    Raises:
        AlreadySynced: `history` is given, and this is not the first sync.
        Cancelled: by `report`; nothing was changed.
        UpstreamUnavailable, UpstreamInvalid
        BioconductorVersionNotFound
    """
    with app.db.read() as connection:
        source = db_sources.by_id(connection, source_id)
    refresh = KINDS[source.type].refresh
    assert refresh is not None
    if versions:
        refresh = partial(bioconductor.refresh, versions=versions)
    try:
        return refresh(app, source, force=force, history=History(history) if history else None, report=report)
    except (Cancelled, AlreadySynced):
        raise
    except EntrepotError as error:
        _record_failure(app, source, error.code, error.message)
        raise
    except Exception:
        # A bug: it must not be tried again in a tight loop either.
        _record_failure(app, source, "internal", "the sync failed; the server's log says why")
        raise


def _record_failure(app: App, source: Source, code: str, message: str) -> None:
    with app.db.write() as connection:
        state = db_sources.mirror_state(connection, source.id)
        assert state is not None
        wait = RETRY_AFTER[min(state.failures, len(RETRY_AFTER) - 1)]
        db_sources.update_mirror(
            connection,
            source.id,
            failures=state.failures + 1,
            error_code=code,
            error=message,
            next_try=app.clock() + wait if _schedule(app, source) else None,
        )
