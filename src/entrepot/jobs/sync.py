"""The job that syncs one mirror."""

from __future__ import annotations

from typing import Any

from entrepot.app import App
from entrepot.db.jobs import Job
from entrepot.jobs.work import Work
from entrepot.operations import syncing
from entrepot.sources import facts

MOST_FAULTS = 1000


def run(app: App, job: Job, work: Work) -> dict[str, Any]:
    """Sync the job's source; what it brought, as the job's result."""
    assert job.source_id is not None
    force, history = bool(job.payload.get("force")), job.payload.get("history")
    versions = job.payload.get("versions") or ()
    synced = syncing.sync(app, job.source_id, force=force, history=history, versions=versions, report=work.report)
    for fault in synced.faults[:MOST_FAULTS]:
        work.log(f"fault: {fault}")
    facts.after_sync(app, job.source_id, changed=bool(synced.transactions), actor=job.actor)
    return {
        "transactions": len(synced.transactions),
        "first_transaction": synced.transactions[0] if synced.transactions else None,
        "last_transaction": synced.transactions[-1] if synced.transactions else None,
        "added": synced.added,
        "updated": synced.updated,
        "archived": synced.archived,
        "removed": synced.removed,
        "faults": list(synced.faults[:MOST_FAULTS]),
    }
