"""What exists from the first start: the predefined sources, and the repositories that the settings name."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection

from entrepot.app import App
from entrepot.core.model import RepositoryType, SourceType
from entrepot.db import repositories as db_repositories
from entrepot.db import sources as db_sources
from entrepot.db import transactions as db_transactions


def ensure_defaults(app: App) -> None:
    """Make the predefined sources that are missing, each with the repository that `[repos]` names for it. Does nothing
    later."""
    settings, now = app.settings, app.clock()
    with app.db.write() as connection:
        there = {source.type for source in db_sources.live(connection)}
        if SourceType.CRAN not in there:
            cran = _add(connection, SourceType.CRAN, settings.cran.upstream, now)
            _subscribe(connection, settings.repos.cran, RepositoryType.R, "Access CRAN packages", cran, now)
        if SourceType.PYPI not in there:
            pypi = _add(connection, SourceType.PYPI, settings.pypi.upstream, now)
            _subscribe(connection, settings.repos.pypi, RepositoryType.PYTHON, "Access PyPI packages", pypi, now)
        if SourceType.BIOCONDUCTOR not in there:
            bioc = _add(connection, SourceType.BIOCONDUCTOR, settings.bioconductor.upstream, now)
            name, about = settings.repos.bioconductor, "Access Bioconductor packages"
            _subscribe(connection, name, RepositoryType.BIOCONDUCTOR, about, bioc, now)


def _add(connection: Connection, type_: SourceType, upstream: str, now: datetime) -> int:
    """A predefined source, named as its type, or, if that is taken in an older installation, with `-mirror` to it."""
    is_taken = db_sources.find(connection, type_.value) is not None
    id_ = db_sources.add(connection, name=f"{type_.value}-mirror" if is_taken else type_.value, type_=type_, now=now)
    db_sources.add_mirror(connection, id_, upstream)
    return id_


def _subscribe(
    connection: Connection, name: str, type_: RepositoryType, description: str, source_id: int, now: datetime
) -> None:
    """A repository of a predefined source alone, unless none is wanted or the name is taken."""
    if not name or db_repositories.named(connection, name) is not None:
        return
    id_ = db_repositories.add(connection, name=name, type_=type_, description=description, now=now)
    source = db_sources.by_id(connection, source_id).name
    at = db_transactions.add(
        connection, time=now, day=now.date(), actor="setup", message=f"subscribed to {source}", repository_id=id_
    )
    db_repositories.subscribe_to(connection, id_, [source_id], at)
