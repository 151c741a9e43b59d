"""The job that reads the metadata of wheels whose upstream offers none."""

from __future__ import annotations

from typing import Any

from entrepot.app import App
from entrepot.db import sources as db_sources
from entrepot.db.jobs import Job
from entrepot.jobs.work import Work
from entrepot.sources import wheelmetadata


def run(app: App, job: Job, work: Work) -> dict[str, Any]:
    """Read what is missing; how many wheels have their metadata now, as the job's result."""
    assert job.source_id is not None
    with app.db.read() as connection:
        source = db_sources.by_id(connection, job.source_id)
    found = wheelmetadata.read_missing(app, source, report=work.report, log=work.log)
    return {"described": found.described, "faulty": found.faulty, "faults": list(found.faults)}
