"""Days as snapshots: which of them a repository can be used as of, and on which of them something changed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import date
from typing import NamedTuple

from sqlalchemy import Connection

from entrepot.app import App
from entrepot.core.errors import NeverSynced, NotFound
from entrepot.core.model import FOREVER, Repository, RepositoryType, Subscription, TransactionId
from entrepot.core.snapshots import servable_days
from entrepot.db import parts as db_parts
from entrepot.db import repositories as db_repositories
from entrepot.db import sources as db_sources
from entrepot.db import touched as db_touched
from entrepot.db import transactions as db_transactions
from entrepot.db.transactions import DatabaseHistory
from entrepot.operations import bioconductor

MOST_COUNTED = 2000
"""Transactions whose packages are counted in one go: where each project that was read has its own, a day has many."""


class Days(NamedTuple):
    """The first and the newest day that can be used, both inclusive; every day between them can be."""

    first: date
    last: date


def servable(app: App, repo: str, *, bioc_version: str | None = None) -> Days | None:
    """The days that a repository can be used as of; None if there is none yet.

    Args:
        bioc_version: of a repository of Bioconductor: which version is meant. Without it, the days on which it is known
            which versions there are.

    Raises:
        RepositoryNotFound, BioconductorVersionNotFound
    """
    with app.db.read() as connection:
        repository = db_repositories.get(connection, repo)
        if bioc_version is None or repository.type is not RepositoryType.BIOCONDUCTOR:
            every = [db_repositories.all_subscriptions(connection, repository.id)]
        else:
            try:
                every = list(bioconductor.subscriptions_of(connection, repository, bioc_version))
            except NeverSynced:
                return None
        found = [_days(app, connection, repository, subscriptions) for subscriptions in every]
    known = [days for days in found if days is not None]
    if len(known) < len(found):
        return None
    first, last = max(days.first for days in known), min(days.last for days in known)
    return Days(first, last) if first <= last else None


def first(app: App, repo: str) -> date:
    """The first day that a repository can be used as of. Raises NotFound if there is none yet."""
    days = servable(app, repo)
    if days is None:
        raise NotFound(f"repository {repo!r} has no day yet that can be used", hint="use 'latest' or a transaction id")
    return days.first


def changed(
    app: App, repo: str, *, start: date | None = None, end: date | None = None
) -> list[tuple[date, TransactionId]]:
    """The days with changes that a repository can be used as of, ascending, each with its newest transaction; from
    `start` through `end`."""
    with app.db.read() as connection:
        repository = db_repositories.get(connection, repo)
        subscriptions = db_repositories.all_subscriptions(connection, repository.id)
        days = _days(app, connection, repository, subscriptions)
        if days is None:
            return []
        ids, until = _sources(connection, repository, subscriptions)
        first, last = max(days.first, start or days.first), min(days.last, end or days.last)
        rows = db_transactions.days_with_changes(connection, ids, until=until, start=first, end=last)
    return [(day, TransactionId(id_)) for day, id_ in rows]


def count_changed(app: App, repo: str, *, start: date, end: date) -> dict[date, int] | None:
    """How many packages changed on each day of some; of several sources, or several times a day, the sum. A day without
    changes is left out. None where that would be more than is counted in one go."""
    with app.db.read() as connection:
        repository = db_repositories.get(connection, repo)
        subscriptions = db_repositories.all_subscriptions(connection, repository.id)
        ids, until = _sources(connection, repository, subscriptions)
        rows = db_transactions.of_days(connection, ids, until=until, start=start, end=end, most=MOST_COUNTED + 1)
        if len(rows) > MOST_COUNTED:
            return None
        sources = db_sources.by_ids(connection, {source_id for _, source_id, _ in rows})
        counts = db_touched.count(connection, {id_: sources[source_id].type for id_, source_id, _ in rows})
    found: Counter[date] = Counter()
    for id_, _, day in rows:
        found[day] += counts.get(id_, 0)
    return dict(found)


def _days(
    app: App, connection: Connection, repository: Repository, subscriptions: Sequence[Subscription]
) -> Days | None:
    history = DatabaseHistory(connection, subscriptions)
    found = servable_days(subscriptions, history, today=app.today())
    if found is None:
        return None
    days = Days(*found)
    if db_repositories.had_owner(connection, repository.name):
        # What was before its first subscription was another repository's.
        days = Days(max(days.first, history.day_of(min(each.since for each in subscriptions))), days.last)
    return days if days.first <= days.last else None


def _sources(
    connection: Connection, repository: Repository, subscriptions: Sequence[Subscription]
) -> tuple[list[int], dict[int, TransactionId]]:
    """All sources that a repository ever had; and of those that it has no more when it lost them."""
    last: dict[int, TransactionId] = {}
    for each in subscriptions:
        last[each.source_id] = max(each.until, last.get(each.source_id, each.until))
    if repository.type is RepositoryType.BIOCONDUCTOR:  # which parts it shows is said with each question
        last = {part: at for id_, at in last.items() for part in db_parts.with_parts(connection, [id_])}
    return list(last), {id_: at for id_, at in last.items() if at != FOREVER}
