"""What happened: transactions of repositories and sources, what they did, and the builds that they record."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace

from sqlalchemy import Connection

from entrepot.app import App
from entrepot.core.access import INSIDE, Access
from entrepot.core.activity import ActivityKind, Wanted
from entrepot.core.changes import Change, ChangeKind
from entrepot.core.errors import NotFound, SourceNotFound
from entrepot.core.model import FOREVER, PackageName, Repository, Subscription, Transaction, TransactionId
from entrepot.db import activity as db_activity
from entrepot.db import bioconductor as db_bioconductor
from entrepot.db import builders as db_builders
from entrepot.db import changes as db_changes
from entrepot.db import parts as db_parts
from entrepot.db import repositories as db_repositories
from entrepot.db import sources as db_sources
from entrepot.db import targets as db_targets
from entrepot.db import transactions as db_transactions
from entrepot.db.activity import Row, Scope
from entrepot.operations import dialects
from entrepot.operations.access import Sight, sight
from entrepot.operations.browsing import Page
from entrepot.operations.dialects import Dialect
from entrepot.operations.publishing import log_command
from entrepot.operations.targetsight import builds_seen

ALL = Wanted()


@dataclass(frozen=True, slots=True)
class BuildFacts:
    """The attempt at a build that a transaction records.

    `kind` is git or binary, `status` succeeded or failed. `builder` is what a git builder is called that is still
    there, `target` the build target of a binary package, whose build has a `number`. `command` shows the log.
    """

    kind: str
    status: str
    package: str | None
    version: str | None
    tag: str | None
    sha: str | None
    builder: str | None
    target: str | None
    number: int | None
    command: str


@dataclass(frozen=True, slots=True)
class TransactionInfo:
    """A transaction with how many changes of each kind it has.

    In a list there are no changes themselves but those of the package that was looked for.
    """

    transaction: Transaction
    source: str | None
    repository: str | None
    counts: dict[ChangeKind, int]
    changes: tuple[Change, ...] = ()
    build: BuildFacts | None = None


def list_transactions(
    app: App,
    *,
    repo: str | None = None,
    source: str | None = None,
    wanted: Wanted = ALL,
    ascending: bool = False,
    page: Page,
    access: Access = INSIDE,
) -> tuple[list[TransactionInfo], int]:
    """Transactions of a source, or of a repository and all sources that it ever had (of `source` alone, if that is
    named too); newest first unless `ascending`.

    Their changes are counted and not loaded. Of a source that the repository has no more, and that somebody doesn't
    see elsewhere, they are told what was until then.

    Raises:
        RepositoryNotFound, SourceNotFound
        Invalid: the days can't be meant.
    """
    wanted.check()
    with app.db.read() as connection:
        seen = sight(connection, access)
        if repo is not None:
            repository = db_repositories.get(connection, repo)
            scope, dialect = (
                _of_repository(connection, repository, seen, source),
                dialects.of_repository(repository.type),
            )
        else:
            of = db_sources.get(connection, source or "")
            scope, dialect = Scope(db_parts.with_parts(connection, {of.id})), dialects.of_source(of)
        about = None if wanted.package is None else _of_package(connection, scope, wanted, dialect)
        found, total = db_activity.page(
            connection,
            scope,
            wanted,
            newest_first=not ascending,
            limit=page.limit,
            offset=page.offset,
            among=None if about is None else about.keys(),
        )
        rows = _infos(connection, found, seen)
    if about is not None:
        rows = [replace(row, changes=tuple(about[row.transaction.id])) for row in rows]
    return rows, total


def _of_repository(connection: Connection, repository: Repository, seen: Sight, source: str | None) -> Scope:
    """What a repository's transactions are, or those of one source that it has or had."""
    given, versions = db_repositories.given_subscriptions(connection, repository.id)
    if source is not None:
        names = db_sources.names(connection, {each.source_id for each in given})
        given = [each for each in given if source in (names[each.source_id], str(each.source_id))]
        if not given:
            raise SourceNotFound(
                f"repository {repository.name!r} never had a source named {source[:100]!r}",
                hint=f"it had {', '.join(sorted(set(names.values()))) or 'none'}",
            )
    had = db_bioconductor.expand(connection, given, versions)
    return Scope(
        db_parts.with_parts(connection, {each.source_id for each in had}),
        _ended(connection, had, seen),
        repository.id if source is None else None,
    )


def _ended(connection: Connection, had: Sequence[Subscription], seen: Sight) -> dict[int, TransactionId]:
    """Source id -> the transaction with which a repository lost it, of what it has no more and they don't see; with
    the parts of these sources."""
    last: dict[int, TransactionId] = {}
    for each in had:
        last[each.source_id] = max(each.until, last.get(each.source_id, each.until))
    hidden = {id_: at for id_, at in last.items() if at != FOREVER and not seen.sees_source(id_)}
    return {part: at for id_, at in hidden.items() for part in db_parts.with_parts(connection, [id_])}


def _of_package(
    connection: Connection, scope: Scope, wanted: Wanted, dialect: Dialect
) -> dict[TransactionId, list[Change]]:
    """The transactions that are about a package, in the way that is wanted, with what they did to it."""
    package = dialect.name(wanted.package or "")
    if package is None:
        return {}
    among = db_sources.by_ids(connection, scope.source_ids)
    changes = db_changes.of_package(connection, list(among.values()), package)
    attempts = db_activity.attempts_at(connection, list(among), package)
    found = {}
    for at in changes.keys() | attempts.keys():
        kinds = attempts.get(at, set()) | {ActivityKind(change.kind.value) for change in changes.get(at, ())}
        if not wanted.kinds or kinds.intersection(wanted.kinds):
            found[at] = changes.get(at, [])
    return found


def transaction(app: App, id_: int, *, with_changes: bool = True, access: Access = INSIDE) -> TransactionInfo:
    """One transaction, with all its changes if nothing else is said.

    Raises:
        NotFound: there is none, or it is of what they don't see.
    """
    with app.db.read() as connection:
        seen = sight(connection, access)
        row = _seen(connection, seen, id_)
        (info,) = _infos(connection, [db_activity.of_id(connection, row.id)], seen)
        return replace(info, changes=_changes(app, connection, row)) if with_changes else info


def list_changes(
    app: App,
    id_: int,
    *,
    package: str | None = None,
    kinds: Collection[ChangeKind] = (),
    page: Page,
    access: Access = INSIDE,
) -> tuple[list[Change], int]:
    """A page of what a transaction did (to one package, or of some kinds), by name, and how many changes these are.

    Raises:
        NotFound: there is no such transaction, or it is of what they don't see.
    """
    with app.db.read() as connection:
        row = _seen(connection, sight(connection, access), id_)
        changes = _changes(app, connection, row)
        name: PackageName | None = None
        if package is not None and row.source_id is not None:
            name = dialects.of_source(db_sources.by_id(connection, row.source_id)).name(package)
    some = [
        change
        for change in changes
        if (package is None or change.package == name) and (not kinds or change.kind in kinds)
    ]
    return some[page.offset : page.offset + page.limit], len(some)


def _changes(app: App, connection: Connection, row: Transaction) -> tuple[Change, ...]:
    """What a transaction did. It never changes, and who reads a long list reads page after page."""
    if row.source_id is None:
        return ()
    found = app.changes.find(row.id)
    if found is None:
        found = tuple(db_changes.of_transaction(connection, db_sources.by_id(connection, row.source_id), row.id))
        app.changes.put(row.id, found)
    return found


def _seen(connection: Connection, seen: Sight, id_: int) -> Transaction:
    """Raises NotFound: there is no such transaction, or it is of what they don't see."""
    found = db_transactions.get(connection, id_)
    if found is None or not sees_transaction(seen, found):
        # What they don't see has numbers as well.
        have = f"; this installation has 1 to {db_transactions.newest(connection)}" if seen.sees_all else ""
        raise NotFound(f"transaction {id_} does not exist{have}")
    return found


def sees_transaction(seen: Sight, row: Transaction) -> bool:
    """Whether somebody sees what a transaction changed."""
    if row.repository_id is not None:
        return seen.sees_repository(row.repository_id)
    return row.source_id is None or seen.sees_source(row.source_id)


def settle(app: App) -> bool:
    """Count what the next transactions did, and keep it: lists and searches then need not. Whether there may be more
    to count."""
    with app.db.read() as connection:
        found = db_activity.next_uncounted(connection)
    if found is None:
        return False
    with app.db.write(shows=False) as connection:
        db_activity.keep_counts(connection, *found)
    return True


def _infos(connection: Connection, rows: Sequence[Row], seen: Sight) -> list[TransactionInfo]:
    transactions = [row.transaction for row in rows]
    sources = db_sources.names(connection, _ids(row.source_id for row in transactions))
    builds = _attempts(connection, [row.transaction.id for row in rows if row.is_attempt])
    builds |= _binaries(connection, [row.transaction.id for row in rows if row.is_binary], seen)
    return [
        TransactionInfo(
            row.transaction,
            sources.get(row.transaction.source_id or 0),
            row.repository,
            dict(row.counts),
            build=builds.get(row.transaction.id),
        )
        for row in rows
    ]


def _attempts(connection: Connection, ids: Collection[TransactionId]) -> dict[TransactionId, BuildFacts]:
    """The attempts at builds from Git that transactions record."""
    return {
        at: BuildFacts(
            "git", attempt.status, attempt.name, None, attempt.tag, attempt.sha, builder, None, None, log_command(at)
        )
        for at, (attempt, builder) in (db_builders.attempts_of(connection, ids) if ids else {}).items()
    }


def _binaries(connection: Connection, ids: Collection[TransactionId], seen: Sight) -> dict[TransactionId, BuildFacts]:
    """The builds of the binary packages that transactions show, as far as somebody sees them."""
    if not ids:
        return {}
    builds = db_targets.builds_of(connection, ids)
    among = None if seen.sees_all else builds_seen(connection, seen)
    targets = db_targets.names(connection, {build.target_id for build in builds.values()})
    return {
        at: BuildFacts(
            "binary",
            "succeeded" if build.is_built else "failed",
            build.package,
            build.version,
            None,
            None,
            None,
            targets.get(build.target_id),
            build.id,
            f"entrepot logs --binary-build={build.id}",
        )
        for at, build in builds.items()
        if among is None or (build.target_id, build.source_id) in among
    }


def _ids(ids: Iterable[int | None]) -> set[int]:
    return {id_ for id_ in ids if id_ is not None}
