"""The job that reads what is missing of a mirror's archived versions."""

from __future__ import annotations

from datetime import date
from typing import Any

from entrepot.app import App
from entrepot.db.jobs import Job
from entrepot.jobs.work import Work
from entrepot.operations import describing


def run(app: App, job: Job, work: Work) -> dict[str, Any]:
    """Read what is missing in the job's range of days; what was filled, as the job's result."""
    assert job.source_id is not None
    start, end = (date.fromisoformat(job.payload[key]) for key in ("from", "to"))
    found = describing.describe(app, job.source_id, start=start, end=end, report=work.report, log=work.log)
    return {**job.payload, "described": found.described, "faulty": found.faulty, "faults": list(found.faults)}
