"""The job that reads the rules of system requirements."""

from __future__ import annotations

from typing import Any

from entrepot.app import App
from entrepot.db.jobs import Job
from entrepot.jobs.work import Work
from entrepot.operations import sysreqrules


def run(app: App, _: Job, work: Work) -> dict[str, Any]:
    """Read them; how many there are now, as the job's result."""
    found = sysreqrules.read(app, report=work.report, log=work.log)
    told = found.told
    return {"origin": told.origin, "rules": found.rules, "changed": found.is_new, "faults": list(told.faults)}
