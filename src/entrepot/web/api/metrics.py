"""Usage statistics: which packages are downloaded most, all counts as CSV, one package day by day."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator
from datetime import date
from typing import Annotated, Any

from fastapi import APIRouter, Query, Response
from fastapi.responses import StreamingResponse
from pydantic import BaseModel

from entrepot.core.errors import Invalid
from entrepot.core.model import RepositoryType
from entrepot.operations import usage
from entrepot.operations.usage import Line, PackageDownloads, Top
from entrepot.web.api import schemas
from entrepot.web.api.deps import AppDep, Caller, PageDep
from entrepot.web.api.repos import counted

MOST_DAYS = 3660
CSV = "text/csv"
HEAD = (
    *("date", "repository", "type", "source", "package", "version", "file_type"),
    *("client", "language_version", "downloads"),
)
_FORMULAS = ("=", "+", "-", "@", "\t", "\r")

router = APIRouter(tags=["metrics"])

Days = Annotated[int, Query(ge=1, le=MOST_DAYS, description="the last days that count, today (UTC) included")]
OfType = Annotated[
    str | None,
    Query(alias="_sourceType", max_length=100, description="of repositories of one type: r, bioconductor, python"),
]
OfRepo = Annotated[str | None, Query(max_length=200, pattern=schemas.NO_NUL, description="of this repository alone")]


class PackageUse(BaseModel):
    """A package of repositories of a type, and how often it was downloaded from those that the caller may read."""

    name: str
    type: str
    downloads: int

    @classmethod
    def of(cls, top: Top) -> PackageUse:
        return cls(name=top.name, type=schemas.TYPE_LABELS[top.type], downloads=top.downloads)


class DayUse(BaseModel):
    date: date
    downloads: int


class VersionUse(BaseModel):
    """A version; empty for downloads of which only the package was counted."""

    version: str
    downloads: int


class ClientUse(BaseModel):
    client: str
    downloads: int


class LanguageUse(BaseModel):
    """Downloads by clients of R or Python, at a minor version of it; both are empty for those that didn't tell."""

    language: str
    version: str
    downloads: int


class PackageDownloadsShape(BaseModel):
    """The downloads of a package: one entry for each day, oldest first; all else the most downloaded first."""

    name: str
    total: int
    days: list[DayUse]
    versions: list[VersionUse]
    clients: list[ClientUse]
    languages: list[LanguageUse]

    @classmethod
    def of(cls, found: PackageDownloads) -> PackageDownloadsShape:
        return cls(
            name=found.name,
            total=found.total,
            days=[DayUse(date=day, downloads=number) for day, number in found.days],
            versions=[VersionUse(version=version, downloads=number) for version, number in found.versions],
            clients=[ClientUse(client=client, downloads=number) for client, number in found.clients],
            languages=[
                LanguageUse(language=language, version=version, downloads=number)
                for (language, version), number in found.languages
            ],
        )


@router.get("/metrics/packages")
def most_downloaded(
    app: AppDep,
    access: Caller,
    page: PageDep,
    response: Response,
    of_type: OfType = None,
    _days: Days = usage.RECENT,
    repo: OfRepo = None,
) -> list[PackageUse]:
    """The packages that were downloaded most, of all repositories that the caller may read."""
    type_ = _type(of_type)
    rows, total = usage.top(app, access=access, days=_days, page=page, type_=type_, repo=repo)
    return counted([PackageUse.of(row) for row in rows], total, response)


@router.get("/metrics/days")
def downloads_by_day(
    app: AppDep, access: Caller, of_type: OfType = None, _days: Days = usage.RECENT, repo: OfRepo = None
) -> list[DayUse]:
    """How much was downloaded on each day, of all repositories that the caller may read; oldest first."""
    found = usage.by_day(app, access=access, days=_days, type_=_type(of_type), repo=repo)
    return [DayUse(date=day, downloads=number) for day, number in found]


@router.get(
    "/metrics/packages.csv",
    response_class=StreamingResponse,
    responses={200: {"content": {CSV: {}}, "description": f"a line for each count: {', '.join(HEAD)}"}},
)
def export_downloads(
    app: AppDep, access: Caller, of_type: OfType = None, _days: Days = usage.RECENT, repo: OfRepo = None
) -> StreamingResponse:
    """All counts of the last days, of all repositories that the caller may read: by day, repository and package."""
    pieces = usage.lines(app, access=access, days=_days, type_=_type(of_type), repo=repo)
    headers = {"Content-Disposition": f'attachment; filename="downloads-{_days}-days.csv"', "Cache-Control": "no-store"}
    return StreamingResponse(_as_csv(pieces), media_type=f"{CSV}; charset=utf-8", headers=headers)


@router.get("/repos/{repo}/packages/{name}/downloads")
def package_downloads(app: AppDep, repo: str, name: str, _days: Days = usage.RECENT) -> PackageDownloadsShape:
    """How often a package was downloaded from a repository: by day, version, kind of client, R or Python."""
    return PackageDownloadsShape.of(usage.of_package(app, repo, name, days=_days))


def _type(given: str | None) -> RepositoryType | None:
    """Raises Invalid."""
    if given is None:
        return None
    found = schemas.repository_type(given)
    if found is None:
        raise Invalid(f"{given!r} is not a type of repository", hint="types are r, bioconductor and python")
    return found


def _as_csv(pieces: Iterable[list[Line]]) -> Iterator[bytes]:
    yield _rows([HEAD])
    for piece in pieces:
        yield _rows([_row(line) for line in piece])


def _row(line: Line) -> tuple[Any, ...]:
    found, repository = line.counted, line.repository
    file = line.source, found.package, found.version, found.kind
    of = line.day.isoformat(), repository.name, schemas.TYPE_LABELS[repository.type]
    return *of, *file, found.client, found.language, line.downloads


def _rows(rows: Iterable[tuple[Any, ...]]) -> bytes:
    """Rows of CSV (RFC 4180)."""
    text = io.StringIO()
    csv.writer(text).writerows(tuple(map(harmless, row)) for row in rows)
    return text.getvalue().encode()


def harmless(cell: object) -> object:
    """A cell that no spreadsheet takes for a formula: names of packages and versions come from anywhere."""
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(_FORMULAS) else cell
