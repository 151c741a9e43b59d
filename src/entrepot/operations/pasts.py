"""A package in all sources that a repository ever had, through all time, as one connection sees it."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Collection, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import TypeVar

from sqlalchemy import Connection

from entrepot.app import App
from entrepot.core.availability import Entry, Interval, Past, Rows, Shown, Step, by_times, by_transactions, past_of
from entrepot.core.bioconductor import RELEASE
from entrepot.core.model import (
    FOREVER,
    File,
    FileStatus,
    PackageName,
    Repository,
    RepositoryType,
    Source,
    Subscription,
    Transaction,
    TransactionId,
    seconds,
)
from entrepot.core.snapshots import NOTHING
from entrepot.core.subscribed import (
    EARLIEST,
    ONE_DAY,
    closed_through,
    in_force_after,
    last_start,
    starts_of,
    subscribed_at,
    subscribed_on,
)
from entrepot.db import bioconductor as db_bioconductor
from entrepot.db import histories as db_histories
from entrepot.db import projects as db_projects
from entrepot.db import repositories as db_repositories
from entrepot.db.histories import Visible
from entrepot.db.transactions import DatabaseHistory
from entrepot.ecosystems.r import bioconfig
from entrepot.operations import bioconductor

T = TypeVar("T")
K = TypeVar("K", TransactionId, date)


@dataclass(frozen=True, slots=True)
class Told:
    """The entries of a package, the newest first, with the files, transactions and sources that they speak of; `begins`
    is the transaction of the repository's first subscriptions, 0 if it never had any."""

    begins: TransactionId
    entries: Sequence[Entry]
    files: Mapping[int, File]
    transactions: Mapping[TransactionId, Transaction]
    sources: Mapping[int, Source]


def history_of(
    app: App, connection: Connection, repository: Repository, package: PackageName, *, bioc_version: str | None = None
) -> Told:
    """What a repository gave of a package through time. The same few statements, however much that is.

    Raises:
        BioconductorVersionNotFound, NeverSynced: of a repository of Bioconductor.
    """
    answers = _Answers.of(app, connection, repository, bioc_version or RELEASE)
    sources = answers.sources
    bases = {source.files_of for source in sources.values()}
    showing = {source.files_of if source.is_pinned else id_ for id_, source in sources.items()}
    rows = db_histories.visible(connection, package, source_ids=showing, files_of=bases)
    pinned = [id_ for id_, source in sources.items() if source.is_pinned]
    pins = db_histories.pinned(connection, pinned) if pinned else []
    changed = {at for row in rows for at in (row.since, row.until) if at is not None}
    points = changed | {since for _, since, _ in pins} | set(answers.turns)
    transactions = db_histories.transactions_of(connection, points)
    days = {at: row.day for at, row in transactions.items()}
    pasts = {id_: _past(source, rows, pins, days) for id_, source in sources.items()}
    steps = {TransactionId(step.at) for past in pasts.values() if not past.is_timed for step in past.steps}
    files = db_histories.of_package(connection, package, bases)
    timed = [id_ for id_, past in pasts.items() if past.is_timed]
    if not timed:
        own = {at: days[at] for at in steps | set(answers.turns)}
        return Told(answers.begins, by_transactions(pasts, own, answers.at, answers.on), files, transactions, sources)
    readings = {at for row in rows if row.source_id in timed for at in (row.since, row.until) if at is not None}
    readings -= steps | set(answers.turns)
    own_times = {
        at: (row.day, seconds(row.time) or 0)
        for at, row in transactions.items()
        if at in steps or at in answers.turns or at in readings
    }
    now = {id_: _now(rows, id_) if id_ in timed else past.upto(FOREVER) for id_, past in pasts.items()}
    entries = by_times(
        pasts,
        own_times,
        answers.at,
        answers.on,
        readings=readings,
        closed=_closed(connection, timed, package),
        present=Shown.of(answers.now, now.__getitem__),
    )
    return Told(answers.begins, entries, files, transactions, sources)


def _past(
    source: Source,
    rows: Iterable[Visible],
    pins: Iterable[tuple[int, TransactionId, TransactionId]],
    days: Mapping[TransactionId, date],
) -> Past:
    shown = source.files_of if source.is_pinned else source.id
    own = [row for row in rows if row.source_id == shown]
    if not source.shows_archive:
        own = [row for row in own if row.status is FileStatus.CURRENT]
    if source.is_read_by_project:
        # What has no time is in `latest` alone.
        times = (Interval(row.begins, row.ends, row.file_id, row.status) for row in own if row.begins is not None)
        return past_of(times, None)
    past = past_of((Interval(row.since, row.until, row.file_id, row.status) for row in own), days)
    if not source.is_pinned:
        return past
    steps: list[Step] = []
    for since, upto in ((since, upto) for id_, since, upto in pins if id_ == source.id):
        step = Step(since, days[since], past.upto(upto))
        if step.rows != (steps[-1].rows if steps else frozenset()):
            steps.append(step)
    return Past(steps)


def _now(rows: Iterable[Visible], source_id: int) -> Rows:
    return frozenset((row.file_id, row.status) for row in rows if row.source_id == source_id and row.until is None)


def _closed(connection: Connection, timed: Iterable[int], package: PackageName) -> int | None:
    """Up to which second sources that are read by the project tell a package for good; None: at no past time. One that
    upstream doesn't have is told of at any."""
    states = [db_projects.state(connection, source_id, package) for source_id in timed]
    known = [state for state in states if state is not None]
    if not all(state.is_dated for state in known):
        return None
    return min((state.checked for state in known), default=FOREVER)


@dataclass(frozen=True, slots=True)
class _Answers:
    """Which sources of a repository answer a transaction or a day, in order.

    `opens` is the transaction from which on a version of Bioconductor is known; `of_meta` are subscriptions to the
    source that tells of versions, by which a point has to be answered too.
    """

    app: App
    subscriptions: Sequence[Subscription]
    history: DatabaseHistory
    reaches_back: bool
    sources: Mapping[int, Source]
    turns: Collection[TransactionId]
    known: dict[Hashable, tuple[int, ...] | None]
    breaks: tuple[list[TransactionId], list[date]]
    of_meta: Sequence[Subscription] = ()
    opens: TransactionId = NOTHING

    @classmethod
    def of(cls, app: App, connection: Connection, repository: Repository, version: str) -> _Answers:
        of_meta: Sequence[Subscription] = ()
        if repository.type is RepositoryType.BIOCONDUCTOR:
            of_meta, subscriptions = bioconductor.subscriptions_of(connection, repository, version)
        else:
            subscriptions = db_repositories.all_subscriptions(connection, repository.id)
        every = [*subscriptions, *of_meta]
        history = DatabaseHistory(connection, every)
        sources = {id_: history.source(id_) for id_ in {each.source_id for each in every}}
        firsts = [first for id_ in sources if (first := history.first_of(id_)) is not None]
        opens = _opens(connection, of_meta, subscriptions)
        turns = {*starts_of(every), *(at for at, _ in firsts), *([opens] if opens else ())}
        closed = (closed_through(source, today=app.today()) for source in sources.values())
        days = {app.today(), EARLIEST, *map(history.day_of, turns), *(day for _, day in firsts)}
        days |= {day + ONE_DAY for day in closed if day is not None}
        return cls(
            app,
            subscriptions,
            history,
            not db_repositories.had_owner(connection, repository.name),
            {each.source_id: sources[each.source_id] for each in subscriptions},
            turns,
            {},
            (sorted(turns), sorted(days)),
            of_meta,
            opens,
        )

    @property
    def begins(self) -> TransactionId:
        return next(iter(starts_of(self.subscriptions)), NOTHING)

    @property
    def now(self) -> tuple[int, ...]:
        in_force = in_force_after(self.subscriptions, last_start(self.subscriptions))
        return tuple(each.source_id for each in in_force)

    def at(self, transaction: TransactionId) -> tuple[int, ...] | None:
        """None where it is refused."""
        return self._known(transaction, self.breaks[0], self._at)

    def on(self, day: date) -> tuple[int, ...] | None:
        """None where it is refused."""
        return self._known(day, self.breaks[1], self._on)

    def _known(
        self, point: K, breaks: Sequence[K], find: Callable[[K], tuple[Subscription, ...] | None]
    ) -> tuple[int, ...] | None:
        """The answer, which is the same between two of the points at which it may change."""
        key = type(point).__name__, bisect_right(breaks, point)
        if key not in self.known:
            found = find(point)
            self.known[key] = tuple(each.source_id for each in found) if found is not None else None
        return self.known[key]

    def _at(self, transaction: TransactionId) -> tuple[Subscription, ...] | None:
        def subscribed(to: Sequence[Subscription]) -> tuple[Subscription, ...] | None:
            return subscribed_at(transaction, to, self.history, reaches_back=self.reaches_back)

        if transaction < self.opens or (self.of_meta and not subscribed(self.of_meta)):
            return None
        return subscribed(self.subscriptions)

    def _on(self, day: date) -> tuple[Subscription, ...] | None:
        def subscribed(to: Sequence[Subscription]) -> tuple[Subscription, ...] | None:
            return subscribed_on(day, to, self.history, today=self.app.today(), reaches_back=self.reaches_back)

        if self.opens and day < self.history.day_of(self.opens):
            return None
        if self.of_meta and not subscribed(self.of_meta):
            return None
        return subscribed(self.subscriptions)


def _opens(
    connection: Connection, of_meta: Sequence[Subscription], subscriptions: Sequence[Subscription]
) -> TransactionId:
    """The first transaction after which upstream's configuration has the version of these subscriptions; it goes on to
    have it. 0 where that doesn't matter."""
    version = next((each.version for each in subscriptions), None)
    if not of_meta or version is None:
        return NOTHING
    meta = of_meta[0].source_id
    every = db_bioconductor.config_transactions(connection, meta)

    def has_it(at: TransactionId) -> bool:
        body = db_bioconductor.config_at(connection, meta, at)
        return body is not None and version in bioconfig.read(body).r_versions

    number = bisect_left(every, True, key=has_it)
    return every[number] if number < len(every) else FOREVER
