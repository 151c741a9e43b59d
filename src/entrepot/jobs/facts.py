"""The job that reads what a mirror's upstream tells of its packages besides its index."""

from __future__ import annotations

from typing import Any

from entrepot.app import App
from entrepot.db import sources as db_sources
from entrepot.db.jobs import Job
from entrepot.jobs.work import Work
from entrepot.sources import facts


def run(app: App, job: Job, work: Work) -> dict[str, Any]:
    """Read them; how many versions are told of, as the job's result."""
    assert job.source_id is not None
    with app.db.read() as connection:
        source = db_sources.by_id(connection, job.source_id)
    learnt = facts.refresh(app, source, report=work.report, log=work.log)
    if not learnt.is_there:
        work.log(f"the upstream has no {facts.DOCUMENT}")
    return {"versions": learnt.versions, "added": learnt.added, "changed": learnt.changed}
