"""Repositories and their ordered subscriptions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from sqlalchemy import Connection

from entrepot.app import App
from entrepot.core.access import INSIDE, Access
from entrepot.core.errors import AlreadySubscribed, NameTaken, NotFound, StalePreview
from entrepot.core.model import Repository, RepositoryType, Source, check_name
from entrepot.db import bioconductor as db_bioconductor
from entrepot.db import repositories as db_repositories
from entrepot.db import sources as db_sources
from entrepot.db import transactions as db_transactions
from entrepot.operations import bioconductor, orders
from entrepot.operations.access import sight


@dataclass(frozen=True, slots=True)
class RepositoryInfo:
    """A repository with its sources, in order, and the newest transaction that changed what it shows.

    A source of all versions of Bioconductor of which one is wanted has that `version` here.
    """

    repository: Repository
    sources: tuple[Source, ...]
    transaction: int | None


def create_repository(
    app: App,
    name: str,
    *,
    type_: RepositoryType,
    description: str = "",
    actor: str = "setup",
    succeed_on_existing: bool = False,
    is_closed: bool | None = None,
) -> tuple[RepositoryInfo, bool]:
    """A new repository; whether it was made now. It has no sources yet, but for one of type bioconductor, which is
    subscribed to the source of all versions.

    Args:
        is_closed: whether it is read with a token alone; None: as the settings say for new ones.

    Raises:
        InvalidName, NameTaken
    """
    check_name(name, what="repository")
    with app.db.write() as connection:
        existing = db_repositories.find(connection, name)
        if existing is not None and existing.name == name:
            if succeed_on_existing and existing.type is type_:
                return _info(connection, existing), False
            raise NameTaken(
                f"a repository named {name!r} exists",
                hint="choose another name"
                if existing.type is not type_
                else "choose another name, or use --succeed-on-existing",
                name=name,
            )
        if is_closed is None:
            is_closed = app.settings.authentication.new_repos_auth_by_default
        id_ = db_repositories.add(
            connection, name=name, type_=type_, description=description, now=app.clock(), is_closed=is_closed
        )
        made = db_repositories.get(connection, id_)
        if type_ is RepositoryType.BIOCONDUCTOR:
            every = db_bioconductor.meta_source(connection)
            assert every is not None
            _subscribe_to(app, connection, made, [every.id], f"subscribed to {every.name}", actor)
        return _info(connection, made), True


def edit_repository(
    app: App, repo: str, *, name: str | None = None, description: str | None = None, is_closed: bool | None = None
) -> RepositoryInfo:
    """Rename or describe a repository, close or open it. Its old URL ends with its old name."""
    if name is not None:
        check_name(name, what="repository")
    with app.db.write() as connection:
        repository = db_repositories.get(connection, repo)
        if name is not None and name != repository.name:
            taken = db_repositories.named(connection, name)
            if taken is not None:
                raise NameTaken(f"a repository named {name!r} exists", hint="choose another name", name=name)
        db_repositories.change(
            connection,
            repository.id,
            name=name or repository.name,
            description=repository.description if description is None else description,
            is_closed=repository.is_closed if is_closed is None else is_closed,
        )
        if name is not None and name != repository.name:
            # The old name keeps its past: what its URLs answered was this repository's, and no later one's.
            former = db_repositories.add(
                connection, name=repository.name, type_=repository.type, description="", now=app.clock()
            )
            db_repositories.mark_deleted(connection, former, app.clock())
        return _info(connection, db_repositories.get(connection, repository.id))


def delete_repository(app: App, repo: str) -> None:
    """Its URLs answer 404 from now on; its sources stay."""
    with app.db.write() as connection:
        repository = db_repositories.get(connection, repo)
        db_repositories.mark_deleted(connection, repository.id, app.clock())


def repository_info(app: App, repo: str) -> RepositoryInfo:
    with app.db.read() as connection:
        return _info(connection, db_repositories.get(connection, repo))


def list_repositories(app: App, *, access: Access = INSIDE) -> list[RepositoryInfo]:
    """Those that somebody sees."""
    with app.db.read() as connection:
        seen = sight(connection, access)
        return _infos(connection, [each for each in db_repositories.live(connection) if seen.sees_repository(each.id)])


def subscribe(
    app: App, repo: str, source: str, *, actor: str, version: str | None = None, succeed_on_existing: bool = False
) -> RepositoryInfo:
    """Add a source as the last one of a repository: one transaction.

    Args:
        version: which one of Bioconductor, where the source has all of them.

    Raises:
        WrongType: the source's type does not go with the repository's type.
        Invalid: `version` is missing where one is needed, or there where none can be.
        BioconductorVersionNotFound
        AlreadySubscribed
    """
    with app.db.write() as connection:
        repository = db_repositories.get(connection, repo)
        wanted = db_sources.get(connection, source)
        orders.check_type(repository, wanted)
        version = orders.version_wanted(connection, repository, wanted, version)
        now = _subscribed(connection, repository)
        if wanted.id in now:
            has = db_repositories.versions_wanted(connection, repository.id).get(wanted.id)
            if succeed_on_existing and has == version:
                return _info(connection, repository)
            if has != version:
                raise orders.has_other_version(repository, wanted, has)
            raise AlreadySubscribed(
                f"repository {repository.name!r} has subscribed to {wanted.name!r} already",
                hint="use --succeed-on-existing if that is fine",
            )
        of_version = {wanted.id: version} if version is not None else {}
        if version is not None:
            bioconductor.name_version(app, connection, version)
        message = f"subscribed to {wanted.name}" + (f" {version}" if version is not None else "")
        _subscribe_to(app, connection, repository, [*now, wanted.id], message, actor, versions=of_version)
        return _info(connection, repository)


def unsubscribe(app: App, repo: str, source: str, *, actor: str) -> RepositoryInfo:
    """Take a source off a repository: one transaction. Older snapshots keep it."""
    with app.db.write() as connection:
        repository = db_repositories.get(connection, repo)
        gone = db_sources.get(connection, source)
        now = _subscribed(connection, repository)
        if gone.id not in now:
            raise NotFound(
                f"repository {repository.name!r} has no subscription to {gone.name!r}",
                hint=f"it has {_names(connection, now)}",
            )
        rest = [id_ for id_ in now if id_ != gone.id]
        _subscribe_to(app, connection, repository, rest, f"unsubscribed from {gone.name}", actor)
        return _info(connection, repository)


def reorder(
    app: App,
    repo: str,
    sources: Sequence[str],
    *,
    actor: str,
    versions: Mapping[str, str] | None = None,
    may_change: bool = False,
    digest: str | None = None,
) -> RepositoryInfo:
    """Give a repository's sources a new order, all of them named: one transaction (none if nothing changes).

    Args:
        versions: of sources that come: which one of Bioconductor, by the name in `sources`.
        may_change: sources may come and go with it.
        digest: that of the preview that somebody saw of this order.

    Raises:
        Invalid, WrongType, AlreadySubscribed, BioconductorVersionNotFound: as `orders.wanted`.
        StalePreview: the order of now, or what is in the sources, is not what that preview was made on.
    """
    with app.db.write() as connection:
        now = orders.in_force(connection, db_repositories.get(connection, repo))
        then = orders.wanted(connection, now, sources, versions or {})
        if not may_change:
            orders.check_same(now, then)
        if digest is not None and digest != orders.digest(connection, now, then):
            raise StalePreview(
                f"repository {now.repository.name!r}, or what is in its sources, changed since this was previewed",
                hint="look at the preview again",
            )
        if (then.ids, then.versions) != (now.ids, now.versions):
            for version in set(then.versions.values()) - set(now.versions.values()):
                bioconductor.name_version(app, connection, version)
            said = orders.message(now, then)
            _subscribe_to(app, connection, now.repository, then.ids, said, actor, versions=then.versions)
        return _info(connection, now.repository)


def _subscribe_to(
    app: App,
    connection: Connection,
    repository: Repository,
    source_ids: list[int],
    message: str,
    actor: str,
    *,
    versions: Mapping[int, str] | None = None,
) -> None:
    """`versions` are wanted of sources that come; the others keep theirs."""
    now = app.clock()
    kept = db_repositories.versions_wanted(connection, repository.id) | dict(versions or {})
    at = db_transactions.add(
        connection,
        time=now,
        day=db_transactions.day_for_repository(connection, repository.id, now.date()),
        actor=actor,
        message=message,
        repository_id=repository.id,
    )
    db_repositories.subscribe_to(connection, repository.id, source_ids, at, versions=kept)


def _subscribed(connection: Connection, repository: Repository) -> list[int]:
    return db_repositories.subscribed(connection).get(repository.id, [])


def _names(connection: Connection, ids: Sequence[int]) -> str:
    names = db_sources.names(connection, ids)
    return ", ".join(names[id_] for id_ in ids) or "none"


def _info(connection: Connection, repository: Repository) -> RepositoryInfo:
    return _infos(connection, [repository])[0]


def _infos(connection: Connection, repositories: Sequence[Repository]) -> list[RepositoryInfo]:
    """All of them in the same few statements."""
    subscribed = db_repositories.subscribed(connection)
    used = {id_ for repository in repositories for id_ in subscribed.get(repository.id, [])}
    by_id = {source.id: source for source in db_sources.live(connection, used)}
    parts = db_bioconductor.part_ids_of(connection, by_id.values())
    of_source = bioconductor.newest_transactions(connection, used, parts)
    versions = db_repositories.all_versions_wanted(connection) if parts else {}
    of_repository = db_repositories.newest_transactions(connection, [repository.id for repository in repositories])
    infos = []
    for repository in repositories:
        ids = subscribed.get(repository.id, [])
        newest = [of_source.get(id_, 0) for id_ in ids] + [of_repository.get(repository.id, 0)]
        mine = versions.get(repository.id, {})
        sources = tuple(replace(by_id[id_], version=mine.get(id_, by_id[id_].version)) for id_ in ids)
        infos.append(RepositoryInfo(repository, sources, max(newest) or None))
    return infos
