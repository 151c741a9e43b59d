"""What happened: transactions of `/repos/{repo}`, `/sources/{source}` and all, and what each of them did."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query, Response
from pydantic import BaseModel, Field

from entrepot.core.activity import ActivityKind, Wanted
from entrepot.core.changes import ChangeKind
from entrepot.core.model import PackageName
from entrepot.operations import activity
from entrepot.operations.activity import BuildFacts, TransactionInfo
from entrepot.web.api import schemas
from entrepot.web.api.deps import AppDep, Ascending, Caller, Number, PageDep
from entrepot.web.api.repos import counted

TransactionSort = Annotated[Literal["id", "time"], Query(description="both are the order in which they were recorded")]
Name = Annotated[str | None, Query(max_length=500, pattern=schemas.NO_NUL)]
Kinds = Annotated[list[ActivityKind] | None, Query(max_length=20, description="any of these; may be repeated")]
Day = Annotated[schemas.Day | None, Query()]

router = APIRouter(tags=["activity"])


class BuildFactsShape(BaseModel):
    """The attempt at a build that a transaction records."""

    kind: Literal["git", "binary"]
    status: Literal["succeeded", "failed"]
    package: str | None
    version: str | None = Field(description="of a binary package")
    tag: str | None
    sha: str | None
    builder: str | None = Field(description="what the git builder is called, if it is still there")
    target: str | None = Field(description="the build target of a binary package")
    number: int | None = Field(description="that of a binary package's build")
    command: str = Field(description="which shows the log")

    @classmethod
    def of(cls, facts: BuildFacts) -> BuildFactsShape:
        return cls(**{name: getattr(facts, name) for name in BuildFacts.__slots__})


class TransactionShape(BaseModel):
    id: int
    time: datetime
    day: date
    completed: datetime
    published_to: datetime
    source: str | None
    repository: str | None
    actor: str
    message: str
    counts: dict[str, int]
    build: BuildFactsShape | None

    @staticmethod
    def values(info: TransactionInfo) -> dict[str, Any]:
        """`published_to` is the start of the day that the transaction belongs to, as clients of the product read it."""
        row = info.transaction
        midnight = datetime.fromisoformat(f"{row.day.isoformat()}T00:00:00+00:00")
        return {
            "id": row.id,
            "time": row.time,
            "day": row.day,
            "completed": row.time,
            "published_to": midnight,
            "source": info.source,
            "repository": info.repository,
            "actor": row.actor,
            "message": row.message,
            "counts": {kind.value: number for kind, number in info.counts.items()},
            "build": None if info.build is None else BuildFactsShape.of(info.build),
            "changes": [schemas.ChangeShape.of(change) for change in info.changes],
        }


class TransactionRow(TransactionShape):
    """A transaction in a list."""

    changes: list[schemas.ChangeShape] = Field(description="to the package that was looked for; else none")

    @classmethod
    def of(cls, info: TransactionInfo) -> TransactionRow:
        return cls(**cls.values(info))


class TransactionDetail(TransactionShape):
    changes: list[schemas.ChangeShape] | None = Field(description="all of them; null if they were not wanted")

    @classmethod
    def of(cls, info: TransactionInfo, *, with_changes: bool) -> TransactionDetail:
        return cls(**{**cls.values(info), **({} if with_changes else {"changes": None})})


@dataclass(frozen=True, slots=True)
class WantedActivity:
    """Which transactions of a list are asked for; the same for repositories and sources."""

    page: PageDep
    ascending: Ascending
    kind: Kinds = None
    package: Name = None
    start: Annotated[Day, Query(alias="from", description="the first day that they may belong to")] = None
    end: Annotated[Day, Query(alias="to", description="the last one")] = None
    _sort: TransactionSort = "id"

    @property
    def wanted(self) -> Wanted:
        package = PackageName(self.package) if self.package is not None else None
        return Wanted(frozenset(self.kind or ()), package, self.start, self.end)


WantedDep = Annotated[WantedActivity, Depends()]


@router.get("/repos/{repo}/transactions")
def repo_transactions(
    app: AppDep, access: Caller, repo: str, asked: WantedDep, response: Response, source: Name = None
) -> list[TransactionRow]:
    """Transactions of a repository and of all sources that it ever had, or of one of these."""
    rows, total = activity.list_transactions(
        app,
        repo=repo,
        source=source,
        wanted=asked.wanted,
        ascending=bool(asked.ascending),
        page=asked.page,
        access=access,
    )
    return counted([TransactionRow.of(row) for row in rows], total, response)


@router.get("/sources/{source}/transactions")
def source_transactions(
    app: AppDep, access: Caller, source: str, asked: WantedDep, response: Response
) -> list[TransactionRow]:
    rows, total = activity.list_transactions(
        app, source=source, wanted=asked.wanted, ascending=bool(asked.ascending), page=asked.page, access=access
    )
    return counted([TransactionRow.of(row) for row in rows], total, response)


@router.get("/transactions/{id}")
def get_transaction(
    app: AppDep,
    access: Caller,
    id: Number,
    changes: Annotated[bool, Query(description="whether its changes are wanted, which may be very many")] = True,
) -> TransactionDetail:
    info = activity.transaction(app, id, with_changes=changes, access=access)
    return TransactionDetail.of(info, with_changes=changes)


@router.get("/transactions/{id}/changes")
def list_changes(
    app: AppDep,
    access: Caller,
    id: Number,
    page: PageDep,
    response: Response,
    package: Name = None,
    change: Annotated[list[ChangeKind] | None, Query(max_length=20)] = None,
) -> list[schemas.ChangeShape]:
    """A page of what a transaction did, by the names of packages."""
    kinds = frozenset(change or ())
    rows, total = activity.list_changes(app, id, package=package, kinds=kinds, page=page, access=access)
    return counted([schemas.ChangeShape.of(row) for row in rows], total, response)
