"""Syncs of mirrors: asked for, due, carried out, and what is kept of their outcome."""

from __future__ import annotations

from datetime import datetime, timedelta

from cronsim import CronSim

from entrepot.app import App
from entrepot.core.errors import EntrepotError, WrongType
from entrepot.core.model import Source
from entrepot.db import jobs as db_jobs
from entrepot.db import repositories as db_repositories
from entrepot.db import sources as db_sources
from entrepot.db.jobs import Job
from entrepot.db.sources import MirrorState
from entrepot.sources.kinds import KINDS
from entrepot.sources.mirror import Report, Synced

RETRY_AFTER = (timedelta(minutes=1), timedelta(minutes=5), timedelta(minutes=15), timedelta(hours=1))
"""Waits after the first, second, ... failure of a sync in a row; the last one goes on."""


def request_sync(app: App, source: str, *, force: bool = False) -> Job:
    """The job that syncs a mirror: the one that waits or runs already, else a new one.

    Raises:
        WrongType: the source has no upstream.
    """
    with app.db.write() as connection:
        found = db_sources.get(connection, source)
        kind = KINDS.get(found.type)
        if kind is None or kind.refresh is None:
            raise WrongType(
                f"source {found.name!r} is of type {found.type.value}, which has no upstream to sync with",
                hint="mirrors such as cran are synced",
            )
        active = db_jobs.active(connection, source_id=found.id)
        if active:
            if force and active[0].state == "queued":
                db_jobs.change(connection, active[0].id, payload={"force": True})
            return active[0]
        return db_jobs.add(connection, kind="sync", payload={"force": force}, source_id=found.id, now=app.clock())


def due_syncs(app: App) -> list[Source]:
    """Mirrors whose next sync is due: used by a repository, or synced once already."""
    with app.db.read() as connection:
        used = {id_ for ids in db_repositories.subscribed(connection).values() for id_ in ids}
        due = []
        for state in db_sources.mirror_states(connection):
            at = next_sync(app, state)
            wanted = state.source_id in used or state.synced_from is not None
            if (
                wanted
                and at is not None
                and at <= app.clock()
                and not db_jobs.active(connection, source_id=state.source_id)
            ):
                due.append(db_sources.by_id(connection, state.source_id))
        return due


def next_sync(app: App, state: MirrorState) -> datetime | None:
    """When a mirror is synced next by itself; None: by hand alone.

    A mirror that was never synced is due at once; after a failure the wait grows; else the schedule says.
    """
    schedule = app.settings.cran.sync_schedule
    if not schedule:
        return None
    if state.next_try is not None:
        return state.next_try
    if state.synced_from is None:
        return app.clock()
    return next(CronSim(schedule, state.synced_from))


def sync(app: App, source_id: int, *, force: bool, report: Report) -> Synced:
    """Sync a mirror now; a failure is kept with the mirror before it is raised."""
    with app.db.read() as connection:
        source = db_sources.by_id(connection, source_id)
    refresh = KINDS[source.type].refresh
    assert refresh is not None
    try:
        return refresh(app, source, force=force, report=report)
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
            next_try=app.clock() + wait if app.settings.cran.sync_schedule else None,
        )
