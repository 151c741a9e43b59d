"""What became of builds from Git: those that were tried, wait or go on, and their logs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection

from entrepot.app import App
from entrepot.core.access import INSIDE, Access
from entrepot.core.errors import BuildNotFound
from entrepot.core.gitbuilds import Builder, UpdateState
from entrepot.db import builders as db_builders
from entrepot.db import jobs as db_jobs
from entrepot.db import sources as db_sources
from entrepot.db import transactions as db_transactions
from entrepot.db.builders import Attempt
from entrepot.operations.access import sight
from entrepot.operations.activity import sees_transaction
from entrepot.operations.browsing import Page
from entrepot.operations.builders import JOB, check_builds, named


@dataclass(frozen=True, slots=True)
class Build:
    """What is told of one build: an attempt, or (without a transaction) an update that waits or is being built.

    `package` is the builder's name; `status` one of waiting, building, succeeded, failed.
    """

    package: str
    status: str
    transaction: int | None
    tag: str | None
    sha: str | None
    time: datetime
    error: str | None = None
    attempts: int = 0


def list_builds(app: App, source: str, name: str | None, page: Page, *, newest_only: bool) -> tuple[list[Build], int]:
    """Builds of a source's packages (of one), the newest first, those that wait or run before them; how many in all.

    Args:
        newest_only: of each builder the last alone.

    Raises:
        SourceNotFound, BuildNotFound: there is nothing of that name.
    """
    with app.db.read() as connection:
        found = db_sources.get(connection, source)
        check_builds(found)
        builders = {builder.id: builder for builder in db_builders.live(connection, source_id=found.id)}
        name = name and named(found, name)
        wanted = _of_name(builders, name)
        open_ = _open_builds(connection, wanted)
        known = next((builder.name for builder in wanted if builder.name), name)
        first = open_[page.offset : page.offset + page.limit]
        some = {"limit": page.limit - len(first), "offset": max(0, page.offset - len(open_))}
        done, total = db_builders.attempts(
            connection, source_id=found.id, name=known if name else None, newest_only=newest_only, **some
        )
    if name is not None and not wanted and not total:
        raise BuildNotFound(
            f"source {found.name!r} has no build of {name!r}", hint="`entrepot list git-builders` shows what it builds"
        )
    return [*first, *(_build(attempt, builders) for attempt in done)], total + len(open_)


def read_log(app: App, transaction: int, *, access: Access = INSIDE) -> str:
    """The log of the attempt that a transaction records. Raises BuildNotFound: there is none, or they don't see it."""
    with app.db.read() as connection:
        row = db_transactions.get(connection, transaction)
        is_seen = row is not None and sees_transaction(sight(connection, access), row)
        log = db_builders.log_of(connection, transaction) if is_seen else None
    if log is None:
        raise BuildNotFound(
            f"transaction {transaction} is no build from Git", hint="`entrepot list git-builds` shows their numbers"
        )
    return log


def _of_name(builders: Mapping[int, Builder], name: str | None) -> list[Builder]:
    if name is None:
        return list(builders.values())
    return [builder for builder in builders.values() if name in (builder.name, builder.label, str(builder.id))]


def _open_builds(connection: Connection, builders: Sequence[Builder]) -> list[Build]:
    """What waits or is being built, each builder's in its order."""
    running = {job.subject for job in db_jobs.active(connection, kind=JOB) if job.state == "running"}
    builds = []
    for id_, updates in db_builders.updates(connection, [builder.id for builder in builders]).items():
        label = next(builder.label for builder in builders if builder.id == id_)
        waiting = [update for update in updates if update.state is UpdateState.WAITING]
        for number, update in enumerate(waiting):
            is_running = id_ in running and number == 0
            status = "building" if is_running else "waiting"
            time = update.due or update.seen
            builds.append(Build(label, status, None, update.tag, update.sha, time, attempts=update.attempts))
    return builds


def _build(attempt: Attempt, builders: Mapping[int, Builder]) -> Build:
    builder = builders.get(attempt.builder_id)
    label = attempt.name or (builder.label if builder else f"#{attempt.builder_id}")
    return Build(
        label, attempt.status, attempt.transaction_id, attempt.tag, attempt.sha, attempt.finished, attempt.error
    )
