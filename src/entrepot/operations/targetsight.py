"""Which build targets, and which of their builds, somebody sees."""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import Connection

from entrepot.core.targets import Target
from entrepot.db import repositories as db_repositories
from entrepot.db import targets as db_targets
from entrepot.operations.access import Sight


def sees_target(connection: Connection, seen: Sight) -> Callable[[Target], bool]:
    """Tells whether somebody sees a target: the repository that libraries come from, and one of its sources."""
    repositories = {each.name: each.id for each in db_repositories.live(connection)}

    def sees(target: Target) -> bool:
        if seen.sees_all:
            return True
        repository = repositories.get(target.repository)
        is_any = target.sources is None or any(map(seen.sees_source, target.sources))
        return is_any and repository is not None and seen.sees_repository(repository)

    return sees


def builds_seen(connection: Connection, seen: Sight) -> set[tuple[int, int]]:
    """(target, source) of all attempts that somebody sees: with libraries of what they may read, at a source that they
    see."""
    repositories = {each.name for each in db_repositories.live(connection) if seen.sees_repository(each.id)}
    return {
        (target, source)
        for target, repository, source in db_targets.tried(connection)
        if repository in repositories and seen.sees_source(source)
    }
