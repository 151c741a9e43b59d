"""What every route needs: the application, who asks, and which page is wanted.

These are coroutines, though they wait for nothing: FastAPI sends a plain function to a thread, which takes longer than
all of it.
"""

from __future__ import annotations

from typing import Annotated, Literal, cast

from fastapi import Depends, Path, Query, Request

from entrepot.app import App
from entrepot.core.access import Access
from entrepot.operations.browsing import Page
from entrepot.web.context import Context

MOST_ROWS = 1000
"""The largest page."""
LAST_PAGE = 10**9
"""No list is so long; a larger number would be none to the database."""
LARGEST_ID = 2**62


async def context(request: Request) -> Context:
    return cast(Context, request.app.state.context)


async def entrepot(found: Annotated[Context, Depends(context)]) -> App:
    return found.app


async def caller(request: Request) -> Access:
    """Who asks, as the guard before the routes found."""
    return cast(Access, request.state.access)


async def actor(access: Annotated[Access, Depends(caller)]) -> str:
    """What transactions call whoever asks."""
    return access.actor


PageNumber = Annotated[int, Query(ge=1, le=LAST_PAGE)]


async def page(_limit: Annotated[int, Query(ge=1, le=MOST_ROWS)] = 100, _page: PageNumber = 1) -> Page:
    """The page of a long list: 100 rows, if nothing else is said."""
    return Page(_limit, _page)


async def short_page(_limit: Annotated[int | None, Query(ge=1, le=MOST_ROWS)] = None, _page: PageNumber = 1) -> Page:
    """The page of a list that clients expect whole: all rows, if nothing else is said."""
    return Page(_limit or LAST_PAGE, _page)


async def ascending(_order: Annotated[Literal["asc", "desc"] | None, Query()] = None) -> bool | None:
    """`_order` as a truth value; None if it isn't given."""
    return None if _order is None else _order == "asc"


AppDep = Annotated[App, Depends(entrepot)]
ContextDep = Annotated[Context, Depends(context)]
Actor = Annotated[str, Depends(actor)]
Caller = Annotated[Access, Depends(caller)]
PageDep = Annotated[Page, Depends(page)]
ShortPageDep = Annotated[Page, Depends(short_page)]
Number = Annotated[int, Path(ge=0, le=LARGEST_ID)]
NameSort = Annotated[Literal["id", "name"], Query()]
Ascending = Annotated[bool | None, Depends(ascending)]
BiocVersion = Annotated[
    str | None, Query(max_length=20, description="of Bioconductor: which version; `release` if nothing else is said")
]
Snapshot = Annotated[str, Query(description="`latest`, YYYY-MM-DD or a transaction id")]
