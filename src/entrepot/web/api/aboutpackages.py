"""`/repos/{repo}/packages/{name}`: what is told of one package besides its record."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel

from entrepot.operations import browsing, history, neighbours, readmes
from entrepot.operations.history import HistoryEntry
from entrepot.operations.neighbours import Dependent, Needed
from entrepot.web.api.deps import AppDep, BiocVersion, PageDep, Snapshot
from entrepot.web.api.repos import counted

router = APIRouter(prefix="/repos", tags=["repositories"])

Version = Annotated[str | None, Query(max_length=200)]


class ChangeShape(BaseModel):
    """`version` and `previous` are of changes to packages, `source` is where it happened; of `reordered` the one that
    wins thereafter, null if none does."""

    change: str
    name: str
    version: str | None
    previous: str | None
    source: str | None


class SourceShape(BaseModel):
    """A source that has the package; `version` is null where it has but archived ones."""

    source: str
    version: str | None
    is_winning: bool


class HistoryShape(BaseModel):
    """A point at which what the repository gives of the package became something else; `source` and `version` are what
    it gives from then on, `snapshot` is what to put into a URL to be given it."""

    transaction: int | None
    day: date
    time: datetime
    snapshot: str
    changes: list[ChangeShape]
    source: str | None
    version: str | None
    sources: list[SourceShape]
    message: str
    actor: str

    @classmethod
    def of(cls, name: str, entry: HistoryEntry) -> HistoryShape:
        winner = entry.winner
        return cls(
            transaction=entry.transaction,
            day=entry.day,
            time=entry.time,
            snapshot=entry.snapshot,
            changes=[
                ChangeShape(change=c.kind, name=name, version=c.version, previous=c.previous, source=c.source)
                for c in entry.changes
            ],
            source=winner.name if winner is not None else None,
            version=winner.version if winner is not None else None,
            sources=[SourceShape(source=s.name, version=s.version, is_winning=s.is_winning) for s in entry.sources],
            message=entry.message,
            actor=entry.actor,
        )


@router.get("/{repo}/packages/{name}/history")
def repo_package_history(
    app: AppDep, repo: str, name: str, page: PageDep, response: Response, bioc_version: BiocVersion = None
) -> list[HistoryShape]:
    """Every transaction, or time, that changed what the repository gives of a package; the newest first."""
    rows, total = history.package_history(app, repo, name, bioc_version=bioc_version, page=page)
    return counted([HistoryShape.of(name, row) for row in rows], total, response)


class ReadmeShape(BaseModel):
    """`html` is structure and text alone, `format` what it was rendered as. `file` is the name of the file that it is,
    null where it stands in the metadata; `truncated`: there is more of it."""

    format: Literal["markdown", "rst", "plain"]
    html: str
    file: str | None
    truncated: bool


@router.get("/{repo}/packages/{name}/readme")
def repo_package_readme(
    app: AppDep,
    repo: str,
    name: str,
    version: Version = None,
    snapshot: Snapshot = "latest",
    fetch: Annotated[bool, Query(description="fetch the source package if the store doesn't have it")] = False,
    bioc_version: BiocVersion = None,
) -> ReadmeShape:
    def opened() -> browsing.Opened:
        return browsing.open_repository(app, repo, snapshot, bioc_version=bioc_version)

    found = readmes.package_readme(app, opened, name, version=version, fetch=fetch)
    return ReadmeShape(format=found.format, html=found.html, file=found.file, truncated=found.truncated)


class NeededShape(BaseModel):
    """A dependency, and what the snapshot has of it. `comes_along`: it is R itself, or comes with every R.

    `bound` is the version that `operator` speaks of; `is_met` null where nobody can tell.
    """

    name: str
    kind: str
    extra: str | None
    operator: str | None
    bound: str | None
    requirement: str | None
    version: str | None
    title: str | None
    source: str | None
    is_here: bool
    comes_along: bool
    is_met: bool | None

    @classmethod
    def of(cls, needed: Needed) -> NeededShape:
        told, found = needed.dependency, needed.found
        return cls(
            name=needed.name or told.name,
            kind=needed.kind,
            extra=needed.extra,
            operator=told.operator,
            bound=told.version,
            requirement=told.requirement,
            version=found.release.version if found is not None and found.release is not None else None,
            title=found.described.title if found is not None else None,
            source=found.source if found is not None else None,
            is_here=needed.is_here,
            comes_along=needed.comes_along,
            is_met=needed.is_met,
        )


@router.get("/{repo}/packages/{name}/dependencies")
def repo_package_dependencies(
    app: AppDep,
    repo: str,
    name: str,
    response: Response,
    version: Version = None,
    snapshot: Snapshot = "latest",
    bioc_version: BiocVersion = None,
) -> list[NeededShape]:
    """What a release says that it needs, in its order; each with what this snapshot has of it."""

    def opened() -> browsing.Opened:
        return browsing.open_repository(app, repo, snapshot, bioc_version=bioc_version)

    found = neighbours.dependencies(app, opened, name, version=version)
    return counted([NeededShape.of(each) for each in found], len(found), response)


class DependentShape(BaseModel):
    """A package whose current version needs another one, in the ways of `kinds`."""

    name: str
    kinds: list[str]
    version: str | None
    title: str | None
    source: str

    @classmethod
    def of(cls, dependent: Dependent) -> DependentShape:
        found = dependent.found
        return cls(
            name=found.name,
            kinds=list(dependent.kinds),
            version=found.release.version if found.release is not None else None,
            title=found.described.title,
            source=found.source,
        )


@router.get("/{repo}/packages/{name}/dependents")
def repo_package_dependents(
    app: AppDep,
    repo: str,
    name: str,
    page: PageDep,
    response: Response,
    kind: Annotated[str | None, Query(max_length=40, description="one kind of dependency")] = None,
    snapshot: Snapshot = "latest",
    bioc_version: BiocVersion = None,
) -> list[DependentShape]:
    """The packages of the snapshot whose current version needs this one, by name; of R alone."""
    opened = browsing.open_repository(app, repo, snapshot, bioc_version=bioc_version)
    rows, total = neighbours.dependents(
        app, opened, repo, snapshot, name, kind=kind, bioc_version=bioc_version, page=page
    )
    return counted([DependentShape.of(row) for row in rows], total, response)
