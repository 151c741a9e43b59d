"""The job that runs a Git builder: a look at its endpoint, and builds of what is new."""

from __future__ import annotations

from typing import Any

from entrepot.app import App
from entrepot.core.errors import BuildFailed
from entrepot.db.jobs import Job
from entrepot.jobs.work import Work
from entrepot.operations import building
from entrepot.operations.building import Ran
from entrepot.operations.publishing import Attempted, log_command


def run(app: App, job: Job, work: Work) -> dict[str, Any]:
    """What was built, what failed and what was removed, as the job's result.

    Raises:
        BuildFailed: something failed, and nothing was built.
    """
    assert job.subject is not None
    ran = building.run(app, job.subject, actor=job.actor, report=work.report, log=work.log)
    if ran is None:
        return {"package": None, "builds": [], "removed": [], "faults": []}
    faults = [_fault(attempt) for attempt in ran.failed]
    if ran.failed and len(ran.failed) == len(ran.attempts):
        raise _failure(ran, faults)
    return {
        "package": ran.package,
        "builds": [_told(attempt) for attempt in ran.attempts],
        "removed": list(ran.removed),
        "faults": faults,
    }


def _failure(ran: Ran, faults: list[str]) -> Exception:
    first = ran.failed[0]
    assert first.error is not None
    hint = f"`{log_command(first.transaction)}` shows its log" if first.transaction is not None else first.error.hint
    more = f" (and {len(faults) - 1} more)" if len(faults) > 1 else ""
    kind = type(first.error) if isinstance(first.error, BuildFailed) else BuildFailed
    message = f"{first.update.label} of {ran.package}: {first.error.message}{more}"
    return kind(message, hint=hint, package=ran.package, faults=faults, builds=[_told(each) for each in ran.attempts])


def _told(attempt: Attempted) -> dict[str, Any]:
    update = attempt.update
    return {
        "transaction": attempt.transaction,
        "tag": update.tag,
        "sha": update.sha,
        "version": attempt.version,
        "status": "failed" if attempt.error is not None else "succeeded",
        "error": None if attempt.error is None else attempt.error.message,
    }


def _fault(attempt: Attempted) -> str:
    assert attempt.error is not None
    where = f"; log: {log_command(attempt.transaction)}" if attempt.transaction is not None else ""
    return f"{attempt.update.label}: {attempt.error.message}{where}"
