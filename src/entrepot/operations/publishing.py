"""What comes of an attempt at a build, each written as one transaction that the activity log tells of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection

from entrepot.app import App
from entrepot.core.errors import (
    BuildFailed,
    EntrepotError,
    InvalidSettings,
    NotFound,
    OutOfSpace,
    Unavailable,
    UpstreamUnavailable,
)
from entrepot.core.gitbuilds import ATTEMPTS, Builder, Update, UpdateState, wait_after
from entrepot.core.model import PackageName, Source, TransactionId
from entrepot.db import builders as db_builders
from entrepot.db import owned as db_owned
from entrepot.db import sources as db_sources
from entrepot.db import transactions as db_transactions
from entrepot.db.builders import Attempt
from entrepot.operations.adding import Adding
from entrepot.operations.buildlogs import BuildLog
from entrepot.operations.changing import State
from entrepot.operations.uploads import RULES, Checked

_NOT_ITS_FAULT = (Unavailable, UpstreamUnavailable, OutOfSpace, InvalidSettings)
"""Errors that say nothing of the package: it is tried until it works."""


@dataclass(frozen=True, slots=True)
class Attempted:
    """One attempt and what came of it.

    `transaction` is None if somebody else was faster or the builder was deleted meanwhile; `error` None if it
    succeeded.
    """

    update: Update
    transaction: TransactionId | None
    version: str | None = None
    error: EntrepotError | None = None


@dataclass(frozen=True, slots=True)
class Trying:
    """An attempt that is under way: at which update, since when, for whom."""

    app: App
    builder: Builder
    source: Source
    update: Update
    actor: str
    started: datetime
    log: BuildLog

    @property
    def where(self) -> str:
        """Such as `tag v1.0 (1a2b3c4d5e)`."""
        update, branch = self.update, self.builder.branch
        if update.tag is not None:
            return f"{update.label} ({update.sha[:10]})"
        return update.label + (f" of {branch}" if branch else "")


def log_command(transaction: int) -> str:
    """What people type to see the log of an attempt."""
    return f"entrepot logs --transaction-id={transaction}"


def learn_name(app: App, builder: Builder, name: PackageName) -> PackageName:
    """The name of a builder's package: the one that was learnt first, else `name`, which is kept.

    Raises:
        BuildFailed: another builder of the source has that package.
    """
    with app.db.write(shows=False) as connection:
        known = db_builders.by_id(connection, builder.id)
        if known is None or known.name is not None:
            return name if known is None or known.name is None else known.name
        other = db_builders.find(connection, builder.source_id, name)
        if other is not None and other.id != builder.id:
            raise BuildFailed(
                f"the source has a git builder for {name!r} already: it follows {other.trigger.value} of {other.url}",
                hint="a package has one builder in a source: delete one of the two, or make another source",
            )
        db_builders.change(connection, builder.id, name=name)
        return name


def publish(trying: Trying, checked: Sequence[Checked]) -> Attempted:
    """Show what was built and record the attempt, all at once. What is checked is in the store already.

    Of two tags for one version the newer one has it; what a tag had before it moved gives way.
    """
    update, version, package = trying.update, checked[0].version, checked[0].package
    with trying.app.db.write() as connection:
        if not _is_open(connection, update):
            trying.log("built by somebody else meanwhile, or not wanted any more: nothing is published")
            return Attempted(update, None, version)
        rivals = _built_as(connection, trying, version)
        newer = next((rival for rival in rivals if rival.tag != update.tag and rival.is_newer_than(update)), None)
        said = f"built {package} {version} from {trying.where}"
        if newer is not None:
            said += f"; {newer.label}, which is newer, has that version"
        else:
            for rival in rivals:
                db_builders.change_update(connection, rival.id, state=UpdateState.SUPERSEDED)
        trying.log(said)
        at = _next(connection)
        message = f"{said}; log: {log_command(at)}"
        state = UpdateState.BUILT if newer is None else UpdateState.SUPERSEDED
        if newer is None:
            adding = Adding(trying.app, connection, trying.source, checked, replace=True, whole=True)
            adding.leave_out(package, version)
            adding.record(actor=trying.actor, message=message, always=True)
        else:
            _tell(trying.app, connection, trying.source, trying.actor, message)
        db_builders.change_update(connection, update.id, state=state, version=version, made=update.made, due=None)
        _add_attempt(connection, trying, at, name=package)
    return Attempted(update, at, version)


def record_failure(trying: Trying, error: EntrepotError) -> Attempted:
    """Record an attempt that failed, and when the next one is due, if there is to be one."""
    update, now = trying.update, trying.app.clock()
    with trying.app.db.write() as connection:
        if not _is_open(connection, update):
            return Attempted(update, None, error=error)
        attempts = update.attempts + 1
        is_over = attempts >= ATTEMPTS and not isinstance(error, _NOT_ITS_FAULT)
        due = None if is_over else now + wait_after(attempts)
        what = "ignored from now on" if is_over else f"tried again from {due:%Y-%m-%d %H:%M:%S} UTC"
        trying.log(f"attempt {attempts} failed; {what}")
        at = _next(connection)
        message = f"build of {trying.where} failed: {error.message}; {what}; log: {log_command(at)}"
        _tell(trying.app, connection, trying.source, trying.actor, message)
        state = UpdateState.IGNORED if is_over else UpdateState.WAITING
        db_builders.change_update(
            connection, update.id, state=state, attempts=attempts, due=due, made=update.made, version=update.version
        )
        _add_attempt(connection, trying, at, error=error)
    return Attempted(update, at, error=error)


def record_fault(
    app: App, builder: Builder, error: EntrepotError, log: str, *, started: datetime, actor: str, always: bool
) -> None:
    """Record that an endpoint could not be looked at: once for each reason, unless it is to be told `always`."""
    with app.db.write() as connection:
        found = db_builders.by_id(connection, builder.id)
        if found is None or (found.fault == error.message and not always):
            return
        source = db_sources.by_id(connection, builder.source_id)
        at = _next(connection)
        message = f"{builder.label}: {error.message}; log: {log_command(at)}"
        _tell(app, connection, source, actor, message)
        db_builders.change(connection, builder.id, fault=error.message)
        times = {"started": started, "finished": app.clock()}
        attempt = Attempt(at, builder.id, builder.name, None, None, "failed", **times, error=error.message)
        db_builders.add_attempt(connection, attempt, log)


def remove_gone(
    app: App, connection: Connection, builder: Builder, source: Source, gone: Sequence[Update], *, actor: str
) -> tuple[str, ...]:
    """Remove the versions whose tags are gone, as one transaction; which these are."""
    for update in gone:
        db_builders.change_update(connection, update.id, state=UpdateState.GONE, due=None)
    lost = [update for update in gone if update.state is UpdateState.BUILT and update.version is not None]
    if not lost or builder.name is None:
        return ()
    rules = RULES[source.type]
    versions = {rules.order(update.version or "") for update in lost}
    state = State(db_owned.visible_now(connection, source, {builder.name}))
    for id_ in list(state.rows):
        if rules.order(state.files[id_].version) in versions:
            del state.rows[id_]
    state.promote(rules)
    named = ", ".join(f"{update.label} ({update.version})" for update in lost)
    state.record(app, connection, source, actor=actor, message=f"{builder.name}: removed with {named}")
    return tuple(update.version or "" for update in lost)


def _is_open(connection: Connection, update: Update) -> bool:
    """Whether an update still waits for this very attempt: nobody else finished it, and its builder is there."""
    if db_builders.by_id(connection, update.builder_id) is None:
        return False
    now = db_builders.get_update(connection, update.id)
    return (now.state, now.attempts) == (UpdateState.WAITING, update.attempts)


def _built_as(connection: Connection, trying: Trying, version: str) -> list[Update]:
    """What this builder built already as that version, from tags."""
    order = RULES[trying.source.type].order
    updates = db_builders.updates(connection, [trying.builder.id])[trying.builder.id]
    return [
        other
        for other in updates
        if other.id != trying.update.id
        and other.tag is not None
        and other.state is UpdateState.BUILT
        and other.version is not None
        and order(other.version) == order(version)
    ]


def _next(connection: Connection) -> TransactionId:
    """The id that the next transaction gets; under the writers' lock."""
    return TransactionId(db_transactions.newest(connection) + 1)


def _tell(app: App, connection: Connection, source: Source, actor: str, message: str) -> None:
    """A transaction that changes no package."""
    State([]).record(app, connection, source, actor=actor, message=message, always=True)


def _add_attempt(
    connection: Connection,
    trying: Trying,
    at: TransactionId,
    *,
    name: str | None = None,
    error: EntrepotError | None = None,
) -> None:
    found = db_builders.by_id(connection, trying.builder.id)
    if found is None:
        raise NotFound("the git builder was deleted")
    attempt = Attempt(
        at,
        found.id,
        name or found.name,
        trying.update.tag,
        trying.update.sha,
        "succeeded" if error is None else "failed",
        trying.started,
        trying.app.clock(),
        None if error is None else error.message,
    )
    db_builders.add_attempt(connection, attempt, trying.log.text)
