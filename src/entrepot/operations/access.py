"""Who may: what a token gives, and which repositories and sources somebody sees.

A repository that is closed is read by those who have `repos:read` for it. Its name is no secret that an answer gives
away: who may not read it is told the same of it as of a name that nobody uses. A source is seen by whoever may read one
of its repositories or may write to it; one that no repository shows is open as long as nothing here was ever closed.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from sqlalchemy import Connection

from entrepot.app import App
from entrepot.core import tokens as texts
from entrepot.core.access import Access, Scope
from entrepot.core.errors import EntrepotError, Forbidden, Unauthenticated
from entrepot.core.model import Repository, SourceType
from entrepot.db import bioconductor as db_bioconductor
from entrepot.db import parts as db_parts
from entrepot.db import repositories as db_repositories
from entrepot.db import sources as db_sources
from entrepot.db import tokens as db_tokens
from entrepot.db.tokens import Token

HOW_TO_ASK = "send a token: as the password of the user __token__, or as Authorization: Bearer TOKEN"


def access_of_token(app: App, text: str) -> Access | None:
    """What a token gives; None if it isn't good, or never was one."""
    if not texts.is_token(text):
        return None
    with app.db.read() as connection:
        chain = db_tokens.of_digest(connection, texts.digest(text))
    now = app.clock()
    if not chain or not all(token.is_good(now) for token in chain):
        return None
    return access_of(chain[0])


def access_of(token: Token) -> Access:
    """What a token that is good gives."""
    return Access(token.actor, token.grants, guid=token.guid, kind=token.kind, via=token.via, expires=token.expires)


@dataclass(frozen=True, slots=True)
class Sight:
    """What somebody sees of this installation.

    `closed` are the ids of repositories that are closed, or were when they were deleted, `shown_by` source id -> ids of
    repositories that are subscribed to it, `owners` the id of a part of a source -> that source; all are empty where
    nothing needs to be looked up.
    """

    access: Access
    closed: frozenset[int] = frozenset()
    shown_by: Mapping[int, Collection[int]] = field(default_factory=dict)
    owners: Mapping[int, int] = field(default_factory=dict)

    def sees_repository(self, id_: int) -> bool:
        return id_ not in self.closed or self.access.may_read(id_)

    def sees_source(self, id_: int) -> bool:
        """Whether they see a source, or a part of one: of that they see as much as of the whole."""
        if not self.closed or self.access.may_write(id_) or self.access.has_all_of(Scope.REPOS_READ):
            return True
        if any(map(self.sees_repository, self.shown_by.get(id_, ()))):
            return True
        owner = self.owners.get(id_)
        return owner is not None and self.sees_source(owner)

    @property
    def sees_all(self) -> bool:
        return not self.closed or self.access.has_all_of(Scope.REPOS_READ)


def sight(connection: Connection, access: Access) -> Sight:
    """What somebody sees: a few statements, one where nothing is closed, none for those who may read everything."""
    if access.has_all_of(Scope.REPOS_READ):
        return Sight(access)
    closed = db_repositories.closed(connection)
    if not closed:
        return Sight(access)
    shown_by: dict[int, list[int]] = {}
    for repository, source_ids in db_repositories.subscribed(connection).items():
        for source_id in source_ids:
            shown_by.setdefault(source_id, []).append(repository)
    # A source of one version of Bioconductor shows parts that belong to the source of all versions.
    versions = [each for each in db_sources.live(connection) if each.type is SourceType.BIOCONDUCTOR]
    for source_id, parts in db_bioconductor.part_ids_of(connection, versions).items():
        for part in parts:
            shown_by.setdefault(part, []).extend(shown_by.get(source_id, ()))
    return Sight(access, closed, shown_by, db_parts.owners(connection))


def admit(connection: Connection, app: App, access: Access, repository: Repository | None, name: str) -> None:
    """Let somebody read a repository that was looked up by `name`; None: there is none of that name.

    Raises:
        Unauthenticated, Forbidden: they may not, or it could be that they may not.
    """
    if repository is not None and (not repository.is_closed or access.may_read(repository.id)):
        return
    # Asked for both, so that a refusal takes as long whether there is one of that name or not.
    is_any_closed = not access.has_all_of(Scope.REPOS_READ) and _anything_closed(app, connection)
    if repository is not None or is_any_closed:
        raise refusal(access, "repository", name, Scope.REPOS_READ)


def admit_to_repository(app: App, access: Access, name: str) -> None:
    """As `admit`; a repository is found by its name or id. One that there is none of is no error for who sees all."""
    with app.db.read() as connection:
        admit(connection, app, access, db_repositories.find(connection, name), name)


def admit_to_all(app: App, access: Access) -> None:
    """Let somebody read of everything there is. Raises Unauthenticated, Forbidden: something is closed to them."""
    with app.db.read() as connection:
        sees_all = sight(connection, access).sees_all
    if sees_all:
        return
    if not access.is_known:
        raise Unauthenticated("this needs a token", hint=HOW_TO_ASK)
    raise Forbidden("this is for those who may read all repositories", hint="`entrepot whoami` shows what a token may")


def admit_to_source(app: App, access: Access, name: str) -> None:
    """Let somebody read of a source. Raises Unauthenticated, Forbidden."""
    with app.db.read() as connection:
        admit_source(connection, sight(connection, access), name)


def admit_source(connection: Connection, seen: Sight, name: str) -> None:
    """As `admit_to_source`, of what was looked up before."""
    source = db_sources.find(connection, name)
    if not (seen.sees_all if source is None else seen.sees_source(source.id)):
        raise refusal(seen.access, "source", name, Scope.REPOS_READ)


def admit_to_write(app: App, access: Access, name: str) -> None:
    """Let somebody write to a source. Raises Unauthenticated, Forbidden."""
    if access.has_all_of(Scope.SOURCES_WRITE):
        return
    with app.db.read() as connection:
        source = db_sources.find(connection, name)
    if source is None or not access.may_write(source.id):
        raise refusal(access, "source", name, Scope.SOURCES_WRITE)


def _anything_closed(app: App, connection: Connection) -> bool:
    return app.settings.authentication.new_repos_auth_by_default or db_repositories.any_closed(connection)


def refusal(access: Access, kind: str, name: str, scope: Scope) -> EntrepotError:
    """The same words whether there is one of that name or not."""
    what = "read" if scope is Scope.REPOS_READ else "change"
    shown = name[:100]
    if not access.is_known:
        return Unauthenticated(f"to {what} {kind} {shown!r} a token is needed", hint=HOW_TO_ASK)
    return Forbidden(
        f"this token may not {what} {kind} {shown!r}, or there is none of that name",
        hint=f"it needs the scope {scope.value} for it; `entrepot whoami` shows what it has",
    )
