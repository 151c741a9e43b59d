"""Rows of repositories and their subscriptions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from sqlalchemy import Connection, RowMapping, func, insert, select, update

from entrepot.core.errors import RepositoryNotFound
from entrepot.core.model import FOREVER, Repository, RepositoryType, SourceType, Subscription, TransactionId
from entrepot.db import bioconductor as db_bioconductor
from entrepot.db.named import find_live
from entrepot.db.schema import repositories, sources, subscriptions, transactions


def add(
    connection: Connection,
    *,
    name: str,
    type_: RepositoryType,
    description: str,
    now: datetime,
    is_closed: bool = False,
) -> int:
    values = {"name": name, "type": type_.value, "description": description, "created": now, "authenticated": is_closed}
    row = insert(repositories).values(values)
    (id_,) = connection.execute(row).inserted_primary_key or (0,)
    return int(id_)


def find(connection: Connection, name_or_id: str | int) -> Repository | None:
    """A live repository by its name, else by its id."""
    row = find_live(connection, select(repositories), repositories, name_or_id)
    return _repository(row) if row else None


def get(connection: Connection, name_or_id: str | int) -> Repository:
    """As `find`. Raises RepositoryNotFound."""
    repository = find(connection, name_or_id)
    if repository is None:
        raise RepositoryNotFound(
            f"there is no repository named {str(name_or_id)!r}", hint="`entrepot list repos` shows them"
        )
    return repository


def named(connection: Connection, name: str) -> Repository | None:
    """A live repository by its name alone, as URLs of clients say it."""
    query = select(repositories).where(repositories.c.deleted.is_(None), repositories.c.name == name)
    row = connection.execute(query).mappings().one_or_none()
    return _repository(row) if row else None


def had_owner(connection: Connection, name: str) -> bool:
    """Whether a repository that was deleted or renamed had this name."""
    query = select(repositories.c.id).where(repositories.c.name == name, repositories.c.deleted.is_not(None)).limit(1)
    return connection.execute(query).first() is not None


def live(connection: Connection) -> list[Repository]:
    query = select(repositories).where(repositories.c.deleted.is_(None)).order_by(repositories.c.id)
    return [_repository(row) for row in connection.execute(query).mappings()]


def closed(connection: Connection) -> frozenset[int]:
    """Ids of the closed repositories, deleted ones too: what is known of these doesn't become open."""
    return frozenset(connection.execute(select(repositories.c.id).where(repositories.c.authenticated)).scalars())


def any_closed(connection: Connection) -> bool:
    """Whether any live repository is closed."""
    query = select(repositories.c.id).where(repositories.c.deleted.is_(None), repositories.c.authenticated)
    return connection.execute(query.limit(1)).first() is not None


def newest_transactions(connection: Connection, ids: Iterable[int]) -> dict[int, int]:
    """Repository id -> newest transaction of its subscriptions, of these that have one."""
    # One step in an index for each, where a grouped maximum would read all transactions.
    newest = select(func.max(transactions.c.id)).where(transactions.c.repository_id == repositories.c.id)
    query = select(repositories.c.id, newest.scalar_subquery()).where(repositories.c.id.in_(list(ids)))
    return {id_: transaction for id_, transaction in connection.execute(query) if transaction is not None}


def names(connection: Connection, ids: Iterable[int]) -> dict[int, str]:
    query = select(repositories.c.id, repositories.c.name).where(repositories.c.id.in_(list(ids)))
    return {row.id: row.name for row in connection.execute(query)}


def change(connection: Connection, id_: int, *, name: str, description: str, is_closed: bool) -> None:
    values = {"name": name, "description": description, "authenticated": is_closed}
    connection.execute(update(repositories).where(repositories.c.id == id_).values(values))


def mark_deleted(connection: Connection, id_: int, now: datetime) -> None:
    connection.execute(update(repositories).where(repositories.c.id == id_).values(deleted=now))


def all_subscriptions(connection: Connection, repository_id: int) -> list[Subscription]:
    """All that a repository ever had, with the parts of a version in the place of a source of Bioconductor."""
    given, versions = given_subscriptions(connection, repository_id)
    return db_bioconductor.expand(connection, given, versions)


def given_subscriptions(connection: Connection, repository_id: int) -> tuple[list[Subscription], dict[int, str | None]]:
    """All that a repository ever had as they were made, and the versions of the sources of Bioconductor among them."""
    query = select(subscriptions, sources.c.type, sources.c.version.label("of_source"))
    query = query.join(sources, sources.c.id == subscriptions.c.source_id)
    rows = connection.execute(query.where(subscriptions.c.repository_id == repository_id)).mappings().all()
    versions = {row["source_id"]: row["of_source"] for row in rows if row["type"] == SourceType.BIOCONDUCTOR.value}
    return [_subscription(row) for row in rows], versions


def subscribed(connection: Connection) -> dict[int, list[int]]:
    """Repository id -> source ids in order, for all live repositories, now."""
    query = (
        select(subscriptions.c.repository_id, subscriptions.c.source_id)
        .join(repositories, repositories.c.id == subscriptions.c.repository_id)
        .where(subscriptions.c.until == FOREVER, repositories.c.deleted.is_(None))
        .order_by(subscriptions.c.repository_id, subscriptions.c.position)
    )
    result: dict[int, list[int]] = {}
    for repository_id, source_id in connection.execute(query):
        result.setdefault(repository_id, []).append(source_id)
    return result


def versions_wanted(connection: Connection, repository_id: int) -> dict[int, str]:
    """Source id -> the version that the repository's subscription wants of it now, of those that want one."""
    return all_versions_wanted(connection).get(repository_id, {})


def all_versions_wanted(connection: Connection) -> dict[int, dict[int, str]]:
    """Repository id -> as `versions_wanted`, of all that want any."""
    query = select(subscriptions.c.repository_id, subscriptions.c.source_id, subscriptions.c.version)
    query = query.where(subscriptions.c.until == FOREVER, subscriptions.c.version.is_not(None))
    found: dict[int, dict[int, str]] = {}
    for row in connection.execute(query):
        found.setdefault(row.repository_id, {})[row.source_id] = row.version
    return found


def subscribe_to(
    connection: Connection,
    repository_id: int,
    source_ids: Sequence[int],
    at: TransactionId,
    *,
    versions: Mapping[int, str] | None = None,
) -> None:
    """From transaction `at` on these sources, in this order, are the repository's subscriptions.

    `versions` are those that are wanted of sources of Bioconductor, by source id.
    """
    mine = subscriptions.c.repository_id == repository_id
    connection.execute(update(subscriptions).where(mine, subscriptions.c.until == FOREVER).values(until=at))
    wanted = versions or {}
    rows = [
        {
            "repository_id": repository_id,
            "source_id": id_,
            "position": n,
            "since": at,
            "until": FOREVER,
            "version": wanted.get(id_),
        }
        for n, id_ in enumerate(source_ids)
    ]
    if rows:
        connection.execute(insert(subscriptions), rows)


def _repository(row: RowMapping) -> Repository:
    return Repository(
        id=row["id"],
        name=row["name"],
        type=RepositoryType(row["type"]),
        description=row["description"],
        created=row["created"],
        is_closed=row["authenticated"],
    )


def _subscription(row: RowMapping) -> Subscription:
    return Subscription(
        repository_id=row["repository_id"],
        source_id=row["source_id"],
        position=row["position"],
        since=TransactionId(row["since"]),
        until=TransactionId(row["until"]),
        version=row["version"],
    )
