"""What exists from the first start: the predefined sources, and the repositories that the settings name."""

from __future__ import annotations

from entrepot.app import App
from entrepot.core.model import RepositoryType, SourceType
from entrepot.db import repositories as db_repositories
from entrepot.db import sources as db_sources
from entrepot.db import transactions as db_transactions


def ensure_defaults(app: App) -> None:
    """Make the predefined sources and, in a new installation, the repositories of `[repos]`. Does nothing later."""
    with app.db.write() as connection:
        if db_sources.find(connection, "cran") is not None:
            return
        now = app.clock()
        cran = db_sources.add(connection, name="cran", type_=SourceType.CRAN, now=now)
        db_sources.add_mirror(connection, cran, app.settings.cran.upstream)
        name = app.settings.repos.cran
        if name and db_repositories.named(connection, name) is None:
            id_ = db_repositories.add(
                connection, name=name, type_=RepositoryType.R, description="Access CRAN packages", now=now
            )
            at = db_transactions.add(
                connection, time=now, day=now.date(), actor="setup", message="subscribed to cran", repository_id=id_
            )
            db_repositories.subscribe_to(connection, id_, [cran], at)
