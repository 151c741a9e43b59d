"""The home page: repositories with the lines to use them, and how the mirrors are doing, as far as the visitor sees."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from entrepot.app import App
from entrepot.core.access import Access
from entrepot.operations import repositories, sources, syncing
from entrepot.operations.access import sight
from entrepot.web.api import schemas
from entrepot.web.context import Context
from entrepot.web.streams import in_thread
from entrepot.web.ui.rendering import moved, page
from entrepot.web.ui.visits import Visit


async def show(request: Request) -> Response:
    """`GET /`. Programs ask for it with a token to see whether that is good still."""
    context: Context = request.app.state.context
    visit = await Visit.of(request, context)
    if context.app.settings.authentication.require_auth_for_ui and not visit.access.is_known:
        return moved(visit.to_login("/"))
    return await in_thread(_page, context.app, visit)


def _page(app: App, visit: Visit) -> Response:
    repos, found = _seen(app, visit.access)
    return page("home.html", visit, repos=repos, sources=found)


def _seen(app: App, access: Access) -> tuple[list[schemas.Repository], list[dict[str, Any]]]:
    """The repositories and sources that somebody sees."""
    with app.db.read() as connection:
        seen = sight(connection, access)
    repos = [
        schemas.Repository.of(info)
        for info in repositories.list_repositories(app)
        if seen.sees_repository(info.repository.id)
    ]
    shown: list[dict[str, Any]] = []
    for info in sources.list_sources(app):
        if seen.sees_source(info.source.id):
            next_sync = syncing.next_sync(app, info.source, info.mirror) if info.mirror else None
            shown.append(schemas.Source.of(info, next_sync=next_sync).model_dump())
    return repos, shown
