"""What every route needs: the application, who asks, and which page is wanted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, cast

from fastapi import Depends, Header, Query, Request

from entrepot.app import App
from entrepot.jobs.runner import Runner
from entrepot.operations.browsing import Page, parse_page
from entrepot.web.auth import actor_of


@dataclass(frozen=True, slots=True)
class Context:
    """The application, the runner of its jobs and the administrator's token."""

    app: App
    runner: Runner
    token: str


def context(request: Request) -> Context:
    return cast(Context, request.app.state.context)


def entrepot(found: Annotated[Context, Depends(context)]) -> App:
    return found.app


def administrator(
    found: Annotated[Context, Depends(context)], authorization: Annotated[str | None, Header()] = None
) -> str:
    """The actor of a request that writes."""
    return actor_of(authorization, found.token)


def page(_limit: Annotated[int, Query()] = 100, _page: Annotated[int, Query()] = 1) -> Page:
    return parse_page(_limit, _page)


def ascending(_order: Annotated[str, Query()] = "") -> bool | None:
    """`_order=asc|desc` as a truth value; None if it isn't given."""
    return {"asc": True, "desc": False}.get(_order.lower())


AppDep = Annotated[App, Depends(entrepot)]
ContextDep = Annotated[Context, Depends(context)]
Actor = Annotated[str, Depends(administrator)]
PageDep = Annotated[Page, Depends(page)]
Ascending = Annotated[bool | None, Depends(ascending)]
Snapshot = Annotated[str, Query(description="`latest`, YYYY-MM-DD or a transaction id")]
