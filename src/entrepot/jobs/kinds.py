"""The kinds of jobs: what each runs, and when a failure is tried again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from entrepot.app import App
from entrepot.db.jobs import Job
from entrepot.jobs import binaries, build, describe, facts, metadata, sync, sysreqs
from entrepot.jobs.work import Work
from entrepot.operations.builders import JOB as BUILD_JOB
from entrepot.operations.sysreqrules import JOB as SYSREQS_JOB
from entrepot.operations.targets import JOB as BINARIES_JOB
from entrepot.sources.facts import JOB as FACTS_JOB
from entrepot.sources.projects import METADATA_JOB


@dataclass(frozen=True, slots=True)
class JobKind:
    """How one kind of job is carried out.

    `retry_after` are the waits after the first, second, ... failure of the upstream or of what this installation
    stands on; when all were used up, the next failure is final, and so is every other error at once. Empty: the first
    failure is final.
    """

    run: Callable[[App, Job, Work], dict[str, Any]]
    retry_after: tuple[timedelta, ...] = ()


_AGAIN = tuple(timedelta(minutes=n) for n in (1, 5, 15, 60, 60, 60))

RUN: dict[str, JobKind] = {
    # A failed sync is final, so that `entrepot sync` says at once what is wrong. The mirror itself remembers when it
    # is due again (operations.syncing.RETRY_AFTER), and the schedule makes the next job then.
    "sync": JobKind(sync.run),
    # What was read stays, so that each try goes on where the one before gave up.
    "describe": JobKind(describe.run, retry_after=_AGAIN),
    METADATA_JOB: JobKind(metadata.run, retry_after=_AGAIN),
    FACTS_JOB: JobKind(facts.run, retry_after=_AGAIN),
    # Final, so that `entrepot sync --type=sysreqs` says at once what is wrong; the schedule brings the next.
    SYSREQS_JOB: JobKind(sysreqs.run),
    # What is to be tried again is told by each commit and tag by itself.
    BUILD_JOB: JobKind(build.run),
    # A target that could not be built for is due again by itself (operations.targets.AGAIN_AFTER).
    BINARIES_JOB: JobKind(binaries.run),
}
