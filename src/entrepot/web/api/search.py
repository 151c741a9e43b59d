"""`/search` and `/repos/{repo}/search`: packages by words, the best first; what to filter by; names that were meant."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Response
from pydantic import BaseModel

from entrepot.operations import searchall, searching
from entrepot.operations.searching import Hit, Wanted
from entrepot.web.api import packageshapes, schemas
from entrepot.web.api.deps import AppDep, BiocVersion, Caller, PageDep, Snapshot
from entrepot.web.api.repos import counted

router = APIRouter(tags=["search"])

MOST_FOUND = 100
"""Packages that a search in all repositories tells at most."""
_SOME = 20
LIMITED = "X-Search-Limited"
"""Header of an answer that doesn't count all that would match."""

Words = Annotated[str, Query(description="words of names and titles; each stands for itself")]


class FoundPackage(packageshapes.Package):
    """A package as lists have it, with how often it was downloaded in 30 days and how many packages need it."""

    downloads: int
    dependents: int
    has_binaries: bool | None

    @classmethod
    def at(cls, hit: Hit) -> FoundPackage:
        return cls(
            **packageshapes.Package.values(hit.summary),
            downloads=hit.downloads,
            dependents=hit.dependents,
            has_binaries=hit.has_binaries,
        )


class Choice(BaseModel):
    name: str
    packages: int


class Choices(BaseModel):
    """What one may filter by, each with how many packages are left by it; most first."""

    licenses: list[Choice]
    sources: list[Choice]
    with_binaries: int


class FoundAnywhere(BaseModel):
    """A package as a source has it. `repository` is the first of `repositories`, all that show it so."""

    repository: str
    repositories: list[str]
    type: str
    name: str
    version: str | None
    title: str | None
    source: str


@dataclass(frozen=True, slots=True)
class Asked:
    """What is searched for, of which snapshot; the same for packages and for choices."""

    snapshot: Snapshot = "latest"
    bioc_version: BiocVersion = None
    q: Words = ""
    license: Annotated[str | None, Query(description="one of those that a package lets one choose from")] = None
    source: Annotated[str | None, Query(description="name of the source that packages come from")] = None
    updated_since: Annotated[schemas.Day | None, Query(description="YYYY-MM-DD: published on that day or later")] = None
    has_binaries: bool | None = None

    @property
    def wanted(self) -> Wanted:
        return Wanted(self.q, self.license, self.source, self.updated_since, self.has_binaries)


AskedDep = Annotated[Asked, Depends()]


@router.get("/repos/{repo}/search")
def search(
    app: AppDep,
    repo: str,
    asked: AskedDep,
    page: PageDep,
    response: Response,
    _sort: Annotated[searching.SearchSort, Query()] = "use",
) -> list[FoundPackage]:
    found = searching.search(
        app, repo, asked.snapshot, asked.wanted, bioc_version=asked.bioc_version, sort=_sort, page=page
    )
    if found.is_limited:
        response.headers[LIMITED] = "true"
    return counted([FoundPackage.at(hit) for hit in found.hits], found.total, response)


@router.get("/repos/{repo}/search/facets")
def search_facets(app: AppDep, repo: str, asked: AskedDep) -> Choices:
    found = searching.facets(app, repo, asked.snapshot, asked.wanted, bioc_version=asked.bioc_version)
    return Choices(
        licenses=[Choice(name=name, packages=packages) for name, packages in found.licenses],
        sources=[Choice(name=name, packages=packages) for name, packages in found.sources],
        with_binaries=found.with_binaries,
    )


@router.get("/repos/{repo}/near")
def near_names(
    app: AppDep,
    repo: str,
    name: Annotated[str, Query(min_length=1)],
    snapshot: Snapshot = "latest",
    bioc_version: BiocVersion = None,
) -> list[str]:
    return list(searching.near_names(app, repo, name, snapshot=snapshot, bioc_version=bioc_version))


@router.get("/search")
def search_everywhere(
    app: AppDep,
    access: Caller,
    q: Words = "",
    _limit: Annotated[int, Query(ge=1, le=MOST_FOUND)] = _SOME,
) -> list[FoundAnywhere]:
    return [
        FoundAnywhere(
            repository=found.repositories[0],
            repositories=list(found.repositories),
            type=schemas.TYPE_LABELS[found.type],
            name=found.name,
            version=found.version,
            title=found.title,
            source=found.source,
        )
        for found in searchall.search_all(app, q, access=access, limit=_limit)
    ]
