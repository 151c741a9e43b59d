"""Days of `/repos/{repo}`: which can be used as snapshots, and on which of them something changed."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, Field

from entrepot.core.errors import Invalid
from entrepot.operations import days
from entrepot.web.api import schemas
from entrepot.web.api.deps import AppDep, Ascending, BiocVersion, ShortPageDep
from entrepot.web.api.repos import paged

MOST_DAYS = 366
"""Of which packages are counted at once."""
From = Annotated[date | None, Query(alias="from", description="the first day that is wanted")]
To = Annotated[date | None, Query(alias="to", description="the last day that is wanted")]

router = APIRouter(prefix="/repos", tags=["repositories"])


class DayOfChanges(schemas.TransactionDate):
    """A transaction date; `packages` is how many packages changed on it, null where that would be too many to count."""

    packages: int | None = Field(default=None, description="only with counts=true")


class DaysShape(BaseModel):
    """The first and the last day that can be used in a URL, both inclusive; null while there is none.

    `today` is the UTC day that is not over yet.
    """

    first: date | None
    last: date | None
    today: date


@router.get("/{repo}/transaction-dates", response_model_exclude_unset=True)
def repo_transaction_dates(
    app: AppDep,
    repo: str,
    page: ShortPageDep,
    ascending: Ascending,
    response: Response,
    _sort: Annotated[Literal["date"], Query()] = "date",
    start: From = None,
    end: To = None,
    counts: Annotated[bool, Query(description="tell how many packages changed on each day")] = False,
) -> list[DayOfChanges]:
    """The days with changes that can be used in a URL."""
    if counts and (start is None or end is None or (end - start).days >= MOST_DAYS):
        raise Invalid("packages are counted for a year at most", hint="say of which days: from=...&to=...")
    rows = [_shape(day, id_) for day, id_ in days.changed(app, repo, start=start, end=end)]
    if counts and rows:
        # Only of what can be served: the first sync of a mirror changes all packages on a day that isn't over.
        numbers = days.count_changed(app, repo, start=rows[0].alias, end=rows[-1].alias)
        for row in rows:
            row.packages = numbers.get(row.alias, 0) if numbers is not None else None
    return paged(rows, page, response, sort="date", ascending=ascending)


def _shape(day: date, id_: int) -> DayOfChanges:
    return DayOfChanges(alias=day, date=datetime.combine(day, time(), UTC), id=id_)


@router.get("/{repo}/first-transaction")
def repo_first_transaction(app: AppDep, repo: str) -> schemas.FirstTransaction:
    day = days.first(app, repo)
    return schemas.FirstTransaction(alias=day, date=datetime.combine(day, time(), UTC))


@router.get("/{repo}/days")
def repo_days(app: AppDep, repo: str, bioc_version: BiocVersion = None) -> DaysShape:
    """Between which days a snapshot can be chosen. Every day between them can be used, also one without changes."""
    found = days.servable(app, repo, bioc_version=bioc_version)
    first, last = found if found is not None else (None, None)
    return DaysShape(first=first, last=last, today=app.today())
