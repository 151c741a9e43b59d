"""The job that runs a build target: it builds the binary packages that are missing or out of date."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from entrepot.app import App
from entrepot.db.jobs import Job
from entrepot.jobs.work import Work
from entrepot.operations import compiling
from entrepot.operations.compiling import Compiled

MOST = 1000
"""Packages of each outcome that the result of a job names."""


def run(app: App, job: Job, work: Work) -> dict[str, Any]:
    """What was built, what failed and what was left out, as the job's result."""
    assert job.subject is not None
    ran = compiling.run(app, job.subject, actor=job.actor, report=work.report, log=work.log)
    if ran is None:
        return {"target": None, "ready": 0, "built": [], "failed": [], "skipped": [], "faults": []}
    failed, skipped = ran.of("failed"), ran.of("skipped")
    return {
        "target": ran.target.name,
        "ready": ran.ready,
        "built": _told(ran.of("built")),
        "failed": _told(failed),
        "skipped": _told(skipped),
        "faults": [f"{each.package} {each.version} of {each.source}: {each.reason}" for each in (*failed, *skipped)][
            :MOST
        ],
    }


def _told(done: Sequence[Compiled]) -> list[dict[str, Any]]:
    return [
        {
            "source": each.source,
            "package": each.package,
            "version": each.version,
            "transaction": each.transaction,
            "reason": each.reason,
        }
        for each in done[:MOST]
    ]
